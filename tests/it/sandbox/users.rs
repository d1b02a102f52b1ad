//! Users and managers.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Contact, Permission};
use serde_json::json;

use super::{Person, Tenant, at, caller, caller_of_one, column, now, properties};

const WEEK: &str = "employeeHireDate ge 2026-11-21T00:00:00Z and employeeHireDate le 2026-12-01T00:00:00Z";

#[tokio::test]
async fn hire_date_filters_require_advanced_queries() {
    let (caller, _) = caller_of_one();
    let url = format!("/v1.0/users?$filter={WEEK}&$select=id,displayName");
    for reply in [
        caller.get(&url).await,
        caller.get(format!("{url}&$count=true")).await,
        caller.advanced(&url).await,
        caller.advanced(format!("{url}&$count=false")).await,
        caller.get("/v1.0/users?$count=true").await,
    ] {
        assert_eq!(reply.error(), (400, "Request_UnsupportedQuery", "Unsupported Query."));
    }
    let body = caller.advanced(format!("{url}&$count=true")).await.expect(200);
    assert_eq!(column(&body, "displayName"), ["Emma Brooks"]);
    assert_eq!(body["@odata.count"], 1);
    assert_eq!(body["@odata.context"], "https://graph.microsoft.com/v1.0/$metadata#users(id,displayName)");
}

#[tokio::test]
async fn a_deleted_user_keeps_a_name() {
    let (caller, emma) = caller_of_one();
    let url = format!("/v1.0/directory/deletedItems/{emma}");
    assert_eq!(caller.get(&url).await.error().1, "Request_ResourceNotFound");
    caller.sandbox.edit(|tenant| tenant.delete(emma));
    let body = caller.get(&url).await.expect(200);
    let name = format!("{}emma.brooks@contoso.example", emma.simple());
    assert_eq!(
        [&body["displayName"], &body["userPrincipalName"], &body["@odata.type"]],
        ["Emma Brooks", &name, "#microsoft.graph.user"]
    );
    caller.sandbox.edit(|tenant| tenant.granted.remove(&Permission::UserRead));
    assert_eq!(caller.get(&url).await.error().0, 403);
}

#[tokio::test]
async fn the_bounds_of_a_hire_date_filter_are_inclusive() {
    let mut tenant = Tenant::new(7);
    for (name, date) in
        [("A", "2026-11-20T23:59:59Z"), ("B", "2026-11-21T00:00:00Z"), ("C", "2026-12-01T00:00:00Z")]
    {
        tenant.add(Person::named(name).hire_date(at(date)));
    }
    tenant.add(Person::named("D").hire_date(at("2026-12-01T00:00:01Z")));
    tenant.add(Person::named("E"));
    let caller = caller(tenant);
    let found = async |filter: &str| {
        let body = caller.advanced(format!("/v1.0/users?$count=true&$filter={filter}")).await.expect(200);
        let mut names: Vec<_> = column(&body, "displayName").into_iter().map(str::to_owned).collect();
        names.sort();
        names.concat()
    };
    assert_eq!(found(WEEK).await, "BC");
    assert_eq!(found("employeeHireDate eq 2026-12-01T00:00:01Z").await, "D");
    assert_eq!(found("employeeHireDate ge 2026-12-01T01:00:00%2B01:00").await, "CD");
}

#[tokio::test]
async fn other_filters_are_refused() {
    let (caller, _) = caller_of_one();
    for (filter, status) in [
        ("employeeHireDate gt 2026-11-21T00:00:00Z", 400),
        ("employeeHireDate ge 2026-11-21", 400),
        ("employeeHireDate ge 2026-11-21T00:00:00+01:00", 400),
        ("employeeHireDate ge '2026-11-21T00:00:00Z'", 400),
        ("hireday eq 1", 400),
        ("employeeHireDate", 400),
        ("employeeHireDate ne 2026-11-21T00:00:00Z", 501),
        ("accountEnabled eq true", 501),
    ] {
        let reply = caller.advanced(format!("/v1.0/users?$count=true&$filter={filter}")).await;
        assert_eq!(reply.status, status, "{filter}: {}", reply.body);
    }
    let body = caller
        .get("/v1.0/users?$filter=userPrincipalName eq 'EMMA.brooks@contoso.example'")
        .await
        .expect(200);
    assert_eq!(column(&body, "displayName"), ["Emma Brooks"]);
}

