use azure_core::credentials::{Secret, SecretBytes};
use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::*;

const KEY: &str = "c2VjcmV0LWtleQ==";

#[test]
fn the_cloud_decides_where_an_account_is() {
    for (setting, value) in [
        ("AzureWebJobsStorage__accountName", "mine".to_owned()),
        (STORAGE, format!("AccountName=mine;AccountKey={KEY}")),
    ] {
        for (cloud, url) in [
            ("public", "https://mine.queue.core.windows.net/"),
            ("usgov", "https://mine.queue.core.usgovcloudapi.net/"),
            ("usgov-dod", "https://mine.queue.core.usgovcloudapi.net/"),
        ] {
            let service = read(&[(setting, &value), ("CLOUD", cloud)]).unwrap().unwrap();
            assert_eq!(service.url.as_str(), url, "{setting}");
        }
    }
}

fn read(settings: &[(&str, &str)]) -> Result<Option<QueueService>, SettingsError> {
    QueueService::read(&settings.iter().copied().collect())
}

fn connected(text: &str) -> QueueService {
    read(&[(STORAGE, text)]).unwrap_or_else(|report| panic!("{text}: {report}")).unwrap()
}

fn key(account: &str) -> QueueAccess {
    QueueAccess::Key { account: account.to_owned(), key: SecretBytes::new(STANDARD.decode(KEY).unwrap()) }
}

fn problems(settings: &[(&str, &str)]) -> Vec<String> {
    read(settings)
        .unwrap_err()
        .0
        .iter()
        .map(|problem| format!("{} {}", problem.name, problem.detail))
        .collect()
}

#[test]
fn every_form_of_connection_string_leads_to_its_queue_service() {
    let sas = || QueueAccess::Sas(Secret::new("sv=2021-12-02&sig=abc%3D"));
    for (text, url, access) in [
        (
            format!("DefaultEndpointsProtocol=https;AccountName=mine;AccountKey={KEY};EndpointSuffix=core.windows.net"),
            "https://mine.queue.core.windows.net/",
            key("mine"),
        ),
        (format!("accountname=mine;ACCOUNTKEY={KEY};"), "https://mine.queue.core.windows.net/", key("mine")),
        (
            format!("AccountName=mine;AccountKey={KEY};QueueEndpoint=https://mine.z12.queue.storage.azure.net"),
            "https://mine.z12.queue.storage.azure.net/",
            key("mine"),
        ),
        (
            format!("DefaultEndpointsProtocol=http;AccountName=mine;AccountKey={KEY};QueueEndpoint=http://127.0.0.1:7001/mine;"),
            "http://127.0.0.1:7001/mine",
            key("mine"),
        ),
        (
            "BlobEndpoint=https://x.example;QueueEndpoint=https://queues.queue.core.windows.net/;SharedAccessSignature=sv=2021-12-02&sig=abc%3D".into(),
            "https://queues.queue.core.windows.net/",
            sas(),
        ),
        (
            "AccountName=mine;SharedAccessSignature=?sv=2021-12-02&sig=abc%3D".into(),
            "https://mine.queue.core.windows.net/",
            sas(),
        ),
    ] {
        let service = connected(&text);
        assert_eq!((service.url.as_str(), service.access), (url, access), "{text}");
    }
}

#[test]
fn the_emulator_is_where_azurite_listens() {
    for (text, url) in [
        ("UseDevelopmentStorage=true", "http://127.0.0.1:10001/devstoreaccount1"),
        (
            "usedevelopmentstorage=True;DevelopmentStorageProxyUri=http://localhost",
            "http://localhost:10001/devstoreaccount1",
        ),
    ] {
        let service = connected(text);
        assert_eq!(service.url.as_str(), url);
        assert!(matches!(service.access, QueueAccess::Key { account, .. } if account == "devstoreaccount1"));
    }
}

#[test]
fn without_a_connection_string_the_identity_is_the_one_that_the_host_takes() {
    let (own, ours) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let (own_text, our_text) = (own.to_string(), ours.to_string());
    let name = (ACCOUNT_NAME, "mine");
    let uri = (SERVICE_URI, "https://queues.queue.core.windows.net/");
    let managed = (CREDENTIAL, "managedidentity");
    let (own_id, our_id) = ((CLIENT_ID, own_text.as_str()), ("AZURE_CLIENT_ID", our_text.as_str()));
    for (settings, url, client_id) in [
        (vec![name], "https://mine.queue.core.windows.net/", None),
        (vec![name, uri], "https://queues.queue.core.windows.net/", None),
        (vec![name, managed, own_id, our_id], "https://mine.queue.core.windows.net/", Some(own)),
        (vec![name, managed, our_id], "https://mine.queue.core.windows.net/", None),
        (vec![uri, our_id], "https://queues.queue.core.windows.net/", Some(ours)),
    ] {
        let service = read(&settings).unwrap().unwrap();
        let expected = QueueAccess::Identity { client_id };
        assert_eq!((service.url.as_str(), service.access), (url, expected), "{settings:?}");
    }
    let both = read(&[name, (STORAGE, "UseDevelopmentStorage=true")]).unwrap().unwrap();
    assert!(matches!(both.access, QueueAccess::Key { .. }), "a connection string goes first");
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[managed]), Ok(None));
}

