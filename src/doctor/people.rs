//! Who starts in the next days, and what is missing in their data.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::findings::{Check, Report};
use crate::{
    app::App,
    budget,
    graph::{GraphError, Look, LookParts, page::Readable, users::Candidate},
    pass::{
        Skip, condition,
        day_one::{OddStamps, day_one, odd_stamps, stamps},
        guard::{self, PrivilegeFinding},
        known_addresses::KnownAddresses,
        recipients::private_addresses,
    },
    settings::{JoinerSource, MailTo, Settings},
};

/// For how many days from today people are examined.
const DAYS: u8 = 14;
/// The people who are looked at one by one: the first to start.
const LOOKED_AT: usize = 200;

/// One of them.
pub(super) struct Joiner {
    user: Candidate,
    day: NaiveDate,
    /// What was read of them; `None` without an answer.
    look: Option<Known>,
}

/// What a look shows.
struct Known {
    groups: Option<Vec<Uuid>>,
    privilege: Option<String>,
    methods: Vec<String>,
    manager: Option<bool>,
}

/// Who starts in the next days.
pub(super) struct People {
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
    pub(super) fn unread(why: String) -> Self {
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

    /// Reads them. Privileges, methods and managers are read only by the app's `own` token: another's is refused.
    pub(super) async fn read(app: &App, is_own: bool) -> Self {
        let (settings, now) = (&app.services.settings, app.services.clock.now());
        let candidates = match candidates(app, now).await {
            Ok(candidates) => candidates,
            Err(error) => return Self::unread(error.to_string()),
        };
        let listed = candidates.len();
        let has_others = listed > 0 || has_others(app, now).await;
        let last = condition::of_sweeps(&app.services).await;
        let known = KnownAddresses::of(settings, last.as_ref().and_then(|last| last.last_sweep.as_ref()));
        let mut joiners: Vec<Joiner> = candidates
            .into_iter()
            .filter_map(|user| {
                let stamp = user.account.employee_hire_date?;
                let zone = settings.pass.zone(user.account.place());
                let day = day_one(stamp, settings.pass.hire_date_zone, zone);
                let today = (now - TimeDelta::hours(12)).date_naive();
                let is_near = (today..=today + TimeDelta::days(i64::from(DAYS))).contains(&day);
                let is_served = Skip::of_account(user.sign_in(), &settings.pass).is_none();
                (is_near && is_served).then_some(Joiner { user, day, look: None })
            })
            .collect();
        joiners.sort_by_key(|joiner| (joiner.day, joiner.user.id));
        if is_own {
            let wanted = LookParts {
                passes: settings.joiner_check.methods,
                methods: settings.joiner_check.methods,
                memberships: true,
                manager: true,
                ..LookParts::default()
            };
            let ids = joiners.iter().take(LOOKED_AT).map(|joiner| (joiner.user.id, wanted)).collect();
            let deadline = Instant::now() + budget::EXAMINED_LOOKS;
            let looks =
                app.services.graph.look(ids, deadline, |id, look| (id, Known::of(settings, look))).await;
            let mut looks: BTreeMap<Uuid, Known> = looks.into_iter().collect();
            for joiner in &mut joiners {
                joiner.look = looks.remove(&joiner.user.id);
            }
        }
        Self { joiners, listed, has_others, unread: None, known }
    }

    /// Says what is missing.
    pub(super) fn check(&self, app: &App, report: &mut Report) {
        let settings = &app.services.settings;
        if let Some(why) = &self.unread {
            report
                .not_asked(Check::People, format!("who starts in the next {DAYS} days is not known: {why}"));
            return;
        }
        self.stamps(settings, report);
        for joiner in &self.joiners {
            let name = joiner.name();
            for (what, to_do) in joiner.defects(settings, &self.known) {
                report.warn_of(name.clone(), what, to_do);
            }
        }
        if report.is_well(Check::People) {
            let count = self.joiners.len();
            let looked = self.joiners.iter().filter(|joiner| joiner.look.is_some()).count();
            let part = match count - looked {
                0 => String::new(),
                others => format!("; privileges, methods and managers of {others} of them were not asked"),
            };
            report.ok(
                Check::People,
                format!("{count} people start in the next {DAYS} days; nothing is missing{part}"),
            );
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
                "{odd} of {total} hire dates are no midnight as HIRE_DATE_ZONE={rule} reads them: some first days may be a day off"
            );
            report.warn(Check::People, what, to_do);
        }
    }
}

