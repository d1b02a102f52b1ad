//! Invariant 6: every run that ends says so in the log; what a person must see to, a person is told.

use std::collections::BTreeMap;

use super::oracle::{day_one_of, is_near};
use crate::{
    evidence::{End, Run},
    setup::Setup,
};

pub async fn check(setup: &Setup) {
    let log = setup.log();
    let alerts: Vec<&str> = log.lines().filter(|line| line.contains(" event=alert ")).collect();
    let is_told = |words: &str| alerts.iter().any(|line| line.contains(words));
    let mut silent = Vec::new();
    silent.extend(unlogged(setup, &log));
    {
        let evidence = setup.evidence();
        for run in &evidence.runs {
            let End::Ended(outcome, why) = &run.end else { continue };
            match outcome.as_str() {
                "revoked" if !is_told(&format!("reference={}", run.key)) => {
                    silent.push(format!("{} was revoked, and nobody told", run.key));
                }
                // News once; the reason may be an old one.
                "blocked" if !is_told(&who(setup, run)) => {
                    silent.push(format!("{} was blocked ({why}), and nobody was ever told", run.key));
                }
                _ => {}
            }
        }
        // A worker that dies at the last delivery cannot say so: looking into the poison queue is the sweep's, and not
        // built yet. The next sweep takes up what is on record all the same.
        for (key, _) in evidence.poison.iter().filter(|(_, lived)| *lived) {
            let given_up = |line: &&str| {
                line.contains("is in the poison queue") && line.contains(&format!("reference={key}"))
            };
            if !alerts.iter().any(given_up) {
                silent.push(format!("{key} was given up, and nobody told"));
            }
        }
        if evidence.sweeps_given_up > 0 && !is_told("The sweep could not read the tenant") {
            silent.push("a sweep was given up, and nobody told".into());
        }
    }
    silent.extend(unserved(setup, &is_told));
    let evidence = &mut *setup.evidence();
    silent.into_iter().for_each(|what| evidence.violated(6, what));
}

fn who(setup: &Setup, run: &Run) -> String {
    let name =
        run.reading.get("me").and_then(|(_, body)| body["userPrincipalName"].as_str()).map(str::to_owned);
    let name = name
        .or_else(|| setup.sandbox.edit(|t| t.users.get(&run.user).map(|p| p.user_principal_name.clone())));
    format!("who={}", name.unwrap_or_default())
}

/// Runs without their line in the log.
fn unlogged(setup: &Setup, log: &str) -> Vec<String> {
    let mut lines: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains(" event=job.done ")) {
        let field = |name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}=")).unwrap_or_default();
            rest.split(' ').next().unwrap_or_default().to_owned()
        };
        *lines.entry((field("job"), field("outcome"))).or_default() += 1;
    }
    let calls = log.lines().filter(|line| line.contains(" event=create_tap.")).count();
    let mut ends: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut answered = 0;
    for run in &setup.evidence().runs {
        match &run.end {
            End::Ended(..) if run.reason == "http" => answered += 1,
            End::Ended(outcome, _) => *ends.entry((run.key.clone(), outcome.clone())).or_default() += 1,
            _ => {}
        }
    }
    let mut silent: Vec<String> = ends
        .iter()
        .filter(|(end, times)| lines.get(*end).copied().unwrap_or_default() < **times)
        .map(|((key, outcome), _)| format!("{key} ended in {outcome:?} without a line in the log"))
        .collect();
    if calls < answered {
        silent.push(format!("{answered} calls were answered, {calls} are in the log"));
    }
    silent
}

/// Joiners of the next days who get nothing, for a reason that a person must see: power, or no address.
fn unserved(setup: &Setup, is_told: &impl Fn(&str) -> bool) -> Vec<String> {
    let (now, ids) = (setup.now(), setup.ids.lock().unwrap().clone());
    setup.sandbox.edit(|tenant| {
        let people = ids.iter().filter_map(|id| tenant.users.get(id));
        let in_scope = people.filter(|person| {
            // A disabled account can be out of scope for what it was told before.
            person.enabled
                && !person.guest
                && day_one_of(person).is_some_and(|(day, zone)| is_near(day, zone, now))
        });
        in_scope
            .filter(|person| tenant.is_privileged(person.id, now) || person.other_mails.is_empty())
            .map(|person| person.user_principal_name.clone())
            .filter(|name| !is_told(&format!("who={name}")))
            .map(|name| format!("{name} gets no pass, and nobody was told"))
            .collect()
    })
}
