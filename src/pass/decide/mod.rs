//! What to do for one user: a pure rule over what was read.
//!
//! The first row that fits decides; the rows stand in the functions below in the order of the table in
//! `docs/ARCHITECTURE.md`.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    day_one::{Distance, day_one, distance},
    guard,
    job::Reason,
    outcome::{Block, Revoke, Skip},
    ownership::{self, was_created_under},
    replication::REPLICA_LAG,
    request::PassRequest,
    window::{A_DAY, Window, opening},
};
use crate::{
    graph::{Pass, TenantSnapshot, Usability},
    ledger::{Announcement, Delivered, Purpose, Record, State},
    settings::PassSettings,
    zone::{Tz, zone_for},
};

/// All that a decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Why the job exists.
    pub reason: Reason,
    /// When the user was added to the on-demand group, at the earliest, where the job knows.
    pub since: Option<DateTime<Utc>>,
    /// The tenant, as read.
    pub snapshot: &'a TenantSnapshot,
    /// The ledger's record, read after the tenant.
    pub record: Option<&'a Record>,
    /// Why there is nobody to write to, if so.
    pub no_address: Option<&'a str>,
    /// What the caller asks for, if there is one.
    pub request: Option<&'a PassRequest>,
    /// What a pass is like.
    pub pass: &'a PassSettings,
    /// How far ahead joiners are served, in days.
    pub lead_days: u8,
    /// The group whose members may have a pass now.
    pub on_demand_group: Option<Uuid>,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Nothing.
    Skip(Skip),
    /// Nothing, and tell a person.
    Block(Block),
    /// Delete this pass of ours.
    Revoke {
        /// Which.
        pass_id: String,
        /// Why.
        why: Revoke,
    },
    /// Write down that the pass was delivered: it was used.
    RecordDelivery(Pass),
    /// Make a pass and deliver it.
    Issue(Plan),
}

/// A pass to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When it works.
    pub window: Window,
    /// Why it is made.
    pub purpose: Purpose,
    /// The day one that it is for.
    pub day_one: Option<NaiveDate>,
    /// Whether a pass for another day one was mailed before.
    pub moved: bool,
}

/// How often a vanished pass is made anew for the same day one.
const MAX_REISSUES: u32 = 2;

/// Decides.
pub fn decide(facts: &Facts<'_>) -> Decision {
    match facts.reason {
        Reason::Joiner => joiner(facts),
        Reason::GroupAdd => on_demand(facts, false),
        Reason::Http => {
            facts.request.map_or(Decision::Skip(Skip::NothingOpen), |request| http(facts, request))
        }
        Reason::Recheck => {
            facts.record.map_or(Decision::Skip(Skip::NothingOpen), |record| recheck(facts, record))
        }
    }
}

/// A second look asks the question that the record's own purpose asks; and where that leads nowhere, what is to
/// become of a joiner, and of a pass for day one that may be out there.
fn recheck(facts: &Facts<'_>, record: &Record) -> Decision {
    match record.purpose {
        Purpose::OnDemand => match on_demand(facts, true) {
            Decision::Skip(_) => joiner(facts),
            decision => decision,
        },
        Purpose::Joiner | Purpose::Http => joiner(facts),
    }
}

/// How long after a day one a new one is still told as a move; later it is a new start.
const A_MOVE: TimeDelta = TimeDelta::days(30);

fn joiner(facts: &Facts<'_>) -> Decision {
    let Facts { snapshot, record, now, pass: settings, .. } = *facts;
    let zone = facts.zone();
    let day = match facts.day_one_in_scope(zone) {
        Ok(day) => day,
        Err(why) => {
            return match facts.revocable() {
                Some(pass_id) => Decision::Revoke { pass_id, why: Revoke::OutOfScope(why) },
                None => Decision::Skip(why),
            };
        }
    };
    let last_job_delivered = record.is_some_and(|r| r.state == State::Delivered);
    if distance(day, zone, facts.lead_days, now) == Distance::Past {
        let why = Skip::DayOnePast(day);
        // A pass lives out its window, but for one that came late in place of the one that was mailed, or was meant for
        // another day: nobody is on record as having it.
        let is_stray = |pass: &&Pass| last_job_delivered || !works_on(pass, day, zone);
        return match facts.undelivered(Purpose::Joiner).filter(is_stray) {
            Some(pass) => Decision::Revoke { pass_id: pass.id.clone(), why: Revoke::OutOfScope(why) },
            None => Decision::Skip(why),
        };
    }
    if let Some(block) = facts.block() {
        return Decision::Block(block);
    }
    if facts.was_just_delivered() {
        return Decision::Skip(Skip::JustDelivered);
    }
    let served = facts.delivered().filter(|d| d.purpose == Purpose::Joiner && d.day_one == Some(day));
    let listed = snapshot.passes.iter().find(|pass| facts.is_delivered(pass));
    if listed.is_some_and(|pass| served.is_some() && pass.usability(now) == Usability::DisabledByPolicy) {
        return Decision::Block(Block::DisabledByPolicy);
    }
    if served.is_some_and(|d| listed.is_some() || (last_job_delivered && d.pass.opens_at <= now)) {
        return Decision::Skip(Skip::AlreadyServed);
    }
    if let Some(pass) = facts.used_meanwhile() {
        return Decision::RecordDelivery(pass.clone());
    }
    let stands = |pass: &&Pass| match pass.usability(now) {
        Usability::Active => true,
        Usability::NotYetActive => works_on(pass, day, zone),
        _ => false,
    };
    if snapshot.passes.iter().filter(stands).any(|pass| facts.is_foreign(pass)) {
        return Decision::Skip(Skip::HasWorkingPass);
    }
    // Unless it was replaced by one of our own, whose POST came late.
    if served.is_some_and(|d| d.reissued >= MAX_REISSUES) && facts.undelivered(Purpose::Joiner).is_none() {
        return Decision::Block(Block::KeepsVanishing);
    }
    Decision::Issue(Plan {
        window: Window::for_joiner(day, zone, settings, &snapshot.policy, now),
        purpose: Purpose::Joiner,
        day_one: Some(day),
        moved: facts
            .announcement()
            .is_some_and(|announced| announced.day_one != day && is_move(announced.day_one, day)),
    })
}

