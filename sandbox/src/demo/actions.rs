//! The actions of the page's buttons.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use firstpass::zone::Tz;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    history::{Event, EventDetail, PassCreator, Removal},
    progress::Progress,
    report::Report,
    setup::{Setup, VirtualTime},
    sweep::{next_sweep, run_sweep, start_observed_host},
};
use crate::{
    functions_host::encode_base64,
    tenant::{
        Fault, FaultKind, Tenant,
        samples::{ON_DEMAND_GROUP, midnight},
    },
};

/// An action of a person or of time.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// An admin runs the sweep manually.
    Sweep,
    /// An admin adds a user to the on-demand group.
    OnDemand(Uuid),
    /// HR moves a user's first day.
    Move(Uuid, NaiveDate),
    /// HR removes a user's first day.
    Cancel(Uuid),
    /// A user signs in with this pass.
    SignIn(Uuid),
    /// The next request that sends a mail or creates a pass meets a fault.
    Fault {
        /// `true`: the request that sends a mail; `false`: the request that creates a pass.
        mail: bool,
        /// `true`: the request is throttled; `false`: its response is lost.
        throttled: bool,
    },
    /// The clock advances by so many hours; due sweeps run.
    Forward(i64),
}

/// Why a request for an action is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionError {
    /// No action has this name.
    Unknown,
    /// Everything that is wrong with the body.
    Problems(Vec<String>),
}

/// The latest first day that HR can set, from today.
const MAX_AHEAD: TimeDelta = TimeDelta::days(60);
/// The number of hours that one action can skip.
const HOURS: std::ops::RangeInclusive<i64> = 1..=7 * 24;
/// The time from a change by HR to the next sweep. Replicas lag up to ten minutes, and the app waits for them.
const REPLICATION_DELAY: TimeDelta = TimeDelta::minutes(15);

impl Action {
    /// Parses the action `name` with the fields of a JSON object.
    ///
    /// # Errors
    /// [`ActionError`]: the name is unknown, or the body is wrong.
    pub fn parse(name: &str, body: &[u8], setup: &Setup) -> Result<Self, ActionError> {
        let mut fields = Fields::read(body, setup).map_err(|problem| ActionError::Problems(vec![problem]))?;
        let action = match name {
            "sweep" => Some(Self::Sweep),
            "forward" => fields.hours().map(Self::Forward),
            "on-demand" => fields.user().map(Self::OnDemand),
            "cancel" => fields.user().map(Self::Cancel),
            "sign-in" => fields.pass().map(Self::SignIn),
            "move" => {
                let (user, date) = (fields.user(), fields.date());
                user.zip(date).map(|(user, date)| Self::Move(user, date))
            }
            "fault" => {
                let mail = fields.choice("request", ["mail", "pass"]);
                let throttled = fields.choice("kind", ["throttled", "lost"]);
                mail.zip(throttled).map(|(mail, throttled)| Self::Fault { mail, throttled })
            }
            _ => return Err(ActionError::Unknown),
        };
        let problems = fields.finish();
        action.filter(|_| problems.is_empty()).ok_or(ActionError::Problems(problems))
    }
}

struct Fields<'a> {
    setup: &'a Setup,
    fields: Map<String, Value>,
    problems: Vec<String>,
}

impl<'a> Fields<'a> {
    fn read(body: &[u8], setup: &'a Setup) -> Result<Self, String> {
        let fields = serde_json::from_slice(body).map_err(|_| "the body is not a JSON object".to_owned())?;
        Ok(Self { setup, fields, problems: Vec::new() })
    }

    fn finish(mut self) -> Vec<String> {
        self.problems
            .extend(self.fields.keys().map(|name| format!("{name:?} is not a field of this action")));
        self.problems
    }

    fn problem<T>(&mut self, what: impl Into<String>) -> Option<T> {
        self.problems.push(what.into());
        None
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.fields.remove(name) {
            Some(Value::String(text)) => Some(text),
            Some(_) => self.problem(format!("{name} is not a text")),
            None => self.problem(format!("{name} is missing")),
        }
    }

    /// The user with this object id or sign-in name; not a shared mailbox.
    fn user(&mut self) -> Option<Uuid> {
        let key = self.text("user")?;
        let found = self.setup.sandbox.edit(|tenant| {
            tenant.find_user(&key).map(|person| person.id).filter(|id| !tenant.mailboxes.contains(id))
        });
        found.or_else(|| self.problem("user is not in this tenant: give an object id or a sign-in name"))
    }

    fn pass(&mut self) -> Option<Uuid> {
        let id = self.text("pass")?.parse().ok();
        let known = |id: &Uuid| self.setup.history().passes.iter().any(|record| record.pass.id == *id);
        id.filter(known).or_else(|| self.problem("pass is not the id of a pass in this tenant"))
    }

