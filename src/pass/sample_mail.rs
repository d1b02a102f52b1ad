//! A sample of a mail that an admin sends to themselves.

use tokio::time::Instant;

use super::{Failure, Services, domains};
use crate::{address::Address, budget, graph::OutgoingMail, mail::Rendered, mail_limiter::Content};

/// Sends it, from MAIL_FROM, to an address in a domain of the tenant: nobody else should get a mail that looks like one with a code.
///
/// # Errors
/// Why it was not sent, and what to do.
pub(crate) async fn send(services: &Services, to: Address, content: Rendered) -> Result<(), String> {
    let settings = &services.settings.mail;
    let known = domains::known(services).await.map_err(|error| error.to_string())?.domains;
    if to.domain() != settings.from.domain() && !known.contains(to.domain()) {
        return Err(format!(
            "{} is in no known domain of the tenant: {}. If it is one, set TENANT_DOMAINS",
            to.masked(),
            if known.is_empty() {
                settings.from.domain().to_owned()
            } else {
                known.into_iter().collect::<Vec<_>>().join(", ")
            }
        ));
    }
    let deadline = Instant::now() + budget::ALERT;
    let permit =
        services.mail_permit(&settings.from, Content::Note, 1, deadline - budget::GRAPH_CHANGE_MIN).await;
    let mut permit = permit.ok_or_else(|| Failure::MailboxBusy.to_string())?;
    let message = OutgoingMail { to: vec![to], cc: Vec::new(), content };
    let sent = services.send_mail(&mut permit, &settings.from, &message, deadline).await;
    sent.map_err(|unsent| {
        format!("Exchange did not accept the mail: {}. To do: {}", unsent.error, unsent.error.advice())
    })
}
