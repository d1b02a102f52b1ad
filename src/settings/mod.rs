//! The settings, read once; all problems are reported together.
//!
//! `docs/SETTINGS.md` is the page for admins; a test compares its names.

mod create_tap;
mod joiner_check;
mod partner_topic;
mod reader;
mod storage;

use std::fmt;

use chrono::{NaiveTime, TimeDelta};
use serde::Serialize;
use uuid::Uuid;

use self::reader::SettingsReader;

pub(crate) use self::reader::{LIFETIMES, is_https_url};
pub use self::{
    create_tap::{Callers, CreateTapSettings, Deliver, Parameter, ParameterType},
    joiner_check::{JoinerCheck, SignInCheck},
    partner_topic::PartnerTopic,
    reader::{SettingProblem, SettingsError},
};
use crate::{
    address::Address,
    azure::{LedgerUrl, QueueService},
    cloud::Cloud,
    environment::Environment,
    hash::sha256,
    templates,
    working_days::{WorkingDays, WorkingDaysItem},
    zone::{JoinerZone, Place, Tz, ZoneRule, joiner_zone},
};

/// The names of all settings, in the order of `docs/SETTINGS.md`.
pub const NAMES: &[&str] = &[
    "SWEEP_SCHEDULE",
    "MAIL_FROM",
    "ALERT_TO",
    "LEDGER_URL",
    "AzureWebJobsStorage",
    "AZURE_CLIENT_ID",
    "CLOUD",
    "JOINER_GROUP_ID",
    "ON_DEMAND_GROUP_ID",
    "PROTECTED_GROUP_ID",
    "EVENT_GRID_PARTNER_TOPIC",
    "LEAD_DAYS",
    "LATE_DAYS",
    "PASS_START",
    "DAY_ONE_TIME",
    "WORKING_DAYS",
    "TIME_ZONE",
    "ZONES",
    "HIRE_DATE_ZONE",
    "PASS_LIFETIME_MINUTES",
    "PASS_ONE_TIME",
    "SERVE_DISABLED",
    "SERVE_GUESTS",
    "JOINER_CHECK",
    "JOINER_CHECK_IGNORES",
    "JOINER_MAX_AGE_DAYS",
    "SWEEP_MAX",
    "REPORT_ONLY",
    "PAUSED",
    "NUDGE_AFTER",
    "REISSUE_UNUSED",
    "LANGUAGE",
    "COMPANY_NAME",
    "MAIL_TO",
    "MAIL_CC",
    "MAILS_PER_MINUTE",
    "TENANT_DOMAINS",
    "ADDRESS_SHARED_BY",
    "ADDRESS_SHARED_ALLOWED",
    "SERVICE_DESK_NAME",
    "SERVICE_DESK_EMAIL",
    "SERVICE_DESK_PHONE",
    "SERVICE_DESK_PORTAL_URL",
    "CREATE_TAP_OPEN_PARAMETERS",
    "CREATE_TAP_DEFAULT_LIFETIME_MINUTES",
    "CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY",
    "CREATE_TAP_DEFAULT_NOTIFY_USER",
    "CREATE_TAP_DEFAULT_DELIVER",
    "CREATE_TAP_OPEN",
    "CREATE_TAP_ALLOWED_GROUP_ID",
    "CREATE_TAP_ALLOWED_CALLERS",
    "CREATE_TAP_LIMIT_PER_USER",
    "CREATE_TAP_LIMIT_PER_CALLER",
    "TICKET_URL_HOSTS",
];

/// All settings, parsed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The identity that signs in.
    pub identity: IdentitySettings,
    /// The cloud of the tenant and of the storage account.
    pub cloud: Cloud,
    /// The blob container of the ledger; may have a SAS.
    pub ledger_url: LedgerUrl,
    /// The host's queues; `None` if `AzureWebJobsStorage` is not set or has an unknown form.
    pub queues: Option<QueueService>,
    /// The source of joiners.
    pub joiners: JoinerSource,
    /// The group whose members get a pass on demand.
    pub on_demand_group: Option<Uuid>,
    /// The group whose members get no pass from any function.
    pub protected_group: Option<Uuid>,
    /// The destination of notifications about the on-demand group; `None` without a group.
    pub partner_topic: Option<PartnerTopic>,
    /// The horizon: how many days before day one a joiner gets a pass, 0 to 30.
    pub lead_days: u8,
    /// How many days after day one a joiner who was never sent a pass still gets one, 0 to 60.
    pub late_days: u8,
    /// What is checked before an account counts as a joiner's.
    pub joiner_check: JoinerCheck,
    /// How many people a sweep may serve within 24 hours without an approval, 1 to 100,000.
    pub sweep_max: usize,
    /// Whether the app acts.
    pub mode: Mode,
    /// What is done for a joiner who does not use the pass.
    pub follow_up: FollowUpSettings,
    /// The properties of passes.
    pub pass: PassSettings,
    /// Senders, recipients and language of mails.
    pub mail: MailSettings,
    /// The permissions of CreateTap's callers.
    pub create_tap: CreateTapSettings,
    /// Identifies the values of all settings but those that can hold a key.
    pub fingerprint: String,
    /// Names that have no effect and resemble a setting's.
    pub ignored: Vec<String>,
}

