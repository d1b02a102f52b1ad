//! Joiners whose first day is past and who were never sent a pass: HR entered them late, or no sweep ran for a while.
//!
//! The first sweep of an installation serves none of them, because somebody else did before. Every later one serves whoever
//! is at most LATE_DAYS late, and names the others to a person, once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    due::shows_use,
    standing::{Standing, Standings},
};
use crate::{
    app::App,
    budget,
    graph::{Look, LookParts, users::Candidate},
    ledger::{Conditions, LastSweep, Purpose, is_same_start},
    pass::{
        Position, Skip,
        alert::Alert,
        cap::NAMES_IN_ALERT,
        day_one::{Distance, days_since, distance},
        window::serves,
    },
    settings::{Settings, SignInCheck},
    zone::Tz,
};

/// Sweeps run daily at least. One may start a little later than the day before.
const GAP: TimeDelta = TimeDelta::hours(26);
/// Whoever is later than LATE_DAYS by at most so many days is named to a person.
const NAMED_DAYS: i64 = 30;
/// How far back a sweep looks after a gap.
const LOOK_BACK_MAX: i64 = 90;

/// How many days before today a first day can be with which a sweep still has to do something.
pub(super) fn look_back(settings: &Settings, last: Option<&Conditions>, now: DateTime<Utc>) -> u64 {
    let last = last.and_then(|last| last.last_sweep.as_ref()).map(LastSweep::acted_at);
    let gap = last.map_or(0, |at| (now - at).num_days() + 1);
    let days = (i64::from(settings.late_days) + NAMED_DAYS).max(gap);
    days.clamp(0, LOOK_BACK_MAX).unsigned_abs()
}

/// What a sweep does about them.
#[derive(Debug)]
pub(super) struct Late {
    /// Who gets a pass, at once.
    pub(super) due: BTreeSet<(NaiveDate, Uuid)>,
    /// Who is more than LATE_DAYS late.
    pub(super) too_late: Vec<(NaiveDate, Uuid)>,
    /// Whom the first sweep of an installation leaves out.
    pub(super) before_first: Vec<(NaiveDate, Uuid)>,
    /// What the next sweep has to know, once this one has ended well.
    pub(super) sweep: LastSweep,
    is_first: bool,
    arrived: Vec<(NaiveDate, Uuid)>,
    alert: Option<Alert>,
}

impl Late {
    /// Tells a person whom no sweep serves. Later sweeps leave them alone then.
    pub(super) async fn tell(&mut self, app: &App) {
        let is_told = match &self.alert {
            Some(alert) => app.services.alert(alert).await,
            None => true,
        };
        let too_late = self.too_late.iter().filter(|_| is_told);
        let settled = self.arrived.iter().chain(&self.before_first).chain(too_late);
        self.sweep.settled.extend(settled.map(|(day, user)| (*user, *day)));
    }

    /// Whether this is the first sweep of an installation.
    pub(super) fn is_first(&self) -> bool {
        self.is_first
    }
}

/// A joiner whose first day is past and who was never sent a pass.
#[derive(Clone, Copy)]
struct Missed<'a> {
    user: &'a Candidate,
    day: NaiveDate,
    /// Whether the day is more than LATE_DAYS ago.
    is_too_late: bool,
    /// Whether a person was told why a job made no pass.
    is_told: bool,
}

