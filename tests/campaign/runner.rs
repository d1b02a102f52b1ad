//! Plays one scenario, or many on several threads.

use std::{
    io::IsTerminal,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use firstpass::{environment::Environment, telemetry};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    checks, events, generate,
    scenario::Scenario,
    shrink::shrink,
    simulation::{Log, Simulation},
    trace::Violation,
};

/// Every scenario whose seed is a multiple of this is played twice, and both traces must be equal.
const REPEAT_EVERY: u64 = 250;
/// How many failing scenarios are reduced and printed.
const MAX_PRINTED: usize = 3;
/// How often progress is printed when standard error is not a terminal.
const PROGRESS_EVERY: u64 = 5_000;

#[derive(Debug, PartialEq, Eq)]
pub struct ScenarioResult {
    pub violations: Vec<Violation>,
    pub trace: Vec<String>,
}

/// Plays a scenario on a runtime of its own, whose time is virtual. `verbose` adds each request to the trace.
pub fn play(scenario: &Scenario, verbose: bool) -> ScenarioResult {
    let log = Log::default();
    let writer = log.clone();
    // `checks/leaks.rs` searches the log at every level.
    let env = Environment::from_iter([("RUST_LOG", "info,firstpass=trace")]);
    let subscriber = telemetry::subscriber(&env, move || writer.clone());
    tracing::subscriber::with_default(subscriber, || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let play = || {
            runtime.block_on(async {
                let sim = Simulation::start(scenario.clone(), log.clone(), verbose);
                events::play(&sim).await;
                checks::check_final_state(&sim).await;
                let trace = &mut *sim.trace();
                ScenarioResult {
                    violations: std::mem::take(&mut trace.violations),
                    trace: std::mem::take(&mut trace.lines),
                }
            })
        };
        catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
            let message = message.unwrap_or("panicked").to_owned();
            ScenarioResult { violations: vec![Violation { invariant: 0, message }], trace: Vec::new() }
        })
    })
}

/// Plays one scenario and prints its full trace. Returns whether it passed.
pub fn replay(seed: u64) -> bool {
    let scenario = generate::scenario(seed);
    let result = play(&scenario, true);
    print_scenario(&scenario, &result);
    let failed = usize::from(!result.violations.is_empty());
    println!("campaign: {} passed, {failed} failed", 1 - failed);
    failed == 0
}

fn print_scenario(scenario: &Scenario, result: &ScenarioResult) {
    println!("seed {}, {:?}", scenario.seed, scenario.config);
    for persona in scenario.personas.iter().filter(|persona| !persona.removed) {
        println!(
            "  {}: {:?}, {}, day one {:?}",
            persona.name, persona.kind, persona.country, persona.day_one
        );
    }
    println!("  steps:");
    scenario.steps.iter().for_each(|step| println!("    {step}"));
    println!("  trace:");
    result.trace.iter().for_each(|line| println!("    {line}"));
    for violation in &result.violations {
        println!("  VIOLATED: invariant {}: {}", violation.invariant, violation.message);
    }
}

/// Plays many scenarios and prints the failures. Returns whether all passed.
pub fn run_many(from: u64, seeds: u64, threads: usize, fail_fast: bool) -> bool {
    let (next, done, start) = (AtomicU64::new(from), AtomicU64::new(0), Instant::now());
    let failures: Mutex<Vec<(u64, Violation)>> = Mutex::default();
    let bar = progress_bar(seeds);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from.saturating_add(seeds) {
                        return;
                    }
                    if let Some(violation) = first_violation(seed) {
                        failures.lock().unwrap().push((seed, violation));
                        if fail_fast {
                            // Other threads finish their smaller seeds, so that the first failure is always the same.
                            next.store(u64::MAX / 2, Ordering::Relaxed);
                        }
                    }
                    let played = done.fetch_add(1, Ordering::Relaxed) + 1;
                    show_progress(bar.as_ref(), played, seeds, failures.lock().unwrap().len(), start);
                }
            });
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let mut failures = failures.into_inner().unwrap();
    failures.sort_by_key(|(seed, _)| *seed);
    for (seed, violation) in failures.iter().take(20) {
        println!("seed {seed}: invariant {}: {}", violation.invariant, violation.message);
    }
    failures.iter().take(MAX_PRINTED).for_each(|(seed, violation)| print_reduced(*seed, violation));
    println!(
        "{:.1} s, {:.0} scenarios a second",
        start.elapsed().as_secs_f64(),
        seeds as f64 / start.elapsed().as_secs_f64()
    );
    println!(
        "campaign: {} passed, {} failed",
        done.into_inner() - u64::try_from(failures.len()).unwrap(),
        failures.len()
    );
    failures.is_empty()
}

fn first_violation(seed: u64) -> Option<Violation> {
    let scenario = generate::scenario(seed);
    let result = play(&scenario, false);
    if seed.is_multiple_of(REPEAT_EVERY) && play(&scenario, false) != result {
        return Some(Violation { invariant: 0, message: "a second play gave another result".into() });
    }
    result.violations.into_iter().next()
}

fn print_reduced(seed: u64, violation: &Violation) {
    let scenario = shrink(&generate::scenario(seed), violation.invariant);
    println!();
    print_scenario(&scenario, &play(&scenario, true));
    println!("  full scenario: cargo test --test campaign -- --seed {seed}");
    println!();
}

/// A progress bar, if standard error is a terminal.
fn progress_bar(seeds: u64) -> Option<ProgressBar> {
    let style = ProgressStyle::with_template(
        "{bar:40} {pos}/{len} scenarios, {msg} failed, {per_sec}, {eta} remaining",
    );
    std::io::stderr().is_terminal().then(|| {
        ProgressBar::new(seeds)
            .with_message("0")
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    })
}

fn show_progress(bar: Option<&ProgressBar>, played: u64, seeds: u64, failed: usize, start: Instant) {
    match bar {
        Some(bar) => {
            bar.set_message(failed.to_string());
            bar.set_position(played);
        }
        None if played.is_multiple_of(PROGRESS_EVERY) => {
            eprintln!(
                "{played} of {seeds} scenarios, {failed} failed, {:.0} s",
                start.elapsed().as_secs_f64()
            );
        }
        None => {}
    }
}
