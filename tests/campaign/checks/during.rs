//! What can be said at once: of every pass that is made or deleted, and of every run that ends.

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::ledger::{Purpose, State};
use firstpass_sandbox::tenant::{Pass, Sandbox};
use serde_json::Value;
use uuid::Uuid;

use super::oracle::{reading_allows, values};
use crate::{
    evidence::{End, Evidence, Known, Maker, Run, Watch, escaped},
    setup::Setup,
};

/// Takes in what happened to passes since, and judges it by invariants 2 and 7.
pub fn look(setup: &Setup) {
    let evidence = &mut *setup.evidence();
    for (by, event) in evidence.take_in(&setup.sandbox) {
        let Maker::Run(id) = by else {
            evidence.violated(2, "a request made or deleted a pass outside of any run".into());
            continue;
        };
        let run = &evidence.runs[id];
        if event.made.is_some()
            && let Err(why) = reading_allows(run, &setup.plan.house, setup.group, event.at)
        {
            let what = format!("{} made a pass, though {why}", run.key);
            evidence.violated(2, what);
        }
        if event.made.is_some()
            && let Some(what) = just_mailed(&evidence.runs[id], event.at)
        {
            evidence.violated(5, what);
        }
        if let Some(gone) = event.gone.as_ref().filter(|_| event.made.is_none())
            && let Some(what) = spoilt_mail(setup, evidence, id, gone)
        {
            evidence.violated(1, what);
        }
        let run = &evidence.runs[id];
        if let Some(gone) = event.gone.as_ref().filter(|gone| is_alive(gone, event.at))
            && let Some(known) = evidence.known(gone.id)
            && let Some(what) = harm(evidence, run, known, event.made.is_some())
        {
            let what = format!("{} {what}", run.key);
            evidence.violated(7, what);
        }
    }
}

/// For as long a lease is respected.
const LEASE: TimeDelta = TimeDelta::minutes(5);
/// Within that of a delivery there is none for a joiner: what is read may be as old.
const JUST_NOW: TimeDelta = TimeDelta::minutes(10);

/// Invariant 1, as those see it who come after a slow worker: nothing is made or mailed under a lease that is over.
pub fn in_time(sandbox: &Sandbox, evidence: &mut Evidence) {
    let Some(run) = Watch::this_run().map(|run| &evidence.runs[run]) else { return };
    let Some(since) = run.leaseed_at.map(|at| sandbox.now() - at) else { return };
    if since > LEASE {
        let what =
            format!("{} still makes or mails a pass {} s after its lease", run.key, since.num_seconds());
        evidence.violated(1, what);
    }
}

/// Invariant 5: a joiner's job that has read in the record that they were mailed minutes ago mails nothing.
fn just_mailed(run: &Run, at: DateTime<Utc>) -> Option<String> {
    let record = run.record.as_ref().filter(|record| record.state == State::Delivered)?;
    let since = at - record.delivered.as_ref()?.at;
    let is_for_joiner = matches!(run.reason.as_str(), "joiner" | "recheck");
    (is_for_joiner && since < JUST_NOW).then(|| {
        format!(
            "{} makes a pass, though it had read that one was mailed {} s ago",
            run.key,
            since.num_seconds()
        )
    })
}

/// Invariant 1: no run deletes its own pass when the mail with its code has arrived, whatever the answer was.
fn spoilt_mail(setup: &Setup, evidence: &Evidence, id: usize, gone: &Pass) -> Option<String> {
    let known = evidence.known(gone.id).filter(|known| known.maker == Maker::Run(id))?;
    let code = escaped(known.pass.code.reveal());
    let has_arrived = setup.sandbox.mails().iter().any(|mail| mail.content().contains(&code));
    has_arrived.then(|| format!("{} deleted a pass whose mail had arrived", evidence.runs[id].key))
}

/// Invariant 1, as a worker sees it: no run begins to mail a code that a worker who came after it has replaced. (A
/// request of an earlier worker that lands late can be in between; nobody can know.)
pub fn mailing(sandbox: &Sandbox, evidence: &mut Evidence, body: &str) {
    let Some(this) = Watch::this_run() else { return };
    for event in sandbox.pass_events() {
        let by = event.by.as_deref().and_then(|run| run.parse::<usize>().ok());
        let (Some(gone), Some(_), Some(by)) = (event.gone, event.made, by) else { continue };
        let code = Value::from(escaped(gone.code.reveal())).to_string();
        let came_after = evidence.runs[by].posted > evidence.runs[this].posted;
        if by != this && came_after && body.contains(code.trim_matches('"')) {
            let what = format!(
                "{} mails a code that {} has replaced",
                evidence.runs[this].key, evidence.runs[by].key
            );
            evidence.violated(1, what);
        }
    }
}

