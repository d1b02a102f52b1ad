//! Optional means optional: whatever Graph's schema calls nullable may be null in any answer.

use std::{collections::BTreeSet, panic::AssertUnwindSafe};

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{
    Contact, Group, Method, NullForm, NullProperty, PassSpec, Permission, Person, Tenant, roles,
    samples::{PARTNER_TOPIC, SENDER},
};
use futures::FutureExt;
use uuid::Uuid;

use crate::{
    helpers::{self, JobEnd, TestApp, tenant_with_emma, time, to_address},
    schema::nullable_properties,
};

/// Whom the app serves if nothing is null, by first name.
const SERVED: [&str; 5] = ["emma", "otto", "olive", "noah", "iris"];
/// Those of them whom the sweep finds.
const JOINERS: [&str; 3] = ["emma", "otto", "olive"];

/// Whom a property stops that is null: everybody whom the property is needed for, and nobody else.
///
/// - The mail goes to an address, says the sign-in name, and has the code.
/// - A joiner has a hire date, and an account with an age (`JOINER_CHECK`).
/// - The guard rests on the name of a group that is not said to be assignable, and on the id of a role. Emma and Noah are in
///   groups, Otto has roles and can join a group.
fn stopped(null: &NullProperty, is_by_group: bool) -> &'static [&'static str] {
    let is_absent = null.form == NullForm::Absent;
    match (null.of.as_str(), null.property.as_str()) {
        ("user", "userPrincipalName")
        | ("temporaryAccessPassAuthenticationMethod", "temporaryAccessPass") => &SERVED,
        ("user", "otherMails") => &["emma", "otto", "olive", "noah"],
        ("user", "employeeHireDate" | "createdDateTime") => &JOINERS,
        // Null is Graph's "no" here; absent is no answer. Iris owns a group.
        ("group", "isAssignableToRole") if is_absent && !is_by_group => &["emma", "otto", "noah", "iris"],
        // The group of protected accounts is one too, and so is the joiner group.
        ("group", "displayName" | "visibility" | "isAssignableToRole") if is_absent => &SERVED,
        ("directoryRole", "displayName") if is_absent => &["otto"],
        // The joiner group is one too.
        ("group", "displayName") if is_by_group => &["emma", "otto", "olive", "noah"],
        ("group", "displayName") => &["emma", "otto", "noah"],
        ("directoryRole", "roleTemplateId")
        | ("unifiedRoleAssignment" | "unifiedRoleEligibilityScheduleInstance", "roleDefinitionId")
        | ("privilegedAccessGroupEligibilityScheduleInstance", "group") => &["otto"],
        _ => &[],
    }
}

/// Contoso, with people of each kind that Graph's answers describe.
struct Contoso {
    app: TestApp,
    on_demand: Uuid,
    noah: Uuid,
    iris: Uuid,
    /// Whether a call of CreateTap for Iris succeeded.
    is_called: bool,
    /// Those who must not get a pass, whatever is null.
    never: BTreeSet<Uuid>,
}