    fn date(&mut self) -> Option<NaiveDate> {
        let Ok(date) = self.text("date")?.parse::<NaiveDate>() else {
            return self.problem("date is not a calendar date such as 2026-11-30");
        };
        let today = self.setup.sandbox.now().date_naive();
        if (today..=today + MAX_AHEAD).contains(&date) {
            return Some(date);
        }
        self.problem(format!("date must be from {today} to {}", today + MAX_AHEAD))
    }

    fn hours(&mut self) -> Option<i64> {
        match self.fields.remove("hours").map(|hours| hours.as_i64()) {
            Some(Some(hours)) if HOURS.contains(&hours) => Some(hours),
            Some(_) => self.problem(format!("hours must be from {} to {}", HOURS.start(), HOURS.end())),
            None => self.problem("hours is missing"),
        }
    }

    /// `true` for the first word, `false` for the second.
    fn choice(&mut self, name: &str, words: [&str; 2]) -> Option<bool> {
        let word = self.text(name)?;
        match words.iter().position(|known| *known == word) {
            Some(at) => Some(at == 0),
            None => self.problem(format!("{name} is neither {} nor {}", words[0], words[1])),
        }
    }
}

impl Setup {
    /// Runs the first sweep of the demo.
    ///
    /// # Errors
    /// When the sweep fails.
    pub async fn run_first_sweep(&self, progress: &Progress) -> Result<Report, String> {
        let _time = VirtualTime::begin();
        let at = self.sandbox.now();
        let report = run_sweep(self, progress).await?;
        let lines = report.rows.iter().cloned().map(EventDetail::Job).collect();
        let title = "The daily sweep ran".to_owned();
        self.history().events.push(Event { at, title, user: None, lines });
        Ok(report)
    }

    /// Runs the action in virtual time, so that it does not wait for redeliveries. Actions run one at a time.
    pub async fn run(&self, action: Action) {
        let _turn = self.turn.lock().await;
        let _time = VirtualTime::begin();
        let at = self.sandbox.now();
        let (title, user, lines) = match action {
            Action::Sweep => ("The sweep was run by hand".to_owned(), None, self.sweep().await),
            Action::Forward(hours) => {
                let title =
                    if hours == 24 { "A day went by".to_owned() } else { format!("{hours} hours went by") };
                (title, None, self.advance_with_sweeps(TimeDelta::hours(hours)).await)
            }
            Action::OnDemand(user) => {
                let (title, lines) = self.on_demand(user).await;
                (title, Some(user), lines)
            }
            Action::Move(user, date) => {
                let title = format!("HR moved {}’s first day to {}", self.name(user), date.format("%-d %B"));
                self.change_hire_date(user, Some(midnight(date, Tz::UTC)));
                (title, Some(user), self.sweep_after_replication().await)
            }
            Action::Cancel(user) => {
                let title = format!("HR cancelled {}’s start", self.name(user));
                self.change_hire_date(user, None);
                (title, Some(user), self.sweep_after_replication().await)
            }
            Action::SignIn(pass) => self.sign_in(pass),
            Action::Fault { mail, throttled } => {
                self.sandbox.inject(fault(mail, throttled));
                let title = format!(
                    "The next request {} will {}",
                    if mail { "that sends a mail" } else { "that makes a pass" },
                    if throttled { "be throttled" } else { "lose its answer" }
                );
                let note = "Run an action that sends such a request, and look at the requests.".to_owned();
                (title, None, vec![EventDetail::Note(note)])
            }
        };
        let mut history = self.history();
        history.update_passes(&self.sandbox, PassCreator::Helpdesk);
        history.events.push(Event { at, title, user, lines });
    }

    async fn sweep(&self) -> Vec<EventDetail> {
        match run_sweep(self, &Progress::silent()).await {
            Ok(report) => report.rows.into_iter().map(EventDetail::Job).collect(),
            Err(reason) => vec![EventDetail::Note(format!("The sweep failed: {reason}"))],
        }
    }

    /// Lets the replicas catch up and then runs the sweep, which reads HR's change.
    async fn sweep_after_replication(&self) -> Vec<EventDetail> {
        self.sandbox.advance(REPLICATION_DELAY);
        let note = format!("{} minutes later the sweep was run.", REPLICATION_DELAY.num_minutes());
        let mut lines = vec![EventDetail::Note(note)];
        lines.extend(self.sweep().await);
        lines
    }

