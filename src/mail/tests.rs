//! Whole mails, as a person reads them, and the rules for all of them.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use insta::assert_snapshot;
use minijinja::HtmlEscape;
use proptest::prelude::*;

use super::{sample::Scene, *};
use crate::{
    code::Code,
    settings::Device,
    templates::TemplateError,
    zone::{Tz, zone},
};

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn code() -> Code {
    Code::new("Xk7+q<2&\"'")
}

fn options(company: Option<&str>, service_desk: ServiceDesk) -> MailOptions {
    MailOptions {
        company: company.map(str::to_owned),
        default_language: "en".to_owned(),
        alert_language: "en".to_owned(),
        service_desk,
        ticket_hosts: vec!["help.contoso.example".to_owned()],
        ..MailOptions::default()
    }
}

fn mailer(company: Option<&str>, service_desk: ServiceDesk) -> Mailer {
    Mailer::new(options(company, service_desk)).unwrap()
}

fn contoso() -> Mailer {
    mailer(Some("Contoso"), full_desk())
}

fn full_desk() -> ServiceDesk {
    ServiceDesk {
        name: Some("Contoso IT Service Desk".to_owned()),
        email: Some("help@contoso.example".to_owned()),
        phone: Some("+49 30 1234 567".to_owned()),
        portal_url: Some("https://help.contoso.example/new?topic=sign-in&lang=de".to_owned()),
    }
}

fn reader(language: &str) -> Reader<'_> {
    Reader {
        language,
        usage_location: Some("DE"),
        given_name: Some("Ada"),
        display_name: "Ada Lovelace",
        user_principal_name: "ada.lovelace@contoso.example",
    }
}

/// A pass that works now, for `hours`.
fn now(hours: i64) -> PassTimes {
    let made_at = utc("2026-11-23T05:00:12Z");
    PassTimes {
        opens_at: made_at,
        opens_now: true,
        closes_at: made_at + TimeDelta::hours(hours),
        zone: zone("Europe/Berlin"),
        one_time: true,
        made_at,
    }
}

/// Ada starts in Berlin on a Monday in winter; her pass works for a day.
fn ada(language: &str) -> JoinerMail<'_> {
    let (opens_at, closes_at) = (utc("2026-11-30T06:00:00Z"), utc("2026-12-01T06:00:00Z"));
    JoinerMail {
        reader: reader(language),
        times: PassTimes { opens_at, opens_now: false, closes_at, ..now(0) },
        manager: Some(Onlooker { name: "Charles Babbage", has_code: false }),
        day_one: NaiveDate::from_ymd_opt(2026, 11, 30),
        occasion: Occasion::First,
        follows_on: None,
        steps: Steps::default(),
        code: CodePlace::Mail { letters: 10 },
    }
}

/// The mail as a person reads it.
fn read(mail: Rendered) -> String {
    format!("Subject: {}\n\n{}", mail.subject, plain_text(&mail.html))
}

fn read_joiner(mailer: &Mailer, mail: &JoinerMail<'_>) -> String {
    read(mailer.joiner(mail).unwrap().with_code(&code()))
}

#[test]
fn every_mail_of_every_language_is_as_it_was_read() {
    for language in contoso().languages() {
        let mails: Vec<String> = Kind::ALL
            .into_iter()
            .map(|kind| {
                let mail = contoso().sample(kind, Scene::of(language)).unwrap();
                format!("== {} ==\n{}", kind.name(), read(mail))
            })
            .collect();
        assert_snapshot!(language.as_str(), mails.join("\n\n"));
    }
}

#[test]
fn the_steps_fit_the_device_in_every_language() {
    for language in contoso().languages() {
        let mails: Vec<String> = Device::ALL
            .into_iter()
            .map(|device| {
                let method = if device == Device::Browser { Method::Authenticator } else { Method::Passkey };
                let scene =
                    Scene { device, method, one_time: !device.needs_several_uses(), ..Scene::of(language) };
                let mail = contoso().sample(Kind::Joiner, scene).unwrap();
                format!("== {} ==\n{}", device.word(), read(mail))
            })
            .collect();
        assert_snapshot!(format!("{language}_devices"), mails.join("\n\n"));
    }
}

