//! The sample tenant and generated tenants.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{
    Person, Tenant,
    generate::generate,
    samples::{JOINER_GROUP, ON_DEMAND_GROUP, SENDER, SERVICE_DESK, samples},
};

use super::{Caller, caller, column, now};

fn noted<'a>(tenant: &'a Tenant, note: &str) -> &'a Person {
    let (id, _) = tenant.notes.iter().find(|(_, found)| **found == note).unwrap();
    &tenant.users[id]
}

#[test]
fn the_sample_tenant_has_one_joiner_for_each_case() {
    let tenant = samples(now());
    assert!(tenant.notes.len() >= 17);
    for id in tenant.notes.keys() {
        let person = &tenant.users[id];
        let hired = person.hire_date.unwrap();
        assert!(now() - TimeDelta::days(1) < hired && hired < now() + TimeDelta::days(7), "{person:?}");
        assert!(person.other_mails.iter().all(|mail| mail.ends_with(".example")));
    }
    assert_eq!(tenant.notes.values().collect::<std::collections::BTreeSet<_>>().len(), tenant.notes.len());
    let reason = |note| tenant.passes[&noted(&tenant, note).id].usability(now());
    assert_eq!(reason("the helpdesk made a pass that works now"), "EnabledByPolicy");
    assert_eq!(reason("expired pass"), "Expired");
    assert_eq!(reason("used pass"), "OneTimeUsed");
    assert_eq!(tenant.users.keys().filter(|id| tenant.is_privileged(**id, now())).count(), 3);
    let auckland = noted(&tenant, "Auckland: the day begins early").hire_date.unwrap();
    assert_eq!(auckland.to_rfc3339(), "2026-11-26T11:00:00+00:00", "midnight of the 27th");
    assert!(noted(&tenant, "apostrophe in the user name").user_principal_name.contains("o'brien"));
}

async fn has_an_office(caller: &Caller) {
    for address in [SENDER, SERVICE_DESK] {
        caller.get(format!("/v1.0/users/{address}")).await.expect(200);
    }
    for group in [JOINER_GROUP, ON_DEMAND_GROUP] {
        let id = caller.sandbox.edit(|tenant| tenant.find_group(group).unwrap().id);
        let members = caller.get(format!("/v1.0/groups/{id}/members?$top=999")).await.expect(200);
        assert!(column(&members, "id").len() >= 2, "{group}");
    }
}

#[tokio::test]
async fn sample_and_generated_tenants_have_mailboxes_and_groups() {
    has_an_office(&caller(samples(now()))).await;
    has_an_office(&caller(generate(50, 7, now()))).await;
}
