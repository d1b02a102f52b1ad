//! What somebody would do who wants to see for themselves: two processes, nothing configured, plain HTTP between them.
//!
//! Who should get a pass is worked out here from `/sandbox/state`, not asked of firstpass.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use firstpass::{
    clock::Clock,
    zone::{Tz, zone_for},
};
use firstpass_sandbox::functions_host::local_host::LocalHost;
use serde_json::{Value, json};

use crate::{
    helpers::{escaped, time},
    process::{Process, get, post},
};

/// A sandbox in a process of its own.
struct Tenant {
    _process: Process,
    url: String,
    port: String,
}

impl Tenant {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Process::clean(&[&["sandbox", "--listen", "127.0.0.1:0"], arguments].concat(), &[]);
        let line = process.wait_for("SANDBOX_URL=");
        let url = line.split(['=', ' ']).nth(1).unwrap().to_owned();
        let port = url.rsplit(':').next().unwrap().to_owned();
        Self { _process: process, url, port }
    }

    fn state(&self) -> Value {
        serde_json::from_str(&get(&format!("127.0.0.1:{}", self.port), "/sandbox/state")).unwrap()
    }

    /// Lets time pass until it is five in the morning UTC. Then it is the same day in every joiner's zone.
    fn wait_for_the_morning(&self) {
        let now = time(self.state()["now"].as_str().unwrap());
        let five = now.date_naive().and_hms_opt(5, 0, 0).unwrap().and_utc();
        let five = if five > now { five } else { five + TimeDelta::days(1) };
        let advance = json!({"advance_seconds": (five - now).num_seconds() + 1});
        assert_eq!(post(&self.port, "/sandbox/clock", &advance).0, 200);
    }
}

/// The timer, and then every job that came of it, as the host would have it.
fn sweep(handler: &str) -> Vec<Value> {
    let timer =
        json!({"Data": {"timer": {"IsPastDue": false, "Schedule": {"AdjustForDST": true}}}, "Metadata": {}});
    let (status, swept) = post(handler, "/SweepJoiners", &timer);
    assert_eq!(status, 200, "{swept}");
    let wire = LocalHost::new(axum::Router::new(), Clock::from_fn(Default::default));
    let jobs = swept["Outputs"]["jobs"].as_array().unwrap();
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

/// The later of the stamp's date in UTC and in the joiner's zone.
fn day_one(user: &Value) -> Option<NaiveDate> {
    let stamp: DateTime<Utc> = user["employeeHireDate"].as_str()?.parse().unwrap();
    let zone = zone_for(user["usageLocation"].as_str(), Tz::UTC);
    Some(stamp.date_naive().max(stamp.with_timezone(&zone).date_naive()))
}

fn is_eligible(user: &Value, passes: &BTreeMap<&str, &Value>, today: NaiveDate) -> bool {
    let is_near = day_one(user).is_some_and(|day| today <= day && day <= today + TimeDelta::days(7));
    // Somebody else's pass that works, or will on day one, is left alone.
    let reason = passes.get(user["id"].as_str().unwrap()).map(|pass| pass["methodUsabilityReason"].clone());
    let is_served = reason.is_some_and(|reason| reason == "EnabledByPolicy" || reason == "NotYetValid");
    let has_address = !user["otherMails"].as_array().unwrap().is_empty();
    is_near && user["userType"] == "Member" && user["privileged"] == false && has_address && !is_served
}

fn passes(state: &Value) -> BTreeMap<&str, &Value> {
    let all = state["passes"].as_array().unwrap().iter();
    all.map(|pass| (pass["userId"].as_str().unwrap(), pass)).collect()
}

/// The mails to each address.
fn mails(state: &Value) -> BTreeMap<&str, Vec<&Value>> {
    let mut mails: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for mail in state["mails"].as_array().unwrap() {
        let to = mail["toRecipients"][0]["emailAddress"]["address"].as_str().unwrap();
        mails.entry(to).or_default().push(mail);
    }
    mails
}

/// The tenant before the sweep and after: everybody who should has one mail with the code of a live pass, and nobody
/// else has anything. Returns how many were served.
fn assert_right(before: &Value, after: &Value) -> usize {
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
                "{name}: the pass is another one"
            );
            continue;
        }
        served += 1;
        assert_eq!(received.len(), 1, "{name} got {} mails", received.len());
        let pass = holds.get(id).unwrap_or_else(|| panic!("{name} has no pass"));
        let reason = pass["methodUsabilityReason"].as_str().unwrap();
        assert!(["NotYetValid", "EnabledByPolicy"].contains(&reason), "{name}: {reason}");
        let code = escaped(pass["temporaryAccessPass"].as_str().unwrap());
        let body = received[0]["body"]["content"].as_str().unwrap();
        assert!(body.contains(&code), "{name} was sent another code");
        assert_eq!(received[0]["saveToSentItems"], false, "a copy would keep the code");
    }
    assert_eq!(after["mails"].as_array().unwrap().len(), served, "nobody else got mail");
    served
}

