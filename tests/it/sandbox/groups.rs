//! Groups and memberships.

use std::fmt::Display;

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Group, Permission, roles};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Caller, Person, Tenant, at, caller, column, now, properties};

#[tokio::test]
async fn members_have_their_types() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks").private_mail("emma@gmail.example"));
    let nested = tenant.add_group(Group::named("Nested"));
    let device = tenant.add_device("PC-1");
    let app = tenant.add_service_principal("Backup");
    let group = tenant.add_group(Group::named("On-demand access").members([emma, nested, device, app]));
    let caller = caller(tenant);
    let body = caller
        .get(format!("/v1.0/groups/{group}/members?$select=id,displayName,otherMails"))
        .await
        .expect(200);
    let item = |id| body["value"].as_array().unwrap().iter().find(|item| item["id"] == json!(id)).unwrap();
    assert_eq!(item(emma)["@odata.type"], "#microsoft.graph.user");
    assert_eq!(item(emma)["otherMails"], json!(["emma@gmail.example"]));
    assert_eq!(item(nested)["@odata.type"], "#microsoft.graph.group");
    assert_eq!(properties(item(nested)), ["displayName", "id"]);
    assert_eq!(item(device)["@odata.type"], "#microsoft.graph.device");
    assert_eq!(item(app)["@odata.type"], "#microsoft.graph.servicePrincipal");
    assert_eq!(
        body["@odata.context"],
        "https://graph.microsoft.com/v1.0/$metadata#directoryObjects(id,displayName,otherMails)"
    );
    assert_eq!(caller.get(format!("/v1.0/groups/{group}/members/microsoft.graph.user")).await.status, 501);
    assert_eq!(caller.get(format!("/v1.0/groups/{emma}/members")).await.status, 404);
    assert_eq!(caller.get("/v1.0/groups/On-demand/members").await.status, 400);
}

#[tokio::test]
async fn a_group_has_its_properties() {
    let mut tenant = Tenant::new(7);
    let plain = tenant.add_group(Group::named("Plain"));
    let dynamic = tenant.add_group(Group::named("New joiners").joiners_within(TimeDelta::days(7)));
    let caller = caller(tenant);
    let body = caller.get(format!("/v1.0/groups/{plain}")).await.expect(200);
    assert_eq!(body["isAssignableToRole"], Value::Null);
    let body =
        caller.get(format!("/v1.0/groups/{dynamic}?$select=groupTypes,membershipRule")).await.expect(200);
    assert_eq!(body["groupTypes"], json!(["DynamicMembership"]));
    assert!(body["membershipRule"].as_str().unwrap().contains("system.now -plus p7d"));
}

#[tokio::test]
async fn a_dynamic_group_follows_the_hire_dates() {
    let mut tenant = Tenant::new(7);
    for (name, date) in [
        ("Past", "2026-11-20T00:00:00Z"),
        ("Today", "2026-11-22T00:00:00Z"),
        ("Soon", "2026-11-28T00:00:00Z"),
        ("Later", "2026-12-10T00:00:00Z"),
    ] {
        tenant.add(Person::named(name).hire_date(at(date)));
    }
    tenant.add(Person::named("Guest").hire_date(at("2026-11-28T00:00:00Z")).internal_guest());
    let group = tenant.add_group(Group::named("New joiners").joiners_within(TimeDelta::days(7)));
    let caller = caller(tenant);
    let members = async || {
        let body = caller.get(format!("/v1.0/groups/{group}/members")).await.expect(200);
        let mut names: Vec<_> = column(&body, "displayName").into_iter().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(members().await, ["Soon", "Today"]);
    caller.sandbox.advance(TimeDelta::days(12));
    assert_eq!(members().await, ["Later"]);
}

#[tokio::test]
async fn transitive_membership_includes_groups_and_roles() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks"));
    let inner = tenant.add_group(Group::named("Inner").members([emma]));
    let outer = tenant.add_group(Group::named("Outer").members([inner]).role_assignable());
    // Groups can contain each other.
    tenant.add_member(inner, outer);
    tenant.assign_role(emma, roles::REPORTS_READER);
    tenant.assign_role(outer, roles::USER_ADMINISTRATOR);
    tenant.make_eligible(emma, roles::GLOBAL_ADMINISTRATOR);
    let caller = caller(tenant);
    let select = "$select=id,displayName,isAssignableToRole,roleTemplateId&$top=999";
    let body = caller.get(format!("/v1.0/users/{emma}/transitiveMemberOf?{select}")).await.expect(200);
    let mut names = column(&body, "displayName");
    names.sort_unstable();
    assert_eq!(names, ["Inner", "Outer", "Reports Reader", "User Administrator"]);
    let item = |name: &str| {
        body["value"].as_array().unwrap().iter().find(|item| item["displayName"] == name).unwrap()
    };
    assert_eq!(item("Outer")["isAssignableToRole"], true);
    assert_eq!(item("Inner")["isAssignableToRole"], Value::Null);
    assert_eq!(properties(item("Inner")), ["displayName", "id", "isAssignableToRole"]);
    let role = item("User Administrator");
    assert_eq!(role["@odata.type"], "#microsoft.graph.directoryRole");
    assert_eq!(role["roleTemplateId"], json!(roles::USER_ADMINISTRATOR));
    assert_ne!(role["id"], role["roleTemplateId"]);
    assert_eq!(properties(role), ["displayName", "id", "roleTemplateId"]);
    assert!(caller.sandbox.edit(|tenant| tenant.is_privileged(emma, now())));
}

