//! Failed calls to Graph, with what an admin can do about them.

use std::{fmt, time::Duration};

use azure_core::{
    error::ErrorKind,
    http::{RawResponse, headers::HeaderName},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::retry::{Idempotency, is_ambiguous};
use crate::{
    code::Code,
    errors::{Cause, chain, identifier},
    foreign::ForeignText,
    transport::{self, retry_after},
};

/// The operation that Exchange carries out.
pub(super) const SENDING_MAIL: &str = "sending the mail";
/// Why a permission does not help at once
/// (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identities-faq>).
pub(crate) const GRANTED_LATE: &str = "Azure keeps a managed identity's token for about a day, and what is granted meanwhile \
    takes effect with the next one; a restart does not help";

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct GraphError {
    /// The operation in progress: "making the pass".
    pub operation: &'static str,
    /// What the failure means for the caller.
    pub kind: GraphErrorKind,
    /// The HTTP status; `None` without an answer.
    pub status: Option<u16>,
    /// Graph's error code, e.g. `Request_ResourceNotFound`; may be empty.
    pub code: Box<str>,
    /// Graph's error message, or the transport's.
    pub message: ForeignText,
    /// Graph's `request-id`, which Microsoft's support asks for.
    pub request_id: Option<String>,
    /// How long Graph asks to wait before the next try.
    pub retry_after: Option<Duration>,
    /// The transport's error; `None` where Graph answered.
    pub source: Option<Box<Cause>>,
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// For an admin.
    pub why: String,
    /// Whether a permission is missing: then it cannot be read of any account.
    pub is_permission: bool,
}

impl From<&GraphError> for Unread {
    fn from(error: &GraphError) -> Self {
        Self { why: error.to_string(), is_permission: error.status == Some(403) }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// What a failed call means for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphErrorKind {
    /// Graph refused the call. Nothing changed; a retry does not help.
    Refused,
    /// The object does not exist, or not yet in this replica. Nothing changed.
    NotFound,
    /// Graph is busy. Nothing changed; a later try may succeed.
    Throttled,
    /// Graph was not reached, or a read got no answer. Nothing changed; a later try may succeed.
    Unavailable,
    /// A change was sent and its answer was lost: it may have taken effect.
    Ambiguous,
    /// There was no token, or Graph refused it.
    SignIn,
    /// The answer does not have the documented form.
    Unreadable,
}

/// How surely a refusal of a mail is about the mailbox that sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderRefusal {
    /// The code says it.
    Certain,
    /// The status alone suggests it: Graph's own answers have a code.
    Likely,
}

impl GraphError {
    /// Whether the same call may succeed later without a change by an admin.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            GraphErrorKind::Throttled
                | GraphErrorKind::Unavailable
                | GraphErrorKind::Ambiguous
                | GraphErrorKind::SignIn
        )
    }

    /// Whether Graph refused to change a member of a restricted management administrative unit. Only the text tells it from
    /// a missing permission.
    pub(crate) fn is_about_restricted_unit(&self) -> bool {
        self.status == Some(403)
            && self.message.raw().to_lowercase().contains("restricted management administrative unit")
    }

    /// Whether Exchange refuses every mail from this mailbox, whoever it is for; `None` if it does not.
    pub(crate) fn sender_refusal(&self) -> Option<SenderRefusal> {
        if self.operation != SENDING_MAIL {
            return None;
        }
        match self.status {
            _ if refuses_sender(&self.code) => Some(SenderRefusal::Certain),
            // This mail is taken for spam.
            _ if &*self.code == "ErrorMessageBlocked" => None,
            Some(403 | 404) => Some(SenderRefusal::Likely),
            _ => None,
        }
    }

    /// Whether it says that the tenant has no licence for Privileged Identity Management.
    pub(crate) fn is_about_pim_licence(&self) -> bool {
        &*self.code == "AadPremiumLicenseRequired"
    }

    /// What happened in a few words of our own, without names of users and without Graph's text.
    pub(crate) fn summary(&self) -> String {
        let happened = match self.kind {
            GraphErrorKind::Refused => "Microsoft Graph refused the request",
            GraphErrorKind::NotFound => "Microsoft Graph does not know the object",
            GraphErrorKind::Throttled => "Microsoft Graph is busy",
            GraphErrorKind::Unavailable => "Microsoft Graph did not answer",
            GraphErrorKind::Ambiguous => "Microsoft Graph gave no clear answer",
            GraphErrorKind::SignIn => "the app could not sign in",
            GraphErrorKind::Unreadable => "Microsoft Graph gave an unexpected answer",
        };
        let status = self.status.map(|status| format!(" ({status})")).unwrap_or_default();
        format!("{happened}{status} while {}", self.operation)
    }

    /// What an admin can do.
    pub(crate) fn advice(&self) -> String {
        if self.operation == SENDING_MAIL
            && let Some(advice) = self.exchange_advice()
        {
            return advice.to_owned();
        }
        let advice = match (self.kind, self.status) {
            (GraphErrorKind::SignIn, _) => {
                "check that the function app has the managed identity that AZURE_CLIENT_ID names, and that CLOUD is the \
                 tenant's; if both are so, Azure gives no token at present, and a later try succeeds"
            }
            _ if self.is_about_restricted_unit() => {
                "the account is in a restricted management administrative unit: assign the app's identity a role scoped to \
                 that unit, such as Authentication Administrator, or the permission Directory.Write.Restricted, which takes effect \
                 within a day, or take the account out of the unit"
            }
            _ if self.is_about_licence() => {
                "the tenant has no licence for this: Entra ID P1; or choose other checks with JOINER_CHECK"
            }
            (GraphErrorKind::Refused, Some(403) | None) => {
                return format!(
                    "grant the app's identity the permission for this operation (docs/PERMISSIONS.md); if it has it already, \
                     wait: {GRANTED_LATE}"
                );
            }
            (GraphErrorKind::NotFound, _) => {
                "check that the account and the groups in the settings exist; a new account takes some minutes to appear"
            }
            (GraphErrorKind::Refused, _) => {
                "correct the account or the tenant's policy as Graph's message says"
            }
            (GraphErrorKind::Unreadable, Some(300..=399)) => {
                "the answer leads to another address, which Graph's never do: find out whether a proxy or a firewall answers in its \
                 place, and let the app reach Graph directly"
            }
            (GraphErrorKind::Unreadable, _) => "report the request-id: the form of Graph's answer is unknown",
            (GraphErrorKind::Throttled | GraphErrorKind::Unavailable, _) => "wait until Graph answers again",
            (GraphErrorKind::Ambiguous, _) => {
                "wait until Graph answers again; what it was asked for may have happened"
            }
        };
        advice.to_owned()
    }

    /// What helps when Exchange refuses a mail: it decides itself who may send from a mailbox, and its answers name no role.
    fn exchange_advice(&self) -> Option<&'static str> {
        let is_refused = self.kind == GraphErrorKind::Refused;
        Some(match (self.status, &*self.code) {
            (_, "ErrorQuotaExceeded") => {
                "make room in the mailbox that sends (MAIL_FROM): it is full, and a full mailbox sends nothing"
            }
            (_, "ErrorSubmissionQuotaExceeded" | "ErrorExceededMessageLimit") => {
                "wait: the mailbox that sends (MAIL_FROM) has had as many recipients as Exchange Online allows in 24 hours, and no \
                 admin can lift that; if others send from it too, give this app a mailbox of its own"
            }
            (_, "ErrorMessageSubmissionBlocked" | "ErrorAccountSuspend" | "ErrorAccountDisabled") => {
                "unblock the mailbox that sends (MAIL_FROM): Microsoft Defender portal, Restricted entities, or enable its account; \
                 and find out what was sent from it"
            }
            (Some(403), "ErrorSendAsDenied") => {
                "set MAIL_FROM, or EmailFrom of the call, to the address of the mailbox itself: the app may not send in the name \
                 of another"
            }
            (Some(403), _) if self.message.raw().contains("AccessPolicy") => {
                "an application access policy in Exchange Online keeps the app out of the mailbox that sends (MAIL_FROM, or \
                 EmailFrom of the call): add the mailbox to the policy's group, or remove the policy and use a role with a scope \
                 (docs/PERMISSIONS.md, Mail); a change takes up to two hours"
            }
            (Some(403), _) => {
                "give the app's identity the role Application Mail.Send in Exchange Online, with a scope that has the mailbox that \
                 sends (MAIL_FROM, or EmailFrom of the call), and not the permission Mail.Send in Entra ID (docs/PERMISSIONS.md, \
                 Mail); Test-ServicePrincipalAuthorization shows what the identity may do; a change takes up to two hours"
            }
            (Some(404), _) => {
                "give the address that sends (MAIL_FROM, or EmailFrom of the call) a mailbox in Exchange Online, or use another one"
            }
            (_, "ErrorInvalidRecipients") => "correct the address that Exchange does not accept",
            _ if is_refused => "correct the mail's sender or recipient as Exchange's message says",
            _ => return None,
        })
    }

    /// Whether the tenant lacks a licence: the app is refused although it has the permission.
    fn is_about_licence(&self) -> bool {
        self.status == Some(403) && self.code.contains("NonPremium")
    }

    pub(super) fn from_response(
        operation: &'static str,
        idempotency: Idempotency,
        response: &RawResponse,
    ) -> Self {
        let status = u16::from(response.status());
        let mut error = Self::from_status(operation, idempotency, status, response.body().as_ref());
        error.request_id = error.request_id.or_else(|| request_id(response));
        error.retry_after = retry_after(response.headers());
        error
    }

    /// From the status and body of an answer, or of one part of a `$batch`.
    pub(super) fn from_status(
        operation: &'static str,
        idempotency: Idempotency,
        status: u16,
        body: &[u8],
    ) -> Self {
        // A longer one is no error of Graph's.
        let body = Some(body).filter(|body| body.len() <= transport::ERROR);
        let body: Value = body.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        let text = |path| body.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let code = text("/error/code").unwrap_or_default();
        let message = text("/error/message").unwrap_or_default();
        // Services behind Graph answer in JSON of their own, which Graph wraps in a code such as `UnknownError`.
        let (code, message) = match serde_json::from_str::<InnerError>(&message) {
            Ok(inner) => (inner.code, inner.message.unwrap_or_default()),
            Err(_) => (code, message),
        };
        let kind = match status {
            // Whatever its status is, the mail was not sent, and waiting does not help.
            _ if operation == SENDING_MAIL && refuses_sender(&code) => GraphErrorKind::Refused,
            401 => GraphErrorKind::SignIn,
            404 => GraphErrorKind::NotFound,
            // Graph does not redirect: something else answered.
            300..=399 => GraphErrorKind::Unreadable,
            429 | 503 => GraphErrorKind::Throttled,
            _ if is_ambiguous(status.into()) => without_answer(idempotency),
            500.. => without_answer(idempotency),
            _ => GraphErrorKind::Refused,
        };
        Self {
            kind,
            status: Some(status),
            code: identifier(&code).unwrap_or_default().into(),
            request_id: text("/error/innerError/request-id")
                .or_else(|| text("/error/innererror/request-id"))
                .filter(|id| identifier(id).is_some()),
            ..Self::unreadable(operation, &message)
        }
    }

    pub(super) fn from_transport(
        operation: &'static str,
        idempotency: Idempotency,
        error: &azure_core::Error,
    ) -> Self {
        let kind = match error.kind() {
            ErrorKind::Io => without_answer(idempotency),
            // The answer is too large.
            ErrorKind::DataConversion if idempotency == Idempotency::Idempotent => GraphErrorKind::Unreadable,
            ErrorKind::DataConversion => GraphErrorKind::Ambiguous,
            ErrorKind::Credential => GraphErrorKind::SignIn,
            _ => GraphErrorKind::Unavailable,
        };
        let cause = Cause::of(error);
        let message = chain(&cause);
        Self { kind, source: Some(Box::new(cause)), ..Self::unreadable(operation, &message) }
    }

    /// The operation exceeded the caller's time limit.
    pub(crate) fn timed_out(operation: &'static str) -> Self {
        Self { kind: GraphErrorKind::Unavailable, ..Self::unreadable(operation, "timed out") }
    }

    /// The mail was not sent, because the mailbox takes no more mails in the time that is left.
    pub(super) fn mailbox_busy(operation: &'static str) -> Self {
        Self {
            kind: GraphErrorKind::Throttled,
            ..Self::unreadable(
                operation,
                "not sent: the mailbox takes no more mails at present (MAILS_PER_MINUTE)",
            )
        }
    }

    /// Removes `code` from the error: an answer may quote the request.
    pub(crate) fn redact(&mut self, code: &Code) {
        self.message.forget(code);
        self.source = None;
        // Both are identifiers, and so may a code be.
        let has_code = |text: &str| !code.reveal().is_empty() && text.contains(code.reveal());
        self.request_id.take_if(|id| has_code(id));
        if has_code(&self.code) {
            self.code = "".into();
        }
    }

    /// Graph answered without the data that a missing permission protects.
    pub(super) fn missing_permission(operation: &'static str, message: &str) -> Self {
        Self { kind: GraphErrorKind::Refused, ..Self::unreadable(operation, message) }
    }

    pub(super) fn unreadable(operation: &'static str, message: &str) -> Self {
        Self {
            operation,
            kind: GraphErrorKind::Unreadable,
            status: None,
            code: "".into(),
            message: ForeignText::new(message),
            request_id: None,
            retry_after: None,
            source: None,
        }
    }
}

