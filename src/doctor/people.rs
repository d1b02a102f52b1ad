//! Who starts in the next days, and what is missing in their data.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::findings::{Check, Report};
use crate::{
    app::App,
    budget,
    graph::{GraphError, Look, LookParts, page::Readable, users::Candidate},
    ledger::Standing,
    pass::{
        Job, Outcome, Skip, condition,
        day_one::{OddStamps, day_one, odd_stamps, stamps},
        forecast::{Forecast, Would, forecast},
        known_addresses::KnownAddresses,
        recipients::private_addresses,
    },
    settings::{Delivery, JoinerSource, MailTo, Settings},
};

/// For how many days from today people are examined.
const DAYS: u8 = 14;
/// The people who are looked at one by one: the first to start.
const LOOKED_AT: usize = 200;
/// How many of them at the same time.
const AT_ONCE: usize = 4;
/// How many one finding names.
const NAMED: usize = 10;

/// One of them.
pub(super) struct Joiner {
    user: Candidate,
    day: NaiveDate,
    /// Their groups; `None` if they were not read.
    groups: Option<Vec<Uuid>>,
    /// Whether they have a manager; `None` if that was not read.
    has_manager: Option<bool>,
    /// Why they get no pass, with what to do, as the flow decides it; `None` if that was not asked.
    blocked: Option<Option<(String, String)>>,
}

/// Somebody who starts in the next days.
pub(crate) struct Starting {
    pub(crate) user: Uuid,
    /// The first day.
    pub(crate) day: NaiveDate,
    /// What is missing in their data, or keeps them from a pass.
    pub(crate) missing: Vec<String>,
}

/// Who starts in the next days.
pub(crate) struct People {
    pub(super) joiners: Vec<Joiner>,
    /// How many there are in the source of joiners.
    pub(super) listed: usize,
    /// Whether the source had any within a year; not asked if there are some now.
    pub(super) has_others: bool,
    unread: Option<String>,
    known: KnownAddresses,
}

impl People {
    /// That they could not be read, and why.
    pub(crate) fn unread(why: String) -> Self {
        Self {
            joiners: Vec::new(),
            listed: 0,
            has_others: true,
            unread: Some(why),
            known: KnownAddresses::default(),
        }
    }

    pub(super) fn is_unread(&self) -> bool {
        self.unread.is_some()
    }

    /// Whether the groups of none of them were read.
    pub(super) fn has_no_groups(&self) -> bool {
        self.joiners.iter().all(|joiner| joiner.groups.is_none())
    }

    /// Reads them. What the flow would do with each is asked only with the app's `own` token: another's is refused.
    pub(crate) async fn read(app: &App, is_own: bool) -> Self {
        let (settings, now) = (&app.services.settings, app.services.clock.now());
        let candidates = match candidates(app, now).await {
            Ok(candidates) => candidates,
            Err(error) => return Self::unread(error.to_string()),
        };
        let listed = candidates.len();
        let has_others = listed > 0 || has_others(app, now).await;
        let last = condition::of_sweeps(&app.services).await;
        let known = KnownAddresses::of(settings, last.as_ref().and_then(|last| last.last_sweep.as_ref()));
        let today = (now - TimeDelta::hours(12)).date_naive();
        let days = today..=today + Days::new(u64::from(DAYS));
        let near = candidates.into_iter().filter_map(|user| {
            let zone = settings.pass.zone(user.account.place());
            let day = day_one(user.account.employee_hire_date?, settings.pass.hire_date_zone, zone);
            let is_served = Skip::of_account(user.sign_in(), &settings.pass).is_none();
            let joiner = Joiner { user, day, groups: None, has_manager: None, blocked: None };
            (days.contains(&day) && is_served).then_some(joiner)
        });
        let mut joiners: Vec<Joiner> = near.collect();
        joiners.sort_by_key(|joiner| (joiner.day, joiner.user.id));
        if is_own {
            let deadline = Instant::now() + budget::EXAMINED_LOOKS;
            let looked_at: Vec<(Uuid, NaiveDate)> =
                joiners.iter().take(LOOKED_AT).map(|joiner| (joiner.user.id, joiner.day)).collect();
            // Whoever was sent the pass for that day needs no forecast: what has changed since is a job's.
            let served = served(app, &joiners).await;
            let others: Vec<_> =
                looked_at.iter().filter(|(user, _)| !served.contains(user)).copied().collect();
            let (mut looks, mut blocked) =
                tokio::join!(looks(app, &looked_at, deadline), blocks(app, &others, deadline));
            blocked.extend(served.into_iter().map(|user| (user, None)));
            for joiner in &mut joiners {
                (joiner.groups, joiner.has_manager) = looks.remove(&joiner.user.id).unwrap_or_default();
                joiner.blocked = blocked.remove(&joiner.user.id);
            }
        }
        Self { joiners, listed, has_others, unread: None, known }
    }