/// The identity that signs in to the tenant and to storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentitySettings {
    /// The user-assigned identity's client id; `None` for the system-assigned one.
    pub client_id: Option<Uuid>,
    /// Whether the platform offers a managed identity. Without one, the identity of `az login` is used.
    pub managed: bool,
}

/// Whether the app acts. Alerts for admins are sent in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    #[default]
    Live,
    /// Sweeps say who would get what, and nothing is made, mailed or revoked (REPORT_ONLY).
    ReportOnly,
    /// Nothing is made, mailed or revoked (PAUSED, also together with REPORT_ONLY).
    Paused,
}

/// The source of joiners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinerSource {
    /// All users with a hire date within the horizon; needs no licence.
    HireDate,
    /// The members of a group, usually a dynamic one.
    Group(Uuid),
}

/// When the pass of a joiner starts to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassStart {
    /// On day one at DAY_ONE_TIME in the joiner's zone.
    DayOne,
    /// When it is made.
    Now,
}

/// How the date of a hire stamp is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HireDateZone {
    /// As midnight, in UTC or in the joiner's zone.
    Joiner,
    /// As the date in this zone.
    Fixed(Tz),
}

impl fmt::Display for HireDateZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joiner => f.write_str("joiner"),
            Self::Fixed(zone) => f.write_str(zone.name()),
        }
    }
}

/// The beginning of a working day, in minutes: a pass that holds less of it may be over before the joiner has a desk.
pub(crate) const FIRST_HOURS: u32 = 180;

/// The properties of passes.
#[derive(Clone, Debug)]
pub struct PassSettings {
    /// When it starts to work.
    pub start: PassStart,
    /// The time at which it opens on day one, in the joiner's zone; 07:00 if it is not set.
    pub day_one_time: NaiveTime,
    /// Whether DAY_ONE_TIME is set.
    pub is_day_one_time_set: bool,
    /// The days on which joiners work.
    pub working_days: WorkingDays,
    /// The zone of joiners whose account does not determine one.
    pub time_zone: Tz,
    /// Which places are in which zone; the first that is about a joiner decides.
    pub zones: Vec<ZoneRule>,
    /// How day one is read from the hire date.
    pub hire_date_zone: HireDateZone,
    /// In minutes, 10 to 43,200 (Graph's range), clamped to the tenant's policy. `None`: the policy's maximum, at most
    /// a day.
    pub lifetime_minutes: Option<u32>,
    /// Whether it works only once. The policy can force this.
    pub one_time: bool,
    /// Whether disabled accounts get a pass: many are disabled until day one.
    pub serve_disabled: bool,
    /// Whether guests who sign in to this tenant get a pass.
    pub serve_guests: bool,
}

impl PassSettings {
    /// When passes open if the policy's longest lifetime is `maximum` minutes: late enough to hold the beginning of a working day
    /// even if that is short, unless DAY_ONE_TIME says when.
    pub fn opening_time(&self, maximum: u32) -> NaiveTime {
        if !self.is_day_one_time_set && maximum < FIRST_HOURS { reader::NINE } else { self.day_one_time }
    }

    /// The zone of a joiner at `place`.
    pub fn zone(&self, place: Place<'_>) -> JoinerZone {
        joiner_zone(place, &self.zones, self.time_zone)
    }
}

/// What is done for a joiner who does not use the pass.
#[derive(Clone, Copy, Debug)]
pub struct FollowUpSettings {
    /// How long after the opening a reminder is mailed, 1 minute to 7 days; `None`: never.
    pub nudge_after: Option<TimeDelta>,
    /// Whether a pass that ended unused is replaced.
    pub reissue_unused: bool,
}

