//! The mails of CreateTap: the notice, which never contains a code, and delivery of the code by mail.

use std::time::Duration;

use firstpass::ledger::{Purpose, State};
use firstpass_sandbox::tenant::{Fault, FaultKind, Person, samples::SENDER};
use serde_json::{Value, json};

use super::call_for;
use crate::helpers::{
    PASS_PATH, TestApp, cc_addresses, fail_with, html_escaped, tenant_with_emma, throttle, timed, to_address,
};

fn html(mail: &Value) -> &str {
    mail["body"]["content"].as_str().unwrap()
}

/// The sender of the newest mail.
fn sender(app: &TestApp) -> String {
    app.sandbox.mails().pop().unwrap().from
}

#[tokio::test(start_paused = true)]
async fn the_notice_never_contains_the_code() {
    for (language, words) in [("en-GB", "Someone made a"), ("de-AT", "befristeter Zugriffspass")] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |p| p.preferred_language = Some(language.into()));
        let desk = [
            ("SERVICE_DESK_NAME", "Contoso Desk"),
            ("SERVICE_DESK_EMAIL", "desk@contoso.example"),
            ("SERVICE_DESK_PHONE", "+44 20 7946 0000"),
        ];
        let app = TestApp::new(tenant, &desk);
        let parameters =
            json!({"NotifyUser": true, "ServiceDeskTicketUrl": "https://help.contoso.example/4711"});
        let answer = call_for(&app, emma, parameters).await;
        assert_eq!(
            answer.body["notification"],
            json!({"sent": true, "to": "e…@contoso.example", "error": null}),
            "{answer:?}"
        );
        let mail = app.pass_mails().pop().unwrap();
        assert_eq!((to_address(&mail), cc_addresses(&mail)), ("emma.brooks@contoso.example", vec![]));
        let html = html(&mail);
        for part in [words, "Contoso Desk", "desk@contoso.example", "+44 20 7946 0000", "4711"] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let code = answer.code().unwrap();
        assert!(!html.contains(&html_escaped(code)) && !mail.to_string().contains(code));
        assert_eq!(sender(&app), SENDER);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_mailbox_the_notice_goes_to_the_sign_in_name() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |p| p.mail = Some("e.brooks@post.contoso.example".into()));
    let bare = tenant.add(Person::named("No Mailbox").without_mail());
    let app = TestApp::new(tenant, &[]);
    for (user, address) in [(emma, "e.brooks@post.contoso.example"), (bare, "no.mailbox@contoso.example")] {
        call_for(&app, user, json!({"NotifyUser": "true"})).await;
        assert_eq!(to_address(&app.pass_mails().pop().unwrap()), address);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_notice_is_a_warning_and_keeps_the_pass() {
    for (kind, words) in [
        (fail_with(403), "403"),
        (throttle("100"), "no time left"),
        (FaultKind::LoseAnswer, "no clear answer"),
        (FaultKind::Delay(Duration::from_secs(3_600)), "no clear answer"),
    ] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("POST", "sendMail", kind.clone()).always());
        let (answer, took) = timed(&app.sandbox, call_for(&app, emma, json!({"NotifyUser": true}))).await;
        assert_eq!((answer.status, answer.code()), (201, app.live_code(emma).as_deref()), "{kind:?}");
        let Some(error) = answer.body["notification"]["error"].as_str() else {
            panic!("{kind:?} {answer:?}")
        };
        assert_eq!((&answer.body["notification"]["sent"], took <= 90), (&json!(false), true));
        let warnings = answer.body["warnings"].to_string();
        let sent = if words == "no clear answer" { "may not have been sent" } else { "was not sent" };
        assert!(warnings.contains(&format!("the notice to the user {sent}")), "{warnings}");
        assert!(error.contains(words) || error.contains("429"), "{kind:?}: {error}");
        assert_eq!(app.record(emma).await.unwrap().state, State::Delivered);
    }
}