/// Whether Exchange's code says that the mailbox sends nothing at present, with whatever status it comes. The names are those of
/// Exchange Web Services (ServiceError of the EWS Managed API); of the statuses, 403, 404, 413, 429, 507 and 554 were seen or are
/// guessed. The daily limits of recipients end by themselves, and no admin can lift them.
fn refuses_sender(code: &str) -> bool {
    matches!(
        code,
        "ErrorAccessDenied"
            | "ErrorAccountDisabled"
            | "ErrorAccountSuspend"
            | "ErrorExceededMessageLimit"
            | "ErrorInvalidUser"
            | "ErrorMessageSubmissionBlocked"
            | "ErrorQuotaExceeded"
            | "ErrorSendAsDenied"
            | "ErrorSubmissionQuotaExceeded"
            | "MailboxNotEnabledForRESTAPI"
            | "Request_ResourceNotFound"
            | "ResourceNotFound"
    )
}

/// The error of a service behind Graph, such as Privileged Identity Management (microsoft-graph-docs issue 22292).
#[derive(Deserialize)]
struct InnerError {
    #[serde(rename = "errorCode")]
    code: String,
    message: Option<String>,
}

fn without_answer(idempotency: Idempotency) -> GraphErrorKind {
    match idempotency {
        Idempotency::Idempotent => GraphErrorKind::Unavailable,
        Idempotency::NotIdempotent => GraphErrorKind::Ambiguous,
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failure = match self.kind {
            GraphErrorKind::Ambiguous => "no clear answer",
            GraphErrorKind::SignIn => "could not sign in to Graph",
            GraphErrorKind::Unreadable => "unexpected answer",
            _ => "Graph error",
        };
        write!(f, "{failure} while {}", self.operation)?;
        if let Some(status) = self.status {
            write!(f, ": {status}")?;
        }
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request-id {id})")?;
        }
        Ok(())
    }
}

