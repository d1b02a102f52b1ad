//! Sends any text as the body of a call of CreateTap: it is answered, and never with a mistake of our own.
//!
//! `cargo +nightly fuzz run call --fuzz-dir tests/fuzz tests/fuzz/corpus/call tests/fuzz/seeds/call -- -dict=tests/fuzz/dictionary`

#![no_main]

mod app;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    app::run(async {
        let fixture = app::Fixture::new(|transport| transport);
        let answer = fixture.host.call("CreateTap", body).await;
        let status = answer.body["Outputs"]["res"]["statusCode"].as_u64().unwrap_or_default();
        assert!((200..500).contains(&status), "{status}: {}", answer.body);
    });
});
