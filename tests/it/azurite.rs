//! The ledger on Azurite, Microsoft's own emulator of blob storage. `tests/azurite/run` installs and starts it.

use std::sync::Arc;

use azure_core::http::Url;
use firstpass::{
    environment::Environment,
    ledger::{Ledger, blob::BlobLedger},
};
use uuid::Uuid;

use crate::{
    helpers::{World, tenant_with_emma},
    ledgers::keeps_every_promise,
};

/// A container that is not there yet, with the account SAS of the emulator.
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
async fn azurite_keeps_every_promise() {
    keeps_every_promise(&ledger(new_container())).await;
}

#[tokio::test]
#[ignore = "needs Azurite: tests/azurite/run"]
async fn the_whole_flow_runs_on_azurite() {
    let (tenant, emma) = tenant_with_emma();
    let ledger = Arc::new(ledger(new_container()));
    let world = World::on(tenant, &[], ledger.clone());
    assert_eq!(world.sweep().await[0].outcome, "delivered");
    assert_eq!(world.sweep().await[0].outcome, "skipped");
    world.assert_newest_mail_opens(emma);
    assert_eq!(ledger.list().await.unwrap().len(), 1);
}

#[tokio::test]
#[ignore = "needs Azurite: tests/azurite/run"]
async fn a_wrong_sas_is_said_to_be_one() {
    let mut container = new_container();
    let query = container.query().unwrap().replace("sig=", "sig=AAAA");
    container.set_query(Some(&query));
    let said = ledger(container).read(Uuid::nil()).await.unwrap_err().to_string();
    assert!(said.contains("403 Auth") && said.contains("check the SAS in LEDGER_URL"), "{said}");
    assert!(!said.contains("sig="), "{said}");
}
