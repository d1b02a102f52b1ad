//! Reads any text as a document of the ledger. What is a record is written back as it was, and every job with it ends.
//!
//! `cargo +nightly fuzz run record --fuzz-dir tests/fuzz tests/fuzz/corpus/record tests/fuzz/seeds/record -- -dict=tests/fuzz/dictionary`

#![no_main]

mod app;

use firstpass::ledger::{Ledger, Record, Standing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(standing) = serde_json::from_slice::<Standing>(text) {
        let written = serde_json::to_vec(&standing).unwrap();
        assert_eq!(serde_json::from_slice::<Standing>(&written).unwrap(), standing);
    }
    let Ok(record) = serde_json::from_slice::<Record>(text) else { return };
    let written = serde_json::to_vec(&record).unwrap();
    assert_eq!(serde_json::from_slice::<Record>(&written).unwrap(), record);
    app::run(async {
        let fixture = app::Fixture::new(|transport| transport);
        fixture.ledger.write(fixture.joiner, &record, None).await.unwrap();
        fixture.run().await;
    });
});
