//! The settings of CreateTap: its callers and their parameters.

use azure_core::http::Url;
use uuid::Uuid;

use super::reader::{GUID_EXAMPLE, LIFETIMES, Parsed, SettingsReader, boolean, guid, is_https_url, number};
use crate::environment::Environment;

/// A parameter of CreateTap. Those up to `CallerName`, and the five of branding, are those of RealmJoin's runbook, so that its clients can
/// migrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "docs/CREATE-TAP.md explains them one by one")]
pub enum Parameter {
    UserName,
    LifetimeInMinutes,
    OneTimeUseOnly,
    NotifyUser,
    EmailFrom,
    ServiceDeskDisplayName,
    ServiceDeskEmail,
    ServiceDeskPhone,
    ServiceDeskPortalUrl,
    ServiceDeskTicketUrl,
    CallerName,
    StartDateTime,
    Reason,
    Deliver,
    BrandingHeaderImageUrl,
    BrandingFooterImageUrl,
    BrandingFooterLink,
    BrandingAccentColor,
    BrandingTextColor,
}

/// The JSON type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterType {
    /// A string.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl Parameter {
    /// Every parameter with its name, its type, and whether it is open to callers by default.
    ///
    /// A caller could choose the sender of a mail with the closed ones, or the phone number or an image in it.
    const TABLE: [(Self, &'static str, ParameterType, bool); 19] = [
        (Self::UserName, "UserName", ParameterType::Text, true),
        (Self::LifetimeInMinutes, "LifetimeInMinutes", ParameterType::Number, true),
        (Self::OneTimeUseOnly, "OneTimeUseOnly", ParameterType::Boolean, true),
        (Self::NotifyUser, "NotifyUser", ParameterType::Boolean, true),
        (Self::EmailFrom, "EmailFrom", ParameterType::Text, false),
        (Self::ServiceDeskDisplayName, "ServiceDeskDisplayName", ParameterType::Text, false),
        (Self::ServiceDeskEmail, "ServiceDeskEmail", ParameterType::Text, false),
        (Self::ServiceDeskPhone, "ServiceDeskPhone", ParameterType::Text, false),
        (Self::ServiceDeskPortalUrl, "ServiceDeskPortalUrl", ParameterType::Text, false),
        (Self::ServiceDeskTicketUrl, "ServiceDeskTicketUrl", ParameterType::Text, true),
        (Self::CallerName, "CallerName", ParameterType::Text, true),
        (Self::StartDateTime, "StartDateTime", ParameterType::Text, true),
        (Self::Reason, "Reason", ParameterType::Text, true),
        (Self::Deliver, "Deliver", ParameterType::Text, true),
        (Self::BrandingHeaderImageUrl, "BrandingHeaderImageUrl", ParameterType::Text, false),
        (Self::BrandingFooterImageUrl, "BrandingFooterImageUrl", ParameterType::Text, false),
        (Self::BrandingFooterLink, "BrandingFooterLink", ParameterType::Text, false),
        (Self::BrandingAccentColor, "BrandingAccentColor", ParameterType::Text, false),
        (Self::BrandingTextColor, "BrandingTextColor", ParameterType::Text, false),
    ];

    /// All parameters.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::TABLE.into_iter().map(|row| row.0)
    }

    /// The parameter with this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::TABLE.into_iter().find(|row| row.1.eq_ignore_ascii_case(name)).map(|row| row.0)
    }

    fn row(self) -> (Self, &'static str, ParameterType, bool) {
        // The rows have the order of the enum; a test checks it.
        Self::TABLE[self as usize]
    }

    /// Its name in the runbook's spelling.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Its type.
    pub fn kind(self) -> ParameterType {
        self.row().2
    }

    /// Whether callers may pass it if `CREATE_TAP_OPEN_PARAMETERS` is not set.
    pub fn is_open_by_default(self) -> bool {
        self.row().3
    }
}

