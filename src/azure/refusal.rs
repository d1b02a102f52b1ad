//! What Azure's storage services say when they refuse.

use std::fmt;

use azure_core::{
    Error,
    error::ErrorKind,
    http::{StatusCode, headers::HeaderName},
};

/// An answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StorageRefusal {
    status: StatusCode,
    /// One of [the codes], such as `ContainerNotFound`; may be empty.
    ///
    /// [the codes]: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
    pub(crate) code: String,
    /// What Microsoft's support asks for.
    request_id: Option<String>,
}

impl StorageRefusal {
    /// The refusal in `error`; `None` where there was no answer.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let ErrorKind::HttpResponse { status, error_code, raw_response } = error.kind() else { return None };
        let header = HeaderName::from_static("x-ms-request-id");
        let request_id =
            raw_response.as_ref().and_then(|response| response.headers().get_optional_string(&header));
        Some(Self { status: *status, code: error_code.clone().unwrap_or_default(), request_id })
    }

    /// Whether `error` is a refusal with one of `codes`.
    pub(crate) fn says(error: &Error, codes: &[&str]) -> bool {
        Self::of(error).is_some_and(|refusal| codes.contains(&refusal.code.as_str()))
    }

    /// Whether whoever asked may not.
    pub(crate) fn is_about_rights(&self) -> bool {
        matches!(self.status, StatusCode::Forbidden | StatusCode::Unauthorized)
    }
}

impl fmt::Display for StorageRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = if self.code.is_empty() { "no error code" } else { &self.code };
        let request_id = self.request_id.as_deref().unwrap_or("none");
        write!(f, "{} {code} (request-id {request_id})", u16::from(self.status))
    }
}
