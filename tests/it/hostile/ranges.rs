//! Times and numbers that parse and mean nothing.

use std::sync::Arc;

use chrono::TimeDelta;
use firstpass::{
    ledger::{Lease, Purpose, Record, State},
    pass::Job,
};
use firstpass_sandbox::tenant::{Group, Person};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    helpers::{NOW, TestApp, source, tenant_with_emma, time},
    ledger::{blob_ledger, blob_service::BlobService},
};

/// A record with a value at a JSON pointer replaced.
fn record_with(pointer: &str, value: &Value) -> String {
    let time = NOW;
    let pass = json!({"passId": "p", "opensAt": time, "endsAt": time});
    let mut delivered = pass.clone();
    for (name, value) in [("at", json!(time)), ("purpose", json!("joiner")), ("dayOne", json!("2026-11-27"))]
    {
        delivered[name] = value;
    }
    let mut record = json!({
        "schema": 1, "state": "issuing", "purpose": "joiner", "dayOne": "2026-11-27", "pass": pass,
        "lease": {"jobKey": "k", "purpose": "joiner", "since": time, "opensAt": time, "toldAt": time, "lifetimeMinutes": 60},
        "earlierLeases": [{"jobKey": "k", "purpose": "http", "since": time, "opensAt": null, "lifetimeMinutes": 60}],
        "delivered": delivered,
        "announcement": {"dayOne": "2026-11-27", "enabled": true, "at": time, "toldAt": time},
        "correctedFor": "2026-11-27", "heldFor": null, "codes": {"2026-11-27": 1}, "unclear": {},
        "onDemandAt": time, "openedAt": time, "arrivedAt": null,
        "notices": [{"kind": "late", "day": "2026-11-27"}],
        "calls": [{"jobKey": "c", "since": time}], "updatedAt": time,
    });
    serde_json::from_value::<Record>(record.clone()).expect("the template is a record");
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    record.pointer_mut(parent).unwrap()[name] = value.clone();
    record.to_string()
}

