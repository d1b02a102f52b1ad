//! Decides what to do for one user: a pure rule over what was read.
//!
//! The first condition that applies decides; the functions below check them in the order of the table in
//! `docs/ARCHITECTURE.md`.

mod account;
mod changes;
mod follow;
mod manager_call;
mod withdrawal;

pub(crate) use self::changes::CORRECTED_UNTIL;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    account_use,
    day_one::{Distance, day_one, days_since, distance},
    follow_up::NotArrived,
    guard::{self, PrivilegeFinding},
    job::Reason,
    outcome::{Block, Revoke, Skip},
    ownership::{self, was_created_under},
    replication::REPLICA_LAG,
    request::PassRequest,
    window::{DEFAULT_LIFETIME, Window, first_workday, opening, serves},
};
use crate::{
    graph::{Pass, TenantSnapshot, Usability},
    ledger::{Announcement, Basis, Delivered, Purpose, Record, State, is_move},
    mail::Occasion,
    settings::{Device, FollowUpSettings, JoinerCheck, PassSettings},
    zone::{JoinerZone, Tz},
};

/// Everything that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Why the job exists.
    pub reason: Reason,
    /// The earliest time at which the user may have been added to the on-demand group, where the job says so.
    pub since: Option<DateTime<Utc>>,
    /// The tenant, as it was read.
    pub snapshot: &'a TenantSnapshot,
    /// The ledger's record, read after the tenant.
    pub record: Option<&'a Record>,
    /// Why there is no address to send the pass to, if so.
    pub no_address: Option<&'a str>,
    /// Where the joiner would be told, if somebody hands the code over: identifies the mailbox.
    pub told_at: Option<&'a str>,
    /// What a mail to the user would rest on.
    pub basis: &'a Basis,
    /// Whether the manager is told of codes.
    pub tells_manager: bool,
    /// What the caller asks for, if the job is a call.
    pub request: Option<&'a PassRequest>,
    /// What is checked before an account counts as a joiner's.
    pub joiner_check: &'a JoinerCheck,
    /// The settings for passes.
    pub pass: &'a PassSettings,
    /// What the user signs in on first.
    pub device: Device,
    /// What is done for a joiner who does not use the pass.
    pub follow_up: &'a FollowUpSettings,
    /// How far ahead joiners are served, in days.
    pub lead_days: u8,
    /// How long after day one a joiner who was never sent a pass is served, in days.
    pub late_days: u8,
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
    /// Nothing, and alert.
    Block(Block),
    /// Delete this pass of ours.
    Revoke {
        /// Which.
        pass_id: String,
        /// Why.
        why: Revoke,
    },
    /// Record that the pass was delivered: it was used.
    RecordDelivery(Pass),
    /// Record that the joiner is in the account, since this time.
    RecordArrival(DateTime<Utc>),
    /// Record that nothing can show whether the joiner is in.
    RecordUnknownArrival,
    /// Remind the joiner of the delivered pass.
    Remind,
    /// Tell the joiner that the sign-in name of the delivered pass is another one now.
    TellSignInName,
    /// Tell the joiner at another private address how to sign in: somebody hands the code over.
    TellAddress,
    /// Tell the manager, who is new, that the joiner was sent a pass.
    TellNewManager,
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
    /// What the mail says of it.
    pub occasion: Occasion,
    /// The delivered pass that it replaces, if that ended unused.
    pub unused: Option<NotArrived>,
    /// Whether day one is past.
    pub is_late: bool,
}

/// How long after a code whose mail may have arrived no other one is made, if the pass opens more than a day later: what makes
/// the mailbox's answers unclear seldom ends within minutes, and then only one code is left.
const UNCLEAR_WAIT: TimeDelta = TimeDelta::hours(6);

/// How many passes are mailed for one day one, for whatever reasons. More codes in one mailbox help nobody, and what makes
/// them necessary does not end by itself.
const MAX_CODES: u32 = 4;

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

