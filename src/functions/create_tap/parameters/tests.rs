use proptest::{option, prelude::*};

use super::*;
use crate::{
    environment::Environment,
    settings::{ParameterType, Settings},
};

fn now() -> DateTime<Utc> {
    "2026-11-22T05:00:00Z".parse().unwrap()
}

fn settings(open: &str) -> CreateTapSettings {
    let env = Environment::from_iter([
        ("MAIL_FROM", "welcome@contoso.com"),
        ("LEDGER_URL", "https://mystorage.blob.core.windows.net/ledger"),
        ("CREATE_TAP_OPEN_PARAMETERS", open),
        ("TICKET_URL_HOSTS", "help.contoso.com, contoso.com"),
    ]);
    Settings::read(&env).unwrap().create_tap
}

fn all_open() -> CreateTapSettings {
    settings(&Parameter::all().map(Parameter::name).collect::<Vec<_>>().join(","))
}

fn parse_open(body: &Value) -> Result<Parameters, Vec<ParameterError>> {
    parse(Some(&body.to_string()), None, &all_open(), now())
}

/// What is wrong with `value` as `parameter`, if anything is.
fn wrong(parameter: Parameter, value: Value) -> Option<String> {
    let mut body = json!({"UserName": "emma@contoso.example"});
    body[parameter.name()] = value;
    let mut wrong = parse_open(&body).err()?;
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert_eq!(wrong[0].parameter, parameter.name());
    Some(wrong.remove(0).problem)
}

#[test]
fn a_parameter_takes_what_the_table_says_and_nothing_else() {
    for parameter in Parameter::all() {
        let (fits, mut others) = match parameter.kind() {
            ParameterType::Number => {
                (vec![json!(60), json!("60"), json!(60.0), json!(" 60 ")], vec![json!("an hour")])
            }
            ParameterType::Boolean => (vec![json!(true), json!("False")], vec![json!(1), json!("yes")]),
            ParameterType::Text => (vec![], vec![json!(true)]),
        };
        others.extend([json!([]), json!({})]);
        for value in fits {
            assert_eq!(wrong(parameter, value.clone()), None, "{parameter:?} {value}");
        }
        for value in others {
            assert!(wrong(parameter, value.clone()).is_some(), "{parameter:?} {value}");
        }
        for nothing in [json!(null), json!(""), json!("  ")] {
            let words = wrong(parameter, nothing);
            assert_eq!(
                words.is_some(),
                parameter == Parameter::UserName,
                "a blank value counts as not given"
            );
        }
    }
}

#[test]
fn values_out_of_range_are_refused_with_a_reason() {
    let long = "x".repeat(201);
    for (parameter, value, words) in [
        (Parameter::UserName, json!("emma"), "neither a user principal name nor an object id"),
        (Parameter::UserName, json!("../groups"), "neither"),
        (Parameter::LifetimeInMinutes, json!(9), "from 10 to 43200"),
        (Parameter::LifetimeInMinutes, json!(43_201), "from 10 to 43200"),
        (Parameter::LifetimeInMinutes, json!(-60), "from 10"),
        (Parameter::LifetimeInMinutes, json!(60.5), "from 10"),
        (Parameter::LifetimeInMinutes, json!("+60"), "from 10"),
        (Parameter::LifetimeInMinutes, json!(1e300), "from 10"),
        (Parameter::EmailFrom, json!("sender"), "not a mail address"),
        (Parameter::ServiceDeskEmail, json!("a@b"), "not a mail address"),
        (Parameter::EmailFrom, json!("\"a b\"@contoso.example"), "not a mail address"),
        (Parameter::EmailFrom, json!("a@[192.0.2.1]"), "not a mail address"),
        (Parameter::EmailFrom, json!("a@192.0.2.1"), "not a mail address"),
        (Parameter::ServiceDeskEmail, json!("d\u{435}sk@contoso.example"), "mixes letters of scripts"),
        (Parameter::ServiceDeskEmail, json!("desk@cont\u{43e}so.example"), "mixes letters of scripts"),
        (Parameter::ServiceDeskPhone, json!("12\n34"), "control or invisible characters"),
        (Parameter::ServiceDeskPortalUrl, json!("http://help.contoso.com"), "not an https:// address"),
        (Parameter::ServiceDeskTicketUrl, json!("javascript:alert(1)"), "not an https:// address"),
        (
            Parameter::ServiceDeskTicketUrl,
            json!("https://contoso.com@evil.example/"),
            "not an https:// address",
        ),
        (Parameter::CallerName, json!(long), "longer than 200"),
        (Parameter::Reason, json!("lost phone\r\noutcome=made"), "control or invisible characters"),
        (Parameter::Reason, json!("lost \u{202e}enohp"), "control or invisible characters"),
        (Parameter::Reason, json!("two\u{2028}lines"), "control or invisible characters"),
        (Parameter::StartDateTime, json!("2026-11-22T08:00:00"), "has no offset"),
        (Parameter::StartDateTime, json!("tomorrow"), "not a time"),
        (Parameter::StartDateTime, json!("2026-11-22T04:54:59Z"), "in the past"),
        (Parameter::StartDateTime, json!("2026-12-22T05:00:01Z"), "more than 30 days ahead"),
        (Parameter::Deliver, json!("sms"), "neither response nor mail"),
    ] {
        let what = wrong(parameter, value.clone()).unwrap_or_default();
        assert!(what.contains(words), "{parameter:?} {value}: {what:?}");
    }
}

