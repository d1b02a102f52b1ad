use chrono::TimeDelta;

use super::*;
use crate::{
    environment::Environment,
    graph::{GraphError, Manager, Method, UsageSnapshot},
    ledger::{Purpose, State},
    pass::fixtures::{self, now},
};

const GRACE: Uuid = Uuid::from_u128(2);

fn settings(more: &[(&str, &str)]) -> Settings {
    let required = [
        ("MAIL_FROM", "welcome@contoso.com"),
        ("LEDGER_URL", "https://mystorage.blob.core.windows.net/ledger"),
    ];
    let env: Environment = required.iter().chain(more).copied().collect();
    Settings::read(&env).unwrap()
}

/// Emma, who reports to Grace and was never in her account.
fn joiner() -> TenantSnapshot {
    TenantSnapshot {
        manager: Some(Manager {
            id: Some(GRACE),
            account_enabled: Some(true),
            user_principal_name: Some("grace.hall@contoso.example".into()),
            user_type: Some("Member".into()),
            ..Manager::default()
        }),
        usage: UsageSnapshot {
            methods: Some(Ok(vec![])),
            last_sign_in: Some(Ok(None)),
            ..UsageSnapshot::default()
        },
        ..fixtures::snapshot()
    }
}

fn refused(edit: impl FnOnce(&mut TenantSnapshot)) -> Option<String> {
    let mut snapshot = joiner();
    edit(&mut snapshot);
    refusal(GRACE, &snapshot, None, &settings(&[]), now())
}

fn manager(edit: impl FnOnce(&mut Manager)) -> Option<String> {
    refused(|snapshot| edit(snapshot.manager.as_mut().unwrap()))
}

#[test]
fn only_an_enabled_member_who_is_the_manager_may_have_a_pass() {
    assert_eq!(refused(|_| {}), None);
    assert_eq!(manager(|m| m.user_type = None), None, "old synchronised accounts have none");
    for why in [
        refused(|snapshot| snapshot.manager = None),
        refused(|snapshot| (snapshot.manager, snapshot.manager_left) = (None, true)),
        manager(|m| m.id = Some(Uuid::from_u128(3))),
        manager(|m| m.id = None),
        manager(|m| m.account_enabled = Some(false)),
        manager(|m| m.account_enabled = None),
        manager(|m| m.user_type = Some("Guest".into())),
        refused(|snapshot| snapshot.user.id = GRACE),
    ] {
        assert!(why.is_some());
    }
}

#[test]
fn an_account_that_somebody_uses_or_that_cannot_be_read_is_no_joiners() {
    let method = |kind: &str| Some(Ok(vec![Method { kind: kind.into(), created_at: None }]));
    let evidence = |snapshot: &mut TenantSnapshot| snapshot.usage.methods = method("fido2");
    assert!(refused(evidence).unwrap().contains("fido2"));
    assert!(refused(|s| s.usage.last_sign_in = Some(Ok(Some(now())))).unwrap().contains("signed in"));
    let error = || GraphError::timed_out("reading");
    assert!(refused(|s| s.usage.methods = Some(Err(error()))).unwrap().contains("unknown"));
    assert!(refused(|s| s.usage.last_sign_in = Some(Err(error()))).unwrap().contains("unknown"));
    assert!(refused(|s| s.user.account.user_type = Some("Guest".into())).is_some());
    assert!(
        refused(|s| s.user.created_date_time = Some(now() - TimeDelta::days(91))).unwrap().contains("old")
    );
    let mut record = Record::new(State::Delivered, Purpose::Joiner, now());
    record.arrived_at = Some(now());
    assert!(
        refusal(GRACE, &joiner(), Some(&record), &settings(&[]), now()).unwrap().contains("in the account")
    );
}

/// What `JOINER_CHECK` leaves out is for joiners whom HR names.
#[test]
fn every_check_is_made_whatever_the_settings_leave_out() {
    let check = check(&settings(&[("JOINER_CHECK", "none")]));
    assert_eq!((check.methods, check.sign_ins), (true, SignInCheck::Required));
}