#[tokio::test]
async fn a_user_has_only_the_default_properties() {
    let (caller, emma) = caller_of_one();
    let body = caller.get(format!("/v1.0/users/{emma}")).await.expect(200);
    let expected = [
        "businessPhones",
        "displayName",
        "givenName",
        "id",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
    ];
    assert_eq!(properties(&body), expected);
}

#[tokio::test]
async fn the_properties_of_a_joiner() {
    let mut tenant = Tenant::new(7);
    let id = tenant.add(
        Person::named("Lea Zürcher")
            .hire_date(at("2026-11-30T01:00:00Z"))
            .usage_location("CH")
            .private_mail("lea@bluewin.example")
            .disabled(),
    );
    tenant.change(id, |person| person.extension_attributes[3] = Some("lea@gmx.example".to_owned()));
    let caller = caller(tenant);
    let select = "employeeHireDate,usageLocation,otherMails,accountEnabled,userType,onPremisesExtensionAttributes,\
                  preferredLanguage";
    let body = caller.get(format!("/v1.0/users/{id}?$select={select}")).await.expect(200);
    assert_eq!(body["employeeHireDate"], "2026-11-30T01:00:00Z");
    assert_eq!(body["usageLocation"], "CH");
    assert_eq!(body["otherMails"], json!(["lea@bluewin.example"]));
    assert_eq!(body["accountEnabled"], false);
    assert_eq!(body["userType"], "Member");
    assert_eq!(body["preferredLanguage"], json!(null));
    assert_eq!(body["onPremisesExtensionAttributes"]["extensionAttribute4"], "lea@gmx.example");
    assert_eq!(body["onPremisesExtensionAttributes"]["extensionAttribute15"], json!(null));
}

#[tokio::test]
async fn a_manager_is_a_user_or_a_contact_or_missing() {
    let mut tenant = Tenant::new(7);
    let alex = tenant.add(Person::named("Alex Morgan"));
    let ruth = tenant.add_contact(Contact::named("Ruth Adler", "ruth@partner.example"));
    let emma = tenant.add(Person::named("Emma Brooks").manager(alex));
    let jonas = tenant.add(Person::named("Jonas Weber").manager(ruth));
    let caller = caller(tenant);
    let manager = |id| caller.get(format!("/v1.0/users/{id}/manager?$select=id,displayName,mail"));

    let body = manager(emma).await.expect(200);
    assert_eq!((&body["@odata.type"], &body["id"]), (&json!("#microsoft.graph.user"), &json!(alex)));
    let body = manager(jonas).await.expect(200);
    assert_eq!(body["@odata.type"], "#microsoft.graph.orgContact");
    assert_eq!(body["mail"], "ruth@partner.example");

    let none =
        "Resource 'manager' does not exist or one of its queried reference-property objects are not present.";
    assert_eq!(manager(alex).await.error(), (404, "Request_ResourceNotFound", none));
    let nobody = uuid::Uuid::nil();
    assert!(manager(nobody).await.error().2.contains(&nobody.to_string()));
}

