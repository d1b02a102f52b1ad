//! Sends the mail that has the code, to those recipients whom Exchange takes.

use super::JobContext;
use crate::{
    address::Address,
    budget,
    code::Code,
    graph::{GraphErrorKind, NotSent, OutgoingMail, TenantSnapshot},
    ledger::Notice,
    mail::Draft,
    mail_limiter::Permit,
    pass::{decide::Plan, lease::HeldLease, outcome::DeliveryError, recipients::Recipients},
    webhook::WebhookError,
};

impl JobContext<'_> {
    /// Sends the mail, without the recipients that Exchange refuses: without the copy, or to the joiner's next address. Then
    /// `draft` and `recipients` are those of the last try.
    pub(super) async fn send_to_valid(
        &self,
        lease: &mut HeldLease<'_>,
        plan: &Plan,
        (draft, recipients): &mut (Draft, Recipients),
        (code, permit): (&Code, &mut Permit),
    ) -> Result<(), Unsent> {
        let (mut refused, mut guessed): (Vec<Refusal>, Vec<Refusal>) = Default::default();
        loop {
            let content = draft.with_code(code);
            let (to, cc) = (recipients.to.iter().cloned().collect(), recipients.cc.clone());
            let message = OutgoingMail { to, cc, content };
            let Err(unsent) = self.send(lease, &message, (code, permit)).await else {
                refused.iter().chain(&guessed).for_each(|refusal| refusal.report(lease));
                return Ok(());
            };
            let because = |address: &Address| Refusal {
                address: address.clone(),
                is_copy: Some(address) != recipients.to.as_ref(),
                error: unsent.error.to_string(),
            };
            let refusals = unsent.refused.iter().map(because);
            // If the mail is refused without the copies too, they were not the cause.
            guessed.clear();
            if unsent.is_guess {
                guessed.extend(refusals)
            } else {
                refused.extend(refusals)
            }
            let without: Vec<Address> = refused.iter().chain(&guessed).map(|r| r.address.clone()).collect();
            let next = self.recipients_without(&without);
            let (Ok(next), false) = (next, unsent.maybe_sent || unsent.refused.is_empty()) else {
                return Err(unsent);
            };
            let Ok(next_draft) = self.draft(plan, &next) else { return Err(unsent) };
            (*draft, *recipients) = (next_draft, next);
        }
    }

    /// The recipients without those whom Exchange refused.
    pub(super) fn recipients_without(&self, refused: &[Address]) -> Result<Recipients, String> {
        let TenantSnapshot { user, manager, .. } = &self.snapshot;
        Recipients::choose(
            user,
            manager.as_ref(),
            &self.services.settings.mail,
            &self.known,
            refused,
            self.had(),
        )
    }

    /// Sends the mail, and sends it again only when the answer leaves open whether it was sent.
    async fn send(
        &self,
        lease: &HeldLease<'_>,
        message: &OutgoingMail,
        (code, permit): (&Code, &mut Permit),
    ) -> Result<(), Unsent> {
        let mut maybe_sent = false;
        for send in 1.. {
            let from = &self.services.settings.mail.from;
            let sent = self.services.send_mail(permit, from, message, lease.deadline).await;
            let Err(NotSent { mut error, refused, is_guess }) = sent else { break };
            // Exchange may quote the mail in its error.
            error.redact(code);
            let is_ambiguous = error.kind == GraphErrorKind::Ambiguous;
            maybe_sent |= is_ambiguous;
            if !is_ambiguous || send == budget::MAIL_SENDS {
                return Err(Unsent { maybe_sent, error: error.into(), refused, is_guess });
            }
        }
        Ok(())
    }
}

/// A mail that was not, or maybe not, sent.
pub(super) struct Unsent {
    /// Whether it may have arrived all the same.
    pub maybe_sent: bool,
    pub error: DeliveryError,
    /// The recipients because of whom Exchange refused it.
    refused: Vec<Address>,
    /// Whether it named none of them.
    is_guess: bool,
}

impl Unsent {
    /// One of an endpoint.
    pub(super) fn by_endpoint(error: WebhookError, maybe_sent: bool) -> Self {
        Self { maybe_sent, error: error.into(), refused: Vec::new(), is_guess: false }
    }

    /// Whether it is certain that it was not sent, because of its recipients.
    pub(super) fn is_about_recipients(&self) -> bool {
        !self.maybe_sent && !self.refused.is_empty()
    }
}

/// A recipient whom Exchange refused.
struct Refusal {
    address: Address,
    is_copy: bool,
    error: String,
}

impl Refusal {
    fn report(&self, lease: &mut HeldLease<'_>) {
        let Self { address, is_copy, error } = self;
        lease.note(if *is_copy { Notice::COPY_REFUSED } else { Notice::ADDRESS_REFUSED });
        tracing::warn!(
            event = "mail.recipient_refused",
            address = address.masked(),
            is_copy,
            error,
            "Exchange refused a recipient; the mail went to the others"
        );
    }
}
