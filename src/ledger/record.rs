//! The record of one user.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Basis, DueNotes};
use crate::{address::Address, budget, range};

/// The state of the last job for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// A job holds the lease and runs, or its worker crashed.
    Issuing,
    /// The pass was made and delivered.
    Delivered,
    /// No pass was made, for a reason that an admin was alerted to.
    Blocked,
    /// The job failed; the next job starts again.
    Failed,
    /// The pass was deleted.
    Revoked,
}

/// Why the last pass was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// For day one.
    Joiner,
    /// Because the user was added to the on-demand group.
    OnDemand,
    /// Because of a call of CreateTap.
    Http,
}

/// A job's claim on a user, written before it makes a pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The job.
    pub job_key: String,
    /// Why it makes a pass.
    pub purpose: Purpose,
    /// The start of the lease.
    #[serde(deserialize_with = "range::ours")]
    pub since: DateTime<Utc>,
    /// The start of the pass's validity; `None`: when it is made.
    #[serde(default, deserialize_with = "range::ours")]
    pub opens_at: Option<DateTime<Utc>>,
    /// The start that the mail tells, if it is not that one.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub told_at: Option<DateTime<Utc>>,
    /// The pass's validity in minutes.
    #[serde(deserialize_with = "range::lifetime")]
    pub lifetime_minutes: u32,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Lease {
    /// The end of the planned pass's validity.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.opens_at.unwrap_or(self.since) + TimeDelta::minutes(self.lifetime_minutes.into())
    }

    fn same_window(&self, other: &Self) -> bool {
        (self.opens_at, self.lifetime_minutes) == (other.opens_at, other.lifetime_minutes)
    }
}

/// A pass that firstpass made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassRecord {
    /// The pass's id in the tenant.
    pub pass_id: String,
    /// The start of its validity.
    #[serde(deserialize_with = "range::ours")]
    pub opens_at: DateTime<Utc>,
    /// The end of its validity.
    #[serde(deserialize_with = "range::ours")]
    pub ends_at: DateTime<Utc>,
    /// Whether it works only once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_time: bool,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A delivered pass: Exchange accepted its mail, or the code is in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// The pass. Its unknown fields are those of the delivery, which is one object with it.
    #[serde(flatten)]
    pub pass: PassRecord,
    /// The time of delivery.
    #[serde(deserialize_with = "range::ours")]
    pub at: DateTime<Utc>,
    /// Why it was made.
    pub purpose: Purpose,
    /// Its day one; `None` for passes on demand.
    #[serde(default, deserialize_with = "range::ours")]
    pub day_one: Option<NaiveDate>,
    /// Whether the start that the joiner was told of had been withdrawn before: then a person wants this pass all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_withdrawal: bool,
    /// The language of the mail.
    #[serde(default)]
    pub language: Option<String>,
    /// The recipients of the mail, masked.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// Identifies the address of the mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The working day for whose morning the mail promises another pass, if nobody uses this one.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub follows_on: Option<NaiveDate>,
    /// The start that the mail tells, if the pass starts before it.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub told_at: Option<DateTime<Utc>>,
    /// Who else is still to be told of it; `None` if nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<DueNotes>,
}

impl Delivered {
    /// The start as the mail tells it.
    pub(crate) fn told_start(&self) -> DateTime<Utc> {
        self.told_at.unwrap_or(self.pass.opens_at)
    }

    /// The end as the mail tells it.
    pub(crate) fn told_end(&self) -> DateTime<Utc> {
        self.told_start() + (self.pass.ends_at - self.pass.opens_at)
    }
}

