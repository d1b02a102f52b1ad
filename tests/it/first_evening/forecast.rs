//! A forecast says what the flow would do, and does nothing.

use chrono::TimeDelta;
use firstpass::pass::{
    Outcome,
    forecast::{Forecast, Would, forecast},
    issue::issue,
};
use firstpass_sandbox::tenant::{Permission, generate::generate, roles};
use uuid::Uuid;

use super::changes;
use crate::helpers::{NOW, TestApp, tenant_with_emma, time};

async fn foresee(app: &TestApp, user: Uuid) -> Forecast {
    forecast(&app.app.services, &app.job(user), app.sandbox.now()).await.unwrap()
}

/// Of every kind of account, with and without a record, the job then does what was said.
#[tokio::test(start_paused = true)]
async fn the_flow_does_what_was_foreseen_for_every_kind_of_account() {
    let (mut issued, mut ended) = (0, 0);
    for seed in [3, 11] {
        let app = TestApp::new(generate(60, seed, time(NOW)), &[]);
        let users: Vec<Uuid> = app.sandbox.edit(|t| t.users.keys().copied().collect());
        // A forecast does not wait for an account that no replica shows yet.
        app.advance(TimeDelta::minutes(1));
        for day in 0..3 {
            for user in &users {
                let before = (changes(&app), app.record(*user).await, app.alerts().len());
                let job = app.job(*user);
                let foreseen = forecast(&app.app.services, &job, app.sandbox.now()).await;
                assert_eq!((changes(&app), app.record(*user).await, app.alerts().len()), before);
                let happened = issue(&app.app.services, &job).await;
                match (&foreseen, &happened.outcome) {
                    (Ok(Forecast { would: Would::Issue(pass), who, .. }), Outcome::Delivered(delivered)) => {
                        assert_eq!((&pass.to, pass.occasion), (&delivered.to, delivered.occasion));
                        let (ours, theirs) = (&pass.window, &delivered.window);
                        assert_eq!(
                            (ours.lifetime_minutes, ours.zone),
                            (theirs.lifetime_minutes, theirs.zone)
                        );
                        assert!(ours.opens_at == theirs.opens_at || ours.opens_now && theirs.opens_now);
                        assert_eq!(*who, happened.who);
                        issued += 1;
                    }
                    (Ok(Forecast { would: Would::End(end), .. }), outcome) => {
                        assert_eq!((end.name(), end.cause()), (outcome.name(), outcome.cause()), "{outcome}");
                        assert_eq!(end.to_string(), outcome.to_string());
                        ended += 1;
                    }
                    (Ok(Forecast { would: mail @ Would::Mail(_), .. }), outcome @ Outcome::Skipped(_)) => {
                        assert_eq!(mail.cause(), outcome.cause());
                    }
                    (Err(failure), Outcome::Failed(failed)) => assert_eq!(failure.cause(), failed.cause()),
                    (foreseen, happened) => panic!("seed {seed}, day {day}: {foreseen:?}, but {happened:?}"),
                }
            }
            app.advance(TimeDelta::days(2));
        }
    }
    assert!(issued >= 60 && ended >= 200, "{issued} {ended}");
}

/// Somebody beyond the horizon can be looked at for a day in the future.
#[tokio::test(start_paused = true)]
async fn the_day_of_the_forecast_may_be_in_the_future() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.edit(|t| t.users.get_mut(&emma).unwrap().hire_date = Some(time("2026-12-21T00:00:00Z")));
    let now = foresee(&app, emma).await;
    assert_eq!((now.would.name(), now.would.cause()), ("skipped", Some("beyond-horizon")));
    let later = forecast(&app.app.services, &app.job(emma), time("2026-12-15T05:00:00Z")).await.unwrap();
    let Would::Issue(pass) = &later.would else { panic!("{later:?}") };
    assert_eq!(pass.window.opens_at, time("2026-12-21T07:00:00Z"));
    assert_eq!(pass.to, "e…@mail.example");
    assert_eq!((pass.cc.len(), pass.told.len()), (0, 1), "{pass:?}");
    assert_eq!((pass.language.as_str(), later.day_one), ("en", Some("2026-12-21".parse().unwrap())));
}

/// The identity of `az login` reads users and groups, and not what the app's own may read.
#[tokio::test(start_paused = true)]
async fn what_an_admins_token_may_not_read_was_not_asked_and_blocks_nobody() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    let noah = app.sandbox.edit(|t| {
        t.granted = [Permission::UserRead, Permission::GroupRead].into();
        t.add(
            crate::helpers::emma(t.users[&emma].manager.unwrap()).user_principal_name("noah@contoso.example"),
        )
    });
    let unserved = foresee(&app, noah).await;
    assert!(matches!(unserved.would, Would::Issue(_)), "{unserved:?}");
    for operation in ["reading the passes", "reading the user's role assignments"] {
        assert!(unserved.not_asked.contains(&operation), "{:?}", unserved.not_asked);
    }
    // The record says what was mailed.
    app.advance(TimeDelta::hours(1));
    assert_eq!(foresee(&app, emma).await.would.cause(), Some("already-served"));
    // Whether she is in is not known, and so neither what happens next.
    app.advance(TimeDelta::days(6));
    let ended = foresee(&app, emma).await;
    assert!(matches!(ended.would, Would::NotAsked), "{ended:?}");
    // Not even the user.
    app.sandbox.edit(|t| t.granted.clear());
    let nothing = foresee(&app, noah).await;
    assert!(matches!(nothing.would, Would::NotAsked), "{nothing:?}");
    assert!(app.alerts().is_empty());
}

/// What it may read still counts.
#[tokio::test(start_paused = true)]
async fn what_an_admins_token_may_read_decides() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR);
    tenant.granted.remove(&Permission::PassReadWrite);
    let app = TestApp::new(tenant, &[]);
    assert_eq!(foresee(&app, emma).await.would.cause(), Some("privileged"));
    app.sandbox.edit(|t| t.users.get_mut(&emma).unwrap().other_mails.clear());
    let (mut tenant, emma) = tenant_with_emma();
    tenant.users.get_mut(&emma).unwrap().other_mails.clear();
    tenant.granted.remove(&Permission::RoleManagementRead);
    assert_eq!(foresee(&TestApp::new(tenant, &[]), emma).await.would.cause(), Some("no-address"));
}

/// Of the app's own token, a permission that is missing stops everybody, and the forecast says so.
#[tokio::test(start_paused = true)]
async fn what_the_apps_own_token_may_not_read_blocks() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.granted.remove(&Permission::RoleManagementRead);
    let app = TestApp::new(tenant, &[("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")]);
    let forecast = foresee(&app, emma).await;
    assert_eq!((forecast.would.name(), forecast.would.cause()), ("blocked", Some("privilege-unknown")));
    assert!(forecast.not_asked.is_empty() && forecast.would.advice().is_some());
}