#[test]
fn a_sweep_from_the_command_line_serves_everybody_once() {
    let tenant = Tenant::start(&["--joiners", "250", "--seed", "7"]);
    let (_serve, handler) = Process::serve_clean(&[("SANDBOX_URL", &tenant.url)]);
    tenant.wait_for_the_morning();
    let before = tenant.state();
    sweep(&handler);
    let served = assert_right(&before, &tenant.state());
    assert!(served > 100, "{served}");
    // The next sweep has nothing to do.
    sweep(&handler);
    assert_eq!(assert_right(&before, &tenant.state()), served);
    assert_eq!(tenant.state()["tokens"], json!([]), "nobody asked for a token");
}

const CLIENT_ID: &str = "8a4a3f0e-7d53-4b8e-9a36-0c6d9f6f3a11";

/// A tenant whose app has one identity, and what App Service would tell the app about it.
fn tenant_with_identity() -> (Tenant, String) {
    let identity = ["--identity-header", "5c-header", "--client-id", CLIENT_ID];
    let tenant = Tenant::start(&[&["--joiners", "30", "--seed", "7"], identity.as_slice()].concat());
    let endpoint = format!("{}/msi/token", tenant.url);
    (tenant, endpoint)
}

#[test]
fn a_managed_identity_signs_in_where_the_platform_offers_one() {
    let (tenant, endpoint) = tenant_with_identity();
    let (_serve, handler) = Process::serve_clean(&[
        ("SANDBOX_URL", &tenant.url),
        ("IDENTITY_ENDPOINT", &endpoint),
        ("IDENTITY_HEADER", "5c-header"),
        ("AZURE_CLIENT_ID", CLIENT_ID),
    ]);
    tenant.wait_for_the_morning();
    let before = tenant.state();
    sweep(&handler);
    let after = tenant.state();
    assert!(assert_right(&before, &after) > 5);
    let tokens = after["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 1, "one token serves a whole sweep: {tokens:?}");
    assert_eq!(
        (&tokens[0]["status"], &tokens[0]["client_id"], &tokens[0]["resource"]),
        (&json!(200), &json!(CLIENT_ID), &json!("https://graph.microsoft.com"))
    );
}

#[test]
fn an_identity_that_is_not_the_apps_is_told_to_the_admin() {
    for (header, client_id, status, words) in [
        ("5c-other", CLIENT_ID, 401, "X-IDENTITY-HEADER"),
        ("5c-header", "11111111-7d53-4b8e-9a36-0c6d9f6f3a11", 400, "not been assigned"),
        ("5c-header", "", 400, "not been assigned"),
    ] {
        let (tenant, endpoint) = tenant_with_identity();
        let (_serve, handler) = Process::serve_clean(&[
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
        assert!(log.contains("AZURE_CLIENT_ID") && log.contains("managed identity"), "what to do: {log}");
        let state = tenant.state();
        assert_eq!(state["tokens"][0]["status"], status);
        assert_eq!(state["requests"], json!([]), "nothing reached Graph");
    }
}
