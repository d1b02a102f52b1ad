//! Generates a tenant of any size from a seed.

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::zone::Tz;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::{
    Contact, Group, Method, PassSpec, Person, Tenant, roles,
    samples::{ON_DEMAND_GROUP, add_office, midnight_in, zone},
};

const ON_DEMAND_MEMBERS: usize = 16;

/// The number of joiners with the same manager.
const TEAM: usize = 12;

/// What is special about a joiner.
#[derive(Clone, Copy)]
enum JoinerKind {
    Plain,
    NoManager,
    ManagerWithoutMail,
    ManagerIsContact,
    NoPrivateAddress,
    Disabled,
    ExternalGuest,
    InternalGuest,
    ConvertedGuest,
    WorkingPass,
    PassForDayOne,
    ExpiredPass,
    UsedPass,
    Privileged,
    HarmlessRole,
    Eligible,
    InRoleAssignableGroup,
    BeyondHorizon,
    Past,
    NoHireDate,
    Replicating,
    HasMethods,
    HasSignedIn,
    OldAccount,
}

const KINDS: &[(JoinerKind, &str)] = &[
    (JoinerKind::Plain, "plain"),
    (JoinerKind::NoManager, "no manager"),
    (JoinerKind::ManagerWithoutMail, "manager has no address"),
    (JoinerKind::ManagerIsContact, "manager is a contact"),
    (JoinerKind::NoPrivateAddress, "no private address"),
    (JoinerKind::Disabled, "disabled"),
    (JoinerKind::ExternalGuest, "external guest"),
    (JoinerKind::InternalGuest, "internal guest"),
    (JoinerKind::ConvertedGuest, "invited once, a member now"),
    (JoinerKind::WorkingPass, "working pass"),
    (JoinerKind::PassForDayOne, "pass for day one"),
    (JoinerKind::ExpiredPass, "expired pass"),
    (JoinerKind::UsedPass, "used pass"),
    (JoinerKind::Privileged, "privileged"),
    (JoinerKind::HarmlessRole, "harmless role"),
    (JoinerKind::Eligible, "eligible for a role"),
    (JoinerKind::InRoleAssignableGroup, "in a role-assignable group"),
    (JoinerKind::BeyondHorizon, "beyond the horizon"),
    (JoinerKind::Past, "started already"),
    (JoinerKind::NoHireDate, "no hire date"),
    (JoinerKind::Replicating, "made a moment ago"),
    (JoinerKind::HasMethods, "has authentication methods"),
    (JoinerKind::HasSignedIn, "has signed in"),
    (JoinerKind::OldAccount, "old account"),
];

/// Country, language, zone. Without a language, the mail's language follows from the country.
const PLACES: &[(&str, Option<&str>, &str)] = &[
    ("GB", Some("en-GB"), "Europe/London"),
    ("DE", Some("de-DE"), "Europe/Berlin"),
    ("CH", None, "Europe/Zurich"),
    ("FR", Some("fr-FR"), "Europe/Paris"),
    ("ES", None, "Europe/Madrid"),
    ("NL", Some("nl-NL"), "Europe/Amsterdam"),
    ("US", Some("en-US"), "America/Los_Angeles"),
    ("BR", Some("pt-BR"), "America/Sao_Paulo"),
    ("IN", None, "Asia/Kolkata"),
    ("JP", Some("ja-JP"), "Asia/Tokyo"),
    ("NZ", None, "Pacific/Auckland"),
    ("AU", Some("en-AU"), "Australia/Sydney"),
];

const GIVEN: &[&str] = &[
    "Ada", "Bilal", "Carmen", "Dmitri", "Elif", "Femi", "Greta", "Hassan", "Ingrid", "João", "Keiko", "Liam",
    "Maya", "Nikhil", "Olga", "Pablo", "Quinn", "Rosa", "Søren", "Thandi", "Umar", "Vera", "Wen", "Ximena",
    "Yara", "Zoë",
];

