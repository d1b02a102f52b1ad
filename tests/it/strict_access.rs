//! The strictness of the sandbox about tokens, permissions and the identity endpoint.

use firstpass_sandbox::tenant::{Group, Identity, Permission};
use serde_json::json;
use uuid::Uuid;

use crate::{
    helpers::{TestApp, tenant_with_emma},
    strict::{ASSIGNMENTS, Graph, POLICY},
};

const GROUP_ELIGIBILITY: &str = "/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances";
const ELIGIBILITY: &str = "/roleManagement/directory/roleEligibilityScheduleInstances";

#[tokio::test]
async fn a_token_for_another_resource_is_refused() {
    let graph = Graph::new();
    for (authorization, words) in [
        ("", "Access token is empty."),
        ("Bearer ", "Access token is empty."),
        ("Basic c2FuZGJveA==", "Access token is empty."),
        ("Bearer e30.eyJhdWQiOiJodHRwczovL3ZhdWx0LmF6dXJlLm5ldCJ9.x", "Invalid audience."),
    ] {
        let headers = [("authorization", authorization)];
        graph.assert_refused(&headers, &[("/users/{emma}", 401, "InvalidAuthenticationToken", words)]).await;
    }
    assert_eq!(graph.get("/users/{emma}").await.status, 200);
}

#[tokio::test]
async fn a_missing_permission_is_a_403_of_the_service() {
    let passes = "/users/{emma}/authentication/temporaryAccessPassMethods";
    let eligible = format!("{ELIGIBILITY}?$filter=principalId eq '{}'", Uuid::nil());
    let active = format!("{ASSIGNMENTS}?$filter=principalId eq '{}'", Uuid::nil());
    let groups = format!("{GROUP_ELIGIBILITY}?$filter=principalId eq '{}'", Uuid::nil());
    let directory = "Authorization_RequestDenied";
    for (permission, path, code, words) in [
        (Permission::UserRead, "/users/{emma}", directory, "Insufficient privileges"),
        (Permission::UserRead, "/users", directory, "Insufficient privileges"),
        (Permission::UserRead, "/users/{emma}/manager", directory, "Insufficient privileges"),
        (Permission::GroupMemberRead, "/groups/{emma}/members", directory, "Insufficient privileges"),
        (Permission::RoleManagementRead, &active, directory, "Insufficient privileges"),
        (Permission::RoleManagementRead, &eligible, "UnknownError", "PermissionScopeNotGranted"),
        (Permission::GroupEligibilityRead, &groups, "UnknownError", "PermissionScopeNotGranted"),
        (Permission::PassReadWrite, passes, "accessDenied", "Request Authorization failed"),
        (Permission::PolicyReadAuthenticationMethod, POLICY, "accessDenied", "Request Authorization failed"),
    ] {
        let graph = Graph::new();
        graph.sandbox.edit(|tenant| tenant.granted.insert(permission));
        assert_ne!(graph.get(path).await.status, 403, "{path}: asked for in docs/PERMISSIONS.md");
        graph.sandbox.edit(|tenant| tenant.granted.remove(&permission));
        graph.assert_refused(&[], &[(path, 403, code, words)]).await;
    }
}

#[tokio::test]
async fn permissions_match_the_documentation() {
    let page = include_str!("../../docs/PERMISSIONS.md");
    let mut asked: Vec<_> = Permission::ALWAYS_REQUIRED
        .into_iter()
        .chain([
            Permission::REQUIRED_FOR_NOTIFICATIONS,
            Permission::AuditLogRead,
            Permission::GroupEligibilityRead,
            Permission::HiddenMemberRead,
            Permission::DomainRead,
            Permission::UserLifeCycleInfoRead,
            Permission::ConditionalAccessRead,
        ])
        .map(|permission| permission.name())
        .collect();
    asked.sort_unstable();
    let mut documented: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split('`').next())
        .collect();
    documented.sort_unstable();
    assert_eq!(asked, documented);
    let graph = Graph::new();
    let leave = "/users/{emma}?$select=employeeLeaveDateTime";
    graph.assert_refused(&[], &[(leave, 403, "Authorization_RequestDenied", "")]).await;
    graph.sandbox.edit(|tenant| tenant.granted.insert(Permission::UserLifeCycleInfoRead));
    assert_eq!(graph.get(leave).await.status, 200);
}

