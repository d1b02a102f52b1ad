//! Whole scenarios on the simulated tenant, in virtual time: what an intake, a shut mailbox, and sweeps on the days after cost.
//! `benches/README.md` says how to run them, and what the columns mean.
//!
//! [`world`] is what they run in, [`traffic`] and [`meter`] what is counted, [`figures`] the results. The scenarios are
//! [`delivery`], [`shut_mailbox`], [`second_day`] and, with processes, [`start`], [`mod@process`] and [`peers`].

#![allow(
    unreachable_pub,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark without a public API: it prints its results, and a panic ends it"
)]

mod alerts;
#[allow(dead_code, reason = "the tests of the ledger use the rest of it")]
#[path = "../../tests/it/ledger/blob_service.rs"]
mod blob_service;
mod delivery;
mod figures;
mod meter;
mod peers;
mod process;
mod second_day;
mod shut_mailbox;
mod start;
mod traffic;
mod world;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use self::{
    delivery::Intake,
    figures::{Kept, Row, tables},
};

/// Plays scenarios in virtual time, and prints what they cost.
#[derive(Debug, Parser)]
struct Args {
    /// Plays small scenarios, and fails if a count differs from benches/counts.json.
    #[arg(long)]
    check: bool,
    /// Plays the same, and writes the counts to benches/counts.json.
    #[arg(long)]
    update: bool,
    /// Also starts the released binary with real settings, and measures the process of a sweep.
    #[arg(long)]
    process: bool,
    /// Also lets Microsoft's clients for Python and JavaScript do a joiner's main steps.
    #[arg(long)]
    peers: bool,
    /// Is the product's handler, for the comparison with the clients.
    #[arg(long, hide = true)]
    handler: bool,
    /// Figures of another run, which are shown too.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    /// Where the figures are kept.
    #[arg(long, value_name = "FILE", default_value = "target/benches/scenarios.json")]
    json: PathBuf,
    /// Only scenarios whose name contains this.
    #[arg(default_value = "")]
    only: String,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

const COUNTS: &str = "benches/counts.json";

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    if args.handler {
        return process::handle();
    }
    let before = args.before.as_deref().map(Kept::read).transpose()?;
    let is_small = args.check || args.update;
    let size = if is_small { &SMALL } else { &FULL };
    let mut rows = size.run(&args.only);
    if is_small {
        let binary = start::size();
        if binary.is_none() {
            println!("The released binary is not built (tests/release/run): its size is not compared.\n");
        }
        rows.extend(binary.filter(|_| start::BINARY.contains(&args.only)));
    } else {
        if args.process {
            rows.extend(start::run()?);
            for joiners in size.served {
                rows.push(process::served(*joiners)?);
            }
            rows.push(process::intake(size.intake)?);
        }
        if args.peers {
            rows.extend(peers::run()?);
        }
    }
    println!("{}", tables(&rows, before.as_ref()));
    if !is_small {
        return Kept::all(&rows).write(&args.json);
    }
    let (path, expected) = (Path::new(COUNTS), Kept::read(Path::new(COUNTS)).unwrap_or_default());
    let was_not_played = |key: &str| key == start::BINARY || !key.contains(&args.only);
    if args.update {
        return expected.updated_by(Kept::compared(&rows), was_not_played).write(path);
    }
    let differences = expected.differences(&rows, was_not_played);
    if differences.is_empty() {
        println!("\nall counts are those of {COUNTS}");
        return Ok(());
    }
    let differences = differences.join("\n");
    Err(format!(
        "\n{differences}\n\nIf that is meant, run `cargo bench --bench scenarios -- --update`, and commit {COUNTS}."
    ))
}

/// How large the scenarios are.
struct Size {
    /// Of the intakes.
    joiners: usize,
    /// Of the intakes with a mailbox that is slow and has no limit.
    slow: usize,
    /// Of the shut mailbox, and its days.
    shut: (usize, i64),
    /// Of the sweeps on later days.
    served: &'static [usize],
    /// New joiners of one sweep in a process of its own.
    intake: usize,
    /// The points of the plot: joiners, and messages at a time.
    curves: (&'static [usize], &'static [usize]),
}

const FULL: Size = Size {
    joiners: 500,
    slow: 200,
    shut: (50, 7),
    served: &[1_000, 10_000],
    intake: 50_000,
    curves: (&[50, 100, 250, 500, 1_000], &[1, 2, 3, 4, 6, 12, 24, 48]),
};
const SMALL: Size =
    Size { joiners: 60, slow: 30, shut: (10, 2), served: &[200], intake: 200, curves: (&[], &[]) };

/// The messages of an instance at a time, at most: `batchSize` has a limit, and half as many are the threshold.
const MOST_AT_ONCE: usize = 48;

impl Size {
    fn run(&self, only: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut play = |name: &'static str, intake: Intake| {
            if name.contains(only) {
                rows.push(in_virtual_time(|runtime| runtime.block_on(intake.run(name))));
            }
        };
        let intake = Intake { joiners: self.joiners, ..Intake::default() };
        play("intake: 30 mails a minute", intake);
        play("intake: notes to managers", Intake { notes: true, ..intake });
        for (instances, workers) in [(4, 6), (40, 6)] {
            play("intake: many instances", Intake { instances, workers, ..intake });
        }
        for mail_millis in [600, 1_100] {
            for workers in [6, 24] {
                let unlimited = Intake { joiners: self.slow, unlimited: true, ..intake };
                play("intake: slow mailbox", Intake { mail_millis, workers, ..unlimited });
            }
        }
        for joiners in self.curves.0 {
            play("curve: joiners", Intake { joiners: *joiners, ..intake });
        }
        for at_once in self.curves.1 {
            let instances = at_once.div_ceil(MOST_AT_ONCE);
            play("curve: at once", Intake { instances, workers: at_once / instances, ..intake });
        }
        if "shut mailbox".contains(only) {
            let (joiners, days) = self.shut;
            rows.push(in_virtual_time(|runtime| runtime.block_on(shut_mailbox::run(joiners, days))));
        }
        if "served".contains(only) {
            for joiners in self.served {
                rows.extend(in_virtual_time(|runtime| runtime.block_on(second_day::run(*joiners))));
            }
        }
        rows
    }
}

/// A runtime whose time passes only when all tasks wait.
fn in_virtual_time<T>(work: impl FnOnce(&Runtime) -> T) -> T {
    work(&Builder::new_current_thread().enable_all().start_paused(true).build().unwrap())
}