/// Senders, recipients and language of mails.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The mailbox that sends all mails.
    pub from: Address,
    /// How many mails a minute the mailbox accepts, 1 to 100,000.
    pub per_minute: u32,
    /// The recipients of alerts.
    pub alert_to: Vec<Address>,
    /// The sources of the joiner's address, the first with an address wins.
    pub to: Vec<MailTo>,
    /// The recipients of a copy of the joiner's mail.
    pub cc: Vec<MailCc>,
    /// The tenant's domains, in ASCII and small letters: their mailboxes are no private addresses.
    pub tenant_domains: Vec<String>,
    /// How many people may have one private address; if more have it, none of them gets a code there.
    pub shared_by: usize,
    /// The addresses that any number of people may have.
    pub shared_allowed: Vec<Address>,
    /// The language of joiners whose own is unknown or has no mails.
    pub language: String,
    /// The company's name in the mails.
    pub company: Option<String>,
    /// Where a joiner finds help.
    pub service_desk: ServiceDesk,
}

impl MailSettings {
    /// Whether the manager gets a copy of the joiner's mail.
    pub(crate) fn copies_manager(&self) -> bool {
        self.cc.contains(&MailCc::Manager)
    }

    /// Whether a mail with a code can go to the manager instead of the joiner.
    pub(crate) fn names_manager_as_recipient(&self) -> bool {
        self.to.contains(&MailTo::Manager)
    }
}

/// The service desk. The mail shows the fields that are set.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ServiceDesk {
    /// Its name, like "IT Service Desk".
    pub name: Option<String>,
    /// Its mail address.
    pub email: Option<String>,
    /// Its phone number, shown unchanged.
    pub phone: Option<String>,
    /// Its page, an `https:` URL, shown as a link.
    pub portal_url: Option<String>,
}

impl ServiceDesk {
    /// Whether a field is set.
    pub fn is_set(&self) -> bool {
        [&self.name, &self.email, &self.phone, &self.portal_url].into_iter().any(Option::is_some)
    }
}

/// A source of a joiner's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTo {
    /// The first of `otherMails` that is not the account's own address.
    OtherMails,
    /// `onPremisesExtensionAttributes/extensionAttribute1` to 15.
    ExtensionAttribute(u8),
    /// The mailbox of the manager, who gives the pass to the joiner.
    Manager,
}

