//! Role assignments and eligibility.

use firstpass_sandbox::tenant::{AppRole, Group, Permission, roles};
use serde_json::json;

use super::{Person, Tenant, caller, column, properties};

const ASSIGNMENTS: &str = "/v1.0/roleManagement/directory/roleAssignments";
const ELIGIBILITY: &str = "/v1.0/roleManagement/directory/roleEligibilityScheduleInstances";

#[tokio::test]
async fn role_assignments_are_direct_only() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks"));
    let group = tenant.add_group(Group::named("Tier 1").role_assignable().members([emma]));
    tenant.assign_role(emma, roles::REPORTS_READER);
    tenant.assign_role(group, roles::USER_ADMINISTRATOR);
    let caller = caller(tenant);
    for (principal, role) in [(emma, roles::REPORTS_READER), (group, roles::USER_ADMINISTRATOR)] {
        let body =
            caller.get(format!("{ASSIGNMENTS}?$filter=principalId eq '{principal}'")).await.expect(200);
        assert_eq!(column(&body, "roleDefinitionId"), [role.to_string()]);
        assert_eq!(
            properties(&body["value"][0]),
            ["directoryScopeId", "id", "principalId", "roleDefinitionId"]
        );
    }
}

#[tokio::test]
async fn eligible_roles_are_listed_separately_and_require_a_licence() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks"));
    tenant.make_eligible(emma, roles::GLOBAL_ADMINISTRATOR);
    let caller = caller(tenant);
    let filter = format!("$filter=principalId eq '{emma}'&$select=roleDefinitionId,memberType");
    let body = caller.get(format!("{ELIGIBILITY}?{filter}")).await.expect(200);
    assert_eq!(
        body["value"],
        json!([{ "roleDefinitionId": roles::GLOBAL_ADMINISTRATOR, "memberType": "Direct" }])
    );
    let body = caller.get(format!("{ASSIGNMENTS}?$filter=principalId eq '{emma}'")).await.expect(200);
    assert_eq!(body["value"], json!([]));

    caller.sandbox.edit(|tenant| tenant.pim_licensed = false);
    let reply = caller.get(format!("{ELIGIBILITY}?{filter}")).await;
    let message = "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.";
    assert_eq!(reply.error(), (400, "AadPremiumLicenseRequired", message));
}

#[tokio::test]
async fn what_a_user_owns_is_listed_and_applications_are_hidden() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks"));
    let other = tenant.add(Person::named("Noah Fischer"));
    let group = tenant.add_group(Group::named("Tier 1").role_assignable());
    let (app, service) = (tenant.add_application("Payroll"), tenant.add_service_principal("Payroll"));
    tenant.owners.extend([(emma, group), (emma, app), (emma, service), (other, group)]);
    let caller = caller(tenant);
    let path = format!("/v1.0/users/{emma}/ownedObjects?$select=id,displayName,isAssignableToRole");
    let body = caller.get(path.clone()).await.expect(200);
    let mut expected = [
        json!({"@odata.type": "#microsoft.graph.group", "id": group, "displayName": "Tier 1", "isAssignableToRole": true}),
        json!({"@odata.type": "#microsoft.graph.application", "id": app, "displayName": null}),
        json!({"@odata.type": "#microsoft.graph.servicePrincipal", "id": service, "displayName": null}),
    ];
    expected.sort_by_key(|object| object["id"].to_string());
    assert_eq!(body["value"], json!(expected));
    caller.sandbox.edit(|tenant| tenant.granted.remove(&Permission::GroupMemberRead));
    let body = caller.get(path.clone()).await.expect(200);
    assert_eq!(body["value"].as_array().unwrap().iter().filter(|o| !o["displayName"].is_null()).count(), 0);
    caller.sandbox.edit(|tenant| tenant.owners_refused = true);
    assert_eq!(caller.get(path).await.error().0, 403);
}

const GROUP_ELIGIBILITY: &str =
    "/v1.0/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances";

