//! The settings, read once; all problems are reported together.
//!
//! `docs/SETTINGS.md` is the page for admins; a test compares its names.

mod create_tap;
mod joiner_check;
mod mail;
mod partner_topic;
mod reader;
mod storage;
mod webhook;

use std::fmt;

use chrono::{NaiveTime, TimeDelta};
use uuid::Uuid;

use self::reader::SettingsReader;

pub(crate) use self::reader::{LIFETIMES, is_https_url};
pub use self::{
    create_tap::{Callers, CreateTapSettings, Deliver, Parameter, ParameterType},
    joiner_check::{JoinerCheck, SignInCheck},
    mail::{CodeTo, Delivery, Device, DeviceSteps, MailCc, MailSettings, MailTo, ServiceDesk},
    partner_topic::PartnerTopic,
    reader::{SettingProblem, SettingsError},
    webhook::{WebhookAuth, WebhookSettings, WebhookUrl},
};
use crate::{
    azure::{LedgerUrl, QueueService},
    cloud::Cloud,
    environment::Environment,
    hash::sha256,
    templates::TemplateFiles,
    working_days::{WorkingDays, WorkingDaysItem},
    zone::{JoinerZone, Place, Tz, ZoneRule, joiner_zone},
};

/// The names of all settings, in the order of `docs/SETTINGS.md`.
pub const NAMES: &[&str] = &[
    "SWEEP_SCHEDULE",
    "MAIL_FROM",
    "ALERT_TO",
    "ALERT_LANGUAGE",
    "ALERT_WEBHOOK_URL",
    "DIGEST",
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
    "MAIL_TEMPLATES",
    "COMPANY_NAME",
    "SENDER_NAME",
    "LOGO",
    "FOOTER_IMAGE",
    "FOOTER_LINK",
    "ACCENT_COLOR",
    "TEXT_COLOR",
    "DEVICE_STEPS",
    "DELIVERY",
    "MAIL_TO",
    "MAIL_CODE_TO",
    "MAIL_CC",
    "MAIL_CC_CODE",
    "DELIVERY_WEBHOOK_URL",
    "DELIVERY_WEBHOOK_KEY",
    "DELIVERY_WEBHOOK_AUDIENCE",
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
    /// The endpoint that codes are delivered to.
    pub delivery_webhook: Option<WebhookSettings>,
    /// The endpoint for alerts.
    pub alert_webhook: Option<WebhookSettings>,
    /// How often a digest is sent; `None`: never.
    pub digest: Option<DigestEvery>,
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

/// How often a digest is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestEvery {
    /// Every morning.
    Day,
    /// On Monday mornings.
    Week,
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
    /// Whether it works only once; `None`: unless the device needs it more often. The policy can force it.
    pub one_time: Option<bool>,
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

    /// Whether a pass for the first sign-in on `device` works only once, if the policy does not force it.
    pub fn one_time_on(&self, device: Device) -> bool {
        self.one_time.unwrap_or(!device.needs_several_uses())
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

impl Settings {
    /// Reads all settings, with the templates in the binary.
    ///
    /// # Errors
    /// All problems.
    pub fn read(env: &Environment) -> Result<Self, SettingsError> {
        Self::read_with(env, TemplateFiles::embedded())
    }

    /// Reads all settings, with the templates of the folder `MAIL_TEMPLATES`, or else `templates/` beside the program or in the
    /// working directory.
    ///
    /// # Errors
    /// All problems.
    pub fn read_with_folder(env: &Environment) -> Result<Self, SettingsError> {
        Self::read_with(env, TemplateFiles::beside(mail::folder(env)))
    }

    fn read_with(env: &Environment, files: TemplateFiles) -> Result<Self, SettingsError> {
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
            one_time: read.optional("PASS_ONE_TIME", "true", reader::boolean),
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
        let service_desk = ServiceDesk::read(&mut read);
        let mail = MailSettings::read(&mut read, env, files, service_desk.clone(), from);
        let delivery_webhook = WebhookSettings::delivery(&mut read, env);
        let is_by_webhook = mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Webhook);
        if is_by_webhook && env.get("DELIVERY_WEBHOOK_URL").is_none() {
            let detail = "is missing: DELIVERY=webhook".to_owned();
            read.problem(
                "DELIVERY_WEBHOOK_URL",
                detail,
                "https://prod-1.westeurope.logic.azure.com/workflows/…",
            )
            .unwrap_or(())
        }
        let alert_webhook = WebhookSettings::alerts(&mut read);
        let digest = read.or("DIGEST", "daily", Some(DigestEvery::Week), reader::digest);
        let create_tap = CreateTapSettings::read(&mut read, env, service_desk.portal_url.as_deref());
        match (mail, ledger_url, read.finish()) {
            (Some(mail), Some(ledger_url), None) => Ok(Self {
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
                mail,
                delivery_webhook,
                alert_webhook,
                digest,
                create_tap,
                fingerprint: fingerprint(env),
                ignored: Self::unknown_names(env),
            }),
            (.., report) => Err(report.unwrap_or_default()),
        }
    }

    /// Names in `env` that resemble a setting's: the default replaces a setting with a misspelt name.
    pub fn unknown_names(env: &Environment) -> Vec<String> {
        const FAMILIES: [&str; 20] = [
            "ADDRESS_",
            "ALERT_",
            "CREATE_TAP_",
            "DAY_ONE_",
            "DELIVER",
            "DIGEST",
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
    const WITH_KEY: [&str; 5] = [
        "LEDGER_URL",
        "AzureWebJobsStorage",
        "ALERT_WEBHOOK_URL",
        "DELIVERY_WEBHOOK_URL",
        "DELIVERY_WEBHOOK_KEY",
    ];
    let names = NAMES.iter().filter(|name| !WITH_KEY.contains(name));
    let set: Vec<String> = names.filter_map(|name| Some(format!("{name}={}", env.get(name)?))).collect();
    sha256(&set.join("\n"))[..16].to_owned()
}

#[cfg(test)]
mod tests;
