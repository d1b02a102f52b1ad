//! What a sweep costs when most joiners have been served.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Person, Tenant, Untargeted, roles};

use super::follow_up::{change, use_pass};
use crate::{
    helpers::{NOW, TestApp, tenant_with_emma, time},
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

    // The first sweep of a day looks at everyone, on the last day before the passes open for everything.
    let listing = SERVED.div_ceil(999) + 1 + SERVED.div_ceil(BLOBS_PER_PAGE) + 9;
    app.advance(TimeDelta::hours(1));
    for day in 23..=28 {
        let daily = sweep(&app, &service).await;
        assert_eq!(daily.jobs, 0);
        let looks = if day == 28 { SERVED / 10 } else { SERVED / 20 };
        assert!(daily.graph + daily.storage <= looks + listing, "{day}: {} + {}", daily.graph, daily.storage);
        app.advance(TimeDelta::hours(1));
        let hourly = sweep(&app, &service).await;
        assert_eq!(hourly.jobs, 0);
        assert!(hourly.graph + hourly.storage <= listing, "{day}: {} + {}", hourly.graph, hourly.storage);
        app.wait_until(&format!("2026-11-{day}T05:00:00Z"));
    }

    // One is deleted, one changes, one gets in: each costs a job, and the others nothing more.
    app.sandbox.edit(|tenant| tenant.delete(people[0]));
    change(&app, people[1], |person| person.usage_location = Some("DE".into()));
    app.wait_until("2026-11-28T08:00:00Z");
    use_pass(&app, people[2]);
    let open = sweep(&app, &service).await;
    assert_eq!(open.jobs, 3);
    assert!(open.graph + open.storage <= SERVED / 20 + listing + 30, "{} + {}", open.graph, open.storage);
}

/// Who gets copies is compared once a day, by one more part for each joiner.
#[tokio::test(start_paused = true)]
async fn managers_who_get_copies_cost_one_part_more() {
    const SERVED: usize = 120;
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Contoso Welcome").user_principal_name("welcome@contoso.example"));
    let manager = tenant.add_mailbox(Person::named("Grace Hall"));
    for n in 0..SERVED {
        let joiner = Person::named(&format!("Joiner{n} Smith")).usage_location("GB").manager(manager);
        let joiner = joiner.private_mail(&format!("joiner{n}@mail.example"));
        tenant.add(joiner.hire_date(time("2026-11-28T00:00:00Z")));
    }
    let service = BlobService::new();
    service.set_page_size(BLOBS_PER_PAGE);
    let ledger = std::sync::Arc::new(blob_ledger(&service));
    let app = TestApp::with_ledger(tenant, &[("SWEEP_MAX", "20000"), ("MAIL_CC", "manager")], ledger);
    app.sweep_at(NOW).await;
    assert_eq!(app.pass_mails().len(), SERVED);
    app.advance(TimeDelta::hours(1));
    for day in 23..=28 {
        let daily = sweep(&app, &service).await;
        assert_eq!(daily.jobs, 0);
        // Passes, groups and roles, and the manager: three parts on the last day.
        let looks = if day == 28 { SERVED / 6 } else { SERVED / 10 };
        let fixed = 12;
        assert!(daily.graph + daily.storage <= looks + fixed, "{day}: {} + {}", daily.graph, daily.storage);
        app.advance(TimeDelta::hours(1));
        let hourly = sweep(&app, &service).await;
        assert!(hourly.graph + hourly.storage <= fixed, "{day}: {} + {}", hourly.graph, hourly.storage);
        app.wait_until(&format!("2026-11-{day}T05:00:00Z"));
    }
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

/// The answer of the sweep is lost, and its jobs with it: the next sweep finds them again, and not the one after.
#[tokio::test(start_paused = true)]
async fn a_daily_look_is_over_when_its_jobs_are_in_the_queue() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.hire_date = Some(time("2026-11-29T00:00:00Z")));
    tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR);
    let app = TestApp::new(tenant, &[]);
    assert_eq!(app.sweep().await[0].outcome, "blocked");
    app.advance(TimeDelta::days(1));
    assert_eq!(app.host.fire_timer().await.jobs().len(), 2, "a job, and the message behind it");
    app.advance(TimeDelta::hours(1));
    assert_eq!(app.sweep().await.len(), 1);
    app.advance(TimeDelta::hours(1));
    assert_eq!(app.sweep().await, []);
}

/// Of many looks, one request is never answered.
#[tokio::test(start_paused = true)]
async fn a_look_that_is_late_costs_the_others_nothing() {
    let (mut tenant, _) = tenant_with_emma();
    let joiner = |n: usize| {
        Person::named(&format!("Joiner{n} Smith"))
            .usage_location("GB")
            .private_mail(&format!("joiner{n}@mail.example"))
            .hire_date(time("2026-11-27T00:00:00Z"))
    };
    let people: Vec<_> = (0..60).map(|n| tenant.add(joiner(n))).collect();
    let app = TestApp::new(tenant, &[("MAIL_CC", "none")]);
    app.sweep().await;
    app.wait_until("2026-11-27T08:00:00Z");
    people.iter().for_each(|user| use_pass(&app, *user));
    let late = Fault::on("POST", "$batch", FaultKind::Delay(std::time::Duration::from_secs(3_600)));
    app.sandbox.inject(late.body(&people[0].to_string()).always());
    let answer = app.host.fire_timer().await;
    let jobs = answer.jobs().len();
    assert!((40..60).contains(&jobs), "{jobs}");
    assert!(!answer.jobs().iter().any(|message| message.contains("dailyLook")), "not everyone was looked at");
}

/// A joiner who has arrived costs nothing, also when day one is over and the pass is still open.
#[tokio::test(start_paused = true)]
async fn a_joiner_who_has_arrived_costs_no_job() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.maximum_lifetime = 43_200;
    let app = TestApp::new(tenant, &[("PASS_LIFETIME_MINUTES", "4320")]);
    app.sweep().await;
    app.wait_until("2026-11-27T08:00:00Z");
    use_pass(&app, emma);
    assert_eq!(app.sweep().await.len(), 1);
    for _ in 0..80 {
        app.advance(TimeDelta::hours(1));
        assert_eq!(app.sweep().await, [], "{}", app.sandbox.now());
    }
}

/// Whatever fails for good is not tried by every sweep for weeks.
#[tokio::test(start_paused = true)]
async fn what_fails_for_good_is_not_tried_by_every_sweep() {
    type Prepare = fn(&mut Tenant, uuid::Uuid);
    let cases: [(&str, Prepare); 3] = [
        ("the mail is refused", |tenant, _| {
            tenant.undeliverable.insert("emma.brooks@mail.example".into());
        }),
        ("the policy excludes the joiner", |tenant, _| {
            tenant.policy.include.clear();
            tenant.policy.untargeted = Untargeted::Unusable;
        }),
        ("no address", |tenant, emma| tenant.change(emma, |person| person.other_mails.clear())),
    ];
    for (case, prepare) in cases {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |person| person.hire_date = Some(time("2026-11-29T00:00:00Z")));
        prepare(&mut tenant, emma);
        let app = TestApp::new(tenant, &[]);
        app.sweep().await;
        app.wait_until("2026-11-23T00:30:00Z");
        let mut jobs = 0;
        for _ in 0..48 {
            jobs += app.sweep().await.len();
            app.advance(TimeDelta::hours(1));
        }
        // A job that failed is tried again after six hours.
        assert!((2..=10).contains(&jobs), "{case}: {jobs}");
    }
}
