//! A failing story, made as small as it can be: steps and people are left out while the same invariant still fails.

use std::time::{Duration, Instant};

use crate::{plan::Plan, run::play};

/// A person waits.
const TIME: Duration = Duration::from_secs(20);

/// The smallest story found in which `invariant` fails, too.
pub fn shrink(plan: &Plan, invariant: u8) -> Plan {
    let start = Instant::now();
    let fails = |plan: &Plan| play(plan, false).violations.iter().any(|v| v.invariant == invariant);
    let mut smallest = plan.clone();
    let mut size = smallest.steps.len().max(1);
    loop {
        let mut is_smaller = false;
        let mut at = 0;
        while at < smallest.steps.len() && start.elapsed() < TIME {
            let mut smaller = smallest.clone();
            smaller.steps.drain(at..(at + size).min(smallest.steps.len()));
            if fails(&smaller) {
                smallest = smaller;
                is_smaller = true;
            } else {
                at += size;
            }
        }
        if start.elapsed() >= TIME || size == 1 && !is_smaller {
            break;
        }
        size = (size / 2).max(1);
    }
    for who in 0..smallest.cast.len() {
        let mut smaller = smallest.clone();
        smaller.cast[who].absent = true;
        if start.elapsed() < TIME && fails(&smaller) {
            smallest = smaller;
        }
    }
    smallest
}
