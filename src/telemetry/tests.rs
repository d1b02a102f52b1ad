use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex},
};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// What `work` logs at the level `RUST_LOG`, as stderr and stdout.
fn logged(level: &str, work: impl FnOnce()) -> (String, String) {
    let (stderr, stdout) = (Lines::default(), Lines::default());
    let env = Environment::from_iter([("RUST_LOG", level)]);
    let subscriber = subscriber(&env, split(stderr.clone(), stdout.clone()));
    tracing::subscriber::with_default(subscriber, work);
    (stderr.text(), stdout.text())
}

/// What follows the time.
fn untimed(text: &str) -> &str {
    let (time, rest) = text.trim_end().split_once(' ').unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    rest
}

/// Lines as anything that shows them may count them.
fn count(text: &str) -> usize {
    text.split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']).count() - 1
}

fn contains_warn(text: &str) -> bool {
    text.to_ascii_lowercase().contains("warn")
}

#[test]
fn a_line_can_be_searched_for_as_it_is_documented() {
    let (stderr, _) = logged("info", || {
        tracing::error!(
            event = "alert",
            who = "Emma \"E\" Brooks",
            empty = "",
            why = %"a\nb",
            quoted = %"\"a\nb\"",
            n = 3,
            "An administrator must act"
        );
    });
    assert_eq!(
        untimed(&stderr),
        r#"ERROR firstpass::telemetry::tests: event=alert who="Emma \"E\" Brooks" empty="" why="a\nb" quoted="\"a\nb\"" n=3 An administrator must act"#
    );
    assert_eq!(count(&stderr), 1);
}

#[test]
fn the_fields_of_the_spans_follow_those_of_the_event_and_each_comes_once() {
    let user = Uuid::from_u128(7);
    let (_, stdout) = logged("info", || {
        context::invocation(Some("i-1"), "OnGroupAdd", Some("00-trace-span-01")).in_scope(|| {
            context::set_delivery(2);
            context::set_job("joiner/7", user);
            tracing::info!(event = "job.done", user = "emma@contoso.example", "The job ended");
            // A library's span has no part in it.
            tracing::error_span!("connection", job = "other", peer = "x").in_scope(|| {
                tracing::info!(event = "message.done");
            });
        });
        context::invocation(None, "SweepJoiners", None).in_scope(|| tracing::info!(event = "sweep.done"));
        tracing::info!(event = "handler.started");
    });
    let lines: Vec<&str> = stdout.lines().map(untimed).collect();
    let target = " INFO firstpass::telemetry::tests: event";
    let ids = "invocation_id=i-1 function=OnGroupAdd traceparent=00-trace-span-01 delivery=2 job=joiner/7";
    assert_eq!(
        lines,
        [
            format!("{target}=job.done user=emma@contoso.example {ids} The job ended"),
            format!("{target}=message.done {ids} user={user}"),
            format!("{target}=sweep.done function=SweepJoiners"),
            format!("{target}=handler.started"),
        ]
    );
}

#[test]
fn the_fields_of_an_invocation_are_there_whatever_rust_log_says() {
    for level in ["error", "firstpass::telemetry::tests=error", "off,firstpass::telemetry=error"] {
        let (stderr, _) = logged(level, || {
            context::invocation(Some("i-1"), "CreateTap", None).in_scope(|| tracing::error!(event = "alert"));
        });
        assert!(stderr.contains("invocation_id=i-1"), "{level}: {stderr}");
    }
}

#[test]
fn the_stream_follows_the_level() {
    let (stderr, stdout) = logged("trace", || {
        tracing::error!("one");
        tracing::warn!("two");
        tracing::info!("three: a warning in name only");
        tracing::debug!("four");
        tracing::trace!("five");
    });
    let levels =
        |text: &str| text.lines().map(|line| untimed(line).trim()[..4].to_owned()).collect::<Vec<_>>();
    assert_eq!(levels(&stderr), ["ERRO", "WARN"]);
    assert_eq!(levels(&stdout), ["INFO", "DEBU", "TRAC"]);
    assert!(stdout.contains("three: a warning in name only"), "only ERROR lines are changed: {stdout}");
}

#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed to execute request")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection refused")
    }
}

impl Error for Inner {}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn an_error_is_shown_with_its_causes() {
    let (_, stdout) = logged("info", || tracing::info!(error = &Outer(Inner) as &dyn Error));
    assert!(stdout.contains(r#"error="failed to execute request: connection refused""#), "{stdout}");
}

#[test]
fn the_host_takes_no_error_for_a_warning() {
    let broken = [
        ("Emma Warner", "Emma Wa·rner"),
        ("emma.warner@contoso.example", "emma.wa·rner@contoso.example"),
        ("https://contoso.example/WARNINGS?warn=warn", "https://contoso.example/WA·RNINGS?wa·rn=wa·rn"),
        ("waRNed and forewarned", "wa·RNed and forewa·rned"),
        ("warnwarn wwarn", "wa·rnwa·rn wwa·rn"),
        ("Ǳwarnǲ", "Ǳwa·rnǲ"),
        ("war n, warm, ward, wa·rn", "war n, warm, ward, wa·rn"),
    ];
    for (text, shown) in broken {
        let (stderr, _) = logged("error", || {
            context::invocation(Some("i"), "warn", Some("warn")).in_scope(|| {
                context::set_job(&format!("warn/{text}"), Uuid::nil());
                tracing::error!(event = "alert", who = text, warn = text, "{text}");
            });
        });
        assert!(!contains_warn(&stderr), "{stderr}");
        assert!(stderr.matches(shown).count() >= 3, "{shown}: {stderr}");
        let (stderr, _) = logged("warn", || tracing::warn!(who = text));
        assert!(stderr.contains(text) && contains_warn(&stderr), "a warning is left as it is: {stderr}");
    }
    let fields = line::Fields::default();
    assert_eq!(
        line::line(&Level::ERROR, "firstpass::warnings", &fields),
        "ERROR firstpass::wa·rnings:",
        "a module's name"
    );
}

/// Texts that are likely to contain what the host looks for, in all its forms, or the end of a line.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("warn".to_owned()),
        "[wW][aA][rR][nN]",
        "[wW]|[aA]|[rR]|[nN]|[wW][aA]|[rR][nN]",
        Just("\n".to_owned()),
        "[\\r\\x0b\\x0c\u{85}\u{2028}\u{2029}\\x1b]",
        "\\PC*",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn one_event_is_one_line_of_the_severity_of_its_level(
        value in text(), shown in text(), message in text(), id in text(), job in text(),
    ) {
        let all = || {
            context::invocation(Some(&id), &value, Some(&shown)).in_scope(|| {
                context::set_job(&job, Uuid::nil());
                tracing::error!(event = "alert", value, shown = %shown, debug = ?value, "{message}");
                tracing::warn!(event = "alert", value, shown = %shown, debug = ?value, "{message}");
            });
        };
        let (stderr, stdout) = logged("info", all);
        prop_assert_eq!((count(&stderr), stdout), (2, String::new()), "{}", stderr);
        let (error, warning) = stderr.split_once('\n').unwrap();
        prop_assert!(untimed(error).starts_with("ERROR ") && !contains_warn(error), "{}", error);
        prop_assert!(contains_warn(warning), "{}", warning);
        // What was put in can be taken out again.
        let known = warning.split_once("event=").unwrap().1.trim_end_matches('\n');
        let broken = error.split_once("event=").unwrap().1;
        prop_assert_eq!(broken.replace(line::BREAK, ""), known.replace(line::BREAK, ""));
    }
}
