//! The recipients of a joiner's mail.

use uuid::Uuid;

use super::{known_addresses::KnownAddresses, manager};
use crate::{
    address::Address,
    graph::{
        Manager, User,
        users::{Account, Candidate},
    },
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
    /// Identifies the mailbox of the joiner's address for all users; `None` if it is the manager's.
    pub mailbox: Option<String>,
}

impl Recipients {
    /// Chooses the recipients among the addresses that Exchange has not `refused`. The joiner's is the one in the mailbox `had`, which
    /// got the mails for this start so far, if it still counts: another one before it is no reason to write elsewhere.
    ///
    /// # Errors
    /// In words, if no place in `MAIL_TO` holds an address that the joiner can read before day one.
    pub fn choose(
        user: &User,
        manager: Option<&Manager>,
        settings: &MailSettings,
        known: &KnownAddresses,
        refused: &[Address],
        had: Option<&str>,
    ) -> Result<Self, String> {
        let mut unusable = Vec::new();
        // Whatever it is called, a mailbox of the joiner is none that they can open.
        let account = user.as_candidate();
        let is_valid = |address: &Address| !refused.contains(address) && !account.has_mailbox(address);
        let manager_mail = || manager.map(|manager| manager::mailbox(manager, &account, settings, known));
        let counts = |address: &Address| is_valid(address) && known.is_usable(address, &account, settings);
        let mut addresses = private_addresses(&account, settings).into_iter();
        let same = had.and_then(|had| addresses.find(|address| mailbox(address) == had && counts(address)));
        let mut first = None;
        for place in &settings.to {
            let mut usable = |result: Result<Address, String>| {
                result.map_err(|why| unusable.push(why)).ok().filter(is_valid)
            };
            first = match place {
                MailTo::Manager => manager_mail()
                    .and_then(|address| usable(address.map_err(|why| why.to_string())))
                    .map(|address| (address, true)),
                place => values(&account, *place)
                    .find_map(|mail| usable(readable(mail, &account, settings, known)))
                    .map(|address| (address, false)),
            };
            if first.is_some() {
                break;
            }
        }
        let to = same.map(|address| (address, false)).or(first);
        let (to, is_managers) = to.ok_or_else(|| no_address(&settings.to, &unusable))?;
        let mailbox = (!is_managers).then(|| mailbox(&to));
        let mut recipients = Self { to, cc: Vec::new(), manager: None, mailbox };
        for place in &settings.cc {
            let address = match place {
                MailCc::Manager => manager_mail().and_then(Result::ok).filter(is_valid),
                MailCc::Address(address) => Some(address.clone()).filter(is_valid),
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

/// The values of a place that MAIL_TO names, without the manager's.
fn values(user: &Candidate, place: MailTo) -> impl Iterator<Item = &str> {
    let attribute = match place {
        MailTo::ExtensionAttribute(n) => {
            user.account.on_premises_extension_attributes.get(&format!("extensionAttribute{n}"))
        }
        MailTo::OtherMails | MailTo::Manager => None,
    };
    let others = (place == MailTo::OtherMails).then(|| user.account.other_mails.iter());
    others.into_iter().flatten().chain(attribute)
}

/// All addresses in the places that MAIL_TO names, without the manager's, usable or not.
pub(crate) fn private_addresses(user: &Candidate, settings: &MailSettings) -> Vec<Address> {
    let values = settings.to.iter().flat_map(|place| values(user, *place));
    values.filter_map(|mail| Address::read(mail).ok()).collect()
}

/// The mailboxes of all private addresses that an account names, in whatever place.
pub(crate) fn mailboxes(account: &Account) -> impl Iterator<Item = String> {
    let attributes = account.on_premises_extension_attributes.iter().map(|(_, value)| value);
    let named = account.other_mails.iter().chain(attributes);
    named.filter_map(|mail| Some(mailbox(&Address::read(mail).ok()?)))
}

/// Identifies a mailbox without naming it, the same for all users. What follows a plus sign does not make another mailbox. The
/// number is the version of this form.
pub(crate) fn mailbox(address: &Address) -> String {
    let text = address.to_string().to_lowercase();
    let (local, domain) = text.rsplit_once('@').unwrap_or((&text, ""));
    let local = local.split('+').next().filter(|local| !local.is_empty()).unwrap_or(local);
    format!("1:{}", &sha256(&format!("{local}@{domain}"))[..16])
}

impl KnownAddresses {
    /// Whether the joiner can read this address before day one, and nobody else has it.
    pub(crate) fn is_usable(&self, address: &Address, user: &Candidate, settings: &MailSettings) -> bool {
        readable(&address.to_string(), user, settings, self).is_ok()
    }
}

/// The address, unless it leads to a mailbox of the tenant, which the joiner cannot open without a pass, or several people have it.
///
/// # Errors
/// Why it does not count, without the address.
pub(super) fn readable(
    mail: &str,
    user: &Candidate,
    settings: &MailSettings,
    known: &KnownAddresses,
) -> Result<Address, String> {
    let address = Address::read(mail).map_err(|why| format!("one {why}"))?;
    let name = Address::parse(user.user_principal_name.as_deref().unwrap_or_default());
    let own_domain = name.as_ref().ok().filter(|_| !user.sign_in().is_external).map(Address::domain);
    let mut domains =
        known.domains.iter().map(String::as_str).chain(own_domain).chain([settings.from.domain()]);
    // Those are domains of a tenant, of this one as a rule.
    let is_initial = ["onmicrosoft.com", "onmicrosoft.us"].iter().any(|of| address.domain().ends_with(of));
    if user.has_mailbox(&address) {
        Err(format!("{} is an address of the account itself", address.masked()))
    } else if is_initial || domains.any(|domain| domain == address.domain()) {
        Err(format!("{} is in a domain of the tenant", address.masked()))
    } else if let Some(count) = known.shared.get(&mailbox(&address)) {
        Err(format!("{} is the address of {count} people (ADDRESS_SHARED_BY)", address.masked()))
    } else {
        Ok(address)
    }
}

fn no_address(places: &[MailTo], unusable: &[String]) -> String {
    let names: Vec<String> = places
        .iter()
        .map(|place| match place {
            MailTo::OtherMails => "otherMails".to_owned(),
            MailTo::ExtensionAttribute(n) => format!("extensionAttribute{n}"),
            MailTo::Manager => "the manager's mailbox".to_owned(),
        })
        .collect();
    let why = if unusable.is_empty() { String::new() } else { format!(": {}", unusable.join(", ")) };
    format!("no usable private address in {}{why}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{graph::users::Account, pass::fixtures};

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn emma(other_mails: &[&str]) -> User {
        let third = ("extensionAttribute3", "third@post.example");
        User {
            account: Account {
                mail: Some("emma.larsen@contoso.example".into()),
                other_mails: other_mails.iter().collect(),
                proxy_addresses: ["SMTP:emma.larsen@contoso.example", "smtp:el@brand.example"]
                    .into_iter()
                    .collect(),
                on_premises_extension_attributes: [third].into_iter().collect(),
                ..Account::default()
            },
            ..fixtures::emma()
        }
    }

    fn domains() -> KnownAddresses {
        KnownAddresses { domains: ["fabrikam.example".to_owned()].into(), ..KnownAddresses::default() }
    }

    fn boss(mail: &str) -> Manager {
        Manager {
            display_name: Some("Jo Boss".into()),
            mail: Some(mail.into()),
            account_enabled: Some(true),
            user_principal_name: Some("jo@contoso.example".into()),
            user_type: Some("Member".into()),
            ..Manager::default()
        }
    }

    fn settings(to: &[MailTo], cc: &[MailCc]) -> MailSettings {
        MailSettings { to: to.to_vec(), cc: cc.to_vec(), ..fixtures::mail_settings() }
    }

    #[test]
    fn a_mailbox_that_needs_the_pass_to_be_opened_is_no_place_for_its_code() {
        let to = |others: &[&str]| {
            let settings = settings(&[MailTo::OtherMails, MailTo::ExtensionAttribute(3)], &[]);
            Recipients::choose(&emma(others), None, &settings, &domains(), &[], None).unwrap().to
        };
        let private = "emma@home.example";
        assert_eq!(to(&["EMMA@contoso.example", private]), address(private), "the sign-in name");
        assert_eq!(to(&["emma.larsen@contoso.example", private]), address(private), "the account's mailbox");
        assert_eq!(to(&["EL@Brand.example", private]), address(private), "an alias");
        assert_eq!(to(&["e.l@contoso.example", private]), address(private), "the domain of the sign-in name");
        assert_eq!(to(&["e.l@Fabrikam.example", private]), address(private), "a domain of the tenant");
        assert_eq!(
            to(&["third@brand.example"]),
            address("third@brand.example"),
            "an alias does not stand for its domain"
        );
        assert_eq!(to(&["no address", private]), address(private));
        assert_eq!(to(&["emma@contoso.example"]), address("third@post.example"), "the next place");
    }

    #[test]
    fn nobody_to_write_to_is_told_with_every_place_that_was_looked_at() {
        let places = [MailTo::OtherMails, MailTo::ExtensionAttribute(4), MailTo::Manager];
        assert_eq!(
            Recipients::choose(&emma(&[]), None, &settings(&places, &[]), &domains(), &[], None).unwrap_err(),
            "no usable private address in otherMails, extensionAttribute4, the manager's mailbox"
        );
    }

    #[test]
    fn no_way_leads_to_a_mailbox_of_the_joiner() {
        let cc = [MailCc::Manager, MailCc::Address(address("EL@brand.example"))];
        let settings = settings(&[MailTo::Manager, MailTo::OtherMails], &cc);
        for own in ["el@brand.example", "emma@contoso.example", "Emma.Larsen@contoso.example"] {
            let chosen = Recipients::choose(
                &emma(&["emma@home.example"]),
                Some(&boss(own)),
                &settings,
                &domains(),
                &[],
                None,
            );
            let chosen = chosen.unwrap();
            assert_eq!(
                (chosen.to, chosen.cc.len(), chosen.manager),
                (address("emma@home.example"), 0, None),
                "{own}"
            );
        }
    }

    #[test]
    fn the_address_after_the_refused_ones_is_next() {
        let settings = settings(
            &[MailTo::OtherMails, MailTo::ExtensionAttribute(3), MailTo::Manager],
            &[MailCc::Manager],
        );
        let emma = emma(&["emma@home.example", "EMMA@home.example", "emma@work.example"]);
        let jo = boss("jo@contoso.example");
        let choose = |refused: &[&str]| {
            let refused: Vec<Address> = refused.iter().map(|text| address(text)).collect();
            Recipients::choose(&emma, Some(&jo), &settings, &domains(), &refused, None)
        };
        let all = choose(&[]).unwrap();
        assert_eq!(all.to, address("emma@home.example"));
        assert_eq!((all.cc.len(), all.manager.as_deref()), (1, Some("Jo Boss")));
        let second = choose(&["emma@home.example", "EMMA@home.example"]).unwrap();
        assert_eq!(second.to, address("emma@work.example"));
        assert_ne!(all.fingerprint(emma.id), second.fingerprint(emma.id));
        let without_copy = choose(&["jo@contoso.example"]).unwrap();
        assert_eq!((without_copy.cc.len(), without_copy.manager), (0, None));
        let everybody = [
            "emma@home.example",
            "EMMA@home.example",
            "emma@work.example",
            "third@post.example",
            "jo@contoso.example",
        ];
        assert_eq!(
            choose(&everybody[..4]).unwrap().to,
            address("jo@contoso.example"),
            "MAIL_TO names the manager last"
        );
        assert!(choose(&everybody).is_err());
    }

    #[test]
    fn the_manager_is_named_where_they_read_along_and_no_mailbox_gets_two_copies() {
        let list = MailCc::Address(address("list@contoso.example"));
        let choose = |manager: &Manager, cc: &[MailCc]| {
            let settings = settings(&[MailTo::OtherMails], cc);
            Recipients::choose(&emma(&["emma@home.example"]), Some(manager), &settings, &domains(), &[], None)
                .unwrap()
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
