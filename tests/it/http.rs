//! CreateTap in its simplest form: a UserName in, a pass out.

use firstpass::{
    ledger::{Purpose, State},
    sandbox::{Fault, FaultKind, PassSpec, Person, roles},
};
use serde_json::{Value, json};

use crate::helpers::{NOW, World, tenant_with_emma, time};

/// Calls CreateTap and returns the status, the headers and the body that a caller sees.
async fn call(world: &World, body: &str) -> (u64, Value, Value) {
    let answer = world.host.call("CreateTap", body).await;
    assert!(answer.is_success(), "to the host, a refusal is a success: {:?}", answer);
    let res = &answer.body["Outputs"]["res"];
    let body = serde_json::from_str(res["body"].as_str().unwrap()).unwrap();
    (res["statusCode"].as_u64().unwrap(), res["headers"].clone(), body)
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
        assert_eq!((record.state, record.purpose), (State::Mailed, Purpose::Http));
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
    assert_eq!(world.sweep().await[0].outcome, "mailed");
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn bad_requests_name_every_problem() {
    let (world, _) = World::with_emma();
    for (body, problems) in [
        ("", vec!["Content-Length"]),
        ("not json", vec!["not a JSON object"]),
        ("{}", vec!["UserName is missing"]),
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
async fn who_must_not_have_a_pass_gets_none() {
    let (mut tenant, emma) = tenant_with_emma();
    let admin = tenant.add(Person::named("Ada Min"));
    tenant.make_eligible(admin, roles::GLOBAL_ADMINISTRATOR);
    let guest = tenant.add(Person::named("Guy Est").external_guest("guy@elsewhere.example"));
    tenant.add_pass(emma, PassSpec::opening(time(NOW)));
    let world = World::new(tenant, &[("SERVE_DISABLED", "false")]);
    world.sandbox.edit(|tenant| tenant.change(emma, |p| p.enabled = false));
    for (user, status) in [
        (admin.to_string(), 403),
        (guest.to_string(), 403),
        (emma.to_string(), 403),
        ("nobody@contoso.example".into(), 404),
    ] {
        let (got, _, body) = call(&world, &json!({"UserName": user}).to_string()).await;
        assert_eq!(got, status, "{body}");
    }
    assert_eq!(world.sandbox.passes().len(), 1, "and what was there stays");
}

#[tokio::test(start_paused = true)]
async fn a_job_at_work_and_a_graph_in_trouble_have_answers_of_their_own() {
    for (kind, times, status) in [
        (FaultKind::LoseAnswer, 2, 504),
        (FaultKind::Throttle { retry_after: Some("3".into()) }, 9, 429),
        (FaultKind::Fail { status: 400, code: "badRequest".into(), message: "no".into() }, 1, 409),
    ] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on("POST", "temporaryAccessPassMethods", kind).times(times));
        let (got, _, body) = call(&world, &json!({"UserName": emma}).to_string()).await;
        assert_eq!(got, status, "{body}");
        assert!(body.get("temporaryAccessPass").is_none());
    }
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(std::time::Duration::from_secs(20))));
    let (end, (status, headers, _)) = tokio::join!(world.deliver(emma), async {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        call(&world, &json!({"UserName": emma}).to_string()).await
    });
    assert_eq!((end.outcome.as_str(), status), ("mailed", 409));
    assert_eq!(headers["retry-after"], "295", "what is left of the claim's five minutes");
    world.assert_newest_mail_opens(emma);
}
