//! A thousand passes with random faults in Graph.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use firstpass_sandbox::tenant::Person;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{HandlerResponse, send};
use crate::helpers::{TestApp, html_escaped, log_capture::capture_log, tenant_with_emma, to_address};

const PASSES: usize = 1_000;
const USERS: usize = 40;

struct Helpdesk {
    app: TestApp,
    users: Vec<Uuid>,
    rng: StdRng,
    calls: u32,
    /// The code of each user's newest pass; `None` if it was delivered by mail.
    delivered: BTreeMap<Uuid, Option<String>>,
    created: usize,
    /// All answers, without the code of a 201.
    answers: String,
}

impl Helpdesk {
    fn new(seed: u64) -> Self {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.send_limits.messages_per_minute = None;
        let mut users = vec![emma];
        for n in 1..USERS {
            let mail = format!("user{n}@mail.example");
            users.push(tenant.add(Person::named(&format!("User Number{n}")).private_mail(&mail)));
        }
        let no_limits = [
            ("CREATE_TAP_LIMIT_PER_USER", "1000"),
            ("CREATE_TAP_LIMIT_PER_CALLER", "100000"),
            ("MAILS_PER_MINUTE", "100000"),
        ];
        let app = TestApp::new(tenant, &no_limits);
        let (rng, delivered) = (StdRng::seed_from_u64(seed), BTreeMap::new());
        Self { app, users, rng, calls: 0, delivered, created: 0, answers: String::new() }
    }

    /// Random parameters for `user`, and a new idempotency key.
    fn random_parameters(&mut self, user: Uuid) -> (Value, String) {
        self.calls += 1;
        let deliver = if self.rng.random_range(0..4) == 0 { "mail" } else { "response" };
        let body = json!({
            "UserName": user, "Deliver": deliver, "NotifyUser": self.rng.random_range(0..3) == 0,
            "LifetimeInMinutes": self.rng.random_range(60..=480), "Reason": format!("call {}", self.calls),
        });
        (body, format!("key-{}", self.calls))
    }

    fn record_answer(&mut self, user: Uuid, answer: &HandlerResponse) {
        let mut body = answer.body.clone();
        if answer.status == 201 {
            self.created += 1;
            let code = body["temporaryAccessPass"].take();
            self.delivered.insert(user, code.as_str().map(str::to_owned));
        }
        self.answers += &format!("{} {body}\n", answer.headers);
    }

    /// One call with retries, or sometimes two concurrent calls.
    async fn call(&mut self) {
        let user = self.users[self.rng.random_range(0..USERS)];
        let ((body, key), (other_body, other_key)) =
            (self.random_parameters(user), self.random_parameters(user));
        if self.rng.random_range(0..10) == 0 {
            let (first, second) = tokio::join!(
                call_with_key(&self.app, &body, &key),
                call_with_key(&self.app, &other_body, &other_key)
            );
            // If both succeed, the record says which pass is the newer one.
            let record = self.app.record(user).await;
            let newest = record.and_then(|record| record.delivered).map(|d| d.pass.pass_id);
            let (older, newer) = match newest.is_some_and(|id| first.body["passId"] == id) {
                true => (second, first),
                false => (first, second),
            };
            self.record_answer(user, &older);
            self.record_answer(user, &newer);
        } else {
            for _ in 0..3 {
                let answer = call_with_key(&self.app, &body, &key).await;
                self.record_answer(user, &answer);
                if answer.status == 201 {
                    let now = self.app.sandbox.now();
                    // Passes that were mailed are checked at the end, since there are many mails.
                    let works = answer.code().is_none() || self.has_working_code(user);
                    assert!(works, "{user} {now}: the code does not work");
                    let again = call_with_key(&self.app, &body, &key).await;
                    assert!(again.code().is_none(), "one key made two passes: {again:?}");
                    self.record_answer(user, &again);
                    break;
                }
                self.app.advance(TimeDelta::minutes(6));
            }
        }
        self.app.advance(TimeDelta::seconds(self.rng.random_range(0..120)));
    }

    /// Whether the user's live pass is the one that was delivered last.
    fn has_working_code(&self, user: Uuid) -> bool {
        let live = self.app.live_code(user);
        match (&self.delivered[&user], &live) {
            (Some(code), Some(live)) => code == live,
            (None, Some(live)) => {
                let escaped = html_escaped(live);
                self.app
                    .pass_mails()
                    .iter()
                    .any(|mail| mail["body"]["content"].as_str().unwrap().contains(&escaped))
            }
            _ => false,
        }
    }
}

async fn call_with_key(app: &TestApp, body: &Value, key: &str) -> HandlerResponse {
    send(app, &body.to_string(), &[("Idempotency-Key", key)]).await
}

/// The text without the escapes of HTML, JSON and Rust.
fn unescaped(text: &str) -> String {
    let pairs = [
        ("\\\"", "\""),
        ("\\'", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&amp;", "&"),
    ];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// How often any of `codes` occurs in `text`.
fn count_codes(text: &str, codes: &[String]) -> usize {
    let known: HashSet<&[u8]> = codes.iter().map(String::as_bytes).collect();
    let length = codes[0].len();
    assert!(codes.iter().all(|code| code.len() == length));
    unescaped(text).as_bytes().windows(length).filter(|window| known.contains(window)).count()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_leave_one_pass_per_user_and_leak_no_code() {
    let mut desk = Helpdesk::new(4);
    let work = async {
        while desk.created < PASSES {
            desk.app.sandbox.set_fault_rate(0.08);
            desk.call().await;
        }
        desk.app.sandbox.set_fault_rate(0.0);
        // Delayed requests must take effect before the last calls.
        desk.app.advance(TimeDelta::minutes(6));
        for user in desk.users.clone() {
            let (body, key) = desk.random_parameters(user);
            let answer = call_with_key(&desk.app, &body, &key).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            desk.record_answer(user, &answer);
        }
    };
    let ((), text) = capture_log("trace", work).await;

    let passes = desk.app.sandbox.passes();
    assert_eq!(passes.len(), USERS, "one for each user");
    for user in &desk.users {
        assert!(desk.has_working_code(*user), "{user}");
        let record = desk.app.record(*user).await.unwrap();
        let listed = passes.iter().find(|pass| pass.user == *user).unwrap();
        assert_eq!(
            record.delivered.unwrap().pass.pass_id,
            listed.id.to_string(),
            "the ledger has another pass"
        );
    }
    let codes = desk.app.sandbox.codes();
    assert!(codes.len() > PASSES, "{} codes", codes.len());
    assert!(text.contains("DEBUG") && text.len() > 500_000, "only {} bytes of log", text.len());
    let ledger = serde_json::to_string(&desk.app.ledger().list().await.unwrap()).unwrap();
    let private = |mail: &&Value| to_address(mail).ends_with("@mail.example");
    let mails = desk.app.pass_mails();
    let notices: String = mails.iter().filter(|mail| !private(mail)).map(Value::to_string).collect();
    let alerts: String = desk.app.alerts().iter().map(Value::to_string).collect();
    for (place, text) in [
        ("log", &text),
        ("ledger", &ledger),
        ("answers", &desk.answers),
        ("notices", &notices),
        ("alerts", &alerts),
    ] {
        assert_eq!(count_codes(text, &codes), 0, "a code in the {place}");
    }
    let by_mail: String = mails.iter().filter(private).map(Value::to_string).collect();
    assert!(
        count_codes(&by_mail, &codes) > 50 && notices.len() > 10_000,
        "the search must find codes in the joiners' mails"
    );
}
