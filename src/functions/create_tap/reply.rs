//! The answers: 201 with a pass, or a problem document (RFC 9457).

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{caller::Denied, parameters::ParameterError};
use crate::{
    graph::{GraphError, GraphErrorKind, Pass, Usability},
    ledger::PassRecord,
    pass::{
        Block, Failure, NotIssued, Outcome, Refusal, Skip,
        guard::PrivilegeFinding,
        issue::{Delivery, Issued},
        request::PolicyViolation,
    },
    settings::Parameter,
};

/// Nothing says when.
const RESUMES: &str = "An admin decides when the app makes passes.";

/// An HTTP answer.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u64>,
    /// The body. That of a 201 contains a code, so this type has no `Debug`.
    pub body: Value,
}

/// The mails of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notification {
    /// The masked addresses that a mail was sent to.
    pub to: Vec<String>,
    /// Why the notice was not, or maybe not, sent.
    pub error: Option<NoticeError>,
}

/// Why a notice was not, or maybe not, sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoticeError {
    pub message: String,
    pub maybe_sent: bool,
}

impl From<String> for NoticeError {
    fn from(message: String) -> Self {
        Self { message, maybe_sent: false }
    }
}

/// The answer to a call that made a pass.
pub(super) fn created(
    issued: &Issued,
    notification: &Notification,
    warnings: &[String],
    now: DateTime<Utc>,
) -> Reply {
    let Issued { user, pass, delivery, replaced, .. } = issued;
    let code = match delivery {
        Delivery::ToCaller(code) => Some(code.reveal()),
        Delivery::ByMail(_) => None,
    };
    let to = Some(notification.to.join(", ")).filter(|to| !to.is_empty());
    let body = json!({
        "userId": user.id,
        "userPrincipalName": user.user_principal_name,
        "temporaryAccessPass": code,
        "passId": pass.id,
        "startDateTime": pass.start_date_time,
        "validUntil": pass.ends_at(),
        "lifetimeInMinutes": pass.lifetime_in_minutes,
        "isUsableOnce": pass.is_usable_once,
        "usable": pass.usability(now) == Usability::Active,
        "usabilityReason": usability_reason(pass, now),
        "replaced": u8::from(replaced.is_some()),
        "replacedStillWorked": replaced.unwrap_or(false),
        "notification": {"sent": to.is_some(), "to": to, "error": notification.error.as_ref().map(|error| &error.message)},
        "warnings": warnings,
    });
    Reply { status: 201, retry_after: None, body }
}

/// Graph's `methodUsabilityReason`; derived from the times if Graph does not give one.
fn usability_reason(pass: &Pass, now: DateTime<Utc>) -> &str {
    pass.method_usability_reason.as_deref().unwrap_or(match pass.usability(now) {
        Usability::NotYetActive => "NotYetValid",
        _ => "EnabledByPolicy",
    })
}

/// The answer while the settings are not valid. It holds no value and no name of a setting.
pub fn not_set_up(invocation: &str) -> Reply {
    let detail = "The settings of the function app are not valid, so no call is served. To do for an admin: search the \
                  log of the function app for settings.rejected, and correct what that line names.";
    ProblemDetails::new(503, "not-set-up", "The function app is not set up", detail).reply(invocation)
}

/// The answer to a call whose work panicked. The pass may have been made.
pub fn internal_error(invocation: &str) -> Reply {
    let detail = "A mistake in the function app ended this call, and its admins were told. The pass may have been made; a call \
                  with the same Idempotency-Key makes no second one.";
    ProblemDetails::new(500, "internal-error", "A mistake in the function app", detail).reply(invocation)
}

/// Why a call made no pass.
#[derive(Clone, Debug)]
pub(super) struct ProblemDetails {
    status: u16,
    /// The last part of the problem's `type`, also in the audit line.
    pub word: &'static str,
    title: &'static str,
    /// For a person to read; without a code.
    pub detail: String,
    /// What the audit line has in its place: what a caller must not learn.
    logged: Option<String>,
    retry_after: Option<u64>,
    request_id: Option<String>,
    errors: Vec<ParameterError>,
    made: Option<(PassRecord, DateTime<Utc>)>,
}

impl ProblemDetails {
    fn new(status: u16, word: &'static str, title: &'static str, detail: &str) -> Self {
        let detail = detail.to_owned();
        let (logged, retry_after, request_id, errors, made) = (None, None, None, Vec::new(), None);
        Self { status, word, title, detail, logged, retry_after, request_id, errors, made }
    }

