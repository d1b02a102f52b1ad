//! Which users a sweep has work for: a pure rule over two listings, and over what a look at a user shows.
//!
//! Most joiners have been served, and nothing about them has changed: they cost nothing. When in doubt there is a job,
//! which reads everything and decides.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    graph::{GraphError, Look, LookParts, Method, Pass, PrivilegeSnapshot, Usability, users::Candidate},
    ledger::{Basis, Purpose, Record, Standing, StandingPass, is_same_start},
    pass::{
        Block, Position, Skip, account_use, basis,
        follow_up::{ENABLED_WITHIN, REMINDED_UNTIL, REPORT_LAG},
        guard,
        replication::REPLICA_LAG,
        window::opening,
    },
    settings::{Settings, SignInCheck},
};

/// Whoever starts within this many days and has no pass is looked at by every sweep: the reason may have gone.
const SOON: TimeDelta = TimeDelta::days(2);
/// How long an unfinished job is left alone: what failed ten times in half an hour seldom ends within another.
const RETRY_AFTER: TimeDelta = TimeDelta::hours(6);
/// Before a pass opens.
const LAST_DAY: TimeDelta = TimeDelta::hours(36);
const LAST_HOURS: TimeDelta = TimeDelta::hours(12);
/// After a pass has ended, what became of it is decided by every sweep for so long, and then by one a day.
const DECIDED_WITHIN: TimeDelta = TimeDelta::hours(6);
/// Groups and roles of a user whose pass has been open for this long are looked at again.
const LONG_OPEN: TimeDelta = TimeDelta::days(1);

/// A user as the two listings show them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// The object id.
    pub id: Uuid,
    /// In the tenant; `None` if the listing does not have the user.
    pub candidate: Option<&'a Candidate>,
    /// Their day one, if it is near.
    pub day: Option<NaiveDate>,
    /// In the ledger; `None` without a record.
    pub standing: Option<&'a Standing>,
}

impl Known<'_> {
    /// The place among the jobs of a sweep.
    pub(super) fn position(&self) -> Position {
        Position { day: self.day, user: self.id }
    }
}

/// What a sweep does about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Queue a job.
    Job,
    /// Look at them, and queue a job if [`needs_job`].
    Look(LookParts),
    /// Nothing.
    Nothing,
}

/// Decides by the listings. `is_daily` says that no sweep looked at everyone today.
pub(super) fn due(settings: &Settings, known: Known<'_>, is_daily: bool, now: DateTime<Utc>) -> Due {
    let Some(standing) = known.standing else {
        let is_served = |user: &Candidate| Skip::of_account(user.sign_in(), &settings.pass).is_none();
        let is_joiner = known.day.is_some() && known.candidate.is_some_and(is_served);
        return if is_joiner { Due::Job } else { Due::Nothing };
    };
    if standing.is_unreadable {
        // The job tells a person.
        return if is_daily || known.day.is_some() { Due::Job } else { Due::Nothing };
    }
    // Not long after: whoever is late is looked at daily.
    let is_soon = known.day.is_some_and(|day| (day - now.date_naive()).abs() <= SOON);
    let is_changed = known.candidate.is_some_and(|user| standing.seen != Some(user.fingerprint()));
    // Who waits for the mailbox is held back elsewhere while it is shut.
    let waits = standing.cause.as_deref() == Some(Record::MAILBOX_SHUT);
    if standing.unfinished_until > Some(now) {
        let has_waited = standing.leased_at.is_none_or(|at| now - at >= RETRY_AFTER);
        return if is_changed || is_daily || is_soon || has_waited || waits {
            Due::Job
        } else {
            Due::Nothing
        };
    }
    let is_enabled = known.candidate.is_none_or(|user| user.account.is_enabled());
    let returns = |at| account_use::returns(at, known.day, is_enabled, now);
    let has_arrived = |at: DateTime<Utc>| match known.day {
        Some(day) => is_same_start(at, Some(day)) && !returns(at),
        None => standing.pass.as_ref().is_some_and(|pass| is_same_start(at, pass.day_one)),
    };
    if standing.arrived_at.is_some_and(has_arrived) {
        return may_appear(standing, now);
    }
    let for_day = |pass: &&StandingPass| pass.purpose == Purpose::Joiner && pass.day_one == known.day;
    match (known.day, &standing.pass) {
        _ if (is_changed || waits) && (known.day.is_some() || standing.is_open(now)) => Due::Job,
        _ if is_daily && standing.is_blocked && standing.is_open(now) => Due::Job,
        // The address may count again for a reason that no listing shows.
        _ if is_daily && standing.cause.as_deref() == Some(Block::AddressRemoved.cause()) => Due::Job,
        (Some(_), Some(pass)) if for_day(&pass) => delivered(settings, known, standing, pass, is_daily, now),
        (Some(_), _) if is_daily || is_soon => Due::Job,
        (Some(_), _) => may_appear(standing, now),
        (None, _) if !standing.is_open(now) => Due::Nothing,
        (None, Some(pass)) if pass.purpose == Purpose::Joiner => {
            delivered(settings, known, standing, pass, is_daily, now)
        }
        // A pass on demand that the withdrawal of a start would end, or one that nobody was sent.
        (None, _) => {
            let passes = standing.may_appear_until > Some(now);
            let account = known.candidate.is_none();
            let look = LookParts { account, passes, ..LookParts::default() };
            if account || passes { Due::Look(look) } else { Due::Nothing }
        }
    }
}