#[tokio::test(start_paused = true)]
async fn the_notice_is_limited_to_the_remaining_time() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "sendMail", throttle("75")));
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(3_600))).nth(2));
    let (answer, took) = timed(&app.sandbox, call_for(&app, emma, json!({"NotifyUser": true}))).await;
    assert_eq!((answer.status, took), (201, 90), "{answer:?}");
    let error = answer.body["notification"]["error"].as_str().unwrap();
    assert!(error.contains("no answer within 13 s"), "the deadline ends a try that runs: {error}");
}

#[tokio::test(start_paused = true)]
async fn open_service_desk_parameters_override_the_settings() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.add_mailbox(Person::named("Help").user_principal_name("help@contoso.example"));
    let open =
        "EmailFrom, NotifyUser, ServiceDeskDisplayName, ServiceDeskPhone, ServiceDeskPortalUrl, Deliver";
    let app = TestApp::new(
        tenant,
        &[
            ("CREATE_TAP_OPEN_PARAMETERS", open),
            ("SERVICE_DESK_NAME", "By setting"),
            ("SERVICE_DESK_EMAIL", "desk@contoso.example"),
        ],
    );
    let parameters = json!({
        "NotifyUser": true, "EmailFrom": "help@contoso.example", "ServiceDeskDisplayName": "By <call>",
        "ServiceDeskPhone": "12 34", "ServiceDeskPortalUrl": "https://portal.contoso.example",
    });
    assert_eq!(call_for(&app, emma, parameters.clone()).await.body["notification"]["sent"], true);
    let mail = app.pass_mails().pop().unwrap();
    for part in ["By &lt;call&gt;", "12 34", "portal.contoso.example", "desk@contoso.example"] {
        assert!(html(&mail).contains(part), "{part}");
    }
    assert!(!html(&mail).contains("By setting"));
    assert_eq!(sender(&app), "help@contoso.example");
    let mut by_mail = parameters;
    by_mail["Deliver"] = json!("mail");
    call_for(&app, emma, by_mail).await;
    let mails = app.sandbox.mails();
    let [.., code_mail, notice] = mails.as_slice() else { panic!("{} mails", mails.len()) };
    assert_eq!((code_mail.from.as_str(), notice.from.as_str()), (SENDER, "help@contoso.example"));
    assert!(
        !html(&code_mail.message).contains("By &lt;call&gt;"),
        "the mail with the code uses the settings"
    );
}

