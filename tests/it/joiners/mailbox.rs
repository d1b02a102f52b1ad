//! The mailbox that a joiner's mail goes to, and recipients that Exchange refuses.

use chrono::TimeDelta;
use firstpass::ledger::Notice;
use firstpass_sandbox::tenant::{Fault, FaultKind, Permission, Person, Tenant, samples::SERVICE_DESK};
use serde_json::Value;
use uuid::Uuid;

use super::follow_up::{MANAGER, change};
use crate::helpers::{
    NOW, TestApp, cc_addresses, emma, log_capture::capture_log, tenant_with_emma, time, to_address,
};

const FIRST: &str = "emma.brooks@mail.example";
const SECOND: &str = "emma@home.example";
/// The manager gets the code too.
const COPIES: (&str, &str) = ("MAIL_CC_CODE", "true");

/// Emma with two private addresses, in a tenant where Exchange refuses `refused`.
fn refusing(refused: &[&str], settings: &[(&str, &str)]) -> (TestApp, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.other_mails.push(SECOND.to_owned()));
    tenant.undeliverable.extend(refused.iter().map(|address| (*address).to_owned()));
    (TestApp::new(tenant, settings), emma)
}

async fn notices_of(app: &TestApp, user: Uuid) -> Vec<(String, String)> {
    let notices = app.record(user).await.unwrap().notices;
    notices.into_iter().map(|notice| (notice.kind, notice.day.to_string())).collect()
}

fn only_mail(app: &TestApp) -> Value {
    let mails = app.pass_mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    mails[0].clone()
}

#[tokio::test(start_paused = true)]
async fn no_mailbox_of_the_tenant_gets_the_code() {
    type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
    let cases: [Case; 7] = [
        ("an alias in another domain", "eb@brand.example", &[]),
        ("an alias in capitals", "EB@BRAND.EXAMPLE", &[]),
        ("a colleague's mailbox", "alex.morgan@contoso.example", &[]),
        (
            "a domain of the tenant",
            "emma@fabrikam.example",
            &[("TENANT_DOMAINS", "fabrikam.example,x.example")],
        ),
        ("the same in Unicode", "emma@müller.example", &[("TENANT_DOMAINS", "xn--mller-kva.example")]),
        ("an address literal", "emma@[192.0.2.1]", &[]),
        ("the tenant's first domain", "alex@contoso.onmicrosoft.com", &[]),
    ];
    for (case, address, settings) in cases {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |person| {
            person.aliases.push("eb@brand.example".into());
            person.other_mails.insert(0, address.into());
        });
        let app = TestApp::new(tenant, settings);
        assert_eq!(app.run_job(emma).await.outcome, "delivered", "{case}");
        assert_eq!(to_address(&only_mail(&app)), FIRST, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_other_address_is_named_to_a_person() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.other_mails = vec!["e.brooks@contoso.example".into()]);
    let app = TestApp::new(tenant, &[]);
    assert!(app.sweep().await[0].why.contains("no usable private address in otherMails"));
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (0, 1));
}

/// The manager's mailbox is one of the tenant, and it is meant.
#[tokio::test(start_paused = true)]
async fn a_manager_in_the_tenant_is_a_recipient_all_the_same() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("MAIL_TO", "extensionAttribute1,manager")]);
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    assert_eq!(to_address(&only_mail(&app)), MANAGER);
}

#[tokio::test(start_paused = true)]
async fn a_domain_in_unicode_is_reached_in_ascii() {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Welcome").user_principal_name("welcome@contoso.example"));
    let manager = tenant.add_mailbox(Person::named("Grace Hall"));
    let quinn = tenant.add(Person { other_mails: vec!["quinn@müller.example".into()], ..emma(manager) });
    let app = TestApp::new(tenant, &[]);
    assert_eq!(app.run_job(quinn).await.outcome, "delivered");
    assert_eq!(to_address(&only_mail(&app)), "quinn@xn--mller-kva.example");
}

