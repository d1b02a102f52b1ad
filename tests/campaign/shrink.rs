//! Reduces a failing scenario: removes steps and personas while the same invariant still fails.

use std::time::{Duration, Instant};

use crate::{runner::play, scenario::Scenario};

const TIME_LIMIT: Duration = Duration::from_secs(20);

/// The smallest scenario found within the time limit that still violates `invariant`.
pub fn shrink(scenario: &Scenario, invariant: u8) -> Scenario {
    let start = Instant::now();
    let fails =
        |scenario: &Scenario| play(scenario, false).violations.iter().any(|v| v.invariant == invariant);
    let mut smallest = scenario.clone();
    let mut size = smallest.steps.len().max(1);
    loop {
        let mut is_smaller = false;
        let mut at = 0;
        while at < smallest.steps.len() && start.elapsed() < TIME_LIMIT {
            let mut smaller = smallest.clone();
            smaller.steps.drain(at..(at + size).min(smallest.steps.len()));
            if fails(&smaller) {
                smallest = smaller;
                is_smaller = true;
            } else {
                at += size;
            }
        }
        if start.elapsed() >= TIME_LIMIT || size == 1 && !is_smaller {
            break;
        }
        size = (size / 2).max(1);
    }
    for index in 0..smallest.personas.len() {
        let mut smaller = smallest.clone();
        smaller.personas[index].removed = true;
        if start.elapsed() < TIME_LIMIT && fails(&smaller) {
            smallest = smaller;
        }
    }
    smallest
}