#[tokio::test(start_paused = true)]
async fn a_bad_document_costs_its_own_user_one_alert() {
    let times = [
        "/lease/since",
        "/lease/opensAt",
        "/lease/toldAt",
        "/earlierLeases/0/since",
        "/pass/opensAt",
        "/pass/endsAt",
        "/delivered/at",
        "/delivered/opensAt",
        "/delivered/endsAt",
        "/announcement/at",
        "/announcement/toldAt",
        "/onDemandAt",
        "/openedAt",
        "/arrivedAt",
        "/calls/0/since",
        "/updatedAt",
    ];
    let days = [
        "/dayOne",
        "/delivered/dayOne",
        "/announcement/dayOne",
        "/correctedFor",
        "/heldFor",
        "/notices/0/day",
    ];
    let mut cases: Vec<(String, Value)> = vec![
        ("/lease/lifetimeMinutes".into(), json!(4_294_967_295_u32)),
        ("/lease/lifetimeMinutes".into(), json!(-1)),
        ("/earlierLeases/0/lifetimeMinutes".into(), json!(0)),
        ("/codes".into(), json!({"+262142-12-31": 1})),
        ("/unclear".into(), json!({"-262143-01-01": 1})),
        ("/state".into(), json!("elsewhere")),
    ];
    for text in
        ["+262142-12-31T23:59:59Z", "-262143-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]
    {
        cases.extend(times.map(|pointer| (pointer.to_owned(), json!(text))));
        cases.extend(days.map(|pointer| (pointer.to_owned(), json!(text.split('T').next()))));
    }
    for (pointer, value) in cases {
        let (mut tenant, emma) = tenant_with_emma();
        let starts = time("2026-11-27T00:00:00Z");
        let other = tenant.add(
            Person::named("Noah Weber")
                .hire_date(starts)
                .usage_location("GB")
                .private_mail("noah@mail.example"),
        );
        let service = BlobService::new();
        service.put(&format!("joiners/{emma}.json"), &record_with(&pointer, &value));
        let app = TestApp::with_ledger(tenant, &[], Arc::new(blob_ledger(&service)));
        let case = format!("{pointer} = {value}");
        app.sweep().await;
        app.assert_newest_mail_has_live_code(other);
        app.sandbox.advance(TimeDelta::hours(1));
        app.sweep().await;
        assert_eq!(app.pass_mails().len(), 1, "{case}");
        let alerts: Vec<String> =
            app.alerts().iter().map(|alert| alert.to_string().replace("&#x2f;", "/")).collect();
        assert_eq!(alerts.len(), 1, "{case}: {alerts:?}");
        for words in
            ["emma.brooks@contoso.example", "is not a record", &format!("joiners/{emma}.json: Data error")]
        {
            assert!(alerts[0].contains(words), "{case}: {words} is missing in {}", alerts[0]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_document_with_what_affects_everybody_is_written_anew() {
    for document in [
        r#"{"schema":1,"lookedAt":"+262142-12-31T23:59:59Z"}"#,
        r#"{"schema":1,"lastSweep":{"at":"-262143-01-01T00:00:00Z"}}"#,
        "[]",
        "",
    ] {
        let (tenant, emma) = tenant_with_emma();
        let service = BlobService::new();
        service.put("conditions.json", document);
        let app = TestApp::with_ledger(tenant, &[], Arc::new(blob_ledger(&service)));
        app.sweep().await;
        app.assert_newest_mail_has_live_code(emma);
        assert!(service.text("conditions.json").unwrap().contains("\"lastSweep\""), "{document}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_list_hides_no_other_list() {
    let (mut tenant, _) = tenant_with_emma();
    let starts = time("2026-11-27T00:00:00Z");
    tenant.add(
        Person::named("Noah Weber").hire_date(starts).usage_location("GB").private_mail("noah@mail.example"),
    );
    let service = BlobService::new();
    service.put(
        "held/AAAA.json",
        r#"{"schema":1,"kind":"joiners","heldAt":"2999-01-01T00:00:00Z","people":[]}"#,
    );
    let app = TestApp::with_ledger(tenant, &[("SWEEP_MAX", "1")], Arc::new(blob_ledger(&service)));
    app.sweep().await;
    let lists = app.ledger().held_lists().await.unwrap();
    assert!(
        lists.iter().any(|(reference, _)| reference != "AAAA"),
        "the sweep held both back and wrote it down"
    );
}

/// A clock that was wrong wrote records; it must not hold anybody up until its times have come.
#[tokio::test(start_paused = true)]
async fn what_a_wrong_clock_wrote_holds_nobody_up() {
    for ahead in [TimeDelta::hours(1), TimeDelta::days(400)] {
        let (app, emma) = TestApp::with_emma();
        let mut record = Record::new(State::Issuing, Purpose::Joiner, time(NOW) + ahead);
        record.lease = Some(Lease {
            job_key: "k".into(),
            purpose: Purpose::Joiner,
            since: time(NOW) + ahead,
            opens_at: None,
            told_at: None,
            lifetime_minutes: 60,
            unknown: Map::new(),
        });
        app.ledger().write(emma, &record, None).await.unwrap();
        assert_eq!(app.sweep().await[0].outcome, "delivered", "{ahead}");
    }
}

#[tokio::test(start_paused = true)]
async fn nonsense_times_in_messages_are_no_times() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    for year in ["-262143", "+262142", "2999", "0000", "0001"] {
        let time = format!("{year}-01-01T00:00:00Z");
        for message in [
            json!({"specversion": "1.0", "id": "1", "type": "Microsoft.Graph.GroupUpdated", "source": "/", "time": time,
                "subject": format!("groups/{group}"), "data": {"resource": format!("groups/{group}"), "resourceData": {
                "members@delta": [{"id": emma}]}}}),
            json!({"jobKey": "k", "reason": "group-add", "userId": emma, "since": time}),
            json!({"dailyLook": time}),
            json!({"sweepContinues": time, "afterUser": emma}),
            json!({"sweepContinues": "2026-11-22T05:00:00Z", "afterDay": time[..time.len() - 10], "afterUser": emma}),
        ] {
            let answer = app.host.deliver(&message.to_string(), 1).await;
            assert!(answer.is_success(), "{message}: {}", answer.log());
        }
    }
    assert_eq!(app.sandbox.passes().len(), 1, "the events named Emma all the same");
    let key = |key: &str| json!({"jobKey": key, "reason": "joiner", "userId": Uuid::nil()});
    for bad in ["a\nb", "a\u{202e}b", &"x".repeat(201), "käse"] {
        assert!(Job::parse(&key(bad)).is_err(), "{bad:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn hire_dates_at_the_ends_of_time_are_far_away() {
    let (mut tenant, emma) = tenant_with_emma();
    let mut members = vec![emma];
    for (i, (date, zone)) in [
        ("0001-01-01T00:00:00Z", "US"),
        ("0001-01-01T23:59:59Z", "NZ"),
        ("1601-01-01T00:00:00Z", "KI"),
        ("9999-12-31T23:59:59Z", "NZ"),
        ("9999-12-31T00:00:00Z", "US"),
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("end{i}@mail.example");
        let mut person = Person::named(&format!("End {i}"))
            .hire_date(time(date))
            .usage_location(zone)
            .private_mail(&address);
        person.leave_date = Some(time(date));
        members.push(tenant.add(person));
    }
    tenant.change(emma, |emma: &mut Person| emma.leave_date = Some(time("9999-12-31T23:59:59Z")));
    let group = tenant.add_group(Group::named("Joiners").members(members.clone()));
    let app = TestApp::new(tenant, &[("JOINER_GROUP_ID", &group.to_string())]);
    app.sweep().await;
    for user in members {
        app.run_job(user).await;
    }
    app.assert_newest_mail_has_live_code(emma);
    assert_eq!(app.pass_mails().len(), 1);
}

/// A time or a lifetime in a document or an answer is checked where it is read, by an attribute of its field.
#[test]
fn every_time_that_is_read_is_checked() {
    let mut checked = 0;
    for path in source::files("src") {
        let code = source::code(&path);
        let (mut derives, mut is_read, mut attributes) = (String::new(), false, String::new());
        for line in code.lines() {
            if line.starts_with("#[derive(") || line.starts_with("#[serde(") {
                derives += line;
            } else if line.contains("struct ") && !line.starts_with(' ') {
                // What is made from another type is checked there.
                is_read = derives.contains("Deserialize") && !derives.contains("rom = \"");
            } else if line == "}" || line.is_empty() {
                derives.clear();
                is_read &= line.is_empty();
            } else if line.starts_with("    #[") {
                attributes += line;
            } else if line.starts_with("    ") && !line.trim_start().starts_with("//") {
                let is_time = ["DateTime<", "NaiveDate", "lifetime"].iter().any(|word| line.contains(word));
                if is_read && is_time && line.ends_with(',') {
                    assert!(attributes.contains("deserialize_with = \"range::"), "{path}: {line}");
                    checked += 1;
                }
                attributes.clear();
            }
        }
    }
    assert!(checked >= 60, "{checked}");
}
