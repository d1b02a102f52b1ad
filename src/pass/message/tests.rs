use proptest::prelude::*;
use serde_json::json;

use super::*;

const GROUP_ID: Uuid = Uuid::from_u128(0xC0FFEE);
const ADA: Uuid = Uuid::from_u128(0xADA);
const BOB: Uuid = Uuid::from_u128(0xB0B);

fn inserted() -> DateTime<Utc> {
    "2026-11-22T05:00:00Z".parse().unwrap()
}

fn understand(message: &Value) -> Result<ParsedMessage, Vec<String>> {
    ParsedMessage::parse(message, Some(GROUP_ID), inserted())
}

fn parse_notification(message: &Value) -> ChangeNotification {
    match understand(message) {
        Ok(ParsedMessage::Notification(parsed)) => parsed,
        other => panic!("{message} is {other:?}"),
    }
}

/// Who was added, and whether the group has to be read.
fn added(message: &Value) -> (Vec<Uuid>, bool) {
    let parsed = parse_notification(message);
    assert_eq!(parsed.problems, [] as [&str; 0], "{message}");
    (parsed.added.into_keys().collect(), parsed.changed.is_some())
}

/// A notification with this `members@delta`, if any.
fn notification(delta: Option<Value>) -> Value {
    let mut notification = json!({
        "changeType": "updated", "clientState": "secret", "resource": format!("Groups/{GROUP_ID}"),
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Group", "@odata.id": format!("Groups/{GROUP_ID}"), "id": GROUP_ID,
            "organizationId": Uuid::nil(),
        },
        "subscriptionExpirationDateTime": "2026-12-20T05:00:00Z", "subscriptionId": Uuid::nil(), "tenantId": Uuid::nil(),
    });
    if let Some(delta) = delta {
        notification["resourceData"]["members@delta"] = delta;
    }
    notification
}

fn cloud_event(kind: &str, data: &Value) -> Value {
    json!({
        "id": "e-1", "type": kind, "source": "/tenants/t/applications/a", "subject": format!("Groups/{GROUP_ID}"),
        "time": "2026-11-22T04:59:30.306Z", "datacontenttype": "application/json", "specversion": "1.0", "data": data,
    })
}

const UPDATED: &str = "Microsoft.Graph.GroupUpdated";

#[test]
fn a_person_can_be_named_by_id_or_by_sign_in_name() {
    assert_eq!(added(&json!(format!(" {ADA}\n"))), (vec![ADA], false));
    let named = parse_notification(&json!("Ada@Contoso.example"));
    assert_eq!(named.named.keys().collect::<Vec<_>>(), ["ada@contoso.example"]);
    assert_eq!(named.named["ada@contoso.example"].at, inserted());
    let guest = parse_notification(&json!("ann_x.example#EXT#@contoso.example"));
    assert_eq!((guest.named.len(), guest.added.len()), (1, 0));
}

#[test]
fn the_connectors_items_are_members_who_came_or_left() {
    assert_eq!(added(&json!({"id": ADA})), (vec![ADA], false));
    assert_eq!(
        added(&json!({"@odata.type": "#microsoft.graph.user", "id": ADA, "@removed": null})),
        (vec![ADA], false)
    );
    for removed in [json!({"reason": "deleted"}), json!("deleted")] {
        assert_eq!(added(&json!({"id": ADA, "@removed": removed})), (vec![], false));
    }
    let items = json!([{"id": BOB}, {"id": ADA}, {"id": ADA, "@removed": {"reason": "deleted"}}]);
    assert_eq!(added(&items), (vec![ADA, BOB], false), "who left again is found out when the job runs");
    assert_eq!(added(&json!({"value": items})), (vec![ADA, BOB], false));
}

