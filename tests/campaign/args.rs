//! The command line: the campaign's own options, and those that `cargo test` passes to every test binary.

use std::thread;

use clap::Parser;

/// A debug build plays this many scenarios in about fifteen seconds on one core.
const SEEDS: u64 = 200;

/// Plays scenarios full of faults, and checks the eight invariants of docs/CAMPAIGN.md.
#[derive(Debug, Parser)]
pub struct Args {
    /// Replays one scenario, and prints its full trace.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many scenarios to play.
    #[arg(long, default_value_t = SEEDS)]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Stops at the first scenario that fails.
    #[arg(long)]
    pub fail_fast: bool,
    /// The number of threads; by default, one for each core.
    #[arg(long, alias = "test-threads")]
    pub threads: Option<usize>,
    /// Prints the name of the test and runs nothing.
    #[arg(long)]
    pub list: bool,
    /// Runs only if "campaign" contains one of these.
    filters: Vec<String>,
    /// Runs only if one of the filters is "campaign".
    #[arg(long)]
    exact: bool,
    /// Does not run if "campaign" contains this.
    #[arg(long)]
    skip: Vec<String>,
    /// Runs nothing: the campaign is not an ignored test.
    #[arg(long)]
    ignored: bool,
    #[command(flatten)]
    _standard: Standard,
}

/// Options of the standard test harness that have no effect here.
#[derive(Debug, clap::Args)]
struct Standard {
    #[arg(long, hide = true)]
    include_ignored: bool,
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    no_capture: bool,
    #[arg(long, hide = true)]
    show_output: bool,
    #[arg(long, short, hide = true)]
    quiet: bool,
    #[arg(long, hide = true)]
    test: bool,
    #[arg(long, hide = true)]
    format: Option<String>,
    #[arg(long, hide = true)]
    color: Option<String>,
    #[arg(short = 'Z', hide = true)]
    unstable: Vec<String>,
}

impl Args {
    /// Whether the filters select the campaign: `cargo test joiner` does not.
    pub fn is_selected(&self) -> bool {
        let matches = |filter: &String| {
            if self.exact { filter == "campaign" } else { "campaign".contains(filter.as_str()) }
        };
        let is_included = self.filters.is_empty() || self.filters.iter().any(matches);
        is_included && !self.skip.iter().any(matches) && !self.ignored
    }

    pub fn threads(&self) -> usize {
        self.threads.or_else(|| thread::available_parallelism().ok().map(Into::into)).unwrap_or(1)
    }
}
