//! `firstpass revoke`.

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use chrono::TimeDelta;
use firstpass::{
    cli::revoke::Request,
    ledger::{LedgerError, Purpose, Record, State},
    pass::{
        Job,
        revoke::{Then, Which},
    },
};
use firstpass_sandbox::tenant::{Fault, FaultKind, PassSpec, Person, generate::generate, samples};
use uuid::Uuid;

use super::with_noah;
use crate::{
    helpers::{
        NOW, PASS_PATH, TestApp, abort_after, emma, fail_with, tenant_with_emma, throttle, time, to_address,
    },
    ledger::faulty_ledger::{FaultyLedger, LedgerFault, Operation},
};

async fn all_open(app: &TestApp, then: Then) -> Request {
    Request::all_open(&app.app.services, then).await.unwrap()
}

fn working(app: &TestApp) -> usize {
    let now = app.sandbox.now();
    app.sandbox.passes().iter().filter(|pass| !pass.used && pass.closes_at() > now).count()
}

#[tokio::test(start_paused = true)]
async fn of_one_user_the_pass_is_revoked_and_no_sweep_makes_another() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    let request = Request::of_user(emma, Then::Hold);
    let (_, text) = app.would_revoke(&request).await;
    assert!(text.contains("Would be revoked: 1 pass.") && text.contains("e…@mail.example"), "{text}");
    assert!(app.live_code(emma).is_some(), "without --yes nothing changes");
    let (report, text) = app.revoke(&request).await;
    assert_eq!((report.done.len(), report.failed.len()), (1, 0), "{report:?}");
    assert!(text.contains("Emma Brooks") && text.contains("not who"), "{text}");
    assert_eq!(app.live_code(emma), None);
    let record = app.record(emma).await.unwrap();
    assert_eq!((record.state, record.cause.as_deref()), (State::Revoked, Some(Record::BY_ADMIN)));
    let (report, text) = app.revoke(&request).await;
    assert!(report.done.is_empty() && text.contains("No pass"), "{text}");
    // Through day one, wherever it moves.
    app.sweep_daily(2).await;
    let moved = |p: &mut Person| p.hire_date = Some(time("2026-12-10T00:00:00Z"));
    app.sandbox.edit(|tenant| tenant.change(emma, moved));
    let ends = app.sweep_daily(16).await;
    assert!(ends.iter().all(|end| end.outcome == "skipped"), "{ends:?}");
    assert_eq!((app.pass_mails().len(), app.alerts().len(), working(&app)), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn after_a_revocation_issue_makes_another_pass() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    app.revoke(&Request::of_user(emma, Then::Hold)).await;
    let (text, is_mailed) = app.issue(emma).await;
    assert!(is_mailed, "{text}");
    app.assert_newest_mail_has_live_code(emma);
    let record = app.record(emma).await.unwrap();
    assert_eq!(
        (record.state, record.held_at, record.held_for, record.cause),
        (State::Delivered, None, None, None)
    );
    app.sweep_daily(1).await;
    assert_eq!((app.pass_mails().len(), working(&app)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn with_renew_the_next_sweep_makes_another_pass() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::minutes(20));
    // It has looked at everyone today.
    assert_eq!(app.sweep().await, []);
    app.advance(TimeDelta::minutes(20));
    let (_, text) = app.revoke(&Request::of_user(emma, Then::Renew)).await;
    assert!(text.contains("The next sweep mails another pass"), "{text}");
    assert_eq!(app.sweep().await[0].outcome, "delivered");
    app.assert_newest_mail_has_live_code(emma);
}

/// The mailbox was compromised: everybody's pass is revoked, whatever it was made for, and everybody gets another one.
#[tokio::test(start_paused = true)]
async fn all_open_passes_are_revoked_and_the_next_sweep_makes_others() {
    let (app, emma_id, noah) = with_noah(&[]);
    app.sweep().await;
    let addition = Job::group_add(noah, app.sandbox.now(), "e1");
    app.host.deliver(&addition.to_message(), 1).await;
    let helped = app.sandbox.edit(|tenant| tenant.add(Person { hire_date: None, ..emma(Uuid::nil()) }));
    app.sandbox.edit(|tenant| tenant.add_pass(helped, PassSpec::opening(time(NOW))));
    assert_eq!(working(&app), 3);
    app.advance(TimeDelta::minutes(30));
    let request = all_open(&app, Then::Renew).await;
    let (report, text) = app.revoke(&request).await;
    assert_eq!((report.done.len(), report.failed.len()), (2, 0), "{report:?}");
    assert!(text.contains("day one") && text.contains("on demand"), "{text}");
    assert!(app.live_code(helped).is_some(), "somebody else made it");
    assert_eq!(working(&app), 1);
    let again = all_open(&app, Then::Renew).await;
    assert!(app.revoke(&again).await.0.done.is_empty(), "a second run does nothing");
    app.sweep().await;
    for user in [emma_id, noah] {
        assert!(app.live_code(user).is_some());
        assert_eq!(app.record(user).await.unwrap().state, State::Delivered);
    }
    let mails = app.pass_mails().len();
    app.sweep_daily(1).await;
    assert_eq!(app.pass_mails().len(), mails, "once");
}

#[tokio::test(start_paused = true)]
async fn with_hold_nobody_gets_another_by_itself() {
    let (app, _, noah) = with_noah(&[]);
    app.sweep().await;
    let addition = Job::group_add(noah, app.sandbox.now(), "e1").to_message();
    app.host.deliver(&addition, 1).await;
    let mails = app.pass_mails().len();
    app.advance(TimeDelta::hours(1));
    app.revoke(&all_open(&app, Then::Hold).await).await;
    app.host.deliver(&addition, 1).await;
    app.sweep_daily(9).await;
    assert_eq!((app.pass_mails().len(), working(&app), app.alerts().len()), (mails, 0, 0));
    // A person adds them again.
    let again = Job::group_add(noah, app.sandbox.now(), "e2");
    app.host.deliver(&again.to_message(), 1).await;
    assert!(app.live_code(noah).is_some());
}

/// An admin held Noah's pass back once, and a person added him again.
#[tokio::test(start_paused = true)]
async fn what_follows_does_not_depend_on_an_earlier_hold() {
    for then in [Then::Renew, Then::Hold] {
        for was_held in [false, true] {
            let case = format!("{then:?}, held before: {was_held}");
            let (app, _, noah) = with_noah(&[]);
            app.sweep().await;
            if was_held {
                app.host.deliver(&Job::group_add(noah, app.sandbox.now(), "e1").to_message(), 1).await;
                app.advance(TimeDelta::hours(1));
                app.revoke(&Request::of_user(noah, Then::Hold)).await;
                app.advance(TimeDelta::hours(1));
            }
            let addition = Job::group_add(noah, app.sandbox.now(), "e2").to_message();
            app.host.deliver(&addition, 1).await;
            assert!(app.live_code(noah).is_some(), "{case}");
            let mails = app.pass_mails().len();
            app.advance(TimeDelta::minutes(20));
            let (report, text) = app.revoke(&all_open(&app, then).await).await;
            assert!(report.done.iter().any(|(user, _)| *user == noah), "{case}: {text}");
            // A queue delivers at least once.
            app.host.deliver(&addition, 2).await;
            app.sweep_daily(2).await;
            let to_noah = app.pass_mails().split_off(mails);
            let to_noah = to_noah.iter().filter(|mail| to_address(mail) == "noah@home.example").count();
            assert_eq!(to_noah, usize::from(then == Then::Renew), "{case}");
        }
    }
}

/// Her start is held back; the mailbox is another reason, and concerns her pass on demand.
#[tokio::test(start_paused = true)]
async fn what_was_held_back_for_another_reason_stays_so() {
    let (app, emma, _) = with_noah(&[]);
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    app.revoke(&Request::of_user(emma, Then::Hold)).await;
    app.advance(TimeDelta::hours(1));
    let group = app.app.services.settings.on_demand_group.unwrap();
    app.sandbox.edit(|tenant| tenant.add_member(group, emma));
    app.host.deliver(&Job::group_add(emma, app.sandbox.now(), "e1").to_message(), 1).await;
    app.advance(TimeDelta::minutes(20));
    app.revoke(&all_open(&app, Then::Renew).await).await;
    app.sweep_daily(5).await;
    let record = app.record(emma).await.unwrap();
    assert_eq!(record.delivered.map(|delivered| delivered.purpose), Some(Purpose::OnDemand), "renewed");
    assert_eq!((app.pass_mails().len(), record.held_for), (3, Some("2026-11-27".parse().unwrap())));
}

/// As docs/OPERATE.md has it: pause, revoke, go on days later.
#[tokio::test(start_paused = true)]
async fn passes_that_are_revoked_during_a_pause_are_renewed_afterwards() {
    for days in [1, 3, 8, 15] {
        let (app, emma, noah) = with_noah(&[]);
        app.sweep().await;
        app.host.deliver(&Job::group_add(noah, app.sandbox.now(), "e1").to_message(), 1).await;
        app.advance(TimeDelta::hours(1));
        let group = app.app.services.settings.on_demand_group.unwrap().to_string();
        let app = app.with_settings(&[("ON_DEMAND_GROUP_ID", &group), ("PAUSED", "true")]);
        let (report, text) = app.revoke(&all_open(&app, Then::Renew).await).await;
        assert_eq!(report.done.len(), 2, "{text}");
        app.sweep_daily(days).await;
        let app = app.with_settings(&[("ON_DEMAND_GROUP_ID", &group)]);
        app.sweep().await;
        app.sweep_hourly(7).await;
        for user in [emma, noah] {
            assert!(app.live_code(user).is_some(), "{days} days: {:?}", app.record(user).await);
        }
    }
}

/// A replica that does not know the user answers as for an account that is gone.
#[tokio::test(start_paused = true)]
async fn an_account_that_a_replica_does_not_know_is_left_and_named() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    app.sandbox.inject(Fault::on("GET", PASS_PATH, fail_with(404)).times(1));
    let request = all_open(&app, Then::Renew).await;
    let (report, text) = app.revoke(&request).await;
    assert_eq!(report.failed.len(), 1, "{text}");
    assert!(app.live_code(emma).is_some() && text.contains("not revoked"), "{text}");
    assert_eq!(app.revoke(&request).await.0.done.len(), 1);
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    app.sandbox.edit(|tenant| tenant.delete(emma));
    let (report, text) = app.revoke(&request).await;
    assert!(report.failed.is_empty() && text.contains("No pass"), "{text}");
}

