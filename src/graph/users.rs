//! Users and their managers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use uuid::Uuid;

use super::{
    client::{Graph, GraphRequest, query, segment},
    error::{GraphError, if_exists},
    null::{visible, without_nulls},
    page::{Page, Readable},
    texts::Texts,
    word::Word,
};
use crate::{
    address::Address,
    hash::sha256,
    mail::Reader,
    range,
    zone::{Attributes, Place},
};

/// What a listing shows of an account, and a job reads of it too.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The hire date, as a time in UTC.
    #[serde(default, deserialize_with = "range::graphs")]
    pub employee_hire_date: Option<DateTime<Utc>>,
    /// ISO 3166 country code.
    pub usage_location: Option<Word>,
    /// The state or province, as a name or a code.
    pub state: Option<Word>,
    /// The city.
    pub city: Option<Word>,
    /// The office, as a free text.
    pub office_location: Option<Word>,
    /// The account's own mailbox, which a joiner cannot open yet.
    pub mail: Option<Arc<str>>,
    /// Other addresses, private ones included.
    #[serde(default)]
    pub other_mails: Texts,
    /// All addresses of the mailbox, each with its kind: `smtp:ann@contoso.com`.
    #[serde(default)]
    pub proxy_addresses: Texts,
    /// `Member` or `Guest`; old synchronised accounts, which are members, have none.
    pub user_type: Option<Word>,
    /// How the account was created, if not as a regular one: `Invitation`, `SelfServiceSignUp` and others.
    pub creation_type: Option<Word>,
    /// Whether its user signs in to another tenant or provider.
    #[serde(default, rename = "identities", deserialize_with = "is_federated")]
    pub is_federated: bool,
    /// Whether the account may sign in.
    pub account_enabled: Option<bool>,
    /// `extensionAttribute1` to `extensionAttribute15`.
    #[serde(default)]
    pub on_premises_extension_attributes: Attributes,
}

impl Account {
    /// Where the user works.
    pub fn place(&self) -> Place<'_> {
        Place {
            usage_location: self.usage_location.as_deref(),
            state: self.state.as_deref(),
            city: self.city.as_deref(),
            office_location: self.office_location.as_deref(),
            attributes: Some(&self.on_premises_extension_attributes),
        }
    }

    /// Whether the account may sign in.
    pub fn is_enabled(&self) -> bool {
        self.account_enabled.unwrap_or(true)
    }

    /// Whether and where the user signs in, whose sign-in name is `name`.
    ///
    /// The user type says what an account may do, not where its user signs in. That say the creation type and a federated
    /// identity (<https://learn.microsoft.com/entra/external-id/user-properties>); conversion to an internal user
    /// clears both. A guest's name may be all that is left of an invitation.
    fn sign_in(&self, name: &str) -> SignIn {
        let is = |text: &Option<Word>, word: &str| {
            text.as_deref().is_some_and(|text| text.eq_ignore_ascii_case(word))
        };
        let is_guest = is(&self.user_type, "Guest");
        let is_external = is(&self.creation_type, "Invitation")
            || is(&self.creation_type, "SelfServiceSignUp")
            || self.is_federated
            || (is_guest && is_name_of_invitation(name));
        SignIn { is_guest, is_external, is_enabled: self.is_enabled() }
    }
}

/// Whether the sign-in name `name` was made for an invitation: it has the address of the invited person in it.
pub(crate) fn is_name_of_invitation(name: &str) -> bool {
    name.to_ascii_uppercase().contains("#EXT#")
}

/// The names of an account that was deleted.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeletedUser {
    /// The display name.
    #[serde(default, deserialize_with = "visible")]
    pub display_name: Option<String>,
    /// The sign-in name that it had.
    #[serde(default, deserialize_with = "visible")]
    pub user_principal_name: Option<String>,
}

