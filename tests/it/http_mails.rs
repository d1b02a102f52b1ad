//! The mails that a call of CreateTap brings about: the notice, which never holds a code, and the joiner's mail,
//! which then is the only place that does.

use std::time::Duration;

use firstpass::ledger::{Purpose, State};
use firstpass_sandbox::tenant::{Fault, FaultKind, Person, samples::SENDER};
use serde_json::{Value, json};

use crate::{
    helpers::{PASS, World, cc, escaped, refuse, seconds, tenant_with_emma, throttle, to},
    http::ask_for,
};

fn html(mail: &Value) -> &str {
    mail["body"]["content"].as_str().unwrap()
}

fn from(world: &World) -> String {
    world.sandbox.mails().pop().unwrap().from
}

#[tokio::test(start_paused = true)]
async fn the_notice_tells_the_user_of_the_pass_and_never_its_code() {
    for (language, words) in [("en-GB", "Someone made a"), ("de-AT", "befristeter Zugangscode")] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |p| p.preferred_language = Some(language.into()));
        let desk = [
            ("SERVICE_DESK_NAME", "Contoso Desk"),
            ("SERVICE_DESK_EMAIL", "desk@contoso.example"),
            ("SERVICE_DESK_PHONE", "+44 20 7946 0000"),
        ];
        let world = World::new(tenant, &desk);
        let asked = json!({"NotifyUser": true, "ServiceDeskTicketUrl": "https://help.contoso.example/4711"});
        let answer = ask_for(&world, emma, asked).await;
        assert_eq!(
            answer.body["notification"],
            json!({"sent": true, "to": "e…@contoso.example", "error": null}),
            "{answer:?}"
        );
        let mail = world.pass_mails().pop().unwrap();
        assert_eq!((to(&mail), cc(&mail)), ("emma.brooks@contoso.example", vec![]));
        let html = html(&mail);
        for part in [words, "Contoso Desk", "desk@contoso.example", "+44 20 7946 0000", "4711"] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let code = answer.code().unwrap();
        assert!(!html.contains(&escaped(code)) && !mail.to_string().contains(code));
        assert_eq!(from(&world), SENDER);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_mailbox_the_notice_goes_to_the_sign_in_name() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |p| p.mail = Some("e.brooks@post.contoso.example".into()));
    let bare = tenant.add(Person::named("No Mailbox").without_mail());
    let world = World::new(tenant, &[]);
    for (user, address) in [(emma, "e.brooks@post.contoso.example"), (bare, "no.mailbox@contoso.example")] {
        ask_for(&world, user, json!({"NotifyUser": "true"})).await;
        assert_eq!(to(&world.pass_mails().pop().unwrap()), address);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_notice_is_a_warning_and_the_pass_stays() {
    for (kind, words) in [
        (refuse(403), "403"),
        (throttle("100"), "no time left"),
        (FaultKind::LoseAnswer, "no clear answer"),
        (FaultKind::Delay(Duration::from_secs(3_600)), "no clear answer"),
    ] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on("POST", "sendMail", kind.clone()).always());
        let (answer, took) =
            seconds(&world.sandbox, ask_for(&world, emma, json!({"NotifyUser": true}))).await;
        assert_eq!((answer.status, answer.code()), (201, world.live_code(emma).as_deref()), "{kind:?}");
        let Some(error) = answer.body["notification"]["error"].as_str() else {
            panic!("{kind:?} {answer:?}")
        };
        assert_eq!((&answer.body["notification"]["sent"], took <= 90), (&json!(false), true));
        let warnings = answer.body["warnings"].to_string();
        assert!(warnings.contains("the notice to the user was not sent"), "{warnings}");
        assert!(error.contains(words) || error.contains("429"), "{kind:?}: {error}");
        assert_eq!(world.record(emma).await.unwrap().state, State::Delivered);
    }
}

#[tokio::test(start_paused = true)]
async fn the_notice_has_what_is_left_of_the_time() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", "sendMail", throttle("75")));
    world.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(3_600))).nth(2));
    let (answer, took) = seconds(&world.sandbox, ask_for(&world, emma, json!({"NotifyUser": true}))).await;
    assert_eq!((answer.status, took), (201, 90), "{answer:?}");
    let error = answer.body["notification"]["error"].as_str().unwrap();
    assert!(error.contains("no answer within 15 s"), "the deadline ends a try that runs: {error}");
}

