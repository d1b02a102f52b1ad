//! host.json and the function.json files: the repository's have no problems, and mistakes in them are reported.

use std::{path::Path, time::Duration};

use firstpass::{budget::DELIVERIES, environment::Environment};
use firstpass_sandbox::functions_host::{
    CONTRACTS, ConfigError, Files, FunctionApp, Plan, function::Trigger, local_host::VISIBILITY_TIMEOUT,
};
use serde_json::{Value, json};

fn settings() -> Environment {
    Environment::from_iter([
        ("AzureWebJobsStorage__accountName", "contosofirstpass"),
        ("SWEEP_SCHEDULE", "0 0 5 * * *"),
        ("MONDAYS", "0 30 6 * * MON"),
        ("NIGHTLY", "nightly"),
    ])
}

fn load(files: &Files) -> Result<FunctionApp, ConfigError> {
    FunctionApp::load(files, &settings(), Plan::Flex, CONTRACTS)
}

/// Sets the value at `pointer`, or removes it.
fn change(files: &mut Files, file: &str, pointer: &str, value: Option<Value>) {
    let text = files.0.get_mut(file).unwrap();
    let mut json: Value = serde_json::from_str(text).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match (json.pointer_mut(parent).unwrap(), value) {
        (Value::Object(object), Some(value)) => drop(object.insert(name.to_owned(), value)),
        (Value::Object(object), None) => assert!(object.remove(name).is_some(), "{file}{pointer}"),
        (Value::Array(array), Some(value)) => array.push(value),
        (Value::Array(array), None) => drop(array.remove(name.parse().unwrap())),
        _ => panic!("{file}{pointer}"),
    }
    *text = json.to_string();
}

