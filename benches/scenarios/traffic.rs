//! The connections of the product: to the tenant and to the store. They count the requests.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use azure_core::{
    Bytes,
    http::{AsyncRawResponse, Body, HttpClient, Method, Request, StatusCode, headers::Headers},
};
use firstpass_sandbox::tenant::{Fault, FaultKind, Sandbox, samples::SERVICE_DESK};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use tokio::time::sleep;

use crate::{blob_service::BlobService, meter::outside};

/// What a request takes at least.
pub const LATENCY: Duration = Duration::from_millis(50);
/// What it takes more at most.
const JITTER: Duration = Duration::from_millis(100);
/// The end of the path of a mail.
const MAIL: &str = "/sendMail";
const SEED: u64 = 18;

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Requests to Graph: a batch is one.
    pub graph: usize,
    /// Answers 429, parts of batches included.
    pub throttled: usize,
    /// Mails to the admins, accepted or not.
    pub alert_mails: usize,
    /// Requests to other services: the webhook of alerts.
    pub webhooks: usize,
    /// Pages of listings of the ledger.
    pub listings: usize,
    /// Records and other documents that were read.
    pub downloads: usize,
    /// Documents that were written or deleted.
    pub writes: usize,
}

/// The counts of all connections. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Mutex<Counts>>);

impl Traffic {
    /// The counts since the start.
    pub fn counts(&self) -> Counts {
        *self.0.lock().unwrap()
    }

    /// The counts since the last call of this method.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn add(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap());
    }
}

/// The tenant, and a webhook that accepts everything.
#[derive(Debug)]
pub struct Network {
    tenant: Sandbox,
    transport: Arc<dyn HttpClient>,
    traffic: Traffic,
    mail_takes: Duration,
    /// Decides how long requests take.
    rng: Mutex<StdRng>,
}

impl Network {
    /// A connection to `tenant`, whose mailbox takes so long for a mail.
    pub fn new(tenant: &Sandbox, traffic: &Traffic, mail_takes: Duration) -> Self {
        Self {
            tenant: tenant.clone(),
            transport: tenant.transport(),
            traffic: traffic.clone(),
            mail_takes,
            rng: Mutex::new(StdRng::seed_from_u64(SEED)),
        }
    }

    /// Jobs that start together would stay together without it, and their mails never meet those of others.
    async fn jitter(&self) {
        let wait = self.rng.lock().unwrap().random_range(Duration::ZERO..=JITTER);
        sleep(wait).await;
    }

    /// The mail to this address takes from half to one and a half of the usual time, during which it occupies the mailbox.
    fn delay_mail(&self, to: &str) {
        let usual = self.mail_takes.saturating_sub(LATENCY);
        if !usual.is_zero() {
            if self.tenant.armed_faults().is_empty() {
                // Those that are over take time too.
                self.tenant.clear_faults();
            }
            let delay = self.rng.lock().unwrap().random_range(usual / 2..=usual + usual / 2);
            self.tenant.inject(Fault::on("POST", MAIL, FaultKind::Delay(delay)).body(to));
        }
    }

    async fn answer(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let path = request.url().path();
        if request.url().host_str() != Some("graph.microsoft.com") {
            self.traffic.add(|counts| counts.webhooks += 1);
            return Ok(AsyncRawResponse::from_bytes(StatusCode::Accepted, Headers::new(), Bytes::new()));
        }
        self.jitter().await;
        let mail_to = path.ends_with(MAIL).then(|| recipient(request));
        self.traffic.add(|counts| {
            counts.graph += 1;
            counts.alert_mails += usize::from(mail_to.as_deref() == Some(SERVICE_DESK));
        });
        if let Some(to) = &mail_to {
            self.delay_mail(to);
        }
        let response = self.transport.execute_request(request).await?;
        let (status, headers, body) = response.deconstruct();
        let body = body.collect().await?;
        let parts = if path.ends_with("/$batch") { throttled_parts(&body) } else { 0 };
        let throttled = parts + usize::from(status == StatusCode::TooManyRequests);
        self.traffic.add(|counts| counts.throttled += throttled);
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

/// The first address that a mail goes to.
fn recipient(request: &Request) -> String {
    let Body::Bytes(body) = request.body() else { return String::new() };
    let mail: Value = serde_json::from_slice(body).unwrap_or_default();
    mail["message"]["toRecipients"][0]["emailAddress"]["address"].as_str().unwrap_or_default().to_owned()
}

fn throttled_parts(body: &[u8]) -> usize {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    answer["responses"].as_array().into_iter().flatten().filter(|part| part["status"] == 429).count()
}

/// An answer in memory of the product's own, which is counted.
async fn received(response: azure_core::Result<AsyncRawResponse>) -> azure_core::Result<AsyncRawResponse> {
    let (status, headers, body) = response?.deconstruct();
    let body = outside(body.collect()).await?;
    Ok(AsyncRawResponse::from_bytes(status, headers, Bytes::copy_from_slice(&body)))
}

#[async_trait::async_trait]
impl HttpClient for Network {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        received(outside(self.answer(request)).await).await
    }
}

/// Blob storage.
#[derive(Debug)]
pub struct Store {
    /// The service.
    pub service: Arc<BlobService>,
    /// What counts its requests.
    pub traffic: Traffic,
}

#[async_trait::async_trait]
impl HttpClient for Store {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let is_listing = request.url().query_pairs().any(|(name, value)| name == "comp" && value == "list");
        self.traffic.add(|counts| match request.method() {
            Method::Get if is_listing => counts.listings += 1,
            Method::Get => counts.downloads += 1,
            _ => counts.writes += 1,
        });
        received(outside(self.service.execute_request(request)).await).await
    }
}