/// A recheck decides by the purpose of the record. If that leads to a skip, it decides as for a joiner: a pass for day
/// one may still exist.
fn recheck(facts: &Facts<'_>, record: &Record) -> Decision {
    match record.purpose {
        Purpose::OnDemand => match on_demand(facts, true) {
            Decision::Skip(_) => joiner(facts),
            decision => decision,
        },
        Purpose::Joiner | Purpose::Http => joiner(facts),
    }
}

fn joiner(facts: &Facts<'_>) -> Decision {
    let Facts { snapshot, record, now, .. } = *facts;
    let zone = facts.zone();
    if let Some(at) = facts.arrived_at() {
        return match facts.undelivered(Purpose::Joiner) {
            Some(pass) => {
                Decision::Revoke { pass_id: pass.id.clone(), why: Revoke::OutOfScope(Skip::Arrived) }
            }
            None if record.is_some_and(|r| r.arrived_at.is_some()) => Decision::Skip(Skip::Arrived),
            None => Decision::RecordArrival(at),
        };
    }
    if let Some(decision) = facts.not_arrived(zone) {
        return decision;
    }
    let day = match facts.day_one_in_scope(zone) {
        Ok(day) => day,
        Err(why) => {
            let decision = match facts.revocable() {
                Some(pass_id) => Decision::Revoke { pass_id, why: Revoke::OutOfScope(why) },
                None => facts.withdrawn(why).unwrap_or_else(|| facts.not_served(why)),
            };
            return match (decision, &snapshot.passes_refused) {
                // Nor would Graph delete it.
                (Decision::Revoke { .. }, Some(error)) => Decision::Block(Block::Refused(error.clone())),
                (decision, _) => decision,
            };
        }
    };
    let last_job_delivered = record.is_some_and(|r| r.state == State::Delivered);
    let is_past = distance(day, zone, facts.lead_days, now) == Distance::Past;
    let is_late = is_past && facts.is_late(day, zone);
    if is_past && !is_late {
        let why = Skip::DayOnePast(day);
        // A pass stays until its window ends, except one that was not delivered: it came late in place of the delivered
        // one, or was meant for another day.
        let is_for_day =
            |pass: &Pass| works_on(pass, day, zone) || record.is_some_and(|r| r.day_one == Some(day));
        let is_undelivered = |pass: &&Pass| last_job_delivered || !is_for_day(pass);
        return match facts.undelivered(Purpose::Joiner).filter(is_undelivered) {
            Some(pass) => Decision::Revoke { pass_id: pass.id.clone(), why: Revoke::OutOfScope(why) },
            None => {
                let is_fresh = !facts.was_just_delivered() && facts.refused().is_none();
                let changed = || facts.address_changed(day, true).filter(|_| is_fresh);
                changed().or_else(|| facts.while_open(day, zone)).unwrap_or(Decision::Skip(why))
            }
        };
    }
    if is_late && let Some(decision) = facts.arrived_by_another_way() {
        return decision;
    }
    if let Some(block) = facts.refused() {
        return Decision::Block(block);
    }
    if facts.was_just_delivered() || facts.was_just_told() {
        return Decision::Skip(Skip::JustDelivered);
    }
    if let Some(evidence) = facts.older_evidence()
        && let Some(pass_id) = facts.revocable()
    {
        return Decision::Revoke { pass_id, why: Revoke::from(&evidence) };
    }
    if let Some(decision) = facts.address_changed(day, false) {
        return decision;
    }
    let served = facts.delivered().filter(|d| d.purpose == Purpose::Joiner && d.day_one == Some(day));
    let listed = snapshot.passes.iter().find(|pass| facts.is_delivered(pass));
    if listed.is_some_and(|pass| served.is_some() && pass.usability(now) == Usability::DisabledByPolicy) {
        return Decision::Block(Block::DisabledByPolicy);
    }
    if served.is_some_and(|d| listed.is_some() || (last_job_delivered && d.pass.opens_at <= now)) {
        return facts.while_open(day, zone).unwrap_or(Decision::Skip(Skip::AlreadyServed));
    }
    if let Some(pass) = facts.used_meanwhile() {
        return Decision::RecordDelivery(pass.clone());
    }
    if let Some(block) = facts.block().or_else(|| facts.not_new(day)) {
        return Decision::Block(block);
    }
    let counts = |pass: &&Pass| match pass.usability(now) {
        Usability::Active => true,
        // Whoever is late needs the next that somebody made.
        Usability::NotYetActive => is_late || facts.works_when_needed(pass, day, zone),
        _ => false,
    };
    if let Some(pass) = snapshot.passes.iter().filter(counts).find(|pass| facts.is_foreign(pass)) {
        return Decision::Skip(Skip::HasWorkingPass(facts.delivered_for(pass)));
    }
    if facts.codes_for(day) >= MAX_CODES {
        return Decision::Block(Block::TooManyCodes);
    }
    let occasion = match facts.announcement() {
        Some(told) if told.day_one != day && is_move(told.day_one, day) => Occasion::Moved,
        _ => Occasion::First,
    };
    let plan = Plan { is_late, ..facts.joiner_plan(day, occasion) };
    if facts.waits_for_mailbox(day, &plan.window) {
        return Decision::Skip(Skip::MailUnclear);
    }
    Decision::Issue(plan)
}

