//! A thousand passes while everything around goes wrong at random.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use firstpass_sandbox::tenant::Person;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    helpers::{World, tenant_with_emma},
    http::{Answer, logged, send},
};

const PASSES: usize = 1_000;
const USERS: usize = 40;

struct Helpdesk {
    world: World,
    users: Vec<Uuid>,
    rng: StdRng,
    calls: u32,
    /// The code that each user was handed last, by an answer or by mail.
    held: BTreeMap<Uuid, Option<String>>,
    made: usize,
    /// Everything that callers were told but for the code of a 201.
    announcement: String,
}

impl Helpdesk {
    fn new(seed: u64) -> Self {
        let (mut tenant, emma) = tenant_with_emma();
        let mut users = vec![emma];
        for n in 1..USERS {
            let mail = format!("user{n}@mail.example");
            users.push(tenant.add(Person::named(&format!("User Number{n}")).private_mail(&mail)));
        }
        let no_limits = [("CREATE_TAP_LIMIT_PER_USER", "1000"), ("CREATE_TAP_LIMIT_PER_CALLER", "100000")];
        let world = World::new(tenant, &no_limits);
        let (rng, held) = (StdRng::seed_from_u64(seed), BTreeMap::new());
        Self { world, users, rng, calls: 0, held, made: 0, announcement: String::new() }
    }

    /// The parameters and the key of a call for `user`, at random.
    fn wish(&mut self, user: Uuid) -> (Value, String) {
        self.calls += 1;
        let deliver = if self.rng.random_range(0..4) == 0 { "mail" } else { "response" };
        let body = json!({
            "UserName": user, "Deliver": deliver, "NotifyUser": self.rng.random_range(0..3) == 0,
            "LifetimeInMinutes": self.rng.random_range(60..=480), "Reason": format!("call {}", self.calls),
        });
        (body, format!("key-{}", self.calls))
    }

    fn note(&mut self, user: Uuid, answer: &Answer) {
        let mut said = answer.body.clone();
        if answer.status == 201 {
            self.made += 1;
            let code = said["temporaryAccessPass"].take();
            self.held.insert(user, code.as_str().map(str::to_owned));
        }
        self.announcement += &format!("{} {said}\n", answer.headers);
    }

    /// One call, and the same again as often as its caller would; now and then two at once.
    async fn a_call(&mut self) {
        let user = self.users[self.rng.random_range(0..USERS)];
        let ((body, key), (other_body, other_key)) = (self.wish(user), self.wish(user));
        if self.rng.random_range(0..10) == 0 {
            let (first, second) =
                tokio::join!(call(&self.world, &body, &key), call(&self.world, &other_body, &other_key));
            // Of two at once, one may have replaced the other's, but in the order of the record.
            let record = self.world.record(user).await;
            let newest = record.and_then(|record| record.delivered).map(|d| d.pass.pass_id);
            let (older, newer) = match newest.is_some_and(|id| first.body["passId"] == id) {
                true => (second, first),
                false => (first, second),
            };
            self.note(user, &older);
            self.note(user, &newer);
        } else {
            for _ in 0..3 {
                let answer = call(&self.world, &body, &key).await;
                self.note(user, &answer);
                if answer.status == 201 {
                    let now = self.world.sandbox.now();
                    // What went by mail is looked at in the end: there are many mails.
                    let is_fine = answer.code().is_none() || self.holds_what_works(user);
                    assert!(is_fine, "{user} {now}: handed a code that does not work");
                    let again = call(&self.world, &body, &key).await;
                    assert!(again.code().is_none(), "the same call made two passes: {again:?}");
                    self.note(user, &again);
                    break;
                }
                self.world.later(TimeDelta::minutes(6));
            }
        }
        self.world.later(TimeDelta::seconds(self.rng.random_range(0..120)));
    }

    /// Whether the user's live pass is the one that was handed over last; what came by mail is in the newest mail.
    fn holds_what_works(&self, user: Uuid) -> bool {
        let live = self.world.live_code(user);
        match (&self.held[&user], &live) {
            (Some(code), Some(live)) => code == live,
            (None, Some(live)) => {
                let escaped = crate::helpers::escaped(live);
                self.world
                    .pass_mails()
                    .iter()
                    .any(|mail| mail["body"]["content"].as_str().unwrap().contains(&escaped))
            }
            _ => false,
        }
    }
}

async fn call(world: &World, body: &Value, key: &str) -> Answer {
    send(world, &body.to_string(), &[("Idempotency-Key", key)]).await
}

/// The text with what HTML, JSON and Rust did to its symbols undone.
fn plain(text: &str) -> String {
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

/// How often any of `codes` stands in `text`.
fn count_codes(text: &str, codes: &[String]) -> usize {
    let known: HashSet<&[u8]> = codes.iter().map(String::as_bytes).collect();
    let length = codes[0].len();
    assert!(codes.iter().all(|code| code.len() == length));
    plain(text).as_bytes().windows(length).filter(|window| known.contains(window)).count()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_passes_one_live_for_each_user_and_no_code_where_it_does_not_belong() {
    let mut desk = Helpdesk::new(4);
    let work = async {
        while desk.made < PASSES {
            desk.world.sandbox.set_fault_rate(0.08);
            desk.a_call().await;
        }
        desk.world.sandbox.set_fault_rate(0.0);
        // A request that seemed lost must not land after all this.
        desk.world.later(TimeDelta::minutes(6));
        for user in desk.users.clone() {
            let (body, key) = desk.wish(user);
            let answer = call(&desk.world, &body, &key).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            desk.note(user, &answer);
        }
    };
    let ((), text) = logged("trace", work).await;

    let passes = desk.world.sandbox.passes();
    assert_eq!(passes.len(), USERS, "one for each user");
    for user in &desk.users {
        assert!(desk.holds_what_works(*user), "{user}");
        let record = desk.world.record(*user).await.unwrap();
        let listed = passes.iter().find(|pass| pass.user == *user).unwrap();
        assert_eq!(record.delivered.unwrap().pass.pass_id, listed.id.to_string(), "the ledger knows it");
    }
    let codes = desk.world.sandbox.codes();
    assert!(codes.len() > PASSES, "{} codes", codes.len());
    assert!(text.contains("DEBUG") && text.len() > 500_000, "the log was on: {} bytes", text.len());
    let ledger = serde_json::to_string(&desk.world.app.services.ledger.list().await.unwrap()).unwrap();
    let private = |mail: &&Value| crate::helpers::to(mail).ends_with("@mail.example");
    let mails = desk.world.pass_mails();
    let notices: String = mails.iter().filter(|mail| !private(mail)).map(Value::to_string).collect();
    let alerts: String = desk.world.alerts().iter().map(Value::to_string).collect();
    for (place, text) in [
        ("log", &text),
        ("ledger", &ledger),
        ("answers", &desk.announcement),
        ("notices", &notices),
        ("alerts", &alerts),
    ] {
        assert_eq!(count_codes(text, &codes), 0, "a code in the {place}");
    }
    let by_mail: String = mails.iter().filter(private).map(Value::to_string).collect();
    assert!(
        count_codes(&by_mail, &codes) > 50 && notices.len() > 10_000,
        "the search finds codes where they are"
    );
}
