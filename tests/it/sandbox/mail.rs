//! Sending mail.

use std::{num::NonZeroUsize, time::Duration};

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{SendDenial, SendLimits};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Caller, Person, Tenant, caller, mail_to, now};

const URL: &str = "/v1.0/users/welcome@contoso.example/sendMail";

fn caller_with_mailbox() -> Caller {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Contoso Welcome").user_principal_name("welcome@contoso.example"));
    tenant.add(Person::named("Emma Brooks"));
    caller(tenant)
}

/// The mail, with `value` at `pointer`.
fn with(pointer: &str, value: Value) -> Value {
    let mut mail = mail_to("emma@gmail.example");
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    mail.pointer_mut(parent).unwrap()[name] = value;
    mail
}

#[tokio::test(start_paused = true)]
async fn an_accepted_mail_returns_202_without_a_body() {
    let caller = caller_with_mailbox();
    let reply = caller.post(URL, mail_to("emma@gmail.example")).await;
    assert_eq!((reply.status, reply.body), (202, Value::Null));
    let mails = caller.sandbox.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!((mails[0].at, mails[0].from.as_str()), (now(), "welcome@contoso.example"));
    assert_eq!((mails[0].to(), mails[0].cc()), (vec!["emma@gmail.example"], vec![]));
    assert_eq!((mails[0].subject(), mails[0].content()), ("Welcome", "<p>Hello</p>"));
    assert!(!mails[0].save_to_sent_items);
}

#[tokio::test]
async fn a_copy_of_a_mail_is_kept_by_default() {
    let caller = caller_with_mailbox();
    for (value, kept) in [(json!("false"), false), (json!(true), true)] {
        caller.post(URL, with("/saveToSentItems", value)).await.expect(202);
        assert_eq!(caller.sandbox.mails().last().unwrap().save_to_sent_items, kept);
    }
    let mut silent = mail_to("emma@gmail.example");
    silent.as_object_mut().unwrap().remove("saveToSentItems");
    caller.post(URL, silent).await.expect(202);
    assert!(caller.sandbox.mails().last().unwrap().save_to_sent_items);
    assert_eq!(caller.post(URL, with("/saveToSentItems", json!(0))).await.status, 400);
}

#[tokio::test]
async fn every_implemented_message_property_is_accepted() {
    let caller = caller_with_mailbox();
    let recipient = |address: &str| json!([{ "emailAddress": { "address": address, "name": "Somebody" } }]);
    let mut mail = with("/message/ccRecipients", recipient("alex@contoso.example"));
    mail["message"]["bccRecipients"] = recipient("hr@contoso.example");
    mail["message"]["replyTo"] = recipient("desk@contoso.example");
    mail["message"]["importance"] = json!("high");
    mail["message"]["internetMessageHeaders"] =
        json!([{ "name": "x-auto-response-suppress", "value": "All" }]);
    mail["message"]["from"] = recipient("welcome@contoso.example")[0].clone();
    caller.post(URL, mail.clone()).await.expect(202);
    assert_eq!(caller.sandbox.mails()[0].message, mail["message"]);
}

