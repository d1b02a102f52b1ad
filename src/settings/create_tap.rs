//! What callers of CreateTap may ask for, and who they may be.

use uuid::Uuid;

use super::reader::{GUID_EXAMPLE, LIFETIMES, SettingsReader, boolean, guid, number};
use crate::environment::Environment;

/// A parameter of CreateTap. The first eleven are those of RealmJoin's runbook, whose users can move over.
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

/// What the value of a parameter is, in JSON's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterType {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl Parameter {
    /// The table: every parameter, its name, its kind, and whether callers may pass it where nobody decided.
    ///
    /// Closed are those with which a caller who merely has a key could choose the sender of a mail, or whom it
    /// tells its reader to call.
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

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::TABLE.into_iter().map(|row| row.0)
    }

    /// The one with this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::TABLE.into_iter().find(|row| row.1.eq_ignore_ascii_case(name)).map(|row| row.0)
    }

    fn row(self) -> (Self, &'static str, ParameterType, bool) {
        // The rows stand in the order of the enum; a test says so.
        Self::TABLE[self as usize]
    }

    /// Its name, as the runbook writes it.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What its value is.
    pub fn kind(self) -> ParameterType {
        self.row().2
    }

    /// Whether callers may pass it where `CREATE_TAP_OPEN_PARAMETERS` is not set.
    pub fn is_open_by_default(self) -> bool {
        self.row().3
    }
}

/// How a code reaches its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliver {
    /// In the answer to the call.
    Response,
    /// By the joiner's mail; the answer holds no code.
    Mail,
}

impl Deliver {
    /// Parses the word.
    ///
    /// # Errors
    /// What would have been right.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "response" => Ok(Self::Response),
            "mail" => Ok(Self::Mail),
            _ => Err("is neither response nor mail".to_owned()),
        }
    }

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Mail => "mail",
        }
    }
}

/// Who may ask CreateTap for what.
#[derive(Clone, Debug)]
pub struct CreateTapSettings {
    /// The parameters that callers may pass; `UserName` always is among them.
    pub open: Vec<Parameter>,
    /// Minutes that a pass lives where the caller names none; clamped to the policy.
    pub lifetime_minutes: u32,
    /// Whether it works only once where the caller says nothing.
    pub one_time: bool,
    /// Whether the user is told where the caller says nothing.
    pub notify_user: bool,
    /// How the code travels where the caller says nothing.
    pub deliver: Deliver,
    /// Only members of this group may have a pass; none means everyone.
    pub allowed_group: Option<Uuid>,
    /// Only these callers, by object id or app id, may call; none means whoever has a key.
    pub allowed_callers: Vec<Uuid>,
    /// Passes for one user in an hour.
    pub limit_per_user: usize,
    /// Calls of one caller in an hour, on each instance.
    pub limit_per_caller: usize,
    /// Whether the platform authenticates callers, so that its headers can be believed.
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
                        .ok_or_else(|| format!("names no parameter of CreateTap: \"{text}\""))
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
                Deliver::parse(text).map_err(|what| format!("{what}: \"{text}\""))
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
    fn the_table_stands_in_the_order_of_the_enum() {
        for (at, parameter) in Parameter::all().enumerate() {
            assert_eq!(parameter as usize, at);
            assert_eq!(Parameter::named(&parameter.name().to_uppercase()), Some(parameter));
        }
    }
}
