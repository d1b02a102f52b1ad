//! Accounts and generated tenants.

use std::collections::BTreeSet;

use firstpass_sandbox::tenant::{Person, generate::generate, samples::ON_DEMAND_GROUP};

use super::now;

#[test]
fn a_name_becomes_an_address() {
    for (name, address) in [
        ("Emma Brooks", "emma.brooks@contoso.example"),
        ("Siobhán O'Brien", "siobhan.o'brien@contoso.example"),
        ("Łukasz Wiśniewski", "lukasz.wisniewski@contoso.example"),
        ("Ana María de la Cruz", "ana.mariadelacruz@contoso.example"),
        ("Suharto", "suharto@contoso.example"),
    ] {
        assert_eq!(Person::named(name).user_principal_name, address);
    }
}

#[test]
fn the_same_seed_makes_the_same_tenant() {
    let names = |seed| {
        let tenant = generate(200, seed, now());
        tenant
            .users
            .values()
            .map(|person| (person.id, person.user_principal_name.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(7), names(7));
    assert_ne!(names(7), names(8));
}

#[test]
fn a_generated_tenant_has_every_kind_of_joiner() {
    // The first joiners are one of each kind.
    let tenant = generate(21, 7, now());
    let kinds: BTreeSet<_> = tenant.notes.values().collect();
    assert_eq!(kinds.len(), 21);
    assert_eq!(tenant.passes.len(), 4);
    assert_eq!(tenant.users.values().filter(|person| tenant.is_privileged(person.id, now())).count(), 3);
    let members = tenant.members(tenant.find_group(ON_DEMAND_GROUP).unwrap().id, now());
    assert!(members.len() >= 12);
    for id in members {
        let member = &tenant.users[&id];
        assert!(
            member.enabled && !member.guest && member.hire_date.is_none() && member.other_mails.len() == 1
        );
    }
}
