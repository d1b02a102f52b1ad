//! Each row of the table, at its edges.

use serde_json::Map;

use super::*;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn record(case: &mut Case) -> &mut Record {
    case.record.as_mut().unwrap()
}

fn delivered(case: &mut Case) -> &mut Delivered {
    record(case).delivered.as_mut().unwrap()
}

/// What is decided, in a word or two.
fn decision_for(case: &Case) -> String {
    match case.decide() {
        Decision::Skip(skip) => format!("skip: {skip:?}"),
        Decision::Block(block) => format!("block: {}", block.cause()),
        Decision::Revoke { pass_id, .. } => format!("revoke {pass_id}"),
        Decision::RecordDelivery(pass) => format!("settle {}", pass.id),
        Decision::RecordArrival(at) => format!("arrived {at:?}"),
        Decision::Remind => "remind".to_owned(),
        Decision::TellSignInName => "tell the name".to_owned(),
        Decision::TellAddress => "tell the address".to_owned(),
        Decision::TellNewManager => "tell the manager".to_owned(),
        Decision::RecordUnknownArrival => "unknown".to_owned(),
        Decision::Issue(plan) => format!("issue {:?}", plan.purpose),
    }
}

/// A pass of somebody else.
fn theirs(start: &str, minutes: u32, reason: &str) -> Pass {
    listed("theirs", now(), time(start), minutes, Some(reason))
}

/// A member of the on-demand group, no joiner, whose pass was mailed an hour ago.
fn on_demand() -> Case {
    let mut case = plain();
    case.reason = Reason::GroupAdd;
    case.snapshot.user.account.employee_hire_date = None;
    case.snapshot.privileges.groups.push(GROUP);
    let mut case = carry_out(&case, &plan_of(&case));
    case.now += TimeDelta::hours(1);
    case
}

/// The same, but the worker died before its mail.
fn undelivered(mut case: Case) -> Case {
    let record = record(&mut case);
    (record.state, record.delivered) = (State::Failed, None);
    case
}

#[test]
fn a_moved_day_one_gets_a_pass_of_its_own_that_is_told_as_a_move() {
    let mut case = served();
    record(&mut case).announcement = Some(Announcement::new("2026-11-27".parse().unwrap(), false, None));
    case.snapshot.user.account.employee_hire_date = Some(time("2026-11-25T00:00:00Z"));
    let plan = plan_of(&case);
    assert_eq!((plan.occasion, plan.window.opens_at), (Occasion::Moved, time("2026-11-25T07:00:00Z")));
    case.snapshot.user.account.employee_hire_date = plain().snapshot.user.account.employee_hire_date;
    case.snapshot.passes.clear();
    assert!(plan_of(&case).occasion == Occasion::First, "the same day, and the pass vanished");
}

#[test]
fn a_month_after_a_day_one_another_is_a_new_start() {
    for (told_of, moved) in [("2026-10-28", false), ("2026-10-29", true)] {
        let mut case = plain();
        let last = Announcement::new(told_of.parse().unwrap(), true, None);
        case.record =
            Some(Record { announcement: Some(last), ..Record::new(State::Revoked, Purpose::Joiner, now()) });
        assert_eq!(plan_of(&case).occasion == Occasion::Moved, moved, "{told_of}");
        case.snapshot.user.account.account_enabled = Some(false);
        let expected = if moved { "skip: Disabled" } else { "issue Joiner" };
        assert_eq!(decision_for(&case), expected, "{told_of}: who was enabled then and is not now");
    }
}

#[test]
fn who_was_told_with_an_account_that_worked_and_has_none_now_is_not_coming() {
    let mut case = served();
    record(&mut case).announcement = Some(Announcement::new("2026-11-27".parse().unwrap(), true, None));
    assert_eq!(decision_for(&case), "skip: AlreadyServed");
    case.snapshot.user.account.account_enabled = Some(false);
    assert_eq!(decision_for(&case), "revoke made");
    record(&mut case).announcement.as_mut().unwrap().enabled = false;
    assert_eq!(decision_for(&case), "skip: AlreadyServed", "disabled until day one, as it was");
}

