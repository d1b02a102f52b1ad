//! The local host with firstpass as a process of its own, beside a tenant on loopback. The tenant's time is set ahead
//! where something has to wait; nothing here sleeps.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Timelike};
use firstpass::environment::Environment;
use firstpass_sandbox::{
    functions_host::{self, Failure, FunctionApp, FunctionsHost, Storage, log::Level},
    tenant::{Fault, FaultKind, Person, Sandbox, Tenant, generate::generate, loopback},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};

use crate::{
    helpers::{NOW, tenant_with_emma, time},
    process::{Process, get, post, sandbox_binary, send},
};

const QUEUE: &str = "pass-jobs";

/// A tenant on loopback, and a storage account in its time.
struct Setup {
    sandbox: Sandbox,
    storage: Storage,
    url: String,
}

impl Setup {
    async fn new(tenant: Tenant) -> Self {
        let sandbox = Sandbox::new(tenant, time(NOW));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(loopback::serve(sandbox.clone(), listener));
        let storage = Storage::new(sandbox.clock());
        Self { sandbox, storage, url }
    }

    /// One more instance of the app, with a process of its own.
    fn host(&self, settings: &[(&str, &str)]) -> FunctionsHost {
        let defaults = [
            ("SANDBOX_URL", self.url.as_str()),
            ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
            ("SWEEP_SCHEDULE", "0 0 6 * * *"),
            ("NO_COLOR", "1"),
        ];
        let settings: Environment = defaults.iter().chain(settings).copied().collect();
        let app = FunctionApp::embedded(&settings).unwrap_or_else(|problems| panic!("{problems}"));
        let executable = sandbox_binary();
        let process = functions_host::Process::new(env!("CARGO_MANIFEST_DIR"), Some(executable)).unwrap();
        FunctionsHost::start(app, Arc::new(process), self.storage.clone())
    }

    fn advance(&self, by: TimeDelta) {
        self.sandbox.advance(by);
        self.storage.notify_clock_changed();
    }

    /// Lets it be six, and waits for the sweep.
    async fn sweep(&self, host: &FunctionsHost) -> usize {
        assert!(soon(host.is_ready()).await, "{:?}", host.log().lines());
        self.advance(TimeDelta::minutes(61 - i64::from(self.sandbox.now().minute())));
        let swept = soon(host.log().invocation(|i| i.function == "SweepJoiners")).await;
        assert!(swept.is_success(), "{swept:?}");
        swept.answer.unwrap().jobs().len()
    }

