//! Groups, members, and what a user is in.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Person, Tenant, at, caller, column, now, properties};
use crate::sandbox::{Group, roles};

#[tokio::test]
async fn members_come_with_their_types() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks").private_mail("emma@gmail.example"));
    let nested = tenant.add_group(Group::named("Nested"));
    let device = tenant.add_device("PC-1");
    let group = tenant.add_group(Group::named("On-demand access").members([emma, nested, device]));
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
    assert_eq!(
        body["@odata.context"],
        "https://graph.microsoft.com/v1.0/$metadata#directoryObjects(id,displayName,otherMails)"
    );
    assert_eq!(caller.get(format!("/v1.0/groups/{group}/members/microsoft.graph.user")).await.status, 501);
    assert_eq!(caller.get(format!("/v1.0/groups/{emma}/members")).await.status, 404);
    assert_eq!(caller.get("/v1.0/groups/On-demand/members").await.status, 400);
}

#[tokio::test]
async fn a_group_shows_what_it_is() {
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
async fn membership_is_transitive_and_shows_roles() {
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

#[tokio::test]
async fn leaving_a_group_and_the_tenant() {
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
