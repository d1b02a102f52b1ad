//! What the host reads from the repository agrees with what the handler does.

use firstpass::{functions::on_group_add::MAX_DELIVERIES, sandbox::local_host::VISIBILITY_TIMEOUT, settings};
use serde_json::Value;

fn json(file: &str) -> Value {
    let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
        .unwrap()
}

#[test]
fn host_json_and_the_handler_agree() {
    let host = json("host.json");
    let queues = &host["extensions"]["queues"];
    assert_eq!(queues["maxDequeueCount"], MAX_DELIVERIES);
    assert_eq!(queues["visibilityTimeout"], format!("00:{:02}:00", VISIBILITY_TIMEOUT.as_secs() / 60));
    assert_eq!((&queues["batchSize"], &queues["newBatchThreshold"]), (&4.into(), &2.into()));
    assert_eq!(host["functionTimeout"], "00:10:00");
    assert_eq!(host["customHandler"]["description"]["arguments"], serde_json::json!(["serve"]));
    assert!(host["customHandler"].get("enableForwardingHttpRequest").is_none(), "one codec for all three");
}

#[test]
fn bindings_have_the_names_that_the_handler_uses() {
    for (function, bindings) in [
        ("SweepJoiners", vec![("timer", "timerTrigger", "in"), ("jobs", "queue", "out")]),
        ("OnGroupAdd", vec![("msg", "queueTrigger", "in")]),
        ("CreateTap", vec![("req", "httpTrigger", "in"), ("res", "http", "out")]),
    ] {
        let file = json(&format!("{function}/function.json"));
        let found: Vec<(&str, &str, &str)> = file["bindings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| {
                (b["name"].as_str().unwrap(), b["type"].as_str().unwrap(), b["direction"].as_str().unwrap())
            })
            .collect();
        assert_eq!(found, bindings, "{function}");
    }
    let sweep = json("SweepJoiners/function.json");
    assert_eq!(sweep["bindings"][0]["schedule"], "%SWEEP_SCHEDULE%");
    assert_eq!(sweep["retry"]["strategy"], "exponentialBackoff");
    assert_eq!(
        sweep["bindings"][1]["queueName"],
        json("OnGroupAdd/function.json")["bindings"][0]["queueName"]
    );
    assert_eq!(json("CreateTap/function.json")["bindings"][0]["authLevel"], "function");
}

#[test]
fn the_example_of_local_settings_works_once_copied() {
    let values = json("local.settings.json.example")["Values"].clone();
    let env = values
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    let env: settings::Environment = env.collect();
    settings::Settings::read(&env).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(settings::Settings::lookalikes(&env), Vec::<String>::new());
}

#[test]
fn every_setting_is_explained_and_nothing_else_is() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SETTINGS.md")).unwrap();
    let explained: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(explained, settings::NAMES);
}
