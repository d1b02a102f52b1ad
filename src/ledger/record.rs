//! The record of one user.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How far we are with a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// A job holds the lease and is at work, or died at it.
    Issuing,
    /// The pass is made and handed over.
    Delivered,
    /// Nothing was made, for a reason that a person must see.
    Blocked,
    /// Something went wrong; the next job starts afresh.
    Failed,
    /// The pass was taken back.
    Revoked,
}

/// Why the last code was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// For day one.
    Joiner,
    /// Because the user was added to the on-demand group.
    OnDemand,
    /// Because someone called CreateTap.
    Http,
}

/// A job's announcement that it is about to make a pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Which job.
    pub job_key: String,
    /// Why it makes a pass.
    pub purpose: Purpose,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When the pass is to open; `None` for at once.
    pub opens_at: Option<DateTime<Utc>>,
    /// Minutes.
    pub lifetime_minutes: u32,
}

impl Lease {
    /// When the pass that it announces would end.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.opens_at.unwrap_or(self.since) + TimeDelta::minutes(self.lifetime_minutes.into())
    }

    fn same_window(&self, other: &Self) -> bool {
        (self.opens_at, self.lifetime_minutes) == (other.opens_at, other.lifetime_minutes)
    }
}

/// A pass that we made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PassRecord {
    /// The pass's id in the tenant.
    pub pass_id: String,
    /// When it opens.
    pub opens_at: DateTime<Utc>,
    /// When it ends.
    pub ends_at: DateTime<Utc>,
}

/// A pass that reached somebody: its mail was accepted, or a caller has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivered {
    /// Which.
    #[serde(flatten)]
    pub pass: PassRecord,
    /// When.
    pub at: DateTime<Utc>,
    /// Why it was made.
    pub purpose: Purpose,
    /// The day one that it is for; none for passes on demand.
    #[serde(default)]
    pub day_one: Option<NaiveDate>,
    /// How often a pass for this day one had been delivered before and then vanished.
    #[serde(default)]
    pub reissued: u32,
    /// The language of the mail.
    #[serde(default)]
    pub language: Option<String>,
    /// Who got the mail, masked.
    #[serde(default)]
    pub recipients: Vec<String>,
}

/// What a joiner was told by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// Their day one.
    pub day_one: NaiveDate,
    /// Whether the account was enabled then.
    pub enabled: bool,
}

/// A call of CreateTap that came as far as making a pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdempotencyEntry {
    /// Which job.
    pub job_key: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// What tells a repetition from a new call, where the caller sent a key.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// What became of it; none while it is at work, and for ever if its worker died.
    #[serde(default)]
    pub result: Option<CallResult>,
}

/// What an idempotency key and the body that came with it leave behind: nobody can read either from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// SHA-256 of the key.
    pub key: String,
    /// SHA-256 of what was asked for.
    pub body: String,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallResult {
    /// This pass was handed over, or a mail with its code may have arrived.
    Issued(PassRecord),
    /// Nobody was handed anything.
    Nothing,
}