const SURNAMES: &[&str] = &[
    "Abbott", "Bauer", "Chen", "D'Angelo", "Eriksson", "Ferreira", "Gupta", "Haddad", "Ito", "Jansen",
    "Kaya", "Lefèvre", "Müller", "Nowak", "O'Neill", "Pereira", "Quispe", "Rossi", "Singh", "Tran", "Ueda",
    "Varga", "Walsh", "Yilmaz", "Zhou",
];

/// Generates a tenant with this many joiners, and the managers and groups that they need.
///
/// The first joiners are one of each kind; most of the others are plain. The same arguments make the same tenant.
pub fn generate(joiners: usize, seed: u64, now: DateTime<Utc>) -> Tenant {
    let mut tenant = Tenant::new(seed);
    add_office(&mut tenant, now);
    let mut generator = Generator::new(&mut tenant, seed, now);
    for at in 0..joiners {
        let (kind, note) = generator.kind(at);
        generator.add(&mut tenant, at, kind, note);
    }
    generator.add_on_demand_group(&mut tenant);
    tenant
}

struct Generator {
    now: DateTime<Utc>,
    rng: StdRng,
    manager: Uuid,
    manager_without_mail: Uuid,
    contact: Uuid,
    role_assignable: Uuid,
}

impl Generator {
    fn new(tenant: &mut Tenant, seed: u64, now: DateTime<Utc>) -> Self {
        Self {
            now,
            rng: StdRng::seed_from_u64(seed.wrapping_add(3)),
            manager: Uuid::nil(),
            manager_without_mail: tenant.add(Person::named("Hana Sato").without_mail()),
            contact: tenant.add_contact(Contact::named("Ruth Adler", "ruth.adler@partner.example")),
            role_assignable: tenant.add_group(Group::named("Tier 1 operators").role_assignable()),
        }
    }

    fn kind(&mut self, at: usize) -> (JoinerKind, &'static str) {
        match KINDS.get(at) {
            Some(kind) => *kind,
            None if self.rng.random_bool(0.6) => KINDS[0],
            None => KINDS[self.rng.random_range(0..KINDS.len())],
        }
    }

    fn add(&mut self, tenant: &mut Tenant, at: usize, kind: JoinerKind, note: &'static str) {
        if at.is_multiple_of(TEAM) {
            self.manager = tenant.add(Person::named(&self.name()).job("Team lead", "Operations"));
        }
        let person = self.joiner().note(note);
        let id = tenant.add(self.apply_kind(person, kind));
        self.add_dependents(tenant, id, kind);
    }

    fn name(&mut self) -> String {
        let given = GIVEN[self.rng.random_range(0..GIVEN.len())];
        let surname = SURNAMES[self.rng.random_range(0..SURNAMES.len())];
        format!("{given} {surname}")
    }

    fn joiner(&mut self) -> Person {
        let (country, language, place) = PLACES[self.rng.random_range(0..PLACES.len())];
        let days = self.rng.random_range(0..=6);
        let hire_date = match self.rng.random_range(0..10) {
            0..=3 => midnight_in(Tz::UTC, self.now, days),
            4 | 5 => midnight_in(zone(place), self.now, days),
            // So that no zone changes the date.
            6 => midnight_in(Tz::UTC, self.now, days) + TimeDelta::hours(12),
            // HR's office.
            7 => midnight_in(zone("Europe/Berlin"), self.now, days),
            8 => midnight_in(Tz::UTC, self.now, days) + TimeDelta::hours(1),
            // When somebody pressed a button.
            _ => midnight_in(Tz::UTC, self.now, days) + TimeDelta::seconds(30_617),
        };
        let mut person = self.person().usage_location(country).hire_date(hire_date).manager(self.manager);
        person.preferred_language = language.map(str::to_owned);
        person.created(self.now - TimeDelta::days(14))
    }

    /// A person with a private address.
    fn person(&mut self) -> Person {
        let person = Person::named(&self.name());
        let local = person.user_principal_name.split('@').next().unwrap_or_default().replace('\'', "");
        let number = self.rng.random_range(10..10_000);
        person.private_mail(&format!("{local}{number}@mail.example"))
    }