/// The result of `work`, or an error if it takes longer than `limit`.
pub(crate) async fn within<T, E: From<GraphError>>(
    limit: Duration,
    operation: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(GraphError::timed_out(operation).into()))
}

/// The result with a refusal as a value.
///
/// # Errors
/// On an error after which a retry may succeed, a lagging replica's included.
pub(super) fn refusal_kept<T>(result: Result<T, GraphError>) -> Result<Result<T, GraphError>, GraphError> {
    match result {
        Err(error) if error.is_transient() || error.kind == GraphErrorKind::NotFound => Err(error),
        result => Ok(result),
    }
}

/// `None` where Graph answers that the object does not exist.
pub(super) fn if_exists<T>(result: Result<T, GraphError>) -> Result<Option<T>, GraphError> {
    match result {
        Err(error) if error.kind == GraphErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

pub(super) fn request_id(response: &RawResponse) -> Option<String> {
    let id = response.headers().get_optional_str(&HeaderName::from_static("request-id"))?;
    identifier(id).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const READING: &str = "reading the user";

    #[test]
    fn a_code_is_removed_from_every_part_of_an_error() {
        let body = json!({"error": {"code": "A7-Kx.9", "message": "A7-Kx.9 %417-Kx.9", "innerError": {"request-id": "A7-Kx.9"}}});
        let mut error = GraphError::from_status(
            SENDING_MAIL,
            Idempotency::NotIdempotent,
            400,
            body.to_string().as_bytes(),
        );
        assert!(error.to_string().contains("A7-Kx.9"));
        error.redact(&Code::new("A7-Kx.9"));
        assert_eq!(error.to_string(), "Graph error while sending the mail: 400: [code] [code]");
        assert!(!format!("{error:?}").contains("7-Kx.9"));
    }

    #[test]
    fn each_refusal_has_advice_that_helps() {
        let permission = "the permission for this operation";
        for (operation, status, code, message, expected) in [
            (READING, 403, "Authorization_RequestDenied", "", permission),
            (READING, 403, "Authorization_RequestDenied", "", "for about a day"),
            (READING, 403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", "", "licence"),
            (READING, 404, "Request_ResourceNotFound", "", "a new account takes some minutes"),
            (READING, 400, "Request_BadRequest", "", "as Graph's message says"),
            (READING, 401, "InvalidAuthenticationToken", "", "AZURE_CLIENT_ID"),
            (READING, 302, "", "", "a proxy or a firewall"),
            (READING, 429, "TooManyRequests", "", "wait until Graph answers"),
            (SENDING_MAIL, 403, "ErrorAccessDenied", "Access is denied.", "Application Mail.Send"),
            (SENDING_MAIL, 403, "ErrorAccessDenied", "[RAOP] AppOnly AccessPolicy", "access policy"),
            (SENDING_MAIL, 403, "ErrorSendAsDenied", "", "the mailbox itself"),
            (SENDING_MAIL, 404, "MailboxNotEnabledForRESTAPI", "", "a mailbox in Exchange Online"),
            (SENDING_MAIL, 400, "ErrorInvalidRecipients", "", "correct the address"),
            (SENDING_MAIL, 400, "ErrorMimeContentInvalidBase64String", "", "as Exchange's message says"),
            (SENDING_MAIL, 401, "InvalidAuthenticationToken", "", "AZURE_CLIENT_ID"),
            (SENDING_MAIL, 504, "", "", "may have happened"),
        ] {
            let body = json!({"error": {"code": code, "message": message}});
            let body = body.to_string();
            let error =
                GraphError::from_status(operation, Idempotency::NotIdempotent, status, body.as_bytes());
            let advice = error.advice();
            assert!(advice.contains(expected), "{operation}: {status} {code}: {advice}");
            let grants = operation == READING && code == "Authorization_RequestDenied";
            assert_eq!(advice.contains(permission), grants, "{operation}: {status} {code}: {advice}");
        }
    }
}
