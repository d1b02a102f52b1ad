//! Invariant 6: every finished invocation is logged, and everything that a person must act on causes an alert.

use std::collections::BTreeMap;

use super::oracle::{day_one_of, is_in_horizon, is_in_use};
use crate::{
    simulation::Simulation,
    trace::{Invocation, InvocationResult, NOTES},
};

/// The start of the product's alert for a poisoned job.
const POISONED: &str = "goes to the poison queue";
/// What the outcome and the alert say when the mailbox that sends refuses everything.
const MAILBOX_SHUT: &str = "he mailbox that sends refuses all mails";
/// The product's alert for a sweep that failed at every retry.
const SWEEP_FAILED: &str = "The sweep could not read the tenant";

pub async fn check(sim: &Simulation) {
    let log = sim.log();
    let alerts: Vec<&str> = log.lines().filter(|line| line.contains(" event=alert ")).collect();
    let is_alerted = |text: &str| alerts.iter().any(|line| line.contains(text));
    let mut missing = missing_log_lines(sim, &log);
    {
        let trace = sim.trace();
        for invocation in &trace.invocations {
            let InvocationResult::Finished(outcome, reason) = &invocation.result else { continue };
            let job_key = &invocation.job_key;
            match outcome.as_str() {
                "revoked" if !is_alerted(&format!("reference={job_key}")) => {
                    missing.push(format!("{job_key} was revoked without an alert"));
                }
                // One alert is for all.
                "blocked" if reason.contains(MAILBOX_SHUT) && is_alerted(MAILBOX_SHUT) => {}
                // One alert is enough, also if the reason changes.
                "blocked" if !is_alerted_of(sim, invocation, &is_alerted) => {
                    missing.push(format!("{job_key} was blocked ({reason}) without an alert"));
                }
                _ => {}
            }
        }
        // A worker that crashes at the last delivery cannot send the alert. The sweep does so from the poison queue,
        // which the simulation does not provide.
        for job in trace.poisoned_jobs.iter().filter(|job| !job.worker_crashed) {
            let is_about =
                |line: &&str| line.contains(POISONED) && line.contains(&format!("reference={}", job.key));
            if !alerts.iter().any(is_about) {
                missing.push(format!("{} was poisoned without an alert", job.key));
            }
        }
        if trace.failed_sweeps > 0 && !is_alerted(SWEEP_FAILED) {
            missing.push("a sweep failed at every retry without an alert".into());
        }
    }
    missing.extend(unserved_joiners(sim, &is_alerted));
    let trace = &mut *sim.trace();
    missing.into_iter().for_each(|message| trace.violated(6, message));
}

/// Whether there is an alert about the invocation's user, by any name that they have had.
fn is_alerted_of(sim: &Simulation, invocation: &Invocation, is_alerted: &impl Fn(&str) -> bool) -> bool {
    is_alerted(sim.scenario.names_like(&user_name(sim, invocation)))
}

/// How an alert names the invocation's user.
fn user_name(sim: &Simulation, invocation: &Invocation) -> String {
    let user = invocation.responses.get("me");
    let name = user.and_then(|(_, body)| body["userPrincipalName"].as_str()).map(str::to_owned);
    let name = name.or_else(|| {
        sim.sandbox.edit(|t| t.users.get(&invocation.user).map(|p| p.user_principal_name.clone()))
    });
    name.unwrap_or_else(|| invocation.user.to_string())
}

/// Finished invocations that have no line in the log.
fn missing_log_lines(sim: &Simulation, log: &str) -> Vec<String> {
    let mut lines: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains(" event=job.done ")) {
        let field = |name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}=")).unwrap_or_default();
            rest.split(' ').next().unwrap_or_default().to_owned()
        };
        *lines.entry((field("job"), field("outcome"))).or_default() += 1;
    }
    let logged_calls = log.lines().filter(|line| line.contains(" event=create_tap.")).count();
    let mut finished: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut finished_calls = 0;
    for invocation in &sim.trace().invocations {
        match &invocation.result {
            InvocationResult::Finished(..) if invocation.reason == "http" => finished_calls += 1,
            // It is a message and no job.
            InvocationResult::Finished(outcome, _) if invocation.reason == NOTES && outcome == "done" => {}
            InvocationResult::Finished(outcome, _) => {
                *finished.entry((invocation.job_key.clone(), outcome.clone())).or_default() += 1;
            }
            _ => {}
        }
    }
    let mut missing: Vec<String> = finished
        .iter()
        .filter(|(key, count)| lines.get(*key).copied().unwrap_or_default() < **count)
        .map(|((job_key, outcome), _)| format!("{job_key} ended with {outcome:?} without a log line"))
        .collect();
    if logged_calls < finished_calls {
        missing.push(format!("{finished_calls} calls were answered, but only {logged_calls} were logged"));
    }
    missing
}

/// Joiners in the horizon who get no pass because they are privileged or have no address, and have no alert.
fn unserved_joiners(sim: &Simulation, is_alerted: &impl Fn(&str) -> bool) -> Vec<String> {
    let (now, ids) = (sim.now(), sim.ids.lock().unwrap().clone());
    let unserved: Vec<String> = sim.sandbox.edit(|tenant| {
        let people = ids.iter().filter_map(|id| tenant.users.get(id));
        let in_scope = people.filter(|person| {
            // Disabled accounts can be out of scope, depending on the record.
            person.enabled
                && !person.guest
                && day_one_of(person, &sim.scenario.config)
                    .is_some_and(|(day, zone)| is_in_horizon(day, zone, now))
        });
        in_scope
            // A joiner who used a pass is in the account: nothing about this start matters any more.
            .filter(|person| {
                let used = sim.used.lock().unwrap();
                let mut passes = sim.trace().passes.clone().into_iter();
                !passes.any(|tracked| tracked.pass.user == person.id && used.contains_key(&tracked.pass.id))
            })
            .filter(|person| {
                tenant.is_privileged(person.id, now)
                    || !sim.can_be_reached(person)
                    || is_in_use(person, &sim.scenario.config, now)
            })
            .map(|person| person.user_principal_name.clone())
            .collect()
    });
    let untold = unserved.into_iter().filter(|name| !is_alerted(sim.scenario.names_like(name)));
    untold.map(|name| format!("{name} gets no pass, and there is no alert")).collect()
}