    fn apply_kind(&mut self, mut person: Person, kind: JoinerKind) -> Person {
        match kind {
            JoinerKind::NoManager => person.manager = None,
            JoinerKind::ManagerWithoutMail => person.manager = Some(self.manager_without_mail),
            JoinerKind::ManagerIsContact => person.manager = Some(self.contact),
            JoinerKind::NoPrivateAddress => person.other_mails.clear(),
            JoinerKind::Disabled => person.enabled = false,
            JoinerKind::InternalGuest => person.guest = true,
            JoinerKind::ExternalGuest => return invited(person, Person::external_guest),
            JoinerKind::ConvertedGuest => return invited(person, Person::converted_guest),
            JoinerKind::BeyondHorizon => {
                person.hire_date = Some(midnight_in(Tz::UTC, self.now, self.rng.random_range(10..60)));
            }
            JoinerKind::Past => {
                person.hire_date = Some(midnight_in(Tz::UTC, self.now, -self.rng.random_range(3..30)))
            }
            JoinerKind::NoHireDate => person.hire_date = None,
            JoinerKind::Replicating => person.replicating_until = Some(self.now + TimeDelta::seconds(20)),
            JoinerKind::HasMethods => {
                person.created = Some(self.now - TimeDelta::days(500));
                person.methods = vec![Method::of("microsoftAuthenticator"), Method::of("phone")];
            }
            JoinerKind::HasSignedIn => person.last_sign_in = Some(self.now - TimeDelta::days(1)),
            JoinerKind::OldAccount => person.created = Some(self.now - TimeDelta::days(800)),
            _ => {}
        }
        person
    }

    /// Adds the pass, roles and memberships that belong to the kind.
    fn add_dependents(&mut self, tenant: &mut Tenant, id: Uuid, kind: JoinerKind) {
        if let Some(pass) = self.pass(tenant, id, kind) {
            tenant.add_pass(id, pass);
        }
        match kind {
            JoinerKind::Privileged => tenant.assign_role(id, roles::USER_ADMINISTRATOR),
            JoinerKind::HarmlessRole => tenant.assign_role(id, roles::REPORTS_READER),
            JoinerKind::Eligible => tenant.make_eligible(id, roles::HELPDESK_ADMINISTRATOR),
            JoinerKind::InRoleAssignableGroup => tenant.add_member(self.role_assignable, id),
            _ => {}
        }
    }

    fn pass(&self, tenant: &Tenant, id: Uuid, kind: JoinerKind) -> Option<PassSpec> {
        let made_hours_ago = |hours| PassSpec::opening(self.now - TimeDelta::hours(hours)).lasting(480);
        match kind {
            JoinerKind::WorkingPass => Some(made_hours_ago(1)),
            JoinerKind::UsedPass => Some(made_hours_ago(2).used()),
            JoinerKind::ExpiredPass => Some(made_hours_ago(100)),
            JoinerKind::PassForDayOne => {
                // Seven hours from now can be the day after.
                let opens = (tenant.users.get(&id)?.hire_date? + TimeDelta::hours(7)).max(self.now);
                Some(PassSpec::opening(opens).lasting(480).created(self.now - TimeDelta::hours(5)))
            }
            _ => None,
        }
    }

    fn add_on_demand_group(&mut self, tenant: &mut Tenant) {
        let mut members = Vec::new();
        for _ in 0..ON_DEMAND_MEMBERS {
            let person = self.person().usage_location("GB").manager(self.manager_without_mail);
            members.push(tenant.add(person.created(self.now - TimeDelta::days(400))));
        }
        tenant.add_group(Group::named(ON_DEMAND_GROUP).members(members));
    }
}

fn invited(person: Person, how: fn(Person, &str) -> Person) -> Person {
    let address = person.user_principal_name.replace("contoso.example", "partner.example");
    how(person, &address)
}
