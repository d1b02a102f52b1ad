//! Invariant 4: a code stands in the mail to its joiner and in the answer to its caller, and nowhere else.

use std::collections::BTreeMap;

use firstpass_sandbox::tenant::samples::SERVICE_DESK;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::{evidence::escaped, setup::Setup};

pub fn check(setup: &Setup) {
    let mails = setup.sandbox.mails();
    let alerts: String = mails
        .iter()
        .filter(|mail| mail.to() == [SERVICE_DESK])
        .map(|mail| mail.message.to_string())
        .collect();
    let codes = setup.sandbox.codes();
    let evidence = &mut *setup.evidence();
    for (place, text) in
        [("the log", setup.log().as_str()), ("what was written", &evidence.written), ("an alert", &alerts)]
    {
        if let Some(around) = find_code(text, &codes) {
            evidence.violations.push(crate::evidence::Violation {
                invariant: 4,
                what: format!("a code stands in {place}: …{around}"),
            });
            return;
        }
    }
    let addresses: BTreeMap<_, _> =
        setup.sandbox.edit(|tenant| tenant.users.values().map(|p| (p.id, p.other_mails.clone())).collect());
    for mail in mails.iter().filter(|mail| mail.to() != [SERVICE_DESK]) {
        let shown: Vec<_> = evidence
            .passes
            .iter()
            .filter(|known| mail.content().contains(&escaped(known.pass.code.reveal())))
            .collect();
        let what = match shown.as_slice() {
            [one] => match addresses.get(&one.pass.user) {
                // With the account its address is gone.
                None => continue,
                Some(theirs) if mail.to().iter().all(|to| theirs.iter().any(|a| a == to)) => continue,
                Some(_) => format!("a code went to {:?}", mail.to()),
            },
            several => format!("a mail to {:?} shows {} codes", mail.to(), several.len()),
        };
        evidence.violated(4, what);
    }
}

/// The first code in `text`, in any of the forms that text takes on its way; what stands before it is handed back.
fn find_code(text: &str, codes: &[String]) -> Option<String> {
    let mut forms: BTreeMap<[u8; 4], Vec<Vec<u8>>> = BTreeMap::new();
    for code in codes {
        let html = escaped(code);
        let json = |text: &str| Value::from(text).to_string().trim_matches('"').to_owned();
        let percent = utf8_percent_encode(code, NON_ALPHANUMERIC).to_string();
        for form in [json(&html), json(code), html, percent, code.clone()] {
            if let Some(start) = form.as_bytes().first_chunk() {
                forms.entry(*start).or_default().push(form.into_bytes());
            }
        }
    }
    let mut begins = vec![false; 1 << 16];
    for [a, b, ..] in forms.keys() {
        begins[usize::from(*a) << 8 | usize::from(*b)] = true;
    }
    let bytes = text.as_bytes();
    let at = bytes.windows(4).position(|window| {
        begins[usize::from(window[0]) << 8 | usize::from(window[1])]
            && forms.get(window).is_some_and(|forms| {
                let rest = &bytes[window.as_ptr() as usize - bytes.as_ptr() as usize..];
                forms.iter().any(|form| rest.starts_with(form))
            })
    })?;
    let start = text.floor_char_boundary(at.saturating_sub(160));
    Some(text[start..text.floor_char_boundary(at)].to_owned())
}