#[tokio::test]
async fn groups_that_can_be_activated_are_listed_with_the_permission_and_the_licence() {
    let mut tenant = Tenant::new(7);
    tenant.granted.insert(Permission::GroupEligibilityRead);
    let emma = tenant.add(Person::named("Emma Brooks"));
    let group = tenant.add_group(Group::named("Tier 1").role_assignable());
    tenant.eligible_members.insert((emma, group));
    let caller = caller(tenant);
    let path = format!("{GROUP_ELIGIBILITY}?$filter=principalId eq '{emma}'");
    let body = caller.get(path.clone()).await.expect(200);
    assert_eq!(column(&body, "groupId"), [group.to_string()]);
    assert!(body["value"][0].get("group").is_none());
    let body = caller.get(format!("{path}&$expand=group")).await.expect(200);
    assert_eq!(body["value"][0]["group"]["displayName"], "Tier 1");
    assert_eq!(body["value"][0]["group"]["isAssignableToRole"], true);
    caller.sandbox.edit(|tenant| tenant.granted.remove(&Permission::GroupMemberRead));
    let body = caller.get(format!("{path}&$expand=group")).await.expect(200);
    assert_eq!(body["value"][0]["group"]["displayName"], json!(null), "hidden");
    caller.sandbox.edit(|tenant| tenant.pim_licensed = false);
    assert_eq!(caller.get(path).await.status, 400);
}

#[tokio::test]
async fn the_apps_directory_role_covers_whom_microsofts_page_lists() {
    for (role, status) in [
        (None, 200),
        (Some(roles::DIRECTORY_READERS), 200),
        (Some(roles::AUTHENTICATION_ADMINISTRATOR), 200),
        (Some(roles::PASSWORD_ADMINISTRATOR), 200),
        (Some(roles::HELPDESK_ADMINISTRATOR), 403),
        (Some(roles::GLOBAL_ADMINISTRATOR), 403),
    ] {
        let mut tenant = Tenant::new(7);
        tenant.granted.remove(&Permission::PassReadWrite);
        let emma = tenant.add(Person::named("Emma Brooks"));
        role.into_iter().for_each(|role| tenant.assign_role(emma, role));
        let caller = caller(tenant);
        let path = format!("/v1.0/users/{emma}/authentication/temporaryAccessPassMethods");
        assert_eq!(caller.get(path.clone()).await.status, 403, "neither permission nor role");
        caller.sandbox.edit(|tenant| tenant.app_role = Some(AppRole::Tenant));
        assert_eq!(caller.get(path.clone()).await.status, status, "{role:?}");
        caller.sandbox.edit(|tenant| {
            let group = tenant.add_group(Group::named("Tier 0").role_assignable());
            tenant.owners.insert((emma, group));
        });
        assert_eq!(caller.get(path.clone()).await.status, 403, "the owner of a role-assignable group");
        caller.sandbox.edit(|tenant| {
            tenant.owners.clear();
            tenant.app_role = Some(AppRole::Unit(emma));
        });
        assert_eq!(caller.get(path).await.status, 403, "not in the unit");
    }
}

#[tokio::test]
async fn role_lists_require_a_principal_id() {
    let caller = caller(Tenant::new(7));
    for resource in [ASSIGNMENTS, ELIGIBILITY] {
        for (query, status) in [
            ("", 400),
            ("?$filter=principalId eq 'emma.brooks@contoso.example'", 400),
            ("?$filter=principalId eq 62e90394-69f5-4237-9190-012177145e10", 400),
            ("?$filter=roleDefinitionId eq '62e90394-69f5-4237-9190-012177145e10'", 501),
            ("?$filter=principalId eq '62e90394-69f5-4237-9190-012177145e10'", 200),
            ("?$expand=principal", 501),
        ] {
            let reply = caller.get(format!("{resource}{query}")).await;
            assert_eq!(reply.status, status, "{query}: {}", reply.body);
        }
    }
}
