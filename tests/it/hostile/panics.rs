//! A panic ends its invocation and nothing else.

use std::sync::Mutex;

use async_trait::async_trait;
use firstpass::ledger::LedgerError;
use uuid::Uuid;

use crate::{
    helpers::{TestApp, tenant_with_emma},
    ledger::faulty_ledger::{FaultyLedger, LedgerFault, Operation},
};

/// Panics at this operation, once.
#[derive(Debug)]
struct PanicsAt(Mutex<Option<Operation>>);

#[async_trait]
impl LedgerFault for PanicsAt {
    async fn before(&self, operation: Operation) -> Result<(), LedgerError> {
        let mut at = self.0.lock().unwrap();
        if *at == Some(operation) {
            *at = None;
            drop(at);
            panic!("sig=SECRET of {operation:?}");
        }
        Ok(())
    }
}

fn app(operation: Operation) -> (TestApp, Uuid) {
    let (tenant, emma) = tenant_with_emma();
    let ledger = FaultyLedger::with_fault(PanicsAt(Mutex::new(Some(operation))));
    (TestApp::with_ledger(tenant, &[("CREATE_TAP_OPEN", "true")], ledger), emma)
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_alert_and_the_next_invocation_works() {
    for operation in [Operation::Read, Operation::Write, Operation::List, Operation::Conditions] {
        let (app, emma) = app(operation);
        let sweep = app.host.fire_timer().await;
        let job = app.host.deliver(&app.job(emma).to_message(), 1).await;
        let failed: Vec<_> = [&sweep, &job].into_iter().filter(|answer| !answer.is_success()).collect();
        assert_eq!(failed.len(), 1, "{operation:?}");
        assert!(failed[0].log().contains("a mistake in firstpass"), "{}", failed[0].log());
        let alerts: Vec<String> = app.alerts().iter().map(ToString::to_string).collect();
        let told: Vec<_> = alerts.iter().filter(|text| text.contains("A mistake in firstpass")).collect();
        assert_eq!(told.len(), 1, "{operation:?}: {alerts:?}");
        assert!(!alerts.concat().contains("SECRET"));
        // As after a crash: the lease ends, and the job runs again.
        app.sweep().await;
        app.advance(chrono::TimeDelta::minutes(6));
        app.sweep_daily(1).await;
        assert_eq!(app.pass_mails().len(), 1, "{operation:?}");
        app.assert_newest_mail_has_live_code(emma);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_call_is_answered() {
    let (app, emma) = app(Operation::Read);
    let (status, problem) = app.create_tap(&emma.to_string()).await;
    assert_eq!((status, problem["type"].as_str()), (500, Some("urn:firstpass:internal-error")));
    assert!(!problem.to_string().contains("SECRET"));
    assert_eq!(app.create_tap(&emma.to_string()).await.0, 201);
}