fn is_move(old: NaiveDate, new: NaiveDate) -> bool {
    (new - old).abs() < A_MOVE
}

/// Whether `pass` works at some moment of the calendar day `day`.
fn works_on(pass: &Pass, day: NaiveDate, zone: Tz) -> bool {
    let midnight = |day: NaiveDate| opening(day.and_time(NaiveTime::MIN), zone);
    let tomorrow = day.succ_opt().unwrap_or(day);
    pass.start_date_time < midnight(tomorrow) && midnight(day) < pass.ends_at()
}

fn on_demand(facts: &Facts<'_>, again: bool) -> Decision {
    let Facts { snapshot, record, now, .. } = *facts;
    let member = facts.on_demand_group.is_some_and(|group| snapshot.privileges.groups.contains(&group));
    if !member {
        // What was delivered lives out its hours; only what nobody was delivery goes.
        return match facts.undelivered(Purpose::OnDemand) {
            Some(pass) => {
                Decision::Revoke { pass_id: pass.id.clone(), why: Revoke::OutOfScope(Skip::NotInGroup) }
            }
            None => match guard::unreadable(&snapshot.privileges) {
                Some(finding) if facts.on_demand_group.is_some() => {
                    Decision::Block(Block::Privileged(finding))
                }
                _ => Decision::Skip(Skip::NotInGroup),
            },
        };
    }
    if again && record.is_some_and(|r| r.state == State::Delivered) {
        return Decision::Skip(Skip::NothingOpen);
    }
    if let Some(skip) = facts.not_served() {
        return Decision::Skip(skip);
    }
    // However often, and however late, the same event is announced.
    if facts.was_served_since() {
        return Decision::Skip(Skip::ServedSince);
    }
    // A joiner's pass that has not opened yet is no answer to "now".
    if facts.was_just_delivered() && facts.delivered().is_some_and(|d| d.purpose != Purpose::Joiner) {
        return Decision::Skip(Skip::JustDelivered);
    }
    if let Some(pass) = facts.used_meanwhile() {
        return Decision::RecordDelivery(pass.clone());
    }
    let works = |pass: &&Pass| pass.usability(now) == Usability::Active;
    if snapshot.passes.iter().filter(works).any(|pass| facts.is_delivered(pass) || !facts.is_ours(pass)) {
        return Decision::Skip(Skip::HasWorkingPass);
    }
    if let Some(block) = facts.block() {
        return Decision::Block(block);
    }
    let lifetime = facts.pass.lifetime_minutes.unwrap_or(A_DAY);
    let window = Window::from(now, lifetime, facts.pass.one_time, facts.zone(), &snapshot.policy, now);
    Decision::Issue(Plan { window, purpose: Purpose::OnDemand, day_one: None, moved: false })
}

/// A caller decides for themselves; what stays is who may have a pass at all.
fn http(facts: &Facts<'_>, request: &PassRequest) -> Decision {
    if let Some(skip) = facts.not_served() {
        Decision::Skip(skip)
    } else if let Some(block) = facts.cannot_have_one() {
        Decision::Block(block)
    } else {
        let window = request.window(facts.zone(), &facts.snapshot.policy, facts.now);
        Decision::Issue(Plan { window, purpose: Purpose::Http, day_one: None, moved: false })
    }
}

impl<'a> Facts<'a> {
    /// The joiner's zone.
    pub fn zone(&self) -> Tz {
        zone_for(self.snapshot.user.usage_location.as_deref(), self.pass.time_zone)
    }

