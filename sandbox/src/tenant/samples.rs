//! The sample tenant of the demo: Contoso, with one joiner for each case.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use firstpass::zone::Tz;
use uuid::Uuid;

use super::{Group, Method, PassSpec, Person, Tenant, roles};

/// The mailbox that mails are sent from.
pub const SENDER: &str = "welcome@contoso.example";

/// The mailbox that alerts go to.
pub const SERVICE_DESK: &str = "servicedesk@contoso.example";

/// The name of the group whose members get a pass on demand.
pub const ON_DEMAND_GROUP: &str = "On-demand access";

/// The notification URL of the sample tenants, in the form of EVENT_GRID_PARTNER_TOPIC.
pub const PARTNER_TOPIC: &str = "EventGrid:?azuresubscriptionid=8a8a8a8a-4b4b-4c4c-4d4d-12e12e12e12e\
                                 &resourcegroup=firstpass&partnertopic=firstpass&location=westeurope";

/// The name of the dynamic group of joiners.
pub const JOINER_GROUP: &str = "New joiners";

const SEED: u64 = 2026;

/// Contoso at `now`, with the joiners of the next seven days.
pub fn samples(now: DateTime<Utc>) -> Tenant {
    let mut tenant = Tenant::new(SEED);
    add_office(&mut tenant, now);
    let joiners = Joiners { now, manager: add_managers(&mut tenant) };
    joiners.add_ordinary_ones(&mut tenant);
    joiners.add_ones_from_elsewhere(&mut tenant);
    joiners.add_ones_with_a_pass(&mut tenant);
    joiners.add_ones_to_keep_away_from(&mut tenant);
    joiners.add_odd_ones(&mut tenant);
    add_members_on_demand(&mut tenant);
    tenant
}

/// Adds the two mailboxes and the dynamic group.
pub(super) fn add_office(tenant: &mut Tenant, now: DateTime<Utc>) {
    let years_ago = now - TimeDelta::days(900);
    tenant.add_mailbox(Person::named("Contoso Welcome").user_principal_name(SENDER).created(years_ago));
    tenant.add_mailbox(
        Person::named("Contoso Service Desk").user_principal_name(SERVICE_DESK).created(years_ago),
    );
    tenant.add_group(Group::named(JOINER_GROUP).joiners_within(TimeDelta::days(7)));
}

/// The zone of that name. Panics if there is none.
#[expect(clippy::expect_used, reason = "the name is the programmer's")]
pub fn zone(name: &'static str) -> Tz {
    name.parse().expect(name)
}

/// Midnight in `zone`, `days` after the current date there.
pub(super) fn midnight_in(zone: Tz, now: DateTime<Utc>, days: i64) -> DateTime<Utc> {
    midnight((now + TimeDelta::days(days)).with_timezone(&zone).date_naive(), zone)
}

/// The start of `day` in `zone`.
pub(crate) fn midnight(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = zone.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest();
    midnight.map_or(day.and_time(NaiveTime::MIN).and_utc(), |midnight| midnight.to_utc())
}

fn add_managers(tenant: &mut Tenant) -> Uuid {
    tenant.add(Person::named("Alex Morgan").usage_location("GB").job("Head of Operations", "Operations"))
}

struct Joiners {
    now: DateTime<Utc>,
    manager: Uuid,
}

impl Joiners {
    /// A joiner who starts in `days` days, at midnight UTC, as most HR systems write it.
    fn starting_in(&self, days: i64, name: &str, country: &str) -> Person {
        Person::named(name)
            .hire_date(midnight_in(Tz::UTC, self.now, days))
            .usage_location(country)
            .created(self.now - TimeDelta::days(10))
            .manager(self.manager)
    }

    fn add_ordinary_ones(&self, tenant: &mut Tenant) {
        tenant.add(
            self.starting_in(6, "Emma Brooks", "GB")
                .hire_date(midnight_in(Tz::UTC, self.now, 6) + TimeDelta::hours(1))
                .preferred_language("en-GB")
                .private_mail("emma.brooks@gmail.example")
                .job("Account Manager", "Sales")
                .note("nothing special"),
        );
        tenant.add(
            self.starting_in(2, "Oliver Hughes", "GB")
                .private_mail("olly.hughes@outlook.example")
                .job("Warehouse Planner", "Logistics")
                .note("first day in two days"),
        );
        tenant.add(
            self.starting_in(0, "Marek Kowalski", "PL")
                .private_mail("marek.kowalski@wp.example")
                .job("Technician", "Facilities")
                .note("first day today"),
        );
        tenant.add(
            self.starting_in(5, "Siobhán O'Brien", "IE")
                .private_mail("siobhan.obrien@eircom.example")
                .job("Payroll Specialist", "Finance")
                .note("apostrophe in the user name"),
        );
    }

