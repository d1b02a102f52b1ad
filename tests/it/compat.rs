//! A release reads the documents and messages of the next one, and keeps what it does not know: an admin can go back to it.
//!
//! `tests/compat/1.0` has one document of each kind as that release writes it, with every field, and its messages. These files do not
//! change. `tests/compat/next` has them as a later release may: with more fields, which a field that is new replaces.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use firstpass::{
    ledger::{AlertMails, Conditions, Examination, HeldList, MembershipSnapshot, PendingAlert, Record},
    pass::message::ParsedMessage,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::helpers::{NOW, TestApp, source, time};

/// A field that 1.0 does not know.
const ADDED: &str = "addedLater";

fn document(release: &str, name: &str) -> Value {
    serde_json::from_str(&source::read(&format!("tests/compat/{release}/{name}.json"))).unwrap()
}

/// The document, read and written.
fn rewritten<T: DeserializeOwned + Serialize>(document: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(document.clone()).unwrap()).unwrap()
}

/// A kind of document: its file, the files of its types, and [`rewritten`].
type Kind = (&'static str, &'static [&'static str], fn(&Value) -> Value);

const DOCUMENTS: [Kind; 7] = [
    ("record", &["record", "basis", "due_notes"], rewritten::<Record>),
    ("group", &["membership"], rewritten::<MembershipSnapshot>),
    ("held-list", &["held_list"], rewritten::<HeldList>),
    ("conditions", &["conditions", "shut_mailbox"], rewritten::<Conditions>),
    ("examination", &["examination"], rewritten::<Examination>),
    ("alert-mails", &[], rewritten::<AlertMails>),
    ("pending-alert", &[], rewritten::<PendingAlert>),
];

/// The value without the fields that 1.0 does not know, and how many there were.
fn without_added(value: &Value) -> (Value, usize) {
    let mut count = 0;
    let mut inner = |value: &Value| {
        let (inner, added) = without_added(value);
        count += added;
        inner
    };
    let rest = match value {
        Value::Array(items) => items.iter().map(&mut inner).collect(),
        Value::Object(fields) => {
            let known = fields.iter().filter(|(name, _)| *name != ADDED);
            let rest: Value = known.map(|(name, value)| (name.clone(), inner(value))).collect();
            count += usize::from(fields.contains_key(ADDED));
            rest
        }
        other => other.clone(),
    };
    (rest, count)
}

/// Whether `next` differs from `first` by more fields only.
fn extends(next: &Value, first: &Value) -> bool {
    match (next, first) {
        (Value::Object(next), Value::Object(first)) => {
            first.iter().all(|(name, value)| next.get(name).is_some_and(|next| extends(next, value)))
        }
        (Value::Array(next), Value::Array(first)) => {
            next.len() == first.len() && next.iter().zip(first).all(|(next, first)| extends(next, first))
        }
        (next, first) => next == first,
    }
}

/// The names in a document, at any depth.
fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::Object(fields) => fields.keys().cloned().chain(fields.values().flat_map(names)).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn documents_of_1_0_are_read_and_written_as_they_are() {
    for (name, _, rewrite) in DOCUMENTS {
        let written = document("1.0", name);
        assert_eq!(rewrite(&written), written, "{name}");
    }
}

#[test]
fn fields_of_the_next_release_survive_at_every_depth() {
    for (name, _, rewrite) in DOCUMENTS {
        let next = document("next", name);
        let (mut known, added) = without_added(&next);
        known["schema"] = document("1.0", name)["schema"].clone();
        assert!(extends(&known, &document("1.0", name)) && added > 0, "{name}: only fields are new");
        assert_eq!(rewrite(&next), next, "{name}");
    }
}

/// A field without an example could not be read back, and nothing would say so.
#[test]
fn every_field_of_a_document_has_an_example() {
    for (name, types, _) in DOCUMENTS {
        let examples: BTreeSet<String> =
            ["1.0", "next"].iter().flat_map(|release| names(&document(release, name))).collect();
        for file in types {
            let code = source::code(&format!("src/ledger/{file}.rs"));
            let fields = code.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "));
            for (field, _) in fields.filter(|(field, _)| !field.contains(' ')) {
                let mut words = field.split('_');
                let first = words.next().unwrap().to_owned();
                let camel = words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..]);
                let is_flat = field == "unknown" || (field == "pass" && *file == "record");
                assert!(is_flat || examples.contains(&camel), "tests/compat/next/{name}.json lacks {camel}");
            }
        }
    }
}

#[test]
fn messages_of_the_next_release_mean_what_they_meant() {
    let parse = |name: &str, message: &Value| {
        let parsed = ParsedMessage::parse(message, None, time(NOW));
        let parsed = parsed.unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        // What is left of a message that is continued is kept for the next step.
        format!("{parsed:?}").replace(r#"unknown: {"addedLater": Bool(true)}"#, "unknown: {}")
    };
    let (frozen, next) = (document("1.0", "messages"), document("next", "messages"));
    for (name, message) in frozen.as_object().unwrap() {
        assert_eq!(without_added(&next[name]), (message.clone(), 1), "{name}");
        let meaning = parse(name, message);
        assert!(!meaning.starts_with("Notification"), "{name}: {meaning}");
        assert_eq!(parse(name, &next[name]), meaning, "{name}");
    }
}

/// The next release mailed a pass, an admin went back, and the joiner comes.
#[tokio::test(start_paused = true)]
async fn a_job_keeps_what_it_does_not_know() {
    let (app, emma) = TestApp::with_emma();
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    let (record, etag) = app.ledger().read(emma).await.unwrap().unwrap();
    let mut next = serde_json::to_value(&record).unwrap();
    next["schema"] = json!(2);
    let objects = ["", "/pass", "/lease", "/delivered", "/announcement", "/announcement/basis"];
    for pointer in objects {
        next.pointer_mut(pointer).unwrap()[ADDED] = json!({ "at": pointer });
    }
    app.ledger().write(emma, &serde_json::from_value(next).unwrap(), Some(&etag)).await.unwrap();

    app.advance(TimeDelta::days(5) + TimeDelta::hours(4));
    let pass = app.sandbox.passes().remove(0);
    let now = app.sandbox.now();
    app.sandbox.edit(|tenant| tenant.use_pass(pass.id, now));
    app.sweep().await;
    let record = app.record(emma).await.unwrap();
    assert!(record.arrived_at.is_some() && app.pass_mails().len() == 1, "{record:?}");
    let written = serde_json::to_value(&record).unwrap();
    assert_eq!(written["schema"], 2);
    for pointer in objects {
        assert_eq!(written.pointer(pointer).unwrap()[ADDED], json!({ "at": pointer }), "{written}");
    }
}
