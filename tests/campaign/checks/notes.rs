//! Invariants 4 and 5 for the notes: whom MAIL_CC names hears of a code, without it, once, and after the joiner was sent it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use firstpass_sandbox::tenant::Mail;
use uuid::Uuid;

use crate::{
    personas::{Persona, PersonaKind},
    scenario::{Action, Delivery, Told, UserEvent},
    simulation::Simulation,
    trace::{Trace, TrackedPass},
};

/// How old the reading can be by which a note is sent, and the time that its mail can wait.
const READ_WITHIN: TimeDelta = TimeDelta::minutes(20);

/// Whether the mail is such a note.
pub fn is_note(mail: &Mail) -> bool {
    let words = ["has been sent the code for signing in", "has been sent a new code for signing in"];
    words.iter().any(|words| mail.subject().contains(words))
}

/// Whether the mail is the joiner's own, in place of one with a code that somebody hands over.
fn is_welcome(sim: &Simulation, mail: &Mail) -> bool {
    sim.scenario.config.delivery == Delivery::Split && mail.content().contains("gives it to you.")
}

/// Whether it is a mail that follows each delivery.
pub fn follows_delivery(sim: &Simulation, mail: &Mail) -> bool {
    // That their code does not work any more, to a manager: it names nobody.
    let is_to_manager = sim.scenario.config.delivery == Delivery::Split
        && mail.subject() == "Our mails now go to another address";
    is_note(mail) || is_welcome(sim, mail) || is_to_manager
}

pub fn check(sim: &Simulation) {
    let mails = sim.sandbox.mails();
    let trace = &mut *sim.trace();
    let (told, delivery) = (sim.scenario.config.told, sim.scenario.config.delivery);
    // A manager who has the code needs no note.
    let is_copied = told == Told::Copy || delivery == Delivery::Split;
    if let Some(mail) = mails.iter().find(|mail| told != Told::Copy && !mail.cc().is_empty()) {
        trace.violated(4, format!("{:?} got a copy", mail.cc()));
    }
    let (mut told, mut messages) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for mail in mails.iter().filter(|mail| is_note(mail)) {
        let is_about = |persona: &&Persona| mail.subject().starts_with(persona.name);
        let Some(persona) = sim.scenario.personas.iter().find(is_about) else {
            messages.push(format!("a note is about nobody: {}", mail.subject()));
            continue;
        };
        *told.entry(persona.name).or_default() += 1;
        if is_copied {
            messages.push(format!("a note about {} beside a copy", persona.name));
        }
        let users = users_of(sim, persona.name);
        let is_of = |tracked: &&TrackedPass| users.contains(&tracked.pass.user);
        if !trace.passes.iter().filter(is_of).any(|tracked| had_code(trace, tracked, mail.at)) {
            messages
                .push(format!("a note about {} at {}, who has no code that works", persona.name, mail.at));
        }
    }
    for persona in sim.scenario.personas.iter().filter(|persona| !persona.removed) {
        let users = users_of(sim, persona.name);
        let is_theirs = |id: &str| {
            let tracked = id.parse().ok().and_then(|id| trace.pass(id));
            tracked.is_some_and(|tracked| users.contains(&tracked.pass.user))
        };
        let delivered = trace.deliveries.iter().filter(|delivery| is_theirs(&delivery.pass_id)).count();
        let notes = told.get(persona.name).copied().unwrap_or_default();
        let has_manager = persona.kind != PersonaKind::NoManager && !is_copied;
        let is_theirs =
            |mail: &&Mail| is_welcome(sim, mail) && mail.to().iter().all(|to| persona.has_address(to));
        let welcomes = mails.iter().filter(is_theirs).count();
        let changes = sim.scenario.steps.iter().filter(|step| {
            matches!(step.action, Action::User(_, UserEvent::AddressChanged(_) | UserEvent::Recreated(_)))
        });
        let is_split = delivery == Delivery::Split && persona.kind != PersonaKind::NoAddress;
        if welcomes > delivered + changes.count() || (sim.scenario.quiet && is_split && welcomes != delivered)
        {
            messages.push(format!(
                "{} has {delivered} codes, and {welcomes} mails say how to sign in",
                persona.name
            ));
        }
        if notes > delivered || (sim.scenario.quiet && has_manager && notes != delivered) {
            messages.push(format!("{} got {delivered} codes, and {notes} notes say so", persona.name));
        }
    }
    messages.into_iter().for_each(|message| trace.violated(5, message));
}

/// Whether the user had the code of this pass at that time, and it could still be used, as far as a reading showed.
fn had_code(trace: &Trace, tracked: &TrackedPass, at: DateTime<Utc>) -> bool {
    trace.delivery_of(tracked.pass.id).is_some_and(|delivery| delivery.at <= at)
        && tracked.ended_at.is_none_or(|ended| at - ended < READ_WITHIN)
        && at - tracked.pass.closes_at() < READ_WITHIN
}

fn users_of(sim: &Simulation, name: &str) -> Vec<Uuid> {
    let index = sim.scenario.personas.iter().position(|persona| persona.name == name);
    index.map(|index| sim.users_of(index)).unwrap_or_default()
}
