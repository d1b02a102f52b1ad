//! Invariant 5: no more mails than there are reasons for.

use std::collections::BTreeMap;

use firstpass_sandbox::tenant::samples::SERVICE_DESK;
use uuid::Uuid;

use crate::{
    evidence::escaped,
    personas::Kind,
    plan::{Call, Life, What, Who},
    setup::Setup,
};

/// A mail is sent again twice at most.
const MAX_SENDS: usize = 3;
/// What a fault may cost.
const MAILS_PER_FAULT: u32 = 2;

pub fn check(setup: &Setup) {
    let mails = setup.sandbox.mails();
    let evidence = &mut *setup.evidence();
    let mut by_code: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut by_name: BTreeMap<&str, u32> = BTreeMap::new();
    for mail in mails.iter().filter(|mail| mail.to() != [SERVICE_DESK]) {
        let shown = |code: &str| mail.content().contains(&escaped(code));
        if let Some(known) = evidence.passes.iter().find(|known| shown(known.pass.code.reveal())) {
            *by_code.entry(known.pass.id).or_default() += 1;
        }
        // An address is one person's, whatever became of their accounts.
        if let Some(actor) = setup.plan.cast.iter().find(|actor| mail.to() == [actor.address().as_str()]) {
            *by_name.entry(actor.name).or_default() += 1;
        }
    }
    let mut noise = Vec::new();
    for (who, actor) in setup.plan.cast.iter().enumerate() {
        let mails = by_name.get(actor.name).copied().unwrap_or_default();
        if setup.plan.quiet {
            let is_served = !actor.absent
                && matches!(actor.kind, Kind::Plain | Kind::NoManager | Kind::Disabled)
                && (actor.kind != Kind::Disabled || setup.plan.house.serve_disabled);
            let is_maybe = actor.kind == Kind::Disabled && !setup.plan.house.serve_disabled;
            if mails != u32::from(is_served) && !(is_maybe && mails <= 1) {
                noise.push(format!("{} got {mails} mails in a quiet story", actor.name));
            }
        }
        let allowed = reasons(setup, who) + MAILS_PER_FAULT * faults(setup, who);
        if mails > allowed {
            noise.push(format!("{} got {mails} mails, with reasons and faults for {allowed}", actor.name));
        }
    }
    let resends: BTreeMap<Uuid, bool> =
        evidence.passes.iter().map(|k| (k.pass.id, can_be_resent(setup, k.pass.user))).collect();
    for (pass, mails) in by_code {
        let allowed = if resends.get(&pass).copied().unwrap_or_default() { MAX_SENDS } else { 1 };
        if mails > allowed {
            noise.push(format!("the code of {pass} is in {mails} mails"));
        }
    }
    noise.into_iter().for_each(|what| evidence.violated(5, what));
}

/// Why a person may get a mail, without any fault: a day one, and everything that ends a pass or asks for one.
fn reasons(setup: &Setup, who: Who) -> u32 {
    let reasons = setup.plan.steps.iter().map(|step| match &step.what {
        What::Life(whose, _) if *whose != who => 0,
        What::Life(_, Life::SignsIn | Life::LeavesGroup) => 0,
        // The pass on demand, and in its wake the one for day one that it replaced.
        What::Life(_, Life::JoinsGroup) => 2,
        What::Life(..) => 1,
        _ => 0,
    });
    1 + reasons.sum::<u32>()
}

fn faults(setup: &Setup, who: Who) -> u32 {
    let faults = setup.plan.steps.iter().filter_map(|step| step.fault());
    faults.filter(|(whose, _)| whose.is_none_or(|whose| whose == who)).map(|(_, times)| times).sum()
}

/// Whether some answer about a mail to the person may have been lost.
fn can_be_resent(setup: &Setup, user: Uuid) -> bool {
    let ids = setup.ids.lock().unwrap();
    let is_about = |who: Who| ids[who] == user || !ids.contains(&user);
    setup.plan.steps.iter().any(|step| match &step.what {
        What::Graph(who, fault) => fault.call == Call::Mail && is_about(*who),
        _ => false,
    })
}