    /// Why they could not be read.
    pub(crate) fn why_unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    /// They, the first to start first.
    pub(crate) fn starting(&self, settings: &Settings) -> Vec<Starting> {
        let starting = |joiner: &Joiner| Starting {
            user: joiner.user.id,
            day: joiner.day,
            missing: joiner.defects(settings, &self.known).into_iter().map(|(what, _)| what).collect(),
        };
        self.joiners.iter().map(starting).collect()
    }

    /// Says what is missing.
    pub(super) fn check(&self, app: &App, report: &mut Report) {
        const CHECK: Check = Check::People;
        let settings = &app.services.settings;
        if let Some(why) = &self.unread {
            report.not_asked(CHECK, format!("who starts in the next {DAYS} days is not known: {why}"));
            return;
        }
        self.stamps(settings, report);
        self.zones(settings, report);
        for joiner in &self.joiners {
            for (what, to_do) in joiner.defects(settings, &self.known) {
                report.warn_of(joiner.name(), format!("starts on {}: {what}", joiner.day), to_do);
            }
        }
        let count = self.joiners.len();
        let others = self.joiners.iter().filter(|joiner| joiner.blocked.is_none()).count();
        if others > 0 {
            let what = format!("of {others} of {count} people it was not asked whether they get a pass");
            report.not_asked(CHECK, what);
        } else if report.is_well(CHECK) {
            report.ok(CHECK, format!("{count} people start in the next {DAYS} days; nothing is missing"));
        }
    }

    /// Whether hire dates fit HIRE_DATE_ZONE.
    fn stamps(&self, settings: &Settings, report: &mut Report) {
        let stamps = self.joiners.iter().filter_map(|joiner| {
            Some((joiner.user.account.employee_hire_date?, settings.pass.zone(joiner.user.account.place())))
        });
        let rule = settings.pass.hire_date_zone;
        if let Some(OddStamps { odd, total, better }) = odd_stamps(stamps, rule, settings.pass.time_zone) {
            let to_do = better.map_or_else(
                || "ask how HR writes hire dates: no value of HIRE_DATE_ZONE fits more of them".to_owned(),
                |(better, fitting)| {
                    format!("set HIRE_DATE_ZONE={better}, which fits {fitting}, if HR writes them so")
                },
            );
            let what = format!(
                "{odd} of {total} hire dates are no midnight as HIRE_DATE_ZONE={rule} reads them: some first days may be a \
                 day off"
            );
            report.warn(Check::People, what, to_do);
        }
    }

    /// Whether the zone, and without a preferred language the language, is more than a default.
    fn zones(&self, settings: &Settings, report: &mut Report) {
        let is_default = |joiner: &&Joiner| {
            let place = joiner.user.account.place();
            place.usage_location.is_none() && !settings.pass.zones.iter().any(|rule| rule.applies(place))
        };
        let names: Vec<String> = self.joiners.iter().filter(is_default).map(Joiner::name).collect();
        if !names.is_empty() {
            report.warn(
                Check::People,
                format!(
                    "no usage location, so that the time zone is that of TIME_ZONE, {}, and the language that of LANGUAGE where \
                     the account names none: {}",
                    settings.pass.time_zone.name(),
                    listed(&names)
                ),
                "enter the usage location, or a rule in ZONES",
            );
        }
    }
}

/// The first names, and how many others there are.
pub(super) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        others => format!("{shown} and {others} more"),
    }
}

impl Joiner {
    /// Their own id, and those of all groups that they are in; `None` if the groups were not read.
    pub(super) fn ids(&self) -> Option<Vec<Uuid>> {
        Some(self.groups.as_ref()?.iter().copied().chain([self.user.id]).collect())
    }

    pub(super) fn name(&self) -> String {
        let name = self.user.user_principal_name.as_deref().map(str::to_owned);
        name.unwrap_or_else(|| self.user.id.to_string())
    }