#[test]
fn a_notification_tells_who_or_only_that_something_changed() {
    let changes = json!([{"id": ADA}, {"id": BOB, "@removed": "deleted"}]);
    let cases = [
        (Some(changes.clone()), (vec![ADA], false)),
        (Some(json!([{"id": BOB, "@removed": "deleted"}])), (vec![], false)),
        (Some(json!([{"id": BOB, "@removed": {"reason": "deleted"}}])), (vec![], false)),
        (Some(json!([{"id": ADA}, {"id": BOB}])), (vec![ADA, BOB], false)),
        (Some(json!([])), (vec![], true)),
        (None, (vec![], true)),
    ];
    for (delta, expected) in cases {
        let notification = notification(delta);
        assert_eq!(added(&json!({"value": [&notification]})), expected, "webhook: {notification}");
        for form in [cloud_event(UPDATED, &notification), json!([cloud_event(UPDATED, &notification)])] {
            assert_eq!(added(&form), expected, "Event Grid: {form}");
        }
    }
    let several = json!({"value": [notification(Some(changes)), notification(None), notification(Some(json!([{"id": BOB}])))]});
    assert_eq!(added(&several), (vec![ADA, BOB], true));
}

#[test]
fn however_a_notification_names_the_group_it_is_the_group() {
    let cases =
        ["Groups/{}", "groups/{}/members", "/groups/{}", "groups('{}')", "/v1.0/groups('{}')/members"];
    for resource in cases.map(|form| form.replace("{}", &GROUP_ID.to_string())) {
        let mut notification = notification(None);
        notification["resource"] = resource.as_str().into();
        assert_eq!(added(&json!({"value": [notification]})), (vec![], true), "{resource}");
    }
    for missing in ["resource", "resourceData"] {
        let mut notification = notification(None);
        notification.as_object_mut().unwrap().remove(missing);
        assert_eq!(added(&json!({"value": [notification]})), (vec![], true), "without {missing}");
    }
    let bare = json!({"specversion": "1.0", "type": UPDATED, "subject": format!("Groups/{GROUP_ID}")});
    assert_eq!(added(&bare), (vec![], true), "the subject is enough");
    // No documentation says which type a change of members has.
    assert_eq!(added(&cloud_event("Microsoft.Graph.SomethingElse", &notification(None))), (vec![], true));
}

#[test]
fn what_is_no_business_of_ours_is_passed_over() {
    let mut elsewhere = notification(Some(json!([{"id": ADA}])));
    elsewhere["resource"] = format!("Groups/{ADA}").into();
    let mut deleted = notification(None);
    deleted["changeType"] = "deleted".into();
    let user =
        json!({"changeType": "updated", "resource": format!("Users/{ADA}"), "resourceData": {"id": ADA}});
    let lifecycle = json!({"lifecycleEvent": "reauthorizationRequired", "subscriptionId": Uuid::nil()});
    let mut bare = cloud_event("microsoft.graph.subscriptionReauthorizationRequired", &json!({}));
    bare["subject"] = "".into();
    for (message, why) in [
        (json!({"value": [&elsewhere]}), "another group"),
        (cloud_event(UPDATED, &elsewhere), "another group"),
        (cloud_event("Microsoft.Graph.GroupDeleted", &deleted), "deleted"),
        (cloud_event("Microsoft.Graph.GroupDeleted", &json!(null)), "deleted"),
        (cloud_event("Microsoft.Graph.UserUpdated", &user), "something else"),
        (cloud_event("Com.Example.Thing", &json!({})), "something else"),
        (json!({"value": [&lifecycle]}), "lifecycle notification"),
        (
            cloud_event("Microsoft.Graph.SubscriptionReauthorizationRequired", &lifecycle),
            "lifecycle notification",
        ),
        (bare, "lifecycle notification"),
        (json!([]), "empty"),
        (json!({"value": []}), "empty"),
    ] {
        let parsed = parse_notification(&message);
        assert!(parsed.ignored.iter().any(|words| words.contains(why)), "{message}: {parsed:?}");
        assert_eq!((parsed.added.len(), parsed.changed, parsed.problems.len()), (0, None, 0), "{message}");
    }
}

