//! Starts that HR cancels by a leave date, and people who come back.

use firstpass_sandbox::tenant::{Permission, Tenant};
use uuid::Uuid;

use super::follow_up::{change, text, use_pass};
use crate::helpers::{JobEnd, TestApp, tenant_with_emma, time};

/// Emma starts on the 27th; the app may read leave dates, or not.
fn tenant(is_granted: bool) -> (Tenant, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    if is_granted {
        tenant.granted.insert(Permission::UserLifeCycleInfoRead);
    }
    (tenant, emma)
}

fn leave(app: &TestApp, user: Uuid, at: Option<&str>) {
    change(app, user, |person| person.leave_date = at.map(time));
}

fn outcomes(ends: &[JobEnd]) -> Vec<&str> {
    ends.iter().map(|end| end.outcome.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_leave_date_shortly_before_the_start_cancels_it() {
    for (leave_date, is_cancelled) in [
        ("2026-11-27T00:00:00Z", true),
        ("2026-11-26T00:00:00Z", true),
        ("2026-10-28T00:00:00Z", true),
        // The last employment's.
        ("2026-10-27T00:00:00Z", false),
        ("2024-03-31T00:00:00Z", false),
        // A contract that ends.
        ("2026-11-28T00:00:00Z", false),
        ("2027-05-31T00:00:00Z", false),
    ] {
        let (tenant, emma) = tenant(true);
        let app = TestApp::new(tenant, &[]);
        leave(&app, emma, Some(leave_date));
        let ends = app.sweep().await;
        assert_eq!(
            outcomes(&ends),
            [if is_cancelled { "blocked" } else { "delivered" }],
            "{leave_date}: {ends:?}"
        );
        app.sweep_daily(1).await;
        assert_eq!(app.alerts().len(), usize::from(is_cancelled), "{leave_date}");
        if is_cancelled {
            let alerts = text(&app.alerts());
            assert!(alerts.contains("Emma Brooks") && alerts.contains("employeeLeaveDateTime"), "{alerts}");
            leave(&app, emma, None);
            assert_eq!(outcomes(&app.sweep_daily(1).await), ["delivered"], "{leave_date}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_leave_date_that_is_set_after_the_mail_ends_the_pass() {
    // Also one long before the start, if it is new.
    for leave_date in ["2026-11-26T00:00:00Z", "2026-08-01T00:00:00Z"] {
        let (tenant, emma) = tenant(true);
        let app = TestApp::new(tenant, &[]);
        app.sweep().await;
        leave(&app, emma, Some(leave_date));
        let ends = app.sweep_daily(1).await;
        assert_eq!(outcomes(&ends), ["revoked"], "{leave_date}: {ends:?}");
        app.sweep_daily(1).await;
        assert_eq!((app.live_code(emma), app.pass_mails().len(), app.alerts().len()), (None, 1, 1));
        assert!(text(&app.alerts()).contains("employeeLeaveDateTime"), "{}", text(&app.alerts()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_leave_date_that_is_left_behind_is_told_too() {
    let (tenant, emma) = tenant(true);
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    change(&app, emma, |person| person.hire_date = None);
    app.sweep_daily(1).await;
    assert_eq!(app.alerts().len(), 1);
    leave(&app, emma, Some("2026-11-26T00:00:00Z"));
    change(&app, emma, |person| person.hire_date = Some(time("2026-11-28T00:00:00Z")));
    app.sweep_daily(2).await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (1, 2));
    assert!(text(&app.alerts()[1..]).contains("employeeLeaveDateTime"), "{}", text(&app.alerts()));
}

#[tokio::test(start_paused = true)]
async fn without_the_permission_a_leave_date_is_not_seen() {
    let (tenant, emma) = tenant(false);
    let app = TestApp::new(tenant, &[("MAIL_CC", "none")]);
    leave(&app, emma, Some("2026-11-26T00:00:00Z"));
    assert_eq!(outcomes(&app.sweep().await), ["delivered"]);
    app.sweep_daily(3).await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (1, 0));
    let told = app.record(emma).await.unwrap().announcement.unwrap();
    assert_eq!(told.basis.unwrap().leave_date, None, "the daily look does not ask for it");
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_within_weeks_is_told_to_a_person() {
    for has_methods in [true, false] {
        let (tenant, emma) = tenant(false);
        let app = TestApp::new(tenant, &[("JOINER_CHECK", "methods")]);
        app.sweep().await;
        app.advance(time("2026-11-27T09:00:00Z") - app.sandbox.now());
        use_pass(&app, emma);
        app.sweep().await;
        change(&app, emma, |person| {
            person.enabled = false;
            person.hire_date = Some(time("2026-12-10T00:00:00Z"));
            if !has_methods {
                person.methods.clear();
                person.last_sign_in = None;
            }
        });
        app.sandbox.edit(|tenant| tenant.passes.clear());
        assert!(app.sweep().await.iter().all(|end| end.outcome != "delivered"));
        let ends = app.sweep_daily(7).await;
        assert!(ends.iter().any(|end| end.outcome == "blocked"), "{has_methods}: {ends:?}");
        assert_eq!(
            (app.pass_mails().len(), app.alerts().len()),
            (1, 1),
            "{has_methods}: {}",
            text(&app.alerts())
        );
        // Enabled, they are the person who was in before.
        change(&app, emma, |person| person.enabled = true);
        app.sweep_daily(1).await;
        assert_eq!((app.pass_mails().len(), app.alerts().len()), (1, 1), "{has_methods}");
    }
}
