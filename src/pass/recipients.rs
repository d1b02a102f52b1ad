//! The recipients of a joiner's mail.

use uuid::Uuid;

use crate::{
    address::Address,
    graph::{Manager, User},
    hash::sha256,
    settings::{MailCc, MailSettings, MailTo},
};

/// The recipients of a joiner's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipients {
    /// The joiner.
    pub to: Address,
    /// In copy; never the same mailbox twice.
    pub cc: Vec<Address>,
    /// The name of the manager, if they are in copy.
    pub manager: Option<String>,
}

impl Recipients {
    /// Chooses the recipients.
    ///
    /// # Errors
    /// In words, if no place in `MAIL_TO` holds an address that the joiner can read before day one.
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
            .ok_or_else(|| no_address(&settings.to))?;
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
            let known = std::iter::once(&recipients.to)
                .chain(&recipients.cc)
                .any(|a| a.same_as(&address.to_string()));
            if !known {
                recipients.cc.push(address);
            }
        }
        Ok(recipients)
    }

    /// Identifies the joiner's address without naming it, for the record. The number is the version of this form.
    pub(super) fn fingerprint(&self, user: Uuid) -> String {
        format!("1:{}", sha256(&format!("{user} {}", self.to.to_string().to_ascii_lowercase())))
    }

    /// All recipients, masked, for the record.
    pub fn masked(&self) -> Vec<String> {
        std::iter::once(&self.to).chain(&self.cc).map(Address::masked).collect()
    }
}

/// The address, unless it is the account's own mailbox, which the joiner cannot open without a pass.
fn readable(mail: &str, user: &User) -> Option<Address> {
    let address = Address::parse(mail).ok()?;
    let own = address.same_as(&user.user_principal_name)
        || user.mail.as_deref().is_some_and(|own| address.same_as(own));
    (!own).then_some(address)
}

fn no_address(places: &[MailTo]) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pass::fixtures, settings::ServiceDesk};

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn emma(other_mails: &[&str]) -> User {
        let third = ("extensionAttribute3".to_owned(), Some("third@post.example".to_owned()));
        User {
            mail: Some("emma.larsen@contoso.example".into()),
            other_mails: other_mails.iter().map(|mail| (*mail).to_owned()).collect(),
            on_premises_extension_attributes: [third].into_iter().collect(),
            ..fixtures::emma()
        }
    }

    fn boss(mail: &str) -> Manager {
        Manager { display_name: Some("Jo Boss".into()), mail: Some(mail.into()) }
    }

    fn settings(to: &[MailTo], cc: &[MailCc]) -> MailSettings {
        MailSettings {
            from: address("passes@contoso.example"),
            alert_to: vec![],
            to: to.to_vec(),
            cc: cc.to_vec(),
            language: "en".into(),
            company: None,
            service_desk: ServiceDesk::default(),
        }
    }

    #[test]
    fn a_mailbox_that_needs_the_pass_to_be_opened_is_no_place_for_its_code() {
        let to = |others: &[&str]| {
            let settings = settings(&[MailTo::OtherMails, MailTo::ExtensionAttribute(3)], &[]);
            Recipients::choose(&emma(others), None, &settings).unwrap().to
        };
        let private = "emma@home.example";
        assert_eq!(to(&["EMMA@contoso.example", private]), address(private), "the sign-in name");
        assert_eq!(to(&["emma.larsen@contoso.example", private]), address(private), "the account's mailbox");
        assert_eq!(to(&["no address", private]), address(private));
        assert_eq!(to(&["emma@contoso.example"]), address("third@post.example"), "the next place");
    }

    #[test]
    fn nobody_to_write_to_is_told_with_every_place_that_was_looked_at() {
        let places = [MailTo::OtherMails, MailTo::ExtensionAttribute(4), MailTo::Manager];
        assert_eq!(
            Recipients::choose(&emma(&[]), None, &settings(&places, &[])).unwrap_err(),
            "no usable private address in otherMails, extensionAttribute4, the manager's mailbox"
        );
    }

    #[test]
    fn the_manager_is_named_where_they_read_along_and_no_mailbox_gets_two_copies() {
        let list = MailCc::Address(address("list@contoso.example"));
        let choose = |manager: &Manager, cc: &[MailCc]| {
            let settings = settings(&[MailTo::OtherMails], cc);
            Recipients::choose(&emma(&["emma@home.example"]), Some(manager), &settings).unwrap()
        };
        let both = choose(&boss("jo@contoso.example"), &[list.clone(), MailCc::Manager, list.clone()]);
        assert_eq!(both.cc, [address("list@contoso.example"), address("jo@contoso.example")]);
        assert_eq!(both.manager.as_deref(), Some("Jo Boss"));
        assert_eq!(both.masked(), ["e…@home.example", "l…@contoso.example", "j…@contoso.example"]);
        let one = choose(&boss("LIST@contoso.example"), &[list.clone(), MailCc::Manager]);
        assert_eq!((one.cc.len(), one.manager.as_deref()), (1, Some("Jo Boss")));
        let without = choose(&boss("jo@contoso.example"), &[list]);
        assert_eq!((without.cc.len(), without.manager), (1, None));
    }
}
