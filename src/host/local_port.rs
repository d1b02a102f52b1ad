//! Who may reach the handler's port: the Functions host, and not a web page in a browser on the same machine.
//!
//! The port is on loopback and has no key. A page can send requests there: to `127.0.0.1`, or to a name of its own that it
//! resolves to that address (DNS rebinding). A browser says so: it sends `Sec-Fetch-Site` with every request, `Origin` with
//! every POST, and the page's name in `Host`. The host sends none of them, its body is JSON, and each of its invocations has an
//! id (azure-functions-host, `DefaultHttpWorkerService.cs`; `tests/captures/requests.jsonl`).
//! Another process on the machine can send the same as the host; `SECURITY.md` says what that means.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
};
use uuid::Uuid;

/// The id that the host gives an invocation.
pub(super) const INVOCATION_ID: &str = "x-azure-functions-invocationid";

/// The names of this machine, in the form of a URL.
const LOCAL_NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Why `request` does not come from the Functions host. Its body is not read.
pub(super) fn refusal(request: &Request) -> Option<(StatusCode, &'static str)> {
    let headers = request.headers();
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = headers.get_all(header::HOST).iter().map(|host| host.as_bytes()).chain(authority);
    if !hosts.all(is_local) {
        Some((StatusCode::FORBIDDEN, "Host is not this machine"))
    } else if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        Some((StatusCode::FORBIDDEN, "the request is from a browser"))
    } else if request.method() != Method::POST {
        None
    } else if !is_json(headers) {
        Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type is not application/json"))
    } else if !has_invocation_id(headers) {
        Some((StatusCode::FORBIDDEN, "X-Azure-Functions-InvocationId is not a GUID"))
    } else {
        None
    }
}

fn is_local(host: &[u8]) -> bool {
    let is_port = |rest: &[u8]| match rest {
        [] => true,
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    LOCAL_NAMES.iter().any(|name| {
        let (start, rest) = host.split_at_checked(name.len()).unwrap_or_default();
        start.eq_ignore_ascii_case(name.as_bytes()) && is_port(rest)
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    only(headers, header::CONTENT_TYPE.as_str()).is_some_and(|text| {
        text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    })
}

fn has_invocation_id(headers: &HeaderMap) -> bool {
    only(headers, INVOCATION_ID).is_some_and(|text| text.parse::<Uuid>().is_ok())
}

/// The value of a header that comes once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in
            ["127.0.0.1", "127.0.0.1:9000", "LOCALHOST:1", "localhost", "[::1]", "[::1]:9000", "127.0.0.1:"]
        {
            assert!(is_local(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "localhost.",
            "127.0.0.1.nip.io",
            "127.0.0.1@evil.example",
            "localhost:80@evil.example",
            "evil.example:9000",
            "127.0.0.2",
            "::1",
            "[::1].evil.example",
            "2130706433",
            "0.0.0.0",
        ] {
            assert!(!is_local(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn a_header_that_comes_twice_is_not_trusted() {
        let request = |more: Option<(&str, &str)>| {
            let request = Request::post("/OnGroupAdd")
                .header("host", "127.0.0.1:9000")
                .header("content-type", "application/json; charset=utf-8")
                .header(INVOCATION_ID, "8d7f9c52-5f1f-4b34-a0b2-58e0b1f7c9aa");
            let request =
                more.into_iter().fold(request, |request, (name, value)| request.header(name, value));
            request.body(Body::empty()).unwrap()
        };
        assert_eq!(refusal(&request(None)), None);
        for more in [
            ("host", "evil.example"),
            ("content-type", "text/plain"),
            (INVOCATION_ID, "8d7f9c52-5f1f-4b34-a0b2-58e0b1f7c9aa"),
        ] {
            assert!(refusal(&request(Some(more))).is_some(), "{more:?}");
        }
    }
}