/// Finds them among `days`, the first days of the candidates. Of the rest of a sweep, those `after` the last user who was queued: a
/// person was told already.
pub(super) async fn find<'a>(
    app: &App,
    days: &[(&'a Candidate, NaiveDate, Tz)],
    standings: &Standings,
    conditions: &Conditions,
    after: Option<Position>,
    now: DateTime<Utc>,
) -> Late {
    let settings = &app.services.settings;
    let last = conditions.last_sweep.as_ref();
    // The members of a group are not limited by their hire dates.
    let look_back = self::look_back(settings, Some(conditions), now).cast_signed();
    let mut settled = last.map(|last| last.settled.clone()).unwrap_or_default();
    // Longer than anybody is looked for, in any zone.
    settled.retain(|_, day| (now.date_naive() - *day).num_days() <= LOOK_BACK_MAX + 7);
    let is_served = |user: &Candidate| Skip::of_account(user.sign_in(), &settings.pass).is_none();
    let missed = days
        .iter()
        .filter(|(user, day, zone)| {
            distance(*day, *zone, settings.lead_days, now) == Distance::Past
                && days_since(*day, *zone, now) <= look_back
                && is_served(user)
                && after.is_none_or(|after| Position { day: Some(*day), user: user.id } > after)
                && !settled.get(&user.id).is_some_and(|settled| is_same_day(*settled, *day))
                && was_missed(standings.get(&user.id), *day, now)
        })
        .map(|(user, day, zone)| {
            let is_too_late = days_since(*day, *zone, now) > settings.late_days.into();
            let standing = standings.get(&user.id);
            let is_told = standing.is_some_and(|standing| was_told(standing, *day, now));
            Missed { user, day: *day, is_too_late, is_told }
        });
    let mut missed: Vec<Missed<'a>> = missed.collect();
    missed.sort_by_key(|missed| (missed.day, missed.user.id));
    let uses = in_use(app, &missed).await;
    let of = |is_in_use: bool| -> Vec<Missed<'a>> {
        missed.iter().filter(|missed| uses.get(&missed.user.id) == Some(&is_in_use)).copied().collect()
    };
    // Whoever could not be looked at waits for the next sweep.
    let (arrived, missed) = (of(true), of(false));
    let (too_late, late): (Vec<_>, Vec<_>) = missed.into_iter().partition(|missed| missed.is_too_late);
    let untold = |missed: &[Missed<'a>]| -> Vec<Missed<'a>> {
        missed.iter().filter(|missed| !missed.is_told).copied().collect()
    };
    let alert = match last {
        _ if after.is_some() => None,
        None => first(&untold(&late), settings, standings.records() > 0, now),
        Some(last) if now - last.at > GAP => gap(&untold(&late), &untold(&too_late), last, settings, now),
        Some(_) => unserved(&untold(&too_late), settings, now),
    };
    let starts = |missed: &[Missed<'a>]| missed.iter().map(|missed| (missed.day, missed.user.id)).collect();
    let is_first = last.is_none();
    // The first sweep of an installation mails nobody who has started.
    let (due, before_first) = if is_first { (Vec::new(), late) } else { (late, Vec::new()) };
    let unknown = last.map(|last| last.unknown.clone()).unwrap_or_default();
    // One that does not act serves nobody and tells of nobody: the next one that does looks back as far as it would have had to.
    let acted_at = Skip::of_mode(settings.mode).and(last.map(LastSweep::acted_at));
    let (domains, shared) = last.map(|last| (last.domains.clone(), last.shared.clone())).unwrap_or_default();
    Late {
        due: due.iter().map(|missed| (missed.day, missed.user.id)).collect(),
        too_late: starts(&too_late),
        before_first: starts(&before_first),
        sweep: LastSweep { at: now, acted_at, ended_at: None, jobs: 0, settled, domains, shared, unknown },
        is_first,
        arrived: starts(&arrived),
        alert,
    }
}

/// Whether two first days are one that HR did not change: a setting, or the country, can move a date by a day.
fn is_same_day(one: NaiveDate, other: NaiveDate) -> bool {
    (one - other).abs() <= TimeDelta::days(1)
}

/// Whether a person was told of this start why a job made no pass.
fn was_told(standing: &Standing, day: NaiveDate, now: DateTime<Utc>) -> bool {
    let since = |at: DateTime<Utc>| is_same_start(at, Some(day)) && at <= now;
    standing.purpose == Purpose::Joiner && standing.blocked_at.is_some_and(since)
}

/// Whether the user has neither arrived for this day nor been sent a pass that they could use by now.
fn was_missed(standing: Option<&Standing>, day: NaiveDate, now: DateTime<Utc>) -> bool {
    let Some(standing) = standing else { return true };
    // The sweep finishes these jobs in any case.
    if standing.is_unfinished {
        return false;
    }
    let is_for_start = |at: DateTime<Utc>| is_same_start(at, Some(day));
    let has_arrived = standing.arrived_at.is_some_and(is_for_start);
    let was_sent = standing.pass.as_ref().is_some_and(|pass| {
        pass.day_one == Some(day) || (pass.opens_at <= now && serves(pass.purpose, pass.opens_at, day))
    });
    !has_arrived && !was_sent
}

/// Whether a sweep reads anything that shows use of an account.
fn reads_use(settings: &Settings) -> bool {
    settings.joiner_check.methods || settings.joiner_check.sign_ins != SignInCheck::Off
}

/// Who is in the account already, by another way, and who is not. Of whom nothing could be read this time there is no entry;
/// what the app may not read is for a job to say.
async fn in_use(app: &App, missed: &[Missed<'_>]) -> BTreeMap<Uuid, bool> {
    let settings = &app.services.settings;
    let check = &settings.joiner_check;
    let sign_ins = check.sign_ins != SignInCheck::Off;
    if !reads_use(settings) {
        return missed.iter().map(|missed| (missed.user.id, false)).collect();
    }
    let days: BTreeMap<Uuid, NaiveDate> = missed.iter().map(|missed| (missed.user.id, missed.day)).collect();
    let parts = LookParts { passes: check.methods, methods: check.methods, sign_ins, ..LookParts::default() };
    let looks = missed.iter().map(|missed| (missed.user.id, parts)).collect();
    let use_of = |user: Uuid, look: &Look| {
        let day = days.get(&user).copied();
        // An older use is that of an earlier start: a person decides.
        let is_in_use = shows_use(settings, look, |at| at.is_none_or(|at| is_same_start(at, day)));
        let is_unread = look
            .passes
            .as_ref()
            .and_then(|read| read.as_ref().err())
            .is_some_and(|error| error.is_transient());
        (is_in_use || !is_unread).then_some((user, is_in_use))
    };
    let looked = app.services.graph.look(looks, Instant::now() + budget::SWEEP_LATE_LOOK, use_of).await;
    looked.into_iter().flatten().collect()
}

/// The alert of the first sweep, if there is somebody to name.
fn first(late: &[Missed<'_>], settings: &Settings, is_known: bool, now: DateTime<Utc>) -> Option<Alert> {
    let (people, get) = count(late);
    let why = if is_known {
        "This is the first sweep that looks for people whose first day is past, and it mails none of them a pass: earlier \
         versions left them out, and somebody else may have served them."
    } else {
        "This is the first sweep of this installation. It mails a pass to nobody whose first day is past, because they started \
         before firstpass was here."
    };
    (!late.is_empty()).then(|| Alert {
        kind: "first-sweep",
        headline: format!("First sweep: {people} started already and {get} no pass"),
        who: names(late),
        what_happened: format!("{why} {}", shown(settings)),
        what_to_do: format!("Ask whether they can sign in. {BY_HAND} firstpass does not come back to them."),
        reference: format!("sweep of {now:.0}"),
    })
}

/// Logs a time without sweeps; with the alert about it, if it concerns somebody.
fn gap(
    late: &[Missed<'_>],
    too_late: &[Missed<'_>],
    last: &LastSweep,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Option<Alert> {
    let since = now - last.at;
    tracing::warn!(
        event = "sweep.gap",
        last = %last.at,
        hours = since.num_hours(),
        late = late.len(),
        too_late = too_late.len(),
        "No sweep ended well for more than a day"
    );
    let duration = match since.num_days() {
        0 | 1 => format!("{} hours", since.num_hours()),
        days => format!("{days} days"),
    };
    let mut what_happened = format!(
        "The last sweep before this one that ended well ran at {} UTC.",
        last.at.format("%Y-%m-%d %H:%M")
    );
    let mut who: Vec<String> = Vec::new();
    if !late.is_empty() {
        what_happened += &format!(
            " {} started meanwhile without a pass and get one now, if SWEEP_MAX allows.",
            late.len()
        );
        who.push(names(late));
    }
    if !too_late.is_empty() {
        what_happened += &format!(
            " {} started more than {} days ago (LATE_DAYS) and get none.",
            too_late.len(),
            settings.late_days
        );
        who.push(format!("without a pass: {}", names(too_late)));
    }
    let by_hand = if too_late.is_empty() { "" } else { BY_HAND };
    (!who.is_empty()).then(|| Alert {
        kind: "sweep-gap",
        headline: format!("There was no sweep for {duration}"),
        who: who.join("; "),
        what_happened,
        what_to_do: format!(
            "Find out why: the function app was stopped, its sweeps failed, or SWEEP_SCHEDULE leaves out days. {by_hand}"
        )
        .trim_end()
        .to_owned(),
        reference: format!("sweep of {now:.0}"),
    })
}

/// The alert about people who are too late, if there are any.
fn unserved(too_late: &[Missed<'_>], settings: &Settings, now: DateTime<Utc>) -> Option<Alert> {
    let (people, get) = count(too_late);
    (!too_late.is_empty()).then(|| Alert {
        kind: "too-late",
        headline: format!("{people} started long ago and {get} no pass"),
        who: names(too_late),
        what_happened: format!(
            "Their first day was more than {} days ago (LATE_DAYS) when a sweep first saw it. {}",
            settings.late_days,
            shown(settings)
        ),
        what_to_do: format!("Ask whether they can sign in. {BY_HAND} firstpass does not come back to them."),
        reference: format!("sweep of {now:.0}"),
    })
}

/// What is known of their accounts.
fn shown(settings: &Settings) -> &'static str {
    if reads_use(settings) {
        "Nothing shows that these people are in their accounts."
    } else {
        "Whether they are in their accounts was not read (JOINER_CHECK)."
    }
}

/// "1 person has" and "gets", "2 people have" and "get".
fn count(missed: &[Missed<'_>]) -> (String, &'static str) {
    match missed.len() {
        1 => ("1 person has".to_owned(), "gets"),
        count => (format!("{count} people have"), "get"),
    }
}

const BY_HAND: &str = "Whoever cannot gets a pass by the on-demand group or by CreateTap.";

/// The sign-in names with the first days, the latest first day first.
fn names(missed: &[Missed<'_>]) -> String {
    let name = |missed: &Missed<'_>| format!("{} ({})", missed.user.name(), missed.day);
    let mut names: Vec<String> = missed.iter().rev().take(NAMES_IN_ALERT).map(name).collect();
    if missed.len() > names.len() {
        names.push(format!("{} more", missed.len() - names.len()));
    }
    names.join(", ")
}
