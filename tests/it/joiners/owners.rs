//! Who owns a privileged group can become its member; who owns an application can sign in as it.

use firstpass_sandbox::tenant::{Fault, FaultKind, Group, NullForm, NullProperty, Tenant};
use uuid::Uuid;

use crate::{
    helpers::{TestApp, fail_with, log_capture::capture_log, tenant_with_emma},
    http::send,
};

/// An app in whose tenant Emma, who is in the on-demand group too, owns something.
fn app(own: impl FnOnce(&mut Tenant, Uuid) -> Option<Uuid>) -> (TestApp, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    let protected = own(&mut tenant, emma).map(|id| id.to_string());
    let on_demand = tenant.add_group(Group::named("On-demand access").members([emma])).to_string();
    let mut settings = vec![("ON_DEMAND_GROUP_ID", on_demand.as_str())];
    settings.extend(protected.as_deref().map(|id| ("PROTECTED_GROUP_ID", id)));
    (TestApp::new(tenant, &settings), emma)
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_a_privileged_group_gets_no_pass_from_any_function() {
    type Own = fn(&mut Tenant, Uuid) -> Option<Uuid>;
    let cases: [(Own, bool); 3] = [
        (
            |tenant, emma| {
                let group = tenant.add_group(Group::named("Tier 0").role_assignable());
                tenant.owners.insert((emma, group));
                None
            },
            true,
        ),
        (
            |tenant, emma| {
                let group = tenant.add_group(Group::named("Tier 0"));
                tenant.owners.insert((emma, group));
                Some(group)
            },
            true,
        ),
        (
            |tenant, emma| {
                let group = tenant.add_group(Group::named("Tier 0"));
                tenant.owners.insert((emma, group));
                None
            },
            false,
        ),
    ];
    for (own, is_blocked) in cases {
        let (app, emma) = app(own);
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome == "blocked", is_blocked, "{end:?}");
        if !is_blocked {
            continue;
        }
        assert!(end.why.contains("owns the privileged group \"Tier 0\""), "{end:?}");
        assert_eq!(app.run_group_add_job(emma).await.outcome, "blocked");
        let (answer, log) =
            capture_log("info", send(&app, &format!(r#"{{"UserName":"{emma}"}}"#), &[])).await;
        assert_eq!(answer.problem(), (403, "privileged-account", None));
        assert!(!answer.body.to_string().contains("Tier 0"));
        let audit = log.lines().find(|line| line.contains("create_tap.audit")).unwrap();
        assert!(audit.contains("owns the privileged group") && audit.contains("Tier 0"), "{audit}");
        assert_eq!(app.sandbox.passes(), []);
    }
}

/// No new joiner owns an application. A developer does, and a helpdesk must be able to serve developers.
#[tokio::test(start_paused = true)]
async fn the_owner_of_an_application_gets_no_joiners_pass_and_the_audit_says_what_they_own() {
    for add in [Tenant::add_application, Tenant::add_service_principal] {
        let mut owned = Uuid::nil();
        let (app, emma) = app(|tenant, emma| {
            owned = add(tenant, "Payroll");
            tenant.owners.insert((emma, owned));
            None
        });
        let end = app.run_job(emma).await;
        let words = format!("the account owns the application {owned}");
        assert!(end.outcome == "blocked" && end.why.contains(&words), "{end:?}");
        assert_eq!((app.alerts().len(), app.live_code(emma)), (1, None));
        let (answer, log) =
            capture_log("info", send(&app, &format!(r#"{{"UserName":"{emma}"}}"#), &[])).await;
        assert_eq!(answer.status, 201);
        let audit = log.lines().find(|line| line.contains("create_tap.audit")).unwrap();
        assert!(audit.contains(&words), "{audit}");
        app.sandbox.edit(|tenant| tenant.delete_pass(emma));
        app.advance(chrono::TimeDelta::hours(25));
        assert_eq!(app.run_group_add_job(emma).await.outcome, "delivered");
    }
}

/// Microsoft documents the list for users and not for applications.
#[tokio::test(start_paused = true)]
async fn an_error_in_place_of_what_a_user_owns_blocks_nobody_and_is_said_once() {
    for status in [400, 403, 404, 405, 500, 501, 503] {
        let (app, emma) = app(|tenant, emma| {
            let group = tenant.add_group(Group::named("Tier 0").role_assignable());
            tenant.owners.insert((emma, group));
            tenant.owners_refused = status == 403;
            None
        });
        if status != 403 {
            app.sandbox.inject(Fault::on("GET", "ownedObjects", fail_with(status)).always());
        }
        let twice = async {
            let first = app.run_job(emma).await;
            assert_eq!(app.create_tap(&emma.to_string()).await.0, 201, "{status}");
            first
        };
        let (end, log) = capture_log("info", twice).await;
        assert_eq!(end.outcome, "delivered", "{status}: {end:?}");
        assert_eq!(log.matches("event=owners.not_checked").count(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_user_owns_is_read_again_while_graph_is_busy_and_then_blocks_nobody() {
    let owner = |group: Group| {
        app(|tenant, emma| {
            let group = tenant.add_group(group);
            tenant.owners.insert((emma, group));
            None
        })
    };
    for (times, outcome) in [(1, "blocked"), (99, "delivered")] {
        let (app, emma) = owner(Group::named("Tier 0").role_assignable());
        let busy = FaultKind::Throttle { retry_after: Some("3".to_owned()) };
        app.sandbox.inject(Fault::on("GET", "ownedObjects", busy).times(times));
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome, outcome, "{times} {end:?}");
    }
    // A list that leaves out what decides is an answer as everywhere.
    let (app, emma) = owner(Group::named("Crew"));
    let (of, property) = ("group".to_owned(), "@odata.type".to_owned());
    app.sandbox.edit(|t| t.null_property = Some(NullProperty { of, property, form: NullForm::Absent }));
    let end = app.run_job(emma).await;
    assert!(end.outcome == "blocked" && end.why.contains("the answer lacks @odata.type"), "{end:?}");
}
