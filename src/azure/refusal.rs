//! Error answers of Azure Storage.

use azure_core::{
    Error,
    error::ErrorKind,
    http::{StatusCode, headers::HeaderName},
};

use crate::errors::identifier;

/// An error answer. Its body is left out, and what is no plain code or id: they can quote a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} {} (request-id {})",
    u16::from(*.status),
    if .code.is_empty() { "no error code" } else { .code },
    .request_id.as_deref().unwrap_or("none")
)]
pub(crate) struct StorageRefusal {
    status: StatusCode,
    /// An [error code], such as `ContainerNotFound`; may be empty.
    ///
    /// [error code]: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
    pub(crate) code: String,
    /// The id that Microsoft's support asks for.
    request_id: Option<String>,
}

impl StorageRefusal {
    /// The error answer in `error`; `None` if there was no answer.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let ErrorKind::HttpResponse { status, error_code, raw_response } = error.kind() else { return None };
        let header = HeaderName::from_static("x-ms-request-id");
        let request_id = raw_response.as_ref().and_then(|r| r.headers().get_optional_str(&header));
        let plain = |text: Option<&str>| text.and_then(identifier).map(str::to_owned);
        let code = plain(error_code.as_deref()).unwrap_or_default();
        Some(Self { status: *status, code, request_id: plain(request_id) })
    }

    /// Whether `error` is an answer with one of `codes`.
    pub(crate) fn has_code(error: &Error, codes: &[&str]) -> bool {
        Self::of(error).is_some_and(|refusal| codes.contains(&refusal.code.as_str()))
    }

    /// Whether the caller lacks the permission.
    pub(crate) fn is_access_denied(&self) -> bool {
        matches!(self.status, StatusCode::Forbidden | StatusCode::Unauthorized)
    }
}
