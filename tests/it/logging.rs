//! docs/LOGGING.md lists what the handler logs, and every line of an invocation carries its fields.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{body::Body, http::Request};
use firstpass::{
    host,
    ledger::{Ledger, memory::MemoryLedger},
    pass::Job,
};
use firstpass_sandbox::tenant::{Fault, Group, Person, Tenant};
use serde_json::json;
use tower::ServiceExt;
use uuid::Uuid;

use crate::{
    helpers::{
        NOW, PASS_PATH, TestApp, emma, fail_with, log_capture::capture_log, source, tenant_with_emma,
        throttle, time,
    },
    ledger::{blob_ledger, blob_service::BlobService},
};

/// An event in the source or on the page.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    levels: BTreeSet<String>,
    fields: BTreeSet<String>,
}

/// What stands between the brackets of a macro, up to the one that closes them.
fn arguments(code: &str) -> &str {
    let (mut depth, mut in_text, mut escaped) = (1, false, false);
    for (at, c) in code.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &code[..at];
        }
    }
    panic!("{code}")
}

/// The arguments of a macro, at the commas outside of brackets and texts.
fn split(arguments: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut in_text, mut begin) = (Vec::new(), 0, false, 0);
    for (at, c) in arguments.char_indices() {
        match c {
            '"' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text => depth -= 1,
            ',' if !in_text && depth == 0 => {
                parts.push(arguments[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(arguments[begin..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// Every event in `src/`; each must have a name and a message.
fn logged_events() -> BTreeMap<String, Event> {
    let mut events: BTreeMap<String, Event> = BTreeMap::new();
    for file in &source::files("src") {
        let code = &source::code(file);
        for level in ["error", "warn", "info", "debug", "trace"] {
            for (at, start) in code.match_indices(&format!("tracing::{level}!(")) {
                let parts = split(arguments(&code[at + start.len()..]));
                let [name, fields @ .., message] = parts.as_slice() else { panic!("{file}: {parts:?}") };
                let name = name.strip_prefix("event = \"").and_then(|name| name.strip_suffix('"'));
                let name = name.unwrap_or_else(|| panic!("{file}: an event without a name: {parts:?}"));
                let sentence = message.trim_matches('"');
                assert!(message.starts_with('"') && sentence.contains(' '), "{file}: {name} has no message");
                assert!(sentence.starts_with(char::is_uppercase) && !sentence.ends_with('.'), "{sentence}");
                let event = events.entry(name.to_owned()).or_default();
                event.levels.insert(level.to_uppercase());
                event.fields.extend(fields.iter().map(|field| {
                    let name = field.split(" =").next().unwrap();
                    name.trim_start_matches(['%', '?']).to_owned()
                }));
            }
        }
    }
    events
}

/// The table of events in docs/LOGGING.md.
fn documented_events() -> BTreeMap<String, Event> {
    let page = source::read("docs/LOGGING.md");
    let (_, table) = page.split_once("| event | level | fields |").expect("the table of events");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| "));
    let mut events = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, levels, fields, meaning, action] = cells.as_slice() else { panic!("{row}") };
        assert!(!meaning.is_empty() && !action.is_empty(), "{row}");
        let event = Event {
            levels: levels.split(", ").map(str::to_owned).collect(),
            fields: fields.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
        };
        let known = events.insert(name.trim_matches('`').to_owned(), event);
        assert!(known.is_none(), "twice: {row}");
    }
    events
}

#[test]
fn the_page_has_every_event_with_its_levels_and_fields_and_no_other() {
    let (logged, documented) = (logged_events(), documented_events());
    assert!(logged.len() > 20, "{logged:?}");
    let names = |events: &BTreeMap<String, Event>| events.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&documented), names(&logged));
    for (name, event) in &logged {
        assert_eq!(&documented[name], event, "{name}");
    }
}

/// The value of a field in a line.
fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(&format!(" {name}="))?;
    rest.split(' ').next()
}

/// The lines that firstpass wrote, without those of libraries.
fn own(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains(" firstpass::")).collect()
}

fn events<'l>(lines: &[&'l str]) -> Vec<&'l str> {
    lines.iter().filter_map(|line| field(line, "event")).collect()
}

