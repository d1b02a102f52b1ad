use chrono::SubsecRound;
use proptest::{option, prelude::*, sample::select};
use serde_json::Map;

use super::*;
use crate::{
    graph::{Unread, roles::Role},
    ledger::{Announcement, Delivered, Lease, PassRecord},
    pass::fixtures::{self, GROUP, now},
    settings::{PassStart, SignInCheck},
};

/// Facts that own what they are about.
#[derive(Clone, Debug)]
struct Case {
    reason: Reason,
    since: Option<DateTime<Utc>>,
    snapshot: TenantSnapshot,
    record: Option<Record>,
    no_address: Option<String>,
    basis: Basis,
    request: PassRequest,
    pass: PassSettings,
    check: JoinerCheck,
    follow_up: FollowUpSettings,
    now: DateTime<Utc>,
}

impl Case {
    fn facts(&self) -> Facts<'_> {
        Facts {
            reason: self.reason,
            since: self.since,
            snapshot: &self.snapshot,
            record: self.record.as_ref(),
            no_address: self.no_address.as_deref(),
            basis: &self.basis,
            tells_manager: true,
            told_at: None,
            request: Some(&self.request),
            pass: &self.pass,
            device: Device::Browser,
            follow_up: &self.follow_up,
            joiner_check: &self.check,
            lead_days: 7,
            late_days: 0,
            on_demand_group: Some(GROUP),
            now: self.now,
        }
    }

    fn decide(&self) -> Decision {
        decide(&self.facts())
    }
}

/// A joiner in five days, of whom nothing is known yet.
fn plain() -> Case {
    let mut snapshot = fixtures::snapshot();
    snapshot.user.account.employee_hire_date = Some("2026-11-27T00:00:00Z".parse().unwrap());
    snapshot.user.account.usage_location = Some("GB".into());
    let pass = fixtures::pass_settings();
    Case {
        reason: Reason::Joiner,
        since: None,
        snapshot,
        record: None,
        no_address: None,
        basis: Basis { address: Some(ADDRESS.to_owned()), ..Basis::new() },
        request: fixtures::request(),
        pass,
        check: JoinerCheck {
            methods: true,
            registration: false,
            sign_ins: SignInCheck::IfReadable,
            max_age_days: Some(90),
            ignored_methods: Default::default(),
        },
        follow_up: FollowUpSettings { nudge_after: Some(TimeDelta::hours(4)), reissue_unused: true },
        now: now(),
    }
}

/// The fingerprint of the address that a mail goes to.
const ADDRESS: &str = "1:address";

fn listed(
    id: &str,
    created: DateTime<Utc>,
    start: DateTime<Utc>,
    minutes: u32,
    reason: Option<&str>,
) -> Pass {
    Pass {
        id: id.into(),
        created_date_time: created,
        start_date_time: start,
        lifetime_in_minutes: minutes,
        is_usable_once: true,
        method_usability_reason: reason.map(str::to_owned),
    }
}

/// The tenant and the ledger after `plan` was carried out.
fn carry_out(case: &Case, plan: &Plan) -> Case {
    let mut after = case.clone();
    let Window { opens_at, lifetime_minutes, .. } = plan.window;
    after.snapshot.passes = vec![listed("made", case.now, opens_at, lifetime_minutes, None)];
    let new = || Record::new(State::Delivered, plan.purpose, case.now);
    let mut record = case.record.clone().unwrap_or_else(new);
    record.state = State::Delivered;
    record.purpose = plan.purpose;
    record.day_one = plan.day_one;
    let made = PassRecord {
        pass_id: "made".into(),
        opens_at,
        ends_at: plan.window.ends_at(),
        one_time: true,
        unknown: Map::new(),
    };
    record.pass = Some(made.clone());
    record.delivered = Some(Delivered {
        pass: made,
        at: case.now,
        purpose: plan.purpose,
        day_one: plan.day_one,
        after_withdrawal: plan.purpose != Purpose::Joiner && case.facts().is_withdrawn(),
        language: None,
        recipients: vec![],
        address: Some(ADDRESS.to_owned()),
        follows_on: None,
        told_at: None,
        notes: None,
    });
    record.lease = Some(Lease {
        job_key: "job".into(),
        purpose: plan.purpose,
        since: case.now,
        opens_at: plan.window.as_new_pass().opens_at,
        told_at: None,
        lifetime_minutes,
        unknown: Map::new(),
    });
    after.record = Some(record);
    after
}

