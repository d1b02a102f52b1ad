//! Invariant 4: a code appears only in the mail to its user and in the answer to its caller.

use std::collections::BTreeMap;

use firstpass_sandbox::tenant::samples::SERVICE_DESK;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    scenario::Delivery,
    simulation::Simulation,
    trace::{TrackedPass, html_escaped},
};

/// Who is somebody's manager at some time.
const MANAGERS: [&str; 2] = ["grace.hall@contoso.example", "ines.vogt@contoso.example"];

pub fn check(sim: &Simulation) {
    let mails = sim.sandbox.mails();
    let alerts: String = mails
        .iter()
        .filter(|mail| mail.to() == [SERVICE_DESK])
        .map(|mail| mail.message.to_string())
        .collect();
    let codes = sim.sandbox.codes();
    let trace = &mut *sim.trace();
    let leak = [("the log", sim.log().as_str()), ("the output", &trace.output), ("an alert", &alerts)]
        .into_iter()
        .find_map(|(place, text)| Some((place, text_before_code(text, &codes)?)));
    if let Some((place, before)) = leak {
        trace.violated(4, format!("a code appears in {place}, after …{before}"));
        return;
    }
    let delivery = sim.scenario.config.delivery;
    for call in sim.sandbox.webhooks() {
        let is_theirs = |tracked: &&TrackedPass| call.body["pass"]["code"] == tracked.pass.code.reveal();
        let of = trace.passes.iter().find(is_theirs).map(|tracked| tracked.pass.user.to_string());
        if of.is_none() || of.as_deref() != call.body["user"]["id"].as_str() || delivery != Delivery::Webhook
        {
            trace.violated(4, format!("the endpoint got the code of {of:?} for {}", call.body["user"]["id"]));
        }
    }
    let addresses: BTreeMap<_, _> =
        sim.sandbox.edit(|tenant| tenant.users.values().map(|p| (p.id, p.other_mails.clone())).collect());
    for mail in mails.iter().filter(|mail| mail.to() != [SERVICE_DESK]) {
        let shown: Vec<_> = trace
            .passes
            .iter()
            .filter(|tracked| mail.content().contains(&html_escaped(tracked.pass.code.reveal())))
            .collect();
        let message = match shown.as_slice() {
            // A reminder, or a word to a manager.
            [] => continue,
            [_] if delivery == Delivery::Webhook => format!("a code was mailed to {:?}", mail.to()),
            [_] if delivery == Delivery::Split => match mail.to().iter().all(|to| MANAGERS.contains(to)) {
                true => continue,
                false => format!("a code was mailed to {:?}, who is no manager", mail.to()),
            },
            [one] => match addresses.get(&one.pass.user) {
                // The account was deleted, and its address is not known any more.
                None => continue,
                Some(theirs) if mail.to().iter().all(|to| theirs.iter().any(|a| a == to)) => continue,
                Some(_) if mail.to().iter().all(|to| was_theirs(sim, one.pass.user, to)) => continue,
                Some(_) => format!("a code was mailed to {:?}", mail.to()),
            },
            several => format!("a mail to {:?} contains {} codes", mail.to(), several.len()),
        };
        trace.violated(4, message);
    }
}

/// Whether it was the user's address at some time.
fn was_theirs(sim: &Simulation, user: Uuid, address: &str) -> bool {
    let ids = sim.ids.lock().unwrap();
    let persona = ids.iter().position(|id| *id == user).map(|index| &sim.scenario.personas[index]);
    persona.is_some_and(|persona| persona.address() == address)
        || sim.addresses.lock().unwrap().contains(&(user, address.to_owned()))
}

/// Searches for all codes in all their encodings, and returns the text before the first match.
fn text_before_code(text: &str, codes: &[String]) -> Option<String> {
    let mut encodings: BTreeMap<[u8; 4], Vec<Vec<u8>>> = BTreeMap::new();
    for code in codes {
        let html = html_escaped(code);
        let json = |text: &str| Value::from(text).to_string().trim_matches('"').to_owned();
        let percent = utf8_percent_encode(code, NON_ALPHANUMERIC).to_string();
        for encoding in [json(&html), json(code), html, percent, code.clone()] {
            if let Some(start) = encoding.as_bytes().first_chunk() {
                encodings.entry(*start).or_default().push(encoding.into_bytes());
            }
        }
    }
    // A table of the first two bytes: the text is long, and a lookup in the map is slow.
    let mut is_start = vec![false; 1 << 16];
    for [a, b, ..] in encodings.keys() {
        is_start[usize::from(*a) << 8 | usize::from(*b)] = true;
    }
    let bytes = text.as_bytes();
    let at = bytes.windows(4).position(|window| {
        is_start[usize::from(window[0]) << 8 | usize::from(window[1])]
            && encodings.get(window).is_some_and(|encodings| {
                let rest = &bytes[window.as_ptr() as usize - bytes.as_ptr() as usize..];
                encodings.iter().any(|encoding| rest.starts_with(encoding))
            })
    })?;
    let start = text.floor_char_boundary(at.saturating_sub(160));
    Some(text[start..text.floor_char_boundary(at)].to_owned())
}