/// Exchange makes the text part of a mail of its HTML. So a reader of that has every fact too, in the order of the HTML.
#[test]
fn as_text_every_fact_is_there_in_order() {
    for language in contoso().languages() {
        let mail = contoso().joiner(&ada(language)).unwrap().with_code(&code());
        let values = contoso().joiner_values(&ada(language)).unwrap();
        let of = |name: &str, part: &str| values.get_attr(name).unwrap().get_attr(part).unwrap().to_string();
        let facts = [
            "Contoso".to_owned(),
            values.get_attr("first_day").unwrap().to_string(),
            "ada.lovelace@contoso.example".to_owned(),
            code().reveal().to_owned(),
            of("opens", "date"),
            of("opens", "time"),
            of("opens", "zone"),
            of("closes", "date"),
            of("closes", "time"),
            "https://aka.ms/mysecurityinfo".to_owned(),
            "Charles Babbage".to_owned(),
            of("made", "date"),
            "Contoso IT Service Desk".to_owned(),
            "help@contoso.example".to_owned(),
            "+49 30 1234 567".to_owned(),
            "https://help.contoso.example/new?topic=sign-in&lang=de".to_owned(),
        ];
        let text = plain_text(&mail.html);
        let mut rest = text.as_str();
        for fact in facts {
            let at = rest
                .find(&fact)
                .unwrap_or_else(|| panic!("{language}: {fact:?} is not in\n{rest}\nof\n{text}"));
            rest = &rest[at + fact.len()..];
        }
    }
}

/// What an admin who copies the templates relies on: the check finds nothing in ours.
#[test]
fn the_check_finds_nothing_in_the_templates_of_the_binary() {
    let full = options(Some("Contoso"), full_desk());
    for language in contoso().languages() {
        assert_eq!(check::problems_of(&full, language), [], "{language}");
    }
    assert_eq!(check::problems_of(&options(None, ServiceDesk::default()), "en"), []);
}

#[test]
fn what_stands_for_a_missing_name_is_not_greeted() {
    let greeting = |given_name, display_name, language| {
        let mail =
            JoinerMail { reader: Reader { given_name, display_name, ..reader(language) }, ..ada(language) };
        let html = read_joiner(&contoso(), &mail);
        let hello = if language == "de" { "Guten Tag" } else { "Hello" };
        html.split_once(hello).unwrap().1.split_once(',').unwrap().0.trim().to_owned()
    };
    let none =
        ["N/A", ".", "-", "FNU", "fnu lnu", "(unknown)", "", " ", "\u{200b}", "\u{3164}", "123", "null"];
    for text in none {
        assert_eq!(greeting(Some(text), "Ada Byron", "en"), "Ada Byron", "{text:?}");
        assert_eq!(greeting(Some(text), text, "de"), "", "{text:?}");
    }
    for name in ["Na", "Ng", "O", "李", "Nullah", "Ünal", "N. A. Ada", "Анна"] {
        assert_eq!(greeting(Some(name), "x", "en"), name);
    }
}

#[test]
fn a_notice_names_the_manager_who_had_the_pass_made() {
    for language in ["en", "de"] {
        let notice = NoticeMail { manager: Some("Grace <Hall>"), ticket_url: None, ..notice(language) };
        let mail = contoso().notice(&notice).unwrap();
        assert!(mail.html.contains("Grace &lt;Hall&gt;"));
        assert_snapshot!(format!("{language}_notice_manager"), read(mail));
    }
}

#[test]
fn an_alert_says_what_to_do_next() {
    let alert = AlertMail {
        headline: "No pass for a joiner",
        who: "ada.lovelace@contoso.example",
        what_happened: "Ada Lovelace starts on 2026-11-30 and has no private address.\nNothing was created.",
        what_to_do: "Put the address into otherMails. The next sweep takes it up.",
        reference: "joiner/4a4c2f0e/2026-11-30",
        at: utc("2026-11-23T05:00:12Z"),
    };
    assert_snapshot!("alert", read(contoso().alert(&alert).unwrap()));

    let hostile = AlertMail { headline: "A\r\nBcc: <b>", who: "<script>", ..alert };
    let rendered = contoso().alert(&hostile).unwrap();
    assert_eq!(rendered.subject, "firstpass: A Bcc: <b> (<script>)");
    assert!(!rendered.html.contains("<script>") && !rendered.html.contains("<b>"));
}

