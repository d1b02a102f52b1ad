//! One user of the ledger: what the record says now, in words for a person.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    graph::Names,
    ledger::{Delivered, Notice, Record, Standing, State},
    pass::words,
};

/// How long what is over is shown.
const SHOWN_AFTER: TimeDelta = TimeDelta::days(4);
/// How long a block without a pass is shown.
const BLOCK_SHOWN: TimeDelta = TimeDelta::days(30);

/// A user and what the ledger has of them.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The object id.
    pub user: Uuid,
    /// The names, as far as Graph says them.
    pub names: Names,
    /// The record, or why it cannot be read.
    pub record: Result<Record, String>,
}

/// How far a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    ToCome,
    Works,
    Over,
}

impl Phase {
    pub(super) fn of(delivered: &Delivered, now: DateTime<Utc>) -> Self {
        match () {
            () if now < delivered.told_start() => Self::ToCome,
            () if now < delivered.told_end() => Self::Works,
            () => Self::Over,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::ToCome => "later",
            Self::Works => "works",
            Self::Over => "over",
        }
    }
}

/// Whether a list of what matters now has the user.
pub(super) fn matters(standing: &Standing, now: DateTime<Utc>) -> bool {
    let recent = now - SHOWN_AFTER;
    standing.is_unreadable
        || standing.is_open(now)
        || standing.pass.as_ref().is_some_and(|pass| pass.ends_at >= recent)
        || standing.mailed.is_some_and(|(day, _)| day >= recent.date_naive())
        || standing.leased_at.is_some_and(|at| at >= recent)
        || standing.blocked_at.is_some_and(|at| at >= now - BLOCK_SHOWN)
}

impl Entry {
    /// The name to show: the display name, the sign-in name or the object id.
    pub(super) fn name(&self) -> String {
        let Names { display_name, user_principal_name } = self.names.clone();
        display_name.or(user_principal_name).unwrap_or_else(|| self.user.to_string())
    }

    fn record(&self) -> Option<&Record> {
        self.record.as_ref().ok()
    }

    pub(super) fn delivered(&self) -> Option<&Delivered> {
        self.record()?.delivered.as_ref()
    }

    /// The first day, of the pass or of the last mail.
    pub(super) fn day_one(&self) -> Option<NaiveDate> {
        let record = self.record()?;
        let delivered = record.delivered.as_ref().and_then(|delivered| delivered.day_one);
        let told = record.announcement.as_ref().map(|told| told.day_one);
        delivered.or(record.day_one).or(told)
    }

    /// The place in the list: the first day, or the day of a pass on demand.
    pub(super) fn order(&self) -> (Option<NaiveDate>, String) {
        let opens = self.delivered().map(|delivered| delivered.told_start().date_naive());
        (self.day_one().or(opens).or(Some(NaiveDate::MAX)), self.name())
    }

    pub(super) fn arrived_at(&self) -> Option<DateTime<Utc>> {
        self.record()?.arrived_at.filter(|_| self.record().is_some_and(|r| r.has_arrived_for(self.day_one())))
    }

    /// The outcome that the state is like, for its colour and its symbol.
    pub(super) fn tone(&self) -> &'static str {
        let Some(record) = self.record() else { return "failed" };
        match record.state {
            _ if self.arrived_at().is_some() => "delivered",
            State::Delivered => "delivered",
            State::Issuing => "skipped",
            State::Blocked => "blocked",
            State::Failed => "failed",
            State::Revoked => "revoked",
        }
    }

    /// What the record says, in a few words.
    pub(super) fn state(&self, now: DateTime<Utc>) -> String {
        let record = match &self.record {
            Ok(record) => record,
            Err(why) => return format!("the document cannot be read: {why}"),
        };
        if let Some(at) = self.arrived_at() {
            return format!("in the account, seen {}", moment(at));
        }
        let cause = record.cause.as_deref().map(|cause| words::of(cause).what);
        let because = |text: &str| cause.map_or_else(|| text.to_owned(), |why| format!("{text}: {why}"));
        match record.state {
            State::Issuing if record.leased_until(now).is_some() => "a job is making a pass".to_owned(),
            State::Issuing => "a job stopped halfway".to_owned(),
            State::Delivered => match record.delivered.as_ref().map(|d| (Phase::of(d, now), d)) {
                None => "delivered".to_owned(),
                Some((Phase::ToCome, d)) => format!("the pass works from {}", moment(d.told_start())),
                Some((Phase::Works, d)) => format!("the pass works now, until {}", moment(d.told_end())),
                Some((Phase::Over, d)) if record.is_reported(d) => {
                    because("the pass has ended, unused as far as is known")
                }
                Some((Phase::Over, d)) => format!("the pass ended {}", moment(d.told_end())),
            },
            State::Blocked => because("no pass"),
            State::Failed if record.waits_for_mailbox() => because("waits"),
            State::Failed if record.cause.as_deref() == Some(Record::BY_ADMIN) => {
                because("revoked, and the next sweep mails another pass")
            }
            State::Failed if record.unfinished_until() > Some(now) => {
                because("the last job failed, and a sweep tries again")
            }
            State::Failed => because("the last job failed"),
            State::Revoked => because("revoked"),
        }
    }

    /// What waits for a person.
    pub(super) fn waits(&self) -> Option<String> {
        let record = match &self.record {
            Ok(record) => record,
            Err(_) => return words::of("record-unreadable").to_do.map(str::to_owned),
        };
        if self.arrived_at().is_some() {
            return None;
        }
        if record.held_at.is_some() && record.state == State::Revoked {
            return Some("if they are to get another pass: firstpass issue".to_owned());
        }
        let is_unclear = record.notices.iter().any(|notice| notice.kind == Notice::MAIL_UNCLEAR);
        let unclear = is_unclear.then_some("mail-unclear");
        let cause = record.cause.as_deref().filter(|_| record.state != State::Failed).or(unclear)?;
        words::of(cause).to_do.map(str::to_owned)
    }

    /// One object.
    pub(super) fn to_json(&self, now: DateTime<Utc>) -> Value {
        let delivered = self.delivered();
        let record = self.record();
        json!({
            "userId": self.user,
            "displayName": self.names.display_name,
            "userPrincipalName": self.names.user_principal_name,
            "dayOne": self.day_one(),
            "state": record.map(|record| record.state),
            "cause": record.and_then(|record| record.cause.as_deref()),
            "words": self.state(now),
            "waitsFor": self.waits(),
            "purpose": delivered.map(|delivered| delivered.purpose),
            "passId": delivered.map(|delivered| &delivered.pass.pass_id),
            "deliveredAt": delivered.map(|delivered| delivered.at),
            "mailedTo": delivered.map(|delivered| &delivered.recipients),
            "opensAt": delivered.map(|delivered| delivered.told_start()),
            "endsAt": delivered.map(|delivered| delivered.told_end()),
            "arrivedAt": self.arrived_at(),
            "isUnreadable": self.record.is_err(),
        })
    }
}

/// As in "Fri 27 Nov 2026".
pub(super) fn day(day: NaiveDate) -> String {
    day.format("%a %-d %b %Y").to_string()
}

/// As in "Fri 27 Nov 07:00", in UTC.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%a %-d %b %H:%M").to_string()
}

/// The times of a pass, in UTC.
pub(super) fn span(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let end = if from.date_naive() == to.date_naive() { "%H:%M" } else { "%a %-d %b %H:%M" };
    format!("{} – {}", moment(from), to.format(end))
}
