//! Which passes in the tenant are ours, and how a record names them.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    graph::Pass,
    ledger::{Delivered, Lease, PassRecord, Purpose, Record},
};

/// How far Graph's clock and ours may differ.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);
/// How long after the lease a request whose answer was lost may still make a pass.
const LATE_REQUEST: TimeDelta = TimeDelta::minutes(15);
/// What we made `pass` for; `None` if it is not ours. It is ours if its id is on record, or if it was created under a
/// lease.
pub(super) fn purpose_of(record: &Record, pass: &Pass) -> Option<Purpose> {
    if let Some(delivered) = record.delivered.as_ref().filter(|d| d.pass.pass_id == pass.id) {
        return Some(delivered.purpose);
    }
    let under_lease = record.leases().find(|lease| was_created_under(lease, pass)).map(|lease| lease.purpose);
    let on_record = || record.pass.as_ref().filter(|made| made.pass_id == pass.id).map(|_| record.purpose);
    under_lease.or_else(on_record)
}

/// Whether `pass` was created under `lease`: since it was taken, with exactly its window. Then the worker died, or the
/// answer to its POST was lost.
pub(super) fn was_created_under(lease: &Lease, pass: &Pass) -> bool {
    let since = pass.created_date_time - lease.since;
    let as_planned = match lease.opens_at {
        Some(opens_at) => pass.start_date_time == opens_at,
        // A helpdesk asks for "from now on, for as long as the policy allows" too: only a pass of the minutes after the
        // lease is ours.
        None => (pass.start_date_time - pass.created_date_time).abs() <= CLOCK_SKEW && since <= LATE_REQUEST,
    };
    as_planned && pass.lifetime_in_minutes == lease.lifetime_minutes && since >= -CLOCK_SKEW
}

/// The delivery of `pass` by the job in `record`.
pub(super) fn delivered(record: &Record, pass: &Pass, at: DateTime<Utc>) -> Delivered {
    Delivered {
        pass: pass_record(pass),
        at,
        purpose: record.purpose,
        day_one: record.day_one,
        after_withdrawal: false,
        language: None,
        recipients: Vec::new(),
        address: None,
        follows_on: None,
    }
}

/// A pass as the record keeps it.
pub(super) fn pass_record(pass: &Pass) -> PassRecord {
    PassRecord {
        pass_id: pass.id.clone(),
        opens_at: pass.start_date_time,
        ends_at: pass.ends_at(),
        one_time: pass.is_usable_once,
    }
}