#[tokio::test]
async fn a_malformed_mail_is_refused() {
    let caller = caller_with_mailbox();
    for (mail, status, code) in [
        (json!({}), 400, "ErrorInvalidParameter"),
        (with("/saveToSent", json!(false)), 400, "ErrorInvalidParameter"),
        (with("/message/sensitivity", json!("private")), 400, "RequestBodyRead"),
        (
            with(
                "/message/attachments",
                json!([{"@odata.type": "#microsoft.graph.itemAttachment", "name": "x", "contentBytes": ""}]),
            ),
            501,
            "SandboxNotImplemented",
        ),
        (
            with(
                "/message/attachments",
                json!([{"@odata.type": "#microsoft.graph.fileAttachment", "name": "x", "contentBytes": "no base64"}]),
            ),
            400,
            "ErrorInvalidParameter",
        ),
        (
            with(
                "/message/attachments",
                json!([{"@odata.type": "#microsoft.graph.fileAttachment", "contentBytes": ""}]),
            ),
            400,
            "ErrorInvalidParameter",
        ),
        (with("/message/subject", Value::Null), 400, "ErrorInvalidParameter"),
        (with("/message/body", json!("hello")), 400, "ErrorInvalidParameter"),
        (with("/message/body/contentType", json!("Markdown")), 400, "ErrorInvalidParameter"),
        (with("/message/importance", json!("urgent")), 400, "ErrorInvalidParameter"),
        (with("/message/toRecipients", json!(["emma@gmail.example"])), 400, "ErrorInvalidParameter"),
        (with("/message/toRecipients", json!([])), 400, "ErrorInvalidRecipients"),
        (
            with("/message/internetMessageHeaders", json!([{ "name": "Auto-Submitted", "value": "auto" }])),
            400,
            "InvalidInternetMessageHeader",
        ),
        (
            with("/message/from", json!({ "emailAddress": { "address": "ceo@contoso.example" } })),
            403,
            "ErrorSendAsDenied",
        ),
    ] {
        let reply = caller.post(URL, mail.clone()).await;
        assert_eq!((reply.error().0, reply.error().1), (status, code), "{mail}");
    }
    for address in [
        "",
        "emma",
        "emma@",
        "@gmail.example",
        "emma@gmail",
        "em ma@gmail.example",
        "a@b.example, c@d.example",
    ] {
        assert_eq!(caller.post(URL, mail_to(address)).await.error().1, "ErrorInvalidRecipients", "{address}");
    }
    assert!(caller.sandbox.mails().is_empty());
}

#[tokio::test]
async fn the_sender_needs_a_mailbox_and_permission() {
    let caller = caller_with_mailbox();
    let mail = mail_to("emma@gmail.example");
    let send = |who: &str| caller.post(format!("/v1.0/users/{who}/sendMail"), mail.clone());
    assert_eq!(send("nobody@contoso.example").await.error().1, "Request_ResourceNotFound");
    let reply = send("emma.brooks@contoso.example").await;
    assert_eq!((reply.error().0, reply.error().1), (404, "MailboxNotEnabledForRESTAPI"));
    for (denial, status, code, words) in [
        (SendDenial::OutOfScope, 403, "ErrorAccessDenied", "Check credentials"),
        (SendDenial::AccessPolicy, 403, "ErrorAccessDenied", "[RAOP]"),
        (SendDenial::MailboxFull, 507, "ErrorQuotaExceeded", "maximum mailbox size"),
        (SendDenial::SubmissionBlocked, 554, "ErrorMessageSubmissionBlocked", "verify your account"),
        (SendDenial::AccountSuspended, 403, "ErrorAccountSuspend", "Account suspended"),
    ] {
        caller.sandbox.edit(|tenant| tenant.send_denied = Some(denial));
        let reply = send("welcome@contoso.example").await;
        let (is_status, is_code, message) = reply.error();
        assert!((is_status, is_code) == (status, code) && message.contains(words), "{denial:?}: {message}");
        assert_eq!(reply.header("retry-after"), "");
    }
    caller.sandbox.edit(|tenant| tenant.send_denied = None);
    send("welcome@contoso.example").await.expect(202);
    caller.sandbox.edit(|tenant| tenant.mailboxes.clear());
    assert_eq!(send("welcome@contoso.example").await.error().1, "MailboxNotEnabledForRESTAPI");
}

