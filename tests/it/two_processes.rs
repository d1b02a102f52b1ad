//! A sandbox process and a handler process with default settings, connected by HTTP.
//!
//! The expected recipients are computed from `/sandbox/state`, without firstpass's code.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use firstpass::{
    clock::Clock,
    zone::{Place, Tz, joiner_zone},
};
use firstpass_sandbox::functions_host::local_host::LocalHost;
use serde_json::{Value, json};

use crate::helpers::{
    html_escaped,
    process::{Process, get, post, send},
    time,
};

/// A sandbox in its own process.
struct Tenant {
    _process: Process,
    url: String,
    port: String,
}

impl Tenant {
    fn start(arguments: &[&str]) -> Self {
        Self::start_at("2026-11-29T04:44:00Z", arguments)
    }

    fn start_at(now: &str, arguments: &[&str]) -> Self {
        let mut process = Process::sandbox_with_clean_env(
            &[&["sandbox", "--listen", "127.0.0.1:0", "--now", now], arguments].concat(),
            &[],
        );
        let line = process.wait_for("SANDBOX_URL=");
        let url = line.split(['=', ' ']).nth(1).unwrap().to_owned();
        let port = url.rsplit(':').next().unwrap().to_owned();
        Self { _process: process, url, port }
    }

    fn state(&self) -> Value {
        serde_json::from_str(&get(&format!("127.0.0.1:{}", self.port), "/sandbox/state")).unwrap()
    }

    /// Advances the clock to 05:00 UTC, when the date is the same in the zone of every generated joiner.
    fn advance_to_five(&self) {
        let now = time(self.state()["now"].as_str().unwrap());
        let five = now.date_naive().and_hms_opt(5, 0, 0).unwrap().and_utc();
        let five = if five > now { five } else { five + TimeDelta::days(1) };
        let advance = json!({"advance_seconds": (five - now).num_seconds() + 1});
        assert_eq!(post(&self.port, "/sandbox/clock", &advance).0, 200);
    }

    /// Lets every mailbox send as fast as it is asked to: these tests run in real time.
    fn lift_message_rate(&self) {
        let limits = json!({ "messages_per_minute": null });
        assert_eq!(send("PUT", &self.port, "/sandbox/send-limits", &limits).unwrap().0, 204);
    }
}

/// Posts the timer and then every job, as the host does.
fn sweep(handler: &str) -> Vec<Value> {
    let timer =
        json!({"Data": {"timer": {"IsPastDue": false, "Schedule": {"AdjustForDST": true}}}, "Metadata": {}});
    let (status, answer) = post(handler, "/SweepJoiners", &timer);
    assert_eq!(status, 200, "{answer}");
    let wire = LocalHost::new(axum::Router::new(), Clock::from_fn(Default::default));
    let jobs = answer["Outputs"]["jobs"].as_array().unwrap();
    let deliver =
        |job: &Value| post(handler, "/OnGroupAdd", &wire.queue_invocation(job.as_str().unwrap(), 1));
    jobs.iter()
        .map(|job| {
            let (status, answer) = deliver(job);
            assert_eq!(status, 200, "{answer}");
            answer
        })
        .collect()
}

/// The later of the hire date in UTC and in the joiner's zone.
fn day_one(user: &Value) -> Option<NaiveDate> {
    let hire_date: DateTime<Utc> = user["employeeHireDate"].as_str()?.parse().unwrap();
    let place = Place {
        usage_location: user["usageLocation"].as_str(),
        state: user["state"].as_str(),
        city: user["city"].as_str(),
        office_location: user["officeLocation"].as_str(),
        attributes: None,
    };
    let zone = joiner_zone(place, &[], Tz::UTC).zone;
    Some(hire_date.date_naive().max(hire_date.with_timezone(&zone).date_naive()))
}

fn is_eligible(user: &Value, passes: &BTreeMap<&str, &Value>, today: NaiveDate) -> bool {
    let is_in_window = day_one(user).is_some_and(|day| today <= day && day <= today + TimeDelta::days(7));
    // Another issuer's pass that works now or later is kept.
    let reason = passes.get(user["id"].as_str().unwrap()).map(|pass| pass["methodUsabilityReason"].clone());
    let has_pass = reason.is_some_and(|reason| reason == "EnabledByPolicy" || reason == "NotYetValid");
    let has_address = !user["otherMails"].as_array().unwrap().is_empty();
    // The password is no sign of use.
    let has_methods = user["methods"].as_array().unwrap().len() > 1;
    let is_new = today - time(user["createdDateTime"].as_str().unwrap()).date_naive() < TimeDelta::days(80);
    is_in_window
        && !has_methods
        && is_new
        && user["userType"] == "Member"
        && user["privileged"] == false
        && has_address
        && !has_pass
}

fn passes(state: &Value) -> BTreeMap<&str, &Value> {
    let all = state["passes"].as_array().unwrap().iter();
    all.map(|pass| (pass["userId"].as_str().unwrap(), pass)).collect()
}

/// The mails by recipient.
fn mails(state: &Value) -> BTreeMap<&str, Vec<&Value>> {
    let mut mails: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for mail in state["mails"].as_array().unwrap() {
        let to = mail["toRecipients"][0]["emailAddress"]["address"].as_str().unwrap();
        mails.entry(to).or_default().push(mail);
    }
    mails
}

