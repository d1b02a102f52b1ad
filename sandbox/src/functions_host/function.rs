//! function.json.

use std::time::Duration;

use firstpass::environment::Environment;
use serde_json::Value;

use super::{plan::Plan, reader::Node, schedule::Schedule};

/// A function, as its function.json declares it.
#[derive(Clone, Debug)]
pub struct Function {
    /// The name of the folder.
    pub name: String,
    /// The name of the trigger's binding.
    pub input: String,
    /// The trigger binding.
    pub trigger: Trigger,
    /// The output bindings.
    pub outputs: Vec<Output>,
    /// The retry policy, if there is one.
    pub retry: Option<Retry>,
    /// Whether the host does not run it.
    pub is_disabled: bool,
}

/// A trigger binding.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// `timerTrigger`
    Timer(Timer),
    /// `queueTrigger`
    Queue(Queue),
    /// `httpTrigger`
    Http(Http),
}

/// A `timerTrigger`.
#[derive(Clone, Debug)]
pub struct Timer {
    /// When it fires, in UTC.
    pub schedule: Schedule,
    /// Whether the host stores the schedule status and makes up for a missed run.
    pub use_monitor: bool,
    /// Whether it fires whenever a host starts.
    pub run_on_startup: bool,
}

/// A `queueTrigger`.
#[derive(Clone, Debug)]
pub struct Queue {
    /// The name of the queue.
    pub queue: String,
}

/// An `httpTrigger`.
#[derive(Clone, Debug)]
pub struct Http {
    /// The required key.
    pub auth_level: AuthLevel,
    /// The allowed methods in capitals; empty for all.
    pub methods: Vec<String>,
    /// The route, without the prefix.
    pub route: String,
}

/// The key that a call of an HTTP function requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthLevel {
    /// No key.
    Anonymous,
    /// The function's key, the host key or the master key.
    Function,
    /// The master key.
    Admin,
}

/// An output binding.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its key in `Outputs`; `$return` means `ReturnValue`.
    pub name: String,
    /// The queue; `None` for the HTTP response.
    pub queue: Option<String>,
    /// `dataType: binary`: the host does not decode a base64 string.
    pub is_binary: bool,
}

/// A retry policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The maximum number of retries; `None` for no limit.
    pub max_retries: Option<u32>,
    /// The delay before the first retry.
    pub min_delay: Duration,
    /// The longest delay; with `fixedDelay` the same as `min`.
    pub max_delay: Duration,
}

impl Retry {
    /// The delay before retry `count`, from 1. The host's random part of the backoff is left out.
    pub(super) fn delay(&self, count: u32) -> Duration {
        self.min_delay.saturating_mul(1 << count.saturating_sub(1).min(20)).min(self.max_delay)
    }
}

const METHODS: [&str; 8] = ["get", "post", "delete", "head", "patch", "put", "options", "trace"];

pub(super) fn is_known(binding: &Value) -> bool {
    binding["type"].as_str().is_some_and(|kind| known(kind).is_some())
}