/// A code in an answer of CreateTap was never in the mailbox.
#[tokio::test(start_paused = true)]
async fn a_pass_that_a_caller_was_answered_is_revoked_only_by_name() {
    let (app, _, noah) = with_noah(&[("CREATE_TAP_OPEN", "true")]);
    assert_eq!(app.create_tap("noah.reed@contoso.example").await.0, 201);
    let (report, text) = app.would_revoke(&all_open(&app, Then::Renew).await).await;
    assert_eq!((report.done.len(), report.others.as_slice()), (0, &[noah][..]), "{text}");
    app.revoke(&all_open(&app, Then::Renew).await).await;
    assert!(app.live_code(noah).is_some());
    app.revoke(&Request::of_user(noah, Then::Hold)).await;
    assert_eq!(app.live_code(noah), None);
    assert_eq!(app.record(noah).await.unwrap().purpose, Purpose::Http);
}

#[tokio::test(start_paused = true)]
async fn used_and_ended_passes_are_left_alone() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(8));
    let (report, _) = app.revoke(&all_open(&app, Then::Renew).await).await;
    assert!(report.done.is_empty() && report.failed.is_empty(), "{report:?}");
    assert_eq!(app.record(emma).await.unwrap().state, State::Delivered);
    assert_eq!(app.count_requests("DELETE", PASS_PATH), 0);
}

