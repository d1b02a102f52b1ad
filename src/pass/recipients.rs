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
    ledger::Announcement,
    settings::{CodeTo, Delivery, MailCc, MailSettings, MailTo},
};

/// Somebody else whom MAIL_CC names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Onlooker {
    pub(super) address: Address,
    /// Whether they are the manager.
    pub(super) is_manager: bool,
}

/// Those whom MAIL_CC names and who have not the mailbox of the joiner, never the same mailbox twice.
pub(super) fn onlookers(
    user: &User,
    manager: Option<&Manager>,
    settings: &MailSettings,
    known: &KnownAddresses,
) -> Vec<Onlooker> {
    let account = user.as_candidate();
    let mut onlookers: Vec<Onlooker> = Vec::new();
    for place in &settings.cc {
        let address = match place {
            // Whoever is the manager by then: another one gets a code of their own.
            MailCc::Manager
                if settings.delivery == Delivery::Split && settings.code_to == CodeTo::Manager =>
            {
                None
            }
            MailCc::Manager => manager.and_then(|m| manager::mailbox(m, &account, settings, known).ok()),
            MailCc::Address(address) => Some(address.clone()),
        };
        let is_new = |address: &Address| {
            let is_same = |onlooker: &Onlooker| onlooker.address.same_as(&address.to_string());
            !account.has_mailbox(address) && !onlookers.iter().any(is_same)
        };
        if let Some(address) = address.filter(is_new) {
            onlookers.push(Onlooker { address, is_manager: *place == MailCc::Manager });
        }
    }
    onlookers
}

/// Who hands a code over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Giver {
    /// The name, if it is the manager and known.
    pub name: Option<String>,
}

/// The mailbox of whoever hands the code over.
///
/// # Errors
/// Why nobody can.
fn giver(
    user: &User,
    manager: Option<&Manager>,
    settings: &MailSettings,
    known: &KnownAddresses,
) -> Result<(Address, Giver), String> {
    let account = user.as_candidate();
    match &settings.code_to {
        CodeTo::Manager => {
            let manager = manager.ok_or("nobody hands the code over: there is no manager (MAIL_CODE_TO)")?;
            let mailbox = manager::mailbox(manager, &account, settings, known);
            let address =
                mailbox.map_err(|why| format!("nobody hands the code over: {why} (MAIL_CODE_TO)"))?;
            Ok((address, Giver { name: manager.display_name.clone() }))
        }
        CodeTo::Address(address) => {
            let name =
                Address::parse(&user.user_principal_name).ok().filter(|_| !account.sign_in().is_external);
            let own = name.as_ref().map(Address::domain);
            let mut domains =
                known.domains.iter().map(String::as_str).chain(own).chain([settings.from.domain()]);
            if account.has_mailbox(address) {
                Err("MAIL_CODE_TO is an address of the account itself".to_owned())
            } else if domains.any(|domain| domain == address.domain()) {
                Ok((address.clone(), Giver { name: None }))
            } else {
                Err("MAIL_CODE_TO is in no known domain of the tenant (TENANT_DOMAINS)".to_owned())
            }
        }
    }
}