/// Every line of an invocation carries `fields`, each once, and they all have the same id.
fn assert_carry(lines: &[&str], fields: &[(&str, &str)]) {
    let ids: BTreeSet<_> = lines.iter().map(|line| field(line, "invocation_id")).collect();
    assert!(ids.len() == 1 && !ids.contains(&None), "{lines:#?}");
    for line in lines {
        for (name, value) in fields {
            assert_eq!(field(line, name), Some(*value), "{name}: {line}");
            assert_eq!(line.matches(&format!(" {name}=")).count(), 1, "{name}: {line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_line_of_a_job_carries_its_invocation_and_its_user() {
    let ledgers: [Arc<dyn Ledger>; 2] =
        [Arc::new(MemoryLedger::default()), Arc::new(blob_ledger(&BlobService::new()))];
    for ledger in ledgers {
        let (tenant, emma) = tenant_with_emma();
        let app = TestApp::with_ledger(tenant, &[], ledger);
        app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("3")));
        app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)).always());
        let job = app.job(emma);
        let (answer, log) = capture_log("firstpass=trace", app.host.deliver(&job.to_message(), 10)).await;
        assert!(!answer.is_success(), "{answer:?}");
        let lines = own(&log);
        let before = [
            "sign_ins.not_checked",
            "eligible_groups.not_checked",
            "ledger.written",
            "graph.retry_scheduled",
            "ledger.written",
        ];
        let after = ["job.done", "alert", "alert.mail_failed"];
        assert_eq!(events(&lines), [&before[..], &after].concat(), "{log}");
        assert_carry(&lines, &[("function", "OnGroupAdd"), ("delivery", "10"), ("job", &job.key)]);
        let user = emma.to_string();
        for line in &lines {
            // The one line that names the person by the sign-in name; the object id is in its job.
            let name = if line.contains("event=job.done") { "emma.brooks@contoso.example" } else { &user };
            assert_eq!((field(line, "user"), line.matches(" user=").count()), (Some(name), 1), "{line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_the_host_is_on_every_line_where_it_sends_one() {
    let (app, emma) = TestApp::with_emma();
    let job = Job::joiner(emma, time(NOW).date_naive());
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = Request::post("/OnGroupAdd")
        .header("X-Azure-Functions-InvocationId", "b6a0b1f2-1f4e-4f0e-9a55-0d9c1d2e3f40")
        .header("traceparent", traceparent)
        .header("content-type", "application/json")
        .body(Body::from(app.host.queue_invocation(&job.to_message(), 1).to_string()))
        .unwrap();
    let work = host::router(Ok(app.app.clone())).oneshot(request);
    let (answer, log) = capture_log("firstpass=debug", work).await;
    assert!(answer.unwrap().status().is_success());
    let lines = own(&log);
    assert_eq!(
        events(&lines),
        [
            "sign_ins.not_checked",
            "eligible_groups.not_checked",
            "ledger.written",
            "ledger.written",
            "job.done"
        ]
    );
    let id = ("invocation_id", "b6a0b1f2-1f4e-4f0e-9a55-0d9c1d2e3f40");
    assert_carry(&lines, &[id, ("traceparent", traceparent)]);

    let (_, log) = capture_log("firstpass=debug", app.run_job(emma)).await;
    assert!(!own(&log).is_empty() && !log.contains("traceparent="), "{log}");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_run_at_the_same_time_have_separate_lines() {
    let mut tenant = Tenant::new(7);
    let users: Vec<Uuid> = (0..6)
        .map(|n| {
            let manager = tenant.add_mailbox(Person::named(&format!("Boss {n}")));
            tenant.add(emma(manager).user_principal_name(&format!("emma{n}@contoso.example")))
        })
        .collect();
    let app = TestApp::new(tenant, &[]);
    app.sandbox.inject(Fault::on("POST", "batch", throttle("2")).times(4));
    let jobs = futures::future::join_all(users.iter().map(|user| app.run_job(*user)));
    let (_, log) = capture_log("firstpass=debug", jobs).await;
    let lines = own(&log);
    for user in &users {
        let user = user.to_string();
        let of_user: Vec<&str> = lines
            .iter()
            .copied()
            .filter(|line| field(line, "job").is_some_and(|j| j.contains(&user)))
            .collect();
        assert!(of_user.len() >= 3, "{log}");
        assert_carry(&of_user, &[("delivery", "1")]);
        let id = field(of_user[0], "invocation_id");
        let of_invocation = lines.iter().filter(|line| field(line, "invocation_id") == id).count();
        assert_eq!(of_invocation, of_user.len(), "no line of another job: {log}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_and_a_sweep_carry_theirs() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("3")));
    let (answer, log) = capture_log("firstpass=debug", app.create_tap(&emma.to_string())).await;
    assert_eq!(answer.0, 201);
    let lines = own(&log);
    let audit = lines.last().unwrap();
    assert_eq!(field(audit, "event"), Some("create_tap.audit"), "{log}");
    let id = field(audit, "invocation_id").unwrap();
    let job = format!("http/{emma}/{id}");
    assert_carry(&lines, &[("function", "CreateTap"), ("job", &job)]);
    assert!(events(&lines).contains(&"graph.retry_scheduled"), "{log}");

    let (mut tenant, _) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On demand")).to_string();
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group)]);
    app.sandbox.inject(Fault::on("GET", "/users", throttle("3")));
    let (swept, log) = capture_log("firstpass=debug", app.host.fire_timer()).await;
    assert!(swept.is_success(), "{swept:?}");
    let lines = own(&log);
    assert_carry(&lines, &[("function", "SweepJoiners")]);
    for event in ["graph.retry_scheduled", "poison.not_read", "ledger.membership_written", "sweep.done"] {
        assert!(events(&lines).contains(&event), "{event}: {log}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_job_is_named_by_the_queues_id_and_never_by_its_own() {
    let (app, _) = TestApp::with_emma();
    let (_, log) = capture_log("firstpass=debug", app.host.deliver("not a user", 2)).await;
    let lines = own(&log);
    assert_eq!(events(&lines), ["alert"], "{log}");
    let id = field(lines[0], "message_id").unwrap();
    assert!(id.parse::<Uuid>().is_ok() && !lines[0].contains(" job="), "{log}");
    assert_carry(&lines, &[("function", "OnGroupAdd"), ("delivery", "2")]);

    let named =
        json!({"Data": {"msg": "not a user"}, "Metadata": {"DequeueCount": "2", "Id": "\"Emma Brooks\""}});
    let (_, log) = capture_log("firstpass=debug", app.host.post("OnGroupAdd", named.to_string())).await;
    assert!(events(&own(&log)) == ["alert"] && !log.contains("Emma"), "{log}");
}