    async fn advance_with_sweeps(&self, time: TimeDelta) -> Vec<EventDetail> {
        let now = self.sandbox.now();
        let end = now + time;
        let mut next = next_sweep(now);
        let mut lines = Vec::new();
        while next <= end {
            self.advance_to(next);
            lines.push(EventDetail::Note(format!(
                "{} UTC: the daily sweep ran.",
                next.format("%a %-d %b, %H:%M")
            )));
            lines.extend(self.sweep().await);
            next += TimeDelta::days(1);
        }
        self.advance_to(end);
        if lines.is_empty() {
            lines.push(EventDetail::Note("No sweep was due.".to_owned()));
        }
        lines
    }

    /// Adds a millisecond: a timer never fires early.
    fn advance_to(&self, then: DateTime<Utc>) {
        let ahead = then - self.sandbox.now() + TimeDelta::milliseconds(1);
        self.sandbox.advance(ahead.max(TimeDelta::zero()));
    }

    /// Adds the user to the group, so that Event Grid notifies the app. For a user who is a member already, queues
    /// their id
    async fn on_demand(&self, user: Uuid) -> (String, Vec<EventDetail>) {
        let (host, rows) = start_observed_host(self, &Progress::silent());
        let (name, now) = (self.name(user), self.sandbox.now());
        let is_known = self.sandbox.edit(|tenant| {
            let group = tenant.find_group(ON_DEMAND_GROUP).map(|group| group.id).unwrap_or_default();
            let is_known = tenant.members(group, now).contains(&user);
            tenant.add_member(group, user);
            is_known
        });
        let (title, note) = if is_known {
            if let Err(reason) = host.storage().put(self.queue(), encode_base64(&user.to_string())) {
                return (name, vec![EventDetail::Note(reason)]);
            }
            (
                format!("A script asked for a pass for {name}, who is in the group “{ON_DEMAND_GROUP}”"),
                "It put their object id onto the queue.",
            )
        } else {
            (
                format!("{name} was added to the group “{ON_DEMAND_GROUP}”"),
                "Event Grid sent the change to OnGroupAdd, which looked for new members.",
            )
        };
        host.storage().wait_until_empty(self.queue()).await;
        let jobs = rows.take().into_iter().map(EventDetail::Job);
        (title, [EventDetail::Note(note.to_owned())].into_iter().chain(jobs).collect())
    }

    /// Decides as Entra ID does when a user enters the code.
    fn sign_in(&self, id: Uuid) -> (String, Option<Uuid>, Vec<EventDetail>) {
        let now = self.sandbox.now();
        let held = self
            .history()
            .passes
            .iter()
            .find(|record| record.pass.id == id)
            .map(|s| (s.pass.user, s.removal));
        let Some((user, removal)) = held else {
            return ("There is no such pass".to_owned(), None, Vec::new());
        };
        let refused = self.sandbox.edit(|tenant| match (removal, tenant.passes.get(&user)) {
            (Some(Removal::Deleted), _) => Some("the pass was deleted".to_owned()),
            (None, Some(pass)) => refusal(tenant, user, pass.usability(now)).map(str::to_owned),
            _ => Some("a newer pass replaced this one".to_owned()),
        });
        let name = self.name(user);
        match refused {
            Some(reason) => {
                let title = format!("{name} tried to sign in");
                (title, Some(user), vec![EventDetail::Note(format!("Refused: {reason}."))])
            }
            None => {
                let now = self.sandbox.now();
                self.sandbox.edit(|tenant| tenant.use_pass(id, now));
                let note = "Accepted. The user now registers a sign-in method of their own.".to_owned();
                (format!("{name} signed in with the pass"), Some(user), vec![EventDetail::Note(note)])
            }
        }
    }

    fn change_hire_date(&self, user: Uuid, date: Option<DateTime<Utc>>) {
        self.sandbox.edit(|tenant| tenant.change(user, |person| person.hire_date = date));
    }

    fn name(&self, user: Uuid) -> String {
        let name = self.sandbox.edit(|tenant| tenant.users.get(&user).map(|p| p.display_name.clone()));
        name.unwrap_or_else(|| user.to_string())
    }
}

fn refusal(tenant: &Tenant, user: Uuid, usability: &str) -> Option<&'static str> {
    if tenant.users.get(&user).is_none_or(|person| !person.enabled) {
        return Some("the account is disabled");
    }
    match usability {
        "EnabledByPolicy" => None,
        "NotYetValid" => Some("the pass is not valid yet"),
        "OneTimeUsed" => Some("the pass was used, and works only once"),
        "Expired" => Some("the pass has expired"),
        _ => Some("the policy does not let them sign in with a pass"),
    }
}

fn fault(mail: bool, throttled: bool) -> Fault {
    let path = if mail { "sendMail" } else { "temporaryAccessPassMethods" };
    let retry_after = Some("7".to_owned());
    let kind = if throttled { FaultKind::Throttle { retry_after } } else { FaultKind::LoseAnswer };
    Fault::on("POST", path, kind)
}