    /// What keeps them from a pass, or somebody from hearing of it, with what to do.
    fn defects(&self, settings: &Settings, known: &KnownAddresses) -> Vec<(String, String)> {
        let Self { user, has_manager, blocked, .. } = self;
        let mut defects: Vec<(String, String)> = blocked.iter().flatten().cloned().collect();
        let addresses = private_addresses(user, &settings.mail);
        let is_usable =
            addresses.iter().any(|a| !user.has_mailbox(a) && known.is_usable(a, user, &settings.mail));
        let is_mailed = settings.mail.delivery != Delivery::Webhook;
        if blocked.is_none() && !is_usable && is_mailed && !settings.mail.to.contains(&MailTo::Manager) {
            let to_do = "enter a private address where MAIL_TO says (otherMails by default)";
            defects.push(("no usable private address".to_owned(), to_do.to_owned()));
        }
        let needs_manager = settings.mail.tells_manager() || settings.mail.names_manager_as_recipient();
        if *has_manager == Some(false) && needs_manager {
            let (what, to_do) = match settings.mail.names_manager_as_recipient() {
                true if settings.mail.delivery == Delivery::Split => (
                    "no manager who hands the code over",
                    "enter the manager in Entra ID, or change MAIL_CODE_TO",
                ),
                _ => ("no manager who can be told", "enter the manager in Entra ID, or change MAIL_CC"),
            };
            defects.push((what.to_owned(), to_do.to_owned()));
        }
        defects
    }
}

/// The groups and the manager of each.
async fn looks(
    app: &App,
    people: &[(Uuid, NaiveDate)],
    deadline: Instant,
) -> BTreeMap<Uuid, (Option<Vec<Uuid>>, Option<bool>)> {
    let wanted = LookParts { memberships: true, manager: true, ..LookParts::default() };
    let read = |id: Uuid, look: &Look| {
        let privileges = look.privileges.as_ref().and_then(|read| read.as_ref().ok());
        let manager = look.manager.as_ref().and_then(|read| read.as_ref().ok());
        (id, (privileges.map(|read| read.groups.clone()), manager.map(Option::is_some)))
    };
    let users = people.iter().map(|(user, _)| (*user, wanted)).collect();
    app.services.graph.look(users, deadline, read).await.into_iter().collect()
}

/// Whoever was sent the pass for their first day, and nothing is amiss, as the ledger lists it.
async fn served(app: &App, joiners: &[Joiner]) -> BTreeSet<Uuid> {
    let days: BTreeMap<Uuid, NaiveDate> = joiners.iter().map(|joiner| (joiner.user.id, joiner.day)).collect();
    let mut served = BTreeSet::new();
    let mut keep = |user: Uuid, standing: Standing| {
        let mailed = standing.mailed.map(|(day, _)| day);
        if mailed.is_some() && mailed.as_ref() == days.get(&user) && !standing.is_blocked {
            served.insert(user);
        }
    };
    // Without the ledger nobody is.
    match app.services.ledger.standings(&mut keep).await {
        Ok(()) => served,
        Err(_) => BTreeSet::new(),
    }
}

/// Why each gets no pass, if that is so: what the flow would decide when a sweep has found them.
async fn blocks(
    app: &App,
    people: &[(Uuid, NaiveDate)],
    deadline: Instant,
) -> BTreeMap<Uuid, Option<(String, String)>> {
    let lead = Days::new(u64::from(app.services.settings.lead_days));
    let ask = |(user, day): (Uuid, NaiveDate)| async move {
        let found_at = (day - lead).and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(24);
        let Forecast { would, .. } = forecast(&app.services, &Job::joiner(user, day), found_at).await.ok()?;
        let blocked = match would {
            // What blocks everybody is a finding of its own.
            Would::End(Outcome::Blocked(block)) if block.condition().is_none() => {
                let outcome = Outcome::Blocked(block);
                Some((outcome.to_string(), outcome.advice().unwrap_or_default()))
            }
            Would::NotAsked => return None,
            _ => None,
        };
        Some((user, blocked))
    };
    let asked = stream::iter(people.iter().copied()).map(ask).buffer_unordered(AT_ONCE);
    asked.take_until(sleep_until(deadline)).filter_map(std::future::ready).collect().await
}

/// Whether the source of joiners works although it has nobody now: somebody has a hire date within a year.
async fn has_others(app: &App, now: DateTime<Utc>) -> bool {
    let year = TimeDelta::days(365);
    match app.services.settings.joiners {
        JoinerSource::Group(_) => false,
        JoinerSource::HireDate => {
            app.services.graph.has_hired_between(now - year, now + year).await.unwrap_or(true)
        }
    }
}

async fn candidates(app: &App, now: DateTime<Utc>) -> Result<Vec<Candidate>, GraphError> {
    let Settings { joiners, pass, .. } = &app.services.settings;
    match joiners {
        JoinerSource::Group(group) => Ok(app.services.graph.members(*group).await?.users),
        JoinerSource::HireDate => {
            let (from, to) = stamps(0, DAYS, pass.hire_date_zone, now);
            let Readable { items, .. } = app.services.graph.hired_between(from, to).await?;
            Ok(items)
        }
    }
}