impl Known {
    fn of(settings: &Settings, look: &Look) -> Self {
        let privileges = look.privileges.as_ref().and_then(|read| read.as_ref().ok());
        let is_protected = privileges
            .is_some_and(|read| settings.protected_group.is_some_and(|group| read.groups.contains(&group)));
        let privilege = privileges
            .and_then(guard::finding)
            .filter(|finding| !matches!(finding, PrivilegeFinding::Unknown(_)))
            .map(|finding| finding.to_string());
        let counts = |kind: &&String| settings.joiner_check.counts_method(kind);
        Self {
            groups: privileges.map(|read| read.groups.clone()),
            privilege: privilege.or_else(|| {
                is_protected.then(|| "the account is in the group of PROTECTED_GROUP_ID".to_owned())
            }),
            methods: look.methods.iter().map(|method| &method.kind).filter(counts).cloned().collect(),
            manager: look.manager.as_ref().and_then(|read| read.as_ref().ok()).map(Option::is_some),
        }
    }
}

impl Joiner {
    /// Their own id, and those of all groups that they are in; `None` if the groups were not read.
    pub(super) fn ids(&self) -> Option<Vec<Uuid>> {
        let groups = self.look.as_ref()?.groups.as_ref()?;
        Some(groups.iter().copied().chain([self.user.id]).collect())
    }

    pub(super) fn name(&self) -> String {
        let name = self.user.user_principal_name.as_deref().map(str::to_owned);
        name.unwrap_or_else(|| self.user.id.to_string())
    }

    /// What keeps them from a pass, or from one at the right time, with what to do.
    fn defects(&self, settings: &Settings, known: &KnownAddresses) -> Vec<(String, String)> {
        let Self { user, day, look } = self;
        let mut defects = Vec::new();
        let mut add =
            |what: String, to_do: &str| defects.push((format!("starts on {day}: {what}"), to_do.to_owned()));
        let addresses = private_addresses(user, &settings.mail);
        let is_usable =
            addresses.iter().any(|a| !user.has_mailbox(a) && known.is_usable(a, user, &settings.mail));
        let manager = look.as_ref().and_then(|look| look.manager);
        let goes_to_manager = settings.mail.to.contains(&MailTo::Manager) && manager != Some(false);
        if !is_usable && !goes_to_manager {
            let what =
                if addresses.is_empty() { "no private address" } else { "no private address that counts" };
            add(what.to_owned(), "enter a private address where MAIL_TO says (otherMails by default)");
        }
        if manager == Some(false)
            && (settings.mail.copies_manager() || settings.mail.names_manager_as_recipient())
        {
            add("no manager who can be told".to_owned(), "enter the manager in Entra ID, or change MAIL_CC");
        }
        let place = user.account.place();
        let is_default = settings.pass.zone(place).zone == settings.pass.time_zone;
        if place.usage_location.is_none() && is_default {
            add(
                format!(
                    "no usage location, so that the time zone is that of TIME_ZONE, {}",
                    settings.pass.time_zone.name()
                ),
                "enter the usage location, or a rule in ZONES",
            );
        }
        let Some(look) = look else { return defects };
        if let Some(privilege) = &look.privilege {
            add(
                format!("gets no pass: {privilege}"),
                "give them a way in by hand, or take the privilege away until they are in",
            );
        }
        if !look.methods.is_empty() {
            let methods = look.methods.join(", ");
            add(
                format!("the account seems to be in use: registered methods ({methods})"),
                "if HR registers such methods ahead, name them in JOINER_CHECK_IGNORES; else find out who uses the account",
            );
        }
        defects
    }
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