/// The content of the joiner's last mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// The joiner's day one.
    #[serde(deserialize_with = "range::ours")]
    pub day_one: NaiveDate,
    /// Whether the account was enabled.
    pub enabled: bool,
    /// The time of the mail.
    #[serde(default, deserialize_with = "range::ours")]
    pub at: Option<DateTime<Utc>>,
    /// What it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// When that mail was sent, or a later one without a code about a change.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub told_at: Option<DateTime<Utc>>,
    /// The address that it went to, until the joiner is in: who has it is told when mails go elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
    /// Identifies the mailbox that it went to for all users; `None` if that is a manager's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<String>,
    /// How many mails about a changed sign-in name followed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub names_told: u32,
    /// How many managers were told that the joiner is theirs now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub managers_told: u32,
    /// The address of whoever hands the code over, until the joiner is in; then `to` is where the joiner was told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_to: Option<Address>,
    /// How many mails to a changed private address followed, where somebody hands the code over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub addresses_told: u32,
    /// Whether a person was told that the address was removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removal_told: bool,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Announcement {
    /// A mail of which nothing else is known.
    pub fn new(day_one: NaiveDate, enabled: bool, at: Option<DateTime<Utc>>) -> Self {
        Self {
            day_one,
            enabled,
            at,
            basis: None,
            told_at: None,
            to: None,
            mailbox: None,
            names_told: 0,
            managers_told: 0,
            handed_to: None,
            addresses_told: 0,
            removal_told: false,
            unknown: Map::new(),
        }
    }
}

/// A call of CreateTap that took a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdempotencyEntry {
    /// The job.
    pub job_key: String,
    /// The start of the lease.
    #[serde(deserialize_with = "range::ours")]
    pub since: DateTime<Utc>,
    /// Identifies a repeated call; `None` without an Idempotency-Key.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// The result; `None` while the call runs, or if its worker crashed.
    #[serde(default)]
    pub result: Option<CallResult>,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// The hashes of an idempotency key and of the body with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// SHA-256 of the key.
    pub key: String,
    /// SHA-256 of the parameters.
    pub body: String,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallResult {
    /// This pass was delivered, or its mail may have been.
    Issued(PassRecord),
    /// No pass was delivered.
    Nothing,
}

/// What a person should know of a user and need not act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// One of the kinds below, or one of a newer version.
    pub kind: String,
    /// The day on which it was found, in UTC.
    #[serde(deserialize_with = "range::ours")]
    pub day: NaiveDate,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Notice {
    /// The pass has ended, and nothing that the app may read shows whether the joiner is in.
    pub const ARRIVAL_UNKNOWN: &str = "arrival-unknown";
    /// Graph refused to show the manager, and the mail went without a copy for them.
    pub const MANAGER_REFUSED: &str = "manager-refused";
    /// The hire date is no midnight as HIRE_DATE_ZONE reads it: the first day may be a day off.
    pub const ODD_HIRE_DATE: &str = "odd-hire-date";
    /// The joiner may be in several zones, and the policy does not allow a pass that works long enough in all of them.
    pub const SHORT_WINDOW: &str = "short-window";
    /// The manager's account is disabled: they got no copy and were not named.
    pub const MANAGER_LEFT: &str = "manager-left";
    /// The joiner's manager had the pass made by CreateTap.
    pub const MANAGER_CALL: &str = "manager-call";
    /// The manager is no enabled member with a mailbox of the tenant: they got no copy.
    pub const MANAGER_UNFIT: &str = "manager-unfit";
    /// The first pass went out after the first day.
    pub const LATE: &str = "late";
    /// Exchange refused an address of the joiner, and the mail went to the next one.
    pub const ADDRESS_REFUSED: &str = "address-refused";
    /// The private address was corrected, and a new pass went to the new one.
    pub const ADDRESS_CORRECTED: &str = "address-corrected";
    /// Exchange left open whether it took the mails with two codes. The last one stays.
    pub const MAIL_UNCLEAR: &str = "mail-unclear";
    /// Somebody hands the code over, and the joiner has no private address to be told at.
    pub const JOINER_NOT_TOLD: &str = "joiner-not-told";
    /// Exchange refused a recipient of the copy, and the mail went without it.
    pub const COPY_REFUSED: &str = "copy-refused";
}

/// How it was found that the joiner is in the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrival {
    /// When: a report can lag behind the arrival for days.
    #[serde(deserialize_with = "range::ours")]
    pub found_at: DateTime<Utc>,
    /// The kinds of authentication methods that the account had then, as Graph names them; `None` if they were not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Arrival {
    /// What was found at `found_at`.
    pub(crate) fn new(found_at: DateTime<Utc>, methods: Option<Vec<String>>) -> Self {
        Self { found_at, methods, unknown: Map::new() }
    }
}

