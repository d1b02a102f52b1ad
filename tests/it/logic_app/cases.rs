//! The cases of the comparison: the tenant, the events, and what the joiner has at the end.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use firstpass::zone::Tz;
use firstpass_sandbox::tenant::{
    Fault, Group, PassSpec, Person, Tenant,
    samples::{SENDER, zone},
};
use uuid::Uuid;

use super::{Received, WithoutMail, model::LogicApp};
use crate::helpers::{NOW, TestApp, fail_with, html_escaped, time, to_address};

/// The app that serves the joiners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    LogicApp,
    Firstpass,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Ordinary,
    MailDown,
    NoManager,
    NoAddress,
    ExpiredPass,
    DefaultPolicy,
    DefaultPolicyHeeded,
    Moved,
    Late,
    Many,
    ReplayedEvent,
    LosAngeles,
    Auckland,
}

/// The hire date, at 01:00 UTC as in the post.
const HIRE_DATE: &str = "2026-12-01T01:00:00Z";
/// The time of the daily run, in UTC, as in the template's recurrence.
const RUN_AT: NaiveTime = NaiveTime::from_hms_opt(17, 0, 0).expect("a time of day");
/// The joiner's local time of the sign-in.
const SIGN_IN_AT: NaiveTime = NaiveTime::from_hms_opt(9, 30, 0).expect("a time of day");

impl Case {
    pub const ALL: [Self; 13] = [
        Self::Ordinary,
        Self::MailDown,
        Self::NoManager,
        Self::NoAddress,
        Self::ExpiredPass,
        Self::DefaultPolicy,
        Self::DefaultPolicyHeeded,
        Self::Moved,
        Self::Late,
        Self::Many,
        Self::ReplayedEvent,
        Self::LosAngeles,
        Self::Auckland,
    ];

    /// The texts for the table: the case, and the reason for the Logic App's result.
    pub fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Ordinary => {
                ("Nothing special: a joiner in London", "It opens when it is made and lasts 10,080 minutes.")
            }
            Self::MailDown => (
                "Graph answers every mail of one run with 500",
                "`SendMail` follows `CreateTAP`, and only the answer to that has the code. The next run finds a \
                 listed pass and skips.",
            ),
            Self::NoManager => (
                "No manager",
                "`Get_UserDetails` runs after `Get_Manager_Info` has succeeded; Graph answers 404.",
            ),
            Self::NoAddress => (
                "`otherMails` is empty",
                "`first(otherMails)` is no address, which shows when `CreateTAP` has run.",
            ),
            Self::ExpiredPass => (
                "An expired pass from earlier",
                "The condition is that no pass is listed; Graph lists expired ones too.",
            ),
            Self::DefaultPolicy => (
                "The policy's default maximum of 480 minutes",
                "`TAPlifetimeInMinutes` is 10,080: `CreateTAP` is refused.",
            ),
            Self::DefaultPolicyHeeded => (
                "The same, with 480 minutes set in the Logic App",
                "The eight hours begin with the mail, days ahead.",
            ),
            Self::Moved => (
                "After the mail the hire date moves by three days",
                "While the old pass is listed, no other is made; it ends before the new day.",
            ),
            Self::Late => {
                ("The account appears two days before day one", "The group's rule begins at five days.")
            }
            Self::Many => ("101 joiners on one day", "`GetPreHires` reads one page, which holds 100."),
            Self::ReplayedEvent => (
                "On demand: the group's event comes three times",
                "The second run finds a listed pass and skips.",
            ),
            Self::LosAngeles => (
                "A joiner in Los Angeles (UTC−8)",
                "Seven days from a run at 17:00 UTC end at nine in the morning there.",
            ),
            Self::Auckland => {
                ("A joiner in Auckland (UTC+13)", "The seven days end on the next morning there.")
            }
        }
    }

    /// The action of the Logic App that fails.
    fn failing_action(self) -> Option<&'static str> {
        match self {
            Self::MailDown | Self::NoAddress => Some("SendMail"),
            Self::NoManager => Some("Get_Manager_Info"),
            Self::DefaultPolicy => Some("CreateTAP"),
            _ => None,
        }
    }

    fn zone(self) -> Tz {
        match self {
            Self::LosAngeles => zone("America/Los_Angeles"),
            Self::Auckland => zone("Pacific/Auckland"),
            _ => zone("Europe/London"),
        }
    }

    fn country(self) -> &'static str {
        match self {
            Self::LosAngeles => "US",
            Self::Auckland => "NZ",
            _ => "GB",
        }
    }

    fn day_one(self) -> NaiveDate {
        let hired = time(HIRE_DATE).date_naive();
        if self == Self::Moved { hired + TimeDelta::days(3) } else { hired }
    }

    /// A local time on day one.
    fn on_day_one(self, at: NaiveTime) -> DateTime<Utc> {
        self.zone().from_local_datetime(&self.day_one().and_time(at)).unwrap().to_utc()
    }
}

