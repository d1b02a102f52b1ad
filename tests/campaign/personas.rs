//! The people in a story, and the tenant that they are in.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use firstpass::zone::Tz;
use firstpass_sandbox::tenant::{
    Group, Person, Tenant, roles,
    samples::{SENDER, SERVICE_DESK, zone},
};
use rand::{RngExt, rngs::StdRng};
use uuid::Uuid;

use crate::plan::{House, Plan, one_in, pick};

/// A Sunday, five in the morning UTC.
pub const EPOCH: &str = "2026-11-22T05:00:00Z";
/// TIME_ZONE, which holds where a country has several.
pub const DEFAULT_ZONE: &str = "America/Los_Angeles";

const NAMES: [&str; 6] =
    ["Emma Brooks", "Jonas Weber", "Aroha Ngata", "Jordan Rivera", "Haruto Sato", "Priya Sharma"];
const COUNTRIES: [(&str, &str); 5] = [
    ("GB", "Europe/London"),
    ("DE", "Europe/Berlin"),
    ("NZ", "Pacific/Auckland"),
    ("US", DEFAULT_ZONE),
    ("JP", "Asia/Tokyo"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// Disabled until day one.
    Disabled,
    Guest,
    GlobalAdmin,
    /// Can activate the role.
    EligibleAdmin,
    /// In a role-assignable group.
    RoleGroup,
    NoAddress,
    NoManager,
    /// No joiner, but may be added to the on-demand group.
    Colleague,
}

#[derive(Clone, Debug)]
pub struct Actor {
    pub name: &'static str,
    pub kind: Kind,
    pub country: &'static str,
    pub zone: Tz,
    /// Days from the day the story begins.
    pub day_one: Option<i64>,
    /// Whether HR writes midnight in the joiner's zone, not in UTC.
    pub local_midnight: bool,
    /// Left out while a failing story is made smaller.
    pub absent: bool,
}

impl Actor {
    pub fn starts_disabled(&self) -> bool {
        self.kind == Kind::Disabled
    }

    pub fn address(&self) -> String {
        format!("{}@mail.example", self.name.to_lowercase().replace(' ', "."))
    }

    /// The hire stamp for the day that is `days` after that of `now`.
    pub fn stamp(&self, days: i64, now: DateTime<Utc>) -> DateTime<Utc> {
        let today = now.date_naive();
        let day = if days < 0 {
            today - Days::new(days.unsigned_abs())
        } else {
            today + Days::new(days.unsigned_abs())
        };
        if self.local_midnight { midnight(day, self.zone) } else { day.and_time(NaiveTime::MIN).and_utc() }
    }
}

fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    zone.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest().unwrap().to_utc()
}

pub fn draw_cast(rng: &mut StdRng) -> Vec<Actor> {
    let size = rng.random_range(2..NAMES.len());
    let draw = |(i, name): (usize, &'static str)| {
        let (country, place) = *pick(rng, &COUNTRIES);
        let kind = if i < 2 { Kind::Plain } else { draw_kind(rng) };
        let day_one = (kind != Kind::Colleague).then(|| rng.random_range(0..7));
        let zone = zone(place);
        Actor { name, kind, country, zone, day_one, local_midnight: one_in(rng, 2), absent: false }
    };
    NAMES.into_iter().enumerate().take(size).map(draw).collect()
}

fn draw_kind(rng: &mut StdRng) -> Kind {
    use Kind::{
        Colleague, Disabled, EligibleAdmin, GlobalAdmin, Guest, NoAddress, NoManager, Plain, RoleGroup,
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
            RoleGroup,
            NoAddress,
            NoManager,
            Colleague,
        ],
    )
}

/// The tenant on the first morning, the cast's object ids, and the on-demand group.
pub fn build(plan: &Plan, now: DateTime<Utc>) -> (Tenant, Vec<Uuid>, Uuid) {
    let mut tenant = Tenant::new(plan.seed);
    let House { refuse_when_exists, latency, .. } = plan.house;
    tenant.policy.refuse_when_exists = refuse_when_exists;
    tenant.latency = Duration::from_millis(u64::try_from(latency.as_millis()).unwrap());
    tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
    tenant.add_mailbox(Person::named("Service Desk").user_principal_name(SERVICE_DESK));
    let manager = tenant.add_mailbox(Person::named("Grace Hall"));
    let tier_0 = tenant.add_group(Group::named("Tier 0").role_assignable());
    let on_demand = tenant.add_group(Group::named("On-demand access"));
    let mut ids = Vec::new();
    for actor in &plan.cast {
        let id = tenant.add(person(actor, now, manager));
        match actor.kind {
            Kind::GlobalAdmin => tenant.assign_role(id, roles::GLOBAL_ADMINISTRATOR),
            Kind::EligibleAdmin => tenant.make_eligible(id, roles::GLOBAL_ADMINISTRATOR),
            Kind::RoleGroup => tenant.add_member(tier_0, id),
            _ => {}
        }
        ids.push(id);
    }
    // Only now, so that all others keep their ids.
    for (actor, id) in plan.cast.iter().zip(&ids).filter(|(actor, _)| actor.absent) {
        assert!(tenant.users.contains_key(id), "{} is in the tenant", actor.name);
        tenant.delete(*id);
    }
    (tenant, ids, on_demand)
}

/// The account of an actor.
pub fn person(actor: &Actor, now: DateTime<Utc>, manager: Uuid) -> Person {
    let mut person = Person::named(actor.name).usage_location(actor.country);
    person.hire_date = actor.day_one.map(|days| actor.stamp(days, now));
    if actor.kind != Kind::NoAddress {
        person = person.private_mail(&actor.address());
    }
    if actor.kind != Kind::NoManager {
        person = person.manager(manager);
    }
    match actor.kind {
        Kind::Disabled => person.disabled(),
        Kind::Guest => person.external_guest(&actor.address()),
        _ => person,
    }
}