/// A recipient of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailCc {
    /// The joiner's manager, if there is one with a mailbox.
    Manager,
    /// A fixed address.
    Address(Address),
}

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// All problems.
    pub fn read(env: &Environment) -> Result<Self, SettingsError> {
        let mut read = SettingsReader::new(env);
        read.optional("SWEEP_SCHEDULE", "0 0 5 * * *", reader::schedule);
        let from = read.required("MAIL_FROM", "welcome@contoso.com", reader::address);
        let identity = IdentitySettings {
            client_id: read.optional("AZURE_CLIENT_ID", reader::GUID_EXAMPLE, reader::guid),
            managed: env.get("IDENTITY_ENDPOINT").is_some(),
        };
        let cloud = read.or(Cloud::SETTING, "usgov", Cloud::default(), Cloud::parse);
        let ledger_url =
            read.required("LEDGER_URL", reader::LEDGER_EXAMPLE, |text| LedgerUrl::parse(text, cloud));
        let joiners = match read.optional("JOINER_GROUP_ID", reader::GUID_EXAMPLE, reader::guid) {
            Some(group) => JoinerSource::Group(group),
            None => JoinerSource::HireDate,
        };
        let on_demand_group = read.optional("ON_DEMAND_GROUP_ID", reader::GUID_EXAMPLE, reader::guid);
        let protected_group = read.optional("PROTECTED_GROUP_ID", reader::GUID_EXAMPLE, reader::guid);
        let partner_topic =
            read.optional("EVENT_GRID_PARTNER_TOPIC", partner_topic::EXAMPLE, PartnerTopic::parse);
        if env.get("EVENT_GRID_PARTNER_TOPIC").is_some() && env.get("ON_DEMAND_GROUP_ID").is_none() {
            let detail = "is missing: EVENT_GRID_PARTNER_TOPIC is for changes of that group".to_owned();
            read.problem("ON_DEMAND_GROUP_ID", detail, reader::GUID_EXAMPLE).unwrap_or(())
        }
        let lead_days = read.or("LEAD_DAYS", "7", 7, |text| reader::number(text, 0..=30));
        let late_days = read.or("LATE_DAYS", "14", 14, |text| reader::number(text, 0..=60));
        let pass = PassSettings {
            start: read.or("PASS_START", "day-one", PassStart::DayOne, reader::pass_start),
            day_one_time: read.or("DAY_ONE_TIME", "07:00", reader::SEVEN, reader::time_of_day),
            is_day_one_time_set: env.get("DAY_ONE_TIME").is_some(),
            working_days: read
                .list("WORKING_DAYS", "mon-fri, !2026-12-24, !12-25", vec![], WorkingDaysItem::parse)
                .into_iter()
                .collect(),
            time_zone: read.or("TIME_ZONE", "Europe/Berlin", Tz::UTC, reader::time_zone),
            zones: read.list_of(
                "ZONES",
                &[';'],
                "officeLocation:Perth=Australia/Perth; city:Bogotá=America/Bogota",
                vec![],
                ZoneRule::parse,
            ),
            hire_date_zone: read.or("HIRE_DATE_ZONE", "UTC", HireDateZone::Joiner, reader::hire_date_zone),
            lifetime_minutes: read
                .optional("PASS_LIFETIME_MINUTES", "480", |text| reader::number(text, reader::LIFETIMES)),
            one_time: read.or("PASS_ONE_TIME", "true", true, reader::boolean),
            serve_disabled: read.or("SERVE_DISABLED", "true", true, reader::boolean),
            serve_guests: read.or("SERVE_GUESTS", "internal", false, reader::serve_guests),
        };
        let joiner_check = JoinerCheck::read(&mut read, env);
        let sweep_max = read.or("SWEEP_MAX", "100", 100, |text| reader::number(text, 1..=100_000));
        let report_only = read.or("REPORT_ONLY", "true", false, reader::boolean);
        let paused = read.or("PAUSED", "true", false, reader::boolean);
        let mode = match (paused, report_only) {
            (true, _) => Mode::Paused,
            (false, true) => Mode::ReportOnly,
            (false, false) => Mode::Live,
        };
        let follow_up = FollowUpSettings {
            nudge_after: read.or("NUDGE_AFTER", "4h", Some(TimeDelta::hours(4)), reader::duration_or_off),
            reissue_unused: read.or("REISSUE_UNUSED", "true", true, reader::boolean),
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
        let per_minute = read.or("MAILS_PER_MINUTE", "30", 30, |text| reader::number(text, 1..=100_000));
        let tenant_domains = read.list("TENANT_DOMAINS", "contoso.com, contoso.de", vec![], reader::domain);
        let shared_by = read.or("ADDRESS_SHARED_BY", "2", 2, |text| reader::number(text, 1..=10_000));
        let shared_allowed =
            read.list("ADDRESS_SHARED_ALLOWED", "office@agency.example", vec![], reader::address);
        let create_tap = CreateTapSettings::read(&mut read, env, service_desk.portal_url.as_deref());
        match (from, ledger_url, read.finish()) {
            (Some(from), Some(ledger_url), None) => Ok(Self {
                identity,
                cloud,
                ledger_url,
                // The host may accept a form that firstpass does not know: that must not stop passes.
                queues: QueueService::read(env).ok().flatten(),
                joiners,
                on_demand_group,
                protected_group,
                partner_topic,
                lead_days,
                late_days,
                joiner_check,
                sweep_max,
                mode,
                follow_up,
                pass,
                mail: MailSettings {
                    from,
                    per_minute,
                    alert_to,
                    to,
                    cc,
                    tenant_domains,
                    shared_by,
                    shared_allowed,
                    language,
                    company,
                    service_desk,
                },
                create_tap,
                fingerprint: fingerprint(env),
                ignored: Self::unknown_names(env),
            }),
            (.., report) => Err(report.unwrap_or_default()),
        }
    }

    /// Names in `env` that resemble a setting's: the default replaces a setting with a misspelt name.
    pub fn unknown_names(env: &Environment) -> Vec<String> {
        const FAMILIES: [&str; 18] = [
            "ADDRESS_",
            "ALERT_",
            "CREATE_TAP_",
            "DAY_ONE_",
            "EVENT_GRID_",
            "JOINER_",
            "LEDGER_",
            "NUDGE_",
            "ON_DEMAND_",
            "PASS_",
            "PAUSE",
            "PROTECTED_",
            "REISSUE_",
            "REPORT",
            "SERVE_",
            "SERVICE_DESK_",
            "SWEEP_",
            "TICKET_",
        ];
        env.names()
            .filter(|name| FAMILIES.iter().any(|family| name.starts_with(family)) && !NAMES.contains(name))
            .map(str::to_owned)
            .collect()
    }
}

fn fingerprint(env: &Environment) -> String {
    const WITH_KEY: [&str; 2] = ["LEDGER_URL", "AzureWebJobsStorage"];
    let names = NAMES.iter().filter(|name| !WITH_KEY.contains(name));
    let set: Vec<String> = names.filter_map(|name| Some(format!("{name}={}", env.get(name)?))).collect();
    sha256(&set.join("\n"))[..16].to_owned()
}

#[cfg(test)]
mod tests;
