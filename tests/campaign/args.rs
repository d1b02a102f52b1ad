//! The command line: what a campaign takes, and what `cargo test` gives to every test.

use std::thread;

use clap::Parser;

/// As many stories as a debug build plays in fifteen seconds of one core.
const SEEDS: u64 = 200;

/// Plays stories full of faults, and checks the seven invariants of docs/CAMPAIGN.md.
#[derive(Debug, Parser)]
pub struct Args {
    /// Replays one story, and prints all of it.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many stories.
    #[arg(long, default_value_t = SEEDS)]
    pub seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Stops at the first story that fails.
    #[arg(long)]
    pub fail_fast: bool,
    /// On how many threads; all cores if not said.
    #[arg(long, alias = "test-threads")]
    pub threads: Option<usize>,
    /// Names the test and runs nothing.
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
    /// Runs nothing: no story is ignored.
    #[arg(long)]
    ignored: bool,
    #[command(flatten)]
    _standard: Standard,
}

/// What the standard harness takes, and makes no difference here.
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
    /// Whether this run is meant for the campaign: `cargo test joiner` is not.
    pub fn is_meant(&self) -> bool {
        let fits = |filter: &String| {
            if self.exact { filter == "campaign" } else { "campaign".contains(filter.as_str()) }
        };
        let is_chosen = self.filters.is_empty() || self.filters.iter().any(fits);
        is_chosen && !self.skip.iter().any(fits) && !self.ignored
    }

    pub fn threads(&self) -> usize {
        self.threads.or_else(|| thread::available_parallelism().ok().map(Into::into)).unwrap_or(1)
    }
}
