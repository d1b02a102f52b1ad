//! A sample of a mail that an admin sends to themselves.

use super::{Services, alert, domains};
use crate::{address::Address, mail::Rendered};

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
    alert::send_by_hand(services, "the mail", &[to], content).await.map(drop)
}
