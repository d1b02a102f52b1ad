//! Alerts for a channel: with every mail of an alert, and also where no mail goes.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{ALERT_URL, Fault, FaultKind, SendDenial, WebhookCall};
use uuid::Uuid;

use crate::helpers::{TestApp, fail_with, log_capture::capture_log, tenant_with_emma, throttle};

const HOOK: (&str, &str) = ("ALERT_WEBHOOK_URL", ALERT_URL);
const NO_MAIL: (&str, &str) = ("ALERT_TO", "");

/// A tenant in which everybody of `names` has no address.
fn app(names: &[&str], settings: &[(&str, &str)]) -> (TestApp, Vec<Uuid>) {
    let (mut tenant, emma) = tenant_with_emma();
    let model = tenant.users[&emma].clone();
    let mut users = vec![emma];
    tenant.change(emma, |person| person.other_mails.clear());
    for name in names {
        let person = firstpass_sandbox::tenant::Person::named(name).usage_location("GB");
        let person = person.hire_date(model.hire_date.unwrap());
        users.push(tenant.add(person));
    }
    (TestApp::new(tenant, settings), users)
}

fn facts(call: &WebhookCall) -> &serde_json::Value {
    &call.body["firstpass"]
}

#[tokio::test(start_paused = true)]
async fn an_alert_goes_to_the_channel_with_its_mail_and_without_one() {
    for settings in [vec![HOOK], vec![HOOK, NO_MAIL]] {
        let (app, users) = app(&[], &settings);
        assert_eq!(app.run_job(users[0]).await.outcome, "blocked");
        let calls = app.sandbox.webhooks();
        assert_eq!((calls.len(), app.alerts().len()), (1, usize::from(settings.len() == 1)));
        assert_eq!((calls[0].path.as_str(), calls[0].proof), ("/alerts", "url"));
        let facts = facts(&calls[0]);
        assert_eq!((&facts["schemaVersion"], &facts["kind"]), (&1.into(), &"no-address".into()));
        assert!(facts["who"].as_str().unwrap().contains("Emma Brooks"), "{facts}");
        assert!(facts["reference"].as_str().unwrap().contains(&users[0].to_string()), "{facts}");
        assert!(!facts["whatToDo"].as_str().unwrap().is_empty());
        assert_eq!(
            app.record(users[0]).await.unwrap().cause.as_deref(),
            Some("no-address"),
            "a person was told"
        );
        assert_eq!(app.ledger().pending_alerts().await.unwrap(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_of_a_kind_goes_at_once_and_the_others_in_a_summary() {
    let (app, users) = app(&["Ann Lee", "Bob Ray"], &[HOOK, NO_MAIL]);
    for user in &users {
        app.run_job(*user).await;
    }
    assert_eq!(app.sandbox.webhooks().len(), 1);
    app.advance(TimeDelta::minutes(61));
    app.host.deliver(r#"{"alertsDue":"x"}"#, 1).await;
    let calls = app.sandbox.webhooks();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (&facts(&calls[1])["kind"], &facts(&calls[1])["headline"]),
        (&"summary".into(), &"2 more alerts".into())
    );
    app.advance(TimeDelta::minutes(61));
    app.host.deliver(r#"{"alertsDue":"x"}"#, 1).await;
    assert_eq!(app.sandbox.webhooks().len(), 2, "nothing waits any more");
}

#[tokio::test(start_paused = true)]
async fn one_of_the_two_is_enough() {
    // The channel fails, and the mail tells.
    let (mailed, users) = app(&[], &[HOOK]);
    mailed.sandbox.inject(Fault::on("POST", "/alerts", fail_with(404)));
    let (end, log) = capture_log("info", mailed.run_job(users[0])).await;
    assert_eq!(
        (end.outcome.as_str(), mailed.alerts().len(), mailed.sandbox.webhooks().len()),
        ("blocked", 1, 0)
    );
    assert!(log.contains("event=alert.webhook_failed") && !log.contains("sig="), "{log}");
    assert!(mailed.record(users[0]).await.unwrap().cause.is_some());
    // The mail fails, and the channel tells.
    let (posted, users) = app(&[], &[HOOK]);
    posted.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)));
    posted.run_job(users[0]).await;
    assert_eq!((posted.alerts().len(), posted.sandbox.webhooks().len()), (0, 1));
    assert!(posted.record(users[0]).await.unwrap().cause.is_some());
    assert_eq!(posted.ledger().pending_alerts().await.unwrap(), []);
    // Both fail: nobody counts as told before the summary has it.
    let (neither, users) = app(&[], &[HOOK]);
    for path in ["/alerts", "sendMail"] {
        neither.sandbox.inject(Fault::on("POST", path, fail_with(400)));
    }
    neither.run_job(users[0]).await;
    assert_eq!(neither.ledger().pending_alerts().await.unwrap().len(), 1);
    neither.advance(TimeDelta::minutes(61));
    neither.host.deliver(r#"{"alertsDue":"x"}"#, 1).await;
    assert_eq!((neither.alerts().len(), neither.sandbox.webhooks().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_busy_is_asked_once_more_and_one_that_may_have_it_is_not() {
    for (kind, expected) in [
        (throttle("3"), 1),
        (FaultKind::Unavailable { retry_after: "3".to_owned() }, 1),
        (FaultKind::Refuse, 1),
        (FaultKind::LoseAnswer, 1),
        (FaultKind::FailAfter { status: 502 }, 1),
        (fail_with(500), 0),
    ] {
        let (app, users) = app(&[], &[HOOK]);
        app.sandbox.inject(Fault::on("POST", "/alerts", kind.clone()));
        app.run_job(users[0]).await;
        assert_eq!((app.sandbox.webhooks().len(), app.alerts().len()), (expected, 1), "{kind:?}");
    }
}

/// The channel is then the only way to tell anybody at once.
#[tokio::test(start_paused = true)]
async fn a_mailbox_that_refuses_all_mails_does_not_silence_the_channel() {
    let (app, users) = app(&["Ann Lee"], &[HOOK]);
    app.sandbox.edit(|tenant| tenant.send_denied = Some(SendDenial::OutOfScope));
    let before = app.sandbox.webhooks().len();
    app.sweep().await;
    let kinds: Vec<String> =
        app.sandbox.webhooks()[before..].iter().map(|c| facts(c)["kind"].to_string()).collect();
    assert!(kinds.iter().any(|kind| kind.contains("no-address")), "{kinds:?}");
    assert_eq!(app.alerts().len(), 0);
    assert!(app.record(users[0]).await.unwrap().cause.is_some(), "a person was told");
}
