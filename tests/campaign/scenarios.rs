//! Several things at once that chance alone would hardly bring together: each plot is a race that the flow has a rule
//! against.

use std::time::Duration;

use firstpass_sandbox::tenant::FaultKind;
use rand::{RngExt, rngs::StdRng};

use crate::plan::{Call, DAY, GraphFault, Life, Step, Trick, What, Who, one_in, pick};

/// When the sweep's jobs are on the queue, in milliseconds of the day.
const SWEPT: u64 = 12_000;

pub fn draw_plot(rng: &mut StdRng, who: Who, day: u64) -> Vec<Step> {
    let mut plot = Plot { who, day, steps: Vec::new() };
    match rng.random_range(0..3) {
        0 => plot.slow_reader(rng),
        1 => plot.late_pass(rng),
        _ => plot.again(rng),
    }
    plot.steps
}

struct Plot {
    who: Who,
    day: u64,
    steps: Vec<Step>,
}

impl Plot {
    /// Two workers at once: the second one's reading takes so long that it shows the pass whose mail the first one is
    /// still sending.
    fn slow_reader(&mut self, rng: &mut StdRng) {
        self.add(0, What::Queue(self.who, Trick::Overlap(Duration::from_millis(rng.random_range(0..1_500)))));
        self.fault(Call::Read, FaultKind::Delay(Duration::from_secs(6)), 2, 1);
        self.fault(Call::Mail, FaultKind::Delay(Duration::from_secs(29)), 1, 1);
        self.needs_a_pass(rng, true);
    }

    /// The requests of a run seem lost and land late, after another job has made a pass with another window.
    fn late_pass(&mut self, rng: &mut StdRng) {
        let late = Duration::from_secs(*pick(rng, &[400, 1_800]));
        self.fault(Call::Make, FaultKind::Delay(late), 1, 2);
        self.needs_a_pass(rng, false);
        let meanwhile = if one_in(rng, 2) { Life::CreateTap } else { Life::JoinsGroup };
        let after = SWEPT + rng.random_range(70_000..1_700_000);
        self.add(after, What::Life(self.who, meanwhile));
    }

    /// A second job comes minutes after a delivery, and is shown the passes of before.
    fn again(&mut self, rng: &mut StdRng) {
        self.add(0, What::Queue(self.who, Trick::Twice));
        self.fault(Call::Part("/authentication"), FaultKind::Stale, 1, 100);
        self.needs_a_pass(rng, false);
    }

    /// Without a reason there is no pass to race for; on the first day the sweep is one.
    fn needs_a_pass(&mut self, rng: &mut StdRng, or_at_once: bool) {
        if or_at_once && one_in(rng, 2) {
            self.add(SWEPT, What::Life(self.who, Life::JoinsGroup));
        } else if self.day > 0 {
            self.add(1, What::Life(self.who, Life::Moved(rng.random_range(1..7))));
        }
    }

    fn fault(&mut self, call: Call, kind: FaultKind, nth: u32, times: u32) {
        self.add(0, What::Graph(self.who, GraphFault { call, kind, nth, times }));
    }

    fn add(&mut self, ms: u64, what: What) {
        self.steps.push(Step { at: Duration::from_millis(self.day * DAY + ms), what });
    }
}