/// That an admin holds passes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    at: DateTime<Utc>,
    day_one: Option<NaiveDate>,
}

/// The record of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The version of this form of document.
    pub schema: u32,
    /// The state of the last job.
    pub state: State,
    /// The purpose of the last job's pass.
    pub purpose: Purpose,
    /// Its day one; `None` for passes on demand.
    #[serde(default, deserialize_with = "range::ours")]
    pub day_one: Option<NaiveDate>,
    /// The last pass that firstpass made, delivered or not.
    #[serde(default)]
    pub pass: Option<PassRecord>,
    /// The last lease. It is kept after the job: it identifies the pass of a crashed worker.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Earlier leases whose pass may still appear: a replica may lag, or a request may be in transit.
    #[serde(default)]
    pub earlier_leases: Vec<Lease>,
    /// The last delivered pass, which a later failure keeps.
    #[serde(default)]
    pub delivered: Option<Delivered>,
    /// The content of the joiner's last mail, which passes on demand keep.
    #[serde(default)]
    pub announcement: Option<Announcement>,
    /// The day one for which the private address was corrected, and a pass was mailed to the new one.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub corrected_for: Option<NaiveDate>,
    /// The day one for which no pass is mailed any more: the private address changed so late, or so often, that a person decides.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub held_for: Option<NaiveDate>,
    /// When an admin revoked the passes by hand so that none follows by itself: neither for `held_for`, nor for an addition to the
    /// on-demand group before this time.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub held_at: Option<DateTime<Utc>>,
    /// How many passes were delivered for each of the last few day ones.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "BTreeMap::is_empty")]
    pub codes: BTreeMap<NaiveDate, u32>,
    /// For how many codes of each of the last few days Exchange left open whether it took their mail. The day is day one, or
    /// that of a pass on demand.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "BTreeMap::is_empty")]
    pub unclear: BTreeMap<NaiveDate, u32>,
    /// The time of the last delivery on demand, which a joiner's pass keeps.
    #[serde(default, deserialize_with = "range::ours")]
    pub on_demand_at: Option<DateTime<Utc>>,
    /// The first opening of a delivered pass that was replaced after it had opened.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<DateTime<Utc>>,
    /// When the joiner was first seen in the account.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub arrived_at: Option<DateTime<Utc>>,
    /// How that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival: Option<Arrival>,
    /// The id of the delivered pass with which the joiner did not get in, when a person was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_pass: Option<String>,
    /// What a person should know and need not act on, since the last delivery.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// The id of the delivered pass that the joiner was reminded of. It is written before the mail is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminded_pass: Option<String>,
    /// Identifies what a listing of the tenant showed of the user when a job for a joiner last decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// Calls of CreateTap within the last hour, the oldest first.
    #[serde(default)]
    pub calls: Vec<IdempotencyEntry>,
    /// Why the last job did not deliver. An alert is sent when it changes.
    #[serde(default)]
    pub cause: Option<String>,
    /// The time of this write.
    #[serde(deserialize_with = "range::ours")]
    pub updated_at: DateTime<Utc>,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Two day ones less than this apart are one start that moved.
pub(crate) const SAME_START: TimeDelta = TimeDelta::days(30);

/// Whether two day ones are one start that moved.
pub(crate) fn is_move(old: NaiveDate, new: NaiveDate) -> bool {
    (new - old).abs() < SAME_START
}

/// Whether someone who arrived at `arrived_at` did so for `day`, or for a day before it.
pub(crate) fn is_same_start(arrived_at: DateTime<Utc>, day: Option<NaiveDate>) -> bool {
    /// A day one that lies further after the arrival is another start.
    const ANOTHER_START: TimeDelta = TimeDelta::days(30);
    day.is_none_or(|day| day - arrived_at.date_naive() <= ANOTHER_START)
}

