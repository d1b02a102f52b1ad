//! A user account.

use chrono::{DateTime, SecondsFormat, Utc};
use firstpass::zone::Place;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Method, schema::object};

pub(super) const DOMAIN: &str = "contoso.example";

/// A user account and its builder: `Person::named("Emma Brooks").usage_location("GB")`.
///
/// By default it is an enabled member account; user principal name and mail address are made from the name.
#[derive(Clone, Debug)]
pub struct Person {
    /// The object id; nil until the person is added to a tenant.
    pub id: Uuid,
    /// The sign-in name.
    pub user_principal_name: String,
    /// The display name.
    pub display_name: String,
    /// The given name.
    pub given_name: Option<String>,
    /// The surname.
    pub surname: Option<String>,
    /// The work address.
    pub mail: Option<String>,
    /// Other addresses: the private address of a joiner.
    pub other_mails: Vec<String>,
    /// Further addresses of the mailbox.
    pub aliases: Vec<String>,
    /// The mobile number.
    pub mobile_phone: Option<String>,
    /// The first day, as HR recorded it.
    pub hire_date: Option<DateTime<Utc>>,
    /// The last day, as HR recorded it.
    pub leave_date: Option<DateTime<Utc>>,
    /// The two-letter country code.
    pub usage_location: Option<String>,
    /// The state or province.
    pub state: Option<String>,
    /// The language tag.
    pub preferred_language: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The country.
    pub country: Option<String>,
    /// The job title.
    pub job_title: Option<String>,
    /// The department.
    pub department: Option<String>,
    /// The company.
    pub company_name: Option<String>,
    /// The office.
    pub office_location: Option<String>,
    /// The employee number.
    pub employee_id: Option<String>,
    /// The type of employment.
    pub employee_type: Option<String>,
    /// `extensionAttribute1` to `extensionAttribute15`.
    pub extension_attributes: [Option<String>; 15],
    /// Whether `userType` is Guest.
    pub guest: bool,
    /// Whether the user was invited and signs in to another tenant.
    pub external: bool,
    /// Whether a restricted management administrative unit has the account as a member.
    pub management_restricted: bool,
    /// Whether sign-in is allowed.
    pub enabled: bool,
    /// When the account was created; `None` until it is added to a sandbox.
    pub created: Option<DateTime<Utc>>,
    /// Whether Graph has no time of its creation, as of accounts that were synchronised before June 2018.
    pub without_creation_time: bool,
    /// The authentication methods that the user registered.
    pub methods: Vec<Method>,
    /// The last successful sign-in.
    pub last_sign_in: Option<DateTime<Utc>>,
    /// The id of the manager, a user or a contact.
    pub manager: Option<Uuid>,
    /// Until this time, reads of the account can reach a replica that does not have it.
    pub replicating_until: Option<DateTime<Utc>>,
    /// What this account is an example of.
    pub note: &'static str,
}

impl Person {
    /// An account for a person of this name.
    pub fn named(display_name: &str) -> Self {
        let (given, surname) = match display_name.split_once(' ') {
            Some((given, surname)) => (given, Some(surname)),
            None => (display_name, None),
        };
        let local = match surname {
            Some(surname) => format!("{}.{}", ascii(given), ascii(surname)),
            None => ascii(given),
        };
        let address = format!("{local}@{DOMAIN}");
        Self {
            id: Uuid::nil(),
            user_principal_name: address.clone(),
            display_name: display_name.to_owned(),
            given_name: Some(given.to_owned()),
            surname: surname.map(str::to_owned),
            mail: Some(address),
            other_mails: Vec::new(),
            aliases: Vec::new(),
            mobile_phone: None,
            hire_date: None,
            leave_date: None,
            usage_location: None,
            state: None,
            preferred_language: None,
            city: None,
            country: None,
            job_title: None,
            department: None,
            company_name: Some("Contoso".to_owned()),
            office_location: None,
            employee_id: None,
            employee_type: None,
            extension_attributes: Default::default(),
            guest: false,
            external: false,
            management_restricted: false,
            enabled: true,
            created: None,
            without_creation_time: false,
            methods: Vec::new(),
            last_sign_in: None,
            manager: None,
            replicating_until: None,
            note: "",
        }
    }

