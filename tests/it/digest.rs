//! The digest: what it tells, when it comes, and that it comes once.

use std::sync::Arc;

use chrono::TimeDelta;
use firstpass::{
    host,
    ledger::{Conditions, Purpose, Record, State},
    mail::plain_text,
    queue::JOBS,
};
use firstpass_sandbox::{
    functions_host::{self, Embedded, FunctionsHost, Storage},
    tenant::{ALERT_URL, Fault, FaultKind, Method, Person, SendDenial, Tenant},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    helpers::{TestApp, log_capture::capture_log, tenant_with_emma, throttle, time, to_address},
    local_host::app as function_app,
};

const HOOK: (&str, &str) = ("ALERT_WEBHOOK_URL", ALERT_URL);
/// The Monday after the sample's Sunday, in winter.
const MONDAY: &str = "2026-11-23T06:00:00Z";

/// The app of `app` in the Functions host, with the queues of `storage`.
fn start(app: &TestApp, storage: &Storage) -> FunctionsHost {
    let product = app.product(app.sandbox.credential()).with_queues(functions_host::queues(storage));
    let worker = Embedded::new(host::router(Ok(Arc::new(product))));
    FunctionsHost::start(function_app(&[]), Arc::new(worker), storage.clone())
}

async fn sweep_at(app: &TestApp, host: &FunctionsHost, storage: &Storage, at: &str) {
    app.advance(time(at) - app.sandbox.now());
    storage.notify_clock_changed();
    assert!(host.run("SweepJoiners").await.unwrap().is_success());
    storage.wait_until_empty(JOBS).await;
}

/// The digests that were mailed, as text.
fn digests(app: &TestApp) -> Vec<String> {
    let html = |mail: &Value| mail["body"]["content"].as_str().unwrap().to_owned();
    let texts = app.sandbox.mails().into_iter().map(|mail| plain_text(&html(&mail.message)));
    texts.filter(|text| text.contains("What firstpass did in this period")).collect()
}

/// The cards of digests.
fn cards(app: &TestApp) -> Vec<String> {
    let calls = app.sandbox.webhooks().into_iter();
    let digests = calls.filter(|call| call.body["firstpass"]["kind"] == "digest");
    digests.map(|call| call.body["firstpass"]["whatHappened"].as_str().unwrap().to_owned()).collect()
}

/// Has the last digest told until `at`.
async fn told_until(app: &TestApp, at: &str) {
    let (conditions, etag) = app.ledger().conditions().await.unwrap().unzip();
    let conditions = Conditions { digest_at: Some(time(at)), ..conditions.unwrap_or_default() };
    app.ledger().write_conditions(&conditions, etag.as_ref()).await.unwrap();
}

