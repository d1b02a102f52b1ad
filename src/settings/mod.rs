//! Every setting, read once, all problems reported together.
//!
//! `docs/SETTINGS.md` is the page for admins; a test keeps the two in step.

mod create_tap;
mod partner_topic;
mod reader;
mod storage;

use azure_core::http::Url;
use chrono::NaiveTime;
use serde::Serialize;
use uuid::Uuid;

use self::reader::SettingsReader;

pub(crate) use self::reader::{LIFETIMES, is_https_url};
pub use self::{
    create_tap::{CreateTapSettings, Deliver, Parameter, ParameterType},
    partner_topic::PartnerTopic,
    reader::{SettingProblem, SettingsError},
};
use crate::{address::Address, azure::QueueService, environment::Environment, templates, zone::Tz};

/// Names of all settings, in the order of `docs/SETTINGS.md`.
pub const NAMES: &[&str] = &[
    "SWEEP_SCHEDULE",
    "MAIL_FROM",
    "ALERT_TO",
    "LEDGER_URL",
    "AzureWebJobsStorage",
    "AZURE_CLIENT_ID",
    "JOINER_GROUP_ID",
    "ON_DEMAND_GROUP_ID",
    "EVENT_GRID_PARTNER_TOPIC",
    "LEAD_DAYS",
    "PASS_START",
    "DAY_ONE_TIME",
    "TIME_ZONE",
    "PASS_LIFETIME_MINUTES",
    "PASS_ONE_TIME",
    "SERVE_DISABLED",
    "LANGUAGE",
    "COMPANY_NAME",
    "MAIL_TO",
    "MAIL_CC",
    "SERVICE_DESK_NAME",
    "SERVICE_DESK_EMAIL",
    "SERVICE_DESK_PHONE",
    "SERVICE_DESK_PORTAL_URL",
    "CREATE_TAP_OPEN_PARAMETERS",
    "CREATE_TAP_DEFAULT_LIFETIME_MINUTES",
    "CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY",
    "CREATE_TAP_DEFAULT_NOTIFY_USER",
    "CREATE_TAP_DEFAULT_DELIVER",
    "CREATE_TAP_ALLOWED_GROUP_ID",
    "CREATE_TAP_ALLOWED_CALLERS",
    "CREATE_TAP_LIMIT_PER_USER",
    "CREATE_TAP_LIMIT_PER_CALLER",
];

/// All settings, parsed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which identity signs in.
    pub identity: IdentitySettings,
    /// The blob container of the ledger. It may carry a SAS.
    pub ledger_url: Url,
    /// Where the host keeps its queues; `None` where it does not say, as in tests, or not in a form that we know.
    pub queues: Option<QueueService>,
    /// Where joiners are found.
    pub joiners: JoinerSource,
    /// Membership in this group asks for a pass now.
    pub on_demand_group: Option<Uuid>,
    /// Where Graph tells of changes of that group; never without it.
    pub partner_topic: Option<PartnerTopic>,
    /// How many days ahead of day one a joiner is served: 0 to 30.
    pub lead_days: u8,
    /// What a pass is like.
    pub pass: PassSettings,
    /// Who writes to whom, in what words.
    pub mail: MailSettings,
    /// Who may ask CreateTap for what.
    pub create_tap: CreateTapSettings,
}

/// Which identity signs in to the tenant and to storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentitySettings {
    /// The user-assigned identity's client id; `None` for the system-assigned one.
    pub client_id: Option<Uuid>,
    /// Whether the platform offers a managed identity here. On a developer's machine it is the one of `az login`.
    pub managed: bool,
}

/// Where joiners are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinerSource {
    /// All members with a hire date in the horizon; needs no licence.
    HireDate,
    /// The members of a group, usually a dynamic one.
    Group(Uuid),
}

/// When the pass of a joiner starts to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassStart {
    /// On day one at DAY_ONE_TIME in the joiner's zone.
    DayOne,
    /// As soon as it is made, as the Logic App does.
    Now,
}

/// What a pass is like.
#[derive(Clone, Debug)]
pub struct PassSettings {
    /// When it starts to work.
    pub start: PassStart,
    /// The time of day at which it opens on day one, local to the joiner.
    pub day_one_time: NaiveTime,
    /// The zone of joiners whose usage location does not name one.
    pub time_zone: Tz,
    /// Minutes, 10 to 43,200 (Graph's range); clamped to the tenant's policy. `None`: the policy's maximum, at
    /// most a day.
    pub lifetime_minutes: Option<u32>,
    /// Whether it works only once. The policy can force this.
    pub one_time: bool,
    /// Whether accounts that are disabled get a pass: many are, until day one.
    pub serve_disabled: bool,
}

/// Who writes to whom, in what words.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The mailbox that all mails are sent from.
    pub from: Address,
    /// Who is told when a person must act.
    pub alert_to: Vec<Address>,
    /// Where the joiner's address is looked for; the first place that has one counts.
    pub to: Vec<MailTo>,
    /// Who else gets the joiner's mail.
    pub cc: Vec<MailCc>,
    /// The language of joiners whose own is unknown.
    pub language: String,
    /// The company's name as joiners know it.
    pub company: Option<String>,
    /// Whom a joiner can ask.
    pub service_desk: ServiceDesk,
}

/// Whom to ask. The mail shows what is set.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ServiceDesk {
    /// What it is called, like "IT Service Desk".
    pub name: Option<String>,
    /// Its mail address.
    pub email: Option<String>,
    /// Its phone number, written as people should read it.
    pub phone: Option<String>,
    /// An `https:` address. It becomes a link as it is.
    pub portal_url: Option<String>,
}

