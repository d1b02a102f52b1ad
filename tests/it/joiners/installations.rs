//! Two programs that make passes for the same people: a slot, an old app during a migration.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, PassSpec};
use uuid::Uuid;

use super::follow_up::text;
use crate::helpers::{PASS_PATH, TestApp, html_escaped, time};

const ALERT: &str = "Another program makes passes for the same people";
const OPENING: &str = "2026-11-27T07:00:00Z";

/// Two installations with ledgers of their own in one tenant, and the joiner.
fn two(salt: u128) -> (TestApp, TestApp, Uuid) {
    let (app, emma) = TestApp::with_emma();
    let other = app.another_installation(Uuid::from_u128(salt));
    (app, other, emma)
}

fn count_alerts(app: &TestApp) -> (usize, usize) {
    (app.alerts().len(), text(&app.alerts()).matches(ALERT).count())
}

/// Both run their sweep at the same time, on each of five days, until the day before the first.
async fn sweep_five_days(app: &TestApp, other: &TestApp) {
    tokio::join!(app.sweep(), other.sweep());
    for _ in 1..5 {
        app.advance(TimeDelta::days(1));
        tokio::join!(app.sweep(), other.sweep());
    }
}

#[tokio::test(start_paused = true)]
async fn two_installations_do_not_replace_each_others_passes() {
    let (app, other, emma) = two(1);
    sweep_five_days(&app, &other).await;
    assert_eq!((app.count_requests("POST", PASS_PATH), app.pass_mails().len()), (2, 2), "at the same time");
    let code = html_escaped(&app.live_code(emma).unwrap());
    assert!(text(&app.pass_mails()).contains(&code), "one of the mails has the code that works");
    let (all, about_it) = count_alerts(&app);
    assert_eq!((all, about_it > 0), (1, true), "{:?}", app.alerts());
}

#[tokio::test(start_paused = true)]
async fn two_that_drew_the_same_start_part_with_the_next_pass() {
    let (app, other, emma) = two(0);
    sweep_five_days(&app, &other).await;
    assert_eq!(app.count_requests("POST", PASS_PATH), 3);
    app.assert_newest_mail_has_live_code(emma);
    assert_eq!(app.alerts().len(), 1, "{:?}", app.alerts());
}

#[tokio::test(start_paused = true)]
async fn the_later_of_two_sweeps_makes_nothing() {
    let (app, other, _) = two(1);
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    let ends = other.sweep().await;
    assert!(ends[0].why.contains("a working pass that firstpass did not make"), "{ends:?}");
    assert_eq!((app.count_requests("POST", PASS_PATH), app.alerts().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pass_starts_within_the_minute_before_the_time_that_its_mails_tell() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    let pass = app.sandbox.passes().pop().unwrap();
    let early = time(OPENING) - pass.opens_at;
    assert!(early > TimeDelta::zero() && early < TimeDelta::minutes(1), "{early}");
    let mail = text(&app.pass_mails());
    assert!(mail.contains("07:00") && mail.contains("15:00") && !mail.contains("06:59"), "{mail}");
    app.sweep_at("2026-11-29T05:00:00Z").await;
    let alerts = text(&app.alerts());
    assert!(alerts.contains("the pass ended at 2026-11-27 15:00 UTC"), "{alerts}");
    assert!(app.live_code(emma).is_some());
}

/// The old app plans whole minutes, and the same windows.
#[tokio::test(start_paused = true)]
async fn a_pass_of_another_program_for_the_same_window_is_left_alone_and_said_once() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    let theirs = PassSpec::opening(time(OPENING)).lasting(480).one_time().created(app.sandbox.now());
    app.sandbox.edit(|t| t.add_pass(emma, theirs));
    app.sweep_daily(4).await;
    assert_eq!(app.count_requests("POST", PASS_PATH), 1);
    assert_eq!(app.sandbox.passes()[0].opens_at, time(OPENING));
    let alerts = text(&app.alerts());
    assert_eq!(app.alerts().len(), 1, "{alerts}");
    assert!(alerts.contains(ALERT) && alerts.contains("stop one of the two"), "{alerts}");
}

/// Whose POST got no answer at first, and then none in six hours of tries.
#[tokio::test(start_paused = true)]
async fn our_own_lost_pass_is_known_by_its_start() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer).times(20));
    let ends = app.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("failed", 10), "{ends:?}");
    let record = app.record(emma).await.unwrap();
    assert_eq!(record.leases().count(), 2, "one that may have made it, and the last: {record:?}");
    app.advance(TimeDelta::days(1));
    app.sweep().await;
    assert_eq!((app.count_requests("POST", PASS_PATH), app.pass_mails().len()), (21, 1));
    app.assert_newest_mail_has_live_code(emma);
}