/// The direction and the properties of a binding type; `None` if it is not simulated.
fn known(kind: &str) -> Option<(&'static str, &'static [&'static str])> {
    Some(match kind {
        "timerTrigger" => ("in", &["schedule", "useMonitor", "runOnStartup"]),
        "queueTrigger" => ("in", &["queueName", "connection"]),
        "httpTrigger" => ("in", &["authLevel", "methods", "route"]),
        "queue" => ("out", &["queueName", "connection"]),
        "http" => ("out", &[]),
        _ => return None,
    })
}

pub(super) fn read(name: &str, root: Node<'_>, settings: &Environment, plan: Plan) -> Option<Function> {
    let well_named = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        && !name.eq_ignore_ascii_case("host");
    if !well_named {
        root.problem::<()>(format!("{name:?} is not a valid function name"));
    }
    let root = root.object(&["bindings", "retry", "disabled"])?;
    let is_switched_off = settings.get(&format!("AzureWebJobs.{name}.Disabled"));
    let is_disabled = root.get("disabled").is_some_and(|node| node.boolean() == Some(true))
        || is_switched_off.is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    let bindings = root.required("bindings")?;
    let mut names: Vec<String> = Vec::new();
    let (mut triggers, mut outputs, mut http_outputs, mut is_complete) = (Vec::new(), Vec::new(), 0, true);
    for node in bindings.items()? {
        match binding(name, &node, settings, plan, &mut names) {
            Some(Binding::Trigger(input, trigger)) => triggers.push((input, trigger)),
            Some(Binding::Output(output)) => {
                http_outputs += usize::from(output.queue.is_none());
                outputs.push(output);
            }
            None => is_complete = false,
        }
    }
    let retry = root.get("retry").map(|node| retry(&node, &triggers));
    // The unreadable binding may be the missing one.
    if !is_complete {
        return None;
    }
    let is_http = matches!(triggers.first(), Some((_, Trigger::Http(_))));
    match (triggers.len(), http_outputs) {
        (0, _) => bindings.problem("has no trigger"),
        (2.., _) => bindings.problem("has more than one trigger"),
        (_, 0) if is_http => bindings.problem("has no http output, so callers would get no response"),
        (_, 1..) if !is_http => bindings.problem("has an http output, but no http trigger"),
        (_, 2..) => bindings.problem("has more than one http output"),
        _ => {
            let (input, trigger) = triggers.pop()?;
            let retry = match retry {
                Some(retry) => Some(retry?),
                None => None,
            };
            Some(Function { name: name.to_owned(), input, trigger, outputs, retry, is_disabled })
        }
    }
}

enum Binding {
    Trigger(String, Trigger),
    Output(Output),
}

fn binding(
    function: &str,
    node: &Node<'_>,
    settings: &Environment,
    plan: Plan,
    names: &mut Vec<String>,
) -> Option<Binding> {
    let kind = node.required("type")?;
    let kind_text = kind.text()?;
    let Some((direction, properties)) = known(kind_text) else {
        return kind.problem(format!("{kind_text:?} is not a trigger or binding that this host knows"));
    };
    let node = node.clone().object(&[&["name", "type", "direction", "dataType"], properties].concat())?;
    let name = binding_name(&node, direction, names);
    // Without a direction the host reads an output as an input.
    let is_directed = node.required("direction").and_then(|node| match node.text()? {
        text if text == direction => Some(()),
        text => node.problem(format!("is {text:?}, but a {kind_text} goes {direction:?}")),
    });
    let is_binary = match node.get("dataType") {
        Some(node) => node.one_of(&[("binary", true), ("string", false), ("stream", false)]),
        None => Some(false),
    };
    let flag = |name, default| node.get(name).map_or(Some(default), |node| node.boolean());
    let read = match kind_text {
        "timerTrigger" => {
            let schedule = schedule(&node, settings, plan);
            let (use_monitor, run_on_startup) = (flag("useMonitor", true), flag("runOnStartup", false));
            Trigger::Timer(Timer {
                schedule: schedule?,
                use_monitor: use_monitor?,
                run_on_startup: run_on_startup?,
            })
        }
        "queueTrigger" => Trigger::Queue(Queue { queue: queue(&node, settings)? }),
        "httpTrigger" => Trigger::Http(http(function, &node)?),
        _ => {
            let queue = if kind_text == "queue" { Some(queue(&node, settings)?) } else { None };
            let output = Output { name: name?, queue, is_binary: is_binary? };
            return is_directed.map(|()| Binding::Output(output));
        }
    };
    is_directed.and(is_binary)?;
    Some(Binding::Trigger(name?, read))
}

fn binding_name(node: &Node<'_>, direction: &str, names: &mut Vec<String>) -> Option<String> {
    let node = node.required("name")?;
    let name = node.text()?;
    let is_word = name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_return = name == "$return" && direction == "out";
    if !is_word && !is_return {
        return node.problem(format!("{name:?} is not a valid binding name: letters and digits"));
    }
    if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return node.problem(format!("{name:?} is taken by another binding"));
    }
    names.push(name.to_owned());
    Some(name.to_owned())
}

fn schedule(node: &Node<'_>, settings: &Environment, plan: Plan) -> Option<Schedule> {
    if !is_connection("AzureWebJobsStorage", settings) {
        // The host keeps the timer's lock there.
        return node.problem("a timer needs the setting AzureWebJobsStorage");
    }
    let node = node.required("schedule")?;
    let text = node.resolved(settings)?;
    if text.contains(':') {
        return match plan {
            Plan::Dedicated => node.problem("a TimeSpan as a schedule is not simulated"),
            _ => node.problem(format!("{text:?} is a TimeSpan, which only a dedicated plan allows")),
        };
    }
    text.parse().map_or_else(|what: String| node.problem(format!("{text:?} is not a schedule: {what}")), Some)
}