    /// Waits until a request has reached the tenant that nobody has answered.
    async fn request(&self, part: &str) {
        soon(async {
            while !self.sandbox.requests().iter().any(|request| request.url.contains(part)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

/// A process may hang where it must not; then the test says so in the end.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), work).await.expect("this takes too long")
}

#[tokio::test]
async fn the_timer_starts_a_sweep_and_every_joiner_is_served() {
    let setup = Setup::new(generate(20, 7, time(NOW))).await;
    let host = setup.host(&[]);
    let jobs = setup.sweep(&host).await;
    soon(setup.storage.wait_until_empty(QUEUE)).await;
    let completed: Vec<_> = host.log().invocations().iter().filter_map(|i| i.completed()).collect();
    assert_eq!((completed.len(), completed.iter().all(|s| s.answer.is_success())), (jobs, true));
    let mailed = completed.iter().filter(|s| s.answer.log().contains(": delivered: ")).count();
    assert!(mailed > 3 && setup.sandbox.passes().len() >= mailed, "{mailed}");
    assert_eq!(host.log().line("handler.started").await.level, Level::Information);
    for line in host.log().lines() {
        assert_eq!(line.level, level_in(&line.text), "the stream follows the level: {line:?}");
    }
}

/// The severity that the handler gave a line.
fn level_in(line: &str) -> Level {
    match line.split_whitespace().nth(1) {
        Some("ERROR") => Level::Error,
        Some("WARN") => Level::Warning,
        Some("INFO") => Level::Information,
        _ => panic!("a line without a level: {line}"),
    }
}

/// The host takes a line on stderr for a warning if these letters are in it.
#[tokio::test]
async fn an_alert_is_an_error_to_the_host_even_if_the_joiner_is_called_warner() {
    let mut tenant = Tenant::new(7);
    let warner = Person::named("Emma Warner").hire_date(time("2026-11-27T00:00:00Z")).usage_location("GB");
    tenant.add(warner);
    let setup = Setup::new(tenant).await;
    let host = setup.host(&[("PASS_LIVETIME", "60")]);
    assert_eq!(setup.sweep(&host).await, 1);
    let alert = soon(host.log().line("event=alert ")).await;
    assert_eq!(alert.level, Level::Error, "{alert:?}");
    assert!(alert.text.contains(" who=emma.wa·rner@contoso.example "), "{alert:?}");
    let warning = soon(host.log().line("event=setting.ignored ")).await;
    assert_eq!(warning.level, Level::Warning, "{warning:?}");
    // The sign-in name is as it is where the stream alone decides.
    let done = soon(host.log().line("event=job.done ")).await;
    assert_eq!(done.level, Level::Information, "{done:?}");
    assert!(done.text.contains(" user=emma.warner@contoso.example "), "{done:?}");
}

#[tokio::test]
async fn a_handler_that_is_killed_at_work_is_started_again_and_the_joiner_gets_a_pass() {
    let (tenant, emma) = tenant_with_emma();
    let setup = Setup::new(tenant).await;
    setup.sandbox.inject(Fault::on("POST", "$batch", FaultKind::Delay(Duration::from_secs(50))));
    let host = setup.host(&[]);
    assert_eq!(setup.sweep(&host).await, 1);
    setup.request("$batch").await;
    let first = host.worker_pid();
    host.kill_worker().await;
    let lost = soon(host.log().invocation(|i| i.function == "OnGroupAdd")).await;
    assert!(matches!(lost.result, Err(Failure::Lost(_))), "{lost:?}");
    assert!(soon(host.is_ready()).await);
    assert_ne!(host.worker_pid(), first);
    assert_eq!(setup.storage.messages(QUEUE).len(), 1);
    setup.advance(TimeDelta::minutes(3));
    soon(setup.storage.wait_until_empty(QUEUE)).await;
    let again = host.log().invocations().pop().unwrap();
    assert_eq!((again.attempt, again.is_success()), (2, true), "{again:?}");
    assert_eq!(setup.sandbox.passes().iter().map(|pass| pass.user).collect::<Vec<_>>(), [emma]);
}

#[tokio::test]
async fn a_host_that_dies_with_its_handler_leaves_its_work_to_another() {
    let (tenant, emma) = tenant_with_emma();
    let setup = Setup::new(tenant).await;
    setup.sandbox.inject(Fault::on("POST", "$batch", FaultKind::Delay(Duration::from_secs(50))));
    let one = setup.host(&[]);
    setup.sweep(&one).await;
    setup.request("$batch").await;
    one.kill();
    let other = setup.host(&[]);
    assert!(soon(other.is_ready()).await);
    assert_eq!(setup.storage.messages(QUEUE)[0].dequeue_count, 1, "hidden as long as its lease");
    setup.advance(TimeDelta::minutes(10));
    soon(setup.storage.wait_until_empty(QUEUE)).await;
    assert_eq!(other.log().invocations().pop().unwrap().attempt, 2);
    assert_eq!(setup.sandbox.passes().iter().map(|pass| pass.user).collect::<Vec<_>>(), [emma]);
}

#[tokio::test]
async fn a_handler_that_cannot_start_is_tried_three_times_and_what_it_says_is_kept() {
    let setup = Setup::new(Tenant::new(1)).await;
    let host = setup.host(&[("AzureFunctionsJobHost__customHandler__description__arguments__0", "swerve")]);
    soon(host.wait_until_stopped()).await;
    let line = soon(host.log().line("unrecognized subcommand")).await;
    assert_eq!(line.level, Level::Error, "stderr");
    let ends = host.log().lines().iter().filter(|line| line.text.contains("exit code 2")).count();
    assert_eq!(ends, 3);
}

#[tokio::test]
async fn create_tap_can_be_called_from_outside() {
    let (tenant, emma) = tenant_with_emma();
    let setup = Setup::new(tenant).await;
    let host = Arc::new(setup.host(&[]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let serving = host.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let path = format!("/api/CreateTap?code={}", host.keys().host);
    let call = move |path: &str| post(&port, path, &json!({"UserName": emma}));
    let (made, refused) =
        soon(tokio::task::spawn_blocking(move || (call(&path), call("/api/CreateTap")))).await.unwrap();
    assert_eq!((made.0, refused.0), (201, 401), "{}", made.1);
    assert_eq!(made.1["temporaryAccessPass"], setup.sandbox.passes()[0].code.reveal());
}

/// Ends the handler with the host, also when the test fails.
struct Interrupted(Process);

impl Drop for Interrupted {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

#[test]
fn a_person_can_run_the_whole_app_beside_a_tenant_and_call_it() {
    let arguments = ["sandbox", "--listen", "127.0.0.1:0", "--functions", "127.0.0.1:0"];
    let mut running = Interrupted(Process::sandbox(&arguments, &[]));
    let tenant = running.0.wait_for("SANDBOX_URL=http://");
    let tenant = tenant.split(['/', ' ']).nth(2).unwrap();
    let call = running.0.wait_for("/api/CreateTap");
    let (port, path) = call.rsplit_once(':').unwrap().1.trim_end_matches('\'').split_once('/').unwrap();
    let state: Value = serde_json::from_str(&get(tenant, "/sandbox/state")).unwrap();
    let plain = |user: &&Value| {
        user["privileged"] == false && user["accountEnabled"] == true && user["userType"] == "Member"
    };
    let user = state["users"].as_array().unwrap().iter().find(plain).unwrap();
    let (status, body) = post(port, &format!("/{path}"), &json!({"UserName": user["id"]}));
    assert_eq!(status, 201, "{body}");
    let state: Value = serde_json::from_str(&get(tenant, "/sandbox/state")).unwrap();
    let passes = state["passes"].as_array().unwrap();
    assert!(passes.iter().any(|pass| pass["temporaryAccessPass"] == body["temporaryAccessPass"]));
}

#[test]
fn a_person_can_add_somebody_to_the_group_and_see_the_mail() {
    let arguments =
        ["sandbox", "--listen", "127.0.0.1:0", "--functions", "127.0.0.1:0", "--joiners", "2", "--seed", "5"];
    let mut running = Interrupted(Process::sandbox(&arguments, &[]));
    let tenant = running.0.wait_for("SANDBOX_URL=http://");
    let tenant = tenant.split(['/', ' ']).nth(2).unwrap().to_owned();
    let sweep = running.0.wait_for("/admin/functions/SweepJoiners");
    let (port, path) = sweep.rsplit_once(':').unwrap().1.trim_end_matches('\'').split_once('/').unwrap();
    let (port, path) = (port.to_owned(), format!("/{path}"));
    let group = running.0.wait_for("/sandbox/groups/");
    let group = group.split("/groups/").nth(1).unwrap().split('/').next().unwrap();
    // Asked again and again: what happens, happens in another process.
    let until = |is_so: &dyn Fn(&Value) -> bool| {
        let begin = std::time::Instant::now();
        loop {
            let state: Value = serde_json::from_str(&get(&tenant, "/sandbox/state")).unwrap();
            if is_so(&state) {
                return state;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "it did not happen");
        }
    };
    // The first sweep may have to wait for the handler.
    assert_eq!(send("POST", &port, &path, &json!({"input": ""})).unwrap().0, 202);
    let state = until(&|state| state["subscriptions"].as_array().is_some_and(|all| !all.is_empty()));
    let members =
        state["groups"].as_array().unwrap().iter().find(|g| g["id"] == group).unwrap()["members"].clone();
    let plain = |user: &&Value| {
        user["privileged"] == false
            && user["accountEnabled"] == true
            && user["userType"] == "Member"
            && user["otherMails"][0].is_string()
            && !members.as_array().unwrap().contains(&user["id"])
    };
    let user = state["users"].as_array().unwrap().iter().find(plain).expect("somebody to add");
    let name = user["userPrincipalName"].as_str().unwrap();
    let tenant_port = tenant.rsplit_once(':').unwrap().1;
    let added =
        send("PUT", tenant_port, &format!("/sandbox/groups/{group}/members/{name}"), &json!({})).unwrap();
    assert!((200..300).contains(&added.0), "{added:?}");
    let now =
        |pass: &Value| pass["userId"] == user["id"] && pass["methodUsabilityReason"] == "EnabledByPolicy";
    until(&|state| state["passes"].as_array().unwrap().iter().any(now));
    until(&|state| {
        let mails = state["mails"].as_array().unwrap();
        let to_them =
            |mail: &&Value| mail["toRecipients"][0]["emailAddress"]["address"] == user["otherMails"][0];
        mails.iter().any(|mail| to_them(&mail))
    });
}