/// A caller with the permission to change members, an empty group, and a user.
fn caller_with_group() -> (Caller, Uuid, Uuid) {
    let mut tenant = Tenant::new(7);
    tenant.granted.insert(Permission::GroupMemberReadWrite);
    let emma = tenant.add(Person::named("Emma Brooks"));
    let group = tenant.add_group(Group::named("On-demand access"));
    (caller(tenant), group, emma)
}

fn link(kind: &str, id: impl Display) -> Value {
    json!({ "@odata.id": format!("https://graph.microsoft.com/v1.0/{kind}/{id}") })
}

#[tokio::test]
async fn a_member_is_added_and_removed_by_reference() {
    let (caller, group, emma) = caller_with_group();
    let refs = format!("/v1.0/groups/{group}/members/$ref");
    let emmas = format!("/v1.0/groups/{group}/members/{emma}/$ref");
    for kind in ["directoryObjects", "users"] {
        assert!(caller.post(&refs, link(kind, emma)).await.expect(204).is_null());
        let members = caller.get(format!("/v1.0/groups/{group}/members")).await.expect(200);
        assert_eq!(column(&members, "displayName"), ["Emma Brooks"]);
        let again = caller.post(&refs, link(kind, emma)).await;
        let message = "One or more added object references already exist for the following modified properties: 'members'.";
        assert_eq!(again.error(), (400, "Request_BadRequest", message));
        assert!(caller.delete(&emmas).await.expect(204).is_null());
        let message = format!(
            "Resource '{emma}' does not exist or one of its queried reference-property objects are not present."
        );
        assert_eq!(caller.delete(&emmas).await.error(), (404, "Request_ResourceNotFound", message.as_str()));
    }
}

#[tokio::test]
async fn an_invalid_reference_adds_no_member() {
    let (caller, group, emma) = caller_with_group();
    let (device, inner) = caller.sandbox.edit(|t| (t.add_device("PC-1"), t.add_group(Group::named("Inner"))));
    let refs = format!("/v1.0/groups/{group}/members/$ref");
    let nobody = Uuid::from_u128(1);
    for (url, body, status) in [
        (&refs, link("directoryObjects", nobody), 404),
        (&refs, link("directoryObjects", "emma.brooks@contoso.example"), 400),
        (&refs, link("people", emma), 400),
        (&refs, json!({ "@odata.id": emma }), 400),
        (&refs, json!({ "id": emma }), 400),
        (&refs, json!({ "@odata.id": link("users", emma)["@odata.id"], "role": "member" }), 400),
        (&refs, link("directoryObjects", device), 501),
        (&refs, link("groups", inner), 501),
        (&format!("/v1.0/groups/{nobody}/members/$ref"), link("users", emma), 404),
        (&"/v1.0/groups/On-demand/members/$ref".to_owned(), link("users", emma), 400),
        (&format!("/v1.0/groups/{group}/members"), link("users", emma), 405),
        (&format!("/v1.0/groups/{group}/owners/$ref"), link("users", emma), 501),
        (&format!("/v1.0/groups/{group}/membres/$ref"), link("users", emma), 400),
    ] {
        let reply = caller.post(url, body.clone()).await;
        assert_eq!(reply.status, status, "{url} {body}: {}", reply.body);
    }
    assert_eq!(caller.get(&refs).await.status, 501);
    assert_eq!(caller.get(format!("/v1.0/groups/{group}/members/{emma}/$ref")).await.status, 405);
    assert_eq!(caller.sandbox.edit(|tenant| tenant.members(group, now()).len()), 0);
}