#[test]
fn an_event_keeps_its_name_and_its_time_however_often_it_is_told() {
    let told = |message: Value| parse_notification(&message).added[&ADA].clone();
    let delta = notification(Some(json!([{"id": ADA}])));
    let event = told(cloud_event(UPDATED, &delta));
    assert_eq!((event.key.as_str(), event.at), ("e-1", "2026-11-22T04:59:30.306Z".parse().unwrap()));
    let told_when = MembershipEvent { key: "2026-11-22T05:00:00Z".into(), at: inserted() };
    assert_eq!(told(json!(ADA)), told_when);
    // The connector repeats itself for a while.
    assert_eq!(
        told(json!({"id": ADA})),
        MembershipEvent { at: inserted() - TimeDelta::minutes(50), ..told_when }
    );
    let mut named = delta.clone();
    named["id"] = "n-7".into();
    named["resourceData"]["eventTime"] = "2026-11-22T04:58:00Z".into();
    let event = told(json!({"value": [named]}));
    assert_eq!((event.key.as_str(), event.at), ("n-7", "2026-11-22T04:58:00Z".parse().unwrap()));
    // An event cannot have happened after it was told, and its name goes into logs.
    let mut odd = cloud_event(UPDATED, &delta);
    odd["time"] = "2031-01-01T00:00:00Z".into();
    odd["id"] = "x\n/../ y".into();
    let event = told(odd);
    assert_eq!(event.at, inserted());
    assert!(event.key.len() == 32 && event.key.bytes().all(|b| b.is_ascii_hexdigit()), "{event:?}");
}

/// Whoever was served since the first of them gets no second pass for the last.
#[test]
fn of_several_changes_in_one_message_the_earliest_counts() {
    let change = |id: &str, time: &str| {
        let mut change = notification(None);
        (change["id"], change["resourceData"]["eventTime"]) = (id.into(), time.into());
        change
    };
    let (early, late) = (change("early", "2026-11-22T04:50:00Z"), change("late", "2026-11-22T04:58:00Z"));
    for message in [json!([&early, &late]), json!([&late, &early])] {
        assert_eq!(parse_notification(&message).changed.unwrap().key, "early", "{message}");
    }
}

#[test]
fn our_own_messages_are_told_from_all_others() {
    let job = Job::group_add(ADA, inserted(), "e-1");
    let message: Value = serde_json::from_str(&job.to_message()).unwrap();
    assert_eq!(understand(&message), Ok(ParsedMessage::Job(job)));
    let read = SyncCompleted { synced_group: GROUP_ID, sync_id: "r".into() };
    let message: Value = serde_json::from_str(&read.to_message()).unwrap();
    assert_eq!(understand(&message), Ok(ParsedMessage::SyncCompleted(read)));
    // A damaged job is none of a member's items.
    let damaged = json!({"reason": "group-add", "id": ADA, "userId": ADA});
    assert_eq!(understand(&damaged), Err(vec!["jobKey is missing".to_owned()]));
}

#[test]
fn what_was_encoded_once_too_often_is_understood() {
    for text in [format!("{ADA}"), format!("{{\"id\":\"{ADA}\"}}"), format!("\"{ADA}\"")] {
        assert_eq!(added(&json!(base64::encode(&text))), (vec![ADA], false), "{text}");
    }
    let job = Job::group_add(ADA, inserted(), "e-1");
    assert_eq!(understand(&json!(base64::encode(job.to_message()))), Ok(ParsedMessage::Job(job)));
    assert!(understand(&json!(base64::encode("hello there"))).is_err());
}

/// PowerShell and files put these before and around a text.
#[test]
fn the_marks_and_the_encoding_of_a_text_do_not_count() {
    let units = |text: &str, to_bytes: fn(u16) -> [u8; 2]| -> String {
        base64::encode(text.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>())
    };
    let id = ADA.to_string();
    for text in [
        format!("\u{feff}{id}"),
        format!(" {id}\r\n"),
        base64::encode(format!("\u{feff}{id}")),
        units(&format!("\u{feff}{id}"), u16::to_le_bytes),
        units(&format!("\u{feff}{id}"), u16::to_be_bytes),
        units(&id, u16::to_le_bytes),
        units(&json!(id).to_string(), u16::to_le_bytes),
    ] {
        assert_eq!(added(&json!(text)), (vec![ADA], false), "{text}");
    }
    let name = "$money@contoso.example";
    assert!(parse_notification(&json!(name)).named.contains_key(name));
    assert!(understand(&json!("mo$ney@contoso.example")).is_err());
}

