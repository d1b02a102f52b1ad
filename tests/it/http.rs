//! CreateTap as its callers meet it: what they may ask for, and what they get.

use firstpass::{
    environment::Environment,
    ledger::{Purpose, State},
    settings::Parameter,
    telemetry,
};
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, PassSpec, Person};
use serde_json::{Value, json};
use tracing::{Dispatch, instrument::WithSubscriber};
use uuid::Uuid;

use crate::{
    helpers::{NOW, PASS, World, refuse, tenant_with_emma, throttle, time},
    leaks::Captured,
};

/// What a caller sees.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u64,
    pub headers: Value,
    pub body: Value,
}

impl Answer {
    pub fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap_or_default()
    }

    pub fn code(&self) -> Option<&str> {
        self.body["temporaryAccessPass"].as_str()
    }

    /// The word of the problem, and seconds to wait.
    pub fn problem(&self) -> (u64, &str, Option<u64>) {
        let word = self.body["type"].as_str().unwrap_or_default().rsplit(':').next().unwrap_or_default();
        (self.status, word, self.headers["retry-after"].as_str().map(|text| text.parse().unwrap()))
    }
}

/// Calls CreateTap through `world`'s host, with headers of the caller's own.
pub async fn send(world: &World, body: &str, headers: &[(&str, &str)]) -> Answer {
    let headers: serde_json::Map<String, Value> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
    let req = json!({
        "Url": "https://firstpass.example/api/CreateTap?code=KEY",
        "Method": "POST",
        "Query": {"code": "KEY"},
        "Headers": headers,
        "Params": {},
        "Identities": [{"AuthenticationType": null, "IsAuthenticated": false, "Leases": []}],
        "Body": body,
    });
    let invocation = json!({"Data": {"req": req}, "Metadata": {"Query": {}, "Headers": {}, "sys": {}}});
    let answer = world.host.post("CreateTap", invocation.to_string()).await;
    assert!(answer.is_success(), "to the host, a refusal is a success: {answer:?}");
    let res = &answer.body["Outputs"]["res"];
    Answer {
        status: res["statusCode"].as_u64().unwrap(),
        headers: res["headers"].clone(),
        body: serde_json::from_str(res["body"].as_str().unwrap()).unwrap(),
    }
}

/// Calls with these parameters, and no header.
pub async fn ask(world: &World, parameters: Value) -> Answer {
    send(world, &parameters.to_string(), &[]).await
}

/// Calls for `user`, with these parameters besides.
pub async fn ask_for(world: &World, user: Uuid, mut parameters: Value) -> Answer {
    parameters["UserName"] = json!(user);
    ask(world, parameters).await
}

/// What `work` comes to, and all that was logged meanwhile.
pub async fn logged<T>(level: &str, work: impl Future<Output = T>) -> (T, String) {
    let env = Environment::from_iter([("RUST_LOG", level)]);
    // Where there is one subscriber alone, tracing lets the thread that reaches a line of code first decide for all
    // whether it is ever logged, and that may be another test's. With two it asks both.
    let _second = Dispatch::new(telemetry::subscriber(&env, std::io::sink));
    let log = Captured::default();
    let result = work.with_subscriber(telemetry::subscriber(&env, log.clone())).await;
    (result, log.text())
}

