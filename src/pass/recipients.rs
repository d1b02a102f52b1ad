//! Whom a joiner's mail goes to.

use crate::{
    address::Address,
    graph::{Manager, User},
    settings::{MailCc, MailSettings, MailTo},
};

/// Whom a joiner's mail goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipients {
    /// The joiner.
    pub to: Address,
    /// In copy; never the same mailbox twice.
    pub cc: Vec<Address>,
    /// The name of the manager, where they are in copy.
    pub manager: Option<String>,
}

impl Recipients {
    /// Chooses the recipients.
    ///
    /// # Errors
    /// In words, where no place that `MAIL_TO` names holds an address that the joiner can read today.
    pub fn choose(user: &User, manager: Option<&Manager>, settings: &MailSettings) -> Result<Self, String> {
        let manager_mail =
            || manager.and_then(|m| m.mail.as_deref()).and_then(|mail| Address::parse(mail).ok());
        let to = settings
            .to
            .iter()
            .find_map(|place| match place {
                MailTo::OtherMails => user.other_mails.iter().find_map(|mail| readable(mail, user)),
                MailTo::ExtensionAttribute(n) => user
                    .on_premises_extension_attributes
                    .get(&format!("extensionAttribute{n}"))
                    .and_then(Option::as_deref)
                    .and_then(|mail| readable(mail, user)),
                MailTo::Manager => manager_mail(),
            })
            .ok_or_else(|| nobody(&settings.to))?;
        let mut recipients = Self { to, cc: Vec::new(), manager: None };
        for place in &settings.cc {
            let address = match place {
                MailCc::Manager => manager_mail(),
                MailCc::Address(address) => Some(address.clone()),
            };
            let Some(address) = address else { continue };
            if *place == MailCc::Manager {
                recipients.manager = manager.and_then(|m| m.display_name.clone());
            }
            let known =
                std::iter::once(&recipients.to).chain(&recipients.cc).any(|a| a.is(&address.to_string()));
            if !known {
                recipients.cc.push(address);
            }
        }
        Ok(recipients)
    }

    /// All of them, masked, for the record.
    pub fn masked(&self) -> Vec<String> {
        std::iter::once(&self.to).chain(&self.cc).map(Address::masked).collect()
    }
}

/// The address, unless it is the account's own: a joiner cannot open that mailbox before they have a pass.
fn readable(mail: &str, user: &User) -> Option<Address> {
    let address = Address::parse(mail).ok()?;
    let own =
        address.is(&user.user_principal_name) || user.mail.as_deref().is_some_and(|own| address.is(own));
    (!own).then_some(address)
}

fn nobody(places: &[MailTo]) -> String {
    let names: Vec<String> = places
        .iter()
        .map(|place| match place {
            MailTo::OtherMails => "otherMails".to_owned(),
            MailTo::ExtensionAttribute(n) => format!("extensionAttribute{n}"),
            MailTo::Manager => "the manager's mailbox".to_owned(),
        })
        .collect();
    format!("no usable private address in {}", names.join(", "))
}
