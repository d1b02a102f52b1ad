//! Subscriptions to change notifications.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use firstpass_sandbox::tenant::{APPLICATION_ID, Group, Permission, Subscription};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Caller, Tenant, caller, column, now, properties};

const TOPIC: &str = "EventGrid:?azuresubscriptionid=8a8a8a8a-4b4b-4c4c-4d4d-12e12e12e12e&resourcegroup=firstpass\
                     &partnertopic=on-demand&location=westeurope";
const URL: &str = "/v1.0/subscriptions";

/// A caller with the permission to subscribe, and a group.
fn caller_with_group() -> (Caller, Uuid) {
    let mut tenant = Tenant::new(7);
    tenant.granted.insert(Permission::GroupRead);
    let group = tenant.add_group(Group::named("On-demand access"));
    (caller(tenant), group)
}

fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn wanted(group: Uuid, change: impl FnOnce(&mut Value)) -> Value {
    let mut body = json!({
        "changeType": "updated",
        "notificationUrl": TOPIC,
        "resource": format!("groups/{group}"),
        "expirationDateTime": text(now() + TimeDelta::minutes(41_760)),
        "clientState": "secret",
    });
    change(&mut body);
    body
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_created_renewed_and_deleted() {
    let (caller, group) = caller_with_group();
    let made = caller.post(URL, wanted(group, |_| {})).await.expect(201);
    assert_eq!(made["@odata.context"], "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity");
    assert_eq!(made["applicationId"], json!(APPLICATION_ID));
    assert_eq!((&made["clientState"], &made["changeType"]), (&json!("secret"), &json!("updated")));
    assert_eq!(
        (&made["notificationUrl"], &made["resource"]),
        (&json!(TOPIC), &json!(format!("groups/{group}")))
    );
    assert_eq!(made["expirationDateTime"], "2026-12-21T09:00:00Z");

    let one = format!("{URL}/{}", made["id"].as_str().unwrap());
    let listed = caller.get(URL).await.expect(200);
    let read = caller.get(&one).await.expect(200);
    assert_eq!(listed["value"][0]["id"], made["id"]);
    assert_eq!((&listed["value"][0]["clientState"], &read["clientState"]), (&Value::Null, &Value::Null));
    assert_eq!(properties(&read), properties(&made), "every response has all properties");

    caller.sandbox.advance(TimeDelta::days(20));
    let later = text(now() + TimeDelta::days(40));
    let renewal = json!({ "expirationDateTime": later });
    let renewed = caller.send("PATCH", &one, &[], Some(renewal)).await.expect(200);
    assert_eq!(renewed["expirationDateTime"], later);
    assert_eq!(caller.sandbox.state()["subscriptions"][0]["expirationDateTime"], later);

    assert!(caller.delete(&one).await.expect(204).is_null());
    for reply in [caller.get(&one).await, caller.delete(&one).await] {
        assert_eq!(reply.error(), (404, "ResourceNotFound", "The object was not found."));
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_subscription_is_gone() {
    let (caller, group) = caller_with_group();
    let end = text(now() + TimeDelta::hours(1));
    let made =
        caller.post(URL, wanted(group, |body| body["expirationDateTime"] = json!(end))).await.expect(201);
    let one = format!("{URL}/{}", made["id"].as_str().unwrap());
    caller.sandbox.advance(TimeDelta::minutes(59));
    caller.get(&one).await.expect(200);
    caller.sandbox.advance(TimeDelta::minutes(1));
    let renewal = json!({ "expirationDateTime": text(now() + TimeDelta::days(1)) });
    assert_eq!(caller.send("PATCH", &one, &[], Some(renewal)).await.status, 404);
    assert_eq!(caller.get(URL).await.expect(200)["value"], json!([]));
    caller.post(URL, wanted(group, |_| {})).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn an_app_lists_its_own_subscriptions_in_pages() {
    let (caller, group) = caller_with_group();
    let foreign = Subscription {
        application: Uuid::from_u128(1),
        ..Subscription::to_group(group, TOPIC, now() + TimeDelta::days(1))
    };
    let foreign = caller.sandbox.edit(|tenant| {
        tenant.page_size_cap = 1;
        tenant.add_subscription(foreign)
    });
    for resource in [format!("groups/{group}"), format!("/groups/{group}/members")] {
        caller.post(URL, wanted(group, |body| body["resource"] = json!(resource))).await.expect(201);
    }
    let first = caller.get(URL).await.expect(200);
    let second = caller.get(first["@odata.nextLink"].as_str().unwrap()).await.expect(200);
    assert!(second.get("@odata.nextLink").is_none());
    let mut seen = [column(&first, "resource"), column(&second, "resource")].concat();
    seen.sort_unstable();
    assert_eq!(seen, [format!("/groups/{group}/members"), format!("groups/{group}")]);
    assert_eq!(caller.get(format!("{URL}/{foreign}")).await.status, 404);
    assert_eq!(caller.get(format!("{URL}?$top=5")).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_subscription_is_refused() {
    let (caller, group) = caller_with_group();
    let made = caller.post(URL, wanted(group, |_| {})).await.expect(201);
    let twin = wanted(group, |body| {
        body["resource"] = json!(format!("/Groups/{group}"));
        body["notificationUrl"] = json!(TOPIC.replace("on-demand", "another"));
    });
    let reply = caller.post(URL, twin).await;
    let id = made["id"].as_str().unwrap();
    let reason = format!("Subscription Id {id} already exists for the requested combination");
    let message = format!("Operation: Create; Exception: [Status Code: Conflict; Reason: {reason}]");
    assert_eq!(reply.error(), (409, "ExtensionError", message.as_str()));
    caller.post(URL, wanted(group, |body| body["changeType"] = json!("Updated,Deleted"))).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_subscription_is_refused() {
    let (caller, group) = caller_with_group();
    let too_late = text(now() + TimeDelta::minutes(41_761));
    let words = "Subscription expiration can only be 41760 minutes in the future.";
    let reply = caller.post(URL, wanted(group, |body| body["expirationDateTime"] = json!(too_late))).await;
    assert_eq!(reply.error(), (400, "ExtensionError", words));

    for (name, value, status) in [
        ("expirationDateTime", json!(text(now())), 400),
        ("expirationDateTime", json!("tomorrow"), 400),
        ("changeType", json!("created,updated"), 400),
        ("changeType", json!(""), 400),
        ("resource", json!(format!("groups/{}", Uuid::from_u128(1))), 404),
        ("resource", json!("nothing"), 400),
        ("resource", json!(format!("https://graph.microsoft.com/v1.0/groups/{group}")), 400),
        ("resource", json!("users"), 501),
        ("resource", json!(format!("groups/{group}/owners")), 501),
        ("notificationUrl", json!("EventGrid:?azuresubscriptionid=1&resourcegroup=a&partnertopic=b"), 400),
        ("notificationUrl", json!(TOPIC.replace("westeurope", "")), 400),
        ("notificationUrl", json!("http://example.com"), 400),
        ("notificationUrl", json!("https://example.com"), 501),
        ("lifecycleNotificationUrl", json!(TOPIC), 501),
        ("clientState", json!("x".repeat(129)), 400),
        ("ChangeType", json!("updated"), 400),
    ] {
        let reply = caller.post(URL, wanted(group, |body| body[name] = value.clone())).await;
        assert_eq!(reply.status, status, "{name} {value}: {}", reply.body);
    }
    for name in ["changeType", "notificationUrl", "resource", "expirationDateTime"] {
        let incomplete = wanted(group, |body| drop(body.as_object_mut().unwrap().remove(name)));
        let message = format!("{name} is a required property for subscription creation");
        assert_eq!(caller.post(URL, incomplete).await.error(), (400, "InvalidRequest", message.as_str()));
    }
    assert_eq!(caller.get(URL).await.expect(200)["value"], json!([]));

    let made = caller.post(URL, wanted(group, |_| {})).await.expect(201);
    let one = format!("{URL}/{}", made["id"].as_str().unwrap());
    for (body, status) in [
        (json!({}), 400),
        (json!({ "expirationDateTime": too_late }), 400),
        (json!({ "expirationDateTime": text(now()) }), 400),
        (json!({ "expirationDateTime": text(now() + TimeDelta::days(1)), "resource": "users" }), 400),
        (json!({ "notificationUrl": TOPIC }), 501),
    ] {
        assert_eq!(caller.send("PATCH", &one, &[], Some(body.clone())).await.status, status, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_has_at_most_100_subscriptions() {
    let (caller, group) = caller_with_group();
    caller.sandbox.edit(|tenant| {
        for _ in 0..99 {
            let other = tenant.add_group(Group::named("Other"));
            tenant.add_subscription(Subscription::to_group(other, TOPIC, now() + TimeDelta::days(1)));
        }
    });
    caller.post(URL, wanted(group, |_| {})).await.expect(201);
    let members = wanted(group, |body| body["resource"] = json!(format!("groups/{group}/members")));
    let reply = caller.post(URL, members).await;
    assert_eq!((reply.error().0, reply.error().1), (403, "ExtensionError"));
    assert!(reply.error().2.contains("Maximum number of subscriptions"), "{}", reply.body);
}

#[tokio::test]
async fn subscriptions_require_a_permission() {
    let (caller, group) = caller_with_group();
    caller.sandbox.edit(|tenant| tenant.granted = Permission::ALWAYS_REQUIRED.into());
    let message = "Operation: Create; Exception: [Status Code: Forbidden; Reason: ]";
    let reply = caller.post(URL, wanted(group, |_| {})).await;
    assert_eq!(reply.error(), (403, "ExtensionError", message));
    assert_eq!(caller.get(URL).await.status, 403);
}