/// Event Grid's own form has an id of the event, and it is no user's.
#[test]
fn an_event_that_is_no_change_of_a_group_names_nobody() {
    let event = |kind: &str, data: Value| {
        json!({"id": ADA, "eventType": kind, "subject": "", "data": data, "eventTime": "2026-11-22T05:00:00Z",
               "dataVersion": "2", "metadataVersion": "1", "topic": "/subscriptions/s"})
    };
    let code = json!({"validationCode": ADA, "validationUrl": "https://rp.eventgrid.example"});
    for message in [
        event("Microsoft.EventGrid.SubscriptionValidationEvent", code.clone()),
        event("Microsoft.EventGrid.SubscriptionDeletedEvent", json!({"eventSubscriptionId": "x"})),
        event("Microsoft.Storage.BlobCreated", json!({"url": "https://s.example/groups/1"})),
        json!({"id": ADA, "type": "Microsoft.Graph.UserUpdated", "source": "/tenants/t", "data": {}}),
        json!([event("Microsoft.EventGrid.SubscriptionValidationEvent", code)]),
    ] {
        let read = parse_notification(&message);
        assert!(
            read.added.is_empty() && read.named.is_empty() && read.changed.is_none(),
            "{message}: {read:?}"
        );
        assert!(!read.ignored.is_empty(), "{message}");
    }
    let flow = json!({"id": ADA, "type": "newHire", "source": "Workday"});
    assert_eq!(added(&flow).0, [ADA], "not an event: it has no data");
    let change = notification(Some(json!([{"id": ADA}])));
    assert_eq!(
        added(&event("Microsoft.Graph.GroupUpdated", change)).0,
        [ADA],
        "a change in that form counts"
    );
}

#[test]
fn what_cannot_be_understood_is_said_without_repeating_it() {
    for message in [
        json!("top secret"),
        json!(""),
        json!(42),
        json!(null),
        json!({"secret": "x"}),
        json!({"id": "secret"}),
        json!({"value": "secret"}),
        json!({"value": [{"resource": "", "resourceData": {}}]}),
        json!([["secret"], 7]),
        json!("secret user@contoso.example"),
        json!("\"secret: call 555 now\"@evil.example"),
        json!("secret@evil.example/call?555"),
        json!(format!("{}@contoso.example", "secret".repeat(80))),
    ] {
        let problems = understand(&message).expect_err(&message.to_string());
        assert!(!problems.is_empty() && !problems.concat().contains("secret"), "{message}: {problems:?}");
    }
    // What can be understood beside it is.
    let mixed = parse_notification(&json!([{"id": ADA}, {"id": "?"}, {"id": "!"}, "user@contoso.example"]));
    assert_eq!((mixed.added.len(), mixed.named.len(), mixed.problems.len()), (1, 1, 1));
}

/// Values like those that are understood, and worse.
fn any_message() -> impl Strategy<Value = Value> {
    let names = proptest::sample::select(vec![
        "id",
        "@removed",
        "value",
        "resource",
        "resourceData",
        "members@delta",
        "specversion",
        "type",
        "subject",
        "time",
        "data",
        "lifecycleEvent",
        "changeType",
        "jobKey",
        "reason",
        "userId",
        "since",
        "syncedGroup",
        "syncId",
        "eventTime",
        "@odata.type",
    ]);
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        ".{0,12}".prop_map(Value::from),
        "[A-Za-z0-9+/]{0,24}={0,2}".prop_map(Value::from),
        proptest::sample::select(vec![
            ADA.to_string(),
            format!("Groups/{GROUP_ID}"),
            "Groups/".into(),
            "#Microsoft.Graph.Group".into(),
            UPDATED.into(),
            "2026-11-22T04:59:30Z".into(),
            "a@b".into(),
            "group-add".into(),
            "deleted".into(),
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_message_makes_it_panic_and_none_is_passed_over_in_silence(message in any_message()) {
        match understand(&message) {
            Ok(ParsedMessage::Notification(parsed)) => prop_assert!(!parsed.is_empty(), "{} says nothing", message),
            Ok(_) => {}
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
        // What cannot be understood costs nobody the pass of the others.
        let among = json!([{"id": ADA}, message]);
        if let Ok(ParsedMessage::Notification(parsed)) = understand(&among) {
            prop_assert!(parsed.added.contains_key(&ADA));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(?s).*") {
        let message = serde_json::from_str(&text).unwrap_or(Value::from(text));
        let _ = understand(&message);
    }

    #[test]
    fn nobody_is_added_who_is_not_named(message in any_message()) {
        if let Ok(ParsedMessage::Notification(parsed)) = understand(&message) {
            for user in parsed.added.keys() {
                prop_assert!(message.to_string().contains(&user.to_string()));
            }
        }
    }
}