/// How a code is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliver {
    /// In the answer to the call.
    Response,
    /// By the joiner's mail; the answer has no code.
    Mail,
}

impl Deliver {
    /// Parses `response` or `mail`, in any case.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "response" => Ok(Self::Response),
            "mail" => Ok(Self::Mail),
            _ => Err("is neither response nor mail".to_owned()),
        }
    }

    /// `response` or `mail`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Mail => "mail",
        }
    }
}

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Nobody: CreateTap is off.
    Nobody,
    /// Everyone with a function key.
    Everyone,
    /// Those whom the platform identifies and CREATE_TAP_ALLOWED_CALLERS lists.
    Listed {
        /// Object ids and app ids.
        ids: Vec<Uuid>,
        /// Whether managers may call for joiners who report to them.
        managers: bool,
    },
}

/// The settings of CreateTap.
#[derive(Clone, Debug)]
pub struct CreateTapSettings {
    /// The parameters that callers may pass, `UserName` included.
    pub open: Vec<Parameter>,
    /// The default lifetime in minutes, 10 to 43,200, clamped to the policy.
    pub lifetime_minutes: u32,
    /// Whether a pass works only once by default.
    pub one_time: bool,
    /// Whether the user gets a notice by default.
    pub notify_user: bool,
    /// The default delivery of the code.
    pub deliver: Deliver,
    /// The group whose members may get a pass; `None`: every user.
    pub allowed_group: Option<Uuid>,
    /// Who may call.
    pub callers: Callers,
    /// The hosts that a ticket's URL may have, in ASCII and small letters, with the port of the portal's.
    pub ticket_hosts: Vec<String>,
    /// The limit of passes per user and hour, 1 to 1,000.
    pub limit_per_user: usize,
    /// The limit of calls per caller, hour and instance, 1 to 100,000.
    pub limit_per_caller: usize,
    /// Whether the platform authenticates callers, so that its headers are trustworthy.
    pub platform_authentication: bool,
}

impl CreateTapSettings {
    /// Whether everyone with a function key may call, for every user.
    pub(crate) fn is_open_to_all(&self) -> bool {
        self.callers == Callers::Everyone && self.allowed_group.is_none()
    }

    /// The hosts of tickets are `portal_url`'s by default.
    pub(super) fn read(read: &mut SettingsReader<'_>, env: &Environment, portal_url: Option<&str>) -> Self {
        let mut open = match env.get("CREATE_TAP_OPEN_PARAMETERS") {
            Some(none) if none.eq_ignore_ascii_case("none") => vec![],
            _ => read.list(
                "CREATE_TAP_OPEN_PARAMETERS",
                "LifetimeInMinutes, NotifyUser",
                Parameter::all().filter(|p| p.is_open_by_default()).collect(),
                |text| {
                    Parameter::named(text)
                        .ok_or_else(|| format!("is not a parameter of CreateTap: \"{text}\""))
                },
            ),
        };
        open.push(Parameter::UserName);
        let allowed_group = read.optional("CREATE_TAP_ALLOWED_GROUP_ID", GUID_EXAMPLE, guid);
        let listed = read.list(ALLOWED_CALLERS, "managers", vec![], listed_caller);
        let is_open = read.or("CREATE_TAP_OPEN", "true", false, boolean);
        let callers = if !listed.is_empty() {
            let ids: Vec<Uuid> = listed.iter().copied().flatten().collect();
            Callers::Listed { managers: ids.len() < listed.len(), ids }
        } else if is_open || allowed_group.is_some() {
            Callers::Everyone
        } else {
            Callers::Nobody
        };
        let portal_host = portal_url.and_then(ticket_host).into_iter().collect();
        Self {
            open,
            lifetime_minutes: read
                .or("CREATE_TAP_DEFAULT_LIFETIME_MINUTES", "240", 240, |text| number(text, LIFETIMES)),
            one_time: read.or("CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY", "true", true, boolean),
            notify_user: read.or("CREATE_TAP_DEFAULT_NOTIFY_USER", "false", false, boolean),
            deliver: read.or("CREATE_TAP_DEFAULT_DELIVER", "response", Deliver::Response, |text| {
                Deliver::parse(text).map_err(|detail| format!("{detail}: \"{text}\""))
            }),
            allowed_group,
            callers,
            ticket_hosts: read.list("TICKET_URL_HOSTS", "help.contoso.com", portal_host, host),
            limit_per_user: read.or("CREATE_TAP_LIMIT_PER_USER", "5", 5, |text| number(text, 1..=1_000)),
            limit_per_caller: read
                .or("CREATE_TAP_LIMIT_PER_CALLER", "60", 60, |text| number(text, 1..=100_000)),
            platform_authentication: env
                .get("WEBSITE_AUTH_ENABLED")
                .is_some_and(|text| text.eq_ignore_ascii_case("true")),
        }
    }
}