#[tokio::test(start_paused = true)]
async fn a_refused_copy_does_not_cost_the_mail() {
    let (app, emma) = refusing(&[MANAGER], &[("MAIL_CC", "manager,hr@contoso.example"), COPIES]);
    let (end, log) = capture_log("info", app.run_job(emma)).await;
    assert_eq!(end.outcome, "delivered", "{end:?}");
    let mail = only_mail(&app);
    assert_eq!((to_address(&mail), cc_addresses(&mail)), (FIRST, vec!["hr@contoso.example"]));
    assert!(!mail.to_string().contains("Grace Hall"), "the mail names nobody who did not get it");
    assert!(log.contains("event=mail.recipient_refused") && log.contains("g…@contoso.example"), "{log}");
    assert_eq!(notices_of(&app, emma).await, [(Notice::COPY_REFUSED.into(), "2026-11-22".into())]);
    assert_eq!((app.sandbox.passes().len(), app.alerts().len()), (1, 0));
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn after_a_refused_address_the_next_one_is_tried() {
    let (app, emma) = refusing(&[FIRST, MANAGER], &[COPIES]);
    let end = app.run_job(emma).await;
    assert!(end.why.contains("mailed to e…@home.example"), "{end:?}");
    let mail = only_mail(&app);
    assert_eq!((to_address(&mail), cc_addresses(&mail).len()), (SECOND, 0));
    let day = || "2026-11-22".to_owned();
    let both = [(Notice::ADDRESS_REFUSED.to_owned(), day()), (Notice::COPY_REFUSED.to_owned(), day())];
    assert_eq!(notices_of(&app, emma).await, both);
    app.assert_newest_mail_has_live_code(emma);
    // The reminder goes the same way, and the next pass too.
    app.sweep_at("2026-11-27T11:00:00Z").await;
    app.sweep_at("2026-11-29T05:00:00Z").await;
    let to: Vec<String> = app.pass_mails().iter().map(|mail| to_address(mail).to_owned()).collect();
    assert_eq!(to, [SECOND, SECOND, SECOND]);
}

#[tokio::test(start_paused = true)]
async fn where_every_address_is_refused_no_pass_is_left() {
    let (app, emma) = refusing(&[FIRST, SECOND], &[("MAIL_TO", "otherMails")]);
    let (ends, log) = capture_log("debug", app.sweep()).await;
    assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("blocked", 1), "{ends:?}");
    let why = "ErrorInvalidRecipients: At least one recipient is not valid., Recipient 'e…@home.example' is not resolved.";
    assert!(ends[0].why.contains(why), "{ends:?}");
    assert!(!log.contains(FIRST) && !log.contains(SECOND), "{log}");
    assert_eq!((app.sandbox.passes().len(), app.pass_mails().len(), app.alerts().len()), (0, 0, 1));
    // HR corrects one of them.
    change(&app, emma, |person| person.other_mails.push("emma@new.example".into()));
    app.advance(TimeDelta::days(1));
    app.sweep().await;
    assert_eq!(to_address(&only_mail(&app)), "emma@new.example");
}

/// The first mail may have arrived: its code must stay the one that works.
#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_lost_answer_moves_the_code_to_nobody_else() {
    let (app, emma) = refusing(&[], &[]);
    app.sandbox.inject(Fault::on("POST", "/sendMail", FaultKind::LoseAnswer));
    let message = format!("Recipient '{FIRST}' is not resolved.");
    let code = "ErrorInvalidRecipients".to_owned();
    let refused = FaultKind::Fail { status: 400, code, message };
    app.sandbox.inject(Fault { nth: 2, ..Fault::on("POST", "/sendMail", refused) });
    app.run_job(emma).await;
    let to: Vec<String> = app.pass_mails().iter().map(|mail| to_address(mail).to_owned()).collect();
    assert!(to.iter().all(|to| to == FIRST), "{to:?}");
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn one_bad_recipient_of_alerts_does_not_keep_them_from_the_others() {
    let bad = "left@contoso.example";
    let settings = [("ALERT_TO", &*format!("{SERVICE_DESK},{bad}")), ("MAIL_TO", "extensionAttribute1")];
    let (app, _) = refusing(&[bad], &settings);
    let (_, log) = capture_log("info", app.sweep()).await;
    assert_eq!(app.alerts().len(), 1);
    assert!(log.contains("event=alert.recipient_refused") && log.contains("l…@contoso.example"), "{log}");
    assert!(!log.contains("alert.mail_failed"), "{log}");
    assert_eq!(app.sandbox.now(), time(NOW));
}

/// The account's own 404, which a lagging replica answers, is awaited; these are not.
#[tokio::test(start_paused = true)]
async fn a_manager_who_cannot_be_read_costs_the_copy_and_not_the_pass() {
    let deleted = "Resource '0f5a4d7e-1c1b-4b2e-9a52-2f6f0c1d8e11' does not exist or one of its queried reference-property \
                   objects are not present.";
    for (status, code, message, notices) in [
        (403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.", 1),
        (404, "Request_ResourceNotFound", deleted, 0),
    ] {
        let (app, emma) = refusing(&[], &[]);
        let kind = FaultKind::Fail { status, code: code.into(), message: message.into() };
        app.sandbox.inject(Fault { times: 100, ..Fault::on("GET", "/manager", kind) });
        let (end, log) = capture_log("info", app.run_job(emma)).await;
        assert_eq!((end.outcome.as_str(), end.deliveries), ("delivered", 1), "{end:?}");
        assert!(cc_addresses(&only_mail(&app)).is_empty());
        assert_eq!(notices_of(&app, emma).await.len(), notices);
        assert_eq!(log.contains("event=manager.not_read"), notices == 1, "{log}");
    }
}

/// An apostrophe is part of an address here, and quotes it in Exchange's message.
#[tokio::test(start_paused = true)]
async fn the_copy_is_kept_if_it_was_not_the_cause() {
    let odd = "emma.o'hara@mail.example";
    let unnamed = |app: &TestApp| {
        let (code, message) =
            ("ErrorInvalidRecipients".to_owned(), "At least one recipient is not valid.".to_owned());
        let kind = FaultKind::Fail { status: 400, code, message };
        app.sandbox.inject(Fault { times: 100, ..Fault::on("POST", "/sendMail", kind) }.body(FIRST));
    };
    for (case, refuse) in [("named", None), ("not named", Some(unnamed))] {
        let (app, emma) = refusing(&[odd], &[COPIES]);
        match refuse {
            Some(refuse) => refuse(&app),
            None => change(&app, emma, |person| person.other_mails[0] = odd.into()),
        }
        assert_eq!(app.run_job(emma).await.outcome, "delivered", "{case}");
        let mail = only_mail(&app);
        assert_eq!((to_address(&mail), cc_addresses(&mail)), (SECOND, vec![MANAGER]), "{case}");
        let kinds: Vec<String> = notices_of(&app, emma).await.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [Notice::ADDRESS_REFUSED], "{case}");
    }
}

