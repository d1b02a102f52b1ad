//! A scenario before it is played: its personas, its settings and its steps.

use std::{fmt, ops::Range, time::Duration};

use firstpass_sandbox::tenant::FaultKind;

use crate::personas::Persona;

/// An index into [`Scenario::personas`].
pub type PersonaIndex = usize;

/// The number of days with faults. Two calm days, without faults, follow.
pub const DAYS: u64 = 5;
/// One day, in milliseconds.
pub const DAY_MS: u64 = 24 * 3_600_000;

/// Steps are data, so that [`crate::shrink`] can remove some and leave the others unchanged.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    /// Without faults: the only events are those of [`crate::generate::regular_events`].
    pub quiet: bool,
    pub config: Config,
    pub personas: Vec<Persona>,
    pub steps: Vec<Step>,
}

impl Scenario {
    /// What all sign-in names of the person have in common who has `name`.
    pub fn names_like<'a>(&'a self, name: &'a str) -> &'a str {
        let person = self.personas.iter().find(|persona| name.starts_with(&persona.local_part()));
        person.map_or(name, |persona| &name[..persona.local_part().len()])
    }
}

/// The settings of firstpass, of the tenant and of the host.
#[derive(Clone, Debug)]
pub struct Config {
    pub pass_starts_now: bool,
    pub one_time: bool,
    pub serve_disabled: bool,
    pub refuse_second_pass: bool,
    /// Whether the app may read sign-ins.
    pub sign_ins_readable: bool,
    pub latency: Duration,
    pub workers: usize,
    /// What the app takes for the limit of the mailbox.
    pub mails_per_minute: u32,
    pub hire_dates: HireDates,
    pub told: Told,
    pub delivery: Delivery,
    /// The days on which the timer does not run.
    pub without_sweeps: Range<u64>,
}

/// DELIVERY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Mail,
    /// The manager hands the code over.
    Split,
    /// The sandbox's endpoint delivers it.
    Webhook,
}

/// What the manager gets, whom MAIL_CC names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A note without the code.
    Note,
    /// A copy of the mail with the code.
    Copy,
}

/// The time of day that the HR system writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HireDates {
    /// Midnight, in UTC or in the joiner's zone.
    Midnight,
    /// Noon in UTC.
    Noon,
    /// Midnight in the zone of HR's office, [`crate::personas::OFFICE_ZONE`].
    Office,
}

#[derive(Clone, Debug)]
pub struct Step {
    /// Time since the start of the scenario. The first sweep runs at ten seconds.
    pub at: Duration,
    pub action: Action,
}

#[derive(Clone, Debug)]
pub enum Action {
    User(PersonaIndex, UserEvent),
    /// Graph requests about this persona fail.
    Graph(PersonaIndex, GraphFault),
    /// Ledger calls about this persona fail.
    Ledger(PersonaIndex, LedgerFault),
    /// The next worker with a job for this persona crashes.
    Crash(PersonaIndex, Crash),
    /// The persona's next message is duplicated, delayed or redelivered.
    Queue(PersonaIndex, QueueFault),
    /// The sweep's own Graph requests fail, this many times.
    SweepFault(FaultKind, u32),
    /// Exchange denies the app to send for so long.
    MailboxShut(Duration),
    /// The timer starts an extra sweep.
    Sweep,
}

#[derive(Clone, Debug, PartialEq)]
pub enum UserEvent {
    /// Day one is now this many days from today; HR may enter it late.
    DayOneMoved(i64),
    DayOneRemoved,
    Disabled,
    Enabled,
    Deleted,
    /// The account is deleted and created anew, with day one in this many days. Replicas show the new account late.
    Recreated(i64),
    /// The person signs in with the newest code in their mails, if it works.
    SignsIn,
    /// The helpdesk creates a pass in the portal, valid for this many minutes.
    HelpdeskPass(i64),
    PassDeleted,
    CreateTap,
    AddedToGroup,
    RemovedFromGroup,
    AdminRoleAssigned,
    AdminRoleRemoved,
    /// The private address is now this one of the persona's addresses.
    AddressChanged(usize),
    AddressRemoved,
    /// The sign-in name gets this number.
    Renamed(u32),
    /// The usage location is now this one of [`crate::personas::COUNTRIES`].
    PlaceChanged(usize),
    /// Another person is the manager now.
    ManagerChanged,
}

/// What a request or a ledger call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The batch that reads the user.
    ReadUser,
    /// One part of that batch: `/users/{id}` followed by this path.
    ReadPart(&'static str),
    CreatePass,
    DeletePass,
    /// The mail to the user; the mail or request that has the code, if somebody else delivers it.
    SendMail,
    /// The note to the manager.
    SendNote,
    /// The mail to the service desk.
    SendAlert,
    /// A write to the ledger.
    WriteRecord,
}

#[derive(Clone, Debug)]
pub struct GraphFault {
    pub operation: Operation,
    pub kind: FaultKind,
    /// The first matching request that fails, counted from 1.
    pub nth: u32,
    pub times: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerFault {
    /// The `nth` read fails.
    ReadFails(u32),
    /// The `nth` write fails and changes nothing.
    WriteFails(u32),
    /// The `nth` write succeeds and its answer is lost.
    WriteAnswerLost(u32),
    /// The `nth` write fails with a version conflict.
    WriteConflicts(u32),
    /// The next list fails.
    ListFails,
}

#[derive(Clone, Copy, Debug)]
pub enum Crash {
    /// This long after the worker began.
    After(Duration),
    /// Right before or right after the `nth` operation of this type.
    At { operation: Operation, nth: u32, when_done: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueFault {
    Duplicated,
    /// The message becomes visible this much later.
    Delayed(Duration),
    /// The message is delivered a second time, this long after the first delivery began, even if that still runs.
    Redelivered(Duration),
}

impl Step {
    /// If the step is a fault: the persona that it affects (`None` for all of them), and how often it can occur.
    pub fn fault(&self) -> Option<(Option<PersonaIndex>, u32)> {
        match &self.action {
            Action::User(..) | Action::Sweep => None,
            // A lagging replica is one fault, however many reads it affects.
            Action::Graph(persona, GraphFault { kind: FaultKind::Stale, .. }) => Some((Some(*persona), 1)),
            Action::Graph(persona, fault) => Some((Some(*persona), fault.times)),
            Action::Ledger(_, LedgerFault::ListFails) => Some((None, 1)),
            Action::Ledger(persona, _) | Action::Crash(persona, _) | Action::Queue(persona, _) => {
                Some((Some(*persona), 1))
            }
            Action::SweepFault(_, times) => Some((None, *times)),
            // Refusals that are seen as such cost no mail; a reminder that waits can come in another order.
            Action::MailboxShut(_) => Some((None, 1)),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", format_time(self.at), self.action)
    }
}

/// A time since the start of the scenario, as day and time of day.
pub fn format_time(at: Duration) -> String {
    let ms = at.as_millis();
    let (day, h, m, s) = (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("day {day} +{h:02}:{m:02}:{s:02}.{:03}", ms % 1_000)
}