impl Contoso {
    fn new(is_by_group: bool, null: Option<NullProperty>) -> Self {
        let mut tenant = Tenant::new(7);
        tenant.granted.extend([
            Permission::AuditLogRead,
            Permission::DomainRead,
            Permission::GroupEligibilityRead,
            Permission::GroupRead,
            Permission::MethodRead,
        ]);
        tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
        let grace = tenant.add(Person::named("Grace Hall"));
        let agency = tenant.add_contact(Contact::named("Ada Agency", "ada@agency.example"));
        let person = |name: &str| Person::named(name).private_mail(&format!("{}@mail.example", first(name)));
        let joiner = |name: &str| {
            person(name).hire_date(time("2026-11-27T00:00:00Z")).usage_location("GB").preferred_language("en")
        };
        let emma = tenant.add(joiner("Emma Brooks").manager(grace));
        let staff = tenant.add_group(Group::named("Staff").members([emma]));
        tenant.add_group(Group::named("All staff").members([staff]));
        let otto = tenant.add(joiner("Otto Brandt").manager(agency));
        tenant.assign_role(otto, roles::REPORTS_READER);
        tenant.make_eligible(otto, roles::DIRECTORY_READERS);
        let project = tenant.add_group(Group::named("Project"));
        tenant.eligible_members.insert((otto, project));
        let olive = tenant.add(joiner("Olive Marsh").without_manager());
        tenant.change(olive, |olive| olive.extension_attributes[3] = Some("Leeds".into()));
        let noah = tenant.add(person("Noah Fischer"));
        let iris = tenant.add(person("Iris Costa"));
        let (club, app) = (tenant.add_group(Group::named("Club")), tenant.add_application("Payroll"));
        let service = tenant.add_service_principal("Payroll");
        tenant.owners.extend([(iris, club), (iris, app), (iris, service)]);
        // A helpdesk's pass for day one, an administrator, a protected account, and an account in use.
        let hana = tenant.add(joiner("Hana Sato"));
        tenant.add_pass(
            hana,
            PassSpec::opening(time("2026-11-27T08:00:00Z")).created(time("2026-11-21T08:00:00Z")),
        );
        let priya = tenant.add(joiner("Priya Raman"));
        tenant.assign_role(priya, roles::USER_ADMINISTRATOR);
        let peter = tenant.add(joiner("Peter Glass"));
        let protected = tenant.add_group(Group::named("Break glass").members([peter]));
        let in_use = joiner("Mona Vogt").method(Method::of("microsoftAuthenticator"));
        let mona = tenant.add(in_use.last_sign_in(time("2026-11-20T08:00:00Z")));
        let never = BTreeSet::from([hana, priya, peter, mona]);
        let joiners = never.iter().copied().chain([emma, otto, olive]);
        let joiners =
            is_by_group.then(|| tenant.add_group(Group::named("Joiners").members(joiners)).to_string());
        let on_demand = tenant.add_group(Group::named("On-demand access"));
        tenant.null_property = null;
        let (protected, group) = (protected.to_string(), on_demand.to_string());
        let mut settings = vec![
            ("PROTECTED_GROUP_ID", protected.as_str()),
            ("ON_DEMAND_GROUP_ID", group.as_str()),
            ("EVENT_GRID_PARTNER_TOPIC", PARTNER_TOPIC),
            ("JOINER_CHECK", "methods,registration,sign-ins,age"),
        ];
        settings.extend(joiners.as_deref().map(|group| ("JOINER_GROUP_ID", group)));
        Self { app: TestApp::new(tenant, &settings), on_demand, noah, iris, is_called: false, never }
    }

    /// A sweep and its jobs, an addition to the on-demand group, and a call.
    async fn work(&mut self) -> Vec<JobEnd> {
        let mut ends = self.app.sweep().await;
        self.app.sandbox.edit(|tenant| tenant.add_member(self.on_demand, self.noah));
        self.app.advance(TimeDelta::minutes(20));
        ends.extend(self.app.sweep().await);
        self.is_called = self.app.create_tap(&self.iris.to_string()).await.0 == 201;
        ends
    }

    /// Whom a pass was made for and handed to, by first name.
    fn served(&self) -> Vec<String> {
        let mut served: Vec<String> = self
            .app
            .pass_mails()
            .iter()
            .filter_map(|mail| to_address(mail).split_once('@'))
            .filter(|(_, domain)| *domain == "mail.example")
            .map(|(name, _)| name.to_owned())
            .collect();
        served.extend(self.is_called.then(|| "iris".to_owned()));
        served.sort();
        served
    }
}

fn first(name: &str) -> String {
    name.split(' ').next().unwrap_or_default().to_lowercase()
}

