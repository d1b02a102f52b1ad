//! What a listing of the ledger shows of a record, so that a sweep does not read the records themselves.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{Basis, Purpose, Record, State};
use crate::range;

/// What a listing shows of a record. The store keeps it beside the record, and it changes only with the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The purpose of the last job's pass.
    pub purpose: Purpose,
    /// Until when a sweep has to look at the user; `None`: never.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub open_until: Option<DateTime<Utc>>,
    /// Until when a sweep completes an unfinished job.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub unfinished_until: Option<DateTime<Utc>>,
    /// The start of the last lease.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub leased_at: Option<DateTime<Utc>>,
    /// Until when a pass may appear that nobody was sent.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub may_appear_until: Option<DateTime<Utc>>,
    /// For which day one a pass was last mailed, and when.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub mailed: Option<(NaiveDate, DateTime<Utc>)>,
    /// Identifies the mailbox that it went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// What that mail rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// The last delivery of a pass on demand.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub on_demand_at: Option<DateTime<Utc>>,
    /// Whether the last job made no pass, and a person was told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_blocked: bool,
    /// When that was.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub blocked_at: Option<DateTime<Utc>>,
    /// The last delivered pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<StandingPass>,
    /// Identifies what a listing of the tenant showed of the user when a job for a joiner last decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// When the joiner was first seen in the account.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub arrived_at: Option<DateTime<Utc>>,
    /// Whether a person was told that nobody got in with the pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_reported: bool,
    /// Whether the joiner was reminded of the pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_reminded: bool,
    /// Why the last job did not deliver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Since when somebody else is to be told of the delivered pass.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub notes_since: Option<DateTime<Utc>>,
    /// When the record was last written.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<DateTime<Utc>>,
    /// Whether the document is not a record, so that nothing of this is known.
    #[serde(skip)]
    pub is_unreadable: bool,
}

/// The last delivered pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StandingPass {
    /// Its id in the tenant.
    pub id: String,
    /// Why it was made.
    pub purpose: Purpose,
    /// Its day one; `None` for passes on demand.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub day_one: Option<NaiveDate>,
    /// The time of delivery.
    #[serde(deserialize_with = "range::ours")]
    pub delivered_at: DateTime<Utc>,
    /// The start of its validity.
    #[serde(deserialize_with = "range::ours")]
    pub opens_at: DateTime<Utc>,
    /// The end of its validity.
    #[serde(deserialize_with = "range::ours")]
    pub ends_at: DateTime<Utc>,
    /// Whether it works only once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_time: bool,
}

impl Standing {
    /// What is known of a document that is not a record.
    pub(super) fn unreadable() -> Self {
        Self {
            is_unreadable: true,
            ..Self::from(&Record::new(State::Failed, Purpose::Joiner, DateTime::UNIX_EPOCH))
        }
    }

    /// As this clock sees it: see [`Record::seen_at`].
    pub(crate) fn see_at(&mut self, now: DateTime<Utc>) {
        let at = |at: Option<DateTime<Utc>>| at.map(|at| range::past(at, now));
        self.leased_at = at(self.leased_at);
        self.mailed = self.mailed.map(|(day, mailed)| (day, range::past(mailed, now)));
        self.on_demand_at = at(self.on_demand_at);
        self.blocked_at = at(self.blocked_at);
        self.arrived_at = at(self.arrived_at);
        self.notes_since = at(self.notes_since);
        if let Some(pass) = &mut self.pass {
            pass.delivered_at = range::past(pass.delivered_at, now);
        }
    }

    /// Whether a sweep at `now` has to look at the user.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.open_until > Some(now)
    }
}

impl From<&Record> for Standing {
    fn from(record: &Record) -> Self {
        let delivered = record.delivered.as_ref();
        Self {
            purpose: record.purpose,
            open_until: record.open_until(),
            unfinished_until: record.unfinished_until(),
            leased_at: record.lease.as_ref().map(|lease| lease.since),
            may_appear_until: record.may_appear_until(),
            mailed: record.announcement.as_ref().and_then(|told| Some((told.day_one, told.at?))),
            mailbox: record.announcement.as_ref().and_then(|told| told.mailbox.clone()),
            basis: record.announcement.as_ref().and_then(|told| told.basis.clone()),
            on_demand_at: record.on_demand_at,
            is_blocked: record.state == State::Blocked,
            blocked_at: (record.state == State::Blocked).then_some(record.updated_at),
            pass: delivered.map(|delivered| StandingPass {
                id: delivered.pass.pass_id.clone(),
                purpose: delivered.purpose,
                day_one: delivered.day_one,
                delivered_at: delivered.at,
                opens_at: delivered.pass.opens_at,
                ends_at: delivered.pass.ends_at,
                one_time: delivered.pass.one_time,
            }),
            seen: record.seen.clone(),
            arrived_at: record.arrived_at,
            is_reported: delivered.is_some_and(|delivered| record.is_reported(delivered)),
            is_reminded: delivered.is_some_and(|d| record.reminded_pass.as_ref() == Some(&d.pass.pass_id)),
            cause: record.cause.clone(),
            notes_since: record.due_notes().and(delivered).map(|delivered| delivered.at),
            changed_at: Some(record.updated_at),
            is_unreadable: false,
        }
    }
}
