//! What the tests of several rules start from.

use chrono::{DateTime, NaiveTime, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::request::{Choice, PassRequest};
use crate::{
    address::Address,
    brand::Brand,
    graph::{PassPolicy, PrivilegeSnapshot, TenantSnapshot, UsageSnapshot, User, users::Account},
    settings::{
        CodeTo, Delivery, DeviceSteps, HireDateZone, MailSettings, PassSettings, PassStart, ServiceDesk,
    },
    templates::TemplateFiles,
    zone::Tz,
};

/// The group that matters: on demand, or of those whom callers may name.
pub(super) const GROUP: Uuid = Uuid::from_u128(0xC0FFEE);

/// A Sunday, five in the morning UTC.
pub(super) fn now() -> DateTime<Utc> {
    "2026-11-22T05:00:00Z".parse().unwrap()
}

/// An account of which only the name is known.
pub(super) fn emma() -> User {
    User {
        id: Uuid::from_u128(1),
        user_principal_name: "emma@contoso.example".into(),
        display_name: None,
        given_name: None,
        preferred_language: None,
        created_date_time: Some(now() - chrono::TimeDelta::days(14)),
        account: Account { account_enabled: Some(true), ..Account::default() },
    }
}

/// The default settings.
pub(super) fn pass_settings() -> PassSettings {
    PassSettings {
        start: PassStart::DayOne,
        day_one_time: NaiveTime::from_hms_opt(7, 0, 0).unwrap(),
        time_zone: Tz::UTC,
        zones: vec![],
        hire_date_zone: HireDateZone::Joiner,
        lifetime_minutes: None,
        one_time: Some(true),
        serve_disabled: true,
        serve_guests: false,
        is_day_one_time_set: false,
        working_days: Default::default(),
    }
}

/// Mails from contoso.example, in a tenant that also has fabrikam.example.
pub(super) fn mail_settings() -> MailSettings {
    MailSettings {
        per_minute: 30,
        from: Address::parse("passes@contoso.example").unwrap(),
        alert_to: vec![],
        to: vec![],
        delivery: Delivery::Mail,
        code_to: CodeTo::Manager,
        cc: vec![],
        cc_code: false,
        language: "en".into(),
        alert_language: "en".into(),
        templates: TemplateFiles::embedded(),
        company: None,
        sender_name: None,
        brand: Brand::default(),
        device_steps: DeviceSteps::default(),
        service_desk: ServiceDesk::default(),
        tenant_domains: vec!["fabrikam.example".into()],
        shared_by: 2,
        shared_allowed: vec![],
    }
}

/// Emma in a tenant whose policy allows one to eight hours.
pub(super) fn snapshot() -> TenantSnapshot {
    let policy = PassPolicy {
        state: "enabled".into(),
        minimum_lifetime_in_minutes: 60,
        maximum_lifetime_in_minutes: 480,
        is_usable_once: false,
        default_length: 8,
    };
    TenantSnapshot {
        user: emma(),
        manager: None,
        manager_refused: None,
        manager_left: false,
        leave_date: Ok(None),
        passes: vec![],
        passes_refused: None,
        privileges: PrivilegeSnapshot::default(),
        hidden_group: None,
        policy,
        passkeys: None,
        usage: UsageSnapshot::default(),
    }
}

/// A call that asks for nothing special.
pub(super) fn request() -> PassRequest {
    PassRequest {
        opens_at: None,
        lifetime_minutes: Choice::Default(240),
        one_time: Choice::Default(true),
        by_mail: false,
        manager: None,
        fingerprint: None,
        deadline: Instant::now(),
    }
}