/// Whether `pass` works at some moment of the calendar day `day`.
fn works_on(pass: &Pass, day: NaiveDate, zone: Tz) -> bool {
    let midnight = |day: NaiveDate| opening(day.and_time(NaiveTime::MIN), zone);
    let tomorrow = day.succ_opt().unwrap_or(day);
    // One that starts in the last minute of a day is for the next.
    pass.start_date_time + TimeDelta::minutes(1) <= midnight(tomorrow) && midnight(day) < pass.ends_at()
}

fn on_demand(facts: &Facts<'_>, is_recheck: bool) -> Decision {
    let Facts { snapshot, record, now, .. } = *facts;
    let member = facts.on_demand_group.is_some_and(|group| snapshot.privileges.groups.contains(&group));
    if !member {
        if let Some(block) = facts.hidden_group() {
            return Decision::Block(block);
        }
        // A delivered pass stays until its window ends; one that was not delivered is deleted.
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
    if is_recheck && record.is_some_and(|r| r.state == State::Delivered) {
        return Decision::Skip(Skip::NothingOpen);
    }
    // A recheck finishes what a job began.
    let began = || record?.lease.as_ref().filter(|_| is_recheck).map(|lease| lease.since);
    if record.is_some_and(|record| record.is_held_since(facts.since.or_else(began))) {
        return match facts.undelivered(Purpose::OnDemand) {
            Some(pass) => Decision::Revoke { pass_id: pass.id.clone(), why: Revoke::ByAdmin },
            None => Decision::Skip(Skip::RevokedByAdmin),
        };
    }
    if let Some(skip) = facts.unserved() {
        return Decision::Skip(skip);
    }
    // The same event may arrive several times, and late.
    if facts.was_served_since() {
        return Decision::Skip(Skip::ServedSince);
    }
    // A joiner's pass that has not opened yet does not serve a request for a pass now.
    if facts.was_just_delivered() && facts.delivered().is_some_and(|d| d.purpose != Purpose::Joiner) {
        return Decision::Skip(Skip::JustDelivered);
    }
    if let Some(pass) = facts.used_meanwhile() {
        return Decision::RecordDelivery(pass.clone());
    }
    let works = |pass: &&Pass| pass.usability(now) == Usability::Active;
    let mut working = snapshot.passes.iter().filter(works);
    if let Some(pass) = working.find(|pass| facts.is_delivered(pass) || !facts.is_ours(pass)) {
        return Decision::Skip(Skip::HasWorkingPass(facts.delivered_for(pass)));
    }
    if let Some(block) = facts.refused_to_anybody().or_else(|| facts.no_address()) {
        return Decision::Block(block);
    }
    let lifetime = facts.pass.lifetime_minutes.unwrap_or(DEFAULT_LIFETIME);
    let window = Window::from(now, lifetime, facts.one_time(), facts.zone(), &snapshot.policy, now);
    Decision::Issue(Plan::on_demand(window, Purpose::OnDemand))
}

/// A caller decides about the pass; this only decides whether the user may have one.
fn http(facts: &Facts<'_>, request: &PassRequest) -> Decision {
    if let Some(skip) = facts.unserved() {
        Decision::Skip(skip)
    } else if let Some(block) = facts.refused_to_anybody().or_else(|| facts.hidden_group()) {
        Decision::Block(block)
    } else {
        let window = request.window(facts.zone(), &facts.snapshot.policy, facts.now);
        Decision::Issue(Plan::on_demand(window, Purpose::Http))
    }
}

impl Plan {
    fn on_demand(window: Window, purpose: Purpose) -> Self {
        Self { window, purpose, day_one: None, occasion: Occasion::First, unused: None, is_late: false }
    }
}

impl<'a> Facts<'a> {
    /// The joiner's zone.
    pub fn zone(&self) -> Tz {
        self.joiner_zone().zone
    }

    /// The joiner's zone, as far as it is known.
    fn joiner_zone(&self) -> JoinerZone {
        self.pass.zone(self.snapshot.user.account.place())
    }

    /// The country, for its working days.
    fn usage_location(&self) -> Option<&'a str> {
        self.snapshot.user.account.usage_location.as_deref()
    }

    /// The window of a pass for the morning of `day`.
    fn joiner_window(&self, day: NaiveDate, settings: &PassSettings) -> Window {
        let (zone, country) = (self.joiner_zone(), self.usage_location());
        let policy = &self.snapshot.policy;
        let window = Window::for_joiner(day, zone, country, settings, policy, self.now);
        Window { one_time: policy.is_usable_once || self.one_time(), ..window }
    }

    /// Whether a pass works only once, if the policy does not force it.
    fn one_time(&self) -> bool {
        self.pass.one_time_on(self.device)
    }

    /// A pass for the morning of `day`.
    fn joiner_plan(&self, day: NaiveDate, occasion: Occasion) -> Plan {
        Plan {
            window: self.promising(self.joiner_window(day, self.pass)),
            purpose: Purpose::Joiner,
            day_one: Some(day),
            occasion,
            unused: None,
            is_late: false,
        }
    }

    /// Whether `pass` works on day one, or on the working day on which the joiner comes if nobody works on `day`.
    fn works_when_needed(&self, pass: &Pass, day: NaiveDate, zone: Tz) -> bool {
        let workday = first_workday(day, zone, self.usage_location(), self.pass, self.now);
        works_on(pass, day, zone) || workday.is_some_and(|workday| works_on(pass, workday, zone))
    }

    /// The block if the group that decides about a pass hides its members.
    fn hidden_group(&self) -> Option<Block> {
        let unread = self.snapshot.hidden_group.clone()?;
        Some(Block::Privileged(PrivilegeFinding::Unknown(unread)))
    }

    /// The window without a promise of another pass that could not be kept: nothing would show that this one was not used.
    fn promising(&self, window: Window) -> Window {
        let check = self.joiner_check;
        let can_follow =
            self.follow_up.reissue_unused && window.one_time && (check.methods || check.registration);
        Window { follows_on: window.follows_on.filter(|_| can_follow), ..window }
    }

    /// Day one as the account has it. If only our settings or tables read it in another way now, it is the one that the joiner was
    /// told.
    pub(super) fn day_one(&self) -> Option<NaiveDate> {
        let stamp = self.snapshot.user.account.employee_hire_date?;
        let told = self
            .announcement()
            .filter(|told| told.basis.as_ref().is_some_and(|basis| basis.has_same_day(self.basis)));
        Some(told.map_or_else(
            || day_one(stamp, self.pass.hire_date_zone, self.joiner_zone()),
            |told| told.day_one,
        ))
    }

    /// Day one, unless the account is not a joiner's account, or no longer.
    fn day_one_in_scope(&self, zone: Tz) -> Result<NaiveDate, Skip> {
        if let Some(skip) = self.unserved() {
            return Err(skip);
        }
        let day = self.day_one().ok_or(Skip::NoHireDate)?;
        // The account was enabled when this day one was mailed, and is disabled now: the start is cancelled.
        let announced =
            self.announcement().filter(|announced| announced.enabled && is_move(announced.day_one, day));
        let is_cancelled = announced.is_some() && self.returned_from().is_none();
        if is_cancelled && !self.snapshot.user.account.is_enabled() {
            return Err(Skip::Disabled);
        }
        if let Some(rescinded) = self.rescinded(day) {
            return Err(rescinded);
        }
        match distance(day, zone, self.lead_days, self.now) {
            Distance::Beyond => Err(Skip::BeyondHorizon(day)),
            Distance::Past | Distance::Near => Ok(day),
        }
    }

    /// Whether `day`, which is past, is so recent that a joiner who was never sent a pass for this start still gets one. Only
    /// a sweep knows whom somebody else has served.
    fn is_late(&self, day: NaiveDate, zone: Tz) -> bool {
        let is_of_sweep =
            self.reason == Reason::Joiner || self.record.is_some_and(|r| r.purpose == Purpose::Joiner);
        let was_served = |record: &Record| {
            let delivered = record.delivered.as_ref();
            let opened = delivered.map(|d| (d.purpose, d.pass.opens_at));
            // Of a pass that was replaced after it had opened, the purpose is not kept.
            let mut opened = record.opened_at.map(|at| (Purpose::Http, at)).into_iter().chain(opened);
            delivered.is_some_and(|delivered| delivered.day_one == Some(day))
                || opened.any(|(purpose, at)| at <= self.now && serves(purpose, at, day))
        };
        is_of_sweep
            && days_since(day, zone, self.now) <= self.late_days.into()
            && !self.record.is_some_and(was_served)
    }

    /// Identifies the user as a listing shows them, if the decision is about a start and final. Minutes after a delivery,
    /// or after another mail, it is not.
    pub(super) fn seen(&self) -> Option<String> {
        let is_about_start = matches!(self.reason, Reason::Joiner | Reason::Recheck);
        (is_about_start && !self.was_just_delivered() && !self.was_just_told())
            .then(|| self.snapshot.user.as_candidate().fingerprint())
    }

    /// How many passes were delivered for this day one.
    fn codes_for(&self, day: NaiveDate) -> u32 {
        self.record.and_then(|record| record.codes.get(&day).copied()).unwrap_or_default()
    }

    /// Whether the mail with a code for `day` may have arrived, and a later sweep can make another one in time for `window`.
    fn waits_for_mailbox(&self, day: NaiveDate, window: &Window) -> bool {
        let is_unclear = |r: &&Record| r.state == State::Failed && r.unclear.contains_key(&day);
        let lease = self.record.filter(is_unclear).and_then(|record| record.lease.as_ref());
        lease.is_some_and(|lease| lease.purpose == Purpose::Joiner && self.now - lease.since < UNCLEAR_WAIT)
            && window.opens_at - self.now > TimeDelta::days(1)
    }

    /// Accounts that get no pass for any reason.
    fn unserved(&self) -> Option<Skip> {
        Skip::of_account(self.snapshot.user.sign_in(), self.pass)
    }

    fn block(&self) -> Option<Block> {
        self.refused().or_else(|| self.no_address())
    }

    fn no_address(&self) -> Option<Block> {
        self.no_address.map(|why| Block::NoAddress(why.to_owned()))
    }

    /// Why a joiner gets no pass, whatever the address is.
    fn refused(&self) -> Option<Block> {
        let owner = || guard::owned_application(&self.snapshot.privileges).map(Block::Privileged);
        self.refused_to_anybody().or_else(owner)
    }

    /// Why the account gets no pass for any reason.
    fn refused_to_anybody(&self) -> Option<Block> {
        let passes_off = || (!self.snapshot.policy.is_enabled()).then_some(Block::PassesOff);
        // With a directory role instead of the permission, Entra ID refuses privileged accounts.
        let refused = || self.snapshot.passes_refused.clone().map(Block::Refused);
        guard::finding(&self.snapshot.privileges).map(Block::Privileged).or_else(refused).or_else(passes_off)
    }

    fn delivered(&self) -> Option<&'a Delivered> {
        self.record.and_then(|r| r.delivered.as_ref())
    }

    fn announcement(&self) -> Option<&'a Announcement> {
        self.record.and_then(|r| r.announcement.as_ref())
    }

    /// Whether the last delivery is so recent that the snapshot may be older.
    fn was_just_delivered(&self) -> bool {
        self.record.is_some_and(|r| r.state == State::Delivered)
            && self.delivered().is_some_and(|d| self.now - d.at < REPLICA_LAG)
    }

    /// Whether a pass on demand was delivered since the user was added to the group, or so shortly before that it counted
    /// as just delivered then.
    fn was_served_since(&self) -> bool {
        let served = |(record, since): (&Record, DateTime<Utc>)| {
            record.was_served_on_demand_since(since - REPLICA_LAG)
        };
        self.record.zip(self.since).is_some_and(served)
    }

    /// Whether a pass that is not ours replaced the joiner's delivered one, which could still be used.
    pub(super) fn was_replaced(&self) -> bool {
        let delivered =
            self.delivered().filter(|d| d.purpose == Purpose::Joiner && !self.was_just_delivered());
        let replaces =
            |d: &Delivered, pass: &Pass| !self.is_ours(pass) && pass.created_date_time < d.pass.ends_at;
        delivered.is_some_and(|d| self.snapshot.passes.iter().any(|pass| replaces(d, pass)))
    }

    /// Whether `pass` is the last delivered one.
    fn is_delivered(&self, pass: &Pass) -> bool {
        self.delivered().is_some_and(|d| d.pass.pass_id == pass.id)
    }

    /// Why `pass` was delivered, if it is the last delivered one.
    fn delivered_for(&self, pass: &Pass) -> Option<Purpose> {
        self.delivered().filter(|_| self.is_delivered(pass)).map(|d| d.purpose)
    }

    /// The listed pass that we made, if there is one.
    pub(super) fn listed_of_ours(&self) -> Option<&'a Pass> {
        self.snapshot.passes.iter().find(|pass| self.is_ours(pass))
    }

    fn is_ours(&self, pass: &Pass) -> bool {
        self.purpose_of(pass).is_some()
    }

    /// The start that the mail with `pass` tells.
    fn told_start(&self, pass: &Pass) -> DateTime<Utc> {
        self.record.map_or(pass.start_date_time, |record| ownership::told_start(record, pass))
    }

    fn purpose_of(&self, pass: &Pass) -> Option<Purpose> {
        ownership::purpose_of(self.record?, pass)
    }

    /// Whether a joiner's new pass must not replace `pass`: it is not ours, or it was delivered on demand or to a caller.
    fn is_foreign(&self, pass: &Pass) -> bool {
        let on_demand = || self.delivered().is_some_and(|d| d.purpose != Purpose::Joiner);
        !self.is_ours(pass) || (self.is_delivered(pass) && on_demand())
    }

    /// The used pass of a job that did not finish: its mail had arrived. A pass for several uses shows no use itself.
    fn used_meanwhile(&self) -> Option<&'a Pass> {
        let record = self.record.filter(|r| matches!(r.state, State::Issuing | State::Failed))?;
        let lease = record.lease.as_ref()?;
        let evidence = self.evidence();
        let is_used = |pass: &&Pass| match pass.usability(self.now) {
            Usability::Used => true,
            Usability::NotYetActive => false,
            _ => account_use::arrival(&evidence, pass.start_date_time, self.now).is_some(),
        };
        let mut passes = self.snapshot.passes.iter();
        passes.find(|pass| was_created_under(lease, pass) && is_used(pass))
    }

    /// A listed pass that we made for `purpose`, that was not delivered and that is or will be usable.
    fn undelivered(&self, purpose: Purpose) -> Option<&'a Pass> {
        self.listed_undelivered().filter(|pass| self.purpose_of(pass) == Some(purpose))
    }

    /// The listed pass of ours, for any purpose, that was not delivered and that is or will be usable.
    pub(super) fn listed_undelivered(&self) -> Option<&'a Pass> {
        self.listed_of_ours().filter(|pass| pass.can_be_used(self.now) && !self.is_delivered(pass))
    }

    /// The id of our pass for the joiner that is or will be usable, listed or not: a replica may not list it yet.
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