    fn add_ones_from_elsewhere(&self, tenant: &mut Tenant) {
        tenant.add(
            self.starting_in(4, "Jordan Rivera", "US")
                .hire_date(midnight_in(zone("America/Los_Angeles"), self.now, 4))
                .private_mail("jordan.rivera@icloud.example")
                .job("Solutions Engineer", "Sales")
                .note("Los Angeles: a country of many zones"),
        );
        tenant.add(
            self.starting_in(5, "Aroha Ngata", "NZ")
                .hire_date(midnight_in(zone("Pacific/Auckland"), self.now, 5))
                .private_mail("aroha.ngata@xtra.example")
                .job("Customer Success Manager", "Support")
                .note("Auckland: the day begins early"),
        );
        tenant.add(
            self.starting_in(3, "Jonas Weber", "DE")
                .preferred_language("de-DE")
                .private_mail("jonas.weber@gmx.example")
                .job("Entwickler", "Engineering")
                .note("reads German"),
        );
        tenant.add(
            self.starting_in(4, "Lea Zürcher", "CH")
                .private_mail("lea.zuercher@bluewin.example")
                .job("Controllerin", "Finance")
                .note("Switzerland, no language set"),
        );
    }

    fn add_ones_with_a_pass(&self, tenant: &mut Tenant) {
        let now = self.now;
        let working = tenant.add(
            self.starting_in(1, "Aisha Rahman", "BD")
                .private_mail("aisha.rahman@yahoo.example")
                .note("the helpdesk made a pass that works now"),
        );
        tenant.add_pass(working, PassSpec::opening(now - TimeDelta::hours(1)).lasting(480));
        let expired = tenant.add(
            self.starting_in(3, "Tomás Herrera", "CO")
                .private_mail("tomas.herrera@correo.example")
                .note("expired pass"),
        );
        tenant.add_pass(expired, PassSpec::opening(now - TimeDelta::days(9)).lasting(60));
        let used = tenant.add(
            self.starting_in(4, "Mei Lin Tan", "SG")
                .private_mail("meilin.tan@singnet.example")
                .note("used pass"),
        );
        tenant.add_pass(used, PassSpec::opening(now - TimeDelta::minutes(90)).lasting(480).used());
    }

    fn add_ones_to_keep_away_from(&self, tenant: &mut Tenant) {
        let administrator = tenant.add(
            self.starting_in(5, "Priya Raman", "IN")
                .private_mail("priya.raman@rediff.example")
                .job("Identity Engineer", "IT")
                .note("User Administrator"),
        );
        tenant.assign_role(administrator, roles::USER_ADMINISTRATOR);
        let eligible = tenant.add(
            self.starting_in(6, "Sven Lindqvist", "SE")
                .private_mail("sven.lindqvist@telia.example")
                .job("Cloud Engineer", "IT")
                .note("eligible for Groups Administrator"),
        );
        tenant.make_eligible(eligible, roles::GROUPS_ADMINISTRATOR);
        let member = tenant.add(
            self.starting_in(6, "Camille Laurent", "FR")
                .private_mail("camille.laurent@orange.example")
                .job("Analyste sécurité", "IT")
                .note("in a role-assignable group"),
        );
        tenant.add_group(Group::named("Tier 1 operators").role_assignable().members([member]));
        tenant.add(
            self.starting_in(3, "Grace Hall", "GB")
                .private_mail("grace.hall@mail.example")
                .job("Buyer", "Procurement")
                .created(self.now - TimeDelta::days(1_200))
                .method(Method::of("microsoftAuthenticator"))
                .note("an employee whose hire date was changed"),
        );
    }

    fn add_odd_ones(&self, tenant: &mut Tenant) {
        tenant.add(
            self.starting_in(2, "Daniel Okafor", "NG")
                .private_mail("daniel.okafor@mail.example")
                .without_manager()
                .note("no manager"),
        );
        let silent = tenant.add(Person::named("Hana Sato").usage_location("JP").without_mail());
        tenant.add(
            self.starting_in(5, "Yuki Tanaka", "JP")
                .private_mail("yuki.tanaka@docomo.example")
                .manager(silent)
                .note("manager has no address"),
        );
        tenant.add(self.starting_in(3, "Kwame Mensah", "GH").note("no private address"));
        tenant.add(
            self.starting_in(3, "Lukáš Novák", "CZ")
                .private_mail("lukas.novak@seznam.example")
                .disabled()
                .note("disabled until day one"),
        );
        tenant.add(
            self.starting_in(4, "Inês Duarte", "PT")
                .external_guest("ines.duarte@partner.example")
                .private_mail("ines.duarte@sapo.example")
                .note("external guest"),
        );
        tenant.add(
            self.starting_in(6, "Giulia Conti", "IT")
                .converted_guest("giulia.conti@studio.example")
                .private_mail("giulia.conti@libero.example")
                .note("invited once, a member now"),
        );
        tenant.add(
            self.starting_in(6, "Fatima Zahra Benali", "MA")
                .private_mail("fz.benali@menara.example")
                .created(self.now)
                .replicating_until(self.now + TimeDelta::seconds(20))
                .note("made a moment ago: some replicas lack it"),
        );
    }
}

/// Adds users who are no joiners; two of them are in the on-demand group.
fn add_members_on_demand(tenant: &mut Tenant) {
    let people = ["Chloé Martin", "Isabel Costa", "Noah Fischer", "Arjun Nair"];
    let people = people.map(|name| {
        let address = format!("{}@mail.example", name.split(' ').next().unwrap_or_default().to_lowercase());
        tenant.add(Person::named(name).usage_location("GB").private_mail(&address.replace('é', "e")))
    });
    tenant.add_group(Group::named(ON_DEMAND_GROUP).members(people.into_iter().take(2)));
}