#[tokio::test(start_paused = true)]
async fn what_a_call_says_of_the_service_desk_counts_more_than_the_settings_where_it_is_open() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.add_mailbox(Person::named("Help").user_principal_name("help@contoso.example"));
    let open =
        "EmailFrom, NotifyUser, ServiceDeskDisplayName, ServiceDeskPhone, ServiceDeskPortalUrl, Deliver";
    let world = World::new(
        tenant,
        &[
            ("CREATE_TAP_OPEN_PARAMETERS", open),
            ("SERVICE_DESK_NAME", "By setting"),
            ("SERVICE_DESK_EMAIL", "desk@contoso.example"),
        ],
    );
    let asked = json!({
        "NotifyUser": true, "EmailFrom": "help@contoso.example", "ServiceDeskDisplayName": "By <call>",
        "ServiceDeskPhone": "12 34", "ServiceDeskPortalUrl": "https://portal.contoso.example",
    });
    assert_eq!(ask_for(&world, emma, asked.clone()).await.body["notification"]["sent"], true);
    let mail = world.pass_mails().pop().unwrap();
    for part in ["By &lt;call&gt;", "12 34", "portal.contoso.example", "desk@contoso.example"] {
        assert!(html(&mail).contains(part), "{part}");
    }
    assert!(!html(&mail).contains("By setting"));
    assert_eq!(from(&world), "help@contoso.example");
    let mut by_mail = asked;
    by_mail["Deliver"] = json!("mail");
    ask_for(&world, emma, by_mail).await;
    let mails = world.sandbox.mails();
    let [.., code_mail, notice] = mails.as_slice() else { panic!("{} mails", mails.len()) };
    assert_eq!((code_mail.from.as_str(), notice.from.as_str()), (SENDER, "help@contoso.example"));
    assert!(!html(&code_mail.message).contains("By &lt;call&gt;"), "the code's mail is the admin's own");
}

#[tokio::test(start_paused = true)]
async fn delivered_by_mail_the_answer_holds_no_code() {
    let (world, emma) = World::with_emma();
    let answer = ask_for(&world, emma, json!({"Deliver": "Mail"})).await;
    assert_eq!((answer.status, &answer.body["temporaryAccessPass"]), (201, &Value::Null), "{answer:?}");
    let to_both = "e…@mail.example, g…@contoso.example";
    assert_eq!(answer.body["notification"], json!({"sent": true, "to": to_both, "error": null}));
    let mail = world.pass_mails().pop().unwrap();
    assert_eq!((to(&mail), cc(&mail)), ("emma.brooks@mail.example", vec!["grace.hall@contoso.example"]));
    world.assert_newest_mail_opens(emma);
    assert!(!answer.body.to_string().contains(&world.live_code(emma).unwrap()));
    let record = world.record(emma).await.unwrap();
    let delivered = record.delivered.unwrap();
    assert_eq!((record.state, delivered.purpose), (State::Delivered, Purpose::Http));
    assert_eq!(delivered.recipients, ["e…@mail.example", "g…@contoso.example"]);
}

#[tokio::test(start_paused = true)]
async fn delivered_by_mail_with_a_notice_both_are_sent() {
    let (world, emma) = World::with_emma();
    let answer = ask_for(&world, emma, json!({"Deliver": "mail", "NotifyUser": true})).await;
    let mails = world.pass_mails();
    assert_eq!(
        mails.iter().map(to).collect::<Vec<_>>(),
        ["emma.brooks@mail.example", "emma.brooks@contoso.example"]
    );
    let told = answer.body["notification"]["to"].as_str().unwrap();
    assert_eq!(told, "e…@mail.example, g…@contoso.example, e…@contoso.example");
    let code = escaped(&world.live_code(emma).unwrap());
    assert!(html(&mails[0]).contains(&code) && !html(&mails[1]).contains(&code));
}

#[tokio::test(start_paused = true)]
async fn without_a_private_address_nothing_is_made_by_mail() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |p| p.other_mails.clear());
    let world = World::new(tenant, &[]);
    let answer = ask_for(&world, emma, json!({"Deliver": "mail"})).await;
    assert_eq!(answer.problem(), (409, "no-address", None), "{answer:?}");
    assert_eq!((world.sandbox.passes().len(), world.record(emma).await), (0, None));
    assert_eq!(ask_for(&world, emma, json!({})).await.status, 201, "the answer needs no address");
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_is_refused_takes_its_pass_back() {
    for (kind, status) in [(refuse(403), 502), (throttle("100"), 429)] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on("POST", "sendMail", kind.clone()).always());
        let answer = ask_for(&world, emma, json!({"Deliver": "mail"})).await;
        assert_eq!((answer.status, world.sandbox.passes().len()), (status, 0), "{kind:?} {answer:?}");
        assert_eq!(world.count("DELETE", PASS), 1);
        assert_eq!(world.record(emma).await.unwrap().state, State::Failed);
    }
}