#[tokio::test]
async fn a_new_user_is_listed_before_every_replica_has_it() {
    let mut tenant = Tenant::new(7);
    let hired = Person::named("Fatima Benali").hire_date(at("2026-11-30T00:00:00Z"));
    let fatima = tenant.add(hired.replicating_until(now() + TimeDelta::seconds(20)));
    let caller = caller(tenant);
    let body = caller.advanced(format!("/v1.0/users?$count=true&$filter={WEEK}")).await.expect(200);
    assert_eq!(column(&body, "id"), [fatima.to_string()]);
    let passes = format!("/v1.0/users/{fatima}/authentication/temporaryAccessPassMethods");
    for reply in [
        caller.get(format!("/v1.0/users/{fatima}")).await,
        caller.get(format!("/v1.0/users/{fatima}/manager")).await,
        caller.get(format!("/v1.0/users/{fatima}/transitiveMemberOf")).await,
        caller.get(&passes).await,
        caller.post(&passes, json!({})).await,
    ] {
        assert_eq!((reply.error().0, reply.error().1), (404, "Request_ResourceNotFound"));
        assert!(reply.error().2.contains(&fatima.to_string()));
    }
    caller.sandbox.advance(TimeDelta::seconds(20));
    caller.get(format!("/v1.0/users/{fatima}")).await.expect(200);
    caller.post(&passes, json!({})).await.expect(201);
}

#[tokio::test]
async fn proxy_addresses_tell_the_main_address_from_aliases() {
    let mut tenant = Tenant::new(7);
    tenant.add(Person::named("Emma Brooks").alias("eb@brand.example"));
    tenant.add(Person::named("Noah Fischer").without_mail());
    let caller = caller(tenant);
    let body = caller.get("/v1.0/users?$select=displayName,proxyAddresses").await.expect(200);
    let of = |name: &str| {
        let user = body["value"].as_array().unwrap().iter().find(|user| user["displayName"] == name);
        user.unwrap()["proxyAddresses"].clone()
    };
    assert_eq!(of("Emma Brooks"), json!(["SMTP:emma.brooks@contoso.example", "smtp:eb@brand.example"]));
    assert_eq!(of("Noah Fischer"), json!([]));
    let by_default = caller.get("/v1.0/users").await.expect(200);
    assert!(by_default["value"][0].get("proxyAddresses").is_none(), "it has to be selected");
}

#[tokio::test]
async fn identities_and_the_creation_type_tell_who_is_external() {
    let mut tenant = Tenant::new(7);
    let people = [
        tenant.add(Person::named("Emma Brooks")),
        tenant.add(Person::named("Ann Guest").internal_guest()),
        tenant.add(Person::named("Inês Duarte").external_guest("ines@partner.example")),
        tenant.add(Person::named("Omar Said").external_member("omar@partner.example")),
        tenant.add(Person::named("Giulia Conti").converted_guest("giulia@studio.example")),
    ];
    let caller = caller(tenant);
    let mut seen = Vec::new();
    for id in people {
        let select =
            "$select=userType,creationType,externalUserState,identities,isManagementRestricted,state";
        let user = caller.get(format!("/v1.0/users/{id}?{select}")).await.expect(200);
        let is_federated =
            user["identities"].as_array().unwrap().iter().any(|i| i["signInType"] == "federated");
        assert_eq!(user["externalUserState"].is_string(), is_federated);
        assert!(user["isManagementRestricted"].is_null() && user["state"].is_null());
        seen.push((
            user["userType"].as_str().unwrap().to_owned(),
            user["creationType"].clone(),
            is_federated,
        ));
    }
    let of = |user_type: &str, creation_type: serde_json::Value, federated| {
        (user_type.to_owned(), creation_type, federated)
    };
    let invitation = json!("Invitation");
    assert_eq!(
        seen,
        [
            of("Member", json!(null), false),
            of("Guest", json!(null), false),
            of("Guest", invitation.clone(), true),
            of("Member", invitation, true),
            of("Member", json!(null), false),
        ]
    );
}

#[tokio::test]
async fn the_domains_of_the_tenant_need_a_permission() {
    let caller = caller(Tenant::new(7));
    assert_eq!(caller.get("/v1.0/domains").await.error().0, 403);
    caller.sandbox.edit(|tenant| {
        tenant.granted.insert(Permission::DomainRead);
        tenant.domains.push(("new.example".into(), false));
    });
    let body = caller.get("/v1.0/domains").await.expect(200);
    assert_eq!(column(&body, "id"), ["contoso.example", "new.example"]);
    assert_eq!(
        (&body["value"][0]["isVerified"], &body["value"][1]["isVerified"]),
        (&json!(true), &json!(false))
    );
}