#[test]
fn the_repositorys_function_app_has_no_problems() {
    let files = Files::in_folder(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert_eq!(files.0, Files::embedded().0, "this build's own files");
    for plan in [Plan::Consumption, Plan::Flex, Plan::Dedicated] {
        let app = FunctionApp::load(&files, &settings(), plan, CONTRACTS)
            .unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(app.functions.keys().collect::<Vec<_>>(), ["CreateTap", "OnGroupAdd", "SweepJoiners"]);
        assert_eq!(app.host.function_timeout, Some(Duration::from_secs(600)));
        assert_eq!(app.host.arguments, ["serve"]);
        let queues = app.host.queues;
        assert_eq!((queues.batch_size, queues.new_batch_threshold, queues.base64), (4, 2, true));
        assert_eq!(
            (queues.max_dequeue_count, queues.visibility_timeout),
            (DELIVERIES, VISIBILITY_TIMEOUT),
            "the handler depends on these values"
        );
        let sweep = &app.functions["SweepJoiners"];
        assert_eq!(sweep.outputs[0].queue.as_deref(), app.queue_of("OnGroupAdd"), "jobs reach OnGroupAdd");
        assert!(
            matches!(&sweep.trigger, Trigger::Timer(timer) if timer.schedule.to_string() == "0 0 5 * * *")
        );
        assert!(sweep.retry.is_some());
    }
}

/// What the handler prints has the category `Host.Function.Console`, and becomes a trace. The requests that Azure's libraries
/// log have categories below `Azure`: 49,000 lines a day of an idle app (observed on host 4.1037).
#[test]
fn host_json_keeps_every_line_of_the_handler_and_leaves_out_the_requests_of_the_host_itself() {
    let files = Files::embedded();
    let host: Value = serde_json::from_str(&files.0["host.json"]).unwrap();
    let levels = host["logging"]["logLevel"].as_object().unwrap();
    // The longest prefix of the category counts.
    let level = |category: &str| {
        let prefixes = levels.iter().filter(|(prefix, _)| category.starts_with(prefix.as_str()));
        let level =
            prefixes.max_by_key(|(prefix, _)| prefix.len()).map_or(&levels["default"], |(_, level)| level);
        level.as_str().unwrap().to_owned()
    };
    for ours in ["Host.Function.Console", "Function.OnGroupAdd", "Function.CreateTap.User", "Host.Results"] {
        assert_eq!(level(ours), "Information", "{ours}");
    }
    for noise in ["Azure.Core", "Azure.Core.1", "Azure.Storage.Queues", "Microsoft.AspNetCore.Hosting"] {
        assert_eq!(level(noise), "Warning", "{noise}");
    }
    // Whoever sets `default` to Information in the app's settings gets no request logs either.
    assert!(levels.contains_key("Azure"));
    let sampling = &host["logging"]["applicationInsights"]["samplingSettings"];
    let excluded: Vec<&str> = sampling["excludedTypes"].as_str().unwrap().split(';').collect();
    for kept in ["Trace", "Exception", "Request"] {
        assert!(excluded.contains(&kept), "{kept} must not be sampled: alerts are traces");
    }
}

/// File, changed pointer, new value (`null` removes it), reported pointer (empty: the changed one), and words of the
/// problem.
const MISTAKES: &str = r##"[
  ["host.json", "/version", "3.0", "", "not \"2.0\""],
  ["host.json", "/version", null, "", "is missing"],
  ["host.json", "/functionTimeOut", "00:05:00", "", "it is written functionTimeout"],
  ["host.json", "/functionTimeout", "00:60:00", "", "59 minutes"],
  ["host.json", "/functionTimeout", "600", "", "not a TimeSpan"],
  ["host.json", "/functionTimeout", "24:00:00", "", "days"],
  ["host.json", "/functionTimeout", "00:00:00", "", "must not be zero"],
  ["host.json", "/customHandler", null, "", "is missing"],
  ["host.json", "/customHandler/enableForwardingHttpRequest", true, "", "form and the path"],
  ["host.json", "/customHandler/enableProxyingHttpRequest", true, "", "form and the path"],
  ["host.json", "/customHandler/description/defaultExecutablePath", "", "", "is empty"],
  ["host.json", "/customHandler/description/defaultExecutablePath", null, "", "is missing"],
  ["host.json", "/customHandler/description/arguments", ["serve --loud"], "/customHandler/description/arguments/0", "has a space"],
  ["host.json", "/customHandler/description/arguments", ["%LOUD%"], "/customHandler/description/arguments/0", "%LOUD% is not a setting"],
  ["host.json", "/extensionBundle", null, "", "is missing"],
  ["host.json", "/extensionBundle/id", "Microsoft.Azure.WebJobs", "", "is not Microsoft.Azure.Functions.ExtensionBundle"],
  ["host.json", "/extensionBundle/version", "4.0", "", "not a version range"],
  ["host.json", "/extensionBundle/version", "[2.*, 4.0.0)", "", "not a version range"],
  ["host.json", "/extensions/http/routePrefix", "/api", "", "not a route prefix"],
  ["host.json", "/extensions/queues/batchSize", 33, "", "from 1 to 32: 33"],
  ["host.json", "/extensions/queues/batchSize", "4", "", "not a whole number"],
  ["host.json", "/extensions/queues/newBatchThreshold", -1, "", "whole number"],
  ["host.json", "/extensions/queues/maxDequeueCount", 0, "", "whole number"],
  ["host.json", "/extensions/queues/visibilityTimeout", 180, "", "not a text"],
  ["host.json", "/extensions/queues/visibilityTimeout", "8.00:00:00", "", "seven days"],
  ["host.json", "/extensions/queues/messageEncoding", "utf8", "", "one of base64, none"],
  ["host.json", "/extensions/queues/visibilityTimeOut", "00:03:00", "", "it is written visibilityTimeout"],
  ["host.json", "/queues", {}, "", "not a property"],
  ["SweepJoiners/function.json", "/bindings/0/type", "timeTrigger", "", "\"timeTrigger\" is not a trigger"],
  ["SweepJoiners/function.json", "/bindings/0/schedule", null, "", "is missing"],
  ["SweepJoiners/function.json", "/bindings/0/schedule", "%SWEEP_TIME%", "", "%SWEEP_TIME% is not a setting"],
  ["SweepJoiners/function.json", "/bindings/0/schedule", "%NIGHTLY%", "", "\"nightly\" is not a schedule"],
  ["SweepJoiners/function.json", "/bindings/0/schedule", "0 0 24 * * *", "", "\"24\" is not a hour"],
  ["SweepJoiners/function.json", "/bindings/0/schedule", "1.00:00:00", "", "TimeSpan"],
  ["SweepJoiners/function.json", "/bindings/0/name", "clock", "", "not \"timer\", the handler's name"],
  ["SweepJoiners/function.json", "/bindings/1/name", "messages", "", "not \"jobs\", the handler's name"],
  ["SweepJoiners/function.json", "/bindings/1/name", "timer", "", "taken by another binding"],
  ["SweepJoiners/function.json", "/bindings/1/direction", null, "", "is missing"],
  ["SweepJoiners/function.json", "/bindings/1/direction", "in", "", "goes \"out\""],
  ["SweepJoiners/function.json", "/bindings/1/queueName", "Pass_Jobs", "", "not a valid queue name"],
  ["SweepJoiners/function.json", "/bindings/1/connection", "Storage", "", "\"Storage\" is not a setting"],
  ["SweepJoiners/function.json", "/bindings/1", null, "/bindings", "lacks the queue \"jobs\""],
  ["SweepJoiners/function.json", "/bindings/0", null, "/bindings", "has no trigger"],
  ["SweepJoiners/function.json", "/retry/strategy", "exponential", "", "one of fixedDelay, exponentialBackoff"],
  ["SweepJoiners/function.json", "/retry/strategy", "fixedDelay", "/retry/delayInterval", "is missing"],
  ["SweepJoiners/function.json", "/retry/maximumInterval", null, "", "is missing"],
  ["SweepJoiners/function.json", "/retry/minimumInterval", "01:00:00", "/retry", "longer than"],
  ["SweepJoiners/function.json", "/retry/maxRetryCount", "five", "", "whole number"],
  ["OnGroupAdd/function.json", "/bindings/0/direction", "out", "", "goes \"in\""],
  ["OnGroupAdd/function.json", "/bindings/0/queue", "pass-jobs", "", "not a property"],
  ["OnGroupAdd/function.json", "/retry", {"strategy": "fixedDelay", "maxRetryCount": 3, "delayInterval": "00:01:00"}, "", "only a timer has retries"],
  ["OnGroupAdd/function.json", "/bindings/1", {"name": "res", "type": "http", "direction": "out"}, "/bindings", "no http trigger"],
  ["CreateTap/function.json", "/bindings/0/authLevel", "functions", "", "one of anonymous, function, admin"],
  ["CreateTap/function.json", "/bindings/0/methods", ["POST"], "/bindings/0/methods/0", "one of get, post"],
  ["CreateTap/function.json", "/bindings/0/route", "/CreateTap", "", "begin with a slash"],
  ["CreateTap/function.json", "/bindings/0/route", "admin/tap", "", "host reserves"],
  ["CreateTap/function.json", "/bindings/1", null, "/bindings", "no http output"],
  ["CreateTap/function.json", "/bindings/1", {"name": "out", "type": "queue", "direction": "out", "queueName": "log"}, "/bindings/2", "the handler has no \"queue\""],
  ["CreateTap/function.json", "/bindings", null, "", "is missing"]
]"##;

