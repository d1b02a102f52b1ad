//! National clouds: another root, another audience of the token, another page in the mails.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use firstpass::{app::App, host, ledger::memory::MemoryLedger, settings::Settings};
use firstpass_sandbox::{functions_host::local_host::LocalHost, tenant::Sandbox};

use crate::helpers::{NOW, tenant_with_emma, time};

/// Records the hosts of requests.
#[derive(Debug)]
struct Recorder {
    inner: Arc<dyn HttpClient>,
    hosts: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl HttpClient for Recorder {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.hosts.lock().unwrap().push(request.url().host_str().unwrap().to_owned());
        self.inner.execute_request(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn cloud_chooses_root_audience_and_sign_in_page() {
    for (cloud, host, page) in [
        ("public", "graph.microsoft.com", "aka.ms/mysecurityinfo"),
        ("usgov", "graph.microsoft.us", "mysignins.azure.us/security-info"),
        ("usgov-dod", "dod-graph.microsoft.us", "mysignins.azure.us/security-info"),
    ] {
        let (mut tenant, _) = tenant_with_emma();
        // So that next links are followed.
        tenant.page_size_cap = 1;
        let group = tenant.add_group(firstpass_sandbox::tenant::Group::named("Joiners"));
        for member in tenant.users.keys().copied().collect::<Vec<_>>() {
            tenant.add_member(group, member);
        }
        let group = group.to_string();
        let sandbox = Sandbox::new(tenant, time(NOW));
        let env = [
            ("LEDGER_URL", "https://localhost/memory"),
            ("MAIL_FROM", "welcome@contoso.example"),
            ("JOINER_GROUP_ID", &group),
            ("CLOUD", cloud),
        ];
        let settings = Settings::read(&env.into_iter().collect()).unwrap();
        let hosts: Arc<Mutex<Vec<String>>> = Arc::default();
        let client = Recorder { inner: sandbox.transport(), hosts: hosts.clone() };
        let ledger = Arc::new(MemoryLedger::default());
        let app = App::new(settings, Arc::new(client), sandbox.credential(), ledger, sandbox.clock());
        let functions = LocalHost::new(host::router(Ok(Arc::new(app.unwrap()))), sandbox.clock());
        let sweep = functions.fire_timer().await;
        assert!(sweep.is_success(), "{}", sweep.log());
        for job in sweep.jobs() {
            let answer = functions.deliver(&job, 1).await;
            assert!(answer.is_success(), "{cloud}: {}", answer.log());
        }
        let mails = sandbox.mails();
        assert_eq!(mails.len(), 1, "{cloud}");
        let content = html_unescaped(mails[0].content());
        assert!(content.contains(page), "{cloud}: {content}");
        assert_eq!(content.contains("aka.ms"), cloud == "public");
        let hosts = hosts.lock().unwrap();
        assert!(hosts.len() > 4 && hosts.iter().all(|seen| seen == host), "{cloud}: {hosts:?}");
    }
}

fn html_unescaped(text: &str) -> String {
    text.replace("&#x2f;", "/")
}
