//! The local host against `tests/captures/`: what the Functions host 4.1037 sent to a handler, and what it answered to
//! the callers of an HTTP function. Every capture is compared.

mod answers;
mod requests;
mod wire;

use super::*;

/// The lines of a file of captures.
fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A host on this machine whose keys are those of the captures.
async fn serve(worker: &Embedded, storage: &Storage) -> (std::net::SocketAddr, Log) {
    let keys = Keys {
        master: "k".to_owned(),
        host: "hk".to_owned(),
        functions: [("CreateTap".to_owned(), "fk".to_owned())].into(),
    };
    let options = Options { keys, ..Options::default() };
    let host = FunctionsHost::start_with(app(&[]), Arc::new(worker.clone()), storage.clone(), options);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let log = host.log().clone();
    tokio::spawn(async move { host.serve(listener).await });
    (address, log)
}
