//! Which users a sweep has work for: a pure rule over two listings, and over what a look at a user shows.
//!
//! Most joiners have been served, and nothing about them has changed: they cost nothing. When in doubt there is a job,
//! which reads everything and decides.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use super::standing::{Mark, Standing, StandingPass, Told};
use crate::{
    graph::{GraphError, Look, LookParts, Method, Pass, PrivilegeSnapshot, Usability, users::Candidate},
    ledger::{Purpose, Record, is_same_start},
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

/// Identifies what a listing shows of a user.
pub(super) fn seen(user: &Candidate) -> Mark {
    Mark::of(&user.fingerprint())
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
    let is_changed = known.candidate.is_some_and(|user| standing.seen != Some(seen(user)));
    // Who waits for the mailbox is held back elsewhere while it is shut.
    let waits = standing.has_cause(Record::MAILBOX_SHUT);
    if standing.is_unfinished {
        return if is_changed || is_daily || is_soon || standing.has_waited || waits {
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
        return may_appear(standing);
    }
    let for_day = |pass: &&StandingPass| pass.purpose == Purpose::Joiner && pass.day_one == known.day;
    match (known.day, &standing.pass) {
        _ if (is_changed || waits) && (known.day.is_some() || standing.is_open) => Due::Job,
        _ if is_daily && standing.is_blocked && standing.is_open => Due::Job,
        // The address may count again for a reason that no listing shows.
        _ if is_daily && standing.has_cause(Block::AddressRemoved.cause()) => Due::Job,
        (Some(_), Some(pass)) if for_day(&pass) => delivered(settings, known, standing, pass, is_daily, now),
        (Some(_), _) if is_daily || is_soon => Due::Job,
        (Some(_), _) => may_appear(standing),
        (None, _) if !standing.is_open => Due::Nothing,
        (None, Some(pass)) if pass.purpose == Purpose::Joiner => {
            delivered(settings, known, standing, pass, is_daily, now)
        }
        // A pass on demand that the withdrawal of a start would end, or one that nobody was sent.
        (None, _) => {
            let passes = standing.may_appear;
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
    let manager = is_daily && (mail.tells_manager() || mail.names_manager_as_recipient());
    let leave_date = is_daily && standing.told.is_some_and(|told| told.leave_date.is_some());
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
        let passes = left <= LAST_DAY || !memberships || standing.may_appear;
        return match may_appear(standing) {
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
        may_appear(standing)
    } else if !can_show_arrival {
        // Once, to note that.
        if is_daily && now - pass.ends_at >= REPORT_LAG { Due::Job } else { may_appear(standing) }
    } else {
        Due::Look(LookParts { manager: false, leave_date: false, ..since_opening })
    }
}

/// A pass that nobody was sent may appear: then a job revokes it.
fn may_appear(standing: &Standing) -> Due {
    if standing.may_appear {
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
        Some(Ok(Some(user))) if standing.seen == Some(seen(user)) => Some(user),
        Some(_) => return true,
    };
    let id = standing.pass.map(|pass| pass.id);
    let is_other = |listed: &Pass| Some(Mark::of(&listed.id)) != id && listed.can_be_used(now);
    if standing.may_appear && passes.into_iter().flatten().any(is_other) {
        return true;
    }
    let Some(pass) = standing.pass.as_ref().filter(|pass| pass.purpose == Purpose::Joiner) else {
        return false;
    };
    if now < pass.ends_at && look.privileges.as_ref().is_some_and(|read| is_privileged(settings, read)) {
        return true;
    }
    let told = standing.told.filter(|told| told.is_comparable);
    if now < pass.ends_at
        && told.is_some_and(|told| has_new_manager(known.id, told, look) || has_new_end(known.id, told, look))
    {
        return true;
    }
    let Some(passes) = passes else { return false };
    let listed = passes.iter().find(|listed| Mark::of(&listed.id) == pass.id);
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
            && !standing.has_cause("still-disabled");
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
fn has_new_manager(user: Uuid, told: Told, look: &Look) -> bool {
    let Some(Ok(Some(manager))) = &look.manager else { return false };
    let manager = basis::of_manager(user, manager).map(|manager| Mark::of(&manager));
    manager.is_some() && told.manager != manager
}

/// Whether the user has another last day than at the time of the mail.
fn has_new_end(user: Uuid, told: Told, look: &Look) -> bool {
    let Some(Ok(leave_date)) = look.leave_date else { return false };
    told.leave_date != Some(Mark::of(&basis::of_leave_date(user, leave_date)))
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

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::{
        environment::Environment,
        functions::sweep_joiners::standing::is_read,
        ledger::{self, Announcement, Delivered, Lease, PassRecord, State},
    };

    /// Whose record is not kept has no work, whatever is in it.
    #[test]
    fn without_a_record_that_no_rule_reads_nothing_is_missed() {
        let env = Environment::from_iter([
            ("MAIL_FROM", "welcome@contoso.example"),
            ("LEDGER_URL", "https://contoso.blob.core.windows.net/ledger"),
        ]);
        let settings = Settings::read(&env).unwrap();
        let now: DateTime<Utc> = "2026-11-22T05:00:00Z".parse().unwrap();
        let ago = |days: i64| now - TimeDelta::days(days);
        let purposes = [Purpose::Joiner, Purpose::OnDemand, Purpose::Http];
        let states = [State::Issuing, State::Delivered, State::Blocked, State::Failed, State::Revoked];
        let causes = [None, Some(Record::DELETED), Some(Record::MAILBOX_SHUT), Some("still-disabled")];
        let causes = causes.into_iter().chain([Some(Block::AddressRemoved.cause())]);
        let (mut dropped, mut kept) = (0, 0);
        for (state, purpose, cause) in states.into_iter().flat_map(|state| {
            let causes = causes.clone();
            purposes
                .into_iter()
                .flat_map(move |purpose| causes.clone().map(move |cause| (state, purpose, cause)))
        }) {
            let times = [None, Some(100), Some(50), Some(5), Some(-2)];
            for (ended, leased, arrived) in times.into_iter().flat_map(|ended| {
                times.into_iter().flat_map(move |leased| times.map(|arrived| (ended, leased, arrived)))
            }) {
                let mut record = Record::new(state, purpose, now);
                record.cause = cause.map(str::to_owned);
                record.arrived_at = arrived.map(ago);
                record.lease = leased.map(|days| Lease {
                    job_key: "joiner/1".into(),
                    purpose,
                    since: ago(days + 3),
                    opens_at: Some(ago(days)),
                    told_at: None,
                    lifetime_minutes: 480,
                    unknown: Map::new(),
                });
                record.delivered = ended.map(|days| Delivered {
                    pass: PassRecord {
                        pass_id: "p".into(),
                        opens_at: ago(days + 1),
                        ends_at: ago(days),
                        one_time: true,
                        unknown: Map::new(),
                    },
                    at: ago(days + 7),
                    purpose,
                    day_one: Some(ago(days + 1).date_naive()),
                    after_withdrawal: false,
                    language: None,
                    recipients: Vec::new(),
                    address: None,
                    follows_on: None,
                    told_at: None,
                    notes: None,
                });
                record.announcement = ended
                    .map(|days| Announcement::new(ago(days + 1).date_naive(), true, Some(ago(days + 7))));
                let listed = ledger::Standing::from(&record);
                if is_read(&listed, now) {
                    kept += 1;
                    continue;
                }
                dropped += 1;
                let standing = Standing::new(
                    &listed,
                    None,
                    &settings.pass,
                    listed.cause.as_deref().map(Into::into),
                    now,
                );
                let known = Known { id: Uuid::nil(), candidate: None, day: None, standing: Some(&standing) };
                for is_daily in [false, true] {
                    assert_eq!(due(&settings, known, is_daily, now), Due::Nothing, "{record:?}");
                }
            }
        }
        assert!(dropped > 1_000 && kept > 1_000, "{dropped} {kept}");
    }
}