#[tokio::test]
async fn unreadable_members_have_only_id_and_type() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("Team").members([emma]));
    tenant.granted.remove(&Permission::UserRead);
    let graph = Graph::of(tenant, emma);
    let select = "$select=id,displayName,userPrincipalName";
    let reply = graph.get(&format!("/groups/{group}/members?{select}")).await;
    let hidden = json!({
        "@odata.type": "#microsoft.graph.user", "id": emma, "displayName": null, "userPrincipalName": null,
    });
    assert_eq!(reply.body["value"], json!([hidden]));

    let permissions = |change: fn(&mut std::collections::BTreeSet<Permission>)| {
        graph.sandbox.edit(|tenant| change(&mut tenant.granted));
    };
    permissions(|granted| {
        granted.insert(Permission::UserRead);
        granted.remove(&Permission::GroupMemberRead);
    });
    let reply = graph.get("/users/{emma}/transitiveMemberOf?$select=id,displayName").await;
    let hidden = json!({"@odata.type": "#microsoft.graph.group", "id": group, "displayName": null});
    assert_eq!(reply.body["value"], json!([hidden]));
}

#[tokio::test]
async fn permissions_can_be_changed_over_http() {
    let graph = Graph::new();
    let url = "/sandbox/permissions";
    let granted = graph.raw("GET", url, &[], "").await.body;
    assert!(granted["granted"].as_array().unwrap().contains(&json!("User.Read.All")));
    assert_eq!(graph.raw("DELETE", &format!("{url}/User.Read.All"), &[], "").await.status, 204);
    assert_eq!(graph.get("/users/{emma}").await.status, 403);
    assert_eq!(graph.raw("PUT", &format!("{url}/User.Read.All"), &[], "").await.status, 204);
    assert_eq!(graph.get("/users/{emma}").await.status, 200);
    assert_eq!(graph.raw("PUT", &format!("{url}/Everything"), &[], "").await.status, 400);
}

#[tokio::test]
async fn the_identity_endpoint_checks_what_app_service_checks() {
    let own = "8a4a3f0e-7d53-4b8e-9a36-0c6d9f6f3a11";
    let graph = Graph::new();
    let ask = async |query: &str, header: &str| {
        let headers = [("x-identity-header", header)];
        graph.raw("GET", &format!("/msi/token?{query}"), &headers, "").await
    };
    let base = "api-version=2019-08-01&resource=https://graph.microsoft.com";
    let token = ask(base, "anything").await;
    assert_eq!((token.status, token.body["expires_on"].is_string()), (200, true));
    assert_eq!(ask(&format!("{base}&client_id={own}"), "anything").await.status, 200);
    assert_eq!(ask(&format!("{base}&client_id=me"), "anything").await.status, 400, "not a GUID");

    let identity = Identity { header: Some("5c".into()), client_id: Some(own.parse().unwrap()) };
    graph.sandbox.set_identity(identity);
    let with_id = format!("{base}&client_id={own}");
    for (query, header, status, words) in [
        (with_id.as_str(), "5c", 200, ""),
        (&with_id, "", 400, "X-IDENTITY-HEADER is missing"),
        (&with_id, "other", 401, "X-IDENTITY-HEADER"),
        (base, "5c", 400, "No User Assigned or Delegated Managed Identity found"),
        (&format!("{base}&client_id={}", Uuid::nil()), "5c", 400, "No User Assigned"),
        (&with_id.replace("2019-08-01", "2017-09-01"), "5c", 400, "api-version"),
        (&with_id.replace("resource=", "scope="), "5c", 400, "resource"),
    ] {
        let reply = ask(query, header).await;
        assert_eq!(reply.status, status, "{query}: {}", reply.body);
        assert!(reply.body["message"].as_str().unwrap_or_default().contains(words), "{}", reply.body);
    }
    let other = ask(&with_id.replace("graph.microsoft.com", "vault.azure.net"), "5c").await;
    let bearer = format!("Bearer {}", other.body["access_token"].as_str().unwrap());
    let refused = graph.send("GET", "/users", &[("authorization", &bearer)], "").await;
    assert_eq!(refused.status, 401, "a token for another resource");
    let asked = graph.sandbox.token_requests();
    assert_eq!((asked.len(), asked[0].status, asked.last().unwrap().status), (11, 200, 200));
}

/// firstpass makes no pass if any of its permissions is missing.
#[tokio::test(start_paused = true)]
async fn firstpass_needs_each_of_its_permissions() {
    for permission in Permission::ALWAYS_REQUIRED {
        let (tenant, emma) = tenant_with_emma();
        let app = TestApp::new(tenant, &[]);
        app.sandbox.edit(|tenant| {
            let team = tenant.add_group(Group::named("Team"));
            tenant.add_member(team, emma);
            tenant.granted.remove(&permission);
        });
        let end = app.run_job(emma).await;
        assert!(["failed", "blocked"].contains(&end.outcome.as_str()), "{}: {end:?}", permission.name());
        assert!(end.why.contains("403") || end.why.contains("hidden"), "{end:?}");
        assert_eq!((app.sandbox.passes(), app.pass_mails()), (vec![], vec![]), "{}", permission.name());
        app.sandbox.edit(|tenant| tenant.granted.insert(permission));
        app.advance(chrono::TimeDelta::minutes(10));
        assert_eq!(app.run_job(emma).await.outcome, "delivered", "{}: granted since", permission.name());
    }
}
