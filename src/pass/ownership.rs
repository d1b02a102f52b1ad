//! Which passes in the tenant are ours, and how a record names them.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::Map;
use uuid::Uuid;

use crate::{
    budget,
    graph::Pass,
    hash::sha256,
    ledger::{Delivered, Lease, PassRecord, Purpose, Record, State},
};

/// How far Graph's clock and ours may differ.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);
/// How long after the lease a request whose answer was lost may still make a pass.
const LATE_REQUEST: TimeDelta = TimeDelta::minutes(15);
/// How many seconds before the time that the mail tells a pass starts, one of [`STARTS`] at random: another installation
/// that serves the same people plans the same windows. More than half a minute, so that a start without its seconds, cut off or
/// rounded, is the minute before, and not that of a program that plans whole minutes.
const EARLIEST: u32 = 59;
const STARTS: u32 = 29;

/// The start to ask for if the mail tells `told`, and the pass works for `lifetime_minutes`. `draw` decides among the possible
/// ones. `None`: `told` itself, because a start that is past when the POST arrives may be refused.
pub(super) fn early_start(
    told: DateTime<Utc>,
    lifetime_minutes: u32,
    record: &Record,
    draw: u32,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    if told - now <= TimeDelta::from_std(budget::LEASE).ok()? {
        return None;
    }
    // What an unfinished job planned is planned again: its pass may still appear, and leases for the same window are kept
    // once. After a delivery there is another start, so that two installations that drew the same one part.
    let is_same = |lease: &&Lease| lease.told_at == Some(told) && lease.lifetime_minutes == lifetime_minutes;
    let unfinished = record.leases().find(is_same).filter(|_| record.state != State::Delivered);
    let drawn = || told - TimeDelta::seconds((EARLIEST - draw % STARTS).into());
    unfinished.map_or_else(|| Some(drawn()), |lease| lease.opens_at)
}

/// A number that `salt` alone makes unpredictable.
pub(super) fn draw(salt: Uuid, user: Uuid, at: DateTime<Utc>) -> u32 {
    let digits = sha256(&format!("{salt} {user} {at}"));
    u32::from_str_radix(digits.get(..8).unwrap_or_default(), 16).unwrap_or_default()
}

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
        Some(opens_at) => pass.start_date_time == opens_at || is_without_seconds(lease, pass),
        // A helpdesk asks for "from now on, for as long as the policy allows" too: only a pass of the minutes after the
        // lease is ours.
        None => (pass.start_date_time - pass.created_date_time).abs() <= CLOCK_SKEW && since <= LATE_REQUEST,
    };
    as_planned && pass.lifetime_in_minutes == lease.lifetime_minutes && since >= -CLOCK_SKEW
}

/// Whether `pass` starts when `lease` planned, but for the seconds: Graph rounds them away.
fn is_without_seconds(lease: &Lease, pass: &Pass) -> bool {
    let planned = lease.opens_at.filter(|_| lease.told_at.is_some());
    let minute = planned.and_then(|at| at.duration_trunc(TimeDelta::minutes(1)).ok());
    minute == Some(pass.start_date_time)
}

/// The start that the mail with `pass` tells, if the pass starts before it.
fn told_at(record: &Record, pass: &Pass) -> Option<DateTime<Utc>> {
    record.leases().find(|lease| was_created_under(lease, pass))?.told_at
}

/// The start that the mail with `pass` tells.
pub(super) fn told_start(record: &Record, pass: &Pass) -> DateTime<Utc> {
    told_at(record, pass).unwrap_or(pass.start_date_time)
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
        told_at: told_at(record, pass),
        notes: None,
    }
}

/// A pass as the record keeps it.
pub(super) fn pass_record(pass: &Pass) -> PassRecord {
    PassRecord {
        pass_id: pass.id.clone(),
        opens_at: pass.start_date_time,
        ends_at: pass.ends_at(),
        one_time: pass.is_usable_once,
        unknown: Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn lease(opens_at: DateTime<Utc>, told: DateTime<Utc>) -> Lease {
        Lease {
            job_key: "job".into(),
            purpose: Purpose::Joiner,
            since: at("2026-11-22T05:00:00Z"),
            opens_at: Some(opens_at),
            told_at: Some(told),
            lifetime_minutes: 480,
            unknown: Map::new(),
        }
    }

    proptest! {
        #[test]
        fn an_early_start_is_in_the_minute_before_and_kept_until_a_delivery(draw: u32, next: u32, ahead in 0_i64..1_000) {
            let (now, told) = (at("2026-11-22T05:00:00Z"), at("2026-11-22T05:00:00Z") + TimeDelta::minutes(ahead));
            let mut record = Record::new(State::Failed, Purpose::Joiner, now);
            let Some(start) = early_start(told, 480, &record, draw, now) else {
                prop_assert!(ahead <= 5);
                return Ok(());
            };
            prop_assert!(now < start && told - start < TimeDelta::minutes(1));
            prop_assert!(told - start > TimeDelta::seconds(30), "a rounded start is not that of another program");
            record.add_lease(lease(start, told), now);
            prop_assert_eq!(early_start(told, 480, &record, next, now), Some(start));
            prop_assert_eq!(early_start(told, 60, &record, draw, now), Some(start), "another window, the same draw");
            record.state = State::Delivered;
            prop_assert_eq!(early_start(told, 480, &record, next, now), early_start(told, 60, &record, next, now));
        }
    }

    #[test]
    fn every_start_is_drawn_and_two_installations_seldom_draw_the_same() {
        let user = Uuid::from_u128(7);
        let draws = |salt: u128| {
            let at = |n: i64| at("2026-11-22T05:00:00Z") + TimeDelta::seconds(n);
            (0..2_000).map(|n| draw(Uuid::from_u128(salt), user, at(n)) % STARTS).collect::<Vec<_>>()
        };
        let (one, other) = (draws(1), draws(2));
        assert!((0..STARTS).all(|start| one.contains(&start)));
        let same = one.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!((35..110).contains(&same), "about one in {STARTS}: {same}");
    }
}