/// Counts one for `day` and returns how many there are. The last few days are kept.
fn count(days: &mut BTreeMap<NaiveDate, u32>, day: NaiveDate) -> u32 {
    const DAYS_COUNTED: usize = 8;
    let counted = days.entry(day).or_default();
    *counted = counted.saturating_add(1);
    let counted = *counted;
    while days.len() > DAYS_COUNTED {
        days.pop_first();
    }
    counted
}

impl Record {
    /// The version that this code writes.
    pub(crate) const SCHEMA: u32 = 1;
    /// The cause of a record whose account was deleted.
    pub const DELETED: &str = "deleted";
    /// The cause of a record whose job needed a mail while the mailbox that sends refused all.
    pub const MAILBOX_SHUT: &str = "mailbox-shut";
    /// The cause of a record whose passes an admin revoked by hand.
    pub const BY_ADMIN: &str = "revoked-by-admin";
    /// How long after the end of a pass sweeps look whether the joiner got in: reports can lag for a week.
    const FOLLOWED: TimeDelta = TimeDelta::days(10);
    /// How long an unfinished record stays open: longer than the horizon.
    const UNFINISHED: TimeDelta = TimeDelta::days(60);
    /// More windows than are planned for one user within the validity of a pass.
    const MAX_EARLIER_LEASES: usize = 16;
    /// How long calls of CreateTap are kept.
    pub(crate) const CALL_HISTORY: TimeDelta = TimeDelta::hours(1);

    /// The first record of a user.
    pub fn new(state: State, purpose: Purpose, now: DateTime<Utc>) -> Self {
        Self {
            schema: Self::SCHEMA,
            state,
            purpose,
            day_one: None,
            pass: None,
            lease: None,
            earlier_leases: Vec::new(),
            delivered: None,
            announcement: None,
            corrected_for: None,
            held_for: None,
            held_at: None,
            codes: BTreeMap::new(),
            unclear: BTreeMap::new(),
            on_demand_at: None,
            opened_at: None,
            arrived_at: None,
            arrival: None,
            reported_pass: None,
            notices: Vec::new(),
            reminded_pass: None,
            seen: None,
            calls: Vec::new(),
            cause: None,
            updated_at: now,
            unknown: Map::new(),
        }
    }

    /// As this clock sees it. What happened at a time that the clock has not reached was written by one that is wrong: it must
    /// not hold anything up until then.
    #[must_use]
    pub(crate) fn seen_at(mut self, now: DateTime<Utc>) -> Self {
        let settle = |at: &mut DateTime<Utc>| *at = range::past(*at, now);
        self.lease.iter_mut().chain(&mut self.earlier_leases).for_each(|lease| settle(&mut lease.since));
        self.calls.iter_mut().for_each(|call| settle(&mut call.since));
        let told = self.announcement.iter_mut().flat_map(|told| [&mut told.at, &mut told.told_at]);
        let others = [&mut self.on_demand_at, &mut self.opened_at, &mut self.arrived_at, &mut self.held_at];
        let times = told.chain(others);
        let delivered = self.delivered.iter_mut().map(|delivered| &mut delivered.at);
        let found = self.arrival.iter_mut().map(|arrival| &mut arrival.found_at);
        times.flatten().chain(delivered).chain(found).chain([&mut self.updated_at]).for_each(settle);
        self
    }

    /// Records a delivery.
    pub fn record_delivery(&mut self, delivered: Delivered, enabled: bool) {
        if let (Purpose::Joiner, Some(day_one)) = (delivered.purpose, delivered.day_one) {
            let of_start = |told: &&Announcement| is_move(told.day_one, day_one);
            let before = self.announcement.as_ref().filter(of_start);
            let mail = Announcement::new(day_one, enabled, Some(delivered.at));
            let (names_told, managers_told, addresses_told) =
                before.map_or((0, 0, 0), |told| (told.names_told, told.managers_told, told.addresses_told));
            self.announcement = Some(Announcement { names_told, managers_told, addresses_told, ..mail });
            count(&mut self.codes, day_one);
        }
        if delivered.purpose == Purpose::OnDemand {
            self.on_demand_at = Some(delivered.at);
        }
        self.opened_at = self.opened_by(delivered.at);
        self.state = State::Delivered;
        self.delivered = Some(delivered);
        self.cause = None;
        self.notices.clear();
    }

