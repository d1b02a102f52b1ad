//! `firstpass-sandbox serve` refuses what a sandbox must not touch.

use firstpass::{
    environment::Environment,
    settings::{Settings, SettingsError},
};
use firstpass_sandbox::serve::{build_app, product_environment};

fn build(settings: &[(&str, &str)]) -> Result<(), SettingsError> {
    let env: Environment = settings.iter().copied().collect();
    build_app(Settings::read(&product_environment(&env))?, &env).map(drop)
}

#[test]
fn a_sandbox_needs_nothing_else_and_must_be_on_this_machine() {
    assert!(build(&[("SANDBOX_URL", "http://127.0.0.1:8089")]).is_ok());
    assert_eq!(
        build(&[]).unwrap_err().to_string().split(" (").next().unwrap(),
        "1 setting needs attention: SANDBOX_URL is missing"
    );
    for elsewhere in
        ["https://127.0.0.1:8089", "http://10.0.0.1:8089", "http://127.0.0.1.evil.example", "8089"]
    {
        assert_eq!(build(&[("SANDBOX_URL", elsewhere)]).unwrap_err().0[0].name, "SANDBOX_URL", "{elsewhere}");
    }
}

#[test]
fn a_sandbox_is_refused_where_anything_looks_like_azure() {
    for sign in ["WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "LEGION_SERVICE_HOST", "CONTAINER_NAME"] {
        let env = [("SANDBOX_URL", "http://127.0.0.1:8089"), ("WEBSITE_SITE_NAME", "my-app"), (sign, "1")];
        let report = build(&env).unwrap_err();
        assert!(report.0.iter().any(|p| p.name == "SANDBOX_URL" && p.detail.contains(sign)), "{report}");
    }
    let container = [("SANDBOX_URL", "http://127.0.0.1:8089"), ("CONTAINER_NAME", "mine")];
    assert!(build(&container).is_ok(), "any container may have a name");
}

/// A settings file that was copied from a real app must not let a simulated tenant change real records.
#[test]
fn a_ledger_must_be_on_this_machine() {
    let sandbox = ("SANDBOX_URL", "http://127.0.0.1:8089");
    for elsewhere in [
        "https://mystorage.blob.core.windows.net/ledger?sig=a",
        "https://mystorage.blob.core.windows.net/ledger",
        "https://127.0.0.1.evil.example/ledger?sig=a",
    ] {
        let report = build(&[sandbox, ("LEDGER_URL", elsewhere)]).unwrap_err();
        assert_eq!(
            report.0.iter().map(|problem| problem.name).collect::<Vec<_>>(),
            ["LEDGER_URL"],
            "{report}"
        );
    }
    assert!(
        build(&[sandbox, ("LEDGER_URL", "http://127.0.0.1:10000/devstoreaccount1/ledger?sig=a")]).is_ok()
    );
}
