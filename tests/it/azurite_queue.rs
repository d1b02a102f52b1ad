//! Queues on Azurite, and `firstpass jobs` as people call it. `tests/azurite/run` installs and starts it.

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
use firstpass_sandbox::functions_host::queue::encoded;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    process::{PRODUCT, Process, post},
    queues::keeps_every_promise,
};

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

fn jobs(setting: &str, arguments: &[&str]) -> Output {
    Command::new(PRODUCT)
        .arg("jobs")
        .args(arguments)
        .env_clear()
        .envs([("AzureWebJobsStorage", setting), ("RUST_LOG", "trace")])
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn complained(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    let words = String::from_utf8(output.stderr.clone()).unwrap();
    words.lines().last().unwrap().to_owned()
}

/// What a handler with this connection says of given-up messages when it sweeps.
fn swept(connection: &str) -> String {
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
async fn azurite_keeps_every_promise_to_who_has_the_key_and_to_who_has_a_signature() {
    for access in [BY_KEY, BY_SAS] {
        let name = format!("queue-{}", Uuid::new_v4());
        keeps_every_promise(&queue(&connection(access), &name)).await;
    }
}

#[tokio::test]
#[ignore = "needs Azurite: tests/azurite/run"]
async fn what_was_given_up_is_listed_put_back_and_deleted() {
    let by_key = connection(BY_KEY);
    let poison = queue(&by_key, POISON);
    let empty = jobs(&by_key, &[]);
    assert!(empty.status.success() && said(&empty).contains("pass-jobs-poison is empty"), "{empty:?}");

    let user = Uuid::new_v4();
    let job = Job::joiner(user, NaiveDate::from_ymd_opt(2026, 11, 30).unwrap());
    for text in [encoded(&job.to_message()), "<not base64> \u{fc}".to_owned(), encoded("{\"junk\": [1]}")] {
        poison.put(&text).await.unwrap();
    }
    assert!(swept(&by_key).contains("messages=3 waiting=1 served=0 nameless=2"), "{}", swept(&by_key));

    let listed = jobs(&by_key, &["--json"]);
    let listed_again: Value = serde_json::from_str(&said(&jobs(&connection(BY_SAS), &["--json"]))).unwrap();
    let listed: Value = serde_json::from_str(&said(&listed)).unwrap();
    assert_eq!(listed, listed_again, "a look changes nothing, and a signature sees the same");
    let messages = listed["messages"].as_array().unwrap();
    assert_eq!((&listed["total"], messages.len()), (&Value::from(3), 3));
    assert_eq!((&messages[0]["users"], &messages[0]["reason"]), (&json!([user]), &Value::from("joiner")));
    assert_eq!(
        (&messages[1]["isBase64"], &messages[1]["text"]),
        (&Value::from(false), &Value::from("<not base64> \u{fc}"))
    );
    assert_eq!((&messages[2]["users"], &messages[2]["text"]), (&json!([]), &Value::from("{\"junk\": [1]}")));

    let table = said(&jobs(&by_key, &[]));
    for words in [&user.to_string(), "not base64", "no user: {\"junk\": [1]}", "3 poison messages"] {
        assert!(table.contains(words), "{words}: {table}");
    }

    let stranger = Uuid::new_v4().to_string();
    let nobody = jobs(&by_key, &["requeue", &stranger]);
    assert!(complained(&nobody).contains(&format!("no message of {stranger}")), "{nobody:?}");
    let requeued = jobs(&by_key, &["requeue", &user.to_string().to_uppercase()]);
    assert!(requeued.status.success() && said(&requeued).contains("requeued: "), "{requeued:?}");
    let back = queue(&by_key, JOBS).peek().await.unwrap();
    assert_eq!(back.iter().filter_map(|m| m.decoded()).collect::<Vec<_>>(), [job.to_message()]);

    let junk = messages[2]["messageId"].as_str().unwrap();
    let rehearsed = jobs(&by_key, &["delete", junk]);
    assert!(complained(&rehearsed).contains("--yes deletes the 1 above"), "{rehearsed:?}");
    let nobody = jobs(&by_key, &["delete", &stranger]);
    assert!(complained(&nobody).contains("no message matches"), "{nobody:?}");
    assert_eq!(poison.peek().await.unwrap().len(), 2);
    let deleted = jobs(&by_key, &["delete", junk, "--yes", "--json"]);
    let deleted: Value = serde_json::from_str(&said(&deleted)).unwrap();
    assert_eq!(deleted["deleted"][0]["messageId"], junk);
    let left = poison.peek().await.unwrap();
    assert_eq!((left.len(), left[0].text.as_str()), (1, "<not base64> \u{fc}"));

    let all = jobs(&by_key, &["requeue", "--all"]);
    assert!(all.status.success(), "{all:?}");
    let back = queue(&by_key, JOBS).peek().await.unwrap();
    assert_eq!(back[1].decoded().unwrap(), "<not base64> \u{fc}", "readable for the host now");
    assert_eq!(poison.count().await, Ok(0));
}

#[test]
#[ignore = "needs Azurite: tests/azurite/run"]
fn what_is_wrong_is_said_with_what_to_do_and_no_secret() {
    let by_key = connection(BY_KEY);
    let key = by_key.split("AccountKey=").nth(1).unwrap().split(';').next().unwrap();
    let wrong_key = by_key.replace(key, &encoded("another key"));
    let (address, rest) = by_key.split_once("QueueEndpoint=http://127.0.0.1:").unwrap();
    let nobody_there =
        format!("{address}QueueEndpoint=http://127.0.0.1:9/{}", rest.split_once('/').unwrap().1);
    for (setting, words) in [
        (wrong_key, "check the AccountKey in AzureWebJobsStorage"),
        (nobody_there, "check that the storage account can be reached"),
        (String::new(), "Name the function app's storage account with --account"),
        (by_key.replace("AccountKey=", "AccountKey=!"), "AccountKey that is not base64"),
    ] {
        let output = jobs(&setting, &[]);
        assert!(complained(&output).contains(words), "{words}: {}", complained(&output));
        let printed = format!("{}{}", said(&output), String::from_utf8(output.stderr).unwrap());
        let printed = printed.replace("sig=REDACTED", "");
        assert!(!printed.contains("sig=") && !printed.contains(key), "{printed}");
    }
}