    /// Day one, unless the account is none of a joiner's (any more).
    fn day_one_in_scope(&self, zone: Tz) -> Result<NaiveDate, Skip> {
        if let Some(skip) = self.not_served() {
            return Err(skip);
        }
        let day = day_one(self.snapshot.user.employee_hire_date.ok_or(Skip::NoHireDate)?, zone);
        // Whoever was told of this day with an account that worked, and has none now, is not coming.
        let announced =
            self.announcement().filter(|announced| announced.enabled && is_move(announced.day_one, day));
        if announced.is_some() && !self.snapshot.user.is_enabled() {
            return Err(Skip::Disabled);
        }
        match distance(day, zone, self.lead_days, self.now) {
            Distance::Beyond => Err(Skip::BeyondHorizon(day)),
            Distance::Past | Distance::Near => Ok(day),
        }
    }

    /// Accounts that get no pass from us, whoever asks.
    fn not_served(&self) -> Option<Skip> {
        if self.snapshot.user.is_guest() {
            Some(Skip::Guest)
        } else if !self.snapshot.user.is_enabled() && !self.pass.serve_disabled {
            Some(Skip::Disabled)
        } else {
            None
        }
    }

    fn block(&self) -> Option<Block> {
        let no_address = || self.no_address.map(|why| Block::NoAddress(why.to_owned()));
        self.cannot_have_one().or_else(no_address)
    }

    fn cannot_have_one(&self) -> Option<Block> {
        let passes_off = || (!self.snapshot.policy.is_enabled()).then_some(Block::PassesOff);
        guard::finding(&self.snapshot.privileges).map(Block::Privileged).or_else(passes_off)
    }

    fn delivered(&self) -> Option<&'a Delivered> {
        self.record.and_then(|r| r.delivered.as_ref())
    }

    fn announcement(&self) -> Option<Announcement> {
        self.record.and_then(|r| r.announcement)
    }

    /// Whether a delivery is so young that what we read may be older.
    fn was_just_delivered(&self) -> bool {
        self.record.is_some_and(|r| r.state == State::Delivered)
            && self.delivered().is_some_and(|d| self.now - d.at < REPLICA_LAG)
    }

    /// Whether a pass on demand was delivered since the user was added to the group, or so short a time before that it
    /// counted as just mailed then.
    fn was_served_since(&self) -> bool {
        let served = |(record, since): (&Record, DateTime<Utc>)| {
            record.was_served_on_demand_since(since - REPLICA_LAG)
        };
        self.record.zip(self.since).is_some_and(served)
    }

    /// Whether `pass` is the one that we delivered last.
    fn is_delivered(&self, pass: &Pass) -> bool {
        self.delivered().is_some_and(|d| d.pass.pass_id == pass.id)
    }

    /// The listed pass that we made, if there is one.
    pub(super) fn listed_of_ours(&self) -> Option<&'a Pass> {
        self.snapshot.passes.iter().find(|pass| self.is_ours(pass))
    }

    fn is_ours(&self, pass: &Pass) -> bool {
        self.purpose_of(pass).is_some()
    }

    fn purpose_of(&self, pass: &Pass) -> Option<Purpose> {
        ownership::purpose_of(self.record?, pass)
    }

    /// Whether killing `pass` for a joiner's new one would take away something that somebody was given: it is not
    /// ours, or we delivered it on demand or to a caller.
    fn is_foreign(&self, pass: &Pass) -> bool {
        let on_demand = || self.delivered().is_some_and(|d| d.purpose != Purpose::Joiner);
        !self.is_ours(pass) || (self.is_delivered(pass) && on_demand())
    }

    /// The pass of an unfinished job that was used all the same: its mail had arrived.
    fn used_meanwhile(&self) -> Option<&'a Pass> {
        let record = self.record.filter(|r| matches!(r.state, State::Issuing | State::Failed))?;
        let lease = record.lease.as_ref()?;
        let mut passes = self.snapshot.passes.iter();
        passes.find(|pass| pass.usability(self.now) == Usability::Used && was_created_under(lease, pass))
    }

    /// A listed pass that we made for `purpose`, that nobody was handed and that can still work.
    fn undelivered(&self, purpose: Purpose) -> Option<&'a Pass> {
        self.listed_undelivered().filter(|pass| self.purpose_of(pass) == Some(purpose))
    }

    /// The listed pass of ours, whatever it was made for, that nobody was handed and that can still work.
    pub(super) fn listed_undelivered(&self) -> Option<&'a Pass> {
        self.listed_of_ours().filter(|pass| pass.can_be_used(self.now) && !self.is_delivered(pass))
    }

    /// The id of a joiner's pass of ours that can still work, listed or not: a lagging replica may not show it yet.
    fn revocable(&self) -> Option<String> {
        let record = self.record?;
        let listed = self.snapshot.passes.iter().find_map(|pass| Some((pass, self.purpose_of(pass)?)));
        if let Some((pass, purpose)) = listed {
            return (purpose == Purpose::Joiner && pass.can_be_used(self.now)).then(|| pass.id.clone());
        }
        let made = record.pass.as_ref().filter(|_| record.purpose == Purpose::Joiner);
        let delivered = self.delivered().filter(|d| d.purpose == Purpose::Joiner).map(|d| &d.pass);
        let unseen =
            made.or(delivered).filter(|pass| pass.ends_at > self.now && record.state != State::Revoked);
        unseen.map(|pass| pass.pass_id.clone())
    }
}

#[cfg(test)]
mod tests;
