//! The cases: a tenant, what happens in it day by day, and a look at what the joiner has in the end.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use firstpass::zone::Tz;
use firstpass_sandbox::tenant::{
    Fault, Group, PassSpec, Person, Tenant,
    samples::{SENDER, zone},
};
use uuid::Uuid;

use super::{Got, Silence, model::LogicApp};
use crate::helpers::{NOW, World, escaped, refuse, time, to};

/// Who serves the joiners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    LogicApp,
    Firstpass,
}

/// What is special.
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

/// The hire stamp, at one in the morning UTC as the post has it.
const HIRE: &str = "2026-12-01T01:00:00Z";
/// When both run, daily: the hour of the template's recurrence, in UTC.
const RUN_AT: NaiveTime = NaiveTime::from_hms_opt(17, 0, 0).expect("a time of day");
/// When a joiner sits down, on their own clock.
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

    /// What it is, and why it comes out so there.
    pub fn words(self) -> (&'static str, &'static str) {
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

    /// Where the Logic App stops, in its run history.
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
        let hired = time(HIRE).date_naive();
        if self == Self::Moved { hired + TimeDelta::days(3) } else { hired }
    }

    /// That time of day on day one, where the joiner is.
    fn on_day_one(self, at: NaiveTime) -> DateTime<Utc> {
        self.zone().from_local_datetime(&self.day_one().and_time(at)).unwrap().to_utc()
    }
}

/// A tenant in the middle of a case.
struct Setup {
    case: Case,
    flow: Flow,
    world: World,
    logic_app: LogicApp,
    joiners: Vec<Uuid>,
    /// Whether there was a working pass after a run whose code no mail has.
    left_unknown: bool,
    /// Actions of the Logic App that failed.
    failed: BTreeSet<&'static str>,
}