#[tokio::test]
async fn an_address_can_be_undeliverable() {
    let caller = caller_with_mailbox();
    caller.sandbox.edit(|tenant| tenant.undeliverable.insert("emma@gmail.example".to_owned()));
    let mut mail = mail_to("jonas@gmx.example");
    caller.post(URL, mail.clone()).await.expect(202);
    mail["message"]["ccRecipients"] = json!([{"emailAddress": {"address": "emma@gmail.example"}}]);
    let message = "At least one recipient is not valid., Recipient 'emma@gmail.example' is not resolved. All recipients \
                   must be resolved before a message can be submitted.";
    assert_eq!(caller.post(URL, mail).await.error(), (400, "ErrorInvalidRecipients", message));
    for address in ["quinn@müller.example", "quinn@[192.0.2.1]"] {
        assert_eq!(caller.post(URL, mail_to(address)).await.error().1, "ErrorInvalidRecipients", "{address}");
    }
    assert_eq!(caller.sandbox.mails().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_serves_four_requests_at_a_time() {
    let caller = caller_with_mailbox();
    caller.sandbox.edit(|tenant| tenant.latency = Duration::from_secs(1));
    let send = || tokio::spawn(caller.post(URL, mail_to("emma@gmail.example")));
    let at_once: Vec<_> = (0..5).map(|_| send()).collect();
    let mut statuses = Vec::new();
    for task in at_once {
        let reply = task.await.unwrap();
        if reply.status == 429 {
            let message = "Application is over its MailboxConcurrency limit.";
            assert_eq!(reply.error(), (429, "ApplicationThrottled", message));
            assert_eq!(reply.header("retry-after"), "1");
        }
        statuses.push(reply.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 202, 202, 202, 429]);
    assert_eq!(send().await.unwrap().status, 202, "the slots are released");
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_sends_thirty_messages_a_minute() {
    let caller = caller_with_mailbox();
    let other = Person::named("Service Desk").user_principal_name("desk@contoso.example");
    caller.sandbox.edit(|tenant| tenant.add_mailbox(other));
    let send = || caller.post(URL, mail_to("emma@gmail.example"));
    send().await.expect(202);
    sleep(Duration::from_millis(1_500)).await;
    for _ in 1..30 {
        send().await.expect(202);
    }
    let refused = send().await;
    let message = "Application is over its MailboxMessageRate limit.";
    assert_eq!(refused.error(), (429, "ApplicationThrottled", message));
    assert_eq!(refused.header("retry-after"), "59", "whole seconds, never too early");
    let from_the_desk =
        caller.post("/v1.0/users/desk@contoso.example/sendMail", mail_to("emma@gmail.example"));
    from_the_desk.await.expect(202);
    caller.post(URL, mail_to("emma")).await.expect(400);

    sleep(Duration::from_millis(58_499)).await;
    assert_eq!(send().await.status, 429);
    sleep(Duration::from_millis(1)).await;
    send().await.expect(202);
    assert_eq!(send().await.header("retry-after"), "2", "the others are from 1.5 s later");
    caller.sandbox.advance(TimeDelta::seconds(60));
    for _ in 0..30 {
        send().await.expect(202);
    }
    let requests = caller.sandbox.requests();
    assert_eq!(requests.iter().filter(|request| request.status == Some(429)).count(), 3);
    caller.sandbox.edit(|tenant| tenant.send_limits.messages_per_minute = None);
    send().await.expect(202);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_sends_to_so_many_recipients_a_day() {
    let caller = caller_with_mailbox();
    assert_eq!(SendLimits::default().recipients_per_day, NonZeroUsize::new(10_000));
    caller.sandbox.edit(|tenant| tenant.send_limits.recipients_per_day = NonZeroUsize::new(5));
    let recipients = json!([{ "emailAddress": { "address": "emma@gmail.example" } }]);
    let mut to_three = with("/message/ccRecipients", recipients.clone());
    to_three["message"]["bccRecipients"] = recipients;
    let send = |mail: &Value| caller.post(URL, mail.clone());
    let to_one = mail_to("emma@gmail.example");
    send(&to_three).await.expect(202);
    caller.sandbox.advance(TimeDelta::hours(1));
    let refused = send(&to_three).await;
    let message = "The message can't be submitted because the sender's submission quota was exceeded.";
    assert_eq!(refused.error(), (429, "ErrorSubmissionQuotaExceeded", message));
    assert_eq!(refused.header("retry-after"), "");
    send(&to_one).await.expect(202);
    send(&to_one).await.expect(202);
    assert_eq!(send(&to_one).await.status, 429);
    caller.sandbox.advance(TimeDelta::hours(23) - TimeDelta::seconds(1));
    assert_eq!(send(&to_one).await.status, 429);
    caller.sandbox.advance(TimeDelta::seconds(1));
    send(&to_three).await.expect(202);
    assert_eq!(
        send(&to_one).await.status,
        429,
        "a refused mail does not count, an accepted one does for 24 hours"
    );
}
