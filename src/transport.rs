//! How much of an answer is read: a few MB of gzip can hold gigabytes. And when its service asks to come again.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    Bytes, Error,
    error::ErrorKind,
    http::{
        AsyncRawResponse, HttpClient, Request,
        headers::{HeaderName, Headers},
    },
};
use chrono::DateTime;
use futures::{Stream, StreamExt, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{budget, memory::MAPPED};

pub(crate) const MIB: usize = 1 << 20;
/// An answer of Graph or of Azure Storage. A page of 999 users has about 1.5 MiB, one of 5,000 records about 8.
pub(crate) const ANSWER: usize = 16 * MIB;
const LARGE: usize = 64 << 10;
/// What is read of an error of Graph.
pub(crate) const ERROR: usize = 64 << 10;
/// An answer of the identity endpoint, which has some KiB.
const TOKEN: usize = MIB;

/// An HTTP client that ends an answer when its body, decompressed, is longer than a limit.
#[derive(Debug)]
pub struct LimitedClient {
    inner: Arc<dyn HttpClient>,
    limit: usize,
}

impl LimitedClient {
    /// For Azure Storage.
    pub(crate) fn for_storage(inner: Arc<dyn HttpClient>) -> Arc<Self> {
        Arc::new(Self { inner, limit: ANSWER })
    }

    /// For the identity endpoint.
    pub fn for_tokens(inner: Arc<dyn HttpClient>) -> Arc<Self> {
        Arc::new(Self { inner, limit: TOKEN })
    }
}

#[async_trait]
impl HttpClient for LimitedClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let (status, headers, body) = self.inner.execute_request(request).await?.deconstruct();
        let limit = self.limit;
        let body = stream::try_unfold((body, 0), move |(mut body, read)| async move {
            let Some(chunk) = body.next().await.transpose()? else { return Ok(None) };
            let read = read + chunk.len();
            if read > limit { Err(too_large(limit)) } else { Ok(Some((chunk, (body, read)))) }
        });
        Ok(AsyncRawResponse::new(status, headers, Box::pin(body)))
    }
}

/// Not an error of the connection: those are followed by the same request again.
fn too_large(limit: usize) -> Error {
    Error::with_message(ErrorKind::DataConversion, format!("the answer is larger than {} MiB", limit / MIB))
}

/// An error of the connection: the request may be sent again.
fn stands_still() -> Error {
    let seconds = budget::GRAPH_CHUNK.as_secs();
    Error::with_message(ErrorKind::Io, format!("the answer stood still for {seconds} s"))
}

/// Reads bodies of Graph. Of those above 64 KiB, which few jobs need, it keeps one at a time: many jobs at once need no more
/// memory than one.
#[derive(Debug)]
pub(crate) struct BodyReader(Arc<Semaphore>);

impl Default for BodyReader {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl BodyReader {
    /// The whole body of a success. The next large one is read when this one is dropped.
    pub(crate) async fn success(&self, mut body: impl Stream<Item = Chunk> + Unpin) -> Chunk {
        let (mut bytes, mut turn) = (Vec::new(), None);
        loop {
            let next = body.next();
            let chunk = if turn.is_some() {
                // Others wait for their turn.
                timeout(budget::GRAPH_CHUNK, next).await.map_err(|_| stands_still())?
            } else {
                next.await
            };
            let Some(chunk) = chunk.transpose()? else { break };
            let length = bytes.len() + chunk.len();
            if length > ANSWER {
                return Err(too_large(ANSWER));
            }
            if length > LARGE && turn.is_none() {
                turn = self.0.clone().acquire_owned().await.ok();
                // A buffer that grows costs twice its size.
                bytes.reserve_exact(MAPPED - bytes.len());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(match turn {
            None => bytes.into(),
            Some(turn) => Bytes::from_owner(Large { bytes, _turn: turn }),
        })
    }

    /// The beginning of the body of an error.
    pub(crate) async fn error(&self, mut body: impl Stream<Item = Chunk> + Unpin) -> Chunk {
        let mut bytes = Vec::new();
        while bytes.len() < ERROR
            && let Some(chunk) = body.next().await.transpose()?
        {
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(ERROR);
        Ok(bytes.into())
    }
}

type Chunk = azure_core::Result<Bytes>;

struct Large {
    bytes: Vec<u8>,
    _turn: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// After how long the service that gave an answer with these headers asks to come again, at most [`budget::RETRY_AFTER_MAX`].
pub(crate) fn retry_after(headers: &Headers) -> Option<Duration> {
    let text = headers.get_optional_str(&HeaderName::from_static("retry-after"))?;
    parse_retry_after(text, headers.get_optional_str(&HeaderName::from_static("date")))
}

const DAY: f64 = 86_400.0;

/// Parses seconds (rounded up), or an HTTP date relative to the answer's `Date`. `None` for what asks for no wait, and for what
/// nobody can mean: then the waits are our own.
pub(crate) fn parse_retry_after(text: &str, date: Option<&str>) -> Option<Duration> {
    let seconds = match text.trim().parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let then = DateTime::parse_from_rfc2822(text.trim()).ok()?;
            let now = DateTime::parse_from_rfc2822(date?.trim()).ok()?;
            (then - now).as_seconds_f64()
        }
    };
    let is_meant = seconds > 0.0 && seconds <= DAY;
    is_meant.then(|| Duration::from_secs_f64(seconds.ceil().min(budget::RETRY_AFTER_MAX.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    fn body(chunks: usize, size: usize) -> impl Stream<Item = Chunk> + Unpin {
        stream::iter(vec![vec![b' '; size]; chunks].into_iter().map(|chunk| Ok(chunk.into())))
    }

    #[tokio::test(start_paused = true)]
    async fn of_large_bodies_one_is_kept_at_a_time() {
        let reader = BodyReader::default();
        let first = reader.success(body(2, LARGE)).await.unwrap();
        assert_eq!(first.len(), 2 * LARGE);
        let second = timeout(Duration::from_secs(1), reader.success(body(2, LARGE))).await;
        assert!(second.is_err(), "it waits");
        assert!(reader.success(body(1, LARGE)).await.is_ok(), "a small one does not");
        drop(first);
        assert!(reader.success(body(2, LARGE)).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_up_to_the_limit_is_read() {
        let reader = BodyReader::default();
        assert_eq!(reader.success(body(16, MIB)).await.unwrap().len(), ANSWER);
        let error = reader.success(body(17, MIB)).await.unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.kind()),
            ("the answer is larger than 16 MiB", &ErrorKind::DataConversion)
        );
        assert_eq!(reader.error(body(17, MIB)).await.unwrap().len(), ERROR);
    }

    #[test]
    fn retry_after_is_rounded_up_and_capped() {
        let date = Some("Mon, 30 Nov 2026 07:00:00 GMT");
        for (text, seconds) in
            [("3", 3), ("2.128", 3), ("0.001", 1), ("86400", 120), ("Mon, 30 Nov 2026 07:00:47 GMT", 47)]
        {
            assert_eq!(parse_retry_after(text, date), Some(Duration::from_secs(seconds)), "{text}");
        }
        let nonsense =
            ["", "soon", "0", "-5", "1e300", "inf", "-inf", "NaN", "86401", "99999999999999999999"];
        let dates = [
            "Mon, 30 Nov 2026 06:00:00 GMT",
            "Mon, 30 Nov 2026 07:00:00 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ];
        for text in nonsense.into_iter().chain(dates) {
            assert_eq!(parse_retry_after(text, date), None, "{text}");
        }
    }
}