    pub(super) fn bad_request(errors: Vec<ParameterError>) -> Self {
        let detail = errors.iter().map(ParameterError::to_string).collect::<Vec<_>>().join("; ");
        Self { errors, ..Self::new(400, "invalid-request", "The request cannot be carried out", &detail) }
    }

    pub(super) fn no_such_user() -> Self {
        let detail = "There is no such user in the tenant. A new account takes some seconds to appear.";
        Self::new(404, "no-such-user", "No such user", detail)
    }

    pub(super) fn denied(why: Denied) -> Self {
        match why {
            Denied::Off => {
                let to_do = "Nobody may call yet. To do for an admin: set CREATE_TAP_ALLOWED_CALLERS to those who may \
                             call, CREATE_TAP_ALLOWED_GROUP_ID to the group whose members may have a pass, or \
                             CREATE_TAP_OPEN=true for everyone with a function key and every user.";
                Self::new(403, "create-tap-off", "CreateTap is off", to_do)
            }
            Denied::NotAllowed(why) => {
                Self::new(403, "caller-not-allowed", "This caller may not make passes", why)
            }
        }
    }

    /// The one answer to a manager who gets no pass, whatever the reason is.
    fn not_for_manager(why: String) -> Self {
        let detail = "This caller may call as a manager: for joiners who report to them in Entra ID, have a private mail \
                      address and no pass by somebody else, and whose account is new and unused. The service desk helps \
                      everyone else. The audit line has the reason for an admin.";
        let problem = Self::new(403, "not-for-manager", "No pass for this account by its manager", detail);
        Self { logged: Some(why), ..problem }
    }

    /// Whether the caller must not learn the reason, from how long it took either.
    pub(super) fn hides_reason(&self) -> bool {
        self.word == "not-for-manager"
    }

    /// Whether another call of the same kind would fail too. A failure of other systems is none of the call's.
    pub(super) fn is_about_call(&self) -> bool {
        self.status < 500 && self.retry_after.is_none()
    }

    /// The same with the reason of `other` in the audit line.
    pub(super) fn in_place_of(self, other: &Self) -> Self {
        Self {
            logged: Some(format!("{} In its place: {}: {}", self.detail, other.word, other.logged())),
            ..self
        }
    }

    pub(super) fn too_many_calls(limit: usize, again_at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let why = format!(
            "This caller has used its limit of {limit} calls per hour; the next call is possible at {again_at:.0}."
        );
        Self::new(429, "too-many-calls", "Too many calls by this caller", &why).retry_at(again_at, now)
    }

    fn mailbox_busy() -> Self {
        let detail = "The mailbox that sends takes no more mails at present. Try again later, or call with Deliver: response.";
        Self::new(429, "mailbox-busy", "The mailbox takes no more mails at present", detail)
            .retry_in(None, 60)
    }

    fn retry_at(mut self, at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        // Rounded up: a call a second too early would be refused again.
        let seconds = ((at - now).num_milliseconds().max(0) as u64).div_ceil(1_000);
        self.retry_after = Some(seconds.max(1));
        self
    }

    fn retry_in(mut self, wait: Option<Duration>, otherwise: u64) -> Self {
        self.retry_after = Some(wait.map_or(otherwise, |wait| wait.as_secs().max(1)));
        self
    }

    /// The problem for an error of Graph.
    pub(super) fn graph(error: &GraphError) -> Self {
        let of =
            |status, word, title, to_do: &str| Self::new(status, word, title, &format!("{error}. {to_do}"));
        let problem = match error.kind {
            // Graph was not asked.
            GraphErrorKind::Throttled if error.status.is_none() => Self::mailbox_busy(),
            GraphErrorKind::Throttled => of(429, "graph-busy", "Microsoft Graph is busy", "Try again later.")
                .retry_in(error.retry_after, 60),
            GraphErrorKind::Ambiguous | GraphErrorKind::Unavailable => {
                let to_do = "Try again: the next call replaces a pass that may exist.";
                of(504, "graph-no-answer", "Microsoft Graph did not answer", to_do)
                    .retry_in(error.retry_after, 60)
            }
            GraphErrorKind::Refused
            | GraphErrorKind::NotFound
            | GraphErrorKind::SignIn
            | GraphErrorKind::Unreadable => {
                let to_do = format!("To do for an admin: {}.", error.advice());
                of(502, "graph-refused", "Microsoft Graph refused the request", &to_do)
            }
        };
        Self { request_id: error.request_id.clone(), ..problem }
    }

