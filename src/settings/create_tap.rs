//! The settings of CreateTap: its callers and their parameters.

use uuid::Uuid;

use super::reader::{GUID_EXAMPLE, LIFETIMES, SettingsReader, boolean, guid, number};
use crate::environment::Environment;

/// A parameter of CreateTap. The first eleven are those of RealmJoin's runbook, so that its clients can migrate.
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
    /// A caller could choose the sender of a mail with the closed ones, or the phone number in it.
    const TABLE: [(Self, &'static str, ParameterType, bool); 14] = [
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
    /// The object ids or app ids of permitted callers; empty: every caller with a key.
    pub allowed_callers: Vec<Uuid>,
    /// The limit of passes per user and hour, 1 to 1,000.
    pub limit_per_user: usize,
    /// The limit of calls per caller, hour and instance, 1 to 100,000.
    pub limit_per_caller: usize,
    /// Whether the platform authenticates callers, so that its headers are trustworthy.
    pub platform_authentication: bool,
}

impl CreateTapSettings {
    pub(super) fn read(read: &mut SettingsReader<'_>, env: &Environment) -> Self {
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
        Self {
            open,
            lifetime_minutes: read
                .or("CREATE_TAP_DEFAULT_LIFETIME_MINUTES", "240", 240, |text| number(text, LIFETIMES)),
            one_time: read.or("CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY", "true", true, boolean),
            notify_user: read.or("CREATE_TAP_DEFAULT_NOTIFY_USER", "false", false, boolean),
            deliver: read.or("CREATE_TAP_DEFAULT_DELIVER", "response", Deliver::Response, |text| {
                Deliver::parse(text).map_err(|detail| format!("{detail}: \"{text}\""))
            }),
            allowed_group: read.optional("CREATE_TAP_ALLOWED_GROUP_ID", GUID_EXAMPLE, guid),
            allowed_callers: read.list("CREATE_TAP_ALLOWED_CALLERS", GUID_EXAMPLE, vec![], guid),
            limit_per_user: read.or("CREATE_TAP_LIMIT_PER_USER", "5", 5, |text| number(text, 1..=1_000)),
            limit_per_caller: read
                .or("CREATE_TAP_LIMIT_PER_CALLER", "60", 60, |text| number(text, 1..=100_000)),
            platform_authentication: env
                .get("WEBSITE_AUTH_ENABLED")
                .is_some_and(|text| text.eq_ignore_ascii_case("true")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_order_of_the_enum() {
        for (at, parameter) in Parameter::all().enumerate() {
            assert_eq!(parameter as usize, at);
            assert_eq!(Parameter::named(&parameter.name().to_uppercase()), Some(parameter));
        }
    }
}
