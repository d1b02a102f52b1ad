//! `firstpass-sandbox serve` refuses settings that would affect real systems.

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
fn sandbox_url_is_required_and_must_be_loopback() {
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
fn sandbox_url_is_refused_in_azure() {
    for sign in [
        "WEBSITE_INSTANCE_ID",
        "WEBSITE_POD_NAME",
        "LEGION_SERVICE_HOST",
        "CONTAINER_APP_NAME",
        "CONTAINER_APP_REVISION",
        "CONTAINER_NAME",
    ] {
        let env = [("SANDBOX_URL", "http://127.0.0.1:8089"), ("WEBSITE_SITE_NAME", "my-app"), (sign, "1")];
        let report = build(&env).unwrap_err();
        assert!(report.0.iter().any(|p| p.name == "SANDBOX_URL" && p.detail.contains(sign)), "{report}");
    }
    let container = [("SANDBOX_URL", "http://127.0.0.1:8089"), ("CONTAINER_NAME", "mine")];
    assert!(build(&container).is_ok(), "CONTAINER_NAME alone is not Azure");
}

/// Settings that were copied from a real app must not let a simulated tenant change real records.
#[test]
fn ledger_url_must_be_loopback() {
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