/// What the ledger keeps of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The form of this document.
    pub schema: u32,
    /// How the last job stands.
    pub state: State,
    /// Why the last job made a pass, or meant to.
    pub purpose: Purpose,
    /// The day one that it was for; none for passes on demand.
    #[serde(default)]
    pub day_one: Option<NaiveDate>,
    /// The last pass that we know we made, delivered or not.
    #[serde(default)]
    pub pass: Option<PassRecord>,
    /// The last lease; it stays, to tell a dead worker's pass from a stranger's.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Leases before it whose pass may still turn up: a replica may not have shown it, or it may still be on its way.
    #[serde(default)]
    pub earlier_leases: Vec<Lease>,
    /// The last pass that was delivered. A job that fails later takes nothing away from that.
    #[serde(default)]
    pub delivered: Option<Delivered>,
    /// What the joiner was last told, whatever was delivered on demand since.
    #[serde(default)]
    pub announcement: Option<Announcement>,
    /// When a pass on demand was last delivered, whatever was delivered to the joiner since.
    #[serde(default)]
    pub on_demand_at: Option<DateTime<Utc>>,
    /// Calls of CreateTap within the last hour, the oldest first.
    #[serde(default)]
    pub calls: Vec<IdempotencyEntry>,
    /// Why the last job ended as it did, where that was not a delivery; also tells whether an alert would be news.
    #[serde(default)]
    pub cause: Option<String>,
    /// When this was written.
    pub updated_at: DateTime<Utc>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Record {
    /// The form of record that this version writes.
    pub const SCHEMA: u32 = 1;
    /// The reason of a record whose account is gone.
    pub const DELETED: &str = "deleted";
    /// How long an unfinished record is looked at again: longer than anyone waits for a first day.
    const UNFINISHED: TimeDelta = TimeDelta::days(60);
    /// More windows than anybody plans for one user within the life of a pass.
    const MAX_EARLIER_LEASES: usize = 16;
    /// How long a lease is respected: longer than any worker may go on before it makes or mails a pass.
    pub const LEASE: TimeDelta = TimeDelta::minutes(5);
    /// How long calls of CreateTap are remembered.
    pub const CALL_HISTORY: TimeDelta = TimeDelta::hours(1);

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
            on_demand_at: None,
            calls: Vec::new(),
            cause: None,
            updated_at: now,
            unknown: Map::new(),
        }
    }

    /// Writes down a delivery.
    pub fn record_delivery(&mut self, delivered: Delivered, enabled: bool) {
        if let (Purpose::Joiner, Some(day_one)) = (delivered.purpose, delivered.day_one) {
            self.announcement = Some(Announcement { day_one, enabled });
        }
        if delivered.purpose == Purpose::OnDemand {
            self.on_demand_at = Some(delivered.at);
        }
        self.state = State::Delivered;
        self.delivered = Some(delivered);
        self.cause = None;
    }

    /// Writes down that the pass `pass_id` was taken back.
    pub fn record_revocation(&mut self, pass_id: &str) {
        self.state = State::Revoked;
        self.cause = Some("out-of-scope".into());
        self.delivered.take_if(|delivered| delivered.pass.pass_id == pass_id);
        self.pass.take_if(|made| made.pass_id == pass_id);
    }

    /// All leases that a pass may have come from.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.lease.iter().chain(&self.earlier_leases)
    }

    /// Puts a new lease on top, and forgets those whose pass would be over. Of several for the same window the
    /// earliest is kept, for it may have made the pass.
    pub fn add_lease(&mut self, lease: Lease, now: DateTime<Utc>) {
        let earlier: Vec<Lease> = self.earlier_leases.drain(..).chain(self.lease.take()).collect();
        for old in earlier.into_iter().filter(|old| old.ends_at() > now) {
            if self.earlier_leases.iter().any(|c| c.opens_at.is_some() && c.same_window(&old)) {
                continue;
            }
            // However often somebody calls, what others leased is not forgotten for it.
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

    /// Writes down that a caller is about to be made a pass, and forgets the calls of more than an hour ago.
    pub fn add_call(&mut self, call: IdempotencyEntry, now: DateTime<Utc>) {
        self.calls.retain(|old| now - old.since < Self::CALL_HISTORY);
        self.calls.push(call);
    }

    /// Writes down what became of the call that is the job `job_key`, if that is a call.
    pub fn end_call(&mut self, job_key: &str, end: CallResult) {
        if let Some(call) = self.calls.iter_mut().rfind(|call| call.job_key == job_key) {
            call.result = Some(end);
        }
    }

    /// Until when a sweep looks at it again even if its user is no candidate any more; `None` where nothing is open.
    /// Until then a pass of ours may be out there that a joiner should not have any more, or that nobody has; or
    /// something that was promised was not done.
    pub fn open_until(&self) -> Option<DateTime<Utc>> {
        let to_joiner = self.delivered.as_ref().filter(|d| d.purpose == Purpose::Joiner);
        to_joiner.map(|d| d.pass.ends_at).max(self.unfinished_until())
    }

    /// Whether a sweep at `now` has to look at it again; see [`Self::open_until`].
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.open_until() > Some(now)
    }

    /// Until when a sweep finishes what a job left behind.
    pub fn unfinished_until(&self) -> Option<DateTime<Utc>> {
        // A POST that seemed lost may land late: until its pass would be over, somebody has to look for it.
        let may_turn_up = |lease: &Lease| (lease.purpose != Purpose::Http).then(|| lease.ends_at());
        match self.state {
            State::Delivered => self.earlier_leases.iter().filter_map(may_turn_up).max(),
            // A caller who got no pass calls again.
            State::Issuing | State::Failed if self.purpose != Purpose::Http => {
                self.lease.as_ref().map(|lease| lease.since + Self::UNFINISHED)
            }
            // With the account its passes are gone.
            State::Revoked if self.cause.as_deref() == Some(Self::DELETED) => None,
            State::Issuing | State::Failed | State::Blocked | State::Revoked => {
                self.leases().filter_map(may_turn_up).max()
            }
        }
    }

    /// Whether a pass on demand was delivered at `since` or later, and nothing has gone wrong after it: an unfinished
    /// job may have cost it.
    pub fn was_served_on_demand_since(&self, since: DateTime<Utc>) -> bool {
        self.state == State::Delivered && self.on_demand_at.is_some_and(|at| at >= since)
    }

    /// Until when another worker's lease must be respected, if it must.
    pub fn leased_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let until = self.lease.as_ref()?.since + Self::LEASE;
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
        };
        let made = PassRecord { pass_id: "p".into(), opens_at: now, ends_at: now + TimeDelta::hours(1) };
        let mut record = Record::new(State::Delivered, Purpose::Http, now);
        for (n, end) in [(3, None), (2, Some(CallResult::Nothing)), (1, None), (0, None)] {
            record.add_call(call(n, end), now);
        }
        record.end_call("http/1", CallResult::Issued(made.clone()));
        let ends: Vec<_> = record.calls.iter().map(|call| call.result.clone()).collect();
        assert_eq!(
            ends,
            [Some(CallResult::Nothing), Some(CallResult::Issued(made)), None],
            "the one of an hour ago is gone"
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