/// A user, with the properties that a pass depends on.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The object id.
    pub id: Uuid,
    /// The sign-in name; empty if Graph does not say it.
    #[serde(default, deserialize_with = "sign_in_name")]
    pub user_principal_name: String,
    /// The display name.
    #[serde(default, deserialize_with = "visible")]
    pub display_name: Option<String>,
    /// The first name.
    #[serde(default, deserialize_with = "visible")]
    pub given_name: Option<String>,
    /// BCP 47 language tag, e.g. `de-AT`.
    pub preferred_language: Option<String>,
    /// When the account was created; null for accounts that were synchronised before June 2018 (user resource page).
    #[serde(default, deserialize_with = "range::graphs_past")]
    pub created_date_time: Option<DateTime<Utc>>,
    /// What a listing shows too.
    #[serde(flatten)]
    pub account: Account,
}

/// A sign-in name, empty if there is none.
fn sign_in_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(visible(deserializer)?.unwrap_or_default())
}

fn shared_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
    Ok(visible(deserializer)?.map(Arc::from))
}

/// The properties of [`User`]. Graph returns the hire date and many others only when they are selected.
pub(super) const USER_PROPERTIES: &str = "id,userPrincipalName,displayName,givenName,mail,otherMails,proxyAddresses,\
    employeeHireDate,usageLocation,state,city,officeLocation,preferredLanguage,userType,creationType,identities,\
    accountEnabled,createdDateTime,onPremisesExtensionAttributes";

impl User {
    /// Whether and where the user signs in.
    pub(crate) fn sign_in(&self) -> SignIn {
        self.account.sign_in(&self.user_principal_name)
    }

    /// The user as a listing shows them.
    pub(crate) fn as_candidate(&self) -> Candidate {
        let Self { id, user_principal_name, account, .. } = self.clone();
        Candidate { id, user_principal_name: Some(user_principal_name.into()), account }
    }

    /// The display name, or the sign-in name if there is none.
    pub fn name(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.user_principal_name)
    }

    /// The user as the reader of a mail in `language`.
    pub fn reader<'a>(&'a self, language: &'a str) -> Reader<'a> {
        Reader {
            language,
            usage_location: self.account.usage_location.as_deref(),
            given_name: self.given_name.as_deref(),
            display_name: self.name(),
            user_principal_name: &self.user_principal_name,
        }
    }
}

/// A manager: a user or a contact.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manager {
    /// The object id.
    pub id: Option<Uuid>,
    /// The display name.
    #[serde(default, deserialize_with = "visible")]
    pub display_name: Option<String>,
    /// The mailbox.
    pub mail: Option<String>,
    /// Whether the account may sign in; a contact has none.
    pub account_enabled: Option<bool>,
    /// The sign-in name; a contact has none.
    pub user_principal_name: Option<String>,
    /// `Member` or `Guest`; old synchronised accounts, which are members, have none.
    pub user_type: Option<String>,
}

/// A user as the sweep reads them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The object id.
    pub id: Uuid,
    /// The sign-in name, if Graph says it.
    #[serde(default, deserialize_with = "shared_name")]
    pub user_principal_name: Option<Arc<str>>,
    /// The rest.
    #[serde(flatten)]
    pub account: Account,
}

pub(super) const CANDIDATE_PROPERTIES: &str = "id,userPrincipalName,employeeHireDate,usageLocation,state,city,\
    officeLocation,mail,otherMails,proxyAddresses,userType,creationType,identities,accountEnabled,\
    onPremisesExtensionAttributes";

impl Candidate {
    /// Whether and where the user signs in.
    pub(crate) fn sign_in(&self) -> SignIn {
        self.account.sign_in(self.user_principal_name.as_deref().unwrap_or_default())
    }

    /// Whether Graph hides the account: every account has these two.
    pub(super) fn is_hidden(&self) -> bool {
        self.user_principal_name.is_none() && self.account.account_enabled.is_none()
    }