    /// The problem for a flow that made no pass. A manager learns nothing about an account, only what ends by itself or is
    /// wrong in the call.
    pub(super) fn of(why: &NotIssued, is_for_manager: bool, now: DateTime<Utc>) -> Self {
        match why {
            NotIssued::Refused(Refusal::NotInGroup) | NotIssued::Outcome(_)
                if is_for_manager && !why.may_pass() =>
            {
                Self::not_for_manager(why.to_string())
            }
            NotIssued::Refused(refusal) => Self::refused(refusal, now),
            NotIssued::Outcome(Outcome::Failed(failure)) => Self::failed(failure, now),
            NotIssued::Outcome(Outcome::Blocked(block)) => Self::blocked(block, why),
            NotIssued::Outcome(outcome @ Outcome::Skipped(Skip::ReportOnly)) => {
                Self::new(503, "report-only", "The app makes no passes yet", &format!("{outcome}. {RESUMES}"))
            }
            NotIssued::Outcome(outcome @ Outcome::Skipped(Skip::Paused)) => {
                Self::new(503, "paused", "The app is paused", &format!("{outcome}. {RESUMES}"))
            }
            NotIssued::Outcome(outcome) => {
                Self::new(403, "account-not-served", "This account gets no pass", &format!("{outcome}."))
            }
        }
    }

    fn refused(refusal: &Refusal, now: DateTime<Utc>) -> Self {
        let of = |status, word, title| Self::new(status, word, title, &format!("{refusal}."));
        match refusal {
            Refusal::PolicyViolation(violations) => {
                Self::bad_request(violations.iter().map(parameter_error).collect())
            }
            Refusal::NotForManager(_) => Self::not_for_manager(refusal.to_string()),
            Refusal::NotInGroup => of(403, "not-in-group", "This account gets no pass"),
            Refusal::TooMany { again_at } => {
                of(429, "too-many-passes", "Too many passes for this user").retry_at(*again_at, now)
            }
            Refusal::KeyReused => of(422, "key-reused", "The Idempotency-Key was used for another request"),
            Refusal::Repeated { made, at } => {
                let detail = format!(
                    "{refusal}. Codes are not stored: if the code did not arrive, call again with another \
                     Idempotency-Key."
                );
                let made = Some((made.clone(), *at));
                Self {
                    made,
                    ..Self::new(409, "already-made", "This call has already made its pass", &detail)
                }
            }
        }
    }

    fn failed(failure: &Failure, now: DateTime<Utc>) -> Self {
        match failure {
            Failure::Missing => Self::no_such_user(),
            Failure::Graph(error) => Self::graph(error),
            Failure::Busy(until) => {
                let detail = format!("{failure}. Try again later.");
                let problem = Self::new(409, "busy", "Another job is working on this user", &detail);
                match until {
                    Some(until) => problem.retry_at(*until, now),
                    None => problem.retry_in(None, 60),
                }
            }
            Failure::Ledger(_) => {
                let detail = format!(
                    "{failure}. Try again later; with the same Idempotency-Key no second pass is made."
                );
                Self::new(503, "ledger-unavailable", "The ledger is not available", &detail)
                    .retry_in(None, 60)
            }
            Failure::Webhook(_) => {
                let detail = format!("{failure}. To do for an admin: {}", failure.advice());
                Self::new(503, "webhook-unavailable", "The endpoint that delivers codes took none", &detail)
                    .retry_in(None, 60)
            }
            Failure::MailboxBusy => Self::mailbox_busy(),
            Failure::Clock(_) => {
                let detail = format!("{failure}. To do for an admin: {}", failure.advice());
                Self::new(503, "clock-wrong", "The app's clock is wrong", &detail).retry_in(None, 60)
            }
            Failure::Mail(_) => {
                let detail =
                    format!("{failure}. To do for an admin: correct the mail templates and deploy again.");
                Self::new(500, "broken-template", "The mail cannot be rendered", &detail)
            }
        }
    }

