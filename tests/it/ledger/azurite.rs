//! The ledger on Azurite, Microsoft's storage emulator. `tests/azurite/run` installs and starts it.

use std::sync::Arc;

use azure_core::http::Url;
use firstpass::{
    environment::Environment,
    ledger::{Ledger, blob::BlobLedger},
};
use uuid::Uuid;

use super::check_ledger_contract;
use crate::helpers::{TestApp, tenant_with_emma};

/// The URL of a container that does not exist yet, with the emulator's account SAS.
pub fn new_container() -> Url {
    let env = Environment::process();
    let account = env.get("AZURITE_URL").expect("AZURITE_URL: run tests/azurite/run");
    let mut url: Url = account.parse().unwrap();
    url.path_segments_mut().unwrap().push(&format!("ledger-{}", Uuid::new_v4()));
    url
}

fn ledger(container: Url) -> BlobLedger {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).no_gzip().build().unwrap();
    BlobLedger::new(container, None, Arc::new(http)).unwrap()
}

#[tokio::test]
#[ignore = "needs Azurite: tests/azurite/run"]
async fn azurite_passes_the_ledger_contract() {
    check_ledger_contract(&ledger(new_container())).await;
}

#[tokio::test]
#[ignore = "needs Azurite: tests/azurite/run"]
async fn a_joiner_is_served_with_a_ledger_on_azurite() {
    let (tenant, emma) = tenant_with_emma();
    let ledger = Arc::new(ledger(new_container()));
    let app = TestApp::with_ledger(tenant, &[], ledger.clone());
    assert_eq!(app.sweep().await[0].outcome, "delivered");
    assert!(app.sweep().await.is_empty(), "the listing's metadata says that nothing is due");
    app.assert_newest_mail_has_live_code(emma);
    assert_eq!(ledger.list().await.unwrap().len(), 1);
}

#[tokio::test]
#[ignore = "needs Azurite: tests/azurite/run"]
async fn a_wrong_sas_is_reported() {
    let mut container = new_container();
    let query = container.query().unwrap().replace("sig=", "sig=AAAA");
    container.set_query(Some(&query));
    let error = ledger(container).read(Uuid::nil()).await.unwrap_err().to_string();
    assert!(error.contains("403 Auth") && error.contains("check the SAS in LEDGER_URL"), "{error}");
    assert!(!error.contains("sig="), "{error}");
}
