//! CreateTap over HTTP: parameters and answers.

mod answers;
mod callers;
mod connector;
mod docs;
mod limits;
mod load;
mod mails;
mod managers;
mod misuse;

use firstpass::{
    ledger::{Purpose, State},
    settings::Parameter,
};
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, PassSpec, Person, TENANT_ID};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::helpers::{NOW, PASS_PATH, TestApp, fail_with, tenant_with_emma, throttle, time};

/// The answer that a caller receives.
#[derive(Clone, Debug)]
pub struct HandlerResponse {
    pub status: u64,
    pub headers: Value,
    pub body: Value,
}

impl HandlerResponse {
    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }

    pub fn code(&self) -> Option<&str> {
        self.body["temporaryAccessPass"].as_str()
    }

    /// The status, the last part of the problem's `type`, and `Retry-After` in seconds.
    pub fn problem(&self) -> (u64, &str, Option<u64>) {
        let word = self.body["type"].as_str().unwrap_or_default().rsplit(':').next().unwrap_or_default();
        (self.status, word, self.headers["retry-after"].as_str().map(|text| text.parse().unwrap()))
    }
}

/// Calls CreateTap with this body and these headers.
pub async fn send(app: &TestApp, body: &str, headers: &[(&str, &str)]) -> HandlerResponse {
    let anonymous = json!({"AuthenticationType": null, "IsAuthenticated": false, "Claims": []});
    send_as(app, body, headers, anonymous).await
}

/// Calls CreateTap with the function key of this name.
pub async fn send_with_key(
    app: &TestApp,
    body: &str,
    headers: &[(&str, &str)],
    name: &str,
) -> HandlerResponse {
    let claim = |kind: &str, value: &str| json!({"Type": format!("http://schemas.microsoft.com/2017/07/functions/claims/{kind}"), "Value": value});
    let claims = [claim("authlevel", "Function"), claim("invoke", "true"), claim("keyid", name)];
    let identity =
        json!({"AuthenticationType": "WebJobsAuthLevel", "IsAuthenticated": true, "Claims": claims});
    send_as(app, body, headers, identity).await
}

async fn send_as(app: &TestApp, body: &str, headers: &[(&str, &str)], identity: Value) -> HandlerResponse {
    let headers: serde_json::Map<String, Value> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
    let req = json!({
        "Url": "https://firstpass.example/api/CreateTap?code=KEY",
        "Method": "POST",
        "Query": {"code": "KEY"},
        "Headers": headers,
        "Params": {},
        "Identities": [identity],
        "Body": body,
    });
    let invocation = json!({"Data": {"req": req}, "Metadata": {"Query": {}, "Headers": {}, "sys": {}}});
    let answer = app.host.post("CreateTap", invocation.to_string()).await;
    assert!(answer.is_success(), "the host must see a success: {answer:?}");
    let res = &answer.body["Outputs"]["res"];
    HandlerResponse {
        status: res["statusCode"].as_u64().unwrap(),
        headers: res["headers"].clone(),
        body: serde_json::from_str(res["body"].as_str().unwrap()).unwrap(),
    }
}

/// The header with which App Service authentication names a caller of the sandbox's tenant, and further claims of the token.
pub fn signed_in(object_id: &str, claims: &[(&str, &str)]) -> (&'static str, String) {
    let of_us = [("oid", object_id), ("tid", &TENANT_ID.to_string())];
    ("X-MS-CLIENT-PRINCIPAL", principal("aad", &[&of_us[..], claims].concat()))
}

/// The content of that header.
pub fn principal(provider: &str, claims: &[(&str, &str)]) -> String {
    let claims: Vec<Value> = claims.iter().map(|(typ, val)| json!({"typ": typ, "val": val})).collect();
    azure_core::base64::encode(json!({"auth_typ": provider, "claims": claims}).to_string())
}

/// Calls CreateTap with these parameters.
pub async fn call(app: &TestApp, parameters: Value) -> HandlerResponse {
    send(app, &parameters.to_string(), &[]).await
}