#[test]
fn a_default_language_without_mails_is_refused() {
    let options = MailOptions { default_language: "kl".to_owned(), ..options(None, ServiceDesk::default()) };
    let error = Mailer::new(options).unwrap_err();
    assert!(matches!(error, MailError::UnknownLanguage { .. }));
    let available = contoso().languages().join(", ");
    assert_eq!(
        error.to_string(),
        format!(r#"there are no mails in "kl"; use one of {available}, or add templates/kl/"#)
    );
}

#[test]
fn the_language_is_the_preferred_one_then_the_country_s_then_the_default() {
    let mailer = contoso();
    for (preferred, country, expected) in [
        (Some("de-AT"), Some("US"), "de"),
        (Some("en-GB"), Some("DE"), "en"),
        (Some("qq"), Some("DE"), "de"),
        (None, Some("CH"), "de"),
        (None, Some("AT"), "de"),
        (None, Some("GB"), "en"),
        (None, Some("GL"), "en"),
        (Some("not a tag"), Some("not a country"), "en"),
        (Some(""), Some(""), "en"),
        (None, None, "en"),
    ] {
        assert_eq!(mailer.language_for(preferred, country), expected, "{preferred:?} {country:?}");
    }
    let options =
        MailOptions { default_language: "de-DE".to_owned(), ..options(None, ServiceDesk::default()) };
    assert_eq!(Mailer::new(options).unwrap().language_for(None, Some("GL")), "de");
}

#[test]
fn a_first_day_that_is_over_is_not_welcomed() {
    let late =
        |made_at| JoinerMail { times: PassTimes { made_at: utc(made_at), ..ada("en").times }, ..ada("en") };
    // 23:30 in Berlin on day one, and half past midnight on the day after.
    assert!(read_joiner(&contoso(), &late("2026-11-30T22:30:00Z")).contains("Welcome to Contoso"));
    assert!(!read_joiner(&contoso(), &late("2026-11-30T23:30:00Z")).contains("Welcome"));
}

#[test]
fn dates_follow_the_country_and_name_the_place() {
    let auckland = JoinerMail {
        reader: Reader { usage_location: Some("NZ"), ..reader("en") },
        times: PassTimes { zone: zone("Pacific/Auckland"), ..ada("en").times },
        ..ada("en")
    };
    assert!(
        read_joiner(&contoso(), &auckland).contains("30 November 2026 at 7:00\u{a0}pm (Auckland, UTC+13)")
    );
    let utc = JoinerMail { times: PassTimes { zone: Tz::UTC, ..ada("de").times }, ..ada("de") };
    assert!(read_joiner(&contoso(), &utc).contains("ab Montag, 30. November 2026, 06:00 Uhr (UTC)"));
}

#[test]
fn debug_output_has_no_code() {
    let draft = contoso().joiner(&ada("en")).unwrap();
    assert_eq!(format!("{draft:?}"), r#"Draft { language: "en", .. }"#);
    let subject = draft.subject().to_owned();
    let rendered = draft.with_code(&code());
    assert_eq!(format!("{rendered:?}"), format!("Rendered {{ subject: {subject:?}, .. }}"));
}

#[test]
fn a_template_mistake_is_an_error_before_there_is_a_code() {
    let missing = contoso().joiner(&ada("xx")).unwrap_err();
    assert!(
        matches!(&missing, MailError::Template(TemplateError { name, .. }) if name == "xx/joiner.subject.txt.j2")
    );
    assert!(missing.to_string().starts_with("templates/xx/joiner.subject.txt.j2 does not render: "));

    assert_eq!(Marker::new().split("no code in here"), None);
}

#[test]
fn a_notice_renders_in_every_language_with_whatever_is_known() {
    for language in contoso().languages() {
        for bits in 0..64 {
            let is = |bit: u32| bits & (1 << bit) != 0;
            let full = notice(language);
            let name = if is(5) { "Grace Hall" } else { "" };
            let notice = NoticeMail {
                times: PassTimes { opens_now: is(0), one_time: is(1), ..full.times },
                service_desk: if is(2) { full_desk() } else { ServiceDesk::default() },
                ticket_url: full.ticket_url.filter(|_| is(3)),
                manager: is(4).then_some(name),
                ..full
            };
            for mailer in [contoso(), mailer(None, full_desk())] {
                let mail = mailer.notice(&notice).unwrap_or_else(|error| panic!("{error}\n{notice:?}"));
                // Whom to call is what the call says, not what the mailer is set to.
                assert_eq!(mail.html.contains("help@contoso.example"), is(2));
                assert_eq!(mail.html.contains("4711?a=1&amp;b=2"), is(3));
            }
        }
    }
}

fn notice(language: &str) -> NoticeMail<'_> {
    NoticeMail {
        reader: reader(language),
        times: now(4),
        service_desk: full_desk(),
        ticket_url: Some("https://help.contoso.example/tickets/4711?a=1&b=2"),
        manager: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn names_and_codes_are_escaped(
        name in "\\PC*|[<>&\"'\\n\\r{}%a]*",
        secret in "[!-~]{8,48}",
    ) {
        // A name of nothing is left out, with what stands around it.
        prop_assume!(!name.trim().is_empty());
        let plain = contoso().joiner(&ada("de")).unwrap().with_code(&Code::new("plain"));
        let mail = JoinerMail {
            reader: Reader {
                given_name: None,
                display_name: &name,
                ..reader("de")
            },
            manager: Some(Onlooker { name: &name, has_code: true }),
            ..ada("de")
        };
        let company = mailer(Some(&name), full_desk());
        let draft = company.joiner(&mail).unwrap();
        prop_assert!(!draft.subject().contains(char::is_control));
        let rendered = draft.with_code(&Code::new(secret.as_str()));
        let [code, name] = [HtmlEscape(&secret), HtmlEscape(&name)].map(|text| format!(">{text}</"));
        prop_assert!(rendered.html.contains(&code) && rendered.html.contains(&name));
        for mark in ['<', '>', '"'] {
            prop_assert_eq!(rendered.html.matches(mark).count(), plain.html.matches(mark).count());
        }
    }
}

/// The same account under another name.
fn named(name: &str) -> Reader<'_> {
    Reader { given_name: Some(name), display_name: name, user_principal_name: name, ..reader("de") }
}

/// Every mail, with this text wherever somebody else writes it.
fn mails_about(text: &str) -> Vec<Rendered> {
    let mailer = mailer(Some(text), full_desk());
    let times = ada("de").times;
    let (steps, code_) = (Steps::default(), CodePlace::Mail { letters: 8 });
    let joiner = JoinerMail {
        reader: named(text),
        manager: Some(Onlooker { name: text, has_code: true }),
        ..ada("de")
    };
    let handover = HandoverMail {
        name: Some(text),
        joiner: named(text),
        times,
        day_one: None,
        is_new: true,
        joiner_is_told: true,
        letters: 8,
    };
    let told = ToldMail { name: Some(text), joiner: named(text), times, day_one: None, is_new: false };
    let manager = ManagerMail {
        manager: Some(text),
        usage_location: Some("DE"),
        joiner: text,
        opens_at: times.opens_at,
        closes_at: times.closes_at,
        zone: times.zone,
        is_disabled: false,
        is_new: false,
        has_code: false,
    };
    let about = ReminderMail { reader: named(text), times, steps, code: code_ };
    let person = DigestPerson { name: text.to_owned(), day: None, why: Some(text.to_owned()) };
    let list = vec![person];
    let digest = DigestMail {
        mailed: list.clone(),
        arrived: list.clone(),
        blocked: list.clone(),
        weak: list,
        ..DigestMail::default()
    };
    let alert = AlertMail {
        headline: text,
        who: text,
        what_happened: text,
        what_to_do: text,
        reference: text,
        at: times.made_at,
    };
    let notice = NoticeMail { reader: named(text), manager: Some(text), ..notice("de") };
    vec![
        mailer.joiner(&joiner).unwrap().with_code(&code()),
        mailer.joiner(&JoinerMail { occasion: Occasion::Corrected, ..joiner }).unwrap().with_code(&code()),
        mailer.welcome(&JoinerMail { code: CodePlace::From(Some(text)), ..joiner }).unwrap(),
        mailer.handover(&handover).unwrap().with_code(&code()),
        mailer.told(&told).unwrap(),
        mailer.manager(&manager).unwrap(),
        mailer.reminder(&about).unwrap(),
        mailer.renamed(&about).unwrap(),
        mailer.notice(&notice).unwrap(),
        mailer.alert(&alert).unwrap(),
        mailer.digest(&digest).unwrap(),
    ]
}

/// What HR, a caller or an attacker can put into a name.
#[test]
fn a_hostile_name_does_nothing_in_any_mail() {
    let long = "x".repeat(10_000);
    for hostile in [
        "<script>alert(1)</script>",
        "{{7*7}}{% for a in b %}",
        "Ada\r\nBcc: all@contoso.example\r\n\r\n",
        "\u{202e}ecalevoL adA",
        "A\u{200b}d\u{feff}a",
        "\"><img src=https://evil.example/x>",
        "' onmouseover='alert(1)",
        "https://evil.example/login",
        long.as_str(),
    ] {
        // As Graph's answer and the settings are read: without what nobody sees.
        let seen = crate::text::one_line(hostile);
        let name = crate::text::name(hostile).unwrap();
        for (mail, plain) in mails_about(&name).into_iter().zip(mails_about("Ada")) {
            let tags = |html: &str| html.matches('<').count();
            // A long sign-in name is written in another way.
            let is_long = name.chars().count() > 42;
            assert!(is_long || tags(&mail.html) == tags(&plain.html), "{hostile}: {}", mail.html);
            assert!(
                !mail.html.contains("<script") && !mail.html.contains("49{%") && !mail.html.contains("<img")
            );
            assert!(!mail.html.contains("href=\"https://evil") && !mail.html.contains("onmouseover='alert"));
            assert!(
                mail.subject.chars().count() <= 255 && !mail.subject.contains(char::is_control),
                "{}",
                mail.subject
            );
            assert!(
                !mail.subject.contains(['\u{202e}', '\u{200b}'])
                    && !mail.html.contains(['\u{202e}', '\u{200b}'])
            );
            assert!(mail.html.len() < 60_000, "{}", mail.html.len());
        }
        assert!(!seen.contains(['\r', '\n', '\u{202e}']));
    }
}
