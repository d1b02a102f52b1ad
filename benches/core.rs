//! The parts of the product that calculate: decisions, zones, mails, a page of users, and a sweep without its services.
//!
//! `cargo bench --bench core`; a word after `--` chooses benchmarks.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark without a public API: a panic ends it"
)]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use azure_core::{
    Bytes,
    http::{AsyncRawResponse, HttpClient, Method, Request, StatusCode, headers::Headers},
};
use chrono::{DateTime, TimeDelta, Utc};
use divan::{AllocProfiler, Bencher, black_box};
use firstpass::{
    app::App,
    cloud::Cloud,
    environment::Environment,
    graph::{Graph, PassPolicy, PrivilegeSnapshot, TenantSnapshot, UsageSnapshot, User, users::Account},
    host,
    ledger::{Basis, memory::MemoryLedger},
    mail::{CodePlace, JoinerMail, MailOptions, Mailer, Occasion, Onlooker, PassTimes, Reader, Steps},
    pass::{Decision, Facts, Reason, decide},
    settings::Settings,
    zone::{Place, Tz, joiner_zone},
};
use firstpass_sandbox::{
    functions_host::local_host::LocalHost,
    serve::product_environment,
    tenant::{Group, Person, Sandbox, SendLimits, Tenant, samples::SENDER},
};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn now() -> DateTime<Utc> {
    "2026-11-22T05:00:00Z".parse().unwrap()
}