#[tokio::test(start_paused = true)]
async fn a_live_lease_is_respected() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(600))));
    abort_after(30, app.run_job(emma)).await;
    let request = Request::of_user(emma, Then::Hold);
    let (report, text) = app.revoke(&request).await;
    assert!(text.contains("another job is working on this user") && report.done.is_empty(), "{text}");
    app.advance(TimeDelta::minutes(6));
    let (report, text) = app.revoke(&request).await;
    assert_eq!(report.done.len(), 1, "{text}");
    assert_eq!(working(&app), 0, "the pass of a job that died is ours");
}

/// Whatever fails, run again the command does what is left, and nobody is lost.
#[tokio::test(start_paused = true)]
async fn with_faults_of_graph_the_command_is_repeated_until_it_is_done() {
    let kinds = [
        ("429", throttle("1")),
        ("404", fail_with(404)),
        ("500", fail_with(500)),
        ("403", fail_with(403)),
        ("lost", FaultKind::LoseAnswer),
        ("late", FaultKind::FailAfter { status: 504 }),
        ("refused", FaultKind::Refuse),
    ];
    for (method, (name, kind)) in
        ["DELETE", "GET"].iter().flat_map(|method| kinds.iter().map(move |kind| (method, kind)))
    {
        for then in [Then::Renew, Then::Hold] {
            let app = TestApp::new(generate(20, 7, time(NOW)), &[]);
            app.sweep().await;
            app.advance(TimeDelta::hours(1));
            let ours = all_open(&app, then).await;
            let open = app.would_revoke(&ours).await.0.done.len();
            assert!(open > 3);
            app.sandbox.inject(Fault::on(method, PASS_PATH, kind.clone()).times(9));
            let mut revoked = 0;
            for _ in 0..3 {
                revoked += app.revoke(&all_open(&app, then).await).await.0.done.len();
                app.sandbox.clear_faults();
            }
            let case = format!("{method} {name} {then:?}");
            // A lagging replica says that there is no such pass, and then lists it.
            let expected = if case.starts_with("DELETE 404") { 2 * open } else { open };
            assert!(revoked <= expected, "{case}: {revoked} of {open}");
            assert!(app.would_revoke(&all_open(&app, then).await).await.0.done.is_empty(), "{case}");
            let mails = app.pass_mails().len();
            app.sweep_daily(1).await;
            let more = app.pass_mails().len() - mails;
            if then == Then::Renew {
                assert!(more >= open, "{case}: {more} of {open} were renewed");
            }
        }
    }
}

