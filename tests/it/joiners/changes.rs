//! The tenant changes what a joiner's mail rests on, between the mail and the use of the pass.

use firstpass::ledger::Notice;
use firstpass_sandbox::tenant::{Fault, PassSpec, Person};
use serde_json::Value;
use uuid::Uuid;

use super::follow_up::{change, text, use_pass};
use crate::helpers::{
    JobEnd, PASS_PATH, TestApp, fail_with, html_escaped, tenant_with_emma, time, to_address,
};

const OLD: &str = "emma.brooks@mail.example";
const NEW: &str = "emma.b@post.example";
const THIRD: &str = "em@home.example";

/// The app after Emma's mail; her pass opens at 07:00 on the 27th, for eight hours.
async fn mailed(settings: &[(&str, &str)]) -> (TestApp, Uuid) {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, settings);
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 1);
    (app, emma)
}

/// The app after the mails to four joiners, one more than SWEEP_MAX.
async fn four_mailed() -> (TestApp, Vec<Uuid>) {
    let (mut tenant, emma) = tenant_with_emma();
    let manager = tenant.users[&emma].manager.unwrap();
    let mut joiners = vec![emma];
    for n in 0..3 {
        let person = Person::named(&format!("Joiner {n}")).usage_location("GB").manager(manager);
        let person =
            person.hire_date(time("2026-11-27T00:00:00Z")).private_mail(&format!("j{n}@mail.example"));
        joiners.push(tenant.add(person));
    }
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    (app.with_settings(&[("SWEEP_MAX", "3")]), joiners)
}

fn set_address(app: &TestApp, user: Uuid, address: &str) {
    change(app, user, |person| person.other_mails = vec![address.to_owned()]);
}

fn rename(app: &TestApp, user: Uuid, name: &str) {
    change(app, user, |person| person.user_principal_name = name.to_owned());
}

fn content(mail: &Value) -> &str {
    mail["body"]["content"].as_str().unwrap()
}

/// The recipients of all mails but alerts, in order.
fn recipients(app: &TestApp) -> Vec<String> {
    app.pass_mails().iter().map(|mail| to_address(mail).to_owned()).collect()
}

fn outcomes(ends: &[JobEnd]) -> Vec<&str> {
    ends.iter().map(|end| end.outcome.as_str()).collect()
}

fn with_code<'a>(mails: &'a [Value], codes: &[String]) -> Vec<&'a str> {
    let has_code = |mail: &&Value| codes.iter().any(|code| content(mail).contains(&html_escaped(code)));
    mails.iter().filter(has_code).map(to_address).collect()
}