/// A tenant during a case.
struct Setup {
    case: Case,
    flow: Flow,
    app: TestApp,
    logic_app: LogicApp,
    joiners: Vec<Uuid>,
    /// Whether there was a working pass after a run whose code is in no mail.
    left_unknown: bool,
    /// Actions of the Logic App that failed.
    failed: BTreeSet<&'static str>,
}

/// Runs `case` with `flow` until 09:30 on day one.
pub async fn run(case: Case, flow: Flow) -> Received {
    let mut setup = Setup::new(case, flow);
    match case {
        Case::ReplayedEvent => return setup.repeat_event().await,
        Case::MailDown => {
            setup.app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(500)).always());
            setup.run_until(|setup| setup.app.count_requests("POST", "sendMail") > 0).await;
            setup.app.sandbox.clear_faults();
        }
        Case::Moved => {
            setup.run_until(|setup| !setup.app.pass_mails().is_empty()).await;
            setup.change(|person| person.hire_date = person.hire_date.map(|date| date + TimeDelta::days(3)));
        }
        Case::Late => setup.advance_to(time(HIRE_DATE) - TimeDelta::hours(53)),
        _ => {}
    }
    let sign_in = case.on_day_one(SIGN_IN_AT);
    setup.run_until(|setup| setup.next_run() > sign_in).await;
    setup.advance_to(sign_in);
    if flow == Flow::LogicApp {
        let failed: Vec<_> = setup.failed.iter().copied().collect();
        assert_eq!(failed, Vec::from_iter(case.failing_action()), "{case:?}");
    }
    setup.received_by_all()
}

impl Setup {
    fn new(case: Case, flow: Flow) -> Self {
        let mut tenant = Tenant::new(11);
        if !matches!(case, Case::DefaultPolicy | Case::DefaultPolicyHeeded) {
            tenant.policy.maximum_lifetime = 10_080;
        }
        tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
        let manager = tenant.add_mailbox(Person::named("Grace Hall"));
        let count = if case == Case::Many { 101 } else { 1 };
        let joiners: Vec<Uuid> = (1..=count)
            .map(|i| {
                let mut person = Person::named(&format!("Emma Brooks{i}"))
                    .hire_date(time(HIRE_DATE))
                    .usage_location(case.country())
                    .manager(manager);
                if case == Case::NoManager {
                    person = person.without_manager();
                }
                if case != Case::NoAddress {
                    person = person.private_mail(&format!("emma{i}@mail.example"));
                }
                tenant.add(person)
            })
            .collect();
        if case == Case::ExpiredPass {
            tenant.add_pass(joiners[0], PassSpec::opening(time(NOW) - TimeDelta::days(20)));
        }
        let group = tenant.add_group(Group::named("New joiners"));
        let on_demand = tenant.add_group(Group::named("On-demand access").members(joiners.clone()));
        let settings = [
            ("ON_DEMAND_GROUP_ID", on_demand.to_string()),
            ("TIME_ZONE", case.zone().name().to_owned()),
            ("SWEEP_MAX", "101".to_owned()),
        ];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut app = TestApp::new(tenant, &settings);
        if flow == Flow::LogicApp {
            // Microsoft's samples send a string too, and Graph accepts it.
            app = app.allow_schema_problem("body.saveToSentItems: a string is not of type 'Edm.Boolean'");
        }
        let mut logic_app = LogicApp::new(&app.sandbox, group);
        if case == Case::DefaultPolicyHeeded {
            logic_app.lifetime_minutes = 480;
        }
        Self { case, flow, app, logic_app, joiners, left_unknown: false, failed: BTreeSet::new() }
    }

