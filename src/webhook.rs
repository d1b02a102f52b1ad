//! JSON for the endpoint of another system: a code that it delivers, or an alert.
//!
//! Every request is sent once. The caller decides what follows, because only the caller knows what a second one would do.
//!
//! | answer | result |
//! |---|---|
//! | 2xx | accepted |
//! | 429; 503 with `Retry-After` | busy: nothing was done |
//! | 3xx, 4xx but 408 and 429 | refused |
//! | none in time, the connection was lost, 408, any other | unclear: it may have been accepted |
//! | no connection, no token, no time | not sent |
//!
//! The body of an answer is not read: it could quote the code, and nothing follows from it.

use std::{fmt, sync::Arc, time::Duration};

use azure_core::{
    credentials::{SecretBytes, TokenCredential},
    error::ErrorKind,
    http::{
        HttpClient, Method, Request,
        headers::{AUTHORIZATION, CONTENT_TYPE, HeaderName},
    },
};
use ring::hmac;
use tokio::time::{Instant, timeout_at};

use crate::{
    budget,
    clock::Clock,
    errors::{Cause, chain},
    settings::{WebhookAuth, WebhookSettings},
    transport::retry_after,
};

/// The header of the signature: `t=<unix seconds>,v1=<hexadecimal>`, an HMAC-SHA256 over `<unix seconds>.<body>`.
const SIGNATURE: HeaderName = HeaderName::from_static("x-firstpass-signature");

/// An endpoint that takes JSON.
pub struct Webhook {
    http: Arc<dyn HttpClient>,
    credential: Arc<dyn TokenCredential>,
    settings: WebhookSettings,
    clock: Clock,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("url", &self.settings.url).finish_non_exhaustive()
    }
}

/// Why the endpoint did not, or maybe not, accept a request. It names only the host: the rest of the URL can be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// It never will.
    #[error("{host} refused the request with status {status}")]
    Refused {
        /// The endpoint.
        host: String,
        /// 300 to 499.
        status: u16,
    },
    /// It did nothing, and asks to come again.
    #[error("{host} is busy (status {status})")]
    Busy {
        /// The endpoint.
        host: String,
        /// 429 or 503.
        status: u16,
        /// When, at most [`budget::RETRY_AFTER_MAX`] from now; `None` if it does not say.
        retry_after: Option<Duration>,
    },
    /// It may have accepted it.
    #[error("{host} may or may not have accepted the request: {why}")]
    Unclear {
        /// The endpoint.
        host: String,
        /// The answer that came, or how none came.
        why: String,
    },
    /// Nothing was sent.
    #[error("nothing was sent to {host}")]
    NotSent {
        /// The endpoint.
        host: String,
        /// What prevented it.
        #[source]
        why: Cause,
    },
}

impl WebhookError {
    /// What an admin does about it. `setting` is the name of the setting with the URL.
    pub fn advice(&self, setting: &str) -> String {
        match self {
            Self::Refused { status: 401 | 403, .. } => format!(
                "Check that {setting} is complete, with its signature, and that the endpoint expects the key or audience of the settings."
            ),
            Self::Refused { status: 404 | 410, .. } => {
                format!("Check that what {setting} names still exists and is switched on.")
            }
            Self::Refused { status: 300..=399, .. } => {
                format!("Redirects are not followed: set {setting} to the final URL.")
            }
            Self::Refused { .. } => {
                "Look at the run history of the endpoint: it did not accept the JSON.".to_owned()
            }
            Self::Busy { .. } => {
                "Nothing, unless it stays so: then the endpoint limits requests too much.".to_owned()
            }
            Self::Unclear { .. } => "Look at the run history of the endpoint.".to_owned(),
            Self::NotSent { .. } => {
                format!("Check that the host in {setting} is right and that the app can reach it.")
            }
        }
    }
}

impl Webhook {
    /// The endpoint of `settings`, for requests through `http`, which must not follow redirects. `credential` is the app's.
    pub fn new(
        http: Arc<dyn HttpClient>,
        credential: Arc<dyn TokenCredential>,
        settings: WebhookSettings,
        clock: Clock,
    ) -> Self {
        Self { http, credential, settings, clock }
    }

    /// Sends `body`, which is JSON, once. It takes [`budget::WEBHOOK_TRY`] at most, and does not start shortly before `deadline`.
    ///
    /// # Errors
    /// When it was not, or maybe not, accepted.
    pub async fn post(&self, body: String, deadline: Instant) -> Result<(), WebhookError> {
        let now = Instant::now();
        if now + budget::GRAPH_CHANGE_MIN > deadline {
            return Err(self.not_sent("there is no time left".into()));
        }
        let deadline = deadline.min(now + budget::WEBHOOK_TRY);
        let mut request = Request::new(self.settings.url.as_url().clone(), Method::Post);
        request.insert_header(CONTENT_TYPE, "application/json");
        match &self.settings.auth {
            WebhookAuth::Url => {}
            WebhookAuth::Key(key) => {
                let signature = signature(key, self.clock.now().timestamp(), &body);
                request.insert_header(SIGNATURE, signature);
            }
            WebhookAuth::Audience(audience) => {
                let scope = format!("{audience}/.default");
                let token = match timeout_at(deadline, self.credential.get_token(&[&scope], None)).await {
                    Ok(Ok(token)) => token.token,
                    Ok(Err(error)) => {
                        let why =
                            Cause::of(&error).context("the app's identity gets no token for the audience");
                        return Err(self.not_sent(why));
                    }
                    Err(_) => return Err(self.not_sent("the app's identity got no token in time".into())),
                };
                request.insert_header(AUTHORIZATION, format!("Bearer {}", token.secret()));
            }
        }
        request.set_body(body);
        let answer = match timeout_at(deadline, self.http.execute_request(&request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if *error.kind() == ErrorKind::Connection => {
                return Err(self.not_sent(Cause::innermost(&error)));
            }
            Ok(Err(error)) => return Err(self.unclear(chain(&Cause::innermost(&error)))),
            Err(_) => return Err(self.unclear("there was no answer in time".to_owned())),
        };
        let (host, status) = (self.host().to_owned(), u16::from(answer.status()));
        let wait = retry_after(answer.headers());
        match status {
            200..=299 => Ok(()),
            429 => Err(WebhookError::Busy { host, status, retry_after: wait }),
            503 if wait.is_some() => Err(WebhookError::Busy { host, status, retry_after: wait }),
            408 => Err(self.unclear("the answer was 408".to_owned())),
            300..=499 => Err(WebhookError::Refused { host, status }),
            _ => Err(self.unclear(format!("the answer was {status}"))),
        }
    }

    /// Its host, which may be printed.
    pub fn host(&self) -> &str {
        self.settings.url.host()
    }

    fn not_sent(&self, why: Cause) -> WebhookError {
        WebhookError::NotSent { host: self.host().to_owned(), why }
    }

    fn unclear(&self, why: String) -> WebhookError {
        WebhookError::Unclear { host: self.host().to_owned(), why }
    }
}

fn signature(key: &SecretBytes, seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_can_be_checked_with_any_tool() {
        // printf '1790000000.{"a":"ä"}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let key = SecretBytes::new("0123456789abcdef0123456789abcdef".as_bytes().to_vec());
        assert_eq!(
            signature(&key, 1_790_000_000, r#"{"a":"ä"}"#),
            "t=1790000000,v1=76682197696e01d2cd726736dc8dd4a51e0fdc08ca2926ef5c9ce05213f6a763"
        );
    }
}