impl ServiceDesk {
    /// Whether anything is set.
    pub fn is_set(&self) -> bool {
        [&self.name, &self.email, &self.phone, &self.portal_url].into_iter().any(Option::is_some)
    }
}

/// A place where a joiner's address may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTo {
    /// `otherMails`, the first one that is not the account's own address.
    OtherMails,
    /// `onPremisesExtensionAttributes/extensionAttribute1` to 15.
    ExtensionAttribute(u8),
    /// The manager's mailbox, who hands the pass on in person.
    Manager,
}

/// Someone in copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailCc {
    /// The joiner's manager, where there is one with a mailbox.
    Manager,
    /// A fixed address.
    Address(Address),
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// Every problem there is, at once.
    pub fn read(env: &Environment) -> Result<Self, SettingsError> {
        let mut read = SettingsReader::new(env);
        read.optional("SWEEP_SCHEDULE", "0 0 5 * * *", reader::schedule);
        let from = read.required("MAIL_FROM", "welcome@contoso.com", reader::address);
        let ledger_url = read.required("LEDGER_URL", reader::LEDGER_EXAMPLE, reader::ledger_url);
        let identity = IdentitySettings {
            client_id: read.optional("AZURE_CLIENT_ID", reader::GUID_EXAMPLE, reader::guid),
            managed: env.get("IDENTITY_ENDPOINT").is_some(),
        };
        let joiners = match read.optional("JOINER_GROUP_ID", reader::GUID_EXAMPLE, reader::guid) {
            Some(group) => JoinerSource::Group(group),
            None => JoinerSource::HireDate,
        };
        let on_demand_group = read.optional("ON_DEMAND_GROUP_ID", reader::GUID_EXAMPLE, reader::guid);
        let partner_topic =
            read.optional("EVENT_GRID_PARTNER_TOPIC", partner_topic::EXAMPLE, PartnerTopic::parse);
        if env.get("EVENT_GRID_PARTNER_TOPIC").is_some() && env.get("ON_DEMAND_GROUP_ID").is_none() {
            let what = "is missing: EVENT_GRID_PARTNER_TOPIC is for changes of that group".to_owned();
            read.problem("ON_DEMAND_GROUP_ID", what, reader::GUID_EXAMPLE).unwrap_or(())
        }
        let lead_days = read.or("LEAD_DAYS", "7", 7, |text| reader::number(text, 0..=30));
        let pass = PassSettings {
            start: read.or("PASS_START", "day-one", PassStart::DayOne, reader::pass_start),
            day_one_time: read.or("DAY_ONE_TIME", "07:00", reader::SEVEN, reader::time_of_day),
            time_zone: read.or("TIME_ZONE", "Europe/Berlin", Tz::UTC, reader::time_zone),
            lifetime_minutes: read
                .optional("PASS_LIFETIME_MINUTES", "480", |text| reader::number(text, reader::LIFETIMES)),
            one_time: read.or("PASS_ONE_TIME", "true", true, reader::boolean),
            serve_disabled: read.or("SERVE_DISABLED", "true", true, reader::boolean),
        };
        let service_desk = ServiceDesk {
            name: read.optional("SERVICE_DESK_NAME", "IT Service Desk", reader::text),
            email: read
                .optional("SERVICE_DESK_EMAIL", "it@contoso.com", reader::address)
                .map(|a| a.to_string()),
            phone: read.optional("SERVICE_DESK_PHONE", "+44 20 7946 0000", reader::text),
            portal_url: read.optional(
                "SERVICE_DESK_PORTAL_URL",
                "https://help.contoso.com",
                reader::https_url,
            ),
        };
        let language = read
            .or("LANGUAGE", "en", "en".to_owned(), |text| reader::language(text, &templates::languages()));
        let company = read.optional("COMPANY_NAME", "Contoso", reader::text);
        let alert_to = read.list("ALERT_TO", "servicedesk@contoso.com", vec![], reader::address);
        let to = read.list("MAIL_TO", "otherMails", vec![MailTo::OtherMails], reader::mail_to);
        let cc = match env.get("MAIL_CC") {
            Some(none) if none.eq_ignore_ascii_case("none") => vec![],
            _ => read.list("MAIL_CC", "manager", vec![MailCc::Manager], reader::mail_cc),
        };
        let create_tap = CreateTapSettings::read(&mut read, env);
        match (from, ledger_url, read.finish()) {
            (Some(from), Some(ledger_url), None) => Ok(Self {
                identity,
                ledger_url,
                // The host's own setting, in whatever form the host understands: nobody goes without a pass for it.
                queues: QueueService::read(env).ok().flatten(),
                joiners,
                on_demand_group,
                partner_topic,
                lead_days,
                pass,
                mail: MailSettings { from, alert_to, to, cc, language, company, service_desk },
                create_tap,
            }),
            (.., report) => Err(report.unwrap_or_default()),
        }
    }

    /// Names in `env` that look like settings of ours and are none: a misspelt setting is silently a default.
    pub fn unknown_names(env: &Environment) -> Vec<String> {
        const FAMILIES: [&str; 11] = [
            "ALERT_",
            "CREATE_TAP_",
            "DAY_ONE_",
            "EVENT_GRID_",
            "JOINER_",
            "LEDGER_",
            "ON_DEMAND_",
            "PASS_",
            "SERVE_",
            "SERVICE_DESK_",
            "SWEEP_",
        ];
        env.names()
            .filter(|name| FAMILIES.iter().any(|family| name.starts_with(family)) && !NAMES.contains(name))
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests;
