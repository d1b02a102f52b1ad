//! Logs: one line an event on stdout, as `docs/LOGGING.md` describes them.
//!
//! The Functions host takes stdout as Information and stderr as Error, whatever a line says of itself.

use tracing::{Level, Subscriber};
use tracing_subscriber::{
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::settings::Environment;

/// Starts to log to `writer`, at the level that `RUST_LOG` names (`info`, or `firstpass=debug,warn`).
pub fn init<W>(env: &Environment, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Only the first caller in a process can win; tests may be others.
    let _ = subscriber(env, writer).try_init();
}

/// What [`init`] installs.
pub fn subscriber<W>(env: &Environment, writer: W) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let default = Targets::new().with_default(Level::INFO);
    let filter = env.get("RUST_LOG").and_then(|text| text.parse().ok()).unwrap_or(default);
    tracing_subscriber::registry().with(filter).with(fmt::layer().with_ansi(false).with_writer(writer))
}

/// Says why a command failed, to the person who called it.
#[expect(clippy::print_stderr, reason = "the last words of a command")]
pub fn complain(why: &str) {
    eprintln!("firstpass: {why}");
}