#[tokio::test]
async fn changing_members_requires_a_permission() {
    let (caller, group, emma) = caller_with_group();
    let refs = format!("/v1.0/groups/{group}/members/$ref");
    let revoked = caller.sandbox.edit(|tenant| tenant.granted.remove(&Permission::GroupMemberReadWrite));
    assert!(revoked);
    let refused = (403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.");
    assert_eq!(caller.post(&refs, link("users", emma)).await.error(), refused);
    assert_eq!(caller.delete(format!("/v1.0/groups/{group}/members/{emma}/$ref")).await.error(), refused);
    caller.sandbox.edit(|t| t.granted = [Permission::GroupMemberReadWrite].into());
    caller.post(&refs, link("users", emma)).await.expect(204);
    caller.get(format!("/v1.0/groups/{group}/members")).await.expect(200);
}

#[tokio::test]
async fn members_of_dynamic_and_role_assignable_groups_cannot_be_changed() {
    let (caller, _, emma) = caller_with_group();
    let dynamic = Group::named("New joiners").joiners_within(TimeDelta::days(7));
    for group in [dynamic, Group::named("Tier 0").role_assignable().members([emma])] {
        let group = caller.sandbox.edit(|tenant| tenant.add_group(group));
        let added = caller.post(format!("/v1.0/groups/{group}/members/$ref"), link("users", emma)).await;
        assert_eq!((added.error().0, added.error().1), (403, "Authorization_RequestDenied"));
        assert_eq!(caller.delete(format!("/v1.0/groups/{group}/members/{emma}/$ref")).await.status, 403);
    }
}

#[tokio::test]
async fn removed_and_deleted_users_are_no_longer_members() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks"));
    let jonas = tenant.add(Person::named("Jonas Weber").manager(emma));
    let group = tenant.add_group(Group::named("Team").members([emma, jonas]));
    let caller = caller(tenant);
    caller.sandbox.edit(|tenant| tenant.remove_member(group, jonas));
    let members = caller.get(format!("/v1.0/groups/{group}/members")).await.expect(200);
    assert_eq!(column(&members, "displayName"), ["Emma Brooks"]);
    caller.sandbox.edit(|tenant| tenant.delete(emma));
    let members = caller.get(format!("/v1.0/groups/{group}/members")).await.expect(200);
    assert_eq!(members["value"], json!([]));
    assert_eq!(caller.get(format!("/v1.0/users/{jonas}/manager")).await.status, 404);
}

#[tokio::test]
async fn a_group_with_hidden_membership_shows_its_members_with_a_permission_only() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks"));
    let group = tenant.add_group(Group::named("Access").with_hidden_membership().members([emma]));
    let caller = caller(tenant);
    let (members, memberships) =
        (format!("/v1.0/groups/{group}/members"), format!("/v1.0/users/{emma}/transitiveMemberOf"));
    for is_granted in [false, true] {
        if is_granted {
            caller.sandbox.edit(|tenant| tenant.granted.insert(Permission::HiddenMemberRead));
        }
        for url in [&members, &memberships] {
            let body = caller.get(url).await.expect(200);
            assert_eq!(body["value"].as_array().unwrap().len(), usize::from(is_granted), "{url}");
        }
    }
}
