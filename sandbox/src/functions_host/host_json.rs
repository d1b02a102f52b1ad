//! host.json.

use std::time::Duration;

use firstpass::environment::Environment;

use super::{plan::Plan, reader::Node};

/// The properties of host.json that the local host implements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// The timeout after which the host kills the handler; `None` for no timeout.
    pub function_timeout: Option<Duration>,
    /// `defaultExecutablePath`.
    pub executable: String,
    /// `arguments`, with `%NAME%` replaced by settings.
    pub arguments: Vec<String>,
    /// How long the handler may take to start: `initializationTimeout`, which is not documented.
    pub initialization_timeout: Duration,
    /// `workingDirectory`, relative to the app's folder.
    pub working_directory: String,
    /// The first part of every HTTP route.
    pub route_prefix: String,
    /// The queue options.
    pub queues: QueueOptions,
}

/// `extensions.queues` of host.json.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// How many messages are fetched at once, 1 to 32.
    pub batch_size: usize,
    /// The host fetches again when it processes at most this many messages.
    pub new_batch_threshold: usize,
    /// How often a message is delivered before it is moved to the poison queue.
    pub max_dequeue_count: u32,
    /// How long a message stays hidden after a failed delivery.
    pub visibility_timeout: Duration,
    /// Whether stored messages are base64.
    pub base64: bool,
}

/// The documented properties (functions-host-json reference). The local host implements only some of them.
const KNOWN: &[&str] = &[
    "version",
    "functionTimeout",
    "customHandler",
    "extensionBundle",
    "extensions",
    "logging",
    "telemetryMode",
    "healthMonitor",
    "singleton",
    "aggregator",
    "concurrency",
    "watchDirectories",
    "watchFiles",
];

/// How long the handler may take to start. Observed on the Functions host 4.1037: about 35 seconds.
const START_TIMEOUT: Duration = Duration::from_secs(35);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn read(root: &Node<'_>, settings: &Environment, plan: Plan) -> Option<HostConfig> {
    let root = root.clone().object(KNOWN)?;
    if let Some(version) = root.required("version")
        && version.text().is_some_and(|text| text != "2.0")
    {
        version.problem::<()>("is not \"2.0\"");
    }
    let function_timeout = function_timeout(&root, plan);
    extension_bundle(&root);
    let handler = handler(&root, settings);
    let extensions = match root.get("extensions") {
        Some(extensions) => Some(extensions.object(&["http", "queues"])?),
        None => None,
    };
    let route_prefix = extensions.as_ref().and_then(|e| e.get("http")).map_or(Some("api".to_owned()), prefix);
    let queues = extensions.as_ref().and_then(|e| e.get("queues"));
    let queues = queues.map_or(Some(QueueOptions::default()), |queues| queue_options(queues));
    let (executable, arguments, working_directory, initialization_timeout) = handler?;
    Some(HostConfig {
        function_timeout: function_timeout?,
        executable,
        arguments,
        initialization_timeout,
        working_directory,
        route_prefix: route_prefix?,
        queues: queues?,
    })
}

fn function_timeout(root: &Node<'_>, plan: Plan) -> Option<Option<Duration>> {
    let (default, most) = match plan {
        Plan::Consumption => (Duration::from_secs(5 * 60), Some(Duration::from_secs(10 * 60))),
        Plan::Flex | Plan::Dedicated => (Duration::from_secs(30 * 60), None),
    };
    let Some(node) = root.get("functionTimeout") else { return Some(Some(default)) };
    let timeout = if node.text()? == "-1" { None } else { Some(node.time_span()?) };
    match (timeout, most) {
        (Some(Duration::ZERO), _) => node.problem("must not be zero"),
        (None, Some(_)) => node.problem("is unlimited, which this plan does not allow: ten minutes at most"),
        (Some(timeout), Some(most)) if timeout > most => {
            node.problem("is more than this plan allows: ten minutes")
        }
        _ => Some(timeout),
    }
}

/// Without the extension bundle the host has no queue trigger.
fn extension_bundle(root: &Node<'_>) -> Option<()> {
    let bundle = root.required("extensionBundle")?.object(&["id", "version"])?;
    let id = bundle.required("id");
    if let Some(id) = id
        && id.text().is_some_and(|text| text != "Microsoft.Azure.Functions.ExtensionBundle")
    {
        id.problem::<()>("is not Microsoft.Azure.Functions.ExtensionBundle");
    }
    let version = bundle.required("version")?;
    if !admits_version_4(version.text()?) {
        return version.problem("is not a version range that includes 4.x, such as [4.*, 5.0.0)");
    }
    Some(())
}