#[test]
fn a_pass_for_day_one_lives_out_its_window_and_one_for_another_day_does_not() {
    let mut case = undelivered(served());
    case.now = time("2026-11-28T00:00:00Z");
    case.snapshot.passes[0].lifetime_in_minutes = 1_440;
    record(&mut case).lease.as_mut().unwrap().lifetime_minutes = 1_440;
    assert!(matches!(case.decide(), Decision::Skip(Skip::DayOnePast(_))));
    case.snapshot.user.account.employee_hire_date = Some(time("2026-11-26T00:00:00Z"));
    assert_eq!(decision_for(&case), "revoke made");
    case.snapshot.passes[0].id = "theirs".into();
    case.snapshot.passes[0].lifetime_in_minutes = 1_439;
    assert!(matches!(case.decide(), Decision::Skip(Skip::DayOnePast(_))), "somebody else's");
}

#[test]
fn a_pass_that_the_policy_disables_is_told_where_it_was_for_this_day_one() {
    let mut case = served();
    case.snapshot.passes[0].method_usability_reason = Some("DisabledByPolicy".into());
    assert_eq!(decision_for(&case), "block: disabled-by-policy");
    case.snapshot.user.account.employee_hire_date = Some(time("2026-11-25T00:00:00Z"));
    assert_eq!(decision_for(&case), "issue Joiner", "a new one may fare better");
}

#[test]
fn a_pass_that_vanished_after_a_failed_try_is_made_anew_also_on_day_one() {
    let mut case = served();
    case.snapshot.passes.clear();
    case.now = time("2026-11-27T08:00:00Z");
    assert_eq!(decision_for(&case), "skip: AlreadyServed");
    record(&mut case).state = State::Failed;
    assert_eq!(decision_for(&case), "issue Joiner");
}

#[test]
fn at_most_four_passes_are_made_for_one_day_one() {
    let mut case = served();
    let day = "2026-11-27".parse().unwrap();
    let late = listed("late", case.now, time("2026-11-27T07:00:00Z"), 480, None);
    case.snapshot.passes.clear();
    for (codes, expected) in [(1, "issue Joiner"), (3, "issue Joiner"), (4, "block: too-many-codes")] {
        record(&mut case).codes = [(day, codes)].into();
        assert_eq!(decision_for(&case), expected, "{codes}");
    }
    case.snapshot.passes = vec![late];
    assert_eq!(decision_for(&case), "block: too-many-codes", "not even for one of our own that came late");
}

#[test]
fn somebody_elses_pass_stands_if_it_works_on_day_one_from_midnight_to_midnight() {
    for (start, minutes, stands) in [
        ("2026-11-26T23:00:00Z", 60, false),
        ("2026-11-26T23:00:00Z", 61, true),
        ("2026-11-27T12:00:00Z", 60, true),
        ("2026-11-27T23:59:00Z", 60, true),
        ("2026-11-28T00:00:00Z", 60, false),
        ("2026-11-28T12:00:00Z", 60, false),
        ("2026-11-25T12:00:00Z", 60, false),
    ] {
        let mut case = plain();
        case.snapshot.passes = vec![theirs(start, minutes, "NotYetValid")];
        let expected = if stands { "skip: HasWorkingPass(None)" } else { "issue Joiner" };
        assert_eq!(decision_for(&case), expected, "{start} {minutes}");
    }
}

#[test]
fn replicas_are_given_ten_minutes_to_show_what_was_mailed() {
    for (case, issue) in [(served(), "issue Joiner"), (on_demand(), "issue OnDemand")] {
        let mut case = case;
        case.snapshot.passes.clear();
        let at = delivered(&mut case).at;
        case.now = at + TimeDelta::minutes(10) - TimeDelta::seconds(1);
        assert_eq!(decision_for(&case), "skip: JustDelivered");
        case.now = at + TimeDelta::minutes(10);
        assert_eq!(decision_for(&case), issue);
        case.now = at;
        record(&mut case).state = State::Failed;
        assert_eq!(decision_for(&case), issue, "what was delivered before is not what failed now");
    }
}

#[test]
fn a_pass_for_day_one_mailed_just_now_is_no_answer_to_an_adding_to_the_group() {
    let mut case = served();
    case.reason = Reason::GroupAdd;
    case.snapshot.privileges.groups.push(GROUP);
    case.now = delivered(&mut case).at + TimeDelta::minutes(1);
    assert_eq!(decision_for(&case), "issue OnDemand");
}

