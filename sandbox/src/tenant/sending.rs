//! What Exchange Online lets the app send: the limits of each mailbox, and why it refuses to send at all.

use std::{collections::VecDeque, num::NonZeroUsize};

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::wire::ErrorResponse;

/// The limits of every mailbox (Exchange Online limits, sending limits); `None` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SendLimits {
    /// Messages in any 60 seconds.
    pub messages_per_minute: Option<NonZeroUsize>,
    /// Recipients in any 24 hours. Each message counts all of its own, in "To", "Cc" and "Bcc".
    pub recipients_per_day: Option<NonZeroUsize>,
}

impl Default for SendLimits {
    fn default() -> Self {
        Self { messages_per_minute: NonZeroUsize::new(30), recipients_per_day: NonZeroUsize::new(10_000) }
    }
}

/// Why Exchange denies the app to send mail from any mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendDenial {
    /// The app has no role in Exchange, or none whose scope has the mailbox.
    OutOfScope,
    /// An application access policy keeps the app out of the mailbox.
    AccessPolicy,
    /// The mailbox has no room for the draft, which is made even if no copy is kept.
    MailboxFull,
    /// The account must not send, for example because of spam.
    SubmissionBlocked,
    /// The account is suspended.
    AccountSuspended,
}

impl SendDenial {
    pub(super) fn refusal(self) -> ErrorResponse {
        // 554 is not a mistake: the status of the only full answer that was found.
        let (status, code, message) = match self {
            Self::OutOfScope => {
                (403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
            }
            Self::AccessPolicy => (
                403,
                "ErrorAccessDenied",
                "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.",
            ),
            // Code: microsoft-graph-docs issues 3935 and 5607. Message: its issue 2927, exchangelib issue 457. The status
            // is assumed: it is that of QuotaExceededException in issue 6546.
            Self::MailboxFull => (507, "ErrorQuotaExceeded", "Mailbox has exceeded maximum mailbox size."),
            // An answer of the Outlook API to `send`, in the source of a fork of ruby_outlook.
            Self::SubmissionBlocked => (
                554,
                "ErrorMessageSubmissionBlocked",
                "Cannot send mail. Follow the instructions in your Inbox to verify your account., WASCL UserAction \
                 verdict is not None. Actual verdict is HipSend, ShowTierUpgrade.",
            ),
            // An answer of Graph to `POST /me/events` in the tests of rdv-service-public.
            Self::AccountSuspended => (
                403,
                "ErrorAccountSuspend",
                "Account suspended. Follow the instructions in your Inbox to verify your account.",
            ),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        ErrorResponse::new(status, code, message)
    }
}

/// When a mailbox sent mails in the last 24 hours, and to how many recipients each; oldest first.
#[derive(Default)]
pub(super) struct Submissions(VecDeque<(DateTime<Utc>, usize)>);

impl Submissions {
    /// Counts a mail to so many recipients, or refuses it.
    pub(super) fn submit(
        &mut self,
        recipients: usize,
        limits: SendLimits,
        now: DateTime<Utc>,
    ) -> Result<(), ErrorResponse> {
        let Self(sent) = self;
        while sent.front().is_some_and(|(at, _)| now - *at >= TimeDelta::days(1)) {
            sent.pop_front();
        }
        if let Some(max) = limits.messages_per_minute
            && let Some((at, _)) = sent.iter().rev().nth(max.get() - 1)
            && let wait = *at + TimeDelta::minutes(1) - now
            && wait > TimeDelta::zero()
        {
            return Err(over_rate(wait));
        }
        let used: usize = sent.iter().map(|(_, recipients)| recipients).sum();
        if limits.recipients_per_day.is_some_and(|max| used + recipients > max.get()) {
            return Err(over_recipients());
        }
        sent.push_back((now, recipients));
        Ok(())
    }
}

/// That Exchange refuses, and how, is assumed: for SMTP one page says that it rejects, another that it delays.
fn over_rate(wait: TimeDelta) -> ErrorResponse {
    let seconds = (wait + TimeDelta::milliseconds(999)).num_seconds();
    let message = "Application is over its MailboxMessageRate limit.";
    ErrorResponse::throttled("ApplicationThrottled", message, Some(seconds.to_string()))
}

/// Code and status are in the tests of microsoft/notification-provider; Outlook on the web shows the code as "daily
/// RecipientRateLimit is exceeded". The message is that of the non-delivery report. No `Retry-After`: assumed.
fn over_recipients() -> ErrorResponse {
    let message = "The message can't be submitted because the sender's submission quota was exceeded.";
    ErrorResponse::throttled("ErrorSubmissionQuotaExceeded", message, None)
}
