//! Logs: one line per event, as `docs/LOGGING.md` describes them.
//!
//! The Functions host gives every line that a handler prints a severity by its stream. Stdout is Information. Stderr is
//! Error, or Warning where the line contains "warn" in any case. So [`streams`] sends ERROR and WARN to stderr, and
//! [`mod@line`] keeps the four letters out of every ERROR line.

pub mod context;
mod line;
pub(crate) mod panics;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use tracing::{
    Event, Level, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{MakeWriter, writer::MakeWriterExt},
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use self::line::Fields;
use crate::environment::Environment;

/// Logs to `writer` from now on, at the level in `RUST_LOG` (`info`, or `firstpass=debug,warn`).
pub fn init<W>(env: &Environment, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Fails if the process logs already, as in tests.
    let _ = subscriber(env, writer).try_init();
}

/// The writer for a process that the Functions host starts: ERROR and WARN to stderr, all else to stdout.
pub(crate) fn streams() -> impl for<'w> MakeWriter<'w> + Send + Sync + 'static {
    split(io::stderr, io::stdout)
}

/// ERROR and WARN to `severe`, all else to `ordinary`.
pub fn split<S, O>(severe: S, ordinary: O) -> impl for<'w> MakeWriter<'w> + Send + Sync + 'static
where
    S: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    O: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    severe.with_max_level(Level::WARN).or_else(ordinary)
}

/// The subscriber that [`init`] installs.
pub fn subscriber<W>(env: &Environment, writer: W) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let default = Targets::new().with_default(Level::INFO);
    let filter = env.get("RUST_LOG").and_then(|text| text.parse().ok()).unwrap_or(default);
    // Always enabled: without the span a line could not be assigned to its invocation.
    let filter = filter.with_target(context::TARGET, Level::ERROR);
    // It writes the path of each URL at `debug`, and that of a webhook can be a secret.
    let filter = filter.with_target("typespec_client_core::http::clients", Level::INFO);
    tracing_subscriber::registry().with(filter).with(LineLayer { writer })
}

/// Writes each event with the fields of the spans around it.
struct LineLayer<W> {
    writer: W,
}

impl<S, W> Layer<S> for LineLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        // Spans of libraries can contain anything, and no line needs them.
        if attributes.metadata().target() == context::TARGET
            && let Some(span) = ctx.span(id)
        {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = ctx.event_scope(event).into_iter().flatten();
        for span in spans {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.add_missing(outer);
            }
        }
        let metadata = event.metadata();
        let text = line::timed(metadata.level(), metadata.target(), &fields);
        // In one write, so that lines of threads do not mix. The handler continues without a log if the stream is closed.
        drop(self.writer.make_writer_for(metadata).write_all(text.as_bytes()));
    }
}

/// Prints why a command failed, for the person who called it.
pub fn complain(why: &str) {
    // `eprintln` panics when nobody reads stderr any more.
    drop(writeln!(io::stderr(), "firstpass: {why}"));
}
