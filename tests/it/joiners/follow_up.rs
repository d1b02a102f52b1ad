//! What becomes of a delivered pass: a person hears of each joiner who did not get in, and of nobody else.

use firstpass::ledger::Notice;
use firstpass_sandbox::tenant::{Fault, Group, Method, PassSpec, Permission, Person, Tenant, roles};
use serde_json::Value;
use uuid::Uuid;

use crate::helpers::{JobEnd, NOW, TestApp, emma, fail_with, tenant_with_emma, time, to_address};

/// Emma's manager.
pub(super) const MANAGER: &str = "grace.hall@contoso.example";

/// Emma's pass opens at 07:00 on the 27th, for eight hours.
pub(super) const BEFORE_OPENING: &str = "2026-11-27T05:00:00Z";
pub(super) const OPEN: &str = "2026-11-27T08:00:00Z";
pub(super) const ENDED: &str = "2026-11-27T16:00:00Z";
const NEXT_DAY: &str = "2026-11-28T05:00:00Z";

impl TestApp {
    pub(super) fn wait_until(&self, at: &str) {
        self.advance(time(at) - self.sandbox.now());
    }

    pub(super) async fn sweep_at(&self, at: &str) -> Vec<JobEnd> {
        self.wait_until(at);
        self.sweep().await
    }
}

/// The app after Emma's mail, with whether it can read sign-ins.
async fn mailed(settings: &[(&str, &str)], reads_sign_ins: bool) -> (TestApp, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    if reads_sign_ins {
        tenant.granted.insert(Permission::AuditLogRead);
    }
    // The reminder and the second pass have tests of their own (`second_chance.rs`).
    let settings = [&[("NUDGE_AFTER", "off"), ("REISSUE_UNUSED", "false")], settings].concat();
    let app = TestApp::new(tenant, &settings);
    app.sweep_at(NOW).await;
    assert_eq!(app.pass_mails().len(), 1);
    (app, emma)
}

pub(super) fn change(app: &TestApp, user: Uuid, change: impl FnOnce(&mut Person)) {
    app.sandbox.edit(|tenant| tenant.change(user, change));
}

pub(super) fn use_pass(app: &TestApp, user: Uuid) {
    let now = app.sandbox.now();
    let pass = app.sandbox.passes().into_iter().find(|pass| pass.user == user).unwrap();
    app.sandbox.edit(|tenant| tenant.use_pass(pass.id, now));
}

