//! 31 answers of a handler, and what the caller got.

use axum::body::Bytes;
use hyper::ext::ReasonPhrase;

use super::{wire::Response as WireResponse, *};

/// A handler's response as captured: status line, headers and body.
fn replay(handler: &Value) -> Response {
    let (code, reason) = handler["status"].as_str().unwrap().split_once(' ').unwrap();
    let mut response = Response::builder().status(code.parse::<u16>().unwrap());
    for (name, value) in handler["headers"].as_object().unwrap() {
        response = response.header(name, value.as_str().unwrap());
    }
    let mut response = response.body(handler["body"].as_str().unwrap().to_owned().into()).unwrap();
    let reason = Bytes::from(reason.to_owned());
    response.extensions_mut().insert(ReasonPhrase::try_from(reason).unwrap());
    response
}

/// Without the headers that say nothing about the handler's answer: the host is not Kestrel, and the time is another.
/// The handler of one capture sets Content-Length and Transfer-Encoding. Kestrel sends both, hyper cannot.
fn comparable(mut response: WireResponse) -> WireResponse {
    if response.headers.contains_key("content-length") {
        response.headers.remove("transfer-encoding");
    }
    response.headers.retain(|name, value| name != "date" && (name != "server" || value != "Kestrel"));
    response
}

#[tokio::test]
async fn the_caller_gets_what_the_real_host_returns() {
    let captures = lines(include_str!("../../../captures/http-answers.jsonl"));
    let setup = Setup::new();
    let answers = captures.clone();
    let worker = setup.handler(move |_, count| {
        let answer = replay(&answers[count - 1]["handler"]);
        async { answer }
    });
    let (address, log) = serve(&worker, &setup.storage).await;
    let mut names = std::collections::BTreeSet::new();
    for capture in &captures {
        let name = capture["name"].as_str().unwrap();
        let request = b"POST /api/CreateTap?code=fk HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
        let got = comparable(wire::send(address, request).await);
        let real = comparable(WireResponse::parse(capture["caller"].as_str().unwrap()));
        assert_eq!(got, real, "{name}");
        names.insert(name);
    }
    assert_eq!((names.len(), setup.calls().len()), (31, 31));
    let fails = |capture: &&Value| capture["caller"].as_str().unwrap().starts_with("HTTP/1.1 500");
    let failures = log.invocations().into_iter().filter(|ran| !ran.is_success()).count();
    assert_eq!(failures, captures.iter().filter(fails).count(), "a 500 is a failed invocation");
    let last = log.invocations().pop().unwrap().result.unwrap_err();
    assert_eq!(last.to_string(), "Response status code does not indicate success: 400 (X).");
}
