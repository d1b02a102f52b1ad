//! Checks of single events while the scenario runs. Later runs of the flow repair much, so the final state would hide
//! these violations.

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::{
    ledger::{Purpose, State},
    pass::Skip,
};
use firstpass_sandbox::tenant::{Pass, Sandbox};
use serde_json::Value;
use uuid::Uuid;

use super::oracle::{check_eligibility, day_one_of, is_withdrawn, values};
use crate::{
    simulation::Simulation,
    trace::{Initiator, Invocation, InvocationResult, SharedTrace, Trace, TrackedPass, html_escaped},
};

/// How long other invocations respect a lease.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// A joiner's job that finds a delivery younger than this must not deliver again: its reads may be as old.
const RECENT_DELIVERY: TimeDelta = TimeDelta::minutes(10);
/// How long after its read a POST can take effect so that the product still recognises the pass as its own.
const LATE_POST: TimeDelta = TimeDelta::minutes(15);
/// Where an invocation's responses list the user's passes.
const PASSES_PATH: &str = "me/authentication/temporaryAccessPassMethods";

/// Checks every pass that was created, replaced or deleted since the last call.
pub fn check_pass_events(sim: &Simulation) {
    let trace = &mut *sim.trace();
    for (by, event) in trace.update_passes(&sim.sandbox) {
        let Initiator::Invocation(id) = by else {
            trace.violated(2, "a request outside of any invocation created or deleted a pass".into());
            continue;
        };
        let invocation = &trace.invocations[id];
        if event.made.is_some()
            && let Err(why) = check_eligibility(invocation, &sim.scenario.config, sim.group, event.at)
        {
            let message = format!("{} created a pass, but {why}", invocation.job_key);
            trace.violated(2, message);
        }
        if event.made.is_some() {
            let invocation = &trace.invocations[id];
            let message =
                repeated_delivery(invocation, event.at).or_else(|| delivery_after_use(sim, invocation));
            if let Some(message) = message {
                trace.violated(5, message);
            }
        }
        if let Some(gone) = event.gone.as_ref().filter(|_| event.made.is_none())
            && let Some(message) = deleted_after_mail(sim, trace, id, gone)
        {
            trace.violated(1, message);
        }
        let invocation = &trace.invocations[id];
        if let Some(gone) = event.gone.as_ref().filter(|gone| is_live(gone, event.at))
            && let Some(tracked) = trace.pass(gone.id)
            && let Some(message) = destroyed_pass(trace, invocation, tracked, event.made.is_some())
        {
            let message = format!("{} {message}", invocation.job_key);
            trace.violated(7, message);
        }
    }
}

/// Invariant 1: no invocation creates or mails a pass after its lease has ended.
pub fn check_lease_time(sandbox: &Sandbox, trace: &mut Trace) {
    let Some(invocation) = SharedTrace::current_invocation().map(|id| &trace.invocations[id]) else { return };
    let Some(since) = invocation.leased_at.map(|at| sandbox.now() - at) else { return };
    if since > LEASE {
        let message = format!(
            "{} creates or mails a pass {} s after it took the lease",
            invocation.job_key,
            since.num_seconds()
        );
        trace.violated(1, message);
    }
}

/// Invariant 5: a joiner's job creates no pass if the record that it read shows a recent delivery.
fn repeated_delivery(invocation: &Invocation, at: DateTime<Utc>) -> Option<String> {
    let record = invocation.record.as_ref().filter(|record| record.state == State::Delivered)?;
    let since = at - record.delivered.as_ref()?.at;
    let is_for_joiner = matches!(invocation.reason.as_str(), "joiner" | "recheck");
    (is_for_joiner && since < RECENT_DELIVERY).then(|| {
        format!(
            "{} created a pass, but the record that it read shows a delivery {} s ago",
            invocation.job_key,
            since.num_seconds()
        )
    })
}