/// The admin wants the manager to have it; that Graph does not show them changes no recipient.
#[tokio::test(start_paused = true)]
async fn a_manager_in_mail_to_is_not_replaced_if_they_cannot_be_read() {
    let (app, emma) = refusing(&[], &[("MAIL_TO", "manager,otherMails")]);
    let message = "Insufficient privileges to complete the operation.".into();
    let kind = FaultKind::Fail { status: 403, code: "Authorization_RequestDenied".into(), message };
    app.sandbox.inject(Fault { times: 100, ..Fault::on("GET", "/manager", kind) });
    let end = app.run_job(emma).await;
    assert!(end.why.contains("the manager, whom MAIL_TO names, cannot be read: Graph error"), "{end:?}");
    assert_eq!((end.outcome.as_str(), app.pass_mails().len(), app.alerts().len()), ("blocked", 0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_domains_that_a_sweep_finds_count() {
    // An alias-free colleague in another domain: only its sign-in name, or Graph's list, tells that it is the tenant's.
    for (case, is_listed, settings, is_private) in [
        ("by the sign-in name of another joiner", false, &[][..], false),
        ("by Domain.Read.All", true, &[][..], false),
        ("the setting decides alone", true, &[("TENANT_DOMAINS", "other.example")][..], true),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |person| person.other_mails.insert(0, "emma@brand.example".into()));
        if is_listed {
            tenant.granted.insert(Permission::DomainRead);
            tenant.domains.push(("Brand.example".into(), true));
            tenant.domains.push(("mail.example".into(), false));
        } else {
            let noah = Person::named("Noah Fischer").user_principal_name("noah@brand.example");
            tenant.add(noah.usage_location("GB").hire_date(time("2026-11-28T00:00:00Z")));
        }
        let app = TestApp::new(tenant, settings);
        app.sweep().await;
        app.sandbox.edit(|t| t.delete_pass(emma));
        // Another process, which has not read the ledger before.
        let other = app.another_instance();
        other.advance(TimeDelta::days(1));
        other.sweep().await;
        let mails = app.pass_mails();
        let to = to_address(mails.last().unwrap());
        assert_eq!(to, if is_private { "emma@brand.example" } else { FIRST }, "{case}: {mails:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_alert_says_why_an_address_does_not_count() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| {
        person.other_mails =
            vec![person.user_principal_name.clone(), "x@contoso.example".into(), "none".into()];
    });
    let app = TestApp::new(tenant, &[]);
    let end = app.run_job(emma).await;
    let why = "no usable private address in otherMails: e…@contoso.example is an address of the account itself, \
               x…@contoso.example is in a domain of the tenant, one is not a mail address";
    assert!(end.outcome == "blocked" && end.why.contains(why), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_manager_who_has_left_gets_no_copy_and_is_not_the_one_to_ask() {
    for to in ["otherMails", "manager,otherMails"] {
        let (mut tenant, emma) = tenant_with_emma();
        let manager = tenant.users[&emma].manager.unwrap();
        tenant.change(manager, |person| person.enabled = false);
        let app = TestApp::new(tenant, &[("MAIL_TO", to)]);
        assert_eq!(app.run_job(emma).await.outcome, "delivered", "{to}");
        let mail = only_mail(&app);
        assert_eq!((to_address(&mail), cc_addresses(&mail).len()), (FIRST, 0), "{to}");
        assert!(!mail.to_string().contains("Grace Hall"), "{to}: {mail}");
        assert_eq!(notices_of(&app, emma).await[0].0, Notice::MANAGER_LEFT, "{to}");
    }
    // A mail that only the manager may get goes to nobody.
    let (mut tenant, emma) = tenant_with_emma();
    let manager = tenant.users[&emma].manager.unwrap();
    tenant.change(manager, |person| person.enabled = false);
    let app = TestApp::new(tenant, &[("MAIL_TO", "manager")]);
    let end = app.run_job(emma).await;
    assert!(end.outcome == "blocked" && end.why.contains("the manager's mailbox"), "{end:?}");
}