fn settings() -> Settings {
    let env: Environment = [("SWEEP_MAX", "100000"), ("MAILS_PER_MINUTE", "100000")].into_iter().collect();
    Settings::read(&product_environment(&env)).unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Whether a joiner gets a pass, and when it works.
#[divan::bench]
fn decision(bencher: Bencher<'_, '_>) {
    let settings = settings();
    let account = Account {
        employee_hire_date: Some("2026-11-27T00:00:00Z".parse().unwrap()),
        usage_location: Some("GB".into()),
        account_enabled: Some(true),
        ..Account::default()
    };
    let user = User {
        id: Uuid::from_u128(1),
        user_principal_name: "emma@contoso.example".into(),
        display_name: None,
        given_name: None,
        preferred_language: None,
        created_date_time: Some(now() - TimeDelta::days(14)),
        account,
    };
    let policy = PassPolicy {
        state: "enabled".into(),
        minimum_lifetime_in_minutes: 60,
        maximum_lifetime_in_minutes: 480,
        is_usable_once: false,
        default_length: 8,
    };
    let snapshot = TenantSnapshot {
        user,
        manager: None,
        manager_refused: None,
        manager_left: false,
        leave_date: Ok(None),
        passes: vec![],
        passes_refused: None,
        privileges: PrivilegeSnapshot::default(),
        hidden_group: None,
        policy,
        passkeys: None,
        usage: UsageSnapshot::default(),
    };
    let basis = Basis { address: Some("1:address".into()), ..Basis::default() };
    let facts = Facts {
        reason: Reason::Joiner,
        since: None,
        snapshot: &snapshot,
        record: None,
        no_address: None,
        basis: &basis,
        tells_manager: true,
        told_at: None,
        request: None,
        joiner_check: &settings.joiner_check,
        pass: &settings.pass,
        device: settings.mail.device_steps.default,
        follow_up: &settings.follow_up,
        lead_days: 7,
        late_days: 0,
        on_demand_group: None,
        now: now(),
    };
    assert!(matches!(decide(&facts), Decision::Issue(_)));
    bencher.bench_local(|| decide(black_box(&facts)));
}

/// A country with one zone, a city, and nothing.
#[divan::bench(args = ["GB", "US Seattle", ""])]
fn zone(bencher: Bencher<'_, '_>, place: &'static str) {
    let (country, city) = place.split_once(' ').unwrap_or((place, ""));
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    let place = Place { usage_location: some(country), city: some(city), ..Place::default() };
    bencher.bench_local(|| joiner_zone(black_box(place), &[], Tz::UTC));
}

/// The mail with a code, without the code.
#[divan::bench(args = ["en", "de"])]
fn mail(bencher: Bencher<'_, '_>, language: &str) {
    let options = MailOptions { default_language: "en".into(), ..MailOptions::default() };
    let mailer = Mailer::new(options).unwrap();
    let reader = Reader {
        language,
        usage_location: Some("GB"),
        given_name: Some("Emma"),
        display_name: "Emma Brooks",
        user_principal_name: "emma.brooks@contoso.example",
    };
    let opens_at = now() + TimeDelta::days(5);
    let times = PassTimes {
        opens_at,
        opens_now: false,
        closes_at: opens_at + TimeDelta::hours(8),
        zone: Tz::UTC,
        one_time: true,
        made_at: now(),
    };
    let mail = JoinerMail {
        reader,
        times,
        manager: Some(Onlooker { name: "Grace Hall", has_code: false }),
        steps: Steps::default(),
        code: CodePlace::Mail { letters: 8 },
        day_one: Some(opens_at.date_naive()),
        occasion: Occasion::First,
        follows_on: None,
    };
    bencher.bench_local(|| mailer.joiner(black_box(&mail)).unwrap());
}

/// Answers from memory what the sandbox has answered before. Changes reach the sandbox.
#[derive(Debug)]
struct Cache {
    sandbox: Arc<dyn HttpClient>,
    answers: Mutex<HashMap<String, (StatusCode, Headers, Bytes)>>,
}

impl Cache {
    fn new(sandbox: &Sandbox) -> Arc<Self> {
        Arc::new(Self { sandbox: sandbox.transport(), answers: Mutex::default() })
    }

    fn clear(&self) {
        self.answers.lock().unwrap().clear();
    }
}

#[async_trait::async_trait]
impl HttpClient for Cache {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let is_read = request.method() == Method::Get;
        let known = self.answers.lock().unwrap().get(request.url().as_str()).cloned();
        let (status, headers, body) = match known.filter(|_| is_read) {
            Some(answer) => answer,
            None => {
                let (status, headers, body) = self.sandbox.execute_request(request).await?.deconstruct();
                let answer = (status, headers, body.collect().await?);
                self.answers.lock().unwrap().insert(request.url().to_string(), answer.clone());
                answer
            }
        };
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

fn tenant(joiners: usize) -> (Tenant, Uuid) {
    let mut tenant = Tenant::new(7);
    tenant.send_limits = SendLimits { messages_per_minute: None, recipients_per_day: None };
    tenant.add_mailbox(Person::named("Contoso Welcome").user_principal_name(SENDER));
    let joiner = |number: usize| {
        let person = Person::named(&format!("Joiner{number} Smith")).usage_location("GB");
        let person = person.private_mail(&format!("joiner{number}@mail.example"));
        person.hire_date("2026-11-27T00:00:00Z".parse().unwrap())
    };
    let members: Vec<Uuid> = (0..joiners).map(|number| tenant.add(joiner(number))).collect();
    let group = tenant.add_group(Group::named("Joiners").members(members));
    (tenant, group)
}

/// Graph's largest page of users, from its bytes to values.
#[divan::bench]
fn page_of_999_users(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let (sandbox, group) = runtime.block_on(async {
        let (tenant, group) = tenant(999);
        (Sandbox::new(tenant, now()), group)
    });
    let graph = Graph::new(Cache::new(&sandbox), sandbox.credential(), Cloud::default());
    let read = || runtime.block_on(graph.members(group)).unwrap();
    assert_eq!(read().users.len(), 999);
    bencher.bench_local(read);
}

/// An hourly sweep when everybody has been served: the answers of Graph and the records are in memory.
#[divan::bench(args = [1_000, 10_000], sample_count = 20, sample_size = 1)]
fn sweep_over_served(bencher: Bencher<'_, '_>, joiners: usize) {
    let runtime = runtime();
    let (host, cache) = runtime.block_on(async {
        let sandbox = Sandbox::new(tenant(joiners).0, now());
        let (cache, ledger) = (Cache::new(&sandbox), Arc::new(MemoryLedger::default()));
        let app = App::new(settings(), cache.clone(), sandbox.credential(), ledger, sandbox.clock()).unwrap();
        let host = LocalHost::new(host::router(Ok(Arc::new(app))), sandbox.clock());
        // The second sweep looks at everybody, as the first one of each day.
        for _ in 0..2 {
            cache.clear();
            for message in host.fire_timer().await.jobs() {
                cache.clear();
                assert!(host.deliver(&message, 1).await.is_success());
            }
            sandbox.advance(TimeDelta::hours(1));
        }
        assert_eq!(sandbox.mails().len(), joiners);
        cache.clear();
        (host, cache)
    });
    let sweep = || runtime.block_on(host.fire_timer());
    // The first one fills the cache.
    assert_eq!(sweep().jobs(), [""; 0]);
    assert!(!cache.answers.lock().unwrap().is_empty());
    bencher.bench_local(sweep);
}