/// Plays `case` with `flow`, to half past nine on day one.
pub async fn play(case: Case, flow: Flow) -> Got {
    let mut setup = Setup::new(case, flow);
    match case {
        Case::ReplayedEvent => return setup.replay_event().await,
        Case::MailDown => {
            setup.world.sandbox.inject(Fault::on("POST", "sendMail", refuse(500)).always());
            setup.run_until(|setup| setup.world.count("POST", "sendMail") > 0).await;
            setup.world.sandbox.clear_faults();
        }
        Case::Moved => {
            setup.run_until(|setup| !setup.world.pass_mails().is_empty()).await;
            setup.change(|person| person.hire_date = person.hire_date.map(|date| date + TimeDelta::days(3)));
        }
        Case::Late => setup.advance_to(time(HIRE) - TimeDelta::hours(53)),
        _ => {}
    }
    let sign_in = case.on_day_one(SIGN_IN_AT);
    setup.run_until(|setup| setup.next_run() > sign_in).await;
    setup.advance_to(sign_in);
    if flow == Flow::LogicApp {
        let failed: Vec<_> = setup.failed.iter().copied().collect();
        assert_eq!(failed, Vec::from_iter(case.failing_action()), "{case:?} fails for another reason");
    }
    setup.verdict()
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
                    .hire_date(time(HIRE))
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
        let settings =
            [("ON_DEMAND_GROUP_ID", on_demand.to_string()), ("TIME_ZONE", case.zone().name().to_owned())];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut world = World::new(tenant, &settings);
        if flow == Flow::LogicApp {
            // As in Microsoft's samples; Graph takes it.
            world = world.forgiving("body.saveToSentItems: a string is not of type 'Edm.Boolean'");
        }
        let mut logic_app = LogicApp::new(&world.sandbox, group);
        if case == Case::DefaultPolicyHeeded {
            logic_app.lifetime_minutes = 480;
        }
        Self { case, flow, world, logic_app, joiners, left_unknown: false, failed: BTreeSet::new() }
    }

    fn next_run(&self) -> DateTime<Utc> {
        let now = self.world.sandbox.now();
        let today = now.date_naive().and_time(RUN_AT).and_utc();
        if today > now { today } else { today + TimeDelta::days(1) }
    }

    fn advance_to(&self, at: DateTime<Utc>) {
        self.world.later(at - self.world.sandbox.now());
    }

    /// Daily runs, until `is_enough`.
    async fn run_until(&mut self, is_enough: impl Fn(&Self) -> bool) {
        for _ in 0..30 {
            if is_enough(self) {
                return;
            }
            self.advance_to(self.next_run());
            match self.flow {
                Flow::LogicApp => {
                    let ends = self.logic_app.run().await;
                    self.failed.extend(ends.into_iter().filter_map(|end| Some(end.err()?.0)));
                }
                Flow::Firstpass => drop(self.world.sweep().await),
            }
            self.left_unknown |= self.has_unknown_pass();
        }
        panic!("{:?}: it never came to that", self.case);
    }

    /// Somebody is added to the on-demand group, and the event comes again after two minutes and an hour.
    async fn replay_event(self) -> Got {
        let joiner = self.joiners[0];
        let upn = self.world.sandbox.edit(|tenant| tenant.users[&joiner].user_principal_name.clone());
        for wait in [0, 2, 60] {
            self.world.later(TimeDelta::minutes(wait));
            match self.flow {
                Flow::LogicApp => self.logic_app.serve(&upn).await.unwrap(),
                Flow::Firstpass => drop(self.world.add_to_group(joiner).await),
            }
        }
        match self.got(joiner) {
            Got::WorkingCode { mails, .. } => Got::WorkingCodeAtOnce { mails },
            other => other,
        }
    }

    fn change(&self, change: impl Fn(&mut Person)) {
        self.world.sandbox.edit(|tenant| self.joiners.iter().for_each(|id| tenant.change(*id, &change)));
    }

    /// What all joiners have, or how many of them have a working code.
    fn verdict(&self) -> Got {
        let all: Vec<Got> = self.joiners.iter().map(|joiner| self.got(*joiner)).collect();
        let served = all.iter().filter(|got| matches!(got, Got::WorkingCode { .. })).count();
        match all.iter().all(|got| *got == all[0]) {
            true => all[0],
            false => Got::OnlySome { served, of: all.len() },
        }
    }

    fn got(&self, joiner: Uuid) -> Got {
        let mails = self.mails_to(joiner);
        let Some(newest) = mails.last() else { return Got::Nothing(self.silence()) };
        let now = self.world.sandbox.now();
        let passes = self.world.sandbox.passes();
        let usable = passes.iter().find(|pass| pass.user == joiner && pass.is_usable(now));
        match usable.filter(|pass| shows(newest, pass.code.reveal())) {
            Some(pass) => {
                let before = self.case.on_day_one(NaiveTime::MIN) - pass.opens_at;
                Got::WorkingCode { mails: mails.len(), days_before: before.num_days().max(0) }
            }
            None => Got::DeadCode,
        }
    }

    fn silence(&self) -> Silence {
        match (self.left_unknown, self.world.alerts().is_empty()) {
            (true, _) => Silence::WithAPassNobodyKnows,
            (false, false) => Silence::WithAnAlert,
            (false, true) => Silence::Complete,
        }
    }

    /// The texts of the mails to a joiner's private address.
    fn mails_to(&self, joiner: Uuid) -> Vec<String> {
        let address = self.world.sandbox.edit(|tenant| tenant.users[&joiner].other_mails.first().cloned());
        let mails = self.world.pass_mails();
        let theirs = mails.iter().filter(|mail| Some(to(mail)) == address.as_deref());
        theirs.map(|mail| mail["body"]["content"].as_str().unwrap().to_owned()).collect()
    }

    fn has_unknown_pass(&self) -> bool {
        let (now, mails) = (self.world.sandbox.now(), self.world.sandbox.mails());
        let passes = self.world.sandbox.passes();
        let alive = passes.iter().filter(|pass| !pass.used && pass.closes_at() > now);
        alive.into_iter().any(|pass| !mails.iter().any(|mail| shows(mail.content(), pass.code.reveal())))
    }
}

/// Escaped or not: a reader sees the same.
fn shows(html: &str, code: &str) -> bool {
    html.contains(code) || html.contains(&escaped(code))
}
