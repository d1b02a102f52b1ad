//! Managers, who may have a pass for joiners who report to them.

use super::*;
use crate::{
    graph::{GraphError, Manager, Method},
    ledger::Notice,
    settings::JoinerSource,
};

const GRACE: Uuid = Uuid::from_u128(2);

/// Emma, who starts in five days, reports to Grace and was never in her account.
fn joiner() -> Case {
    let mut case = plain();
    case.reason = Reason::Http;
    case.check = case.check.strict();
    case.snapshot.manager = Some(Manager {
        id: Some(GRACE),
        account_enabled: Some(true),
        user_principal_name: Some("grace.hall@contoso.example".into()),
        user_type: Some("Member".into()),
        ..Manager::default()
    });
    case.snapshot.usage.methods = Some(Ok(vec![]));
    case.snapshot.usage.last_sign_in = Some(Ok(None));
    case
}

fn refused(edit: impl FnOnce(&mut Case)) -> Option<String> {
    let mut case = joiner();
    edit(&mut case);
    case.facts().refused_to_manager(GRACE, JoinerSource::HireDate)
}

fn says(words: &str, edit: impl FnOnce(&mut Case)) {
    let why = refused(edit);
    assert!(why.as_ref().is_some_and(|why| why.contains(words)), "{words}: {why:?}");
}

fn manager(edit: impl FnOnce(&mut Manager)) -> Option<String> {
    refused(|case| edit(case.snapshot.manager.as_mut().unwrap()))
}

#[test]
fn only_an_enabled_member_who_is_the_manager_may_have_a_pass() {
    assert_eq!(refused(|_| {}), None);
    assert_eq!(manager(|m| m.user_type = None), None, "old synchronised accounts have none");
    for why in [
        refused(|case| case.snapshot.manager = None),
        refused(|case| (case.snapshot.manager, case.snapshot.manager_left) = (None, true)),
        manager(|m| m.id = Some(Uuid::from_u128(3))),
        manager(|m| m.id = None),
        manager(|m| m.account_enabled = Some(false)),
        manager(|m| m.account_enabled = None),
        manager(|m| m.user_type = Some("Guest".into())),
        refused(|case| case.snapshot.user.id = GRACE),
    ] {
        assert!(why.is_some());
    }
}

#[test]
fn an_account_that_somebody_uses_or_that_cannot_be_read_is_no_joiners() {
    let fido = || Some(Ok(vec![Method { kind: "fido2".into(), created_at: None }]));
    let error = || GraphError::timed_out("reading");
    says("fido2", |case| case.snapshot.usage.methods = fido());
    says("signed in", |case| case.snapshot.usage.last_sign_in = Some(Ok(Some(now()))));
    says("the privileges", |case| {
        case.snapshot.privileges.unknown = Some(Unread { why: "403".into(), is_permission: true });
    });
    for unread in [
        refused(|case| case.snapshot.usage.methods = Some(Err(error()))),
        refused(|case| case.snapshot.usage.last_sign_in = Some(Err(error()))),
        refused(|case| case.snapshot.user.account.user_type = Some("Guest".into())),
    ] {
        assert!(unread.is_some());
    }
    says("old", |case| case.snapshot.user.created_date_time = Some(now() - TimeDelta::days(91)));
    says("in the account", |case| {
        let mut record = Record::new(State::Delivered, Purpose::Joiner, now());
        record.arrived_at = Some(now());
        case.record = Some(record);
    });
    says("application Payroll", |case| case.snapshot.privileges.owned_applications = vec!["Payroll".into()]);
}

#[test]
fn only_who_starts_about_now_is_a_joiner() {
    let starts = |days: i64, late_days: u8| {
        let mut case = joiner();
        case.snapshot.user.account.employee_hire_date = Some(now() + TimeDelta::days(days));
        let facts = Facts { late_days, ..case.facts() };
        facts.refused_to_manager(GRACE, JoinerSource::HireDate).is_none()
    };
    for (days, late_days, is_joiner) in
        [(0, 0, true), (7, 0, true), (8, 0, false), (-1, 0, false), (-14, 14, true), (-15, 14, false)]
    {
        assert_eq!(starts(days, late_days), is_joiner, "{days} {late_days}");
    }
    says("no hire date", |case| case.snapshot.user.account.employee_hire_date = None);
    says("leave date", |case| case.snapshot.leave_date = Ok(Some(now())));
}

#[test]
fn who_is_not_in_the_joiner_group_is_no_joiner() {
    let mut case = joiner();
    let why = |case: &Case| case.facts().refused_to_manager(GRACE, JoinerSource::Group(GROUP));
    assert!(why(&case).unwrap().contains("joiner group"));
    case.snapshot.privileges.groups = vec![GROUP];
    assert_eq!(why(&case), None);
}

/// A manager replaces what the joiner has from us, and no code that somebody else gave them.
#[test]
fn a_pass_that_others_had_made_stays() {
    let pass =
        |reason| listed("listed", now() - TimeDelta::hours(1), now() - TimeDelta::hours(1), 480, reason);
    says("others", |case| case.snapshot.passes = vec![pass(None)]);
    says("was used", |case| case.snapshot.passes = vec![pass(Some("OneTimeUsed"))]);
    assert_eq!(refused(|case| case.snapshot.passes = vec![pass(Some("Expired"))]), None);
    let delivered = |purpose, by_manager: bool| {
        let case = joiner();
        let window = case.request.window(Tz::UTC, &case.snapshot.policy, now());
        let mut after = carry_out(&case, &Plan::on_demand(window, purpose));
        if by_manager {
            after.record.as_mut().unwrap().add_notice(Notice::MANAGER_CALL, now().date_naive());
        }
        after.facts().refused_to_manager(GRACE, JoinerSource::HireDate).is_some()
    };
    for (purpose, by_manager, is_refused) in [
        (Purpose::Joiner, false, false),
        (Purpose::Http, true, false),
        (Purpose::Http, false, true),
        (Purpose::OnDemand, false, true),
    ] {
        assert_eq!(delivered(purpose, by_manager), is_refused, "{purpose:?} {by_manager}");
    }
}

/// Later, the joiner is in, and the manager's pass would open their account.
#[test]
fn a_managers_pass_opens_on_the_first_day_at_the_latest() {
    let opens_in = |days| refused(|case| case.request.opens_at = Some(now() + TimeDelta::days(days)));
    assert_eq!((opens_in(0), opens_in(5)), (None, None));
    assert!(opens_in(6).unwrap().contains("after the first day"));
}