#[test]
fn a_member_with_a_pass_that_works_gets_no_other_but_one_that_nobody_was_handed_is_replaced() {
    assert_eq!(decision_for(&on_demand()), "skip: HasWorkingPass(Some(OnDemand))");
    assert_eq!(decision_for(&undelivered(on_demand())), "issue OnDemand");
    for (reason, expected) in
        [("Expired", "issue OnDemand"), ("EnabledByPolicy", "skip: HasWorkingPass(None)")]
    {
        let mut case = on_demand();
        (case.record, case.snapshot.passes) = (None, vec![theirs("2026-11-22T05:30:00Z", 60, reason)]);
        assert_eq!(decision_for(&case), expected);
    }
}

#[test]
fn who_is_added_again_when_the_pass_is_used_gets_another() {
    let mut case = on_demand();
    case.snapshot.passes[0].method_usability_reason = Some("OneTimeUsed".into());
    assert_eq!(decision_for(&case), "issue OnDemand");
    case.reason = Reason::Recheck;
    assert_eq!(decision_for(&case), "skip: NoHireDate", "the sweep does not");
    assert_eq!(decision_for(&Case { record: None, ..case.clone() }), "skip: NothingOpen");
    let mut case = undelivered(case);
    assert_eq!(decision_for(&case), "settle made");
    case.snapshot.passes.clear();
    assert_eq!(decision_for(&case), "issue OnDemand", "what was promised is done");
}

#[test]
fn an_event_that_was_answered_brings_no_second_pass_and_a_later_one_does() {
    let mut case = on_demand();
    case.snapshot.passes[0].method_usability_reason = Some("OneTimeUsed".into());
    let at = delivered(&mut case).at;
    record(&mut case).on_demand_at = Some(at);
    let edge = at + TimeDelta::minutes(10);
    for (since, expected) in [
        (Some(at - TimeDelta::hours(1)), "skip: ServedSince"),
        (Some(edge), "skip: ServedSince"),
        (Some(edge + TimeDelta::seconds(1)), "issue OnDemand"),
        (None, "issue OnDemand"),
    ] {
        case.since = since;
        assert_eq!(decision_for(&case), expected, "{since:?}");
    }
}

#[test]
fn who_left_the_group_loses_only_what_nobody_was_handed() {
    let leave = |mut case: Case| {
        case.snapshot.privileges.groups.clear();
        case
    };
    assert_eq!(decision_for(&leave(on_demand())), "skip: NotInGroup");
    let mut case = undelivered(leave(on_demand()));
    assert_eq!(decision_for(&case), "revoke made");
    case.snapshot.passes[0].method_usability_reason = Some("Expired".into());
    assert_eq!(decision_for(&case), "skip: NotInGroup");
    // A joiner's pass that nobody was delivery is none of the group's business.
    let mut case = undelivered(leave(served()));
    case.reason = Reason::GroupAdd;
    assert_eq!(decision_for(&case), "skip: NotInGroup");
}

#[test]
fn where_groups_cannot_be_read_a_person_is_told_if_there_is_a_group_at_all() {
    let mut case = plain();
    case.reason = Reason::GroupAdd;
    case.snapshot.privileges.unknown = Some(crate::graph::Unread { why: "403".into(), is_permission: true });
    assert_eq!(decision_for(&case), "block: privilege-unknown");
    let nowhere = Facts { on_demand_group: None, ..case.facts() };
    assert!(matches!(decide(&nowhere), Decision::Skip(Skip::NotInGroup)));
}

#[test]
fn guests_disabled_accounts_and_a_tenant_without_passes_are_told_apart() {
    let mut case = plain();
    case.snapshot.user.account.account_enabled = Some(false);
    assert_eq!(decision_for(&case), "issue Joiner");
    case.pass.serve_disabled = false;
    assert_eq!(decision_for(&case), "skip: Disabled");
    case.snapshot.user.account.account_enabled = Some(true);
    assert_eq!(decision_for(&case), "issue Joiner");
    case.snapshot.user.account.user_type = Some("Guest".into());
    assert_eq!(decision_for(&case), "skip: Guest");
    let mut case = plain();
    case.snapshot.policy.state = "disabled".into();
    assert_eq!(decision_for(&case), "block: passes-off");
    let case = Case { no_address: Some("none".into()), ..plain() };
    assert_eq!(decision_for(&case), "block: no-address");
}