#[test]
fn all_problems_are_reported_and_no_value_is_quoted() {
    for (text, expected) in [
        (
            "AccountName=My_Account;AccountKey=SECRET!",
            &["has no valid account name", "AccountKey that is not base64"][..],
        ),
        (
            "EndpointSuffix=core.windows.net",
            &["neither AccountName nor QueueEndpoint", "neither AccountKey nor"],
        ),
        ("AccountName=mine;SECRET;SECRET=SECRET;AccountName=SECRET", &["number 2", "has AccountName twice"]),
        (
            "QueueEndpoint=http://queues.example;SharedAccessSignature=SECRET",
            &["SharedAccessSignature without sig=", "must start with https"],
        ),
        (
            "QueueEndpoint=https://queues.example?sig=SECRET;AccountKey=U0VDUkVU",
            &["a query or credentials", "no AccountName"],
        ),
        ("QueueEndpoint=https://queues.example;SharedAccessSignature=sig=SECRET", &["no queue service"]),
        (
            "QueueEndpoint=https://mine.blob.core.windows.net;SharedAccessSignature=sig=SECRET",
            &["no queue service"],
        ),
        (
            "QueueEndpoint=https://SECRET:SECRET@mine.queue.core.windows.net;SharedAccessSignature=sig=SECRET",
            &["credentials"],
        ),
        (
            "AccountName=mine;AccountKey=U0VDUkVU;EndpointSuffix=core.usgovcloudapi.net",
            &["CLOUD means core.windows.net"],
        ),
        ("AccountName=mine;AccountKey=U0VDUkVU;EndpointSuffix=evil.example", &["no queue service"]),
        ("UseDevelopmentStorage=SECRET", &["not =true"]),
        (
            "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://SECRET.example",
            &["must start with https"],
        ),
        ("@Microsoft.KeyVault(SecretUri=https://SECRET.vault.azure.net/secrets/SECRET)", &["key vault"]),
        (
            "DefaultEndpointsProtocol=http;AccountName=mine;AccountKey=U0VDUkVU",
            &["see DefaultEndpointsProtocol"],
        ),
        ("SECRET/SECRET==", &["number 1"]),
    ] {
        let problems = problems(&[(STORAGE, text)]);
        assert_eq!(problems.len(), expected.len(), "{text}: {problems:?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "{text}: {problem}");
            assert!(!problem.contains("SECRET") && !problem.contains("U0VD"), "{problem}");
        }
    }
    let identity = [
        (SERVICE_URI, "http://queues.example"),
        (ACCOUNT_NAME, "My_Account"),
        (CLIENT_ID, "me"),
        ("AZURE_CLIENT_ID", "us"),
    ];
    assert_eq!(problems(&identity).len(), 4);
}

#[test]
fn keys_and_signatures_are_not_printed() {
    for text in [
        format!("AccountName=mine;AccountKey={KEY}"),
        "AccountName=mine;SharedAccessSignature=sv=1&sig=c2VjcmV0LWtleQ==".to_owned(),
    ] {
        let printed = format!("{:?}", connected(&text));
        assert!(
            printed.contains("mine") && !printed.contains("c2Vjc") && !printed.contains("secret-key"),
            "{printed}"
        );
        assert!(!printed.contains(&format!("{:?}", b"secret-key")), "{printed}");
    }
}

proptest! {
    #[test]
    fn no_text_causes_a_panic_or_is_quoted(
        text in ".*",
        parts in prop::collection::vec(
            (
                prop::sample::select(vec!["AccountName", "AccountKey", "QueueEndpoint", "SharedAccessSignature",
                    "UseDevelopmentStorage", "DevelopmentStorageProxyUri", "EndpointSuffix", "DefaultEndpointsProtocol"]),
                "[ -~]{0,12}zqx[ -~]{0,12}",
            ),
            0..5,
        ),
    ) {
        drop(connection_string(&text, Cloud::Public));
        let joined: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if let Err(problems) = connection_string(&joined.join(";"), Cloud::Public) {
            prop_assert!(!problems.is_empty());
            prop_assert!(!problems.concat().contains("zqx"), "{problems:?}");
        }
    }
}