/// Calls CreateTap and returns the status, the headers and the body that a caller sees.
async fn call(world: &World, body: &str) -> (u64, Value, Value) {
    let Answer { status, headers, body } = send(world, body, &[]).await;
    (status, headers, body)
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_made_by_name_or_id_and_its_code_works() {
    for name in [None, Some("emma.brooks@contoso.example"), Some("EMMA.BROOKS@CONTOSO.EXAMPLE")] {
        let (world, emma) = World::with_emma();
        let name = name.map_or_else(|| emma.to_string(), str::to_owned);
        let (status, headers, body) = call(&world, &json!({"username": name}).to_string()).await;
        assert_eq!((status, &headers["cache-control"]), (201, &json!("no-store")), "{body}");
        assert_eq!(body["temporaryAccessPass"], world.live_code(emma).unwrap());
        assert_eq!((&body["userId"], &body["lifetimeInMinutes"]), (&json!(emma), &json!(240)));
        assert_eq!(time(body["validUntil"].as_str().unwrap()), time(NOW) + chrono::TimeDelta::minutes(240));
        let record = world.record(emma).await.unwrap();
        assert_eq!((record.state, record.purpose), (State::Delivered, Purpose::Http));
        assert_eq!(world.sandbox.mails(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_do_not_fit_into_a_path_are_found() {
    for upn in [
        "o'brien@contoso.example",
        "a_b.example#EXT#@contoso.example",
        "$money@contoso.example",
        "$o'x@contoso.example",
    ] {
        let (mut tenant, _) = tenant_with_emma();
        tenant.add(Person::named("Someone").user_principal_name(upn));
        let world = World::new(tenant, &[]);
        let (status, _, body) = call(&world, &json!({"UserName": upn}).to_string()).await;
        assert_eq!((status, &body["userPrincipalName"]), (201, &json!(upn)), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_helpdesk_pass_replaces_an_unopened_one_and_the_next_sweep_serves_day_one_again() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    let (status, _, _) = call(&world, &json!({"UserName": emma}).to_string()).await;
    assert_eq!(status, 201);
    assert_eq!(world.sweep().await[0].outcome, "skipped", "the helpdesk's pass works now");
    world.later(chrono::TimeDelta::days(1));
    assert_eq!(world.sweep().await[0].outcome, "delivered");
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn bad_requests_name_every_problem() {
    let (world, _) = World::with_emma();
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
        let (status, headers, problem) = call(&world, body).await;
        assert_eq!((status, &headers["content-type"]), (400, &json!("application/problem+json")));
        for words in problems {
            assert!(problem["detail"].as_str().unwrap().contains(words), "{words}: {problem}");
        }
    }
    assert_eq!(world.sandbox.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_what_is_made() {
    let (world, emma) = World::with_emma();
    let answer = ask_for(
        &world,
        emma,
        json!({"lifetimeinminutes": "90", "ONETIMEUSEONLY": "false", "StartDateTime": "2026-11-23T09:00:00+01:00"}),
    )
    .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let pass = world.sandbox.passes().pop().unwrap();
    assert_eq!((pass.lifetime_minutes, pass.one_time), (90, false));
    assert_eq!(pass.opens_at, time("2026-11-23T08:00:00Z"));
    let body = &answer.body;
    assert_eq!((&body["usable"], &body["usabilityReason"]), (&json!(false), &json!("NotYetValid")));
    assert_eq!(body["validUntil"], "2026-11-23T09:30:00Z");
    assert_eq!(body["warnings"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_does_not_allow_is_refused_with_its_range() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.one_time_only = true;
    tenant.policy.maximum_lifetime = 120;
    tenant.add_pass(emma, PassSpec::opening(time(NOW)));
    let world = World::new(tenant, &[]);
    let before = world.live_code(emma);
    for (asked, errors) in [
        (json!({"LifetimeInMinutes": 121}), vec!["LifetimeInMinutes"]),
        (json!({"LifetimeInMinutes": 59}), vec!["LifetimeInMinutes"]),
        (json!({"OneTimeUseOnly": false}), vec!["OneTimeUseOnly"]),
        (
            json!({"OneTimeUseOnly": false, "LifetimeInMinutes": 480}),
            vec!["LifetimeInMinutes", "OneTimeUseOnly"],
        ),
    ] {
        let answer = ask_for(&world, emma, asked).await;
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
    assert_eq!((world.live_code(emma), world.count("POST", PASS)), (before, 0));
    assert_eq!(world.record(emma).await, None, "nothing was leased");
}

#[tokio::test(start_paused = true)]
async fn a_default_that_the_policy_does_not_allow_is_bent_and_a_warning_says_so() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.one_time_only = true;
    tenant.policy.maximum_lifetime = 120;
    let world = World::new(tenant, &[("CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY", "false")]);
    let answer = ask_for(&world, emma, json!({})).await;
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
async fn settings_give_the_defaults() {
    let (tenant, emma) = tenant_with_emma();
    let defaults = [
        ("CREATE_TAP_DEFAULT_LIFETIME_MINUTES", "75"),
        ("CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY", "false"),
        ("CREATE_TAP_DEFAULT_NOTIFY_USER", "true"),
        ("CREATE_TAP_DEFAULT_DELIVER", "mail"),
    ];
    let world = World::new(tenant, &defaults);
    let by_default = ask_for(&world, emma, json!({})).await;
    assert_eq!((by_default.status, by_default.code(), world.sandbox.mails().len()), (201, None, 2));
    let pass = world.sandbox.passes().pop().unwrap();
    assert_eq!((pass.lifetime_minutes, pass.one_time), (75, false));
    let own =
        json!({"LifetimeInMinutes": 60, "OneTimeUseOnly": true, "NotifyUser": false, "Deliver": "response"});
    let answer = ask_for(&world, emma, own).await;
    assert!(answer.code().is_some() && world.sandbox.mails().len() == 2, "a caller's word counts more");
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
    }
}

#[tokio::test(start_paused = true)]
async fn a_parameter_that_is_not_open_is_refused_by_name() {
    const CLOSED: [Parameter; 5] = [
        Parameter::EmailFrom,
        Parameter::ServiceDeskDisplayName,
        Parameter::ServiceDeskEmail,
        Parameter::ServiceDeskPhone,
        Parameter::ServiceDeskPortalUrl,
    ];
    let (default, emma) = World::with_emma();
    let (none_open, _) = (World::new(tenant_with_emma().0, &[("CREATE_TAP_OPEN_PARAMETERS", "none")]), ());
    for parameter in Parameter::all().filter(|p| *p != Parameter::UserName) {
        let body = json!({ parameter.name().to_lowercase(): sample(parameter) });
        let only_this = [("CREATE_TAP_OPEN_PARAMETERS", parameter.name())];
        let open = World::new(tenant_with_emma().0, &only_this);
        assert_eq!(ask_for(&open, emma, body.clone()).await.status, 201, "{parameter:?} was opened");
        let closed = ask_for(&none_open, emma, body.clone()).await;
        assert_eq!(closed.status, 400);
        for words in [parameter.name(), "CREATE_TAP_OPEN_PARAMETERS"] {
            assert!(closed.detail().contains(words), "{closed:?}");
        }
        if CLOSED.contains(&parameter) {
            assert_eq!(
                ask_for(&default, emma, body).await.status,
                400,
                "{parameter:?} is closed out of the box"
            );
        }
    }
    assert_eq!((default.sandbox.passes().len(), none_open.sandbox.passes().len()), (0, 0));
    let all_that_is_open: Value = Parameter::all()
        .filter(|p| !CLOSED.contains(p))
        .map(|p| (p.name().to_owned(), sample(p)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    assert_eq!(ask(&default, all_that_is_open).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn unknown_parameters_are_named_in_a_warning() {
    let (world, emma) = World::with_emma();
    let answer = ask_for(&world, emma, json!({"Colour": "#f0f", "UserNam\ne": 1})).await;
    let warnings = answer.body["warnings"].to_string();
    assert_eq!(answer.status, 201);
    assert!(warnings.contains("Colour") && !warnings.contains("#f0f"), "{warnings}");
    assert_eq!(answer.body["warnings"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn exactly_one_new_pass_stays_and_the_answer_tells_what_it_replaced() {
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
        let world = World::new(tenant, &[]);
        let answer = ask_for(&world, emma, json!({})).await;
        assert_eq!(
            (&answer.body["replaced"], &answer.body["replacedStillWorked"]),
            (&json!(replaced), &json!(worked))
        );
        assert_eq!((world.sandbox.passes().len(), world.live_code(emma).as_deref()), (1, answer.code()));
        assert_eq!(world.count("DELETE", PASS), 0, "nothing is deleted before the new one is there");
    }
}

#[tokio::test(start_paused = true)]
async fn if_no_pass_can_be_made_the_old_one_stays() {
    for kind in [refuse(400), refuse(403), throttle("1"), FaultKind::Refuse] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.add_pass(emma, PassSpec::opening(time(NOW)));
        let world = World::new(tenant, &[]);
        let before = world.live_code(emma);
        world.sandbox.inject(Fault::on("POST", PASS, kind.clone()).always());
        let answer = ask_for(&world, emma, json!({})).await;
        assert!(answer.status >= 400 && answer.code().is_none(), "{kind:?} {answer:?}");
        assert_eq!(world.live_code(emma), before, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_members_of_the_allowed_group_get_a_pass() {
    let (mut tenant, emma) = tenant_with_emma();
    let other = tenant.add(Person::named("Other One"));
    let inner = tenant.add_group(Group::named("Team").members([emma]));
    let group = tenant.add_group(Group::named("May have a pass").members([inner]));
    let world = World::new(tenant, &[("CREATE_TAP_ALLOWED_GROUP_ID", &group.to_string())]);
    assert_eq!(ask_for(&world, emma, json!({})).await.status, 201, "also through another group");
    assert_eq!(ask_for(&world, other, json!({})).await.problem(), (403, "not-in-group", None));
    assert_eq!((world.live_code(other), world.record(other).await), (None, None));
}