const ALLOWED_CALLERS: &str = "CREATE_TAP_ALLOWED_CALLERS";

/// An id, or `None` for `managers`.
fn listed_caller(text: &str) -> Parsed<Option<Uuid>> {
    if text.eq_ignore_ascii_case("managers") {
        return Ok(None);
    }
    guid(text).map(Some).map_err(|_| format!("is neither managers nor a GUID: \"{text}\""))
}

/// The host of an `https:` URL, in ASCII and small letters, with its port: another port leads to another server.
fn ticket_host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|_| is_https_url(url))?;
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    url.domain().map(|host| format!("{host}{port}"))
}

/// A host name alone.
fn host(text: &str) -> Parsed<String> {
    ticket_host(&format!("https://{text}"))
        .filter(|_| !text.contains(['/', '?', '#', ':', '@', '*']))
        .ok_or_else(|| format!("is not the name of a host: \"{text}\""))
}

impl CreateTapSettings {
    /// The URL of a ticket as a browser reads it, if its host is listed.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence.
    pub fn ticket_url(&self, text: &str) -> Result<String, String> {
        if self.ticket_hosts.is_empty() {
            return Err(
                "is not open to callers: TICKET_URL_HOSTS lists no host, and SERVICE_DESK_PORTAL_URL is not \
                        set"
                .to_owned(),
            );
        }
        // Mail clients read odd URLs in different ways, and the normal form in one.
        let url = Url::parse(text).ok().filter(|_| is_https_url(text)).ok_or("is not an https:// address")?;
        match ticket_host(text) {
            Some(host) if self.ticket_hosts.contains(&host) => Ok(url.into()),
            _ => Err("has a host that TICKET_URL_HOSTS does not list".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn read(more: &[(&str, &str)]) -> Result<CreateTapSettings, String> {
        let required = [
            ("MAIL_FROM", "welcome@contoso.com"),
            ("LEDGER_URL", "https://mystorage.blob.core.windows.net/ledger"),
        ];
        let env: Environment = required.iter().chain(more).copied().collect();
        Settings::read(&env).map(|settings| settings.create_tap).map_err(|report| report.to_string())
    }

    #[test]
    fn create_tap_is_off_until_somebody_says_who_may_call() {
        const ID: &str = GUID_EXAMPLE;
        let id: Uuid = ID.parse().unwrap();
        let callers = |more: &[(&str, &str)]| read(more).unwrap().callers;
        assert_eq!(callers(&[]), Callers::Nobody);
        assert_eq!(callers(&[("CREATE_TAP_OPEN", "false")]), Callers::Nobody);
        assert_eq!(callers(&[("CREATE_TAP_DEFAULT_DELIVER", "mail")]), Callers::Nobody);
        assert_eq!(callers(&[("CREATE_TAP_OPEN", "True")]), Callers::Everyone);
        assert_eq!(callers(&[("CREATE_TAP_ALLOWED_GROUP_ID", ID)]), Callers::Everyone);
        let listed = |ids: Vec<Uuid>, managers| Callers::Listed { ids, managers };
        assert_eq!(callers(&[(ALLOWED_CALLERS, "Managers")]), listed(vec![], true));
        assert_eq!(callers(&[(ALLOWED_CALLERS, &format!("managers, {ID}"))]), listed(vec![id], true));
        // The list is the narrower of the two.
        let both = callers(&[(ALLOWED_CALLERS, ID), ("CREATE_TAP_OPEN", "true")]);
        assert_eq!(both, listed(vec![id], false));
        for (name, value) in
            [(ALLOWED_CALLERS, "everyone"), (ALLOWED_CALLERS, ","), ("CREATE_TAP_OPEN", "yes please")]
        {
            assert!(read(&[(name, value)]).unwrap_err().contains(name), "{name} {value}");
        }
    }

    #[test]
    fn a_ticket_is_on_a_host_that_an_admin_listed() {
        let hosts = |more: &[(&str, &str)]| read(more).unwrap().ticket_hosts;
        assert_eq!(hosts(&[]), Vec::<String>::new());
        let portal = ("SERVICE_DESK_PORTAL_URL", "https://Help.contoso.com/start?a=1");
        assert_eq!(hosts(&[portal]), ["help.contoso.com"]);
        let with_port = read(&[("SERVICE_DESK_PORTAL_URL", "https://help.contoso.com:8443/start")]).unwrap();
        for (ticket, is_listed) in [
            ("https://help.contoso.com:8443/4711", true),
            ("https://help.contoso.com/4711", false),
            ("https://help.contoso.com:8444/4711", false),
        ] {
            assert_eq!(with_port.ticket_url(ticket).is_ok(), is_listed, "{ticket}");
        }
        assert_eq!(
            hosts(&[portal, ("TICKET_URL_HOSTS", "a.example; B.example")]),
            ["a.example", "b.example"]
        );
        assert_eq!(hosts(&[("TICKET_URL_HOSTS", "hilfe.müller.example")]), ["hilfe.xn--mller-kva.example"]);
        for wrong in [
            "https://a.example",
            "a.example/x",
            "a.example:8443",
            "me@a.example",
            "*.a.example",
            "127.0.0.1",
            "a b",
        ] {
            let report = read(&[("TICKET_URL_HOSTS", wrong)]).unwrap_err();
            assert!(report.contains("TICKET_URL_HOSTS is not the name of a host"), "{wrong}: {report}");
        }
        let settings = read(&[("TICKET_URL_HOSTS", "help.contoso.com, hilfe.müller.example")]).unwrap();
        for (ticket, url) in [
            ("https://help.contoso.com/4711?a=1#b", "https://help.contoso.com/4711?a=1#b"),
            ("HTTPS://HELP.Contoso.com:443/4711", "https://help.contoso.com/4711"),
            ("https://hilfe.müller.example/ü", "https://hilfe.xn--mller-kva.example/%C3%BC"),
        ] {
            assert_eq!(settings.ticket_url(ticket).as_deref(), Ok(url));
        }
        for ticket in [
            "https://evil.example/help.contoso.com",
            "https://help.contoso.com.evil.example/",
            "https://x.help.contoso.com/",
            "https://help.contoso.com:8443/",
            "https://help.contoso.com./",
            "https://help.contoso.com@evil.example/",
            "https://evil.example#@help.contoso.com",
            "https://help.contoso.com\\@evil.example",
            "http://help.contoso.com/",
            "https://hеlp.contoso.com/",
        ] {
            assert!(settings.ticket_url(ticket).is_err(), "{ticket}");
        }
        assert!(
            read(&[])
                .unwrap()
                .ticket_url("https://help.contoso.com")
                .unwrap_err()
                .contains("TICKET_URL_HOSTS")
        );
    }

    #[test]
    fn the_table_has_the_order_of_the_enum() {
        for (at, parameter) in Parameter::all().enumerate() {
            assert_eq!(parameter as usize, at);
            assert_eq!(Parameter::named(&parameter.name().to_uppercase()), Some(parameter));
        }
    }
}
