//! The sandbox over a TCP connection.

use std::net::SocketAddr;

use azure_core::{
    error::ErrorKind,
    http::{HttpClient, Method, Request},
};
use chrono::TimeDelta;
use firstpass::clock::Clock;
use firstpass_sandbox::{
    serve::transport::{LoopbackUrl, SandboxTransport},
    tenant::{Fault, FaultKind, Sandbox, loopback::serve},
};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{caller_of_one, now};

async fn listen(sandbox: &Sandbox) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(sandbox.clone(), listener));
    address
}

/// The local clock is stopped, one hour behind the sandbox.
fn connect(address: SocketAddr) -> std::sync::Arc<SandboxTransport> {
    // Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let local = Clock::from_fn(|| now() - TimeDelta::hours(1));
    SandboxTransport::new(reqwest::Client::new(), format!("http://{address}").parse().unwrap(), local)
}

fn request(method: Method, url: &str) -> Request {
    let mut request = Request::new(format!("https://graph.microsoft.com/v1.0{url}").parse().unwrap(), method);
    request.insert_header("authorization", "Bearer sandbox");
    request
}

#[tokio::test]
async fn requests_reach_the_sandbox_and_the_clock_follows_it() {
    let (caller, emma) = caller_of_one();
    let transport = connect(listen(&caller.sandbox).await);
    let answer =
        transport.execute_request(&request(Method::Get, &format!("/users/{emma}?$select=id"))).await.unwrap();
    let body: Value = answer.try_into_raw_response().await.unwrap().into_body().json().unwrap();
    assert_eq!(body["id"], serde_json::json!(emma));
    assert_eq!(caller.sandbox.requests()[0].url, format!("/v1.0/users/{emma}?$select=id"));
    assert_eq!(transport.clock().now(), now());

    caller.sandbox.advance(TimeDelta::days(3));
    transport.sync().await.unwrap();
    assert_eq!(transport.clock().now(), now() + TimeDelta::days(3));
    assert_eq!(caller.sandbox.requests().len(), 1, "reading the clock is not a request to Graph");
}

#[tokio::test]
async fn a_lost_response_closes_the_connection() {
    let (caller, emma) = caller_of_one();
    let transport = connect(listen(&caller.sandbox).await);
    caller.sandbox.inject(Fault::on("POST", "temporaryAccessPassMethods", FaultKind::LoseAnswer));
    let url = format!("/users/{emma}/authentication/temporaryAccessPassMethods");
    let make = || {
        let mut make = request(Method::Post, &url);
        make.insert_header("content-type", "application/json");
        make.set_body("{}");
        make
    };
    let error = transport.execute_request(&make()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Io), "{error:?}");
    assert_eq!(caller.sandbox.passes().len(), 1);
    let answer = transport.execute_request(&make()).await.unwrap();
    assert_eq!(u16::from(answer.status()), 201, "the next connection works");
    assert_eq!(caller.sandbox.requests().len(), 2, "the client does not retry");
}

#[tokio::test]
async fn the_sandbox_url_must_be_loopback() {
    for url in ["http://127.0.0.1:8089", "http://127.8.8.8", "http://[::1]:8089", "http://localhost:8089/"] {
        assert!(url.parse::<LoopbackUrl>().is_ok(), "{url}");
    }
    for url in [
        "https://127.0.0.1:8089",
        "http://192.168.0.4:8089",
        "http://localhost.contoso.example",
        "http://127.0.0.1.contoso.example",
        "http://127.0.0.1@contoso.example",
        "127.0.0.1:8089",
        "",
    ] {
        assert!(url.parse::<LoopbackUrl>().is_err(), "{url}");
    }
    let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let (caller, _) = caller_of_one();
    assert!(serve(caller.sandbox, everywhere).await.is_err());
}

#[tokio::test]
async fn a_token_is_not_sent_to_other_hosts() {
    let (caller, _) = caller_of_one();
    let transport = connect(listen(&caller.sandbox).await);
    let elsewhere = Request::new("https://graph.example/v1.0/users".parse().unwrap(), Method::Get);
    assert!(transport.execute_request(&elsewhere).await.is_err());
    assert!(caller.sandbox.requests().is_empty());
}
