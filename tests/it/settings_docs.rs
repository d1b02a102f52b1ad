//! local.settings.json.example and docs/SETTINGS.md match the code.

use firstpass::settings;
use firstpass_sandbox::serve::{build_app, product_environment};
use serde_json::Value;

#[test]
fn the_local_settings_example_is_valid() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/local.settings.json.example");
    let values = serde_json::from_str::<Value>(&std::fs::read_to_string(example).unwrap()).unwrap();
    let env = values["Values"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    let env: firstpass::environment::Environment = env.collect();
    let settings =
        settings::Settings::read(&product_environment(&env)).unwrap_or_else(|report| panic!("{report}"));
    build_app(settings, &env).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(settings::Settings::unknown_names(&env), Vec::<String>::new());
}

#[test]
fn the_settings_page_documents_exactly_the_settings() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SETTINGS.md")).unwrap();
    let (table, _) = page.split_once("\n## ").unwrap();
    let documented: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(documented, settings::NAMES);
}

/// The default decides who may have passes made.
#[test]
fn the_settings_page_says_that_nobody_may_call_by_default() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SETTINGS.md")).unwrap();
    let default = |name: &str| {
        page.lines().find_map(|line| line.strip_prefix(&format!("| `{name}` | "))?.split(" |").next())
    };
    let (callers, group) = (default("CREATE_TAP_ALLOWED_CALLERS"), default("CREATE_TAP_ALLOWED_GROUP_ID"));
    assert_eq!((callers, group, default("CREATE_TAP_OPEN")), (Some("none"), Some("none"), Some("`false`")));
}
