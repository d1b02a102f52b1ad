//! One story, or as many as are asked for.

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
    checks,
    evidence::Violation,
    life,
    plan::Plan,
    setup::{Log, Setup},
    shrink::shrink,
};

/// Every so many stories one is played twice: the same seed must tell the same story, byte for byte.
const TWICE_EVERY: u64 = 250;
/// How many failing stories are made small and printed in full.
const SHOWN: usize = 3;
/// How often a line says how far we are, where nobody watches.
const LINE_EVERY: u64 = 5_000;

/// What came of a story.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    pub violations: Vec<Violation>,
    pub story: Vec<String>,
}

/// Plays a story. Every story has a runtime of its own, whose time is virtual.
pub fn play(plan: &Plan, tells: bool) -> Verdict {
    let log = Log::default();
    let writer = log.clone();
    // What an admin sees at most: RUST_LOG=debug. `leaks.rs` looks at every level.
    let env = Environment::from_iter([("RUST_LOG", "info,firstpass=trace")]);
    let subscriber = telemetry::subscriber(&env, move || writer.clone());
    tracing::subscriber::with_default(subscriber, || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let story = || {
            runtime.block_on(async {
                let setup = Setup::set(plan.clone(), log.clone(), tells);
                life::play(&setup).await;
                checks::at_rest(&setup).await;
                let evidence = &mut *setup.evidence();
                Verdict {
                    violations: std::mem::take(&mut evidence.violations),
                    story: std::mem::take(&mut evidence.story),
                }
            })
        };
        catch_unwind(AssertUnwindSafe(story)).unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("something panicked");
            Verdict { violations: vec![Violation { invariant: 0, what: said.to_owned() }], story: Vec::new() }
        })
    })
}

/// One story, told in full.
pub fn replay(seed: u64) -> bool {
    let plan = Plan::draw(seed);
    let verdict = play(&plan, true);
    print_story(&plan, &verdict);
    for violation in &verdict.violations {
        println!("  VIOLATED: invariant {}: {}", violation.invariant, violation.what);
    }
    let failed = usize::from(!verdict.violations.is_empty());
    println!("campaign: {} passed, {failed} failed", 1 - failed);
    failed == 0
}

fn print_story(plan: &Plan, verdict: &Verdict) {
    println!("seed {}, {:?}", plan.seed, plan.house);
    for actor in plan.cast.iter().filter(|actor| !actor.absent) {
        println!("  {}: {:?}, {}, day one {:?}", actor.name, actor.kind, actor.country, actor.day_one);
    }
    println!("  planned:");
    plan.steps.iter().for_each(|step| println!("    {step}"));
    println!("  what happened:");
    verdict.story.iter().for_each(|line| println!("    {line}"));
}

/// Many stories; the failing ones in few words, the first of them made small.
pub fn many(from: u64, seeds: u64, threads: usize, fail_fast: bool) -> bool {
    let (next, done, start) = (AtomicU64::new(from), AtomicU64::new(0), Instant::now());
    let failures: Mutex<Vec<(u64, Violation)>> = Mutex::default();
    let bar = bar(seeds);
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
                            // Whoever plays an earlier one still ends it, so that it is always the same that is first.
                            next.store(u64::MAX / 2, Ordering::Relaxed);
                        }
                    }
                    let played = done.fetch_add(1, Ordering::Relaxed) + 1;
                    progress(bar.as_ref(), played, seeds, failures.lock().unwrap().len(), start);
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
        println!("seed {seed}: invariant {}: {}", violation.invariant, violation.what);
    }
    failures.iter().take(SHOWN).for_each(|(seed, violation)| tell_small(*seed, violation));
    println!(
        "{:.1} s, {:.0} stories a second",
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
    let plan = Plan::draw(seed);
    let verdict = play(&plan, false);
    if seed.is_multiple_of(TWICE_EVERY) && play(&plan, false) != verdict {
        return Some(Violation { invariant: 0, what: "played twice, it was not the same story".into() });
    }
    verdict.violations.into_iter().next()
}

fn tell_small(seed: u64, violation: &Violation) {
    let plan = shrink(&Plan::draw(seed), violation.invariant);
    let verdict = play(&plan, true);
    println!();
    print_story(&plan, &verdict);
    for violation in verdict.violations {
        println!("  VIOLATED: invariant {}: {}", violation.invariant, violation.what);
    }
    println!("  all of it: cargo test --test campaign -- --seed {seed}");
    println!();
}

/// A bar where a person watches.
fn bar(seeds: u64) -> Option<ProgressBar> {
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} stories, {msg} failed, {per_sec}, {eta} to go");
    std::io::stderr().is_terminal().then(|| {
        ProgressBar::new(seeds)
            .with_message("0")
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    })
}

fn progress(bar: Option<&ProgressBar>, played: u64, seeds: u64, failed: usize, start: Instant) {
    match bar {
        Some(bar) => {
            bar.set_message(failed.to_string());
            bar.set_position(played);
        }
        None if played.is_multiple_of(LINE_EVERY) => {
            eprintln!("{played} of {seeds} stories, {failed} failed, {:.0} s", start.elapsed().as_secs_f64());
        }
        None => {}
    }
}