/// Of a joiner who was sent `pass`, when nothing in the listings has changed.
fn delivered(
    settings: &Settings,
    known: Known<'_>,
    standing: &Standing,
    pass: &StandingPass,
    is_daily: bool,
    now: DateTime<Utc>,
) -> Due {
    let account = known.candidate.is_none();
    let check = &settings.joiner_check;
    let mail = &settings.mail;
    let manager = is_daily && (mail.copies_manager() || mail.names_manager_as_recipient());
    let basis = standing.basis.as_ref();
    let leave_date = is_daily && basis.is_some_and(|basis| basis.leave_date.is_some());
    let methods = check.methods;
    let look = LookParts { account, passes: true, methods, manager, leave_date, ..LookParts::default() };
    let reads_sign_ins = check.sign_ins != SignInCheck::Off;
    let can_show_arrival = check.methods || check.registration || reads_sign_ins;
    // A pass for one use shows its use itself.
    let since_opening = LookParts { sign_ins: reads_sign_ins && !pass.one_time, ..look };
    if now < pass.opens_at {
        let left = pass.opens_at - now;
        // Groups and roles on one day, passes and methods on the next, so that twenty users fit into a batch; on the last day both.
        let memberships = left <= LAST_DAY || now.date_naive().num_days_from_ce() % 2 == 0;
        let passes = left <= LAST_DAY || !memberships || standing.may_appear_until > Some(now);
        return match may_appear(standing, now) {
            _ if is_daily => Due::Look(LookParts { memberships, passes, ..look }),
            // Whether the start was withdrawn shows only the account. A pass that is deleted now has to be replaced at once.
            _ if account || left <= LAST_HOURS => Due::Look(look),
            due => due,
        };
    }
    if now < pass.ends_at {
        let memberships = is_daily && now - pass.opens_at > LONG_OPEN;
        Due::Look(LookParts { memberships, ..since_opening })
    } else if standing.is_reported {
        may_appear(standing, now)
    } else if !can_show_arrival {
        // Once, to note that.
        if is_daily && now - pass.ends_at >= REPORT_LAG { Due::Job } else { may_appear(standing, now) }
    } else {
        Due::Look(LookParts { manager: false, leave_date: false, ..since_opening })
    }
}

/// A pass that nobody was sent may appear: then a job revokes it.
fn may_appear(standing: &Standing, now: DateTime<Utc>) -> Due {
    if standing.may_appear_until > Some(now) {
        Due::Look(LookParts { passes: true, ..LookParts::default() })
    } else {
        Due::Nothing
    }
}