    /// The account's addresses in Exchange. "SMTP:" is the main one and "smtp:" an alias; other systems have other prefixes.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = Address> {
        let address = |proxy: &str| {
            let (kind, address) = proxy.split_once(':')?;
            Address::parse(address).ok().filter(|_| kind.eq_ignore_ascii_case("smtp"))
        };
        self.account.proxy_addresses.iter().filter_map(address)
    }

    /// Whether the address is one of the account itself.
    pub(crate) fn has_mailbox(&self, address: &Address) -> bool {
        // "SMTP:" is the main address and "smtp:" an alias; other systems have other prefixes.
        let aliases = self.account.proxy_addresses.iter().filter_map(|proxy| Some(proxy.split_once(':')?.1));
        let mut own = aliases.chain(self.user_principal_name.as_deref()).chain(self.account.mail.as_deref());
        own.any(|own| address.same_as(own))
    }

    /// With `words` in place of those that many users have: a sweep keeps all joiners.
    pub(super) fn compact(mut self, words: &mut BTreeSet<Word>) -> Self {
        let Account { usage_location, state, city, office_location, user_type, creation_type, mail, .. } =
            &mut self.account;
        for word in
            [usage_location, state, city, office_location, user_type, creation_type].into_iter().flatten()
        {
            match words.get(word) {
                Some(known) => *word = known.clone(),
                None => drop(words.insert(word.clone())),
            }
        }
        if *mail == self.user_principal_name {
            mail.clone_from(&self.user_principal_name);
        }
        self
    }

    /// The sign-in name, or the object id of whom Graph does not name.
    pub(crate) fn name(&self) -> String {
        self.user_principal_name.as_deref().map_or_else(|| self.id.to_string(), str::to_owned)
    }

    /// Identifies everything here that a pass depends on, without showing it. The number is the version of this form.
    pub(crate) fn fingerprint(&self) -> String {
        let account = &self.account;
        let attributes: BTreeMap<_, _> = account.on_premises_extension_attributes.iter().collect();
        let name = self.user_principal_name.as_ref().map(|name| name.to_lowercase());
        let SignIn { is_guest, is_external, is_enabled } = self.sign_in();
        let seen = serde_json::json!([
            self.id,
            name,
            account.employee_hire_date,
            account.usage_location,
            account.state,
            account.city,
            account.office_location,
            account.mail,
            account.other_mails,
            account.proxy_addresses,
            is_guest,
            is_external,
            is_enabled,
            attributes,
        ]);
        format!("2:{}", sha256(&seen.to_string()))
    }
}

/// Whether one of the ways in which a user signs in is `federated`; others are `userPrincipalName` and more.
fn is_federated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Identity {
        sign_in_type: Option<String>,
    }
    let identities: Vec<Identity> = without_nulls(deserializer)?;
    let is = |kind: String| kind.eq_ignore_ascii_case("federated");
    Ok(identities.into_iter().filter_map(|identity| identity.sign_in_type).any(is))
}

/// Whether and where a user signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignIn {
    /// Whether the account has the few rights of a guest.
    pub is_guest: bool,
    /// Whether the user signs in to another tenant or provider, so that no pass can be used.
    pub is_external: bool,
    /// Whether the account may sign in.
    pub is_enabled: bool,
}

