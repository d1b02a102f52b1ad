//! Puts any bytes in place of one of Graph's answers: a sweep, jobs and a call must end without a panic.
//!
//! `cargo +nightly fuzz run graph --fuzz-dir tests/fuzz tests/fuzz/corpus/graph tests/fuzz/seeds/graph -- -dict=tests/fuzz/dictionary`

#![no_main]

mod app;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use azure_core::http::{AsyncRawResponse, HttpClient, Request, StatusCode};
use libfuzzer_sys::fuzz_target;

/// More requests than one run makes.
const REQUESTS: usize = 24;

#[derive(Debug)]
struct Replaced {
    inner: Arc<dyn HttpClient>,
    seen: AtomicUsize,
    at: usize,
    status: StatusCode,
    body: Vec<u8>,
}

#[async_trait::async_trait]
impl HttpClient for Replaced {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let answer = self.inner.execute_request(request).await?;
        if self.seen.fetch_add(1, Ordering::SeqCst) != self.at {
            return Ok(answer);
        }
        let (_, headers, _) = answer.deconstruct();
        Ok(AsyncRawResponse::from_bytes(self.status, headers, self.body.clone()))
    }
}

fuzz_target!(|input: &[u8]| {
    let [first, body @ ..] = input else { return };
    let at = usize::from(*first) % REQUESTS;
    let status = if first & 0x80 == 0 { StatusCode::Ok } else { StatusCode::BadRequest };
    app::run(async {
        let replaced = |inner| -> Arc<dyn HttpClient> {
            Arc::new(Replaced { inner, seen: AtomicUsize::new(0), at, status, body: body.to_vec() })
        };
        app::Fixture::new(replaced).run().await;
    });
});