/// Whether somebody can sign in with the pass, now or later.
pub fn is_alive(pass: &Pass, now: DateTime<Utc>) -> bool {
    matches!(pass.usability(now), "EnabledByPolicy" | "NotYetValid")
}

/// Invariant 7: what `run` has done to somebody's working code, if it is harm. A code that it could not see, because
/// it was made after the reading or a replica did not show it, does not count.
fn harm(evidence: &Evidence, run: &Run, gone: &Known, replaced: bool) -> Option<String> {
    let by_a_caller = run.reason == "http";
    if !replaced {
        return match gone.maker {
            Maker::Person => Some("deleted a pass of the helpdesk".into()),
            // In a tenant that refuses a second pass the first one has to go.
            Maker::Run(_) if gone.handed && !by_a_caller => {
                Some("deleted a pass that a caller had been handed".into())
            }
            Maker::Run(_) => None,
        };
    }
    // A caller decides for themselves.
    if by_a_caller {
        return None;
    }
    let listed =
        run.reading.get("me/authentication/temporaryAccessPassMethods").map(|(_, body)| values(body));
    let seen = listed.into_iter().flatten().find(|pass| pass["id"] == gone.pass.id.to_string())?;
    if seen["methodUsabilityReason"] != "EnabledByPolicy" {
        return None;
    }
    if gone.maker == Maker::Person {
        return Some("replaced a working pass of the helpdesk that it had been shown".into());
    }
    // Ours, but given to somebody at once: on record as delivered before the run read its record.
    let settled = evidence.settled_for(gone.pass.id).filter(|settled| settled.order < run.record_read)?;
    let is_theirs = run.reason == "group-add" || settled.purpose != Purpose::Joiner;
    is_theirs.then(|| format!("replaced a working pass that had been delivered ({:?})", settled.purpose))
}

/// Invariant 6, the part about the record: who says "delivered", or hands over a code, has written it down.
pub fn after_run(setup: &Setup, id: usize) {
    let evidence = &mut *setup.evidence();
    let run = &evidence.runs[id];
    let delivers = matches!(&run.end, End::Ended(outcome, _) if outcome == "delivered" || outcome == "201");
    let made = |pass: &Known| pass.maker == Maker::Run(id);
    let is_written =
        evidence.passes.iter().any(|pass| made(pass) && evidence.settled_for(pass.pass.id).is_some());
    let is_content = matches!(&run.end, End::Ended(_, why) if why.starts_with("the user has a working pass"));
    let made_do = is_content.then(|| nobodys(evidence, run)).flatten();
    if delivers && !is_written {
        let what = format!("{} delivered a pass that the ledger does not know of", run.key);
        evidence.violated(6, what);
    }
    if let Some(pass) = made_do {
        let what =
            format!("{} made do with {pass}, a pass of our own that nobody has", evidence.runs[id].key);
        evidence.violated(1, what);
    }
}

/// A request may seem lost for that long and still make a pass that is known to be ours.
const ON_ITS_WAY: TimeDelta = TimeDelta::minutes(15);

/// Invariant 1, for who is skipped because they hold a pass: somebody gave it to them. Hands back the pass that
/// nobody did.
fn nobodys(evidence: &Evidence, run: &Run) -> Option<Uuid> {
    let listed =
        run.reading.get("me/authentication/temporaryAccessPassMethods").map(|(_, body)| values(body))?;
    let ids = listed.iter().filter_map(|pass| pass["id"].as_str()?.parse().ok());
    let known = ids.filter_map(|id| evidence.known(id)).find(|known| match known.maker {
        Maker::Person => false,
        Maker::Run(maker) => {
            // From then on a pass that was to open at once looks like anybody's.
            let is_at_once = known.pass.opens_at - known.pass.created_at < TimeDelta::minutes(1);
            let is_late = known.pass.created_at - evidence.runs[maker].read_at > ON_ITS_WAY;
            !(is_at_once && is_late) && evidence.settled_for(known.pass.id).is_none()
        }
    });
    known.map(|known| known.pass.id)
}