    /// Counts a code for `day` whose mail may have arrived, and returns how many there are.
    pub(crate) fn count_unclear(&mut self, day: NaiveDate) -> u32 {
        count(&mut self.unclear, day)
    }

    /// Records a notice. One of the same kind replaces the one before.
    pub(crate) fn add_notice(&mut self, kind: &str, day: NaiveDate) {
        self.notices.retain(|notice| notice.kind != kind);
        self.notices.push(Notice { kind: kind.to_owned(), day, unknown: Map::new() });
    }

    /// The first opening of a delivered pass until `now`.
    pub(crate) fn opened_by(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self.delivered.as_ref().map(|delivered| delivered.pass.opens_at).filter(|at| *at <= now);
        self.opened_at.into_iter().chain(last).min()
    }

    /// Records that the joiner's mail, which was just recorded, rests on `basis`.
    pub(crate) fn record_basis(&mut self, basis: Basis) {
        if let Some(told) = &mut self.announcement {
            (told.basis, told.told_at) = (Some(basis), told.at);
        }
    }

    /// The notes about the last delivery that were not sent yet.
    pub(crate) fn due_notes(&self) -> Option<&DueNotes> {
        self.delivered.as_ref()?.notes.as_ref()
    }

    /// Whether a job for the user needed a mail that the mailbox refused.
    pub(crate) fn waits_for_mailbox(&self) -> bool {
        self.cause.as_deref() == Some(Self::MAILBOX_SHUT)
    }

    /// No mail is due any more: what was delivered before counts again.
    pub(crate) fn end_wait_for_mailbox(&mut self) {
        if self.waits_for_mailbox() {
            self.cause = None;
            if self.delivered.is_some() {
                self.state = State::Delivered;
            }
        }
    }

    /// Records that the joiner is in the account since `at`, and how that was found.
    pub(crate) fn record_arrival(&mut self, at: DateTime<Utc>, found: Arrival) {
        self.end_wait_for_mailbox();
        self.arrived_at = Some(at);
        self.arrival = Some(found);
        self.forget_address();
    }

    /// Removes the address that the last mail went to. Nobody there has to be told of anything any more.
    pub(crate) fn forget_address(&mut self) {
        if let Some(told) = &mut self.announcement {
            (told.to, told.handed_to) = (None, None);
        }
    }

    /// Records that the pass `pass_id` was revoked.
    pub(crate) fn record_revocation(&mut self, pass_id: &str, cause: &str) {
        self.state = State::Revoked;
        self.cause = Some(cause.to_owned());
        self.delivered.take_if(|delivered| delivered.pass.pass_id == pass_id);
        self.pass.take_if(|made| made.pass_id == pass_id);
    }

    /// Holds back the passes that would follow those that an admin revokes by hand.
    pub(crate) fn hold(&mut self, now: DateTime<Utc>) {
        self.held_at = Some(now);
        // The next sweep has a job for the user, which completes a revocation that did not get to its end.
        self.seen = None;
        let told = self.announcement.as_ref().map(|told| told.day_one);
        let delivered = self.delivered.as_ref().and_then(|delivered| delivered.day_one);
        self.held_for = self.day_one.or(delivered).or(told).or(self.held_for);
    }

    /// Lets passes follow again that an admin held back. Returns which, if there were any.
    pub(crate) fn end_hold(&mut self) -> Option<Hold> {
        self.held_at.take().map(|at| Hold { at, day_one: self.held_for.take() })
    }

    /// Takes back [`Self::end_hold`].
    pub(crate) fn hold_again(&mut self, hold: Hold) {
        self.held_at = Some(hold.at);
        self.held_for = hold.day_one.or(self.held_for);
    }

    /// Whether an admin held back the pass for an addition to the on-demand group at `since` at the earliest.
    pub(crate) fn is_held_since(&self, since: Option<DateTime<Utc>>) -> bool {
        self.held_at.is_some_and(|held| since.is_none_or(|since| since <= held))
    }

