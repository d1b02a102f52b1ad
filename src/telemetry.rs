//! Logs: one line an event on stdout, as `docs/LOGGING.md` describes them.
//!
//! The Functions host takes stdout as Information and stderr as Error, whatever a line says of itself.

use std::fmt::{self, Debug};

use tracing::{Level, Subscriber, field::Field};
use tracing_subscriber::{
    field::MakeExt,
    filter::Targets,
    fmt::{
        MakeWriter,
        format::{Writer, debug_fn},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::environment::Environment;

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
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .fmt_fields(debug_fn(write_field).delimited(" "))
        .with_writer(writer);
    tracing_subscriber::registry().with(filter).with(layer)
}

/// `event=alert who="Emma Brooks"`: quotes only where they are needed, so that a line can be searched for as it is
/// written in `docs/LOGGING.md`; and never a second line, whatever a value holds.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let text = format!("{value:?}");
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let shown = match quoted {
        Some(bare) if is_plain(bare) => bare.to_owned(),
        None if !is_plain(&text) => format!("{text:?}"),
        _ => text,
    };
    if field.name() == "message" { write!(writer, "{shown}") } else { write!(writer, "{field}={shown}") }
}

fn is_plain(text: &str) -> bool {
    let needs_quotes = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\');
    !text.is_empty() && !text.contains(needs_quotes)
}

/// Says why a command failed, to the person who called it.
#[expect(clippy::print_stderr, reason = "the last words of a command")]
pub fn complain(why: &str) {
    eprintln!("firstpass: {why}");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_can_be_searched_for_as_it_is_documented() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(&Environment::default(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(event = "alert", who = "Emma \"E\" Brooks", empty = "", why = %"a\nb", n = 3);
        });
        let line = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(
            line.contains(
                r#"ERROR firstpass::telemetry::tests: event=alert who="Emma \"E\" Brooks" empty="""#
            ),
            "{line}"
        );
        assert!(line.trim_end().ends_with("n=3") && line.lines().count() == 1, "one event, one line: {line}");
    }
}
