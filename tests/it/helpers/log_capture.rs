//! Log output in memory.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use firstpass::{environment::Environment, telemetry};
use tracing::{Dispatch, instrument::WithSubscriber};
use tracing_subscriber::fmt::MakeWriter;

/// A writer for a subscriber; its clones share one buffer.
#[derive(Clone, Default)]
struct LogCapture(Arc<Mutex<Vec<u8>>>);

impl LogCapture {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for LogCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for LogCapture {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// The result of `work`, and what it logged with `RUST_LOG` set to `level`.
pub async fn capture_log<T>(level: &str, work: impl Future<Output = T>) -> (T, String) {
    let env = Environment::from_iter([("RUST_LOG", level)]);
    // With a single subscriber, tracing caches per call site whether it is enabled, and another test's subscriber may
    // decide that. With two subscribers tracing asks both each time.
    let _second = Dispatch::new(telemetry::subscriber(&env, std::io::sink));
    let log = LogCapture::default();
    let result = work.with_subscriber(telemetry::subscriber(&env, log.clone())).await;
    (result, log.text())
}
