//! Queues on Azurite, and the command `firstpass jobs`. `tests/azurite/run` installs and starts Azurite.

use std::{
    process::{Command, Output},
    sync::Arc,
};

use azure_core::http::HttpClient;
use chrono::NaiveDate;
use firstpass::{
    azure::QueueService,
    clock::Clock,
    environment::Environment,
    pass::Job,
    queue::{JOBS, POISON, Queue, azure::AzureQueue},
};
use firstpass_sandbox::functions_host::encode_base64;
use serde_json::{Value, json};
use uuid::Uuid;

use super::check_queue_contract;
use crate::helpers::process::{PRODUCT, Process, post};

const BY_KEY: &str = "AZURITE_QUEUES_BY_KEY";
const BY_SAS: &str = "AZURITE_QUEUES_BY_SAS";

fn connection(name: &str) -> String {
    let env = Environment::process();
    env.get(name).unwrap_or_else(|| panic!("{name}: run tests/azurite/run")).to_owned()
}

fn queue(connection: &str, name: &str) -> AzureQueue {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).no_gzip().build().unwrap();
    let http: Arc<dyn HttpClient> = Arc::new(http);
    let service = QueueService::read(&Environment::from_iter([("AzureWebJobsStorage", connection)]));
    AzureQueue::new(&service.unwrap().unwrap(), name, None, http, Clock::system()).unwrap()
}

