//! Invariant 5: the number of mails to each person is limited by the events and faults that can cause one.

use std::collections::BTreeMap;

use firstpass_sandbox::tenant::samples::SERVICE_DESK;
use uuid::Uuid;

use super::{notes, oracle::MAX_CODES};
use crate::{
    personas::PersonaKind,
    scenario::{Action, Delivery, Operation, PersonaIndex, UserEvent},
    simulation::Simulation,
    trace::html_escaped,
};

/// The product sends the same mail at most this many times.
const MAX_SENDS: usize = 3;
/// How many additional mails one fault can cause.
const MAILS_PER_FAULT: u32 = 2;

pub fn check(sim: &Simulation) {
    let mails = sim.sandbox.mails();
    let trace = &mut *sim.trace();
    let mut by_pass: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut reminders: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut by_name: BTreeMap<&str, u32> = BTreeMap::new();
    for sent in sim.sent() {
        let contains = |code: &str| sent.content.contains(&html_escaped(code));
        let Some(tracked) = trace.passes.iter().find(|tracked| contains(tracked.pass.code.reveal())) else {
            continue;
        };
        *by_pass.entry(tracked.pass.id).or_default() += 1;
        // Also of an account that was recreated since.
        let mut personas = sim.scenario.personas.iter().enumerate();
        if let Some((_, persona)) = personas.find(|(at, _)| sim.users_of(*at).contains(&tracked.pass.user)) {
            *by_name.entry(persona.name).or_default() += 1;
        }
    }
    for mail in mails.iter().filter(|mail| mail.to() != [SERVICE_DESK]) {
        let contains = |code: &str| mail.content().contains(&html_escaped(code));
        let has_code = trace.passes.iter().any(|tracked| contains(tracked.pass.code.reveal()));
        // Of mails that follow a delivery there may be as many as deliveries.
        if !has_code && !notes::follows_delivery(sim, mail) {
            *reminders.entry((mail.to().join(","), mail.content().to_owned())).or_default() += 1;
        }
    }
    let mut messages = Vec::new();
    for (index, persona) in sim.scenario.personas.iter().enumerate() {
        let mails = by_name.get(persona.name).copied().unwrap_or_default();
        if sim.scenario.quiet {
            let (serve_disabled, sign_ins_readable) =
                (sim.scenario.config.serve_disabled, sim.scenario.config.sign_ins_readable);
            let has_started_before = persona.day_one.is_some_and(|day| day < 0);
            let is_served = !persona.removed
                && !has_started_before
                && match persona.kind {
                    PersonaKind::Plain => true,
                    PersonaKind::NoManager => sim.scenario.config.delivery != Delivery::Split,
                    PersonaKind::NoAddress => sim.scenario.config.delivery != Delivery::Mail,
                    PersonaKind::Disabled => serve_disabled,
                    PersonaKind::HasSignedIn => !sign_ins_readable,
                    _ => false,
                };
            // Served only if a sweep runs between the activation of the account and the end of day one.
            let may_be_served =
                !has_started_before && persona.kind == PersonaKind::Disabled && !serve_disabled;
            // Not everyone uses the first code in time.
            let max = codes_for_a_start(sim);
            let is_as_expected = if is_served { (1..=max).contains(&mails) } else { mails == 0 };
            if !(is_as_expected || (may_be_served && mails <= max)) {
                messages.push(format!("{} got {mails} mails in a quiet scenario", persona.name));
            }
        }
        let allowed =
            codes_for_a_start(sim) + mails_for_events(sim, index) + MAILS_PER_FAULT * fault_count(sim, index);
        if mails > allowed {
            messages
                .push(format!("{} got {mails} mails; the events and faults allow {allowed}", persona.name));
        }
    }
    let may_resend: BTreeMap<Uuid, bool> =
        trace.passes.iter().map(|t| (t.pass.id, can_be_resent(sim, t.pass.user))).collect();
    // Each names the pass that it is about, by its times.
    for ((to, _), count) in reminders.into_iter().filter(|(_, count)| *count > 1) {
        messages.push(format!("{to} got {count} mails without a code about the same pass"));
    }
    for (pass, mails) in by_pass {
        let allowed = if may_resend.get(&pass).copied().unwrap_or_default() { MAX_SENDS } else { 1 };
        if mails > allowed {
            messages.push(format!("{mails} mails contain the code of {pass}"));
        }
    }
    messages.into_iter().for_each(|message| trace.violated(5, message));
}

/// How many codes a joiner can be mailed for one day one without events and faults: unused passes are replaced.
fn codes_for_a_start(sim: &Simulation) -> u32 {
    if sim.scenario.config.one_time { MAX_CODES } else { 1 }
}

/// How many mails the persona's events can cause: those that end a pass or require one.
fn mails_for_events(sim: &Simulation, index: PersonaIndex) -> u32 {
    let mails = sim.scenario.steps.iter().map(|step| match &step.action {
        Action::User(persona, _) if *persona != index => 0,
        Action::User(
            _,
            UserEvent::SignsIn
            | UserEvent::RemovedFromGroup
            | UserEvent::Renamed(_)
            | UserEvent::ManagerChanged
            | UserEvent::AddressRemoved,
        ) => 0,
        // The pass on demand, and later a new pass for day one, which it replaced.
        Action::User(_, UserEvent::AddedToGroup) => 2,
        Action::User(_, UserEvent::DayOneMoved(_) | UserEvent::Recreated(_) | UserEvent::PlaceChanged(_)) => {
            codes_for_a_start(sim)
        }
        Action::User(..) => 1,
        _ => 0,
    });
    mails.sum()
}

fn fault_count(sim: &Simulation, index: PersonaIndex) -> u32 {
    let faults = sim.scenario.steps.iter().filter_map(|step| step.fault());
    let relevant = faults.filter(|(persona, _)| persona.is_none_or(|persona| persona == index));
    relevant.map(|(_, times)| times).sum()
}

/// Whether a fault may have hidden the result of a mail to the user.
fn can_be_resent(sim: &Simulation, user: Uuid) -> bool {
    let ids = sim.ids.lock().unwrap();
    let is_about = |persona: PersonaIndex| ids[persona] == user || !ids.contains(&user);
    sim.scenario.steps.iter().any(|step| match &step.action {
        Action::Graph(persona, fault) => fault.operation == Operation::SendMail && is_about(*persona),
        _ => false,
    })
}