/// The recipients of a joiner's mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipients {
    /// Who gets the code by mail: the joiner, or whoever hands it over. `None`: an endpoint delivers it.
    pub to: Option<Address>,
    /// The host of the endpoint that delivers it.
    pub endpoint: Option<String>,
    /// Where the joiner reads mail: `to`, unless it is somebody else's.
    pub joiner: Option<Address>,
    /// Who hands the code over, if that is so.
    pub giver: Option<Giver>,
    /// In copy of the mail with the code (MAIL_CC_CODE).
    pub cc: Vec<Address>,
    /// Who gets a note without the code instead.
    pub told: Vec<Address>,
    /// The name of the manager, if they hear of the code.
    pub manager: Option<String>,
    /// Identifies the mailbox of the joiner's address for all users; `None` without one.
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
        let is_mailed = settings.delivery == Delivery::Mail;
        for place in settings.to.iter().filter(|place| is_mailed || **place != MailTo::Manager) {
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
        let private = same.map(|address| (address, false)).or(first);
        let (to, joiner, giver) = match settings.delivery {
            Delivery::Mail => {
                let (to, is_managers) = private.ok_or_else(|| no_address(&settings.to, &unusable))?;
                (Some(to.clone()), (!is_managers).then_some(to), None)
            }
            Delivery::Split => {
                let (to, giver) = giver(user, manager, settings, known)?;
                if refused.contains(&to) {
                    return Err(format!("Exchange refuses {}", to.masked()));
                }
                (Some(to), private.map(|(address, _)| address), Some(giver))
            }
            Delivery::Webhook => (None, private.map(|(address, _)| address), None),
        };
        let mailbox = joiner.as_ref().map(mailbox);
        let hears = || manager_mail().and_then(Result::ok).is_some_and(|address| is_valid(&address));
        let name = manager.filter(|_| settings.tells_manager() && hears());
        let onlookers = onlookers(user, manager, settings, known).into_iter().map(|other| other.address);
        let is_to = |other: &Address| to.as_ref().is_some_and(|to| other.same_as(&to.to_string()));
        let others = onlookers.filter(|other| is_valid(other) && !is_to(other)).collect();
        let (cc, told) = if settings.cc_code { (others, Vec::new()) } else { (Vec::new(), others) };
        let manager = name.and_then(|manager| manager.display_name.clone());
        Ok(Self { to, endpoint: None, joiner, giver, cc, told, manager, mailbox })
    }

    /// Identifies where the joiner is told something, if somebody else has the code.
    pub(super) fn told_at(&self) -> Option<&str> {
        self.giver.as_ref().and(self.mailbox.as_deref())
    }

    /// Where the joiner is told something: the address of the mail with the code, or in place of a joiner who has none.
    pub(super) fn reader(&self) -> Option<&Address> {
        let own = self.to.as_ref().filter(|_| self.giver.is_none());
        own.or(self.joiner.as_ref())
    }

    /// Who gets the code, in a word that shows no address.
    pub(super) fn place(&self) -> String {
        self.masked().into_iter().next().unwrap_or_default()
    }

    /// Identifies the address, for the record; `None` if an endpoint got none.
    pub(super) fn fingerprint(&self, user: Uuid) -> Option<String> {
        self.to.as_ref().or(self.joiner.as_ref()).map(|address| fingerprint(user, address))
    }

    /// Records where the mail went that is `told`.
    pub(super) fn record(&self, told: &mut Announcement) {
        told.to = self.reader().cloned();
        told.handed_to = self.giver.as_ref().and(self.to.clone());
        told.mailbox.clone_from(&self.mailbox);
    }

    /// All recipients of the mail with the code, masked, for the record.
    pub fn masked(&self) -> Vec<String> {
        let endpoint = self.endpoint.iter().map(|host| format!("the endpoint {host}"));
        endpoint.chain(self.to.iter().chain(&self.cc).map(Address::masked)).collect()
    }
}

/// Identifies an address that a mail about `user` went to, without naming it. The number is the version of this form.
pub(super) fn fingerprint(user: Uuid, address: &Address) -> String {
    format!("1:{}", sha256(&format!("{user} {}", address.to_string().to_ascii_lowercase())))
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
        MailSettings { to: to.to_vec(), cc: cc.to_vec(), cc_code: true, ..fixtures::mail_settings() }
    }

    #[test]
    fn a_mailbox_that_needs_the_pass_to_be_opened_is_no_place_for_its_code() {
        let to = |others: &[&str]| {
            let settings = settings(&[MailTo::OtherMails, MailTo::ExtensionAttribute(3)], &[]);
            Recipients::choose(&emma(others), None, &settings, &domains(), &[], None).unwrap().to.unwrap()
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
                (Some(address("emma@home.example")), 0, None),
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
        assert_eq!(all.to, Some(address("emma@home.example")));
        assert_eq!((all.cc.len(), all.manager.as_deref()), (1, Some("Jo Boss")));
        let second = choose(&["emma@home.example", "EMMA@home.example"]).unwrap();
        assert_eq!(second.to, Some(address("emma@work.example")));
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
            Some(address("jo@contoso.example")),
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

    #[test]
    fn without_mail_cc_code_nobody_but_the_joiner_is_a_recipient_of_the_code() {
        let cc = [MailCc::Manager, MailCc::Address(address("list@contoso.example"))];
        let settings = MailSettings { cc_code: false, ..settings(&[MailTo::OtherMails], &cc) };
        let jo = boss("jo@contoso.example");
        let (emma, known) = (emma(&["emma@home.example"]), domains());
        let chosen = Recipients::choose(&emma, Some(&jo), &settings, &known, &[], None).unwrap();
        assert_eq!(
            (chosen.cc.len(), chosen.masked().len(), chosen.manager.as_deref()),
            (0, 1, Some("Jo Boss"))
        );
        assert_eq!(chosen.told, [address("jo@contoso.example"), address("list@contoso.example")]);
    }
}