/// The message that a sweep puts out, on its own.
async fn ask(app: &TestApp) -> String {
    app.host.deliver(r#"{"digestDue":"x"}"#, 1).await.log().to_owned()
}

/// On the Monday after a sweep on which Emma was mailed.
async fn on_monday(tenant: Tenant, settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::new(tenant, settings);
    told_until(&app, "2026-11-22T04:00:00Z").await;
    app.sweep().await;
    app.advance(time(MONDAY) - app.sandbox.now());
    app
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_happened_since_the_last_one_and_who_starts_soon() {
    let (mut tenant, emma) = tenant_with_emma();
    let joiner = |name: &str, day: &str| {
        Person::named(name)
            .usage_location("GB")
            .hire_date(time(day))
            .manager(tenant.users[&emma].manager.unwrap())
    };
    let [noah, ida, zoe] = [
        joiner("Noah Reed", "2026-11-26T00:00:00Z"),
        joiner("Ida Lund", "2026-11-27T00:00:00Z").private_mail("ida@mail.example"),
        // Beyond LEAD_DAYS, and without an address.
        joiner("Zoe Hart", "2026-12-09T00:00:00Z"),
    ];
    tenant.add(noah);
    let ida = tenant.add(ida);
    tenant.add(zoe);
    let app = TestApp::new(tenant, &[HOOK]);
    let storage = Storage::new(app.sandbox.clock());
    let host = start(&app, &storage);
    sweep_at(&app, &host, &storage, "2026-11-22T05:00:00Z").await;
    assert!(digests(&app).is_empty(), "nobody hears of the time before the app was there");
    sweep_at(&app, &host, &storage, MONDAY).await;
    let first = digests(&app).concat();
    for text in [
        "Sent a pass 2",
        "Noah Reed: there is no usable private address",
        "Noah Reed, Thursday, November 26, 2026: there is no address to send the pass to",
        "Emma Brooks, Friday, November 27, 2026",
    ] {
        assert!(first.replace('\n', " ").contains(text), "{text}: {first}");
    }
    assert!(!first.contains("Zoe Hart"), "she starts in more than 14 days: {first}");
    sweep_at(&app, &host, &storage, "2026-11-27T05:00:00Z").await;
    sweep_at(&app, &host, &storage, "2026-11-27T07:30:00Z").await;
    for (user, kind) in [(emma, "fido2"), (ida, "phone")] {
        let now = app.sandbox.now();
        let method = Method::of(kind).created(now);
        app.sandbox.edit(|tenant| tenant.change(user, |person| person.methods.push(method)));
    }
    sweep_at(&app, &host, &storage, "2026-11-27T09:00:00Z").await;
    assert_eq!(app.record(emma).await.unwrap().arrival.unwrap().methods.unwrap(), ["fido2"]);
    assert_eq!(digests(&app).len(), 1, "it is no Monday");
    sweep_at(&app, &host, &storage, "2026-11-30T06:00:00Z").await;

    let (mails, cards) = (digests(&app), cards(&app));
    assert_eq!((mails.len(), cards.len()), (2, 2));
    for text in [
        "Emma Brooks, Friday, November 27, 2026: with a phishing-resistant method",
        "Ida Lund, Friday, November 27, 2026: with a phone only",
        "Zoe Hart, Wednesday, December 9, 2026: there is no address to send the pass to",
    ] {
        assert!(mails[1].replace('\n', " ").contains(text), "{text}: {}", mails[1]);
    }
    for text in [
        "Sent a pass: 0",
        "Signed in for the first time: 2",
        "Phishing-resistant on day one: 1 of 2",
        "- Ida Lund, 27 Nov 2026: with a phone only",
        "- Zoe Hart, 9 Dec 2026: ",
    ] {
        assert!(cards[1].contains(text), "{text}: {}", cards[1]);
    }
    sweep_at(&app, &host, &storage, "2026-11-30T08:00:00Z").await;
    sweep_at(&app, &host, &storage, "2026-12-01T08:00:00Z").await;
    assert_eq!((digests(&app).len(), self::cards(&app).len()), (2, 2), "once a week");
}

#[tokio::test(start_paused = true)]
async fn it_comes_once_whatever_happens_to_its_answer() {
    for kind in [FaultKind::LoseAnswer, FaultKind::FailAfter { status: 504 }] {
        let app = on_monday(tenant_with_emma().0, &[HOOK]).await;
        app.sandbox.inject(Fault::on("POST", "sendMail", kind.clone()));
        app.sandbox.inject(Fault::on("POST", "/alerts", kind));
        let ((), log) = capture_log("info", async { drop(ask(&app).await) }).await;
        assert!(log.contains("event=digest.mail_failed"), "{log}");
        for _ in 0..3 {
            app.advance(TimeDelta::hours(1));
            ask(&app).await;
        }
        assert_eq!((digests(&app).len(), cards(&app).len()), (1, 1));
    }
    // Two processes at the same time.
    let one = on_monday(tenant_with_emma().0, &[HOOK]).await;
    let two = one.another_instance();
    tokio::join!(ask(&one), ask(&two));
    assert_eq!((digests(&one).len(), cards(&one).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_a_mailbox_that_takes_no_mail() {
    let app = on_monday(tenant_with_emma().0, &[]).await;
    app.sandbox.edit(|tenant| tenant.send_denied = Some(SendDenial::OutOfScope));
    // A mail to somebody opens the circuit breaker.
    app.sandbox.edit(|tenant| {
        tenant.add(
            Person::named("Ann Lee").hire_date(time("2026-11-27T00:00:00Z")).private_mail("ann@mail.example"),
        )
    });
    app.sweep().await;
    assert!(ask(&app).await.contains("the mailbox takes no mail now"));
    app.sandbox.edit(|tenant| tenant.send_denied = None);
    app.advance(TimeDelta::minutes(50));
    app.sweep().await;
    ask(&app).await;
    assert_eq!(digests(&app).len(), 1);
    // A channel needs no mailbox.
    let posted = on_monday(tenant_with_emma().0, &[HOOK, ("ALERT_TO", "")]).await;
    posted.sandbox.edit(|tenant| tenant.send_denied = Some(SendDenial::OutOfScope));
    ask(&posted).await;
    assert_eq!(cards(&posted).len(), 1);
    assert!(posted.sandbox.mails().iter().all(|mail| {
        // The joiner's mail, and the note to the manager.
        ["emma.brooks@mail.example", "grace.hall@contoso.example"].contains(&to_address(&mail.message))
    }));
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_one_who_does_not_want_it_or_to_whom_there_is_nothing_to_say() {
    for settings in [
        vec![("DIGEST", "off")],
        vec![("ALERT_TO", "")],
        vec![("REPORT_ONLY", "true")],
        vec![("PAUSED", "true")],
        // 06:00 in New York is 11:00 UTC.
        vec![("TIME_ZONE", "America/New_York")],
    ] {
        let app = on_monday(tenant_with_emma().0, &settings).await;
        ask(&app).await;
        assert!(digests(&app).is_empty(), "{settings:?}");
    }
    let (mut tenant, emma) = tenant_with_emma();
    tenant.users.remove(&emma);
    let app = on_monday(tenant, &[]).await;
    assert!(ask(&app).await.contains("there is nothing to say"));
    assert!(ask(&app).await.contains("no digest is due"), "the period is over all the same");
    assert!(digests(&app).is_empty());
    let daily = on_monday(tenant_with_emma().0, &[("DIGEST", "daily")]).await;
    for _ in 0..3 {
        ask(&daily).await;
        ask(&daily).await;
        daily.advance(TimeDelta::days(1));
    }
    assert_eq!(digests(&daily).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn it_makes_no_pass_and_changes_no_record() {
    let app = on_monday(tenant_with_emma().0, &[]).await;
    let (before, requests) = (app.ledger().list().await.unwrap(), app.sandbox.requests().len());
    app.sandbox.inject(Fault::on("POST", "sendMail", throttle("5")));
    ask(&app).await;
    assert_eq!((digests(&app).len(), app.ledger().list().await.unwrap()), (1, before));
    for request in &app.sandbox.requests()[requests..] {
        let is_known =
            request.method == "GET" || ["/$batch", "/sendMail"].iter().any(|end| request.url.ends_with(end));
        assert!(is_known && request.parts.iter().all(|part| part.method == "GET"), "{request:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_very_many_records_the_last_are_read_and_the_others_counted() {
    let app = on_monday(tenant_with_emma().0, &[]).await;
    for user in 0..2_003_u32 {
        let at = time("2026-11-22T05:30:00Z") + TimeDelta::seconds(user.into());
        let mut record = Record::new(State::Blocked, Purpose::Joiner, at);
        record.cause = Some("no-address".into());
        app.ledger().write(Uuid::from_u128(user.into()), &record, None).await.unwrap();
    }
    let ((), log) = capture_log("info", async { drop(ask(&app).await) }).await;
    let digest = &digests(&app)[0];
    // Emma's record is older than the others.
    assert!(digest.contains("The records of 4 more people changed"), "{digest}");
    assert!(log.contains("left_out=4") && log.contains("blocked=2000"), "{log}");
}
