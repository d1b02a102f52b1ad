//! Whether a mail about a joiner, with or without the code, may go to the manager.

use std::fmt;

use super::known_addresses::KnownAddresses;
use crate::{
    address::Address,
    graph::{
        Manager,
        users::{Candidate, is_name_of_invitation},
    },
    settings::MailSettings,
};

/// Why a manager gets no mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// They have no address, or one of the joiner's own.
    NoMailbox,
    /// They are a contact: no account of the tenant.
    Contact,
    /// They are a guest.
    Guest,
    /// Graph does not say that their account is enabled.
    Disabled,
    /// Their mailbox, which is masked here, is in no domain that is known to be the tenant's.
    Outside(String),
}

/// The sign-in name of a manager who is a colleague: an enabled member of the tenant.
///
/// # Errors
/// What they are instead.
pub(super) fn colleague(manager: &Manager) -> Result<&str, Unfit> {
    let name = manager.user_principal_name.as_deref().ok_or(Unfit::Contact)?;
    let is_guest = manager.user_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("Member"));
    if is_guest || is_name_of_invitation(name) {
        return Err(Unfit::Guest);
    }
    if manager.account_enabled == Some(true) { Ok(name) } else { Err(Unfit::Disabled) }
}

/// The manager's mailbox.
///
/// The manager is an attribute that others write, and the code opens an account. So it only goes to a colleague: an enabled member of
/// the tenant with a mailbox in one of its domains. Some of these are known although no sweep has found them yet, and most tenants
/// need no others: that of `MAIL_FROM`, and those of sign-in names, which are always verified domains.
///
/// # Errors
/// Why nothing may go there.
pub(crate) fn mailbox(
    manager: &Manager,
    joiner: &Candidate,
    settings: &MailSettings,
    known: &KnownAddresses,
) -> Result<Address, Unfit> {
    let name = colleague(manager)?;
    let address = manager.mail.as_deref().and_then(|mail| Address::read(mail).ok());
    let address = address.filter(|address| !joiner.has_mailbox(address)).ok_or(Unfit::NoMailbox)?;
    let (account, is_external) = (&joiner.account, joiner.sign_in().is_external);
    let joiners = joiner.user_principal_name.as_deref().filter(|_| !is_external);
    let of_names = [Some(name), joiners].into_iter().flatten().filter_map(|name| Address::parse(name).ok());
    // Exchange takes aliases in domains of the tenant only, except for somebody whose mailbox is elsewhere.
    let private: Vec<Address> =
        account.other_mails.iter().filter_map(|mail| Address::parse(mail).ok()).collect();
    let is_private = |alias: &Address| private.iter().any(|mail| mail.domain() == alias.domain());
    let aliases = joiner.aliases().filter(|alias| !is_external && !is_private(alias));
    let own: Vec<Address> = of_names.chain(aliases).collect();
    let mut domains = own.iter().map(Address::domain).chain([settings.from.domain()]);
    let is_of_tenant =
        known.domains.contains(address.domain()) || domains.any(|domain| domain == address.domain());
    if is_of_tenant { Ok(address) } else { Err(Unfit::Outside(address.masked())) }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMailbox => f.write_str("the manager has no mailbox of their own"),
            Self::Contact => f.write_str("the manager is a contact and has no account"),
            Self::Guest => f.write_str("the manager is a guest"),
            Self::Disabled => f.write_str("the manager's account is not enabled"),
            Self::Outside(masked) => {
                write!(
                    f,
                    "the manager's mailbox {masked} is in no known domain of the tenant (TENANT_DOMAINS)"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pass::fixtures;

    #[test]
    fn only_an_enabled_member_with_a_mailbox_of_the_tenant_gets_mail() {
        let known =
            KnownAddresses { domains: ["fabrikam.example".to_owned()].into(), ..KnownAddresses::default() };
        let emma = fixtures::emma().as_candidate();
        let settings = fixtures::mail_settings();
        let jo = || Manager {
            mail: Some("jo@contoso.example".into()),
            account_enabled: Some(true),
            user_principal_name: Some("jo@contoso.example".into()),
            user_type: Some("Member".into()),
            ..Manager::default()
        };
        type Edit = fn(&mut Manager);
        let outside = |masked: &str| Some(Unfit::Outside(masked.to_owned()));
        let cases: [(&str, Edit, Option<Unfit>); 14] = [
            ("a colleague", |_| {}, None),
            ("in capitals", |m| m.user_type = Some("member".into()), None),
            ("an old synchronised account", |m| m.user_type = None, None),
            ("in a found domain", |m| m.mail = Some("jo@fabrikam.example".into()), None),
            (
                "in the domain of their name",
                |m| {
                    m.user_principal_name = Some("jo@brand.example".into());
                    m.mail = Some("Jo@Brand.example".into());
                },
                None,
            ),
            ("elsewhere", |m| m.mail = Some("jo@gmail.example".into()), outside("j…@gmail.example")),
            (
                "below a domain",
                |m| m.mail = Some("jo@x.contoso.example".into()),
                outside("j…@x.contoso.example"),
            ),
            (
                "another tenant",
                |m| m.mail = Some("jo@evil.onmicrosoft.com".into()),
                outside("j…@evil.onmicrosoft.com"),
            ),
            ("a guest", |m| m.user_type = Some("Guest".into()), Some(Unfit::Guest)),
            (
                "an invited member",
                |m| m.user_principal_name = Some("jo_x.example#ext#@contoso.example".into()),
                Some(Unfit::Guest),
            ),
            (
                "a contact",
                |m| (m.user_principal_name, m.account_enabled) = (None, None),
                Some(Unfit::Contact),
            ),
            ("a leaver", |m| m.account_enabled = Some(false), Some(Unfit::Disabled)),
            ("unknown", |m| m.account_enabled = None, Some(Unfit::Disabled)),
            ("the joiner", |m| m.mail = Some("emma@contoso.example".into()), Some(Unfit::NoMailbox)),
        ];
        for (case, edit, unfit) in cases {
            let mut manager = jo();
            edit(&mut manager);
            assert_eq!(mailbox(&manager, &emma, &settings, &known).err(), unfit, "{case}");
        }
    }
    /// Exchange takes an alias only in a domain of the tenant. A guest, and a mail user, has one of their mailbox elsewhere.
    #[test]
    fn the_aliases_of_the_joiner_show_domains_of_the_tenant() {
        let manager = Manager {
            mail: Some("jo@brand.example".into()),
            account_enabled: Some(true),
            user_principal_name: Some("jo@contoso.onmicrosoft.com".into()),
            ..Manager::default()
        };
        let known = KnownAddresses::default();
        for (alias, name, other, is_fit) in [
            ("SMTP:emma@Brand.example", "emma@contoso.example", "e@mail.example", true),
            ("smtp:emma@brand.example", "emma@contoso.example", "e@mail.example", true),
            ("X500:emma@brand.example", "emma@contoso.example", "e@mail.example", false),
            ("SMTP:emma@brand.example", "emma_brand.example#EXT#@contoso.example", "e@mail.example", false),
            ("SMTP:emma@brand.example", "emma@contoso.example", "e@brand.example", false),
        ] {
            let mut emma = fixtures::emma();
            emma.user_principal_name = name.into();
            emma.account.creation_type = name.contains("#EXT#").then(|| "Invitation".into());
            emma.account.proxy_addresses = [alias].into_iter().collect();
            emma.account.other_mails = [other].into_iter().collect();
            let mailbox = mailbox(&manager, &emma.as_candidate(), &fixtures::mail_settings(), &known);
            assert_eq!(mailbox.is_ok(), is_fit, "{alias} {name} {other}");
        }
    }
}