fn times() -> impl Strategy<Value = DateTime<Utc>> {
    (-20_i64 * 24 * 4..20 * 24 * 4).prop_map(|quarters| now() + TimeDelta::minutes(15 * quarters))
}

fn passes() -> impl Strategy<Value = Vec<Pass>> {
    let reason = option::of(select(vec![
        "EnabledByPolicy",
        "NotYetValid",
        "Expired",
        "OneTimeUsed",
        "DisabledByPolicy",
        "New",
    ]));
    let pass = (
        select(vec!["ours", "delivered", "theirs"]),
        times(),
        times(),
        select(vec![60_u32, 480, 1440]),
        reason,
    )
        .prop_map(|(id, created, start, minutes, reason)| listed(id, created, start, minutes, reason));
    proptest::collection::vec(pass, 0..=1)
}

fn pass_record(id: &'static str) -> impl Strategy<Value = Option<PassRecord>> {
    option::of((times(), select(vec![60_i64, 480])).prop_map(move |(opens_at, minutes)| PassRecord {
        pass_id: id.into(),
        opens_at,
        ends_at: opens_at + TimeDelta::minutes(minutes),
        one_time: true,
        unknown: Map::new(),
    }))
}

fn purposes() -> impl Strategy<Value = Purpose> {
    select(vec![Purpose::Joiner, Purpose::OnDemand, Purpose::Http])
}

fn days() -> impl Strategy<Value = Option<NaiveDate>> {
    let days = vec![None, Some("2026-11-27"), Some("2026-11-24"), Some("2025-01-01")];
    select(days).prop_map(|day| day.map(|day| day.parse().unwrap()))
}

fn delivered() -> impl Strategy<Value = Option<Delivered>> {
    let parts = (pass_record("delivered"), times(), purposes(), days(), any::<bool>());
    parts.prop_map(|(pass, at, purpose, day_one, after_withdrawal)| {
        pass.map(|pass| Delivered {
            pass,
            at,
            purpose,
            day_one,
            after_withdrawal,
            language: None,
            recipients: vec![],
            address: Some(ADDRESS.to_owned()),
            follows_on: None,
            told_at: None,
            notes: None,
        })
    })
}

fn records() -> impl Strategy<Value = Option<Record>> {
    let state = select(vec![State::Issuing, State::Delivered, State::Blocked, State::Failed, State::Revoked]);
    let lease = option::of((times(), option::of(times()), select(vec![60_u32, 480])));
    let announcement = days().prop_flat_map(|day| {
        any::<bool>().prop_map(move |enabled| day.map(|day_one| Announcement::new(day_one, enabled, None)))
    });
    let record = (state, purposes(), days(), lease, pass_record("ours"), delivered(), announcement);
    option::of(record.prop_map(|(state, purpose, day_one, lease, pass, delivered, announcement)| Record {
        day_one,
        lease: lease.map(|(since, opens_at, lifetime_minutes)| Lease {
            job_key: "job".into(),
            purpose,
            since,
            opens_at,
            told_at: None,
            lifetime_minutes,
            unknown: Map::new(),
        }),
        pass,
        delivered,
        announcement,
        ..Record::new(state, purpose, now())
    }))
}