#[test]
fn every_mistake_is_reported_with_file_and_pointer() {
    let mistakes: Vec<(String, String, Value, String, String)> = serde_json::from_str(MISTAKES).unwrap();
    for (file, changed, value, pointer, words) in mistakes {
        let mut files = Files::embedded();
        change(&mut files, &file, &changed, Some(value.clone()).filter(|value| !value.is_null()));
        let Err(problems) = load(&files) else { panic!("{file}{changed} = {value} is not refused") };
        let pointer = if pointer.is_empty() { &changed } else { &pointer };
        let is_it = |p: &&firstpass_sandbox::functions_host::ConfigProblem| {
            p.file == file && p.pointer == *pointer && p.what.contains(&words)
        };
        assert!(
            problems.0.iter().any(|p| is_it(&p)),
            "{file}{changed} = {value}, expected {words:?} at {pointer}:\n{problems}"
        );
        assert!(
            problems.0.iter().all(|p| p.file == file),
            "only the file with the mistake is reported:\n{problems}"
        );
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let mut files = Files::embedded();
    change(&mut files, "host.json", "/extensions/queues/batchSize", Some(json!(64)));
    change(&mut files, "host.json", "/version", Some(json!("1.0")));
    change(&mut files, "CreateTap/function.json", "/bindings/0/authLevel", Some(json!("open")));
    change(&mut files, "CreateTap/function.json", "/bindings/1/direction", None);
    files.0.insert("SweepJoiners/function.json".into(), "{".into());
    files.0.insert("Extra/function.json".into(), r#"{"bindings": []}"#.into());
    files.0.remove("OnGroupAdd/function.json");
    let problems = load(&files).unwrap_err().to_string();
    for line in [
        "host.json#/extensions/queues/batchSize: ",
        "host.json#/version: ",
        "CreateTap/function.json#/bindings/0/authLevel: ",
        "CreateTap/function.json#/bindings/1/direction: ",
        "SweepJoiners/function.json#: is not JSON",
        "Extra/function.json#/bindings: has no trigger",
        "Extra/function.json#: the handler has no such function",
        "OnGroupAdd/function.json#: is missing",
    ] {
        assert!(problems.contains(line), "{line}\n{problems}");
    }
}

#[test]
fn the_plan_limits_the_function_timeout() {
    for (timeout, on_consumption, elsewhere) in [
        ("00:10:01", false, true),
        ("-1", false, true),
        ("00:10:00", true, true),
        ("1.00:00:00", false, true),
    ] {
        let mut files = Files::embedded();
        change(&mut files, "host.json", "/functionTimeout", Some(json!(timeout)));
        let is_allowed = |plan| FunctionApp::load(&files, &settings(), plan, CONTRACTS).is_ok();
        assert_eq!(is_allowed(Plan::Consumption), on_consumption, "{timeout}");
        assert_eq!(is_allowed(Plan::Flex), elsewhere, "{timeout}");
    }
}

#[test]
fn a_problem_of_an_overridden_value_names_the_setting() {
    let with = |name: &'static str, value: &'static str| {
        let all = [("AzureWebJobsStorage", "x"), ("SWEEP_SCHEDULE", "0 5 * * *"), (name, value)];
        FunctionApp::embedded(&Environment::from_iter(all))
    };
    let app =
        with("AzureFunctionsJobHost__customHandler__description__defaultExecutablePath", "target/x").unwrap();
    assert_eq!(app.host.executable, "target/x");
    let app = with("AzureFunctionsJobHost__extensions__Queues__BatchSize", "1").unwrap();
    assert_eq!(app.host.queues.batch_size, 1, "names are case-insensitive");
    let name = "AzureFunctionsJobHost__extensions__queues__batchSize";
    let problems = with(name, "99").unwrap_err();
    assert_eq!(
        (problems.0[0].file.as_str(), problems.0[0].pointer.as_str()),
        (name, "/extensions/queues/batchSize")
    );
}

#[test]
fn the_example_of_local_settings_is_complete() {
    let text = include_str!("../../local.settings.json.example");
    let file: Value = serde_json::from_str(text).unwrap();
    let values = file["Values"].as_object().unwrap();
    let settings = values.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let app = FunctionApp::embedded(&settings);
    let app = app.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(app.host.executable, "target/debug/firstpass-sandbox");
}

#[test]
fn timers_and_queues_require_a_storage_account() {
    let problems =
        FunctionApp::embedded(&Environment::from_iter([("SWEEP_SCHEDULE", "0 5 * * *")])).unwrap_err();
    let pointers: Vec<String> = problems.0.iter().map(|p| format!("{}{}", p.file, p.pointer)).collect();
    assert_eq!(
        pointers,
        [
            "OnGroupAdd/function.json/bindings/0/connection",
            "OnGroupAdd/function.json/bindings/1/connection",
            "SweepJoiners/function.json/bindings/0",
            "SweepJoiners/function.json/bindings/1/connection",
        ]
    );
}

#[test]
fn the_schedule_setting_has_five_or_six_fields() {
    for (schedule, is_good) in
        [("0 5 * * 1-5", true), ("0 0 5 * * 1-5", true), ("5 o'clock", false), ("", false)]
    {
        let settings = Environment::from_iter([("AzureWebJobsStorage", "x"), ("SWEEP_SCHEDULE", schedule)]);
        match FunctionApp::embedded(&settings) {
            Ok(_) => assert!(is_good, "{schedule}"),
            Err(problems) => {
                assert!(!is_good, "{problems}");
                assert_eq!(problems.0[0].pointer, "/bindings/0/schedule");
            }
        }
    }
}