/// Asserts that after the sweep every eligible user has one mail with the code of a live pass, and that all others are
/// unchanged. Returns the number of users served.
fn assert_served(before: &Value, after: &Value) -> usize {
    let today = time(after["now"].as_str().unwrap()).date_naive();
    let (held, holds, mails) = (passes(before), passes(after), mails(after));
    let mut served = 0;
    for user in before["users"].as_array().unwrap() {
        let (id, name) = (user["id"].as_str().unwrap(), &user["userPrincipalName"]);
        let address = user["otherMails"][0].as_str().unwrap_or("none");
        let received = mails.get(address).map(Vec::as_slice).unwrap_or_default();
        if !is_eligible(user, &held, today) {
            assert!(received.is_empty(), "{name} got a mail");
            assert_eq!(
                holds.get(id).map(|pass| &pass["id"]),
                held.get(id).map(|pass| &pass["id"]),
                "{name}: the pass was replaced"
            );
            continue;
        }
        served += 1;
        assert_eq!(received.len(), 1, "{name} got {} mails", received.len());
        let pass = holds.get(id).unwrap_or_else(|| panic!("{name} has no pass"));
        let reason = pass["methodUsabilityReason"].as_str().unwrap();
        assert!(["NotYetValid", "EnabledByPolicy"].contains(&reason), "{name}: {reason}");
        let code = html_escaped(pass["temporaryAccessPass"].as_str().unwrap());
        let body = received[0]["body"]["content"].as_str().unwrap();
        assert!(body.contains(&code), "{name} was sent another code");
        assert_eq!(received[0]["saveToSentItems"], false, "Sent Items must not keep a code");
    }
    assert_eq!(after["mails"].as_array().unwrap().len(), served, "there are other mails");
    served
}

#[test]
fn a_sweep_serves_every_eligible_user_once() {
    for now in ["2026-11-29T04:44:00Z", "2026-11-29T05:03:00Z", "2026-12-01T23:50:00Z"] {
        sweeps_serve_once(now);
    }
}

fn sweeps_serve_once(now: &str) {
    let tenant = Tenant::start_at(now, &["--joiners", "250", "--seed", "7"]);
    tenant.lift_message_rate();
    let (_serve, handler) =
        Process::serve_with_clean_env(&[("SANDBOX_URL", &tenant.url), ("MAILS_PER_MINUTE", "100000")]);
    tenant.advance_to_five();
    let before = tenant.state();
    sweep(&handler);
    let served = assert_served(&before, &tenant.state());
    assert!(served > 100, "{served}");
    sweep(&handler);
    assert_eq!(assert_served(&before, &tenant.state()), served);
    assert_eq!(tenant.state()["tokens"], json!([]), "no token was requested");
}

const CLIENT_ID: &str = "8a4a3f0e-7d53-4b8e-9a36-0c6d9f6f3a11";

/// A tenant whose app has one managed identity, and the URL of the identity endpoint.
fn tenant_with_identity() -> (Tenant, String) {
    let identity = ["--identity-header", "5c-header", "--client-id", CLIENT_ID];
    let tenant = Tenant::start(&[&["--joiners", "30", "--seed", "7"], identity.as_slice()].concat());
    let endpoint = format!("{}/msi/token", tenant.url);
    (tenant, endpoint)
}

#[test]
fn the_managed_identity_of_the_platform_is_used_and_not_through_a_proxy() {
    let (tenant, endpoint) = tenant_with_identity();
    // Nothing listens there.
    let proxy = "http://127.0.0.1:9";
    let (_serve, handler) = Process::serve_with_clean_env(&[
        ("HTTP_PROXY", proxy),
        ("http_proxy", proxy),
        ("ALL_PROXY", proxy),
        ("SANDBOX_URL", &tenant.url),
        ("IDENTITY_ENDPOINT", &endpoint),
        ("IDENTITY_HEADER", "5c-header"),
        ("AZURE_CLIENT_ID", CLIENT_ID),
    ]);
    tenant.advance_to_five();
    let before = tenant.state();
    sweep(&handler);
    let after = tenant.state();
    assert!(assert_served(&before, &after) > 5);
    let tokens = after["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    assert_eq!(
        (&tokens[0]["status"], &tokens[0]["client_id"], &tokens[0]["resource"]),
        (&json!(200), &json!(CLIENT_ID), &json!("https://graph.microsoft.com"))
    );
}

#[test]
fn an_unassigned_identity_is_reported_to_the_admin() {
    for (header, client_id, status, words) in [
        ("5c-other", CLIENT_ID, 401, "X-IDENTITY-HEADER"),
        ("5c-header", "11111111-7d53-4b8e-9a36-0c6d9f6f3a11", 400, "not been assigned"),
        ("5c-header", "", 400, "not been assigned"),
    ] {
        let (tenant, endpoint) = tenant_with_identity();
        let (_serve, handler) = Process::serve_with_clean_env(&[
            ("SANDBOX_URL", &tenant.url),
            ("IDENTITY_ENDPOINT", &endpoint),
            ("IDENTITY_HEADER", header),
            ("AZURE_CLIENT_ID", client_id),
        ]);
        let timer = json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {}});
        let (failed, answer) = post(&handler, "/SweepJoiners", &timer);
        let log = answer["Logs"][0].as_str().unwrap_or_default();
        assert_eq!(failed, 500, "{answer}");
        assert!(log.contains(words), "{words}: {log}");
        assert!(log.contains("AZURE_CLIENT_ID") && log.contains("managed identity"), "{log}");
        let state = tenant.state();
        assert_eq!(state["tokens"][0]["status"], status);
        assert_eq!(state["requests"], json!([]), "nothing reached Graph");
    }
}
