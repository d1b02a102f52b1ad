//! Managers, who may have a pass for joiners who report to them, and for nobody else.

use std::time::Duration;

use chrono::TimeDelta;
use firstpass::ledger::Notice;
use firstpass_sandbox::tenant::{
    Fault, FaultKind, Group, Method, PassSpec, Permission, Person, Tenant, Untargeted, roles, samples::SENDER,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{HandlerResponse, send, signed_in};
use crate::helpers::{
    NOW, PASS_PATH, TestApp, emma, fail_with, html_escaped, log_capture::capture_log, tenant_with_emma,
    throttle, time, timed, to_address,
};

const SETTINGS: [(&str, &str); 2] =
    [("CREATE_TAP_ALLOWED_CALLERS", "managers"), ("WEBSITE_AUTH_ENABLED", "true")];

/// Emma, who starts in five days and reports to Grace. Everything that shows whether she is in her account can be read.
fn tenant() -> (Tenant, Uuid, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.granted.insert(Permission::AuditLogRead);
    let grace = tenant.users[&emma].manager.unwrap();
    (tenant, emma, grace)
}

/// Calls as the user `caller`.
async fn call_as(app: &TestApp, caller: Uuid, body: Value) -> HandlerResponse {
    let (name, principal) = signed_in(&caller.to_string(), &[("idtyp", "user")]);
    let headers = [(name, principal.as_str()), ("X-MS-CLIENT-PRINCIPAL-NAME", "grace.hall@contoso.example")];
    send(app, &body.to_string(), &headers).await
}

/// What a manager can read of a refusal.
fn visible(answer: &HandlerResponse) -> (u64, Value, Value) {
    let HandlerResponse { status, mut body, headers } = answer.clone();
    for own in ["instance", "invocationId"] {
        body[own] = Value::Null;
    }
    (status, body, headers)
}

#[tokio::test(start_paused = true)]
async fn a_manager_gets_a_pass_for_a_joiner_who_is_told_whatever_the_caller_wants() {
    for (language, words) in
        [("en-GB", "Your manager, Grace Hall, had a"), ("de-AT", "Ihre Führungskraft, Grace Hall,")]
    {
        let (mut tenant, emma, grace) = tenant();
        tenant.change(emma, |p| p.preferred_language = Some(language.into()));
        let everything = Parameters::all_open();
        let desk = [("SERVICE_DESK_PHONE", "+44 20 7946 0000")];
        let app = TestApp::new(tenant, &[&SETTINGS[..], &desk, &[everything.setting()]].concat());
        let body = json!({
            "UserName": emma, "NotifyUser": false, "EmailFrom": "nobody@contoso.example",
            "ServiceDeskPhone": "+1 900 5550100", "ServiceDeskDisplayName": "The manager's friends",
        });
        let (answer, log) = capture_log("info", call_as(&app, grace, body)).await;
        assert_eq!((answer.status, answer.code()), (201, app.live_code(emma).as_deref()), "{answer:?}");
        let mails = app.sandbox.mails();
        let to: Vec<&str> = mails.iter().map(|mail| to_address(&mail.message)).collect();
        assert_eq!(to, ["emma.brooks@mail.example", "emma.brooks@contoso.example"]);
        for mail in &mails {
            let html = mail.message["body"]["content"].as_str().unwrap();
            assert!(html.contains(words) && html.contains("+44 20 7946 0000"), "{html}");
            assert!(!html.contains("900") && !html.contains("friends"), "{html}");
            assert!(!html.contains(&html_escaped(answer.code().unwrap())));
            assert_eq!(mail.from, SENDER);
        }
        assert_eq!(
            answer.body["notification"],
            json!({"sent": true, "to": "e…@mail.example, e…@contoso.example", "error": null})
        );
        let line = log.lines().find(|line| line.contains("create_tap.audit")).unwrap();
        for name in [&grace.to_string(), "grace.hall@contoso.example", "user=emma.brooks@contoso.example"] {
            assert!(line.contains(name), "{name}: {line}");
        }
        let notices = app.record(emma).await.unwrap().notices;
        assert!(notices.iter().any(|notice| notice.kind == Notice::MANAGER_CALL), "{notices:?}");
    }
}

/// The parameters that a caller may pass.
struct Parameters(String);

impl Parameters {
    fn all_open() -> Self {
        Self(firstpass::settings::Parameter::all().map(|p| p.name()).collect::<Vec<_>>().join(","))
    }

    fn setting(&self) -> (&str, &str) {
        ("CREATE_TAP_OPEN_PARAMETERS", &self.0)
    }
}

/// Whom the call names, in a tenant that differs from the one above.
type Case = (&'static str, fn(&mut Tenant, Uuid, Uuid) -> Uuid);

/// Whom a manager gets no pass for, and why, as the audit line says it.
const REFUSED: [Case; 27] = [
    ("no such user", |_, _, _| Uuid::from_u128(1)),
    ("no such user", |tenant, emma, _| {
        tenant.delete(emma);
        emma
    }),
    ("manager of this account", |tenant, _, _| tenant.add(Person::named("Someone Else"))),
    ("manager of this account", |tenant, _, _| {
        let other = tenant.add(Person::named("Other Manager"));
        tenant.add(emma(other).user_principal_name("e2@contoso.example"))
    }),
    ("manager of this account", |tenant, emma, grace| {
        tenant.change(grace, |p| p.enabled = false);
        emma
    }),
    ("the manager is a guest", |tenant, emma, grace| {
        tenant.change(grace, |p| p.guest = true);
        emma
    }),
    ("looking for the user", |tenant, emma, _| {
        tenant.granted.remove(&Permission::UserRead);
        emma
    }),
    ("their own", |tenant, _, grace| {
        tenant.change(grace, |p| p.manager = Some(grace));
        grace
    }),
    ("authentication method fido2", |tenant, emma, _| {
        with(tenant, emma, |p| p.methods.push(Method::of("fido2")))
    }),
    ("someone has signed in", |tenant, emma, _| with(tenant, emma, |p| p.last_sign_in = Some(time(NOW)))),
    ("the account is old", |tenant, emma, _| {
        with(tenant, emma, |p| p.created = Some(time(NOW) - TimeDelta::days(400)))
    }),
    // A frontline worker who never signs in to the cloud, or a service account.
    ("is past", |tenant, emma, _| {
        with(tenant, emma, |p| {
            p.created = Some(time(NOW) - TimeDelta::days(1_100));
            p.hire_date = Some(time(NOW) - TimeDelta::days(1_095));
        })
    }),
    ("leave date", |tenant, emma, _| {
        tenant.granted.insert(Permission::UserLifeCycleInfoRead);
        with(tenant, emma, |p| p.leave_date = Some(time(NOW) - TimeDelta::days(2)))
    }),
    ("its pass was used", |tenant, emma, _| {
        tenant.add_pass(emma, PassSpec::opening(time(NOW) - TimeDelta::minutes(30)).one_time().used());
        emma
    }),
    ("a pass that others had made", |tenant, emma, _| {
        tenant.add_pass(emma, PassSpec::opening(time(NOW)));
        emma
    }),
    ("owns the application", |tenant, emma, _| {
        let owned = tenant.add_application("Payroll");
        tenant.owners.insert((emma, owned));
        emma
    }),
    ("could not be read", |tenant, emma, _| {
        tenant.granted.remove(&Permission::MethodRead);
        emma
    }),
    ("could not be read", |tenant, emma, _| {
        tenant.granted.remove(&Permission::AuditLogRead);
        emma
    }),
    ("could not be read", |tenant, emma, _| {
        tenant.p1_licensed = false;
        emma
    }),
    ("Global Administrator", |tenant, emma, _| {
        tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR);
        emma
    }),
    ("Global Administrator", |tenant, emma, _| {
        tenant.make_eligible(emma, roles::GLOBAL_ADMINISTRATOR);
        emma
    }),
    ("Tier Zero", |tenant, emma, _| {
        tenant.add_group(Group::named("Tier Zero").role_assignable().members([emma]));
        emma
    }),
    ("RoleManagement", |tenant, emma, _| {
        tenant.granted.remove(&Permission::RoleManagementRead);
        emma
    }),
    ("guest", |tenant, emma, _| with(tenant, emma, |p| p.guest = true)),
    ("private address", |tenant, emma, _| with(tenant, emma, |p| p.other_mails.clear())),
    ("Passes disabled", |tenant, emma, _| {
        tenant.policy.enabled = false;
        emma
    }),
    ("Graph", |tenant, emma, _| {
        tenant.policy.include.clear();
        tenant.policy.untargeted = Untargeted::Refused;
        emma
    }),
];

fn with(tenant: &mut Tenant, user: Uuid, change: impl FnOnce(&mut Person)) -> Uuid {
    tenant.change(user, change);
    user
}

#[tokio::test(start_paused = true)]
async fn whoever_else_it_is_the_answer_and_its_time_are_the_same() {
    let mut answers = Vec::new();
    for (why, case) in REFUSED {
        let (mut tenant, emma, grace) = tenant();
        let user = case(&mut tenant, emma, grace);
        let app = TestApp::new(tenant, &SETTINGS).allow_schema_problem("");
        let (before, body) = (app.sandbox.passes(), json!({"UserName": user, "NotifyUser": true}));
        let call = timed(&app.sandbox, call_as(&app, grace, body));
        let ((answer, seconds), log) = capture_log("warn", call).await;
        let line = log.lines().find(|line| line.contains("create_tap.audit")).unwrap();
        assert!(line.contains(why), "{why}: {line}");
        assert_eq!((answer.problem(), seconds), ((403, "not-for-manager", None), 5), "{why}: {answer:?}");
        assert_eq!((app.sandbox.passes(), app.sandbox.mails().len()), (before, 0), "{why}");
        answers.push(visible(&answer));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_others_do_for_an_account_shows_only_to_its_manager() {
    let (mut tenant, emma, grace) = tenant();
    let other = tenant.add(Person::named("Other Manager"));
    let app = TestApp::new(tenant, &SETTINGS);
    let body = json!({"UserName": emma});
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(20))));
    let (end, (theirs, mine)) = tokio::join!(app.run_job(emma), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        (call_as(&app, other, body.clone()).await, call_as(&app, grace, body.clone()).await)
    });
    assert_eq!(end.outcome, "delivered");
    assert_eq!((theirs.problem().1, mine.problem().1), ("not-for-manager", "busy"));
    app.sandbox.inject(Fault::on("POST", "$batch", throttle("7")).always());
    assert_eq!(
        call_as(&app, grace, body).await.problem(),
        (429, "graph-busy", Some(7)),
        "this ends by itself"
    );
}