    fn next_run(&self) -> DateTime<Utc> {
        let now = self.app.sandbox.now();
        let today = now.date_naive().and_time(RUN_AT).and_utc();
        if today > now { today } else { today + TimeDelta::days(1) }
    }

    fn advance_to(&self, at: DateTime<Utc>) {
        self.app.advance(at - self.app.sandbox.now());
    }

    /// Runs daily until `condition` holds.
    async fn run_until(&mut self, condition: impl Fn(&Self) -> bool) {
        for _ in 0..30 {
            if condition(self) {
                return;
            }
            self.advance_to(self.next_run());
            match self.flow {
                Flow::LogicApp => {
                    let ends = self.logic_app.run().await;
                    self.failed.extend(ends.into_iter().filter_map(|end| Some(end.err()?.0)));
                }
                Flow::Firstpass => drop(self.app.sweep().await),
            }
            self.left_unknown |= self.has_unknown_pass();
        }
        panic!("{:?}: the condition does not hold after 30 runs", self.case);
    }

    /// Sends a group event three times: at once, after two minutes and after an hour.
    async fn repeat_event(self) -> Received {
        let joiner = self.joiners[0];
        let upn = self.app.sandbox.edit(|tenant| tenant.users[&joiner].user_principal_name.clone());
        for wait in [0, 2, 60] {
            self.app.advance(TimeDelta::minutes(wait));
            match self.flow {
                Flow::LogicApp => self.logic_app.serve(&upn).await.unwrap(),
                Flow::Firstpass => drop(self.app.run_group_add_job(joiner).await),
            }
        }
        match self.received(joiner) {
            Received::WorkingCode { mails, .. } => Received::WorkingCodeAtOnce { mails },
            other => other,
        }
    }

    fn change(&self, change: impl Fn(&mut Person)) {
        self.app.sandbox.edit(|tenant| self.joiners.iter().for_each(|id| tenant.change(*id, &change)));
    }

    /// What every joiner has, or how many have a working code.
    fn received_by_all(&self) -> Received {
        let all: Vec<Received> = self.joiners.iter().map(|joiner| self.received(*joiner)).collect();
        let served = all.iter().filter(|received| matches!(received, Received::WorkingCode { .. })).count();
        match all.iter().all(|received| *received == all[0]) {
            true => all[0],
            false => Received::OnlySome { served, of: all.len() },
        }
    }

    fn received(&self, joiner: Uuid) -> Received {
        let mails = self.mails_to(joiner);
        let Some(newest) = mails.last() else { return Received::Nothing(self.without_mail()) };
        let now = self.app.sandbox.now();
        let passes = self.app.sandbox.passes();
        let usable = passes.iter().find(|pass| pass.user == joiner && pass.is_usable(now));
        match usable.filter(|pass| shows(newest, pass.code.reveal())) {
            Some(pass) => {
                let before = self.case.on_day_one(NaiveTime::MIN) - pass.opens_at;
                Received::WorkingCode { mails: mails.len(), days_before: before.num_days().max(0) }
            }
            None => Received::ExpiredCode,
        }
    }

    fn without_mail(&self) -> WithoutMail {
        match (self.left_unknown, self.app.alerts().is_empty()) {
            (true, _) => WithoutMail::UnknownPass,
            (false, false) => WithoutMail::Alert,
            (false, true) => WithoutMail::NoTrace,
        }
    }

    /// The texts of the mails to a joiner's private address.
    fn mails_to(&self, joiner: Uuid) -> Vec<String> {
        let address = self.app.sandbox.edit(|tenant| tenant.users[&joiner].other_mails.first().cloned());
        let mails = self.app.pass_mails();
        let theirs = mails.iter().filter(|mail| Some(to_address(mail)) == address.as_deref());
        theirs.map(|mail| mail["body"]["content"].as_str().unwrap().to_owned()).collect()
    }

    fn has_unknown_pass(&self) -> bool {
        let (now, mails) = (self.app.sandbox.now(), self.app.sandbox.mails());
        let passes = self.app.sandbox.passes();
        let alive = passes.iter().filter(|pass| !pass.used && pass.closes_at() > now);
        alive.into_iter().any(|pass| !mails.iter().any(|mail| shows(mail.content(), pass.code.reveal())))
    }
}

/// Whether the mail contains the code, escaped or not.
fn shows(html: &str, code: &str) -> bool {
    html.contains(code) || html.contains(&html_escaped(code))
}