#[derive(Deserialize)]
struct Id {
    id: Uuid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignInName {
    user_principal_name: Option<String>,
}

fn hired_filter(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let stamp = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("employeeHireDate ge {} and employeeHireDate le {}", stamp(from), stamp(to))
}

impl Graph {
    /// The users whose hire date lies between `from` and `to`, both included.
    ///
    /// The filter is an advanced query: it needs ConsistencyLevel and `$count`, and reads an index that lags by minutes
    /// (Graph's advanced-queries page).
    pub(crate) async fn hired_between(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Readable<Candidate>, GraphError> {
        const OPERATION: &str = "looking for joiners";
        let filter = hired_filter(from, to);
        let options = [
            ("$filter", filter.as_str()),
            ("$count", "true"),
            ("$select", CANDIDATE_PROPERTIES),
            ("$top", "999"),
        ];
        let (mut users, mut words) = (Readable::default(), BTreeSet::new());
        let keep = |page| users.add(page, |user: Candidate| Some(user.compact(&mut words)));
        self.pages(OPERATION, &format!("/users{}", query(&options)), true, keep).await?;
        Ok(users.logged(OPERATION))
    }

    /// Whether anybody's hire date lies between `from` and `to`.
    pub(crate) async fn has_hired_between(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<bool, GraphError> {
        const OPERATION: &str = "looking whether anybody has a hire date";
        let filter = hired_filter(from, to);
        let options = [("$filter", filter.as_str()), ("$count", "true"), ("$select", "id"), ("$top", "1")];
        let path = format!("/users{}", query(&options));
        let first = GraphRequest { eventual: true, ..GraphRequest::get(OPERATION, &path) };
        Ok(!self.send(first).await?.json::<Page<Id>>()?.value.is_empty())
    }

    /// The object id of the user with this UPN or object id; `None` if there is no such user.
    pub async fn find_user(&self, name: &str) -> Result<Option<Uuid>, GraphError> {
        let path = format!("{}{}", user_path(name), query(&[("$select", "id")]));
        Ok(if_exists(self.get::<Id>("looking for the user", &path).await)?.map(|user| user.id))
    }

    /// What is left of an account that was deleted; `None` if it was not, or more than 30 days ago.
    pub(crate) async fn deleted_user(&self, user: Uuid) -> Result<Option<DeletedUser>, GraphError> {
        let path = format!("/directory/deletedItems/{user}");
        let found: Option<DeletedUser> = if_exists(self.get("reading the deleted user", &path).await)?;
        // Its sign-in name is free for another account.
        let old_name = |name: String| match name.strip_prefix(&user.simple().to_string()) {
            Some(old) => old.to_owned(),
            None => name,
        };
        Ok(found
            .map(|user| DeletedUser { user_principal_name: user.user_principal_name.map(old_name), ..user }))
    }

    /// Whether there is such a user.
    pub(crate) async fn has_user(&self, user: Uuid) -> Result<bool, GraphError> {
        let path = format!("/users/{user}{}", query(&[("$select", "id")]));
        Ok(if_exists(self.get::<IgnoredAny>("looking for the user", &path).await)?.is_some())
    }

    /// The sign-in name of a user; `None` if there is no such user, or Graph does not say it.
    pub(crate) async fn sign_in_name(&self, user: Uuid) -> Result<Option<String>, GraphError> {
        let path = format!("/users/{user}{}", query(&[("$select", "userPrincipalName")]));
        let user = if_exists(self.get::<SignInName>("reading the user's name", &path).await)?;
        Ok(user.and_then(|user| user.user_principal_name))
    }
}

/// The last day of a user.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LeaveDate {
    /// As a time in UTC.
    #[serde(default, deserialize_with = "range::graphs")]
    pub(super) employee_leave_date_time: Option<DateTime<Utc>>,
}

/// The path of a user's last day. It needs a permission of its own, User-LifeCycleInfo.Read.All (user resource page), so it must
/// not be in a request with anything else.
pub(super) fn leave_date_path(user: Uuid) -> String {
    format!("/users/{user}{}", query(&[("$select", "id,employeeLeaveDateTime")]))
}

/// The path of a user's manager, with what the app reads of them.
pub(super) fn manager_path(user: Uuid) -> String {
    format!(
        "/users/{user}/manager{}",
        query(&[("$select", "id,displayName,mail,accountEnabled,userPrincipalName,userType")])
    )
}

/// The path of a user by object id or UPN.
///
/// `#` and apostrophes are escaped. Graph takes a UPN that starts with `$` only in parentheses (user-get page), where an
/// apostrophe is doubled as in any OData string.
pub(super) fn user_path(name: &str) -> String {
    if name.starts_with('$') {
        format!("/users('{}')", segment(&name.replace('\'', "''")))
    } else {
        format!("/users/{}", segment(name))
    }
}

#[cfg(test)]
mod tests {
    use super::user_path;

    #[test]
    fn a_upn_cannot_break_out_of_its_path() {
        for (upn, path) in [
            ("emma@contoso.example", "/users/emma@contoso.example"),
            ("ann_x.example#EXT#@contoso.example", "/users/ann_x.example%23EXT%23@contoso.example"),
            ("o'brien@contoso.example", "/users/o%27brien@contoso.example"),
            ("$dollar@contoso.example", "/users('%24dollar@contoso.example')"),
            ("$o'b@contoso.example", "/users('%24o%27%27b@contoso.example')"),
            ("a/b?c=d@contoso.example", "/users/a%2Fb%3Fc%3Dd@contoso.example"),
            ("%2e%2e@contoso.example", "/users/%252e%252e@contoso.example"),
        ] {
            assert_eq!(user_path(upn), path);
        }
    }
}