    /// Sets the object id.
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// Sets the sign-in name and the mail address.
    pub fn user_principal_name(mut self, name: &str) -> Self {
        self.user_principal_name = name.to_owned();
        self.mail = Some(name.to_owned());
        self
    }

    /// Sets the first day.
    pub fn hire_date(mut self, date: DateTime<Utc>) -> Self {
        self.hire_date = Some(date);
        self
    }

    /// Where they work.
    pub fn place(&self) -> Place<'_> {
        Place {
            usage_location: self.usage_location.as_deref(),
            state: self.state.as_deref(),
            city: self.city.as_deref(),
            office_location: self.office_location.as_deref(),
            attributes: None,
        }
    }

    /// Sets the two-letter country code.
    pub fn usage_location(mut self, country: &str) -> Self {
        self.usage_location = Some(country.to_owned());
        self
    }

    /// Sets the language tag.
    pub fn preferred_language(mut self, tag: &str) -> Self {
        self.preferred_language = Some(tag.to_owned());
        self
    }

    /// Adds a private address.
    pub fn private_mail(mut self, address: &str) -> Self {
        self.other_mails.push(address.to_owned());
        self
    }

    /// Adds an address of the mailbox.
    pub fn alias(mut self, address: &str) -> Self {
        self.aliases.push(address.to_owned());
        self
    }

    /// Removes the work address.
    pub fn without_mail(mut self) -> Self {
        self.mail = None;
        self
    }

    /// Sets the manager, a user or a contact.
    pub fn manager(mut self, id: Uuid) -> Self {
        self.manager = Some(id);
        self
    }

    /// Removes the manager.
    pub fn without_manager(mut self) -> Self {
        self.manager = None;
        self
    }

    /// Sets job title and department.
    pub fn job(mut self, title: &str, department: &str) -> Self {
        self.job_title = Some(title.to_owned());
        self.department = Some(department.to_owned());
        self
    }

    /// Disables sign-in.
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    /// Makes the account an internal guest, who signs in to this tenant.
    pub fn internal_guest(mut self) -> Self {
        self.guest = true;
        self
    }

    /// Makes the account an external guest, who was invited by this address and signs in to another tenant.
    pub fn external_guest(mut self, address: &str) -> Self {
        self.guest = true;
        self.external = true;
        self.user_principal_name = invited_name(address);
        self.mail = Some(address.to_owned());
        self
    }

    /// Makes the account an external member: like an external guest, with the rights of a member.
    pub fn external_member(mut self, address: &str) -> Self {
        self.external = true;
        self.user_principal_name = invited_name(address);
        self.mail = Some(address.to_owned());
        self
    }

    /// Puts the account into a restricted management administrative unit.
    pub fn management_restricted(mut self) -> Self {
        self.management_restricted = true;
        self
    }

    /// Makes the account a converted guest: a member whose user principal name still shows the invitation.
    pub fn converted_guest(mut self, address: &str) -> Self {
        self.user_principal_name = invited_name(address);
        self.mail = Some(address.to_owned());
        self
    }

    /// Sets when the account was created.
    pub fn created(mut self, at: DateTime<Utc>) -> Self {
        self.created = Some(at);
        self
    }

    /// Leaves out the time of creation.
    pub fn without_creation_time(mut self) -> Self {
        self.without_creation_time = true;
        self
    }

    /// Adds an authentication method.
    pub fn method(mut self, method: Method) -> Self {
        self.methods.push(method);
        self
    }

    /// Sets the last successful sign-in.
    pub fn last_sign_in(mut self, at: DateTime<Utc>) -> Self {
        self.last_sign_in = Some(at);
        self
    }

    /// Makes the account missing from some replicas until this time.
    pub fn replicating_until(mut self, at: DateTime<Utc>) -> Self {
        self.replicating_until = Some(at);
        self
    }

    /// Sets what this account is an example of.
    pub fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    /// Sets the user principal name, and the mail address if it was the same.
    pub(super) fn renamed(mut self, name: &str) -> Self {
        if self.mail.as_ref() == Some(&self.user_principal_name) {
            self.mail = Some(name.to_owned());
        }
        self.user_principal_name = name.to_owned();
        self
    }

    /// Whether Graph refuses a pass because the user is a guest who signs in to another tenant.
    pub(super) fn is_external_guest(&self) -> bool {
        self.guest && self.is_external()
    }

    fn is_external(&self) -> bool {
        self.external || (self.guest && self.user_principal_name.to_ascii_uppercase().contains("#EXT#"))
    }

    fn identities(&self) -> Value {
        let own = json!({
            "signInType": "userPrincipalName", "issuer": DOMAIN, "issuerAssignedId": self.user_principal_name,
        });
        let other = json!({"signInType": "federated", "issuer": "ExternalAzureAD", "issuerAssignedId": null});
        if self.is_external() { json!([other, own]) } else { json!([own]) }
    }

    pub(super) fn to_graph(&self) -> Map<String, Value> {
        object(json!({
            "id": self.id,
            "accountEnabled": self.enabled,
            "businessPhones": [],
            "city": self.city,
            "companyName": self.company_name,
            "country": self.country,
            "createdDateTime": self.created.filter(|_| !self.without_creation_time).map(seconds),
            "creationType": self.is_external().then_some("Invitation"),
            "department": self.department,
            "displayName": self.display_name,
            "employeeHireDate": self.hire_date.map(seconds),
            "employeeId": self.employee_id,
            "employeeLeaveDateTime": self.leave_date.map(seconds),
            "employeeType": self.employee_type,
            "externalUserState": self.is_external().then_some("Accepted"),
            "identities": self.identities(),
            "isManagementRestricted": self.management_restricted.then_some(true),
            "givenName": self.given_name,
            "jobTitle": self.job_title,
            "mail": self.mail,
            "mailNickname": self.user_principal_name.split('@').next(),
            "mobilePhone": self.mobile_phone,
            "officeLocation": self.office_location,
            "onPremisesExtensionAttributes": self.extension_attributes_to_graph(),
            "onPremisesSyncEnabled": null,
            "otherMails": self.other_mails,
            "preferredLanguage": self.preferred_language,
            "proxyAddresses": self.proxy_addresses(),
            "signInActivity": self.last_sign_in.map(|at| json!({
                "lastSignInDateTime": seconds(at),
                "lastSignInRequestId": self.id,
                "lastNonInteractiveSignInDateTime": null,
                "lastNonInteractiveSignInRequestId": null,
                "lastSuccessfulSignInDateTime": seconds(at),
                "lastSuccessfulSignInRequestId": self.id,
            })),
            "surname": self.surname,
            "usageLocation": self.usage_location,
            "state": self.state,
            "userPrincipalName": self.user_principal_name,
            "userType": if self.guest { "Guest" } else { "Member" },
        }))
    }

    /// The main address has its prefix in capitals (user resource page).
    fn proxy_addresses(&self) -> Vec<String> {
        let main = self.mail.iter().map(|address| format!("SMTP:{address}"));
        main.chain(self.aliases.iter().map(|address| format!("smtp:{address}"))).collect()
    }

    fn extension_attributes_to_graph(&self) -> Value {
        let attributes = self.extension_attributes.iter().enumerate();
        attributes.map(|(at, value)| (format!("extensionAttribute{}", at + 1), json!(value))).collect()
    }
}

fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn invited_name(address: &str) -> String {
    format!("{}#EXT#@contoso.onmicrosoft.example", address.replace('@', "_"))
}

/// `name` reduced to the letters that a user principal name allows.
fn ascii(name: &str) -> String {
    name.to_lowercase().chars().filter_map(plain).collect()
}

fn plain(letter: char) -> Option<char> {
    Some(match letter {
        'a'..='z' | '0'..='9' | '\'' | '-' => letter,
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ą' | 'ā' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' => 'e',
        'ğ' => 'g',
        'ì' | 'í' | 'î' | 'ï' | 'ı' => 'i',
        'ł' => 'l',
        'ñ' | 'ń' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' => 'o',
        'ř' => 'r',
        'ś' | 'š' | 'ş' => 's',
        'ù' | 'ú' | 'û' | 'ü' | 'ů' | 'ū' => 'u',
        'ý' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        _ => return None,
    })
}