/// Invariant 5: a joiner who had used the delivered pass before the invocation read it gets no other.
fn delivery_after_use(sim: &Simulation, invocation: &Invocation) -> Option<String> {
    let delivered = invocation.record.as_ref()?.delivered.as_ref()?;
    let is_for_joiner = matches!(invocation.reason.as_str(), "joiner" | "recheck");
    let (user, read_at) = (invocation.user, invocation.read_at);
    let used_at = *sim.used.lock().unwrap().get(&delivered.pass.pass_id.parse::<Uuid>().ok()?)?;
    // Replicas may lag, and the user may be on the way to another day one or another pass on demand.
    let is_same = delivered.purpose == Purpose::Joiner
        && invocation.record.as_ref()?.purpose == Purpose::Joiner
        && sim
            .sandbox
            .edit(|t| t.users.get(&user).and_then(|person| day_one_of(person, &sim.scenario.config)))
            .map(|(day, _)| day)
            == delivered.day_one;
    (is_for_joiner && is_same && used_at + RECENT_DELIVERY < read_at)
        .then(|| format!("{} created a pass for a joiner who had used the last one", invocation.job_key))
}

/// Invariant 1: no invocation deletes its own pass when the mail has arrived, even if the answer to the mail was lost.
fn deleted_after_mail(sim: &Simulation, trace: &Trace, id: usize, gone: &Pass) -> Option<String> {
    let tracked = trace.pass(gone.id).filter(|tracked| tracked.created_by == Initiator::Invocation(id))?;
    let code = html_escaped(tracked.pass.code.reveal());
    let has_arrived = sim.sent().iter().any(|sent| sent.content.contains(&code));
    has_arrived.then(|| format!("{} deleted a pass whose mail had arrived", trace.invocations[id].job_key))
}

/// Invariant 1: no invocation mails a code that a later invocation has replaced. Replacements by an earlier
/// invocation, whose request took effect late, do not count: the product cannot detect them.
pub fn check_mailed_code(sandbox: &Sandbox, trace: &mut Trace, body: &str) {
    let Some(this) = SharedTrace::current_invocation() else { return };
    for event in sandbox.pass_events() {
        let by = event.by.as_deref().and_then(|id| id.parse::<usize>().ok());
        let (Some(gone), Some(_), Some(by)) = (event.gone, event.made, by) else { continue };
        let code = Value::from(html_escaped(gone.code.reveal())).to_string();
        let is_later = trace.invocations[by].post_started > trace.invocations[this].post_started;
        if by != this && is_later && body.contains(code.trim_matches('"')) {
            let message = format!(
                "{} mails a code that {} has replaced",
                trace.invocations[this].job_key, trace.invocations[by].job_key
            );
            trace.violated(1, message);
        }
    }
}

/// Whether the pass works now or will work later.
pub fn is_live(pass: &Pass, now: DateTime<Utc>) -> bool {
    matches!(pass.usability(now), "EnabledByPolicy" | "NotYetValid")
}

/// Invariant 7: describes a live pass that the invocation must not replace or delete. A pass that its own read did not
/// show (because it is newer, or a replica lagged) does not count.
fn destroyed_pass(
    trace: &Trace,
    invocation: &Invocation,
    gone: &TrackedPass,
    is_replaced: bool,
) -> Option<String> {
    let is_call = invocation.reason == "http";
    if !is_replaced {
        return match gone.created_by {
            Initiator::Person => Some("deleted a pass of the helpdesk".into()),
            // A call may delete it: some tenants refuse a second pass.
            Initiator::Invocation(_) if gone.returned_to_caller && !is_call && !is_withdrawn(invocation) => {
                Some("deleted a pass that CreateTap had returned to a caller".into())
            }
            Initiator::Invocation(_) => None,
        };
    }
    // A caller may replace any pass.
    if is_call {
        return None;
    }
    let listed = invocation.responses.get(PASSES_PATH).map(|(_, body)| values(body));
    let seen = listed.into_iter().flatten().find(|pass| pass["id"] == gone.pass.id.to_string())?;
    if seen["methodUsabilityReason"] != "EnabledByPolicy" {
        return None;
    }
    if gone.created_by == Initiator::Person {
        return Some("replaced a working pass of the helpdesk, which its read had shown".into());
    }
    let delivery =
        trace.delivery_of(gone.pass.id).filter(|delivery| delivery.sequence < invocation.record_read)?;
    // Graph answered its deletion with 404, and it exists all the same.
    if invocation.record.as_ref().is_some_and(|record| record.state == State::Revoked) {
        return None;
    }
    let is_protected = invocation.reason == "group-add" || delivery.purpose != Purpose::Joiner;
    is_protected.then(|| format!("replaced a working pass that had been delivered ({:?})", delivery.purpose))
}