    fn blocked(block: &Block, why: &NotIssued) -> Self {
        let of =
            |status, word, title, to_do: &str| Self::new(status, word, title, &format!("{why}. {to_do}"));
        let policy = "The tenant does not allow this pass";
        match block {
            Block::Privileged(PrivilegeFinding::Unknown(_)) => {
                let to_do = "To do for an admin: grant the app the permissions in docs/PERMISSIONS.md. Until then, \
                             accounts with unknown privileges get no pass.";
                of(403, "privilege-unknown", "The privileges of this account are unknown", to_do)
            }
            // Which role or group is for the audit line: a caller could map the tenant's administrators with it.
            Block::Privileged(_) => {
                let detail =
                    "The account is privileged or protected. Give this person their first sign-in in person.";
                let problem = Self::new(403, "privileged-account", "Privileged accounts get no pass", detail);
                Self { logged: Some(why.to_string()), ..problem }
            }
            Block::PassesOff => {
                let to_do =
                    "To do for an admin: enable the method in the tenant's authentication methods policy.";
                of(409, "passes-off", policy, to_do)
            }
            Block::DisabledByPolicy => {
                let to_do = "To do for an admin: include this user in the Temporary Access Pass method of the \
                             authentication methods policy.";
                of(409, "not-in-policy", policy, to_do)
            }
            // Neither the caller nor the user can grant a missing permission.
            Block::Refused(error) if error.status == Some(403) => Self::graph(error),
            Block::Refused(error) => {
                let to_do = "To do for an admin: check that the Temporary Access Pass method of the tenant's \
                             authentication methods policy includes this user. If Graph says that a pass exists, \
                             delete that pass first.";
                let request_id = error.request_id.clone();
                Self { request_id, ..of(409, "refused-by-policy", policy, to_do) }
            }
            Block::NoAddress(_) => {
                let to_do = "Add a private mail address to the account, or call with Deliver: response.";
                of(409, "no-address", "The user has no private mail address", to_do)
            }
            Block::MailboxShut(_) => {
                let to_do = "To do for an admin: the alert about the mailbox says what. Until then, call with Deliver: response.";
                of(503, "mailbox-shut", "The mailbox that sends refuses all mails", to_do)
                    .retry_in(None, 3_600)
            }
            Block::WebhookRefused(_) => {
                let to_do = "To do for an admin: see the endpoint of DELIVERY_WEBHOOK_URL. Until then, call with Deliver: response.";
                of(502, "webhook-refused", "The endpoint that delivers codes refuses them", to_do)
            }
            // Decided for jobs of the queue only.
            Block::TooManyCodes
            | Block::AlreadyHasMethods(_)
            | Block::AlreadySignedIn(_)
            | Block::TooOld(_)
            | Block::UseUnknown(_)
            | Block::Rescinded(_)
            | Block::AddressRemoved
            | Block::AddressChanged
            | Block::StillDisabled(_)
            | Block::MailUnclear(_)
            | Block::NotArrived(_)
            | Block::RecordUnreadable(_)
            | Block::StaysOnDemand(_) => of(403, "account-not-served", "This account gets no pass", ""),
        }
    }

    /// What the audit line says.
    pub(super) fn logged(&self) -> &str {
        self.logged.as_deref().unwrap_or(&self.detail)
    }

    /// The answer.
    pub(super) fn reply(&self, invocation: &str) -> Reply {
        let Self { status, word, title, detail, .. } = self;
        let mut body = json!({
            "type": format!("urn:firstpass:{word}"),
            "title": title,
            "status": status,
            "detail": detail,
            "instance": invocation,
            "invocationId": invocation,
        });
        if let Some(id) = &self.request_id {
            body["requestId"] = id.as_str().into();
        }
        if !self.errors.is_empty() {
            let error =
                |error: &ParameterError| json!({"parameter": error.parameter, "detail": error.problem});
            body["errors"] = self.errors.iter().map(error).collect();
        }
        if let Some((made, at)) = &self.made {
            body["made"] = json!({
                "passId": made.pass_id, "startDateTime": made.opens_at, "validUntil": made.ends_at, "calledAt": at,
            });
        }
        Reply { status: *status, retry_after: self.retry_after, body }
    }
}

/// The error of a parameter that violates the tenant's policy.
fn parameter_error(violation: &PolicyViolation) -> ParameterError {
    ParameterError {
        parameter: parameter(violation).name(),
        problem: format!("violates the tenant's policy: {violation}"),
    }
}

/// The parameter behind a policy violation.
pub(super) fn parameter(violation: &PolicyViolation) -> Parameter {
    match violation {
        PolicyViolation::Lifetime { .. } => Parameter::LifetimeInMinutes,
        PolicyViolation::SeveralTimes => Parameter::OneTimeUseOnly,
    }
}
