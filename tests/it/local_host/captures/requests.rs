//! 44 requests as a handler receives them: given the same input, the local host sends the same.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::request::Parts;
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};
use uuid::Uuid;

use super::*;

/// The captures of a trigger, by the rest of their names.
fn captures(trigger: &str) -> BTreeMap<String, Value> {
    let all = lines(include_str!("../../../captures/requests.jsonl"));
    let own = all.into_iter().filter_map(|capture| {
        let name = capture["name"].as_str()?.strip_prefix(&format!("{trigger}, "))?.to_owned();
        Some((name, capture))
    });
    own.collect()
}

/// A handler that passes on every request, in the form of the captures, and fails as often as `failures` says.
fn recorder(failures: usize) -> (Embedded, UnboundedReceiver<Value>) {
    let (send, receive) = unbounded_channel();
    let count = Arc::new(Mutex::new(0));
    let invoked = async move |parts: Parts, body: String| {
        let headers: BTreeMap<&str, &str> =
            parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        send.send(json!({"method": method, "path": path, "headers": headers, "body": body})).unwrap();
        let count = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count
        };
        if count <= failures { failed() } else { done(json!({})) }
    };
    (Embedded::new(Router::new().route("/", get("")).route("/{function}", post(invoked))), receive)
}

/// A request without what differs between any two: ids, receipts, the port, and the values of times. A time becomes
/// its rank among the times of its request, so that their order remains, and its zone.
fn comparable(request: &Value) -> Value {
    let mut body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
    let mut times = BTreeSet::new();
    for_each_own(&mut body, &mut |_, value| times.extend(instant(value)));
    for_each_own(&mut body, &mut |name, value| {
        let text = value.as_str().unwrap_or_default().to_owned();
        let id = text.trim_matches('"');
        if let Some(time) = instant(value) {
            let zone = text.trim_start_matches(|c: char| c != 'Z' && c != '+');
            *value = format!("<time {} of {}{zone}>", times.range(..time).count(), times.len()).into();
        } else if Uuid::parse_str(id).is_ok() || name == "PopReceipt" {
            *value = text.replace(id, "<id>").into();
        }
    });
    let headers = request["headers"].as_object().unwrap().iter().map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let value = match name.as_str() {
            "host" => "127.0.0.1",
            "x-azure-functions-invocationid" => {
                Uuid::parse_str(value.as_str().unwrap()).map(|_| "<id>").unwrap()
            }
            _ => value.as_str().unwrap(),
        };
        (name, value.to_owned())
    });
    let headers: BTreeMap<String, String> = headers.collect();
    json!({"method": request["method"], "path": request["path"], "headers": headers, "body": body})
}

/// Every value that the host writes itself; not those of messages and callers, but where they replace it.
fn for_each_own(body: &mut Value, act: &mut impl FnMut(&str, &mut Value)) {
    let own = ["Id", "PopReceipt", "InsertionTime", "ExpirationTime", "NextVisibleTime"];
    for pointer in ["/Metadata", "/Metadata/sys", "/Metadata/$sys", "/Data/timer/ScheduleStatus"] {
        let Some(Value::Object(values)) = body.pointer_mut(pointer) else { continue };
        for (name, value) in
            values.iter_mut().filter(|(name, _)| pointer != "/Metadata" || own.contains(&name.as_str()))
        {
            act(name, value);
        }
    }
}

/// A time; the year 1, which means never, is compared as it is.
fn instant(value: &Value) -> Option<DateTime<Utc>> {
    let time: DateTime<Utc> = value.as_str()?.parse().ok()?;
    Some(time).filter(|_| !value.as_str().is_some_and(|text| text.starts_with("0001")))
}

fn assert_same(name: &str, got: &Value, real: &Value) {
    assert_eq!(comparable(got), comparable(real), "{name}");
}

#[test]
fn every_capture_belongs_to_a_trigger() {
    let counts = ["timer", "queue", "http"].map(|trigger| captures(trigger).len());
    assert_eq!(counts, [6, 13, 25]);
    assert_eq!(lines(include_str!("../../../captures/requests.jsonl")).len(), 44);
}