/// Invariants 6 and 1: an invocation that reports a delivery has recorded it, and one that skips a user because of a
/// working pass has found a delivered one or one of the helpdesk.
pub fn check_result(sim: &Simulation, id: usize) {
    let trace = &mut *sim.trace();
    let invocation = &trace.invocations[id];
    let InvocationResult::Finished(outcome, reason) = &invocation.result else { return };
    if let Some(message) = noise_after_arrival(sim, invocation, outcome, reason) {
        trace.violated(5, message);
        return;
    }
    let invocation = &trace.invocations[id];
    let is_delivered = outcome == "delivered" || outcome == "201";
    let is_recorded = trace.passes.iter().any(|tracked| {
        tracked.created_by == Initiator::Invocation(id) && trace.delivery_of(tracked.pass.id).is_some()
    });
    let skips_for_pass = reason.starts_with("the user has a working pass");
    let undelivered = skips_for_pass.then(|| undelivered_pass(trace, invocation)).flatten();
    let job_key = invocation.job_key.clone();
    if is_delivered && !is_recorded {
        trace.violated(6, format!("{job_key} delivered a pass that the ledger does not contain"));
    }
    if let Some(pass) = undelivered {
        trace.violated(
            1,
            format!(
                "{job_key} was skipped because of {pass}, a pass that firstpass created and never delivered"
            ),
        );
    }
}

/// Invariant 5: a joiner who used the delivered pass has arrived, and nobody is bothered with this start any more. Only a
/// pass that was not delivered still goes.
fn noise_after_arrival(
    sim: &Simulation,
    invocation: &Invocation,
    outcome: &str,
    reason: &str,
) -> Option<String> {
    let is_for_joiner = matches!(invocation.reason.as_str(), "joiner" | "recheck");
    let delivered = invocation.record.as_ref()?.delivered.as_ref()?;
    let was_used = sim.used.lock().unwrap().contains_key(&delivered.pass.pass_id.parse::<Uuid>().ok()?);
    // Whoever is disabled until another first day comes back, and a person decides.
    let is_disabled = invocation.responses.get("me").is_some_and(|(_, user)| user["accountEnabled"] == false);
    let is_noise = matches!(outcome, "blocked" | "revoked")
        && !reason.contains(&Skip::Arrived.to_string())
        && !is_disabled;
    let signed_in =
        sim.sandbox.edit(|tenant| tenant.users.get(&invocation.user).and_then(|p| p.last_sign_in));
    let record = invocation.record.as_ref()?;
    // A pass on demand that is due is another matter.
    let is_joiner = record.announcement.is_some() && record.purpose == Purpose::Joiner;
    let was_read = is_joiner && signed_in.is_some_and(|at| at < invocation.read_at) && shows_use(invocation);
    (is_for_joiner && was_used && is_noise && was_read).then(|| {
        format!("{} ended as {outcome} ({reason}), though the joiner had arrived", invocation.job_key)
    })
}

/// Whether the invocation read a method or a used pass: a replica may lag.
fn shows_use(invocation: &Invocation) -> bool {
    let listed =
        |path: &str| invocation.responses.get(path).map(|(_, body)| values(body)).unwrap_or_default();
    let is_method = |method: &Value| {
        method["@odata.type"] == "#microsoft.graph.microsoftAuthenticatorAuthenticationMethod"
    };
    let is_used = |pass: &Value| pass["methodUsabilityReason"] == "OneTimeUsed";
    listed("me/authentication/methods").iter().any(is_method) || listed(PASSES_PATH).iter().any(is_used)
}

/// The first pass in the invocation's read that firstpass created and never delivered.
fn undelivered_pass(trace: &Trace, invocation: &Invocation) -> Option<Uuid> {
    let listed = invocation.responses.get(PASSES_PATH).map(|(_, body)| values(body))?;
    let ids = listed.iter().filter_map(|pass| pass["id"].as_str()?.parse().ok());
    let undelivered = ids.filter_map(|id| trace.pass(id)).find(|tracked| match tracked.created_by {
        Initiator::Person => false,
        Initiator::Invocation(creator) => {
            // A late pass that starts at once cannot be distinguished from one of the helpdesk.
            let starts_at_once = tracked.pass.opens_at - tracked.pass.created_at < TimeDelta::minutes(1);
            let is_late = tracked.pass.created_at - trace.invocations[creator].read_at > LATE_POST;
            !(starts_at_once && is_late) && trace.delivery_of(tracked.pass.id).is_none()
        }
    });
    undelivered.map(|tracked| tracked.pass.id)
}