/// Runs `firstpass jobs`.
fn jobs(setting: &str, arguments: &[&str]) -> Output {
    Command::new(PRODUCT)
        .arg("jobs")
        .args(arguments)
        .env_clear()
        .envs([("AzureWebJobsStorage", setting), ("RUST_LOG", "trace")])
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn error(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    stderr.lines().last().unwrap().to_owned()
}

/// The log line about poison messages that a sweep writes with this connection.
fn poison_log_line(connection: &str) -> String {
    let mut sandbox = Process::sandbox(&["sandbox", "--listen", "127.0.0.1:0", "--joiners", "5"], &[]);
    let line = sandbox.wait_for("SANDBOX_URL=");
    let url = line.split(['=', ' ']).nth(1).unwrap();
    let (mut serve, port) = Process::serve(&[("SANDBOX_URL", url), ("AzureWebJobsStorage", connection)]);
    let (status, answer) = post(&port, "/SweepJoiners", &json!({"Data": {"timer": {}}, "Metadata": {}}));
    assert_eq!(status, 200, "{answer}");
    serve.wait_for("event=poison.")
}

#[tokio::test]
#[ignore = "needs Azurite: tests/azurite/run"]
async fn azurite_passes_the_queue_contract_with_a_key_and_with_a_sas() {
    for access in [BY_KEY, BY_SAS] {
        let name = format!("queue-{}", Uuid::new_v4());
        check_queue_contract(&queue(&connection(access), &name)).await;
    }
}

#[tokio::test]
#[ignore = "needs Azurite: tests/azurite/run"]
async fn the_jobs_command_lists_requeues_and_deletes_poison_messages() {
    let by_key = connection(BY_KEY);
    let poison = queue(&by_key, POISON);
    let empty = jobs(&by_key, &[]);
    assert!(empty.status.success() && stdout(&empty).contains("pass-jobs-poison is empty"), "{empty:?}");

    let user = Uuid::new_v4();
    let job = Job::joiner(user, NaiveDate::from_ymd_opt(2026, 11, 30).unwrap());
    for text in
        [encode_base64(&job.to_message()), "<not base64> \u{fc}".to_owned(), encode_base64("{\"junk\": [1]}")]
    {
        poison.put(&text).await.unwrap();
    }
    assert!(
        poison_log_line(&by_key).contains("messages=3 waiting=1 served=0 nameless=2"),
        "{}",
        poison_log_line(&by_key)
    );

    let listed = jobs(&by_key, &["--json"]);
    let listed_again: Value = serde_json::from_str(&stdout(&jobs(&connection(BY_SAS), &["--json"]))).unwrap();
    let listed: Value = serde_json::from_str(&stdout(&listed)).unwrap();
    assert_eq!(listed, listed_again, "listing changes nothing, and a SAS sees the same");
    let messages = listed["messages"].as_array().unwrap();
    assert_eq!((&listed["total"], messages.len()), (&Value::from(3), 3));
    assert_eq!((&messages[0]["users"], &messages[0]["reason"]), (&json!([user]), &Value::from("joiner")));
    assert_eq!(
        (&messages[1]["isBase64"], &messages[1]["text"]),
        (&Value::from(false), &Value::from("<not base64> \u{fc}"))
    );
    assert_eq!((&messages[2]["users"], &messages[2]["text"]), (&json!([]), &Value::from("{\"junk\": [1]}")));

    let table = stdout(&jobs(&by_key, &[]));
    for words in [&user.to_string(), "not base64", "no user: {\"junk\": [1]}", "3 poison messages"] {
        assert!(table.contains(words), "{words}: {table}");
    }

    let unknown = Uuid::new_v4().to_string();
    let no_match = jobs(&by_key, &["requeue", &unknown]);
    assert!(error(&no_match).contains(&format!("no message of {unknown}")), "{no_match:?}");
    let requeued = jobs(&by_key, &["requeue", &user.to_string().to_uppercase()]);
    assert!(requeued.status.success() && stdout(&requeued).contains("requeued: "), "{requeued:?}");
    let back = queue(&by_key, JOBS).peek().await.unwrap();
    assert_eq!(back.iter().filter_map(|m| m.decoded()).collect::<Vec<_>>(), [job.to_message()]);

    let junk = messages[2]["messageId"].as_str().unwrap();
    let unconfirmed = jobs(&by_key, &["delete", junk]);
    assert!(error(&unconfirmed).contains("--yes deletes the 1 above"), "{unconfirmed:?}");
    let no_match = jobs(&by_key, &["delete", &unknown]);
    assert!(error(&no_match).contains("no message matches"), "{no_match:?}");
    assert_eq!(poison.peek().await.unwrap().len(), 2);
    let deleted = jobs(&by_key, &["delete", junk, "--yes", "--json"]);
    let deleted: Value = serde_json::from_str(&stdout(&deleted)).unwrap();
    assert_eq!(deleted["deleted"][0]["messageId"], junk);
    let left = poison.peek().await.unwrap();
    assert_eq!((left.len(), left[0].text.as_str()), (1, "<not base64> \u{fc}"));

    let all = jobs(&by_key, &["requeue", "--all"]);
    assert!(all.status.success(), "{all:?}");
    let back = queue(&by_key, JOBS).peek().await.unwrap();
    assert_eq!(back[1].decoded().unwrap(), "<not base64> \u{fc}", "base64 for the host");
    assert_eq!(poison.count().await, Ok(0));
}

#[test]
#[ignore = "needs Azurite: tests/azurite/run"]
fn the_jobs_command_reports_errors_with_a_remedy_and_no_secret() {
    let by_key = connection(BY_KEY);
    let key = by_key.split("AccountKey=").nth(1).unwrap().split(';').next().unwrap();
    let wrong_key = by_key.replace(key, &encode_base64("another key"));
    let (address, rest) = by_key.split_once("QueueEndpoint=http://127.0.0.1:").unwrap();
    let unreachable =
        format!("{address}QueueEndpoint=http://127.0.0.1:9/{}", rest.split_once('/').unwrap().1);
    for (setting, words) in [
        (wrong_key, "check the AccountKey in AzureWebJobsStorage"),
        (unreachable, "check that the storage account can be reached"),
        (String::new(), "Name the function app's storage account with --account"),
        (by_key.replace("AccountKey=", "AccountKey=!"), "AccountKey that is not base64"),
    ] {
        let output = jobs(&setting, &[]);
        assert!(error(&output).contains(words), "{words}: {}", error(&output));
        let printed = format!("{}{}", stdout(&output), String::from_utf8(output.stderr).unwrap());
        let printed = printed.replace("sig=REDACTED", "");
        assert!(!printed.contains("sig=") && !printed.contains(key), "{printed}");
    }
}