/// The list follows from the requests of the app and Microsoft's schema: a property that the app begins to read is walked too.
async fn walk(is_by_group: bool, is_walked: impl Fn(&NullProperty) -> bool) {
    let mut contoso = Contoso::new(is_by_group, None);
    contoso.work().await;
    contoso.app.sweep_daily(1).await;
    let mut problems = Vec::new();
    let all = nullable_properties(&contoso.app.sandbox).await;
    assert!(all.len() > 150, "only {} cases", all.len());
    for null in all.into_iter().filter(is_walked) {
        problems.extend(problem(is_by_group, null).await);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

async fn problem(is_by_group: bool, null: NullProperty) -> Option<String> {
    let stopped = stopped(&null, is_by_group);
    let mut expected: Vec<&str> = SERVED.into_iter().filter(|name| !stopped.contains(name)).collect();
    expected.sort_unstable();
    // Without the code, the answer to the POST is no answer.
    let may_fail = null.property == "temporaryAccessPass";
    let case = format!("{null:?}");
    let mut contoso = Contoso::new(is_by_group, Some(null));
    let Ok(mut ends) = AssertUnwindSafe(contoso.work()).catch_unwind().await else {
        return Some(format!("{case}: nobody is served"));
    };
    let served = contoso.served();
    ends.extend(contoso.app.sweep_daily(1).await);
    let has_failed = ends.iter().any(|end| end.outcome == "failed" || end.deliveries > 1);
    let made = contoso.app.sandbox.pass_events().into_iter().filter_map(|event| event.made);
    let is_wrong = made.map(|pass| pass.user).any(|user| contoso.never.contains(&user));
    let is_right = served == expected && contoso.served() == served && !is_wrong && (may_fail || !has_failed);
    (!is_right).then(|| format!("{case}: {served:?}, later {:?}, {ends:?}", contoso.served()))
}

#[tokio::test(start_paused = true)]
async fn whatever_the_schema_calls_nullable_stops_nobody_but_whom_it_decides_about() {
    walk(false, |_| true).await;
}

/// Of members of the joiner group, the sweep reads users.
#[tokio::test(start_paused = true)]
async fn the_same_of_the_members_of_the_joiner_group() {
    let of_users = ["user", "objectIdentity", "onPremisesExtensionAttributes", "group"];
    let read = ["displayName", "isAssignableToRole"];
    walk(true, |null| {
        of_users.contains(&null.of.as_str()) && (null.of != "group" || read.contains(&null.property.as_str()))
    })
    .await;
}

/// Null is also how Graph hides what the app may not read, so these block. What else is null hides no privilege.
#[tokio::test(start_paused = true)]
async fn a_group_or_role_that_graph_hides_blocks_its_user_alone() {
    type Give = fn(&mut Tenant, Uuid);
    let in_group: Give = |tenant, user| {
        tenant.add_group(Group::named("Crew").members([user]));
    };
    let in_role_group: Give = |tenant, user| {
        tenant.add_group(Group::named("Tier 0").members([user]).role_assignable());
    };
    let can_join: Give = |tenant, user| {
        let group = tenant.add_group(Group::named("Crew"));
        tenant.eligible_members.insert((user, group));
    };
    let has_role: Give = |tenant, user| tenant.assign_role(user, roles::REPORTS_READER);
    let can_activate: Give = |tenant, user| tenant.make_eligible(user, roles::REPORTS_READER);
    let owns_group: Give = |tenant, user| {
        let group = tenant.add_group(Group::named("Crew"));
        tenant.owners.insert((user, group));
    };
    let eligible_group = "privilegedAccessGroupEligibilityScheduleInstance";
    let eligible_role = "unifiedRoleEligibilityScheduleInstance";
    // What null means, and what it means that the property is absent.
    let hidden_group = Some("the properties of the group");
    let can_activate_group = Some("can activate its membership of the privileged group");
    let hidden_role = Some("a role of the account");
    for (give, of, property, null, absent) in [
        (in_group, "group", "displayName", hidden_group, Some("the answer lacks displayName")),
        (in_group, "group", "isAssignableToRole", None, Some("the answer lacks isAssignableToRole")),
        (in_group, "group", "id", Some("unknown form"), Some("the answer lacks id")),
        (in_group, "group", "@odata.type", Some("unknown form"), Some("the answer lacks @odata.type")),
        (in_group, "directoryObject", "value", Some("unknown form"), Some("the answer lacks value")),
        (
            in_role_group,
            "group",
            "displayName",
            Some("is in the role-assignable group"),
            Some("the answer lacks displayName"),
        ),
        (can_join, "group", "displayName", can_activate_group, Some("the answer lacks displayName")),
        (can_join, "group", "isAssignableToRole", None, Some("the answer lacks isAssignableToRole")),
        (can_join, eligible_group, "group", can_activate_group, can_activate_group),
        (can_join, eligible_group, "groupId", None, None),
        (
            has_role,
            "directoryRole",
            "roleTemplateId",
            Some("the properties of the role"),
            Some("lacks roleTemplateId"),
        ),
        (has_role, "directoryRole", "displayName", None, Some("the answer lacks displayName")),
        (has_role, "unifiedRoleAssignment", "roleDefinitionId", hidden_role, Some("lacks roleDefinitionId")),
        (has_role, "unifiedRoleAssignment", "roleDefinition", None, None),
        (has_role, "unifiedRoleAssignment", "value", Some("unknown form"), Some("the answer lacks value")),
        (can_activate, eligible_role, "roleDefinitionId", hidden_role, Some("lacks roleDefinitionId")),
        (can_activate, eligible_role, "directoryScopeId", None, None),
        (owns_group, "group", "isAssignableToRole", None, Some("the answer lacks isAssignableToRole")),
        // Graph hides all that the account owns: it is as if it refused the list.
        (owns_group, "group", "displayName", None, Some("the answer lacks displayName")),
    ] {
        for (form, blocks) in [(NullForm::Null, null), (NullForm::Absent, absent)] {
            let (mut tenant, emma) = tenant_with_emma();
            let other = helpers::emma(tenant.users[&emma].manager.unwrap());
            let other = tenant.add(other.user_principal_name("other@contoso.example"));
            tenant.granted.insert(Permission::GroupEligibilityRead);
            give(&mut tenant, emma);
            tenant.null_property = Some(NullProperty { of: of.into(), property: property.into(), form });
            let app = TestApp::new(tenant, &[]);
            let case = format!("{of}/{property}, {form:?}");
            let end = app.run_job(emma).await;
            assert_eq!(
                end.outcome,
                if blocks.is_some() { "blocked" } else { "delivered" },
                "{case}: {end:?}"
            );
            assert!(blocks.is_none_or(|words| end.why.contains(words)), "{case}: {end:?}");
            // The list itself is the same for everybody.
            if property != "value" {
                assert_eq!(app.run_job(other).await.outcome, "delivered", "{case}");
            }
            let status = app.create_tap(&emma.to_string()).await.0;
            assert_eq!(status, if blocks.is_some() { 403 } else { 201 }, "{case}");
            assert_eq!(
                (app.alerts().len(), app.live_code(emma).is_none()),
                (blocks.iter().len(), blocks.is_some()),
                "{case}"
            );
        }
    }
}

/// Whether a group hides its members is one of its properties; every group has a name.
#[tokio::test(start_paused = true)]
async fn a_protected_group_that_graph_hides_blocks_unless_it_shows_a_member() {
    for has_member in [false, true] {
        let (mut tenant, emma) = tenant_with_emma();
        let manager = tenant.users[&emma].manager;
        let protected = tenant.add_group(Group::named("Break glass").members(manager.filter(|_| has_member)));
        let (of, property) = ("group".to_owned(), "displayName".to_owned());
        tenant.null_property = Some(NullProperty { of, property, form: NullForm::Null });
        let app = TestApp::new(tenant, &[("PROTECTED_GROUP_ID", &protected.to_string())]);
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome, if has_member { "delivered" } else { "blocked" }, "{end:?}");
    }
}

/// A sweep reads the users of the joiner group and of the on-demand group, and whether anybody is in the protected one.
#[tokio::test(start_paused = true)]
async fn devices_apps_and_groups_in_groups_are_ignored() {
    let (mut tenant, emma) = tenant_with_emma();
    let noah = tenant.add(Person::named("Noah Fischer").private_mail("noah@mail.example"));
    let others = |tenant: &mut Tenant| {
        [
            tenant.add_device("LAPTOP-1"),
            tenant.add_service_principal("Backup"),
            tenant.add_group(Group::named("Nested")),
        ]
    };
    let other = others(&mut tenant);
    let joiners = tenant.add_group(Group::named("Joiners").members(other.into_iter().chain([emma])));
    let on_demand = tenant.add_group(Group::named("On-demand access"));
    let protected = tenant.add_group(Group::named("Break glass").members(other));
    let settings = [
        ("JOINER_GROUP_ID", &*joiners.to_string()),
        ("ON_DEMAND_GROUP_ID", &*on_demand.to_string()),
        ("PROTECTED_GROUP_ID", &*protected.to_string()),
    ];
    let app = TestApp::new(tenant, &settings);
    assert_eq!(app.sweep().await.len(), 1);
    app.assert_newest_mail_has_live_code(emma);
    app.sandbox.edit(|tenant| {
        other.into_iter().chain([noah]).for_each(|member| tenant.add_member(on_demand, member))
    });
    app.advance(TimeDelta::minutes(20));
    let ends = app.sweep().await;
    assert_eq!(ends.iter().filter(|end| !end.outcome.is_empty()).count(), 1, "{ends:?}");
    app.assert_newest_mail_has_live_code(noah);
    // A message that names one of them names nobody: that is said.
    for member in other {
        let end = app.run_group_add_job(member).await;
        assert!(end.outcome == "failed" && end.why.contains("no such user"), "{end:?}");
    }
    // The groups in groups are said, once for each.
    let alerts: Vec<String> = app.alerts().iter().map(ToString::to_string).collect();
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    assert!(alerts.iter().all(|alert| alert.contains("There are groups in the")), "{alerts:?}");
}
