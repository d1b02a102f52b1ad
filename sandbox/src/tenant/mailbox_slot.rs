//! The limit of concurrent requests to a mailbox.

use axum::http::Method;
use uuid::Uuid;

use super::{
    Sandbox,
    route::Route,
    wire::{ErrorResponse, GraphCall},
};

/// How many requests a mailbox serves at a time (throttling limits of Graph, Outlook service).
const MAILBOX_CONCURRENCY: usize = 4;

/// One of the concurrent requests to a mailbox, released when dropped.
pub(super) struct MailboxSlot {
    sandbox: Sandbox,
    mailbox: Uuid,
}

impl MailboxSlot {
    pub(super) fn take(sandbox: &Sandbox, call: &GraphCall) -> Result<Option<Self>, ErrorResponse> {
        let Some(mailbox) = mailbox(sandbox, call) else { return Ok(None) };
        let mut state = sandbox.lock();
        let busy = state.busy.entry(mailbox).or_default();
        if *busy >= MAILBOX_CONCURRENCY {
            let message = "Application is over its MailboxConcurrency limit.";
            return Err(ErrorResponse::throttled("ApplicationThrottled", message, Some("1".to_owned())));
        }
        *busy += 1;
        Ok(Some(Self { sandbox: sandbox.clone(), mailbox }))
    }
}

impl Drop for MailboxSlot {
    fn drop(&mut self) {
        if let Some(busy) = self.sandbox.lock().busy.get_mut(&self.mailbox) {
            *busy -= 1;
        }
    }
}

fn mailbox(sandbox: &Sandbox, call: &GraphCall) -> Option<Uuid> {
    match (&call.method, Route::parse(call)) {
        (&Method::POST, Ok(Route::SendMail(sender))) => {
            sandbox.lock().tenant.find_user(&sender).map(|person| person.id)
        }
        _ => None,
    }
}