/// The nth write of the ledger is refused, or its answer is lost.
#[derive(Debug, Default)]
struct OneWrite {
    left: AtomicUsize,
    is_lost: bool,
    conflicts: bool,
}

impl OneWrite {
    fn is_now(&self, operation: Operation) -> bool {
        operation == Operation::Write
            && self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) == Ok(1)
    }

    fn error(&self) -> LedgerError {
        if self.conflicts { LedgerError::Conflict } else { LedgerError::Unavailable("no connection".into()) }
    }
}

#[async_trait::async_trait]
impl LedgerFault for OneWrite {
    async fn before(&self, operation: Operation) -> Result<(), LedgerError> {
        if !self.is_lost && self.is_now(operation) { Err(self.error()) } else { Ok(()) }
    }

    fn after(&self, operation: Operation, _: bool) -> Result<(), LedgerError> {
        if self.is_lost && self.is_now(operation) { Err(self.error()) } else { Ok(()) }
    }
}

/// A crash between the writes and the deletion.
#[tokio::test(start_paused = true)]
async fn between_two_steps_nothing_is_lost() {
    for (write, is_lost, conflicts) in [
        (1, false, false),
        (1, true, false),
        (1, true, true),
        (2, false, false),
        (2, true, false),
        (2, true, true),
    ] {
        for then in [Then::Hold, Then::Renew] {
            let case = format!("write {write}, lost {is_lost}, conflict {conflicts}, {then:?}");
            let ledger = FaultyLedger::with_fault(OneWrite { is_lost, conflicts, ..OneWrite::default() });
            let (tenant, emma) = tenant_with_emma();
            let app = TestApp::with_ledger(tenant, &[], ledger.clone());
            app.sweep().await;
            app.advance(TimeDelta::hours(1));
            ledger.fault.left.store(write, SeqCst);
            let request = Request::of_user(emma, then);
            let (report, _) = app.revoke(&request).await;
            if conflicts {
                assert!(report.failed.is_empty() && report.done.len() == 1, "{case}: {report:?}");
            }
            ledger.fault.left.store(0, SeqCst);
            // The admin does not run it again.
            app.sweep_daily(2).await;
            let was_done = app.record(emma).await.unwrap().held_at.is_some();
            match then {
                Then::Hold if was_done => assert_eq!(working(&app), 0, "{case}"),
                Then::Hold => {
                    assert_eq!((working(&app), app.pass_mails().len()), (1, 1), "{case}: nothing was done")
                }
                Then::Renew => {
                    assert_eq!(working(&app), 1, "{case}");
                    app.assert_newest_mail_has_live_code(emma);
                }
            }
        }
    }
}