/// A NuGet version range `[from, to)`; its ends may contain `*`.
fn admits_version_4(range: &str) -> bool {
    let range = range.trim();
    let opens = range.starts_with(['[', '(']);
    let Some(inner) = range.strip_suffix([']', ')']).filter(|_| opens).map(|range| &range[1..]) else {
        return false;
    };
    let Some((from, to)) = inner.split_once(',') else { return false };
    let parts = |text: &str| -> Option<Vec<u32>> {
        text.trim().split('.').map(|part| if part == "*" { Some(0) } else { part.parse().ok() }).collect()
    };
    let (Some(from), Some(to)) = (parts(from), parts(to)) else { return false };
    from.first() <= Some(&4)
        && to > vec![4]
        && (to[0] > 4 || range.ends_with(']') || to.iter().skip(1).any(|p| *p > 0))
}

fn handler(root: &Node<'_>, settings: &Environment) -> Option<(String, Vec<String>, String, Duration)> {
    let custom = root.required("customHandler")?.object(&[
        "description",
        "enableForwardingHttpRequest",
        "enableProxyingHttpRequest",
        "initializationTimeout",
    ])?;
    let initialization_timeout = match custom.get("initializationTimeout") {
        Some(node) => node.time_span(),
        None => Some(START_TIMEOUT),
    };
    for name in ["enableForwardingHttpRequest", "enableProxyingHttpRequest"] {
        if let Some(node) = custom.get(name)
            && node.boolean() == Some(true)
        {
            node.problem::<()>(
                "changes the form and the path of HTTP invocations, which the handler does not support",
            );
        }
    }
    let description = custom.required("description")?.object(&[
        "defaultExecutablePath",
        "workingDirectory",
        "arguments",
    ])?;
    let executable = description.required("defaultExecutablePath").and_then(|node| {
        let text = node.text()?;
        if text.trim().is_empty() { node.problem("is empty") } else { Some(text.to_owned()) }
    });
    let working_directory = match description.get("workingDirectory") {
        Some(node) => node.text().map(str::to_owned),
        None => Some(String::new()),
    };
    let arguments: Option<Vec<String>> = match description.get("arguments") {
        Some(node) => node.items()?.iter().map(|item| argument(item, settings)).collect(),
        None => Some(Vec::new()),
    };
    Some((executable?, arguments?, working_directory?, initialization_timeout?))
}

/// The host joins arguments without quotes, so that one with a space becomes two.
fn argument(node: &Node<'_>, settings: &Environment) -> Option<String> {
    if node.text()?.contains(char::is_whitespace) {
        return node.problem("has a space in it: the host does not quote arguments, so this becomes two");
    }
    node.resolved(settings)
}

fn prefix(http: Node<'_>) -> Option<String> {
    let http = http.object(&[
        "routePrefix",
        "maxOutstandingRequests",
        "maxConcurrentRequests",
        "dynamicThrottlesEnabled",
        "hsts",
        "customHeaders",
    ])?;
    let Some(node) = http.get("routePrefix") else { return Some("api".to_owned()) };
    let text = node.text()?;
    if text.starts_with('/')
        || text.ends_with('/')
        || text.contains(|c: char| "~?#\\{}".contains(c) || c.is_whitespace())
    {
        return node.problem("is not a route prefix: path segments without a leading or trailing slash");
    }
    Some(text.to_owned())
}

impl Default for QueueOptions {
    /// The host's defaults, on one core.
    fn default() -> Self {
        Self {
            batch_size: 16,
            new_batch_threshold: 8,
            max_dequeue_count: 5,
            visibility_timeout: Duration::ZERO,
            base64: true,
        }
    }
}

fn queue_options(node: Node<'_>) -> Option<QueueOptions> {
    let node = node.object(&[
        "batchSize",
        "newBatchThreshold",
        "maxDequeueCount",
        "visibilityTimeout",
        "maxPollingInterval",
        "messageEncoding",
    ])?;
    let integer = |name, range, default: usize| match node.get(name) {
        Some(node) => node.integer(range).and_then(|number| usize::try_from(number).ok()),
        None => Some(default),
    };
    let default = QueueOptions::default();
    let batch_size = integer("batchSize", 1..=32, default.batch_size);
    let half = batch_size.map_or(default.new_batch_threshold, |size| size / 2);
    let new_batch_threshold = integer("newBatchThreshold", 0..=1000, half);
    let max_dequeue_count =
        integer("maxDequeueCount", 1..=1000, 5).and_then(|count| u32::try_from(count).ok());
    let visibility_timeout = match node.get("visibilityTimeout") {
        Some(node) => node.time_span().and_then(|span| {
            if span > 7 * DAY {
                node.problem("is more than seven days, when the message is gone")
            } else {
                Some(span)
            }
        }),
        None => Some(default.visibility_timeout),
    };
    if let Some(node) = node.get("maxPollingInterval")
        && node.time_span() == Some(Duration::ZERO)
    {
        node.problem::<()>("must be at least 100 ms");
    }
    let base64 = match node.get("messageEncoding") {
        Some(node) => node.one_of(&[("base64", true), ("none", false)]),
        None => Some(true),
    };
    Some(QueueOptions {
        batch_size: batch_size?,
        new_batch_threshold: new_batch_threshold?,
        max_dequeue_count: max_dequeue_count?,
        visibility_timeout: visibility_timeout?,
        base64: base64?,
    })
}