/// A connection is a setting, or a prefix of settings: `NAME__accountName` and others.
fn is_connection(name: &str, settings: &Environment) -> bool {
    let prefix = format!("{name}__");
    settings.get(name).is_some() || settings.names().any(|setting| setting.starts_with(&prefix))
}

fn queue(node: &Node<'_>, settings: &Environment) -> Option<String> {
    let connection = node.get("connection");
    let name = match &connection {
        Some(node) => node.text()?,
        None => "AzureWebJobsStorage",
    };
    let is_set = is_connection(name, settings);
    if !is_set {
        connection.unwrap_or_else(|| node.clone()).problem::<()>(format!(
            "{name:?} is not a setting: it must be one, or the prefix of one such as {name}__accountName"
        ));
    }
    let node = node.required("queueName")?;
    let queue = node.resolved(settings)?;
    let is_name = (3..=63).contains(&queue.len())
        && queue.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !queue.starts_with('-')
        && !queue.ends_with('-')
        && !queue.contains("--");
    if !is_name {
        return node.problem(format!(
            "{queue:?} is not a valid queue name: 3 to 63 lower-case letters, digits and single hyphens"
        ));
    }
    is_set.then_some(queue)
}

fn http(function: &str, node: &Node<'_>) -> Option<Http> {
    let auth_level = match node.get("authLevel") {
        Some(node) => node.one_of(&[
            ("anonymous", AuthLevel::Anonymous),
            ("function", AuthLevel::Function),
            ("admin", AuthLevel::Admin),
        ]),
        None => Some(AuthLevel::Function),
    };
    let methods: Option<Vec<String>> = match node.get("methods") {
        Some(node) => {
            let words = METHODS.map(|word| (word, word));
            node.items()?.iter().map(|item| item.one_of(&words).map(str::to_ascii_uppercase)).collect()
        }
        None => Some(Vec::new()),
    };
    let route = match node.get("route") {
        Some(node) => route(&node),
        None => Some(function.to_owned()),
    };
    Some(Http { auth_level: auth_level?, methods: methods?, route: route? })
}

/// A path of words and whole `{parameter}`s.
fn route(node: &Node<'_>) -> Option<String> {
    let route = node.text()?;
    if route.starts_with('/') || route.is_empty() {
        return node.problem("must not be empty nor begin with a slash");
    }
    // Source: ScriptHost.cs
    if ["admin", "runtime"].iter().any(|word| route.to_ascii_lowercase().starts_with(word)) {
        return node.problem("begins with a word that the host reserves");
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    for part in route.split('/') {
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')).unwrap_or(part);
        if name.is_empty() || !name.chars().all(is_word) {
            return node.problem(format!("{part:?} is neither a word nor a {{parameter}}"));
        }
    }
    Some(route.to_owned())
}

fn retry(node: &Node<'_>, triggers: &[(String, Trigger)]) -> Option<Retry> {
    if triggers.iter().any(|(_, trigger)| !matches!(trigger, Trigger::Timer(_))) {
        return node.problem("has no effect: only a timer has retries, a queue redelivers");
    }
    let node = node.clone().object(&[
        "strategy",
        "maxRetryCount",
        "delayInterval",
        "minimumInterval",
        "maximumInterval",
    ])?;
    let strategy = node.required("strategy");
    let is_fixed =
        strategy.and_then(|node| node.one_of(&[("fixedDelay", true), ("exponentialBackoff", false)]));
    let max_retries = node.required("maxRetryCount").and_then(|node| node.integer(-1..=i64::from(i32::MAX)));
    let span = |name| node.required(name).and_then(|node| node.time_span());
    let (min, max) = if is_fixed? {
        let delay = span("delayInterval");
        (delay, delay)
    } else {
        (span("minimumInterval"), span("maximumInterval"))
    };
    let (min, max) = (min?, max?);
    if min > max {
        return node.problem("the minimumInterval is longer than the maximumInterval");
    }
    Some(Retry { max_retries: u32::try_from(max_retries?).ok(), min_delay: min, max_delay: max })
}