/// Decides by what `look` shows. What could not be read is for a job to read again.
pub(super) fn needs_job(
    settings: &Settings,
    known: Known<'_>,
    look: &Look,
    is_daily: bool,
    now: DateTime<Utc>,
) -> bool {
    let Some(standing) = known.standing else { return true };
    let passes = match &look.passes {
        None => None,
        Some(Ok(passes)) => Some(passes),
        Some(Err(_)) => return true,
    };
    let user = match &look.account {
        None => known.candidate,
        Some(Ok(Some(user))) if standing.seen == Some(user.fingerprint()) => Some(user),
        Some(_) => return true,
    };
    let id = standing.pass.as_ref().map(|pass| &pass.id);
    let is_other = |listed: &Pass| Some(&listed.id) != id && listed.can_be_used(now);
    if standing.may_appear_until > Some(now) && passes.into_iter().flatten().any(is_other) {
        return true;
    }
    let Some(pass) = standing.pass.as_ref().filter(|pass| pass.purpose == Purpose::Joiner) else {
        return false;
    };
    if now < pass.ends_at && look.privileges.as_ref().is_some_and(|read| is_privileged(settings, read)) {
        return true;
    }
    let told = standing.basis.as_ref().filter(|told| told.is_comparable());
    if now < pass.ends_at
        && told.is_some_and(|told| has_new_manager(known.id, told, look) || has_new_end(known.id, told, look))
    {
        return true;
    }
    let Some(passes) = passes else { return false };
    let listed = passes.iter().find(|listed| listed.id == pass.id);
    let usability = listed.map(|listed| listed.usability(now));
    if now < pass.opens_at {
        let works = matches!(usability, Some(Usability::NotYetActive | Usability::Active));
        return !works || shows_use(settings, look, |at| at.is_none_or(|at| at < pass.delivered_at));
    }
    let is_in = |at: Option<DateTime<Utc>>| at.is_none_or(|at| at >= pass.opens_at);
    if usability == Some(Usability::Used) || shows_use(settings, look, is_in) {
        return true;
    }
    if now < pass.ends_at {
        let start = start(settings, pass, user);
        let is_disabled = user.is_some_and(|user| !user.account.is_enabled())
            && now - start >= ENABLED_WITHIN
            && standing.cause.as_deref() != Some("still-disabled");
        let is_nudged = settings.follow_up.nudge_after.is_some_and(|after| now - start >= after)
            && pass.ends_at - now > REMINDED_UNTIL
            && !standing.is_reminded
            // A job that cannot see that nobody is in reminds nobody.
            && look.methods.is_empty()
            && (settings.joiner_check.methods || (settings.joiner_check.registration && is_daily))
            && listed.is_some_and(|listed| listed.is_usable_once && usability == Some(Usability::Active));
        let is_switched_off = is_daily && usability == Some(Usability::DisabledByPolicy);
        return is_disabled || is_nudged || is_switched_off;
    }
    let is_unused =
        listed.is_some_and(|listed| listed.is_usable_once) && usability == Some(Usability::Expired);
    let since_end = now - pass.ends_at;
    let is_decided_now = is_daily || since_end < DECIDED_WITHIN;
    (is_unused && since_end >= REPLICA_LAG && is_decided_now) || (since_end >= REPORT_LAG && is_daily)
}

/// Whether the user has another manager than at the time of the mail. What could not be read is read by the next daily look: a
/// job would send the same mails without it.
fn has_new_manager(user: Uuid, told: &Basis, look: &Look) -> bool {
    let Some(Ok(Some(manager))) = &look.manager else { return false };
    let manager = basis::of_manager(user, manager);
    manager.is_some() && told.manager != manager
}

/// Whether the user has another last day than at the time of the mail.
fn has_new_end(user: Uuid, told: &Basis, look: &Look) -> bool {
    let Some(Ok(leave_date)) = look.leave_date else { return false };
    told.leave_date != Some(basis::of_leave_date(user, leave_date))
}

/// Whether the account may be privileged: what cannot be read is for a job.
fn is_privileged(settings: &Settings, read: &Result<PrivilegeSnapshot, GraphError>) -> bool {
    let Ok(privileges) = read else { return true };
    let is_protected = settings.protected_group.is_some_and(|group| privileges.groups.contains(&group));
    is_protected || guard::finding(privileges).is_some()
}

/// When the joiner could first use the pass on day one.
fn start(settings: &Settings, pass: &StandingPass, user: Option<&Candidate>) -> DateTime<Utc> {
    let zone = settings.pass.zone(user.map(|user| user.account.place()).unwrap_or_default()).zone;
    let morning = pass.day_one.map(|day| opening(day.and_time(settings.pass.day_one_time), zone));
    morning.map_or(pass.opens_at, |morning| morning.max(pass.opens_at))
}

/// Whether a method that counts or a sign-in has such a time.
pub(super) fn shows_use(
    settings: &Settings,
    look: &Look,
    counts: impl Fn(Option<DateTime<Utc>>) -> bool,
) -> bool {
    let is_counted = |method: &&Method| settings.joiner_check.counts_method(&method.kind);
    let sign_in = look.last_sign_in.as_ref().and_then(|read| read.as_ref().ok()).copied().flatten();
    look.methods.iter().filter(is_counted).any(|method| counts(method.created_at))
        || sign_in.is_some_and(|at| counts(Some(at)))
}