#[tokio::test(start_paused = true)]
async fn only_a_person_of_our_tenant_is_a_manager() {
    let (tenant, emma, grace) = tenant();
    let app = TestApp::new(tenant, &SETTINGS);
    let body = json!({"UserName": emma}).to_string();
    for claims in [
        &[("idtyp", "app")][..],
        &[("sub", &grace.to_string())],
        &[],
        &[("idtyp", "user"), ("idtyp", "user")],
    ] {
        let (name, principal) = signed_in(&grace.to_string(), claims);
        let answer = send(&app, &body, &[(name, &principal)]).await;
        assert_eq!(answer.problem(), (403, "caller-not-allowed", None), "{claims:?}");
    }
    let stranger = super::principal(
        "aad",
        &[("oid", &grace.to_string()), ("tid", &Uuid::from_u128(9).to_string()), ("idtyp", "user")],
    );
    let answer = send(&app, &body, &[("X-MS-CLIENT-PRINCIPAL", &stranger)]).await;
    assert_eq!(answer.problem(), (403, "caller-not-allowed", None));
    assert_eq!(app.sandbox.passes().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_joiner_who_cannot_be_told_gets_no_pass() {
    for (kind, status, word) in [(fail_with(400), 403, "not-for-manager"), (throttle("9"), 429, "graph-busy")]
    {
        let (tenant, emma, grace) = tenant();
        let app = TestApp::new(tenant, &SETTINGS);
        app.sandbox.inject(Fault::on("POST", "sendMail", kind).always());
        let answer = call_as(&app, grace, json!({"UserName": emma})).await;
        assert_eq!((answer.problem().0, answer.problem().1), (status, word), "{answer:?}");
        assert_eq!((app.count_requests("POST", PASS_PATH), app.live_code(emma)), (1, None), "it was deleted");
    }
}

/// The joiner cannot open the own mailbox before the first sign-in, so a notice there alone tells them nothing.
#[tokio::test(start_paused = true)]
async fn the_notice_at_the_private_address_decides() {
    let (tenant, emma, grace) = tenant();
    let app = TestApp::new(tenant, &SETTINGS);
    app.sandbox
        .inject(Fault::on("POST", "sendMail", fail_with(400)).body("emma.brooks@mail.example").always());
    let answer = call_as(&app, grace, json!({"UserName": emma})).await;
    assert_eq!(answer.problem(), (403, "not-for-manager", None), "{answer:?}");
    assert_eq!((app.live_code(emma), app.sandbox.mails().len()), (None, 0));
    // Without the other one there is a pass, and the answer says so without the address.
    let (tenant, emma, grace) = self::tenant();
    let app = TestApp::new(tenant, &SETTINGS);
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)).nth(2));
    let answer = call_as(&app, grace, json!({"UserName": emma})).await;
    assert_eq!(
        (answer.status, &answer.body["notification"]["to"]),
        (201, &json!("e…@mail.example")),
        "{answer:?}"
    );
    assert!(answer.body["warnings"][0].as_str().unwrap().contains("was not sent"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn the_code_can_go_to_the_joiner_instead() {
    let (tenant, emma, grace) = tenant();
    let app = TestApp::new(tenant, &[&SETTINGS[..], &[("MAIL_CC", "none")]].concat());
    let answer = call_as(&app, grace, json!({"UserName": emma, "Deliver": "mail"})).await;
    assert_eq!((answer.status, answer.code()), (201, None), "{answer:?}");
    let mails = app.pass_mails();
    let to: Vec<&str> = mails.iter().map(to_address).collect();
    assert_eq!(to, ["emma.brooks@mail.example", "emma.brooks@mail.example", "emma.brooks@contoso.example"]);
    app.assert_mail_has_live_code(emma, 1);
}

/// Where `MAIL_TO` sends codes to the manager, the joiner is told before.
#[tokio::test(start_paused = true)]
async fn no_code_goes_to_a_manager_whose_joiner_cannot_be_told() {
    let (tenant, emma, grace) = tenant();
    let app = TestApp::new(tenant, &[&SETTINGS[..], &[("MAIL_TO", "manager")]].concat());
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)));
    let body = json!({"UserName": emma, "Deliver": "mail"});
    assert_eq!(call_as(&app, grace, body.clone()).await.problem(), (403, "not-for-manager", None));
    assert_eq!((app.sandbox.mails().len(), app.live_code(emma)), (0, None));
    assert_eq!(call_as(&app, grace, body).await.status, 201);
    let mails = app.pass_mails();
    let to: Vec<&str> = mails.iter().map(to_address).collect();
    // A minute takes three mails of calls, and one was refused: the notice to the own mailbox is not waited for.
    assert_eq!(to, ["emma.brooks@mail.example", "grace.hall@contoso.example"]);
    app.assert_mail_has_live_code(emma, 1);
}

