//! A card for a channel of Teams, with the same facts for whoever reads JSON.
//!
//! A workflow of Teams takes a message with one Adaptive Card, of 28 KB at most
//! (<https://learn.microsoft.com/connectors/teams/#known-issues-and-limitations-with-actions>). Texts are in `TextRun`s, which know no
//! markdown (<https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features>): a name can be neither a link nor a list. A
//! mention needs an entity of the card, and it has none.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::Alert;

/// What a message may have, in bytes: less than Teams accepts, which counts characters in another way.
const MESSAGE_MAX: usize = 20_000;
/// What is shown of one text at most, in characters.
const TEXT_MAX: usize = 6_000;

/// The version of the facts.
const SCHEMA: u32 = 1;

/// The message about `alert`, which was raised at `at`, as JSON. Texts that are too long are cut off: the log has them.
pub(crate) fn message(alert: &Alert, at: DateTime<Utc>) -> String {
    let mut limit = TEXT_MAX;
    loop {
        let message = with_texts_of(limit, alert, at).to_string();
        if message.len() <= MESSAGE_MAX || limit < 2 {
            return message;
        }
        limit /= 2;
    }
}

fn with_texts_of(limit: usize, alert: &Alert, at: DateTime<Utc>) -> Value {
    let Alert { kind, headline, who, what_happened, what_to_do, reference } = alert;
    let [headline, who, what_happened, what_to_do, reference] =
        [headline, who, what_happened, what_to_do, reference].map(|text| cut(text, limit));
    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut body = vec![line(&headline, true, true)];
    for (label, text) in [
        ("Who", &who),
        ("What happened", &what_happened),
        ("What to do", &what_to_do),
        ("Reference", &reference),
    ] {
        if !text.trim().is_empty() {
            body.push(line(label, true, false));
            body.extend(
                text.lines().filter(|text| !text.trim().is_empty()).map(|text| line(text, false, false)),
            );
        }
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
        "firstpass": {
            "schemaVersion": SCHEMA,
            "kind": kind,
            "headline": headline,
            "who": who,
            "whatHappened": what_happened,
            "whatToDo": what_to_do,
            "reference": reference,
            "at": at,
        },
    })
}

/// One paragraph.
fn line(text: &str, is_bold: bool, is_large: bool) -> Value {
    let visible: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut run = json!({"type": "TextRun", "text": visible});
    if is_bold {
        run["weight"] = json!("bolder");
    }
    if is_large {
        run["size"] = json!("large");
    }
    json!({"type": "RichTextBlock", "spacing": if is_bold { "medium" } else { "none" }, "inlines": [run]})
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(who: &str, what_happened: &str) -> Alert {
        Alert {
            kind: "no-address",
            headline: "A user gets no pass".into(),
            who: who.into(),
            what_happened: what_happened.into(),
            what_to_do: "Do it.".into(),
            reference: "joiner/1".into(),
        }
    }

    #[test]
    fn a_name_is_text_and_nothing_else() {
        let name = "[Emma](https://evil.example) <at>all</at> **x** {{DATE(2026-11-22T05:00:00Z)}}\u{7}";
        let message: Value =
            serde_json::from_str(&message(&alert(name, "a\n\n- b"), DateTime::UNIX_EPOCH)).unwrap();
        let card = &message["attachments"][0]["content"];
        assert_eq!(card["msteams"], Value::Null, "a mention needs an entity there");
        let blocks = card["body"].as_array().unwrap();
        // The only element whose texts are no markdown.
        assert!(blocks.iter().all(|block| block["type"] == "RichTextBlock"));
        let texts: Vec<&str> =
            blocks.iter().filter_map(|block| block["inlines"][0]["text"].as_str()).collect();
        let shown = name.replace('\u{7}', " ");
        let expected = [
            "A user gets no pass",
            "Who",
            &shown,
            "What happened",
            "a",
            "- b",
            "What to do",
            "Do it.",
            "Reference",
            "joiner/1",
        ];
        assert_eq!(texts, expected);
        assert_eq!(
            message["firstpass"],
            json!({
                "schemaVersion": 1, "kind": "no-address", "headline": "A user gets no pass", "who": name,
                "whatHappened": "a\n\n- b", "whatToDo": "Do it.", "reference": "joiner/1", "at": "1970-01-01T00:00:00Z",
            })
        );
    }

    #[test]
    fn no_message_is_longer_than_teams_accepts() {
        for text in ["ä\n".repeat(50_000), "\"".repeat(50_000), "😀".repeat(9_000), "\n".repeat(90_000)] {
            let message = message(&alert(&text, &text), DateTime::UNIX_EPOCH);
            assert!(message.len() <= MESSAGE_MAX, "{}", message.len());
            assert!(serde_json::from_str::<Value>(&message).is_ok());
        }
    }
}