/// A joiner who is none any more.
fn cancelled() -> Case {
    let mut case = served();
    case.snapshot.user.account.employee_hire_date = None;
    case
}

#[test]
fn a_cancelled_joiners_pass_goes_while_it_can_still_work_listed_or_not() {
    let mut case = cancelled();
    assert_eq!(decision_for(&case), "revoke made");
    case.snapshot.passes[0].method_usability_reason = Some("OneTimeUsed".into());
    assert_eq!(decision_for(&case), "skip: NoHireDate");
    // A replica may not show it yet.
    case.snapshot.passes.clear();
    assert_eq!(decision_for(&case), "revoke made");
    record(&mut case).pass = None;
    assert_eq!(decision_for(&case), "revoke made", "the one that was delivered");
    record(&mut case).state = State::Revoked;
    assert_eq!(decision_for(&case), "skip: NoHireDate", "done");
    let mut case = cancelled();
    case.snapshot.passes.clear();
    let ends_at = record(&mut case).pass.as_ref().unwrap().ends_at;
    for (now, expected) in [
        (ends_at - TimeDelta::seconds(1), "revoke made"),
        (ends_at, "skip: NoHireDate"),
        // Nothing was read that shows whether somebody is in.
        (ends_at + TimeDelta::days(1), "unknown"),
    ] {
        case.now = now;
        assert_eq!(decision_for(&case), expected, "{now}");
    }
}

#[test]
fn what_was_delivered_on_demand_is_not_taken_from_a_cancelled_joiner() {
    for listed in [true, false] {
        let mut case = on_demand();
        case.reason = Reason::Joiner;
        if !listed {
            case.snapshot.passes.clear();
        }
        assert_eq!(decision_for(&case), "skip: NoHireDate", "listed: {listed}");
    }
    // A pass on demand that came to nothing does not hide the one for day one.
    let mut case = cancelled();
    case.snapshot.passes.clear();
    record(&mut case).purpose = Purpose::OnDemand;
    record(&mut case).pass.as_mut().unwrap().pass_id = "on demand".into();
    assert_eq!(decision_for(&case), "revoke made");
}

#[test]
fn a_pass_is_known_by_its_lease_to_the_minute_of_clocks_that_differ() {
    let lease = |opens_at: Option<DateTime<Utc>>| Lease {
        job_key: "job".into(),
        purpose: Purpose::Joiner,
        since: now(),
        opens_at,
        told_at: None,
        lifetime_minutes: 60,
        unknown: Map::new(),
    };
    let second = TimeDelta::seconds(1);
    let minute = TimeDelta::minutes(1);
    let at_once = |created: TimeDelta, start: TimeDelta, minutes| {
        let created = now() + created;
        was_created_under(&lease(None), &listed("made", created, created + start, minutes, None))
    };
    assert!(at_once(second, second, 60));
    assert!(!at_once(second, second, 61), "another lifetime");
    for (edge, beyond) in [(-minute, -minute - second), (minute * 15, minute * 15 + second)] {
        assert!(at_once(edge, TimeDelta::zero(), 60) && !at_once(beyond, TimeDelta::zero(), 60), "{edge}");
    }
    for (edge, beyond) in [(-minute, -minute - second), (minute, minute + second)] {
        assert!(at_once(second, edge, 60) && !at_once(second, beyond, 60), "{edge}");
    }
    let opens_at = now() + TimeDelta::days(5);
    let planned = |created: TimeDelta, start: TimeDelta| {
        was_created_under(
            &lease(Some(opens_at)),
            &listed("made", now() + created, opens_at + start, 60, None),
        )
    };
    assert!(planned(second, TimeDelta::zero()) && planned(TimeDelta::days(4), TimeDelta::zero()));
    assert!(!planned(second, second) && !planned(-minute - second, TimeDelta::zero()));
    // A start before the time that the mail tells is known without its seconds too.
    let early = Lease { told_at: Some(opens_at), ..lease(Some(opens_at - second * 37)) };
    let starts = |before: i64| {
        was_created_under(&early, &listed("made", now(), opens_at - second * before as i32, 60, None))
    };
    let known: Vec<i64> = (0..=120).filter(|before| starts(*before)).collect();
    assert_eq!(known, [37, 60]);
}
