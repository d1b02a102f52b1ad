//! Every invocation ends in time, however slow the services behind it are. `src/budget.rs` proves the sums; these tests
//! show that the time-outs bound what they say.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use firstpass::{budget, ledger::LedgerError};
use firstpass_sandbox::tenant::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::{
    faulty_ledger::{FaultyLedger, LedgerFault, Operation},
    helpers::{PASS, World, refuse, seconds, tenant_with_emma, throttle},
};

/// Every operation takes as long as it may.
#[derive(Debug)]
struct SlowLedger;

#[async_trait]
impl LedgerFault for SlowLedger {
    async fn before(&self, operation: Operation) -> Result<(), LedgerError> {
        let limit = if operation == Operation::List { budget::LEDGER_LISTING } else { budget::LEDGER_CALL };
        tokio::time::sleep(limit).await;
        Ok(())
    }
}

fn slow() -> Arc<FaultyLedger<SlowLedger>> {
    FaultyLedger::by(SlowLedger)
}

fn answers_after(seconds: u64) -> FaultKind {
    FaultKind::DelayAfter(Duration::from_secs(seconds))
}

fn never_answers() -> FaultKind {
    FaultKind::Delay(Duration::from_secs(3_600))
}

#[test]
fn the_budget_rests_on_the_time_out_in_host_json() {
    let host: Value = serde_json::from_str(include_str!("../../host.json")).unwrap();
    let limit = budget::FUNCTION_TIMEOUT.as_secs();
    assert_eq!(host["functionTimeout"], format!("00:{:02}:{:02}", limit / 60, limit % 60));
}

#[tokio::test(start_paused = true)]
async fn a_job_by_sign_in_name_whose_mail_is_refused_ends_in_time_with_an_alert() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(firstpass_sandbox::tenant::Group::named("On demand").members([emma]));
    let world = World::on(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())], slow());
    world.sandbox.inject(Fault::on("GET", "/users/", answers_after(29)));
    world.sandbox.inject(Fault::on("POST", "$batch", never_answers()).times(3));
    world.sandbox.inject(Fault::on("POST", "$batch", answers_after(29)).nth(4));
    world.sandbox.inject(Fault::on("POST", PASS, throttle("120")));
    world.sandbox.inject(Fault::on("POST", PASS, answers_after(29)).nth(2));
    world.sandbox.inject(Fault::on("POST", "sendMail", throttle("45")));
    world.sandbox.inject(Fault::on("POST", "sendMail", refuse(400)).nth(2));
    world.sandbox.inject(Fault::on("POST", "sendMail", never_answers()).nth(3));
    world.sandbox.inject(Fault::on("DELETE", PASS, never_answers()).always());
    let message = json!("emma.brooks@contoso.example").to_string();
    let (answer, took) = seconds(&world.sandbox, world.host.deliver(&message, 5)).await;
    assert!(answer.log().contains(": failed: "), "{}", answer.log());
    assert_eq!(world.count("DELETE", PASS), 1, "the mail was refused");
    assert!((450..600).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_ends_in_time_if_nothing_answers() {
    for search in [never_answers(), answers_after(29)] {
        let (tenant, _) = tenant_with_emma();
        let world = World::on(tenant, &[], slow());
        world.sandbox.inject(Fault::on("GET", "", search).always());
        world.sandbox.inject(Fault::on("POST", "sendMail", never_answers()).always());
        let (_, took) = seconds(&world.sandbox, world.host.fire_timer()).await;
        assert!((100..600).contains(&took), "{took} s");
    }
}