pub(super) fn text(alerts: &[Value]) -> String {
    alerts.iter().map(|alert| alert.to_string().replace("&#x27;", "'")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_ended_unused_is_told_once() {
    for (one_time, reads_sign_ins, seen) in [
        ("true", true, "the pass was not used, no authentication method is registered, no sign-in is listed"),
        ("true", false, "the pass was not used, no authentication method is registered<"),
        ("false", false, "got in: no authentication method is registered<"),
    ] {
        let (app, emma) = mailed(&[("PASS_ONE_TIME", one_time)], reads_sign_ins).await;
        app.sweep_at("2026-11-27T14:00:00Z").await;
        assert_eq!(app.alerts().len(), 0, "the pass can still be used");
        if one_time == "false" {
            app.sweep_at(NEXT_DAY).await;
            assert_eq!(app.alerts().len(), 0, "the reports may lag");
        }
        let ends = app.sweep_daily(1).await;
        assert_eq!((ends.len(), ends[0].outcome.as_str()), (1, "blocked"), "{ends:?}");
        let alerts = text(&app.alerts());
        let ended = "the pass ended at 2026-11-27 15:00 UTC, and nothing shows that this person got in: ";
        for words in
            ["A joiner's pass ended, and they are not in (Emma Brooks, ", ended, seen, "manager Grace Hall"]
        {
            assert!(alerts.contains(words), "\"{words}\" is missing in {alerts}");
        }
        assert!(app.sweep_daily(8).await.is_empty(), "nothing is left to look at");
        assert_eq!((app.alerts().len(), app.pass_mails().len()), (1, 1));
        assert_eq!(app.record(emma).await.unwrap().arrived_at, None);
    }
}

/// With hourly sweeps, the alert comes on day one itself, and the later sweeps of that day do not repeat it.
#[tokio::test(start_paused = true)]
async fn a_sweep_on_the_same_day_tells_it_too() {
    let (app, _) = mailed(&[], false).await;
    app.sweep_at("2026-11-27T15:09:00Z").await;
    assert_eq!(app.alerts().len(), 0, "a replica may not show a use yet");
    for at in [ENDED, "2026-11-27T17:00:00Z", NEXT_DAY] {
        app.sweep_at(at).await;
        assert_eq!(app.alerts().len(), 1, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_got_in_is_recorded_and_nobody_is_told() {
    type Arrive = fn(&TestApp, Uuid);
    let arrivals: [Arrive; 3] = [
        use_pass,
        |app, emma| change(app, emma, |p| p.methods.push(Method::of("microsoftAuthenticator"))),
        |app, emma| {
            let now = app.sandbox.now();
            change(app, emma, |person| person.last_sign_in = Some(now));
        },
    ];
    for arrive in arrivals {
        let (app, emma) = mailed(&[], true).await;
        app.wait_until(OPEN);
        arrive(&app, emma);
        let ends = app.sweep_at(NEXT_DAY).await;
        assert_eq!(
            (ends[0].outcome.as_str(), ends[0].why.as_str()),
            ("skipped", "the joiner is in the account")
        );
        assert!(app.record(emma).await.unwrap().arrived_at.is_some());
        assert!(app.sweep_daily(3).await.is_empty(), "a joiner who is in costs nothing");
        assert_eq!(app.alerts().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_show_no_arrival_tells_nothing() {
    for one_time in ["true", "false"] {
        let settings = [("PASS_ONE_TIME", one_time), ("JOINER_CHECK", "age")];
        let (app, emma) = mailed(&settings, false).await;
        app.sweep_at(NEXT_DAY).await;
        let ends = app.sweep_daily(1).await;
        assert!(ends[0].why.contains("nothing that the app reads shows"), "{ends:?}");
        let notices = app.record(emma).await.unwrap().notices;
        assert_eq!(
            notices.iter().map(|notice| notice.kind.as_str()).collect::<Vec<_>>(),
            [Notice::ARRIVAL_UNKNOWN]
        );
        assert!(app.sweep_daily(9).await.is_empty(), "noted once");
        assert_eq!(app.alerts().len(), 0, "{one_time}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_no_proof() {
    let (app, emma) = mailed(&[], false).await;
    app.sandbox
        .inject(Fault::on("GET", &format!("/users/{emma}/authentication/methods"), fail_with(400)).times(2));
    assert_eq!(app.sweep_at(NEXT_DAY).await[0].outcome, "skipped");
    assert_eq!(app.alerts().len(), 0);
    app.sweep_daily(1).await;
    assert_eq!(app.alerts().len(), 1, "the next sweep looks again");

    let (app, _) = mailed(&[], false).await;
    app.sandbox.edit(|tenant: &mut Tenant| tenant.granted.remove(&Permission::MethodRead));
    app.sweep_at(NEXT_DAY).await;
    assert!(text(&app.alerts()).contains("No joiner gets a pass"), "{:?}", app.alerts());
    app.sandbox.edit(|tenant| tenant.granted.insert(Permission::MethodRead));
    app.sweep_daily(1).await;
    assert!(text(&app.alerts()[1..]).contains("they are not in"), "{:?}", app.alerts());
}

#[tokio::test(start_paused = true)]
async fn a_pass_of_the_helpdesk_is_waited_for() {
    let (app, emma) = mailed(&[], false).await;
    app.wait_until(ENDED);
    let now = app.sandbox.now();
    app.sandbox.edit(|tenant| tenant.add_pass(emma, PassSpec::opening(now).lasting(24 * 60).one_time()));
    app.sweep_at(NEXT_DAY).await;
    assert_eq!(app.alerts().len(), 0, "it can still be used");
    use_pass(&app, emma);
    app.sweep_daily(2).await;
    assert_eq!(app.alerts().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_first_day_gets_another_pass_and_a_day_that_hr_takes_back_afterwards_is_told() {
    let (app, emma) = mailed(&[], false).await;
    app.wait_until(ENDED);
    change(&app, emma, |person| person.hire_date = Some(time("2026-12-01T00:00:00Z")));
    assert_eq!(app.sweep_at(NEXT_DAY).await[0].outcome, "delivered");
    assert_eq!(app.alerts().len(), 0);
    app.sweep_at("2026-12-02T05:00:00Z").await;
    assert_eq!(app.alerts().len(), 1, "the second pass is followed too");

    let (app, emma) = mailed(&[], false).await;
    app.wait_until(ENDED);
    change(&app, emma, |person| person.hire_date = None);
    app.sweep_at(NEXT_DAY).await;
    assert!(text(&app.alerts()).contains("they are not in"), "{:?}", app.alerts());

    let (app, emma) = mailed(&[], false).await;
    app.wait_until(ENDED);
    change(&app, emma, |person| person.guest = true);
    app.sweep_at(NEXT_DAY).await;
    assert_eq!(app.alerts().len(), 0, "a guest has another tenant");
}

/// HR corrects the day to one that is past: no other pass follows.
#[tokio::test(start_paused = true)]
async fn a_first_day_that_is_moved_into_the_past_is_told_too() {
    for moved_at in [OPEN, ENDED] {
        let (app, emma) = mailed(&[], false).await;
        app.wait_until(moved_at);
        change(&app, emma, |person| person.hire_date = Some(time("2026-11-26T00:00:00Z")));
        app.sweep_daily(2).await;
        assert!(text(&app.alerts()).contains("they are not in"), "{moved_at}: {:?}", app.alerts());
        assert_eq!((app.alerts().len(), app.pass_mails().len()), (1, 1));
    }
}

/// The alert's advice is followed, and fails for another reason.
#[tokio::test(start_paused = true)]
async fn another_alert_does_not_repeat_this_one() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let group = group.to_string();
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group), ("REISSUE_UNUSED", "false")]);
    app.sweep_at(NOW).await;
    app.sweep_at(NEXT_DAY).await;
    app.sandbox.edit(|tenant| tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR));
    assert_eq!(app.run_group_add_job(emma).await.outcome, "blocked");
    assert_eq!(app.alerts().len(), 2);
    app.sweep_daily(9).await;
    assert_eq!(app.alerts().len(), 2, "{}", text(&app.alerts()));
}

/// Somebody got in between the mail and the opening, with the first password: that is no sign of this pass.
#[tokio::test(start_paused = true)]
async fn who_got_in_without_the_pass_is_not_reported() {
    let (app, emma) = mailed(&[], false).await;
    app.wait_until("2026-11-25T09:00:00Z");
    let now = app.sandbox.now();
    change(&app, emma, |person| person.methods.push(Method::of("fido2").created(now)));
    app.sweep_at(NEXT_DAY).await;
    app.sweep_daily(2).await;
    assert_eq!(app.alerts().len(), 0);
}

/// The company registers phones ahead: they show neither that the joiner is in nor that no method is there.
#[tokio::test(start_paused = true)]
async fn an_ignored_method_is_not_called_none() {
    let (app, emma) = mailed(&[("JOINER_CHECK_IGNORES", "phone")], true).await;
    change(&app, emma, |person| person.methods.push(Method::of("phone")));
    app.sweep_at(NEXT_DAY).await;
    let alerts = text(&app.alerts());
    assert!(alerts.contains("got in: the pass was not used, no sign-in is listed<"), "{alerts}");
}

/// The report on registrations has no row of a new account for days.
#[tokio::test(start_paused = true)]
async fn a_row_that_the_report_lacks_is_no_proof_at_first() {
    for (created, alerts) in [("2026-11-22T04:00:00Z", 0), ("2026-11-21T04:00:00Z", 1)] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.granted.insert(Permission::AuditLogRead);
        tenant.change(emma, |person| person.created = Some(time(created)));
        let settings = [("JOINER_CHECK", "registration"), ("PASS_ONE_TIME", "false")];
        let app = TestApp::new(tenant, &settings);
        app.sweep_at(NOW).await;
        assert_eq!(app.pass_mails().len(), 1);
        app.sandbox.inject(Fault::on("GET", "userRegistrationDetails", fail_with(404)).always());
        app.sweep_at("2026-11-28T16:00:00Z").await;
        assert_eq!(app.alerts().len(), alerts, "{created}");
    }
}

/// HR enables some accounts on the morning of day one, and forgets some.
#[tokio::test(start_paused = true)]
async fn an_account_that_is_still_disabled_on_day_one_is_told_once() {
    for start in ["day-one", "now"] {
        let mut tenant = Tenant::new(7);
        tenant.add_mailbox(Person::named("Welcome").user_principal_name("welcome@contoso.example"));
        tenant.policy.maximum_lifetime = 43_200;
        let manager = tenant.add(Person::named("Grace Hall"));
        let emma = tenant.add(emma(manager).disabled());
        let app = TestApp::new(tenant, &[("PASS_START", start), ("REISSUE_UNUSED", "false")]);
        app.sweep_at(NOW).await;
        app.sweep_at(BEFORE_OPENING).await;
        app.sweep_at("2026-11-27T07:59:00Z").await;
        assert_eq!(app.alerts().len(), 0, "{start}: there is an hour to enable it");
        for at in [OPEN, "2026-11-27T09:00:00Z"] {
            app.sweep_at(at).await;
            let alerts = text(&app.alerts());
            assert!(
                alerts.contains("A joiner cannot sign in: the account is disabled (Emma Brooks, "),
                "{alerts}"
            );
            assert!(alerts.contains("2026-11-27 07:00 UTC"), "{alerts}");
            assert_eq!(app.alerts().len(), 1, "{start}");
        }
        let to_manager = app.pass_mails().into_iter().filter(|mail| to_address(mail) == MANAGER).count();
        assert_eq!(to_manager, 1, "the manager is told too");
        change(&app, emma, |person| person.enabled = true);
        assert_eq!(app.sweep_at("2026-11-27T10:00:00Z").await[0].outcome, "skipped");
        assert_eq!((app.alerts().len(), app.pass_mails().len()), (1, 2));
        assert!(app.live_code(emma).is_some(), "the code that was mailed works");
        // Nor is it worth a word when the pass has ended: then nobody could use it.
        change(&app, emma, |person| person.enabled = false);
        let pass = app.sandbox.passes().remove(0);
        app.advance(pass.closes_at() - app.sandbox.now());
        app.sweep().await;
        assert!(!text(&app.alerts()[1..]).contains("A joiner cannot sign in"), "{:?}", app.alerts());
    }
}
