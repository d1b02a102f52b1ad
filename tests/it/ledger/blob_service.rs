//! Blob storage in memory, limited to the operations of the ledger, with injected faults.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use azure_core::{
    Bytes, Error,
    error::ErrorKind,
    http::{
        AsyncRawResponse, Body, HttpClient, Method, Request, StatusCode,
        headers::{HeaderName, Headers},
    },
};

#[derive(Clone, Debug)]
pub enum Fault {
    /// The service answers with this status and error code and does nothing.
    Fail(u16, &'static str),
    /// The request takes effect, but the answer is lost.
    LoseAnswer,
    /// The connection is refused.
    Refuse,
    /// There is no answer.
    Hang,
}

#[derive(Debug, Default)]
pub struct BlobService(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// `None` until the container is created.
    blobs: Option<BTreeMap<String, Blob>>,
    writes: u32,
    /// Each with its method and its path.
    requests: Vec<String>,
    latency: Duration,
    next: VecDeque<(String, Fault)>,
    always: Option<Fault>,
    page_size: Option<usize>,
}

#[derive(Debug)]
struct Blob {
    text: String,
    etag: String,
    metadata: Vec<(String, String)>,
}

type HandlerResponse = (StatusCode, Headers, String);

impl BlobService {
    /// Blobs per page of a listing; Azure has 5,000.
    pub const PAGE_SIZE: usize = 7;

    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Applies `fault` to the next request with this method.
    pub fn inject(&self, method: &str, fault: Fault) {
        self.0.lock().unwrap().next.push_back((method.to_owned(), fault));
    }

    /// Applies `fault` to all further requests.
    pub fn always(&self, fault: Fault) {
        self.0.lock().unwrap().always = Some(fault);
    }

    /// A listing has this many blobs per page from now on.
    pub fn set_page_size(&self, size: usize) {
        self.0.lock().unwrap().page_size = Some(size);
    }

    /// Stores a blob without a request.
    pub fn put(&self, name: &str, text: &str) {
        let mut state = self.0.lock().unwrap();
        let blob = Blob { text: text.to_owned(), etag: "\"0x8D0\"".to_owned(), metadata: vec![] };
        state.blobs.get_or_insert_default().insert(name.to_owned(), blob);
    }

    pub fn text(&self, name: &str) -> Option<String> {
        Some(self.0.lock().unwrap().blobs.as_ref()?.get(name)?.text.clone())
    }

    pub fn count_requests(&self, method: &str) -> usize {
        let state = self.0.lock().unwrap();
        state.requests.iter().filter(|request| request.split(' ').next() == Some(method)).count()
    }

    /// Every answer takes this time from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.0.lock().unwrap().latency = latency;
    }

    /// The requests since the last call, like "PUT joiners/….json".
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().requests)
    }
}

impl State {
    fn fault(&mut self, method: &str) -> Option<Fault> {
        let armed = self.next.iter().position(|(wanted, _)| wanted == method);
        armed.and_then(|at| self.next.remove(at)).map(|(_, fault)| fault).or_else(|| self.always.clone())
    }

    fn answer(&mut self, request: &Request) -> HandlerResponse {
        let path = request.url().path().trim_start_matches('/').replace("%2F", "/");
        let query: BTreeMap<String, String> = request.url().query_pairs().into_owned().collect();
        let has_token = header(request, "authorization").is_some_and(|value| value.starts_with("Bearer "));
        assert!(
            has_token != query.contains_key("sig"),
            "a request needs either a SAS or a token: {}",
            request.url()
        );
        let container = query.get("restype").is_some_and(|t| t == "container");
        match (request.method(), path.split_once('/'), container) {
            (Method::Put, None, true) => self.create_container(),
            (Method::Get, None, true) => self.list(&query),
            (Method::Put, Some((_, name)), false) => self.write(name, request),
            (Method::Get, Some((_, name)), false) => self.read(name, request),
            (Method::Delete, Some((_, name)), false) => self.delete(name),
            _ => panic!("unsupported: {} {}", request.method(), request.url()),
        }
    }

    fn create_container(&mut self) -> HandlerResponse {
        if self.blobs.is_some() {
            return error(409, "ContainerAlreadyExists");
        }
        self.blobs = Some(BTreeMap::new());
        (StatusCode::Created, headers(&[("etag", "\"0x8DC\"")]), String::new())
    }

    fn list(&self, query: &BTreeMap<String, String>) -> HandlerResponse {
        let Some(blobs) = &self.blobs else { return error(404, "ContainerNotFound") };
        assert_eq!(query["include"], "metadata");
        let after = query.get("marker").cloned().unwrap_or_default();
        let mut listed =
            blobs.iter().filter(|(name, _)| name.starts_with(&query["prefix"]) && **name > after);
        let mut xml =
            r#"<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="ledger"><Blobs>"#
                .to_owned();
        let mut last = String::new();
        // An answer has at most so many, whatever the service has for one.
        let wanted = query.get("maxresults").map_or(usize::MAX, |wanted| wanted.parse().unwrap());
        for (name, blob) in listed.by_ref().take(self.page_size.unwrap_or(BlobService::PAGE_SIZE).min(wanted))
        {
            let etag = blob.etag.trim_matches('"');
            let metadata: String =
                blob.metadata.iter().map(|(k, v)| format!("<{k}>{}</{k}>", escaped(v))).collect();
            write!(
                xml,
                "<Blob><Name>{name}</Name><Properties><Etag>{etag}</Etag><BlobType>BlockBlob</BlobType></Properties>\
                 <Metadata>{metadata}</Metadata></Blob>"
            )
            .unwrap();
            last.clone_from(name);
        }
        let marker = listed.next().map_or(String::new(), |_| last);
        write!(xml, "</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>").unwrap();
        (StatusCode::Ok, headers(&[("content-type", "application/xml")]), xml)
    }