/// The pass works once: with it the joiner is in the account, and the manager is out.
#[tokio::test(start_paused = true)]
async fn once_the_joiner_has_signed_in_the_manager_gets_no_other_code() {
    let (tenant, emma, grace) = tenant();
    let app = TestApp::new(tenant, &SETTINGS);
    assert_eq!(call_as(&app, grace, json!({"UserName": emma})).await.status, 201);
    app.sandbox.edit(|tenant| tenant.change(emma, |p| p.methods.push(Method::of("microsoftAuthenticator"))));
    let answer = call_as(&app, grace, json!({"UserName": emma})).await;
    assert_eq!(answer.problem(), (403, "not-for-manager", None), "{answer:?}");
}

/// A pass that works for hours or again and again is the manager's as much as the joiner's.
#[tokio::test(start_paused = true)]
async fn a_managers_pass_works_once_and_is_as_short_as_the_default() {
    for (body, minutes, is_cut) in [
        (json!({"OneTimeUseOnly": false, "LifetimeInMinutes": 480}), 120, true),
        (json!({"LifetimeInMinutes": 60}), 60, false),
        (json!({}), 120, false),
    ] {
        let (mut body, (tenant, emma, grace)) = (body, tenant());
        let defaults = [
            ("CREATE_TAP_DEFAULT_LIFETIME_MINUTES", "120"),
            ("CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY", "false"),
        ];
        let app = TestApp::new(tenant, &[&SETTINGS[..], &defaults].concat());
        body["UserName"] = json!(emma);
        let answer = call_as(&app, grace, body).await;
        let got = (&answer.body["isUsableOnce"], &answer.body["lifetimeInMinutes"]);
        assert_eq!((answer.status, got), (201, (&json!(true), &json!(minutes))), "{answer:?}");
        assert_eq!(answer.body["warnings"].as_array().unwrap().len(), usize::from(is_cut), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_manager_can_replace_the_code_of_their_last_call_and_the_mailed_one() {
    let (tenant, emma, grace) = tenant();
    let app = TestApp::new(tenant, &SETTINGS);
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    for _ in 0..2 {
        let answer = call_as(&app, grace, json!({"UserName": emma})).await;
        assert_eq!((answer.status, answer.code()), (201, app.live_code(emma).as_deref()), "{answer:?}");
    }
}

/// A manager learns nothing from what was done before for somebody who does not report to them.
#[tokio::test(start_paused = true)]
async fn the_repetition_of_a_managers_call_by_another_shows_nothing() {
    let (mut tenant, emma, grace) = tenant();
    let other = tenant.add(Person::named("Other Manager"));
    let app = TestApp::new(tenant, &SETTINGS);
    let call = async |caller: Uuid| {
        let (name, principal) = signed_in(&caller.to_string(), &[("idtyp", "user")]);
        let headers = [(name, principal.as_str()), ("Idempotency-Key", "ticket-4711-4711-4711")];
        send(&app, &json!({"UserName": emma}).to_string(), &headers).await
    };
    assert_eq!(call(grace).await.status, 201);
    assert_eq!(call(other).await.problem(), (403, "not-for-manager", None));
    assert_eq!(call(grace).await.problem().1, "already-made");
}

/// Beside ids, a listed helpdesk serves everyone, a manager their joiners.
#[tokio::test(start_paused = true)]
async fn managers_are_allowed_beside_listed_callers() {
    let (mut tenant, emma, grace) = tenant();
    let desk = tenant.add(Person::named("Help Desk"));
    tenant.change(emma, |p| p.methods.push(Method::of("fido2")));
    let callers = format!("managers, {desk}");
    let settings = [("CREATE_TAP_ALLOWED_CALLERS", callers.as_str()), ("WEBSITE_AUTH_ENABLED", "true")];
    let app = TestApp::new(tenant, &settings);
    assert_eq!(call_as(&app, grace, json!({"UserName": emma})).await.problem().1, "not-for-manager");
    assert_eq!(call_as(&app, desk, json!({"UserName": emma})).await.status, 201);
    assert_eq!(app.sandbox.mails(), [], "the helpdesk decides about the notice");
}