#[tokio::test(start_paused = true)]
async fn a_corrected_address_gets_a_new_pass_and_the_old_one_a_note() {
    let (app, emma) = mailed(&[]).await;
    let first = app.live_code(emma).unwrap();
    set_address(&app, emma, NEW);
    let ends = app.sweep_daily(1).await;
    assert_eq!(outcomes(&ends), ["delivered"], "{ends:?}");
    let second = app.live_code(emma).unwrap();
    assert_ne!(first, second, "the pass at the old address still works");
    assert_eq!(recipients(&app), [OLD, NEW, OLD]);
    let mails = app.pass_mails();
    assert_eq!(with_code(&mails, &[second]), [NEW]);
    assert!(content(&mails[1]).contains("Your private mail address was changed"), "{}", content(&mails[1]));
    assert!(content(&mails[2]).contains("no longer works"), "{}", content(&mails[2]));
    assert!(!content(&mails[2]).contains("emma"), "a stranger may read it: {}", content(&mails[2]));
    assert!(app.record(emma).await.unwrap().notices.iter().any(|n| n.kind == Notice::ADDRESS_CORRECTED));
    assert_eq!(app.alerts().len(), 0);
    assert!(app.sweep_daily(1).await.is_empty());
    assert_eq!(app.pass_mails().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_changes_late_is_for_a_person() {
    // 23 hours before the opening, and while the pass can be used.
    for at in ["2026-11-26T08:00:00Z", "2026-11-27T06:59:00Z", "2026-11-27T08:00:00Z"] {
        let (app, emma) = mailed(&[]).await;
        app.wait_until(at);
        set_address(&app, emma, NEW);
        let ends = app.sweep().await;
        assert_eq!(outcomes(&ends), ["revoked"], "{at}: {ends:?}");
        assert_eq!(app.live_code(emma), None, "{at}");
        assert_eq!(recipients(&app), [OLD], "{at}");
        let alerts = text(&app.alerts());
        assert!(alerts.contains("A joiner's private address changed"), "{alerts}");
        assert!(alerts.contains("Emma Brooks") && alerts.contains("telephone"), "{alerts}");
        // It stays with the person, whatever the address becomes.
        set_address(&app, emma, OLD);
        for _ in 0..3 {
            app.sweep().await;
            app.advance(chrono::TimeDelta::hours(5));
        }
        assert_eq!((app.live_code(emma), recipients(&app).len()), (None, 1), "{at}");
        assert_eq!(app.alerts().len(), 1, "{at}: {}", text(&app.alerts()));
    }
    // A minute more than 24 hours.
    let (app, emma) = mailed(&[]).await;
    app.wait_until("2026-11-26T06:59:00Z");
    set_address(&app, emma, NEW);
    assert_eq!(outcomes(&app.sweep().await), ["delivered"]);
}

#[tokio::test(start_paused = true)]
async fn the_second_change_of_an_address_is_for_a_person() {
    let (app, emma) = mailed(&[]).await;
    set_address(&app, emma, NEW);
    app.sweep_daily(1).await;
    assert_eq!(recipients(&app), [OLD, NEW, OLD]);
    set_address(&app, emma, OLD);
    assert_eq!(outcomes(&app.sweep_daily(1).await), ["revoked"]);
    assert_eq!((app.live_code(emma), recipients(&app).len(), app.alerts().len()), (None, 3, 1));
    // Moving the start does not open the way again.
    change(&app, emma, |person| person.hire_date = Some(time("2026-11-29T00:00:00Z")));
    set_address(&app, emma, THIRD);
    let ends = app.sweep_daily(1).await;
    assert_eq!(outcomes(&ends), ["blocked"], "{ends:?}");
    assert_eq!((app.live_code(emma), recipients(&app).len(), app.alerts().len()), (None, 3, 1));
    // The person gives a pass by CreateTap.
    assert_eq!(app.create_tap("emma.brooks@contoso.example").await.0, 201);
    app.sweep().await;
    assert!(app.live_code(emma).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_moved_start_does_not_carry_a_pass_to_a_late_address() {
    let (app, emma) = mailed(&[]).await;
    app.wait_until("2026-11-26T20:00:00Z");
    set_address(&app, emma, NEW);
    change(&app, emma, |person| person.hire_date = Some(time("2026-11-30T00:00:00Z")));
    assert_eq!(outcomes(&app.sweep().await), ["revoked"]);
    assert_eq!((app.live_code(emma), recipients(&app)), (None, vec![OLD.to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_removed_address_keeps_the_pass_and_is_told_once() {
    let (app, emma) = mailed(&[]).await;
    let code = app.live_code(emma);
    change(&app, emma, |person| person.other_mails.clear());
    let ends = app.sweep_daily(2).await;
    assert_eq!(outcomes(&ends)[0], "blocked", "{ends:?}");
    assert_eq!((app.live_code(emma), app.alerts().len()), (code, 1));
    assert!(text(&app.alerts()).contains("the pass still works"), "{}", text(&app.alerts()));
    // The mailbox with the code hears of a new name all the same.
    rename(&app, emma, "emma.smith@contoso.example");
    app.sweep().await;
    app.advance(chrono::TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!((recipients(&app), app.alerts().len()), (vec![OLD.to_owned(); 2], 1));
    // Put back, it is as before; another one is a correction.
    set_address(&app, emma, OLD);
    app.sweep().await;
    assert_eq!((recipients(&app).len(), app.alerts().len()), (2, 1));
    set_address(&app, emma, NEW);
    app.advance(chrono::TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!(recipients(&app), [OLD, OLD, NEW, OLD]);
}

#[tokio::test(start_paused = true)]
async fn another_value_that_does_not_change_the_address_changes_nothing() {
    let (app, emma) = mailed(&[]).await;
    change(&app, emma, |person| person.other_mails = vec![OLD.to_uppercase(), NEW.to_owned()]);
    app.sweep_daily(1).await;
    change(&app, emma, |person| {
        person.extension_attributes[3] = Some("blue".into());
    });
    app.sweep_daily(1).await;
    assert_eq!((recipients(&app).len(), app.alerts().len()), (1, 0));
    set_address(&app, emma, THIRD);
    app.sweep().await;
    assert_eq!(recipients(&app), [OLD, THIRD, OLD]);
}

#[tokio::test(start_paused = true)]
async fn a_new_sign_in_name_is_told_without_a_code() {
    let (app, emma) = mailed(&[]).await;
    let code = app.live_code(emma).unwrap();
    rename(&app, emma, "emma.smith@contoso.example");
    let ends = app.sweep_daily(1).await;
    assert_eq!(outcomes(&ends), ["skipped"], "{ends:?}");
    assert_eq!(app.live_code(emma), Some(code.clone()), "the pass still works");
    let mails = app.pass_mails();
    assert_eq!(recipients(&app), [OLD, OLD]);
    assert!(content(&mails[1]).contains("emma.smith@contoso.example"), "{}", content(&mails[1]));
    assert_eq!(with_code(&mails[1..], &[code]), [] as [&str; 0]);
    assert_eq!(app.alerts().len(), 0);
    app.sweep_daily(1).await;
    assert_eq!(app.pass_mails().len(), 2, "once");
    // Two systems that overwrite each other's names.
    for name in ["emma.brooks", "emma.smith", "emma.brooks", "emma.smith"] {
        rename(&app, emma, &format!("{name}@contoso.example"));
        app.advance(chrono::TimeDelta::hours(1));
        app.sweep().await;
    }
    assert_eq!(app.pass_mails().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_change_minutes_after_a_mail_is_not_forgotten() {
    let (app, emma) = mailed(&[]).await;
    for (minutes, mails) in [(60, 2), (2, 2), (60, 3)] {
        rename(&app, emma, &format!("emma.{minutes}.{mails}@contoso.example"));
        app.advance(chrono::TimeDelta::minutes(minutes));
        app.sweep().await;
        assert_eq!(app.pass_mails().len(), mails, "{minutes}");
    }
    // An address is not forgotten either, once replicas show it.
    let (app, emma) = mailed(&[]).await;
    rename(&app, emma, "emma.smith@contoso.example");
    app.sweep_daily(1).await;
    app.advance(chrono::TimeDelta::minutes(2));
    set_address(&app, emma, NEW);
    app.sweep().await;
    assert_eq!(recipients(&app), [OLD, OLD], "replicas may lag");
    app.advance(chrono::TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!(recipients(&app), [OLD, OLD, NEW, OLD]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_could_not_be_told_is_told_by_the_next_try() {
    let (app, emma) = mailed(&[]).await;
    rename(&app, emma, "emma.smith@contoso.example");
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(503)).times(8));
    app.advance(chrono::TimeDelta::hours(1));
    let ends = app.sweep().await;
    assert!(ends[0].deliveries > 1, "{ends:?}");
    assert_eq!(recipients(&app), [OLD, OLD]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_of_a_name_after_the_pass() {
    let (app, emma) = mailed(&[]).await;
    app.wait_until("2026-11-27T09:00:00Z");
    use_pass(&app, emma);
    rename(&app, emma, "emma.smith@contoso.example");
    set_address(&app, emma, NEW);
    app.sweep().await;
    app.sweep_daily(1).await;
    assert_eq!((recipients(&app).len(), app.alerts().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_usage_location_that_comes_after_the_mail_moves_the_window() {
    for (country, opens_at) in [("US", "2026-11-27T12:00:00Z"), ("GB", "2026-11-27T07:00:00Z")] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |person| person.usage_location = None);
        let app = TestApp::new(tenant, &[("TIME_ZONE", "Europe/London")]);
        app.sweep().await;
        change(&app, emma, |person| person.usage_location = Some(country.to_owned()));
        if country == "US" {
            change(&app, emma, |person| person.state = Some("NY".to_owned()));
        }
        app.sweep_daily(1).await;
        let passes = app.sandbox.passes();
        let early = time(opens_at) - passes[0].opens_at;
        assert!((30..60).contains(&early.num_seconds()), "{country}: {early}");
        let is_moved = country == "US";
        assert_eq!(app.pass_mails().len(), if is_moved { 2 } else { 1 }, "{country}");
        if is_moved {
            app.assert_newest_mail_has_live_code(emma);
            assert!(content(&app.pass_mails()[1]).contains("another time"), "{:?}", app.pass_mails()[1]);
        }
        assert_eq!(app.alerts().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_changes_after_the_opening_moves_nothing() {
    let (app, emma) = mailed(&[]).await;
    app.wait_until("2026-11-27T07:30:00Z");
    change(&app, emma, |person| person.usage_location = Some("JP".to_owned()));
    app.sweep().await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_is_changed_mails_nobody_again() {
    for setting in [
        ("HIRE_DATE_ZONE", "America/New_York"),
        ("TIME_ZONE", "Asia/Tokyo"),
        ("DAY_ONE_TIME", "10:00"),
        ("MAIL_TO", "extensionAttribute5,otherMails"),
        ("MAIL_TO", "manager"),
        ("TENANT_DOMAINS", "mail.example"),
        ("MAIL_CC", "none"),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |person| {
            person.usage_location = None;
            person.extension_attributes[4] = Some(THIRD.into());
        });
        let app = TestApp::new(tenant, &[]);
        app.sweep().await;
        let code = app.live_code(emma);
        let app = app.with_settings(&[setting]);
        app.sweep_daily(1).await;
        // Nor does a change of something else bring the setting to effect.
        change(&app, emma, |person| {
            person.extension_attributes[8] = Some("licence E5".into());
            person.aliases.push("emma.b@contoso.example".into());
        });
        app.sweep_daily(1).await;
        assert_eq!(app.run_job(emma).await.outcome, "skipped", "{setting:?}");
        app.sweep_daily(2).await;
        assert_eq!(
            (app.pass_mails().len(), app.alerts().len()),
            (1, 0),
            "{setting:?}: {}",
            text(&app.alerts())
        );
        assert_eq!(app.live_code(emma), code, "{setting:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_without_what_it_rests_on_takes_todays_values() {
    let (app, emma) = mailed(&[]).await;
    for is_newer in [false, true] {
        let (mut record, etag) = app.ledger().read(emma).await.unwrap().unwrap();
        let told = record.announcement.as_mut().unwrap();
        match (&mut told.basis, is_newer) {
            (Some(basis), true) => (basis.version, basis.sign_in_name) = (2, "other".into()),
            (basis, _) => *basis = None,
        }
        app.ledger().write(emma, &record, Some(&etag)).await.unwrap();
        app.sweep_daily(1).await;
        assert_eq!((app.pass_mails().len(), app.alerts().len()), (1, 0));
        change(&app, emma, |person| person.department = Some(format!("new {is_newer}")));
        change(&app, emma, |person| person.city = Some(format!("new {is_newer}")));
        app.sweep().await;
        let told = app.record(emma).await.unwrap().announcement.unwrap();
        assert_eq!(told.basis.map(|basis| basis.version), Some(1), "{is_newer}");
    }
    rename(&app, emma, "emma.smith@contoso.example");
    app.sweep_daily(1).await;
    assert_eq!(app.pass_mails().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_manager_is_told_without_the_code() {
    let (app, emma) = mailed(&[]).await;
    let code = app.live_code(emma).unwrap();
    let new = app.sandbox.edit(|tenant| tenant.add_mailbox(Person::named("Ines Vogt")));
    change(&app, emma, |person| person.manager = Some(new));
    app.sweep_daily(1).await;
    assert_eq!(recipients(&app), [OLD, "ines.vogt@contoso.example"]);
    let mails = app.pass_mails();
    assert!(content(&mails[1]).contains("Emma Brooks"), "{}", content(&mails[1]));
    assert_eq!(with_code(&mails[1..], &[code]), [] as [&str; 0]);
    app.sweep_daily(1).await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_manager_who_is_not_to_know_or_has_left_is_not_told() {
    for (settings, has_left) in [(&[("MAIL_CC", "none")][..], false), (&[], true)] {
        let (app, emma) = mailed(settings).await;
        let new = app.sandbox.edit(|tenant| {
            let person = Person::named("Ines Vogt");
            tenant.add_mailbox(if has_left { person.disabled() } else { person })
        });
        change(&app, emma, |person| person.manager = Some(new));
        app.sweep_daily(3).await;
        assert_eq!((app.pass_mails().len(), app.alerts().len()), (1, 0), "{has_left}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_manager_who_has_the_code_and_is_replaced_is_a_corrected_address() {
    let (app, emma) = mailed(&[("MAIL_TO", "manager")]).await;
    let new = app.sandbox.edit(|tenant| tenant.add_mailbox(Person::named("Ines Vogt")));
    change(&app, emma, |person| person.manager = Some(new));
    app.sweep_daily(1).await;
    app.assert_mail_has_live_code(emma, 1);
    assert_eq!(
        recipients(&app),
        ["grace.hall@contoso.example", "ines.vogt@contoso.example", "grace.hall@contoso.example"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pass_of_the_helpdesk_does_not_lift_a_hold() {
    let (app, emma) = mailed(&[]).await;
    app.wait_until("2026-11-26T08:00:00Z");
    set_address(&app, emma, NEW);
    app.sweep().await;
    assert_eq!((app.live_code(emma), recipients(&app).len()), (None, 1));
    let spec = PassSpec::opening(time("2026-11-26T12:00:00Z")).lasting(60);
    app.sandbox.edit(|tenant| tenant.add_pass(emma, spec));
    let code = app.live_code(emma);
    app.sweep().await;
    assert_eq!((app.live_code(emma), recipients(&app).len()), (code, 1), "it stays");
    app.sweep_daily(1).await;
    assert_eq!((recipients(&app).len(), app.alerts().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn many_corrections_at_once_wait_for_an_approval() {
    let (app, joiners) = four_mailed().await;
    for (n, joiner) in joiners.iter().enumerate() {
        set_address(&app, *joiner, &format!("j{n}@attacker.example"));
    }
    app.sweep_daily(2).await;
    assert_eq!(app.pass_mails().len(), 4, "only the first mails");
    assert!(joiners.iter().all(|joiner| app.live_code(*joiner).is_some()));
    assert!(text(&app.alerts()).contains("Too many passes to mail at once"), "{}", text(&app.alerts()));
}

#[tokio::test(start_paused = true)]
async fn only_the_address_that_has_the_code_counts() {
    const BOUNCING: &str = "bouncing@mail.example";
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.other_mails = vec![BOUNCING.into(), OLD.into()]);
    tenant.undeliverable.extend([BOUNCING.to_owned()]);
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    assert_eq!(recipients(&app), [OLD]);
    // The one that Exchange refused is removed.
    set_address(&app, emma, OLD);
    app.sweep_daily(1).await;
    assert_eq!((recipients(&app).len(), app.alerts().len()), (1, 0));
    // Somebody puts the address of the code behind another one.
    change(&app, emma, |person| person.other_mails = vec![NEW.into(), OLD.into()]);
    app.sweep_daily(1).await;
    assert_eq!((recipients(&app).len(), app.alerts().len()), (1, 0));
    change(&app, emma, |person| person.other_mails = vec![NEW.into()]);
    app.sweep_daily(1).await;
    assert_eq!(recipients(&app), [OLD, NEW, OLD]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_others_get_after_the_mail_costs_no_pass() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.other_mails.push(NEW.into()));
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    let code = app.live_code(emma);
    app.sandbox.edit(|tenant| {
        for n in 0..3 {
            let person = Person::named(&format!("Joiner {n}")).usage_location("GB").private_mail(OLD);
            tenant.add(person.hire_date(time("2026-11-28T00:00:00Z")));
        }
    });
    app.sweep_daily(1).await;
    change(&app, emma, |person| person.extension_attributes[8] = Some("licence E5".into()));
    app.sweep_daily(3).await;
    assert_eq!((app.live_code(emma), recipients(&app)), (code, vec![OLD.to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn managers_that_alternate_get_three_mails() {
    let (app, emma) = mailed(&[]).await;
    let [ines, noah] = ["Ines Vogt", "Noah Reed"]
        .map(|name| app.sandbox.edit(|tenant| tenant.add_mailbox(Person::named(name))));
    for manager in [ines, noah, ines, noah, ines] {
        change(&app, emma, |person| {
            person.manager = Some(manager);
            person.city = Some(manager.to_string());
        });
        app.advance(chrono::TimeDelta::hours(13));
        app.sweep().await;
    }
    assert_eq!(app.pass_mails().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_correction_to_an_address_that_exchange_refuses_is_told_at_once() {
    let (app, emma) = mailed(&[]).await;
    app.sandbox.edit(|tenant| tenant.undeliverable.extend([THIRD.to_owned()]));
    set_address(&app, emma, THIRD);
    let ends = app.sweep_daily(2).await;
    assert!(ends.iter().all(|end| end.outcome == "blocked" && end.deliveries == 1), "{ends:?}");
    assert_eq!((app.live_code(emma), app.alerts().len()), (None, 1), "{}", text(&app.alerts()));
    assert!(text(&app.alerts()).contains("Exchange refuses e…@home.example"), "{}", text(&app.alerts()));
    // The typo is corrected.
    set_address(&app, emma, NEW);
    app.sweep_daily(1).await;
    assert_eq!(recipients(&app), [OLD, NEW, OLD]);
    app.assert_mail_has_live_code(emma, 1);
}

#[tokio::test(start_paused = true)]
async fn a_correction_whose_pass_cannot_be_made_is_tried_again() {
    let (app, emma) = mailed(&[]).await;
    set_address(&app, emma, NEW);
    app.sandbox.inject(Fault::on("POST", PASS_PATH, fail_with(500)).times(12));
    app.sweep_daily(1).await;
    app.sweep_daily(1).await;
    assert_eq!(recipients(&app), [OLD, NEW, OLD]);
    app.assert_mail_has_live_code(emma, 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_before_the_one_that_has_the_code_gets_no_code_for_this_start() {
    let (app, emma) = mailed(&[]).await;
    change(&app, emma, |person| person.other_mails.insert(0, "attacker@post.example".into()));
    change(&app, emma, |person| person.hire_date = Some(time("2026-11-28T00:00:00Z")));
    app.sweep_daily(1).await;
    assert_eq!(recipients(&app), [OLD, OLD]);
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn people_without_a_usable_address_do_not_hold_back_others() {
    let (app, joiners) = four_mailed().await;
    // HR's placeholder for all of them: nobody would be mailed there.
    for joiner in &joiners {
        set_address(&app, *joiner, "hr@agency.example");
    }
    app.sandbox.edit(|tenant| {
        let person = Person::named("Zoe Hart").usage_location("GB").private_mail("zoe@mail.example");
        tenant.add(person.hire_date(time("2026-11-27T00:00:00Z")))
    });
    app.sweep_daily(1).await;
    assert_eq!(recipients(&app).last().map(String::as_str), Some("zoe@mail.example"));
    assert!(!text(&app.alerts()).contains("Too many passes"), "{}", text(&app.alerts()));
}