/// Calls CreateTap for `user` with further parameters.
pub async fn call_for(app: &TestApp, user: Uuid, mut parameters: Value) -> HandlerResponse {
    parameters["UserName"] = json!(user);
    call(app, parameters).await
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_issued_by_name_or_id() {
    for name in [None, Some("emma.brooks@contoso.example"), Some("EMMA.BROOKS@CONTOSO.EXAMPLE")] {
        let (app, emma) = TestApp::with_emma();
        let name = name.map_or_else(|| emma.to_string(), str::to_owned);
        let HandlerResponse { status, headers, body } = call(&app, json!({"username": name})).await;
        assert_eq!((status, &headers["cache-control"]), (201, &json!("no-store")), "{body}");
        assert_eq!(body["temporaryAccessPass"], app.live_code(emma).unwrap());
        assert_eq!((&body["userId"], &body["lifetimeInMinutes"]), (&json!(emma), &json!(240)));
        assert_eq!(time(body["validUntil"].as_str().unwrap()), time(NOW) + chrono::TimeDelta::minutes(240));
        let record = app.record(emma).await.unwrap();
        assert_eq!((record.state, record.purpose), (State::Delivered, Purpose::Http));
        assert_eq!(app.sandbox.mails(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn user_names_with_special_characters_are_found() {
    for upn in [
        "o'brien@contoso.example",
        "a_b.example#EXT#@contoso.example",
        "$money@contoso.example",
        "$o'x@contoso.example",
    ] {
        let (mut tenant, _) = tenant_with_emma();
        tenant.add(Person::named("Someone").user_principal_name(upn));
        let app = TestApp::new(tenant, &[]);
        let HandlerResponse { status, body, .. } = call(&app, json!({"UserName": upn})).await;
        assert_eq!((status, &body["userPrincipalName"]), (201, &json!(upn)), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_replaces_an_unopened_pass_and_a_later_sweep_serves_day_one() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    assert_eq!(call_for(&app, emma, json!({})).await.status, 201);
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 1, "the called pass works now");
    app.advance(chrono::TimeDelta::days(1));
    assert_eq!(app.sweep().await[0].outcome, "delivered");
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn bad_requests_name_every_problem() {
    let (app, _) = TestApp::with_emma();
    for (body, problems) in [
        ("", vec!["Content-Length"]),
        ("not json", vec!["not a JSON object"]),
        ("{}", vec!["UserName is missing"]),
        (r#"{"UserName": "a@b.example", "UserName": "a@b.example"}"#, vec!["UserName is given twice"]),
        (
            r#"{"UserName": 7, "NotifyUser": "perhaps"}"#,
            vec!["UserName is not a text", "NotifyUser is neither"],
        ),
    ] {
        let HandlerResponse { status, headers, body: problem } = send(&app, body, &[]).await;
        assert_eq!((status, &headers["content-type"]), (400, &json!("application/problem+json")));
        for words in problems {
            assert!(problem["detail"].as_str().unwrap().contains(words), "{words}: {problem}");
        }
    }
    assert_eq!(app.sandbox.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn explicit_parameters_are_used_unchanged() {
    let (app, emma) = TestApp::with_emma();
    let answer = call_for(
        &app,
        emma,
        json!({"lifetimeinminutes": "90", "ONETIMEUSEONLY": "false", "StartDateTime": "2026-11-23T09:00:00+01:00"}),
    )
    .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let pass = app.sandbox.passes().pop().unwrap();
    assert_eq!((pass.lifetime_minutes, pass.one_time), (90, false));
    assert_eq!(pass.opens_at, time("2026-11-23T08:00:00Z"));
    let body = &answer.body;
    assert_eq!((&body["usable"], &body["usabilityReason"]), (&json!(false), &json!("NotYetValid")));
    assert_eq!(body["validUntil"], "2026-11-23T09:30:00Z");
    assert_eq!(body["warnings"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn explicit_values_that_violate_the_policy_are_rejected_with_its_range() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.one_time_only = true;
    tenant.policy.maximum_lifetime = 120;
    tenant.add_pass(emma, PassSpec::opening(time(NOW)));
    let app = TestApp::new(tenant, &[]);
    let before = app.live_code(emma);
    for (parameters, errors) in [
        (json!({"LifetimeInMinutes": 121}), vec!["LifetimeInMinutes"]),
        (json!({"LifetimeInMinutes": 59}), vec!["LifetimeInMinutes"]),
        (json!({"OneTimeUseOnly": false}), vec!["OneTimeUseOnly"]),
        (
            json!({"OneTimeUseOnly": false, "LifetimeInMinutes": 480}),
            vec!["LifetimeInMinutes", "OneTimeUseOnly"],
        ),
    ] {
        let answer = call_for(&app, emma, parameters).await;
        let named: Vec<&str> = answer.body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["parameter"].as_str().unwrap())
            .collect();
        assert_eq!((answer.status, named), (400, errors.clone()), "{answer:?}");
        if errors.contains(&"LifetimeInMinutes") {
            assert!(answer.detail().contains("60 to 120 minutes"), "{answer:?}");
        }
    }
    assert_eq!((app.live_code(emma), app.count_requests("POST", PASS_PATH)), (before, 0));
    assert_eq!(app.record(emma).await, None, "there is no lease");
}

#[tokio::test(start_paused = true)]
async fn defaults_are_clamped_to_the_policy_with_a_warning() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.one_time_only = true;
    tenant.policy.maximum_lifetime = 120;
    let app = TestApp::new(tenant, &[("CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY", "false")]);
    let answer = call_for(&app, emma, json!({})).await;
    assert_eq!(
        (&answer.body["lifetimeInMinutes"], &answer.body["isUsableOnce"]),
        (&json!(120), &json!(true))
    );
    let warnings = answer.body["warnings"].to_string();
    for words in ["LifetimeInMinutes was changed", "60 to 120 minutes", "OneTimeUseOnly was changed"] {
        assert!(warnings.contains(words), "{warnings}");
    }
}

#[tokio::test(start_paused = true)]
async fn settings_provide_the_defaults() {
    let (tenant, emma) = tenant_with_emma();
    let defaults = [
        ("CREATE_TAP_DEFAULT_LIFETIME_MINUTES", "75"),
        ("CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY", "false"),
        ("CREATE_TAP_DEFAULT_NOTIFY_USER", "true"),
        ("CREATE_TAP_DEFAULT_DELIVER", "mail"),
    ];
    let app = TestApp::new(tenant, &defaults);
    let by_default = call_for(&app, emma, json!({})).await;
    assert_eq!((by_default.status, by_default.code(), app.sandbox.mails().len()), (201, None, 2));
    let pass = app.sandbox.passes().pop().unwrap();
    assert_eq!((pass.lifetime_minutes, pass.one_time), (75, false));
    let own =
        json!({"LifetimeInMinutes": 60, "OneTimeUseOnly": true, "NotifyUser": false, "Deliver": "response"});
    let answer = call_for(&app, emma, own).await;
    assert!(answer.code().is_some() && app.sandbox.mails().len() == 2, "explicit values take precedence");
    assert_eq!((&answer.body["lifetimeInMinutes"], &answer.body["isUsableOnce"]), (&json!(60), &json!(true)));
}

/// A value that fits each parameter.
pub fn sample(parameter: Parameter) -> Value {
    match parameter {
        Parameter::UserName => json!("emma.brooks@contoso.example"),
        Parameter::LifetimeInMinutes => json!(60),
        Parameter::OneTimeUseOnly | Parameter::NotifyUser => json!(true),
        Parameter::EmailFrom => json!(firstpass_sandbox::tenant::samples::SENDER),
        Parameter::ServiceDeskDisplayName => json!("The desk"),
        Parameter::ServiceDeskEmail => json!("desk@contoso.example"),
        Parameter::ServiceDeskPhone => json!("+44 20 7946 0000"),
        Parameter::ServiceDeskPortalUrl => json!("https://help.contoso.example"),
        Parameter::ServiceDeskTicketUrl => json!("https://help.contoso.example/4711"),
        Parameter::CallerName => json!("Grace Hall"),
        Parameter::StartDateTime => json!("2026-11-22T08:00:00Z"),
        Parameter::Reason => json!("new phone"),
        Parameter::Deliver => json!("response"),
        Parameter::BrandingHeaderImageUrl | Parameter::BrandingFooterImageUrl => {
            json!("https://www.contoso.example/logo.png")
        }
        Parameter::BrandingFooterLink => json!("https://www.contoso.example"),
        Parameter::BrandingAccentColor | Parameter::BrandingTextColor => json!("#7a0000"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_parameter_is_rejected_by_name() {
    const CLOSED: [Parameter; 10] = [
        Parameter::EmailFrom,
        Parameter::ServiceDeskDisplayName,
        Parameter::ServiceDeskEmail,
        Parameter::ServiceDeskPhone,
        Parameter::ServiceDeskPortalUrl,
        Parameter::BrandingHeaderImageUrl,
        Parameter::BrandingFooterImageUrl,
        Parameter::BrandingFooterLink,
        Parameter::BrandingAccentColor,
        Parameter::BrandingTextColor,
    ];
    let (default, emma) = TestApp::with_emma();
    let none_open = TestApp::new(tenant_with_emma().0, &[("CREATE_TAP_OPEN_PARAMETERS", "none")]);
    for parameter in Parameter::all().filter(|p| *p != Parameter::UserName) {
        let body = json!({ parameter.name().to_lowercase(): sample(parameter) });
        let only_this = [("CREATE_TAP_OPEN_PARAMETERS", parameter.name())];
        let open = TestApp::new(tenant_with_emma().0, &only_this);
        assert_eq!(call_for(&open, emma, body.clone()).await.status, 201, "{parameter:?} is open");
        let closed = call_for(&none_open, emma, body.clone()).await;
        assert_eq!(closed.status, 400);
        for words in [parameter.name(), "CREATE_TAP_OPEN_PARAMETERS"] {
            assert!(closed.detail().contains(words), "{closed:?}");
        }
        if CLOSED.contains(&parameter) {
            assert_eq!(
                call_for(&default, emma, body).await.status,
                400,
                "{parameter:?} is closed by default"
            );
        }
    }
    assert_eq!((default.sandbox.passes().len(), none_open.sandbox.passes().len()), (0, 0));
    let all_open: Value = Parameter::all()
        .filter(|p| !CLOSED.contains(p))
        .map(|p| (p.name().to_owned(), sample(p)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(call(&default, all_open).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn unknown_parameters_are_named_in_a_warning() {
    let (app, emma) = TestApp::with_emma();
    let answer = call_for(&app, emma, json!({"Colour": "#f0f", "UserNam\ne": 1})).await;
    let warnings = answer.body["warnings"].to_string();
    assert_eq!(answer.status, 201);
    assert!(warnings.contains("Colour") && !warnings.contains("#f0f"), "{warnings}");
    assert_eq!(answer.body["warnings"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_new_pass_remains_and_the_answer_names_what_it_replaced() {
    let opening = |text| PassSpec::opening(time(text)).lasting(120);
    for (before, replaced, worked) in [
        (None, 0, false),
        (Some(opening(NOW)), 1, true),
        (Some(opening("2026-11-27T07:00:00Z")), 1, true),
        (Some(opening("2026-10-01T07:00:00Z")), 1, false),
        (Some(opening(NOW).one_time().used()), 1, false),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        if let Some(spec) = before {
            tenant.add_pass(emma, spec);
        }
        let app = TestApp::new(tenant, &[]);
        let answer = call_for(&app, emma, json!({})).await;
        assert_eq!(
            (&answer.body["replaced"], &answer.body["replacedStillWorked"]),
            (&json!(replaced), &json!(worked))
        );
        assert_eq!((app.sandbox.passes().len(), app.live_code(emma).as_deref()), (1, answer.code()));
        assert_eq!(app.count_requests("DELETE", PASS_PATH), 0, "the POST replaces the old pass");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_keeps_the_old_pass() {
    for kind in [fail_with(400), fail_with(403), throttle("1"), FaultKind::Refuse] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.add_pass(emma, PassSpec::opening(time(NOW)));
        let app = TestApp::new(tenant, &[]);
        let before = app.live_code(emma);
        app.sandbox.inject(Fault::on("POST", PASS_PATH, kind.clone()).always());
        let answer = call_for(&app, emma, json!({})).await;
        assert!(answer.status >= 400 && answer.code().is_none(), "{kind:?} {answer:?}");
        assert_eq!(app.live_code(emma), before, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_members_of_the_allowed_group_get_a_pass() {
    let (mut tenant, emma) = tenant_with_emma();
    let other = tenant.add(Person::named("Other One"));
    let inner = tenant.add_group(Group::named("Team").members([emma]));
    let group = tenant.add_group(Group::named("May have a pass").members([inner]));
    let app = TestApp::new(tenant, &[("CREATE_TAP_ALLOWED_GROUP_ID", &group.to_string())]);
    assert_eq!(call_for(&app, emma, json!({})).await.status, 201, "membership may be indirect");
    assert_eq!(call_for(&app, other, json!({})).await.problem(), (403, "not-in-group", None));
    assert_eq!((app.live_code(other), app.record(other).await), (None, None));
}