/// Where a client of the runbook gave its looks, they are those of the notice, and of no mail with a code.
#[tokio::test(start_paused = true)]
async fn open_branding_parameters_are_the_looks_of_the_notice() {
    let (tenant, emma) = tenant_with_emma();
    let open = "NotifyUser, Deliver, BrandingHeaderImageUrl, BrandingFooterImageUrl, BrandingFooterLink, BrandingAccentColor, \
                BrandingTextColor";
    let app = TestApp::new(tenant, &[("CREATE_TAP_OPEN_PARAMETERS", open), ("COMPANY_NAME", "Contoso")]);
    let looks = json!({
        "NotifyUser": true, "Deliver": "mail",
        "BrandingHeaderImageUrl": "https://cdn.contoso.example/header.png",
        "BrandingFooterImageUrl": "https://cdn.contoso.example/footer.png",
        "BrandingFooterLink": "https://www.contoso.example/it",
        "BrandingAccentColor": "#7A0000", "BrandingTextColor": "#002200",
    });
    assert_eq!(call_for(&app, emma, looks).await.status, 201);
    let mails = app.pass_mails();
    let is_notice = |mail: &&serde_json::Value| html(mail).contains("Someone made a");
    let [notice, code_mail] = [true, false]
        .map(|is| mails.iter().find(|mail| is_notice(mail) == is).unwrap_or_else(|| panic!("{mails:?}")));
    for part in ["header.png", "footer.png", "www.contoso.example", "#7a0000", "#002200"] {
        assert!(html(notice).contains(part), "{part}");
        assert!(!html(code_mail).contains(part), "{part}");
    }
    for (parameter, value) in [
        ("BrandingHeaderImageUrl", "http://cdn.contoso.example/header.png"),
        ("BrandingFooterLink", "javascript:alert(1)"),
        ("BrandingAccentColor", "#ffffff"),
        ("BrandingTextColor", "red"),
    ] {
        let answer = call_for(&app, emma, json!({ parameter: value })).await;
        assert!(answer.status == 400 && answer.detail().contains(parameter), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn delivery_by_mail_keeps_the_code_out_of_the_answer() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("MAIL_CC_CODE", "true")]);
    let answer = call_for(&app, emma, json!({"Deliver": "Mail"})).await;
    assert_eq!((answer.status, &answer.body["temporaryAccessPass"]), (201, &Value::Null), "{answer:?}");
    let recipients = "e…@mail.example, g…@contoso.example";
    assert_eq!(answer.body["notification"], json!({"sent": true, "to": recipients, "error": null}));
    let mail = app.pass_mails().pop().unwrap();
    assert_eq!(
        (to_address(&mail), cc_addresses(&mail)),
        ("emma.brooks@mail.example", vec!["grace.hall@contoso.example"])
    );
    app.assert_newest_mail_has_live_code(emma);
    assert!(!answer.body.to_string().contains(&app.live_code(emma).unwrap()));
    let record = app.record(emma).await.unwrap();
    let delivered = record.delivered.unwrap();
    assert_eq!((record.state, delivered.purpose), (State::Delivered, Purpose::Http));
    assert_eq!(delivered.recipients, ["e…@mail.example", "g…@contoso.example"]);
}

#[tokio::test(start_paused = true)]
async fn delivery_by_mail_with_a_notice_sends_both_mails() {
    let (app, emma) = TestApp::with_emma();
    let answer = call_for(&app, emma, json!({"Deliver": "mail", "NotifyUser": true})).await;
    let mails = app.pass_mails();
    assert_eq!(
        mails.iter().map(to_address).collect::<Vec<_>>(),
        ["emma.brooks@mail.example", "emma.brooks@contoso.example"]
    );
    let recipients = answer.body["notification"]["to"].as_str().unwrap();
    assert_eq!(recipients, "e…@mail.example, e…@contoso.example");
    let code = html_escaped(&app.live_code(emma).unwrap());
    assert!(html(&mails[0]).contains(&code) && !html(&mails[1]).contains(&code));
}

#[tokio::test(start_paused = true)]
async fn delivery_by_mail_needs_a_private_address() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |p| p.other_mails.clear());
    let app = TestApp::new(tenant, &[]);
    let answer = call_for(&app, emma, json!({"Deliver": "mail"})).await;
    assert_eq!(answer.problem(), (409, "no-address", None), "{answer:?}");
    assert_eq!((app.sandbox.passes().len(), app.record(emma).await), (0, None));
    assert_eq!(call_for(&app, emma, json!({})).await.status, 201, "delivery in the answer needs no address");
}

#[tokio::test(start_paused = true)]
async fn a_refused_mail_revokes_the_pass() {
    let denied = FaultKind::Fail {
        status: 403,
        code: "ErrorAccessDenied".into(),
        message: "Access is denied.".into(),
    };
    for (kind, status) in
        [(fail_with(400), 502), (fail_with(403), 502), (denied, 503), (throttle("100"), 429)]
    {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("POST", "sendMail", kind.clone()).always());
        let answer = call_for(&app, emma, json!({"Deliver": "mail"})).await;
        assert_eq!((answer.status, app.sandbox.passes().len()), (status, 0), "{kind:?} {answer:?}");
        assert_eq!(app.count_requests("DELETE", PASS_PATH), 1);
        assert_eq!(app.record(emma).await.unwrap().state, State::Failed);
    }
}
