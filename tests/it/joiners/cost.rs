//! What a sweep costs when most joiners have been served.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Person, Tenant};

use super::follow_up::{change, use_pass};
use crate::{
    helpers::{NOW, TestApp, time},
    ledger::{blob_ledger, blob_service::BlobService},
};

/// Azure has pages of 5,000 blobs, Graph of 999 users.
const BLOBS_PER_PAGE: usize = 5_000;
/// With 10,000, it takes a minute in a debug build, and shows the same.
const SERVED: usize = 1_000;

/// The requests to Graph and to storage of one sweep and its jobs.
struct Cost {
    graph: usize,
    storage: usize,
    jobs: usize,
}

async fn sweep(app: &TestApp, service: &BlobService) -> Cost {
    let graph = || app.sandbox.requests().len();
    let storage = || service.count_requests("GET") + service.count_requests("PUT");
    let before = (graph(), storage());
    let jobs = app.sweep().await.len();
    Cost { graph: graph() - before.0, storage: storage() - before.1, jobs }
}

#[tokio::test(start_paused = true)]
async fn joiners_who_were_served_cost_less_than_a_tenth_of_a_request_each() {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Contoso Welcome").user_principal_name("welcome@contoso.example"));
    let joiner = |n: usize| {
        Person::named(&format!("Joiner{n} Smith"))
            .usage_location("GB")
            .private_mail(&format!("joiner{n}@mail.example"))
            .hire_date(time("2026-11-28T00:00:00Z"))
    };
    let people: Vec<_> = (0..SERVED).map(|n| tenant.add(joiner(n))).collect();
    let service = BlobService::new();
    service.set_page_size(BLOBS_PER_PAGE);
    let ledger = std::sync::Arc::new(blob_ledger(&service));
    let app = TestApp::with_ledger(tenant, &[("SWEEP_MAX", "20000"), ("MAIL_CC", "none")], ledger);
    app.sweep_at(NOW).await;
    assert_eq!(app.pass_mails().len(), SERVED);

    app.advance(TimeDelta::hours(1));
    let hourly = sweep(&app, &service).await;
    assert_eq!(hourly.jobs, 0);
    let listing = SERVED.div_ceil(999) + 1 + SERVED.div_ceil(BLOBS_PER_PAGE);
    assert!(hourly.graph + hourly.storage <= listing + 4, "{} + {}", hourly.graph, hourly.storage);

    for _ in 0..4 {
        app.advance(TimeDelta::hours(23));
        let daily = sweep(&app, &service).await;
        assert_eq!(daily.jobs, 0);
        assert!(daily.graph + daily.storage <= SERVED / 10, "{} + {}", daily.graph, daily.storage);
        app.advance(TimeDelta::hours(1));
    }

    // One is deleted, one changes, one gets in: each costs a job, and the others nothing more.
    app.sandbox.edit(|tenant| tenant.delete(people[0]));
    change(&app, people[1], |person| person.usage_location = Some("DE".into()));
    app.wait_until("2026-11-28T08:00:00Z");
    use_pass(&app, people[2]);
    let open = sweep(&app, &service).await;
    assert_eq!(open.jobs, 3);
    assert!(open.graph + open.storage <= SERVED / 10, "{} + {}", open.graph, open.storage);
}

/// Each change that a pass depends on costs one job, and no other one does.
#[tokio::test(start_paused = true)]
async fn a_change_that_matters_costs_one_job() {
    type Change = fn(&mut Person);
    let changes: [(&str, Change, usize); 9] = [
        ("the hire date", |p| p.hire_date = Some(time("2026-11-26T00:00:00Z")), 1),
        ("enabled", |p| p.enabled = false, 1),
        ("the sign-in name", |p| p.user_principal_name = "emma.lee@contoso.example".into(), 1),
        ("the private address", |p| p.other_mails = vec!["emma@post.example".into()], 1),
        ("the country", |p| p.usage_location = Some("DE".into()), 1),
        ("the mailbox", |p| p.mail = Some("emma.lee@contoso.example".into()), 1),
        ("a guest", |p| p.guest = true, 1),
        ("the job title", |p| p.job_title = Some("Boss".into()), 0),
        ("the language", |p| p.preferred_language = Some("de".into()), 0),
    ];
    for (what, edit, jobs) in changes {
        let (app, emma) = TestApp::with_emma();
        app.sweep().await;
        app.advance(TimeDelta::hours(1));
        assert_eq!(app.sweep().await, [], "nothing has changed");
        change(&app, emma, edit);
        app.advance(TimeDelta::hours(1));
        assert_eq!(app.sweep().await.len(), jobs, "{what}");
        app.advance(TimeDelta::hours(1));
        assert_eq!(app.sweep().await, [], "{what}: the next sweep");
    }
}

/// A change in the minutes after a delivery is decided by what was read before it, so that decision is not the last.
#[tokio::test(start_paused = true)]
async fn a_change_that_comes_with_the_delivery_is_not_overlooked() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    change(&app, emma, |person| person.enabled = false);
    app.advance(TimeDelta::minutes(5));
    assert_eq!(app.sweep().await[0].outcome, "revoked");

    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    change(&app, emma, |person| person.usage_location = Some("NZ".into()));
    app.advance(TimeDelta::minutes(5));
    assert!(app.sweep().await[0].why.contains("minutes ago"));
    app.advance(TimeDelta::minutes(55));
    assert_eq!(app.sweep().await.len(), 1, "the decision was not final");
    app.advance(TimeDelta::hours(1));
    assert_eq!(app.sweep().await, []);
}
