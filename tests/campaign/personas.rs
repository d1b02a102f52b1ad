//! The people of a scenario, and the tenant that contains them.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use firstpass::zone::Tz;
use firstpass_sandbox::tenant::{
    Group, Method, Permission, Person, Tenant, roles,
    samples::{SENDER, SERVICE_DESK, zone},
};
use rand::{RngExt, rngs::StdRng};
use uuid::Uuid;

use crate::{
    generate::{one_in, pick},
    scenario::{Config, Delivery, HireDates, Scenario},
};

/// When every scenario starts: a Sunday.
pub const START_TIME: &str = "2026-11-22T05:00:00Z";
/// The setting TIME_ZONE, which applies to countries with several zones.
pub const DEFAULT_ZONE: &str = "America/Los_Angeles";

/// The setting HIRE_DATE_ZONE, where HR writes the midnight of its office.
pub const OFFICE_ZONE: &str = "Europe/Berlin";

const NAMES: [&str; 6] =
    ["Emma Brooks", "Jonas Weber", "Aroha Ngata", "Jordan Rivera", "Haruto Sato", "Priya Sharma"];
pub const COUNTRIES: [(&str, &str); 5] = [
    ("GB", "Europe/London"),
    ("DE", "Europe/Berlin"),
    ("NZ", "Pacific/Auckland"),
    ("US", DEFAULT_ZONE),
    ("JP", "Asia/Tokyo"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonaKind {
    /// A joiner without special conditions.
    Plain,
    /// Disabled until day one.
    Disabled,
    Guest,
    GlobalAdmin,
    /// Eligible to activate the Global Administrator role.
    EligibleAdmin,
    /// Member of a role-assignable group.
    RoleGroupMember,
    NoAddress,
    NoManager,
    /// Not a joiner, but may be added to the on-demand group.
    Colleague,
    /// An employee with a hire date: an authentication method is registered.
    HasMethod,
    /// An employee with a hire date who has signed in, and has only a password.
    HasSignedIn,
    /// An employee with a hire date, on an old account that shows no use.
    OldAccount,
}

#[derive(Clone, Debug)]
pub struct Persona {
    pub name: &'static str,
    pub kind: PersonaKind,
    pub country: &'static str,
    pub zone: Tz,
    /// Days from the start of the scenario.
    pub day_one: Option<i64>,
    /// Whether the hire date is midnight in the joiner's zone; otherwise it is midnight UTC.
    pub local_midnight: bool,
    /// [`crate::shrink`] has removed this persona.
    pub removed: bool,
}

impl Persona {
    pub fn starts_disabled(&self) -> bool {
        self.kind == PersonaKind::Disabled
    }

    pub fn address(&self) -> String {
        self.address_at(0)
    }

    /// One of the addresses that the persona may have.
    pub fn address_at(&self, index: usize) -> String {
        format!("{}@{}.example", self.local_part(), ["mail", "post", "home"][index])
    }

    pub fn sign_in_name(&self, number: u32) -> String {
        format!("{}.{number}@contoso.example", self.local_part())
    }

    pub fn local_part(&self) -> String {
        self.name.to_lowercase().replace(' ', ".")
    }

    /// Whether it is one of the persona's addresses.
    pub fn has_address(&self, address: &str) -> bool {
        (0..3).any(|index| self.address_at(index) == address)
    }

    /// The value of `employeeHireDate` for the day `days` after that of `now`.
    pub fn hire_date(&self, days: i64, hire_dates: HireDates, now: DateTime<Utc>) -> DateTime<Utc> {
        let today = now.date_naive();
        let day = if days < 0 {
            today - Days::new(days.unsigned_abs())
        } else {
            today + Days::new(days.unsigned_abs())
        };
        match hire_dates {
            HireDates::Midnight if self.local_midnight => midnight(day, self.zone),
            HireDates::Midnight => midnight(day, Tz::UTC),
            HireDates::Noon => midnight(day, Tz::UTC) + TimeDelta::hours(12),
            HireDates::Office => midnight(day, zone(OFFICE_ZONE)),
        }
    }
}

fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    zone.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest().unwrap().to_utc()
}

pub fn draw_personas(rng: &mut StdRng) -> Vec<Persona> {
    let count = rng.random_range(2..NAMES.len());
    let draw = |(i, name): (usize, &'static str)| {
        let (country, zone_name) = *pick(rng, &COUNTRIES);
        let kind = if i < 2 { PersonaKind::Plain } else { draw_kind(rng) };
        // Some have started before the first sweep, in any zone.
        let days = if one_in(rng, 12) { -4..-1 } else { 0..7 };
        let day_one = (kind != PersonaKind::Colleague).then(|| rng.random_range(days));
        let zone = zone(zone_name);
        Persona { name, kind, country, zone, day_one, local_midnight: one_in(rng, 2), removed: false }
    };
    NAMES.into_iter().enumerate().take(count).map(draw).collect()
}

fn draw_kind(rng: &mut StdRng) -> PersonaKind {
    use PersonaKind::{
        Colleague, Disabled, EligibleAdmin, GlobalAdmin, Guest, HasMethod, HasSignedIn, NoAddress, NoManager,
        OldAccount, Plain, RoleGroupMember,
    };
    *pick(
        rng,
        &[
            Plain,
            Disabled,
            Disabled,
            Guest,
            GlobalAdmin,
            EligibleAdmin,
            RoleGroupMember,
            NoAddress,
            NoManager,
            Colleague,
            HasMethod,
            HasSignedIn,
            OldAccount,
        ],
    )
}

/// The tenant at the start, the object ids of the personas, and the on-demand group.
pub fn build_tenant(scenario: &Scenario, now: DateTime<Utc>) -> (Tenant, Vec<Uuid>, Uuid) {
    let mut tenant = Tenant::new(scenario.seed);
    let Config { refuse_second_pass, latency, sign_ins_readable, .. } = scenario.config;
    if sign_ins_readable {
        tenant.granted.insert(Permission::AuditLogRead);
    }
    tenant.policy.refuse_when_exists = refuse_second_pass;
    tenant.latency = Duration::from_millis(u64::try_from(latency.as_millis()).unwrap());
    tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
    tenant.add_mailbox(Person::named("Service Desk").user_principal_name(SERVICE_DESK));
    let manager = tenant.add_mailbox(Person::named("Grace Hall"));
    let tier_0 = tenant.add_group(Group::named("Tier 0").role_assignable());
    let on_demand = tenant.add_group(Group::named("On-demand access"));
    let mut ids = Vec::new();
    for persona in &scenario.personas {
        let id = tenant.add(account(persona, &scenario.config, now, manager));
        match persona.kind {
            PersonaKind::GlobalAdmin => tenant.assign_role(id, roles::GLOBAL_ADMINISTRATOR),
            PersonaKind::EligibleAdmin => tenant.make_eligible(id, roles::GLOBAL_ADMINISTRATOR),
            PersonaKind::RoleGroupMember => tenant.add_member(tier_0, id),
            _ => {}
        }
        ids.push(id);
    }
    // Removed personas are created and then deleted, so that the others keep their ids.
    for (persona, id) in scenario.personas.iter().zip(&ids).filter(|(persona, _)| persona.removed) {
        assert!(tenant.users.contains_key(id), "{} must be in the tenant", persona.name);
        tenant.delete(*id);
    }
    (tenant, ids, on_demand)
}

pub fn account(persona: &Persona, config: &Config, now: DateTime<Utc>, manager: Uuid) -> Person {
    let mut person = Person::named(persona.name).usage_location(persona.country);
    person.hire_date = persona.day_one.map(|days| persona.hire_date(days, config.hire_dates, now));
    if config.delivery == Delivery::Split {
        // The checks know these mails by their words.
        person.preferred_language = Some("en".to_owned());
    }
    if persona.kind != PersonaKind::NoAddress {
        person = person.private_mail(&persona.address());
    }
    if persona.kind != PersonaKind::NoManager {
        person = person.manager(manager);
    }
    match persona.kind {
        PersonaKind::Disabled => person.disabled(),
        PersonaKind::Guest => person.external_guest(&persona.address()),
        PersonaKind::HasMethod => person.method(Method::of("fido2").created(now - TimeDelta::days(20))),
        PersonaKind::HasSignedIn => person.last_sign_in(now - TimeDelta::days(2)),
        PersonaKind::OldAccount => person.created(now - TimeDelta::days(700)),
        _ => person,
    }
}