/// The pass could not be deleted, and then the admin decides otherwise.
#[tokio::test(start_paused = true)]
async fn a_pass_that_is_held_back_can_be_renewed_while_it_works() {
    let (app, emma, noah) = with_noah(&[]);
    app.sweep().await;
    app.host.deliver(&Job::group_add(noah, app.sandbox.now(), "e1").to_message(), 1).await;
    app.advance(TimeDelta::hours(1));
    app.sandbox.inject(Fault::on("DELETE", PASS_PATH, fail_with(500)).times(99));
    let (report, _) = app.revoke(&all_open(&app, Then::Hold).await).await;
    assert_eq!(report.failed.len(), 2);
    app.sandbox.clear_faults();
    let (report, _) = app.revoke(&all_open(&app, Then::Renew).await).await;
    assert_eq!(report.done.len(), 2);
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    for user in [emma, noah] {
        assert!(app.live_code(user).is_some(), "{:?}", app.record(user).await);
    }
}

/// The command dies after the deletion, or gives up before it: sweeps make what follows.
#[tokio::test(start_paused = true)]
async fn a_command_that_dies_loses_nobody() {
    for is_deleted in [true, false] {
        let (app, emma, noah) = with_noah(&[]);
        app.sweep().await;
        app.host.deliver(&Job::group_add(noah, app.sandbox.now(), "e1").to_message(), 1).await;
        app.advance(TimeDelta::hours(1));
        let codes = [app.live_code(emma), app.live_code(noah)];
        for user in [emma, noah] {
            let request = Request::of_user(user, Then::Renew);
            if is_deleted {
                let late = FaultKind::DelayAfter(Duration::from_secs(600));
                app.sandbox.inject(Fault::on("DELETE", PASS_PATH, late));
                abort_after(10, app.revoke(&request)).await;
            } else {
                app.sandbox.inject(Fault::on("DELETE", PASS_PATH, fail_with(500)).times(9));
                assert_eq!(app.revoke(&request).await.0.failed.len(), 1);
            }
            assert_eq!(app.live_code(user).is_none(), is_deleted);
            app.sandbox.clear_faults();
        }
        app.sweep_daily(1).await;
        for (user, code) in [emma, noah].into_iter().zip(codes) {
            let newer = app.live_code(user);
            assert!(newer.is_some() && newer != code, "{is_deleted}: {:?}", app.record(user).await);
        }
        assert_eq!(app.pass_mails().len(), 4, "{is_deleted}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_account_and_one_without_a_record_have_nothing_to_revoke() {
    let (app, emma) = TestApp::with_emma();
    let (report, text) = app.revoke(&Request::of_user(emma, Then::Hold)).await;
    assert!(report.done.is_empty() && text.contains("No pass"), "{text}");
    app.sandbox.edit(|tenant| tenant.add_pass(emma, PassSpec::opening(time(NOW))));
    let (_, text) = app.revoke(&Request::of_user(emma, Then::Hold)).await;
    assert!(text.contains("another pass works and stays"), "{text}");
    let (report, _) = app.revoke(&Request::of_user(Uuid::from_u128(99), Then::Hold)).await;
    assert!(report.done.is_empty() && report.failed.is_empty(), "{report:?}");
    let samples = TestApp::new(samples::samples(time(NOW)), &[]);
    samples.sweep().await;
    let (report, _) = samples.revoke(&all_open(&samples, Then::Hold).await).await;
    assert!(report.failed.is_empty() && report.done.len() > 9, "{report:?}");
    assert!(matches!(all_open(&samples, Then::Hold).await.which, Which::Mailed));
}
