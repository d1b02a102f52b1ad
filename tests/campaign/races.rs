//! Groups of steps that produce a known race condition. Independent draws would almost never combine them.

use std::time::Duration;

use firstpass_sandbox::tenant::FaultKind;
use rand::{RngExt, rngs::StdRng};

use crate::{
    generate::{one_in, pick},
    scenario::{Action, DAY_MS, GraphFault, Operation, PersonaIndex, QueueFault, Step, UserEvent},
};

/// When the sweep's jobs are on the queue, in milliseconds of the day.
const JOBS_QUEUED_MS: u64 = 12_000;

pub fn draw_race(rng: &mut StdRng, persona: PersonaIndex, day: u64) -> Vec<Step> {
    let mut race = Race { persona, day, steps: Vec::new() };
    match rng.random_range(0..3) {
        0 => race.slow_read(rng),
        1 => race.late_pass(rng),
        _ => race.stale_duplicate(rng),
    }
    race.steps
}

struct Race {
    persona: PersonaIndex,
    day: u64,
    steps: Vec<Step>,
}

impl Race {
    /// Two workers run at once. The second one's slow read returns the pass whose mail the first one is sending.
    fn slow_read(&mut self, rng: &mut StdRng) {
        let redelivered = QueueFault::Redelivered(Duration::from_millis(rng.random_range(0..1_500)));
        self.add(0, Action::Queue(self.persona, redelivered));
        self.fault(Operation::ReadUser, FaultKind::Delay(Duration::from_secs(6)), 2, 1);
        self.fault(Operation::SendMail, FaultKind::Delay(Duration::from_secs(29)), 1, 1);
        self.require_pass(rng, true);
    }

    /// A POST times out and takes effect after another job has created a pass with another window.
    fn late_pass(&mut self, rng: &mut StdRng) {
        let delay = Duration::from_secs(*pick(rng, &[400, 1_800]));
        self.fault(Operation::CreatePass, FaultKind::Delay(delay), 1, 2);
        self.require_pass(rng, false);
        let other = if one_in(rng, 2) { UserEvent::CreateTap } else { UserEvent::AddedToGroup };
        let at = JOBS_QUEUED_MS + rng.random_range(70_000..1_700_000);
        self.add(at, Action::User(self.persona, other));
    }

    /// A duplicate message runs while replicas do not show yet the pass that the first copy created.
    fn stale_duplicate(&mut self, rng: &mut StdRng) {
        self.add(0, Action::Queue(self.persona, QueueFault::Duplicated));
        self.fault(Operation::ReadPart("/authentication"), FaultKind::Stale, 1, 100);
        self.require_pass(rng, false);
    }

    /// Adds an event that requires a pass. On day 0 the first sweep is one.
    fn require_pass(&mut self, rng: &mut StdRng, may_be_on_demand: bool) {
        if may_be_on_demand && one_in(rng, 2) {
            self.add(JOBS_QUEUED_MS, Action::User(self.persona, UserEvent::AddedToGroup));
        } else if self.day > 0 {
            self.add(1, Action::User(self.persona, UserEvent::DayOneMoved(rng.random_range(1..7))));
        }
    }

    fn fault(&mut self, operation: Operation, kind: FaultKind, nth: u32, times: u32) {
        self.add(0, Action::Graph(self.persona, GraphFault { operation, kind, nth, times }));
    }

    fn add(&mut self, ms: u64, action: Action) {
        self.steps.push(Step { at: Duration::from_millis(self.day * DAY_MS + ms), action });
    }
}