prop_compose! {
    fn cases()(
        reason in select(vec![Reason::Joiner, Reason::GroupAdd, Reason::Recheck, Reason::Http]),
        passes in passes(), record in records(), hire in option::weighted(0.9, times()),
        guest in prop::bool::weighted(0.1), enabled in prop::bool::weighted(0.8), serve_disabled in any::<bool>(),
        admin in prop::bool::weighted(0.1), unknown in prop::bool::weighted(0.1), member in any::<bool>(),
        no_address in prop::bool::weighted(0.1), on in prop::bool::weighted(0.9), start_now in any::<bool>(),
        country in select(vec!["GB", "NZ", "US", "IN"]), reads_methods in any::<bool>(), codes in 0_u32..6,
        reported in any::<bool>(),
    ) -> Case {
        let mut case = plain();
        case.reason = reason;
        case.snapshot.passes = passes;
        case.record = record;
        if let Some(record) = &mut case.record {
            record.codes = record.day_one.map(|day| (day, codes)).into_iter().collect();
            record.reported_pass = reported.then(|| "delivered".into());
        }
        case.snapshot.usage.methods = reads_methods.then(|| Ok(vec![]));
        case.snapshot.user.account.employee_hire_date = hire;
        case.snapshot.user.account.user_type = guest.then(|| "Guest".into());
        case.snapshot.user.account.account_enabled = Some(enabled);
        case.snapshot.user.account.usage_location = Some(country.into());
        case.pass.serve_disabled = serve_disabled;
        case.pass.start = if start_now { PassStart::Now } else { PassStart::DayOne };
        if admin {
            case.snapshot.privileges.active.push(Role {
                id: Uuid::from_u128(9),
                name: None,
                is_direct: true,
                scope: None,
            });
        }
        case.snapshot.privileges.unknown = unknown.then(|| Unread { why: "403".into(), is_permission: true });
        if member {
            case.snapshot.privileges.groups.push(GROUP);
        }
        case.no_address = no_address.then(|| "none".into());
        case.basis.address.take_if(|_| no_address);
        case.snapshot.policy.state = if on { "enabled".into() } else { "disabled".into() };
        case
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Invariant 2: nobody gets a pass who is not eligible by what was read.
    #[test]
    fn no_pass_for_a_stranger(case in cases()) {
        if let Decision::Issue(plan) = case.decide() {
            let TenantSnapshot { user, privileges, policy, .. } = &case.snapshot;
            prop_assert!(!user.sign_in().is_guest);
            prop_assert!(user.account.is_enabled() || case.pass.serve_disabled);
            prop_assert!(guard::finding(privileges).is_none());
            prop_assert!(policy.is_enabled());
            prop_assert!(case.no_address.is_none() || plan.purpose == Purpose::Http);
            match plan.purpose {
                Purpose::Joiner => {
                    let day = case.facts().day_one().unwrap();
                    prop_assert_eq!(plan.day_one, Some(day));
                    let near = distance(day, case.facts().zone(), 7, case.now) == Distance::Near;
                    prop_assert!(near || plan.occasion == Occasion::Again);
                    prop_assert!(plan.window.ends_at() > opening(day.and_time(case.pass.day_one_time), case.facts().zone()));
                }
                Purpose::OnDemand => prop_assert!(privileges.groups.contains(&GROUP)),
                Purpose::Http => prop_assert_eq!(case.reason, Reason::Http),
            }
        }
    }

    /// Invariant 7: a job never replaces a working pass of somebody else.
    #[test]
    fn no_harm_to_a_pass_of_somebody_else(case in cases()) {
        if case.reason != Reason::Http && matches!(case.decide(), Decision::Issue(_)) {
            for pass in &case.snapshot.passes {
                prop_assert!(pass.usability(case.now) != Usability::Active || !case.facts().is_foreign(pass));
            }
        }
    }

    /// Only what is ours, and was made for the same purpose, is taken back.
    #[test]
    fn only_our_own_passes_are_revoked(case in cases()) {
        if let Decision::Revoke { pass_id, .. } = case.decide() {
            let record = case.record.as_ref().unwrap();
            let delivered = record.delivered.as_ref().filter(|d| d.pass.pass_id == pass_id);
            if let Some(pass) = case.snapshot.passes.iter().find(|pass| pass.id == pass_id) {
                prop_assert!(case.facts().is_ours(pass) && pass.can_be_used(case.now));
            } else {
                prop_assert!(delivered.is_some() || record.pass.as_ref().is_some_and(|made| made.pass_id == pass_id));
            }
            // What was handed out on demand goes only with the start that it was for.
            let is_member = case.snapshot.privileges.groups.contains(&GROUP);
            let is_withdrawn = |d: &Delivered| {
                !d.after_withdrawal && case.facts().is_withdrawn() && !(d.purpose == Purpose::OnDemand && is_member)
            };
            prop_assert!(delivered.is_none_or(|d| d.purpose == Purpose::Joiner || is_withdrawn(d)));
        }
    }

    /// A pass is replaced because it ended unused only if it did, and nobody gets a fifth for one day one.
    #[test]
    fn a_second_pass_follows_an_unused_one(case in cases()) {
        if let Decision::Issue(plan) = case.decide()
            && let Some(day) = plan.day_one
        {
            prop_assert!(case.facts().codes_for(day) < MAX_CODES);
            if plan.occasion == Occasion::Again {
                let delivered = case.facts().delivered().unwrap();
                prop_assert!(delivered.pass.ends_at <= case.now && delivered.day_one == Some(day));
                prop_assert!(plan.window.opens_at > case.now && case.snapshot.user.account.is_enabled());
                prop_assert!(case.snapshot.passes.iter().all(|pass| pass.usability(case.now) != Usability::Used));
            }
        }
    }

    /// Nobody is reported as not arrived who may still get in, or did.
    #[test]
    fn only_who_cannot_get_in_any_more_is_reported(case in cases()) {
        if let Decision::Block(Block::NotArrived(_)) = case.decide() {
            let delivered = case.record.as_ref().and_then(|record| record.delivered.as_ref()).unwrap();
            prop_assert!(delivered.purpose == Purpose::Joiner && delivered.pass.ends_at <= case.now);
            // The one in its place that was not delivered: nobody has its code.
            let is_reported = case.record.as_ref().is_some_and(|record| record.is_reported(delivered));
            let facts = case.facts();
            let undelivered = facts.listed_undelivered().filter(|_| is_reported);
            for pass in case.snapshot.passes.iter().filter(|pass| undelivered.is_none_or(|made| made.id != pass.id)) {
                prop_assert!(!pass.can_be_used(case.now) && pass.usability(case.now) != Usability::Used);
            }
        }
    }

    /// Invariant 5: what was done is not done again, minutes later or after replicas agree.
    #[test]
    fn a_delivered_pass_is_not_made_twice(case in cases(), minutes in 0_i64..200) {
        if let Decision::Issue(plan) = case.decide()
            && plan.purpose != Purpose::Http
        {
            let mut after = carry_out(&case, &plan);
            after.now += TimeDelta::minutes(minutes);
            let again = after.decide();
            let is_told = matches!(again, Decision::Block(Block::StillDisabled(_) | Block::NotArrived(_)) | Decision::Remind);
            prop_assert!(is_told || matches!(again, Decision::Skip(_)), "{:?} after {:?}", again, plan);
        }
    }
}

fn skip_of(case: &Case) -> Option<Skip> {
    match case.decide() {
        Decision::Skip(skip) => Some(skip),
        _ => None,
    }
}

fn plan_of(case: &Case) -> Plan {
    match case.decide() {
        Decision::Issue(plan) => plan,
        other => panic!("{other:?}"),
    }
}

/// A joiner's pass, mailed an hour ago.
fn served() -> Case {
    let mut case = plain();
    case.now -= TimeDelta::hours(1);
    let mut case = carry_out(&case, &plan_of(&case));
    case.now += TimeDelta::hours(1);
    case
}

#[test]
fn a_used_or_expired_pass_of_ours_settles_its_day_one() {
    for reason in ["OneTimeUsed", "Expired", "NotYetValid"] {
        let mut case = served();
        case.snapshot.passes[0].method_usability_reason = Some(reason.into());
        assert_eq!(skip_of(&case), Some(Skip::AlreadyServed), "{reason}");
    }
}

#[test]
fn a_pass_that_vanished_is_made_anew_until_its_window_opens() {
    let mut case = served();
    case.snapshot.passes.clear();
    assert_eq!(plan_of(&case).day_one, Some("2026-11-27".parse().unwrap()));
    case.now = "2026-11-27T07:00:00Z".parse().unwrap();
    assert_eq!(skip_of(&case), Some(Skip::AlreadyServed));
}

#[test]
fn a_pass_of_a_dead_worker_is_recognised_by_its_window() {
    let mut case = served();
    let record = case.record.as_mut().unwrap();
    (record.state, record.pass, record.delivered) = (State::Issuing, None, None);
    // Not delivered, so not kept: the mail may never have gone out.
    assert!(matches!(case.decide(), Decision::Issue(_)));
    case.snapshot.passes[0].method_usability_reason = Some("OneTimeUsed".into());
    assert!(matches!(case.decide(), Decision::RecordDelivery(_)), "used: the mail had arrived");
    // The same window, but made before the lease: somebody else's.
    case.snapshot.passes[0].created_date_time -= TimeDelta::days(1);
    assert!(matches!(case.decide(), Decision::Issue(_)));
}

#[test]
fn an_on_demand_pass_does_not_stand_in_for_day_one_and_is_not_killed_while_it_works() {
    let mut case = plain();
    case.reason = Reason::GroupAdd;
    case.snapshot.privileges.groups.push(GROUP);
    let mut case = carry_out(&case, &plan_of(&case));
    case.reason = Reason::Joiner;
    case.now += TimeDelta::hours(1);
    assert_eq!(skip_of(&case), Some(Skip::HasWorkingPass(Some(Purpose::OnDemand))));
    case.now += TimeDelta::hours(24);
    assert_eq!(plan_of(&case).day_one, Some("2026-11-27".parse().unwrap()));
}

#[test]
fn a_helpdesk_pass_for_day_one_itself_is_left_alone() {
    let mut case = plain();
    let start = "2026-11-27T06:30:00Z".parse().unwrap();
    case.snapshot.passes = vec![listed("theirs", case.now, start, 60, Some("NotYetValid"))];
    assert_eq!(skip_of(&case), Some(Skip::HasWorkingPass(None)));
    // One for another day is no help on day one.
    case.snapshot.passes[0].start_date_time = "2026-11-25T06:30:00Z".parse().unwrap();
    assert_eq!(plan_of(&case).window.opens_at, "2026-11-27T07:00:00Z".parse::<DateTime<Utc>>().unwrap());
}

#[test]
fn windows_have_whole_seconds_as_graph_gets_them() {
    let mut case = plain();
    case.snapshot.user.account.employee_hire_date = Some("2026-11-22T00:00:00Z".parse().unwrap());
    case.now += TimeDelta::milliseconds(1_234_567_890);
    case.snapshot.user.account.employee_hire_date = Some(case.now);
    let window = plan_of(&case).window;
    assert_eq!(window.opens_at, window.opens_at.trunc_subsecs(0));
}

#[test]
fn a_late_pass_that_nobody_holds_goes_when_day_one_is_past() {
    let mut case = served();
    case.pass.lifetime_minutes = Some(480);
    case.now = "2026-11-28T05:00:00Z".parse().unwrap();
    case.snapshot.passes[0].lifetime_in_minutes = 1_440;
    assert!(matches!(skip_of(&case), Some(Skip::DayOnePast(_))), "a pass lives out its window");
    case.snapshot.passes[0].id = "late".into();
    assert!(matches!(skip_of(&case), Some(Skip::DayOnePast(_))), "not ours by its window");
    case.record.as_mut().unwrap().lease.as_mut().unwrap().lifetime_minutes = 1_440;
    assert!(matches!(case.decide(), Decision::Revoke { pass_id, .. } if pass_id == "late"));
}

mod managers;
mod rows;