#[tokio::test(start_paused = true)]
async fn timers_send_what_the_real_host_sends() {
    let mut captures = captures("timer");
    let mut compare = |name: &str, got: Option<Value>| {
        assert_same(
            name,
            &got.unwrap(),
            &captures.remove(name).unwrap_or_else(|| panic!("no capture {name}")),
        );
    };
    // Between two milliseconds, so that no run begins exactly on time.
    let start = time("2026-11-25T08:25:30Z") + TimeDelta::microseconds(400);
    let sandbox = Sandbox::new(Tenant::new(7), start);
    let setup = Setup { storage: Storage::new(sandbox.clock()), sandbox, calls: Calls::default() };
    let minutely = [("SWEEP_SCHEDULE", "0 * * * * *")];
    let (worker, mut requests) = recorder(0);
    let host = setup.start_with(&worker, &minutely);
    compare("first scheduled run", requests.recv().await);
    compare("second run", requests.recv().await);
    sleep(Duration::from_secs(1)).await;
    drop(host);
    setup.advance(TimeDelta::seconds(145));
    let host = setup.start_with(&worker, &minutely);
    compare("past due after the host was down", requests.recv().await);
    compare("after a past due run", requests.recv().await);
    drop(host);

    let storage = Storage::new(setup.sandbox.clock());
    let options = Options { timer_early: TimeDelta::microseconds(1_145), ..Options::default() };
    let _host = FunctionsHost::start_with(app(&minutely), Arc::new(worker), storage, options);
    requests.recv().await.unwrap();
    compare("1 ms early", requests.recv().await);

    let setup = Setup::new();
    let (worker, mut requests) = recorder(0);
    let host = setup.start(&worker);
    minutes(1).await;
    host.run("SweepJoiners").await.unwrap();
    compare("by hand", requests.recv().await);
    assert!(captures.is_empty(), "not compared: {:?}", captures.keys());
}

#[tokio::test(start_paused = true)]
async fn messages_are_delivered_as_by_the_real_host() {
    for (name, real) in captures("queue") {
        let body: Value = serde_json::from_str(real["body"].as_str().unwrap()).unwrap();
        let text: String = serde_json::from_str(body["Data"]["msg"].as_str().unwrap()).unwrap();
        let sandbox = Sandbox::new(Tenant::new(7), time(NOW) + TimeDelta::microseconds(400));
        let setup = Setup { storage: Storage::new(sandbox.clock()), sandbox, calls: Calls::default() };
        let failures = usize::from(name == "delivered again");
        let (worker, mut requests) = recorder(failures);
        let _host = setup.start(&worker);
        setup.put(&text);
        for _ in 0..failures {
            requests.recv().await.unwrap();
        }
        assert_same(&name, &requests.recv().await.unwrap(), &real);
    }
}

/// The bytes of a body that its text in the capture does not show.
fn hidden_body(name: &str, text: &str) -> Option<Vec<u8>> {
    Some(match name {
        "gzip" => STANDARD.decode("H4sIAKeZBmsC/6tWCi1OLfJLzE1VslJKr1KqBQDHQ5zHEQAAAA==").unwrap(),
        "invalid utf8" => b"{\"UserName\":\"\xff\xfe\"}".to_vec(),
        "latin1" => b"{\"UserName\":\"\xe4\"}".to_vec(),
        "bom" => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        "utf16" => std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        "octet" | "multipart" => STANDARD.decode(text).unwrap(),
        "chunked" => b"10\r\n{\"UserName\":\"a\"}\r\n0\r\n\r\n".to_vec(),
        _ => return None,
    })
}

/// The caller's request, as the capture shows it.
fn call(name: &str, real: &Value) -> Vec<u8> {
    let body: Value = serde_json::from_str(real["body"].as_str().unwrap()).unwrap();
    let request = &body["Data"]["req"];
    let target = request["Url"].as_str().unwrap().splitn(4, '/').nth(3).unwrap();
    let version = if name == "HTTP/1.0" { name } else { "HTTP/1.1" };
    let mut call = format!("{} /{target} {version}\r\n", request["Method"].as_str().unwrap());
    for (name, values) in request["Headers"].as_object().unwrap() {
        for value in values.as_array().unwrap() {
            call += &format!("{name}: {}\r\n", value.as_str().unwrap());
        }
    }
    let text = request["Body"].as_str().unwrap_or_default();
    let body = hidden_body(name, text).unwrap_or_else(|| text.as_bytes().to_vec());
    let length = request["Headers"]["Content-Length"][0].as_str().map(str::to_owned);
    assert!(name == "chunked" || length == Some(body.len().to_string()), "{name}: another body was sent");
    [call.as_bytes(), b"\r\n", &body].concat()
}

#[tokio::test]
async fn http_calls_arrive_as_from_the_real_host() {
    let setup = Setup::new();
    let (worker, mut requests) = recorder(0);
    let (address, _) = serve(&worker, &setup.storage).await;
    for (name, real) in captures("http") {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(&call(&name, &real)).await.unwrap();
        assert_same(&name, &requests.recv().await.unwrap(), &real);
    }
}