/// The rule is that of `text`, whose tests have every kind.
#[test]
fn what_a_person_does_not_see_is_refused_in_every_text() {
    let texts = [
        Parameter::UserName,
        Parameter::EmailFrom,
        Parameter::ServiceDeskDisplayName,
        Parameter::ServiceDeskEmail,
        Parameter::ServiceDeskPhone,
        Parameter::ServiceDeskPortalUrl,
        Parameter::ServiceDeskTicketUrl,
        Parameter::CallerName,
        Parameter::StartDateTime,
        Parameter::Reason,
        Parameter::Deliver,
    ];
    for parameter in texts {
        for hidden in [
            "\0",
            "\u{ad}",
            "\u{34f}",
            "\u{61c}",
            "\u{115f}",
            "\u{180e}",
            "\u{200d}",
            "\u{202e}",
            "\u{fff9}",
            "\u{e0041}",
        ] {
            let what = wrong(parameter, json!(format!("a@contoso{hidden}.example"))).unwrap_or_default();
            assert!(what.contains("control or invisible characters"), "{parameter:?} {hidden:?}: {what:?}");
        }
    }
    assert_eq!(wrong(Parameter::CallerName, json!("علی\u{200c}رضا")), None);
    assert_eq!(wrong(Parameter::ServiceDeskDisplayName, json!("ශ්\u{200d}රී ☎\u{fe0f}")), None);
}

#[test]
fn a_start_just_over_means_now() {
    let start = |text: &str| {
        let call = parse_open(&json!({"UserName": "a@b.example", "StartDateTime": text})).unwrap();
        let request = call.request(Uuid::nil(), &all_open(), now(), Instant::now());
        (request.opens_at, !call.warnings(now()).is_empty())
    };
    assert_eq!(start("2026-11-22T04:55:00Z"), (None, true));
    assert_eq!(start("2026-11-22T09:00:00+03:00"), (Some("2026-11-22T06:00:00Z".parse().unwrap()), false));
}

#[test]
fn all_problems_come_at_once() {
    let body = r#"{"LifetimeInMinutes": "long", "username": 7, "USERNAME": "a@b.example", "EmailFrom": "x@y.example",
                   "Reason": "a", "Reason": "b"}"#;
    let wrong =
        parse(Some(body), Some("two words"), &settings("LifetimeInMinutes, Reason"), now()).unwrap_err();
    let words: Vec<String> = wrong.iter().map(ParameterError::to_string).collect();
    let all = words.join("; ");
    assert_eq!(wrong.len(), 6, "{all}");
    for part in [
        "Idempotency-Key is not",
        "LifetimeInMinutes is not",
        "UserName is not a text",
        "UserName is given twice",
        "EmailFrom is not open to callers: CREATE_TAP_OPEN_PARAMETERS",
        "Reason is given twice",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert!(!all.contains("long") && !all.contains("x@y"), "no value is repeated");
}

#[test]
fn a_repetition_is_known_however_it_is_written() {
    let of = |body: &str, key: &str| {
        parse(Some(body), Some(key), &all_open(), now()).unwrap().fingerprint(Uuid::nil()).unwrap()
    };
    let first = of(r#"{"UserName": "a@b.example", "LifetimeInMinutes": 60, "NotifyUser": true}"#, "k");
    let again = of(
        r#"{"notifyuser": "TRUE", "lifetimeinminutes": "60", "username": "A@B.example", "Reason": ""}"#,
        "k",
    );
    let other = of(r#"{"UserName": "a@b.example", "LifetimeInMinutes": 61, "NotifyUser": true}"#, "k");
    assert_eq!(first, again);
    assert!(first.key == other.key && first.body != other.body);
    assert_eq!(first.key.len(), 64);
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_i64..50_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,250}".prop_map(Value::from),
        "[0-9]{1,6}".prop_map(Value::from),
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?"
            .prop_map(Value::from),
        (-40_000_i64..3_000_000).prop_map(|s| Value::from((now() + TimeDelta::seconds(s)).to_rfc3339())),
        "https://[a-z.@:]{1,20}".prop_map(Value::from),
        "[a-z]{1,9}@[a-z]{1,9}\\.example".prop_map(Value::from),
        proptest::sample::select(vec!["mail", "response", "true", "FALSE"]).prop_map(Value::from),
        Just(json!([1, {"a": []}])),
    ]
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in option::of(".{0,400}"), key in option::of(".{0,300}")) {
        let _ = parse(body.as_deref(), key.as_deref(), &all_open(), now());
    }

    #[test]
    fn every_call_that_is_accepted_is_in_range(
        fields in proptest::collection::vec(
            (proptest::sample::select(Parameter::all().collect::<Vec<_>>()), values()), 0..8),
        upn in "[a-z]{1,9}@[a-z]{1,9}\\.example",
    ) {
        let fields = fields.iter().map(|(p, value)| (p.name().to_owned(), value.clone()));
        let body: serde_json::Map<String, Value> = [("UserName".to_owned(), Value::from(upn))].into_iter().chain(
            fields).collect();
        let Ok(call) = parse_open(&Value::Object(body)) else { return Ok(()) };
        prop_assert!(call.user_name.contains('@') || call.user_name.parse::<Uuid>().is_ok());
        prop_assert!(call.lifetime_minutes.is_none_or(|minutes| (10..=43_200).contains(&minutes)));
        let request = call.request(Uuid::nil(), &all_open(), now(), Instant::now());
        prop_assert!(request.opens_at.is_none_or(|at| at > now() && at <= now() + START_MAX));
        let desk = &call.service_desk;
        let links = [&desk.portal_url, &call.ticket_url];
        prop_assert!(links.into_iter().flatten().all(|url| url.starts_with("https://")));
        for text in [&desk.name, &desk.email, &desk.phone, &call.reason, &call.caller_name].into_iter().chain(links) {
            prop_assert!(text.as_ref().is_none_or(|t| t.chars().count() <= 200 && !t.contains(char::is_control)));
        }
    }
}