    fn write(&mut self, name: &str, request: &Request) -> HandlerResponse {
        let Some(blobs) = &mut self.blobs else { return error(404, "ContainerNotFound") };
        assert_eq!(header(request, "x-ms-blob-type").as_deref(), Some("BlockBlob"));
        let current = blobs.get(name).map(|blob| blob.etag.clone());
        match (header(request, "if-match"), header(request, "if-none-match"), &current) {
            (None, Some(any), Some(_)) if any == "*" => return error(409, "BlobAlreadyExists"),
            (None, Some(any), None) if any == "*" => {}
            (Some(expected), None, Some(current)) if expected == *current => {}
            (Some(_), None, _) => return error(412, "ConditionNotMet"),
            (None, None, _) if name.starts_with("alerts/") => {}
            (if_match, if_none_match, _) => {
                panic!("a write without a condition: {if_match:?} {if_none_match:?}")
            }
        }
        let Body::Bytes(bytes) = request.body() else { panic!("a record is sent as bytes") };
        self.writes += 1;
        let etag = format!("\"0x8D{:06X}\"", self.writes);
        let metadata = request
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let key = name.as_str().strip_prefix("x-ms-meta-")?;
                Some((key.to_owned(), value.as_str().to_owned()))
            })
            .collect();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        blobs.insert(name.to_owned(), Blob { text, etag: etag.clone(), metadata });
        (StatusCode::Created, headers(&[("etag", &etag)]), String::new())
    }

    fn delete(&mut self, name: &str) -> HandlerResponse {
        let removed = self.blobs.as_mut().and_then(|blobs| blobs.remove(name));
        match removed {
            Some(_) => (StatusCode::Accepted, headers(&[]), String::new()),
            None => error(404, "BlobNotFound"),
        }
    }

    fn read(&self, name: &str, request: &Request) -> HandlerResponse {
        let Some(blobs) = &self.blobs else { return error(404, "ContainerNotFound") };
        let Some(blob) = blobs.get(name) else { return error(404, "BlobNotFound") };
        assert!(header(request, "if-match").is_none());
        if blob.text.is_empty() {
            // It has no first byte, which the client asks for with a range.
            let is_range = ["range", "x-ms-range"].iter().any(|name| header(request, name).is_some());
            let whole =
                || (StatusCode::Ok, headers(&[("etag", &blob.etag), ("content-length", "0")]), String::new());
            return if is_range { error(416, "InvalidRange") } else { whole() };
        }
        let wanted = ["x-ms-range", "range"].iter().find_map(|name| header(request, name)).expect("a range");
        let end: usize = wanted.rsplit('-').next().and_then(|end| end.parse().ok()).expect("its end");
        let last = end.min(blob.text.len() - 1);
        let range = format!("bytes 0-{last}/{}", blob.text.len());
        let length = (last + 1).to_string();
        let sent = [("etag", &*blob.etag), ("content-range", &range), ("content-length", &length)];
        let text = String::from_utf8_lossy(&blob.text.as_bytes()[..=last]).into_owned();
        (StatusCode::PartialContent, headers(&sent), text)
    }
}

#[async_trait::async_trait]
impl HttpClient for BlobService {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        tokio::task::yield_now().await;
        let method = request.method().as_str().to_owned();
        // Like an error of reqwest, which contains the URL.
        let failed = |kind, what| {
            let cause = std::io::Error::other(format!("{what}, url ({})", request.url()));
            Error::with_error(kind, cause, "failed to execute request")
        };
        let (fault, latency) = {
            let mut state = self.0.lock().unwrap();
            let path = request.url().path().replace("%2F", "/");
            let name = path.trim_start_matches('/').split_once('/').map_or("", |(_, name)| name);
            let prefix = request.url().query_pairs().find(|(key, _)| key == "prefix");
            state.requests.push(format!("{method} {name}{}", prefix.map_or("".into(), |(_, prefix)| prefix)));
            (state.fault(&method), state.latency)
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let (status, headers, body) = match fault {
            Some(Fault::Refuse) => {
                return Err(failed(ErrorKind::Connection, "connection refused"));
            }
            Some(Fault::Hang) => {
                tokio::time::sleep(Duration::from_secs(86_400)).await;
                return Err(failed(ErrorKind::Io, "connection lost"));
            }
            Some(Fault::Fail(status, code)) => error(status, code),
            Some(Fault::LoseAnswer) => {
                self.0.lock().unwrap().answer(request);
                return Err(failed(ErrorKind::Io, "connection lost"));
            }
            None => self.0.lock().unwrap().answer(request),
        };
        Ok(AsyncRawResponse::from_bytes(status, headers, Bytes::from(body)))
    }
}

fn error(status: u16, code: &str) -> HandlerResponse {
    let body = format!(
        r#"<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>Injected.</Message></Error>"#
    );
    let sent = [("x-ms-error-code", code), ("content-type", "application/xml"), ("x-ms-request-id", "5d1f")];
    (StatusCode::from(status), headers(&sent), body)
}

fn headers(pairs: &[(&'static str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in pairs {
        headers.insert(HeaderName::from_static(name), (*value).to_owned());
    }
    headers
}

fn header(request: &Request, name: &'static str) -> Option<String> {
    request.headers().get_optional_string(&HeaderName::from_static(name))
}

/// The text as XML has it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
