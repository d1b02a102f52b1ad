//! Logo, sender and steps.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use firstpass_sandbox::tenant::{Group, samples::SENDER};
use serde_json::Value;

use super::Folder;
use crate::helpers::{TestApp, tenant_with_emma};

/// A PNG file of one pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn content(mail: &Value) -> &str {
    mail["body"]["content"].as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_logo_goes_with_the_mail() {
    let folder = Folder::new();
    folder.write("logo.png", STANDARD.decode(PNG).unwrap());
    let (tenant, _) = tenant_with_emma();
    let settings = [
        ("MAIL_TEMPLATES", folder.name()),
        ("LOGO", "logo.png"),
        ("COMPANY_NAME", "Contoso"),
        ("SENDER_NAME", "Contoso IT"),
        ("ACCENT_COLOR", "#7a0000"),
        ("FOOTER_LINK", "https://www.contoso.example/imprint"),
    ];
    let app = TestApp::new(tenant, &settings);
    app.sweep().await;
    let mail = &app.pass_mails()[0];
    let attachment = &mail["attachments"][0];
    assert_eq!(attachment["contentBytes"], PNG);
    assert_eq!((&attachment["contentId"], &attachment["isInline"]), (&"logo".into(), &true.into()));
    assert!(content(mail).contains(r#"<img src="cid:logo" alt="Contoso" height="48""#), "{}", content(mail));
    assert!(content(mail).contains("#7a0000") && content(mail).contains("www.contoso.example&#x2f;imprint"));
    assert_eq!(mail["from"]["emailAddress"]["name"], "Contoso IT");
    assert_eq!(mail["from"]["emailAddress"]["address"], SENDER);
}

#[tokio::test(start_paused = true)]
async fn the_steps_and_the_pass_fit_the_device_of_the_joiners_group() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("New laptops").members([emma]));
    let app = TestApp::new(tenant, &[("DEVICE_STEPS", &format!("browser, {group}=autopilot"))]);
    app.sweep().await;
    let mail = &app.pass_mails()[0];
    assert!(content(mail).contains("Turn on your new company PC"), "{}", content(mail));
    assert!(!app.sandbox.passes()[0].one_time, "the PC may ask again");
    assert!(
        content(mail)
            .contains("you may have to enter it when you sign in, even if you have set up another way")
    );

    let (tenant, _) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("DEVICE_STEPS", &format!("{group}=autopilot, windows"))]);
    app.sweep().await;
    let mail = &app.pass_mails()[0];
    assert!(content(mail).contains("Web sign-in") && app.sandbox.passes()[0].one_time);
    assert!(content(mail).contains("do not use the code in a browser before"));
}

#[tokio::test(start_paused = true)]
async fn who_may_register_no_passkey_is_led_to_the_authenticator() {
    for is_for_emma in [true, false] {
        let (mut tenant, emma) = tenant_with_emma();
        if !is_for_emma {
            tenant.passkeys.exclude = vec![emma];
        }
        let app = TestApp::new(tenant, &[]);
        app.sweep().await;
        let mail = &app.pass_mails()[0];
        assert_eq!(content(mail).contains("<strong>passkey</strong>"), is_for_emma, "{}", content(mail));
        assert_eq!(content(mail).contains("<strong>Microsoft Authenticator</strong>"), !is_for_emma);
    }
}
