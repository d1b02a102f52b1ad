//! The sandbox's Functions host with firstpass as a separate process and a tenant on loopback. Tests advance the tenant's
//! clock instead of waiting.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Timelike};
use firstpass::environment::Environment;
use firstpass_sandbox::{
    functions_host::{self, Failure, FunctionApp, FunctionsHost, Storage, log::Level},
    tenant::{Fault, FaultKind, Person, Sandbox, Tenant, generate::generate, loopback},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};

use crate::helpers::{
    NOW,
    process::{Process, get, post, sandbox_binary, send},
    tenant_with_emma, time,
};

const QUEUE: &str = "pass-jobs";

/// A tenant on loopback, and a storage account with the same clock.
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

    /// Starts another instance of the app with its own process.
    fn host(&self, settings: &[(&str, &str)]) -> FunctionsHost {
        let defaults = [
            ("SANDBOX_URL", self.url.as_str()),
            ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
            ("SWEEP_SCHEDULE", "0 0 6 * * *"),
            // A note is a message more.
            ("MAIL_CC", "none"),
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

    /// Advances the clock to six, waits for the sweep, and returns the number of its jobs.
    async fn sweep(&self, host: &FunctionsHost) -> usize {
        assert!(with_timeout(host.is_ready()).await, "{:?}", host.log().lines());
        self.advance(TimeDelta::minutes(61 - i64::from(self.sandbox.now().minute())));
        let invocation = with_timeout(host.log().invocation(|i| i.function == "SweepJoiners")).await;
        assert!(invocation.is_success(), "{invocation:?}");
        invocation.answer.unwrap().jobs().len()
    }

    /// Waits until a request to a URL with `part` has reached the tenant.
    async fn wait_for_request(&self, part: &str) {
        with_timeout(async {
            while !self.sandbox.requests().iter().any(|request| request.url.contains(part)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

/// Fails the test if `work` hangs.
async fn with_timeout<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), work).await.expect("the work does not end")
}

#[tokio::test]
async fn the_timer_starts_a_sweep_and_every_joiner_is_served() {
    let setup = Setup::new(generate(20, 7, time(NOW))).await;
    let host = setup.host(&[]);
    let jobs = setup.sweep(&host).await;
    with_timeout(setup.storage.wait_until_empty(QUEUE)).await;
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
    let alert = with_timeout(host.log().line("event=alert ")).await;
    assert_eq!(alert.level, Level::Error, "{alert:?}");
    assert!(alert.text.contains("Emma Wa·rner, emma.wa·rner@contoso.example, "), "{alert:?}");
    let warning = with_timeout(host.log().line("event=setting.ignored ")).await;
    assert_eq!(warning.level, Level::Warning, "{warning:?}");
    // The sign-in name is as it is where the stream alone decides.
    let done = with_timeout(host.log().line("event=job.done ")).await;
    assert_eq!(done.level, Level::Information, "{done:?}");
    assert!(done.text.contains(" user=emma.warner@contoso.example "), "{done:?}");
}

#[tokio::test]
async fn a_killed_handler_is_restarted_and_the_joiner_is_served() {
    let (tenant, emma) = tenant_with_emma();
    let setup = Setup::new(tenant).await;
    setup.sandbox.inject(Fault::on("POST", "$batch", FaultKind::Delay(Duration::from_secs(50))));
    let host = setup.host(&[]);
    assert_eq!(setup.sweep(&host).await, 1);
    setup.wait_for_request("$batch").await;
    let first = host.worker_pid();
    host.kill_worker().await;
    let lost = with_timeout(host.log().invocation(|i| i.function == "OnGroupAdd")).await;
    assert!(matches!(lost.result, Err(Failure::Lost(_))), "{lost:?}");
    assert!(with_timeout(host.is_ready()).await);
    assert_ne!(host.worker_pid(), first);
    assert_eq!(setup.storage.messages(QUEUE).len(), 1);
    setup.advance(TimeDelta::minutes(3));
    with_timeout(setup.storage.wait_until_empty(QUEUE)).await;
    let again = host.log().invocations().pop().unwrap();
    assert_eq!((again.attempt, again.is_success()), (2, true), "{again:?}");
    assert_eq!(setup.sandbox.passes().iter().map(|pass| pass.user).collect::<Vec<_>>(), [emma]);
}

#[tokio::test]
async fn another_host_takes_over_the_work_of_a_dead_host() {
    let (tenant, emma) = tenant_with_emma();
    let setup = Setup::new(tenant).await;
    setup.sandbox.inject(Fault::on("POST", "$batch", FaultKind::Delay(Duration::from_secs(50))));
    let one = setup.host(&[]);
    setup.sweep(&one).await;
    setup.wait_for_request("$batch").await;
    one.kill();
    let other = setup.host(&[]);
    assert!(with_timeout(other.is_ready()).await);
    assert_eq!(setup.storage.messages(QUEUE)[0].dequeue_count, 1, "hidden until its lease expires");
    setup.advance(TimeDelta::minutes(10));
    with_timeout(setup.storage.wait_until_empty(QUEUE)).await;
    assert_eq!(other.log().invocations().pop().unwrap().attempt, 2);
    assert_eq!(setup.sandbox.passes().iter().map(|pass| pass.user).collect::<Vec<_>>(), [emma]);
}

#[tokio::test]
async fn a_handler_that_cannot_start_is_tried_three_times_and_its_output_is_logged() {
    let setup = Setup::new(Tenant::new(1)).await;
    let host = setup.host(&[("AzureFunctionsJobHost__customHandler__description__arguments__0", "swerve")]);
    with_timeout(host.wait_until_stopped()).await;
    let line = with_timeout(host.log().line("unrecognized subcommand")).await;
    assert_eq!(line.level, Level::Error, "stderr");
    let ends = host.log().lines().iter().filter(|line| line.text.contains("exit code 2")).count();
    assert_eq!(ends, 3);
}

#[tokio::test]
async fn create_tap_over_http_needs_a_key() {
    let (tenant, emma) = tenant_with_emma();
    let setup = Setup::new(tenant).await;
    let host = Arc::new(setup.host(&[("CREATE_TAP_OPEN", "true")]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let serving = host.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let path = format!("/api/CreateTap?code={}", host.keys().host);
    let call = move |path: &str| post(&port, path, &json!({"UserName": emma}));
    let (made, refused) =
        with_timeout(tokio::task::spawn_blocking(move || (call(&path), call("/api/CreateTap"))))
            .await
            .unwrap();
    assert_eq!((made.0, refused.0), (201, 401), "{}", made.1);
    assert_eq!(made.1["temporaryAccessPass"], setup.sandbox.passes()[0].code.reveal());
}

/// Interrupts the process on drop, so that it stops its handler too.
struct InterruptOnDrop(Process);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

#[test]
fn the_sandbox_command_runs_the_app_and_answers_create_tap() {
    let arguments = ["sandbox", "--listen", "127.0.0.1:0", "--functions", "127.0.0.1:0"];
    let mut running = InterruptOnDrop(Process::sandbox(&arguments, &[]));
    let tenant = running.0.wait_for("SANDBOX_URL=http://");
    let tenant = tenant.split(['/', ' ']).nth(2).unwrap();
    let call = running.0.wait_for("/api/CreateTap");
    let (port, path) = call.rsplit_once(':').unwrap().1.trim_end_matches('\'').split_once('/').unwrap();
    // The line works as it is.
    let printed: Value = serde_json::from_str(call.split('\'').nth(1).unwrap()).unwrap();
    let (status, body) = post(port, &format!("/{path}"), &printed);
    assert_eq!(status, 201, "{body}");
    let state: Value = serde_json::from_str(&get(tenant, "/sandbox/state")).unwrap();
    let passes = state["passes"].as_array().unwrap();
    assert!(passes.iter().any(|pass| pass["temporaryAccessPass"] == body["temporaryAccessPass"]));
}

#[test]
fn a_member_added_over_http_gets_a_mail() {
    let arguments =
        ["sandbox", "--listen", "127.0.0.1:0", "--functions", "127.0.0.1:0", "--joiners", "2", "--seed", "5"];
    let mut running = InterruptOnDrop(Process::sandbox(&arguments, &[]));
    let tenant = running.0.wait_for("SANDBOX_URL=http://");
    let tenant = tenant.split(['/', ' ']).nth(2).unwrap().to_owned();
    let sweep = running.0.wait_for("/admin/functions/SweepJoiners");
    let (port, path) = sweep.rsplit_once(':').unwrap().1.trim_end_matches('\'').split_once('/').unwrap();
    let (port, path) = (port.to_owned(), format!("/{path}"));
    let group = running.0.wait_for("/sandbox/groups/");
    let group = group.split("/groups/").nth(1).unwrap().split('/').next().unwrap();
    // Polls the state of the other process.
    let wait_until = |condition: &dyn Fn(&Value) -> bool| {
        let begin = std::time::Instant::now();
        loop {
            let state: Value = serde_json::from_str(&get(&tenant, "/sandbox/state")).unwrap();
            if condition(&state) {
                return state;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "the condition does not hold after 60 s");
        }
    };
    // The sweep waits until the handler is ready.
    assert_eq!(send("POST", &port, &path, &json!({"input": ""})).unwrap().0, 202);
    let state = wait_until(&|state| state["subscriptions"].as_array().is_some_and(|all| !all.is_empty()));
    let members =
        state["groups"].as_array().unwrap().iter().find(|g| g["id"] == group).unwrap()["members"].clone();
    let is_eligible = |user: &&Value| {
        user["privileged"] == false
            && user["accountEnabled"] == true
            && user["userType"] == "Member"
            && user["otherMails"][0].is_string()
            && !members.as_array().unwrap().contains(&user["id"])
    };
    let user = state["users"].as_array().unwrap().iter().find(is_eligible).expect("a user to add");
    // While the sweep's job for the joiner runs, another one would be busy and wait for three minutes.
    let has_pass = |pass: &Value| pass["userId"] == user["id"];
    wait_until(&|state| state["passes"].as_array().unwrap().iter().any(has_pass));
    let name = user["userPrincipalName"].as_str().unwrap();
    let tenant_port = tenant.rsplit_once(':').unwrap().1;
    let added =
        send("PUT", tenant_port, &format!("/sandbox/groups/{group}/members/{name}"), &json!({})).unwrap();
    assert!((200..300).contains(&added.0), "{added:?}");
    let is_theirs =
        |pass: &Value| pass["userId"] == user["id"] && pass["methodUsabilityReason"] == "EnabledByPolicy";
    wait_until(&|state| state["passes"].as_array().unwrap().iter().any(is_theirs));
    wait_until(&|state| {
        let mails = state["mails"].as_array().unwrap();
        let to_them =
            |mail: &&Value| mail["toRecipients"][0]["emailAddress"]["address"] == user["otherMails"][0];
        mails.iter().any(|mail| to_them(&mail))
    });
}