    /// All leases that a pass may belong to.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.lease.iter().chain(&self.earlier_leases)
    }

    /// Adds a lease, and removes those whose pass would have expired. Of several for the same window the earliest is
    /// kept: it may have made the pass.
    pub fn add_lease(&mut self, lease: Lease, now: DateTime<Utc>) {
        let earlier: Vec<Lease> = self.earlier_leases.drain(..).chain(self.lease.take()).collect();
        for old in earlier.into_iter().filter(|old| old.ends_at() > now) {
            if self.earlier_leases.iter().any(|c| c.opens_at.is_some() && c.same_window(&old)) {
                continue;
            }
            // Calls displace only the leases of calls.
            if self.earlier_leases.len() >= Self::MAX_EARLIER_LEASES {
                let Some(call) = self.earlier_leases.iter().position(|c| c.purpose == Purpose::Http) else {
                    continue;
                };
                self.earlier_leases.remove(call);
            }
            self.earlier_leases.push(old);
        }
        self.lease = Some(lease);
    }

    /// Records a call, and removes those older than [`Self::CALL_HISTORY`].
    pub(crate) fn add_call(&mut self, call: IdempotencyEntry, now: DateTime<Utc>) {
        self.calls.retain(|old| now - old.since < Self::CALL_HISTORY);
        self.calls.push(call);
    }

    /// Records the result of the call with this job key; other jobs have none.
    pub(crate) fn end_call(&mut self, job_key: &str, end: CallResult) {
        if let Some(call) = self.calls.iter_mut().rfind(|call| call.job_key == job_key) {
            call.result = Some(end);
        }
    }

    /// The end of the time in which a sweep rechecks the user, candidate or not; `None` if nothing is open. Until then
    /// the user may have a pass to revoke or an undelivered one, a job is unfinished, or the joiner has not arrived and
    /// nobody was told.
    pub(crate) fn open_until(&self) -> Option<DateTime<Utc>> {
        let to_joiner = self.delivered.as_ref().filter(|d| d.purpose == Purpose::Joiner);
        let followed_until = |delivered: &Delivered| {
            let has_arrived = self.has_arrived_for(delivered.day_one);
            let longer =
                if has_arrived || self.is_reported(delivered) { TimeDelta::zero() } else { Self::FOLLOWED };
            delivered.pass.ends_at + longer
        };
        let until = [
            to_joiner.map(followed_until),
            self.withdrawable_until(),
            self.unfinished_until(),
            self.may_appear_until(),
        ];
        until.into_iter().flatten().max()
    }

    /// Until when the withdrawal of the start that the joiner was told of ends passes on demand too; `None` if they were told
    /// of none. Later, a hire date that is removed is an old one that HR tidies.
    pub(crate) fn start_is_followed_until(&self) -> Option<DateTime<Utc>> {
        Some(self.announcement.as_ref()?.day_one.and_time(NaiveTime::MIN).and_utc() + Self::FOLLOWED)
    }

    /// Whether the joiner arrived for this day one, or for one shortly before it.
    pub(crate) fn has_arrived_for(&self, day: Option<NaiveDate>) -> bool {
        self.arrived_at.is_some_and(|at| is_same_start(at, day))
    }

    /// Until when a delivered pass on demand can work that such a withdrawal ends.
    fn withdrawable_until(&self) -> Option<DateTime<Utc>> {
        let may_end =
            |delivered: &&Delivered| delivered.purpose != Purpose::Joiner && !delivered.after_withdrawal;
        let delivered = self.delivered.as_ref().filter(may_end)?;
        Some(delivered.pass.ends_at.min(self.start_is_followed_until()?))
    }

    /// Whether a job for the joiner began at `since` or later and did not deliver.
    pub(crate) fn is_unfinished_since(&self, since: DateTime<Utc>) -> bool {
        let began = |lease: &Lease| lease.purpose == Purpose::Joiner && lease.since >= since;
        matches!(self.state, State::Issuing | State::Failed | State::Blocked)
            && self.lease.as_ref().is_some_and(began)
    }

    /// Whether a person was told that nobody got in with this pass.
    pub(crate) fn is_reported(&self, delivered: &Delivered) -> bool {
        self.reported_pass.as_ref() == Some(&delivered.pass.pass_id)
    }

    /// The end of the time in which a sweep completes an unfinished job.
    pub(crate) fn unfinished_until(&self) -> Option<DateTime<Utc>> {
        match self.state {
            // A caller without a pass calls again.
            State::Issuing | State::Failed if self.purpose != Purpose::Http => {
                let leased = self.lease.as_ref().map(|lease| lease.since);
                let waits = self.waits_for_mailbox().then_some(self.updated_at);
                leased.max(waits).map(|since| since + Self::UNFINISHED)
            }
            State::Issuing | State::Failed => Self::last_end(self.leases()),
            State::Delivered | State::Revoked | State::Blocked => None,
        }
    }

    /// The end of the time in which a pass may appear that nobody was sent.
    pub(crate) fn may_appear_until(&self) -> Option<DateTime<Utc>> {
        match self.state {
            State::Delivered => Self::last_end(self.earlier_leases.iter()),
            // The passes were deleted with the account.
            State::Revoked if self.cause.as_deref() == Some(Self::DELETED) => None,
            State::Revoked | State::Blocked => Self::last_end(self.leases()),
            State::Issuing | State::Failed => None,
        }
    }

    /// A POST without an answer may take effect late: its pass may appear until it would expire.
    fn last_end<'a>(leases: impl Iterator<Item = &'a Lease>) -> Option<DateTime<Utc>> {
        leases.filter(|lease| lease.purpose != Purpose::Http).map(Lease::ends_at).max()
    }

    /// Whether a pass on demand was delivered at `since` or later, and no later job failed: that may have replaced it.
    pub(crate) fn was_served_on_demand_since(&self, since: DateTime<Utc>) -> bool {
        self.state == State::Delivered && self.on_demand_at.is_some_and(|at| at >= since)
    }

    /// The end of another worker's lease; `None` if there is none at `now`.
    pub(crate) fn leased_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let until = self.lease.as_ref()?.since + budget::LEASE;
        (self.state == State::Issuing && now < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_survive_the_store_and_an_old_record_has_none() {
        let now: DateTime<Utc> = "2026-11-22T05:00:00Z".parse().unwrap();
        let call = |n: u32, end| IdempotencyEntry {
            job_key: format!("http/{n}"),
            since: now - TimeDelta::minutes(25 * i64::from(n)),
            fingerprint: Some(Fingerprint { key: "a".into(), body: "b".into() }),
            result: end,
            unknown: Map::new(),
        };
        let made = PassRecord {
            pass_id: "p".into(),
            opens_at: now,
            ends_at: now + TimeDelta::hours(1),
            one_time: true,
            unknown: Map::new(),
        };
        let mut record = Record::new(State::Delivered, Purpose::Http, now);
        for (n, end) in [(3, None), (2, Some(CallResult::Nothing)), (1, None), (0, None)] {
            record.add_call(call(n, end), now);
        }
        record.end_call("http/1", CallResult::Issued(made.clone()));
        let ends: Vec<_> = record.calls.iter().map(|call| call.result.clone()).collect();
        assert_eq!(
            ends,
            [Some(CallResult::Nothing), Some(CallResult::Issued(made)), None],
            "the call of an hour ago is removed"
        );
        let document = serde_json::to_value(&record).unwrap();
        assert_eq!(serde_json::from_value::<Record>(document.clone()).unwrap(), record);
        let mut old = document;
        old.as_object_mut().unwrap().remove("calls");
        assert_eq!(serde_json::from_value::<Record>(old).unwrap().calls, []);
    }

    #[test]
    fn fields_of_a_newer_version_survive() {
        let document = json!({
            "schema": 2, "state": "delivered", "purpose": "on-demand", "updatedAt": "2026-11-22T05:00:00Z", "mood": "good",
        });
        let record: Record = serde_json::from_value(document).unwrap();
        assert_eq!(
            (record.state, record.purpose, record.pass.clone()),
            (State::Delivered, Purpose::OnDemand, None)
        );
        assert_eq!(serde_json::to_value(record).unwrap()["mood"], "good");
    }
}
