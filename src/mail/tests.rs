//! Whole mails, as a person reads them, and the rules for all of them.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use insta::assert_snapshot;
use minijinja::HtmlEscape;
use proptest::prelude::*;

use super::{templates::TEMPLATES, *};
use crate::{code::Code, templates::TemplateError, zone::zone};

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn code() -> Code {
    Code::new("Xk7+q<2&\"'")
}

fn mailer(company: Option<&str>, service_desk: ServiceDesk) -> Mailer {
    let company = company.map(str::to_owned);
    Mailer::new(MailOptions {
        company,
        default_language: "en".to_owned(),
        service_desk,
        ..MailOptions::default()
    })
    .unwrap()
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
        manager: Some("Charles Babbage"),
        day_one: NaiveDate::from_ymd_opt(2026, 11, 30),
        occasion: Occasion::First,
        follows_on: None,
    }
}

/// The mail as a person reads it: no tags, no blank lines.
fn read(mail: Rendered) -> String {
    let mut text = String::new();
    for (i, part) in mail.html.split('<').enumerate() {
        text += if i == 0 { part } else { part.split_once('>').unwrap().1 };
    }
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&amp;", "&")]
    {
        text = text.replace(entity, character);
    }
    let lines = text.replace("&#x2f;", "/");
    let lines: Vec<_> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    format!("Subject: {}\n\n{}", mail.subject, lines.join("\n"))
}

fn read_joiner(mailer: &Mailer, mail: &JoinerMail<'_>) -> String {
    read(mailer.joiner(mail).unwrap().with_code(&code()))
}

/// Every combination of what a template can ask for.
fn variants(language: &str) -> impl Iterator<Item = (Mailer, JoinerMail<'_>)> {
    let phone_only = ServiceDesk { phone: Some("12".to_owned()), ..ServiceDesk::default() };
    let mailers = [
        contoso(),
        mailer(None, ServiceDesk::default()),
        mailer(None, phone_only),
        mailer(Some("Contoso"), ServiceDesk::default()),
    ];
    let occasions =
        [Occasion::First, Occasion::Moved, Occasion::Again, Occasion::Corrected, Occasion::Retimed];
    (0..160).flat_map(move |bits: u32| {
        let is = move |bit: u32| bits & (1 << bit) != 0;
        let plain = ada(language);
        let mail = JoinerMail {
            times: PassTimes { one_time: is(0), opens_now: is(1), ..plain.times },
            occasion: occasions[(bits % 5) as usize],
            day_one: plain.day_one.filter(|_| is(3)),
            manager: plain.manager.filter(|_| is(4)),
            follows_on: plain.day_one.filter(|_| is(5)),
            ..plain
        };
        mailers.clone().map(|mailer| (mailer, mail))
    })
}

#[test]
fn a_joiner_reads_when_the_code_works_and_what_to_do() {
    assert_snapshot!("en_day_one", read_joiner(&contoso(), &ada("en")));
    assert_snapshot!("de_day_one", read_joiner(&contoso(), &ada("de")));
}

#[test]
fn a_code_that_works_now_and_several_times_says_so() {
    let times = PassTimes { one_time: false, ..now(8) };
    let now = |language| JoinerMail { times, day_one: None, ..ada(language) };
    assert_snapshot!("en_now", read_joiner(&contoso(), &now("en")));
    assert_snapshot!("de_now", read_joiner(&contoso(), &now("de")));
}

#[test]
fn what_is_not_known_is_left_out() {
    let mailer = mailer(None, ServiceDesk::default());
    let alone = |language| JoinerMail {
        reader: Reader { given_name: None, ..reader(language) },
        manager: None,
        ..ada(language)
    };
    assert_snapshot!("en_least", read_joiner(&mailer, &alone("en")));
    assert_snapshot!("de_least", read_joiner(&mailer, &alone("de")));
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
fn a_moved_first_day_comes_with_a_reason_for_the_second_mail() {
    let moved = |language| JoinerMail { occasion: Occasion::Moved, ..ada(language) };
    assert_snapshot!("en_moved", read_joiner(&contoso(), &moved("en")));
    assert_snapshot!("de_moved", read_joiner(&contoso(), &moved("de")));
}

#[test]
fn a_code_that_ended_unused_is_followed_by_another_with_the_reason() {
    for language in ["en", "de"] {
        let again = JoinerMail { occasion: Occasion::Again, ..ada(language) };
        assert_snapshot!(format!("{language}_again"), read_joiner(&contoso(), &again));
    }
}

#[test]
fn a_code_for_another_address_or_time_says_why_it_comes() {
    for language in ["en", "de"] {
        for (occasion, name) in [(Occasion::Corrected, "corrected"), (Occasion::Retimed, "retimed")] {
            let mail = JoinerMail { occasion, ..ada(language) };
            assert_snapshot!(format!("{language}_{name}"), read_joiner(&contoso(), &mail));
        }
    }
}

#[test]
fn a_new_sign_in_name_comes_without_the_code() {
    for language in ["en", "de"] {
        let mail = ReminderMail { reader: reader(language), times: ada(language).times };
        assert_snapshot!(format!("{language}_renamed"), read(contoso().renamed(&mail).unwrap()));
    }
}

#[test]
fn the_note_to_an_old_address_names_nobody() {
    for language in ["en", "de"] {
        let note = contoso().address_changed(language, Some("DE")).unwrap();
        assert!(!note.html.contains("Ada") && !note.html.contains("ada."), "{}", note.html);
        assert_snapshot!(format!("{language}_address"), read(note));
        for mailer in [mailer(None, ServiceDesk::default()), mailer(None, full_desk())] {
            mailer.address_changed(language, None).unwrap();
        }
    }
}

#[test]
fn a_first_code_can_announce_the_next() {
    let day = NaiveDate::from_ymd_opt(2026, 12, 1);
    assert_snapshot!("en_follows", read_joiner(&contoso(), &JoinerMail { follows_on: day, ..ada("en") }));
    assert_snapshot!("de_follows", read_joiner(&contoso(), &JoinerMail { follows_on: day, ..ada("de") }));
}

#[test]
fn a_reminder_says_where_the_code_is_and_how_long_it_works() {
    for language in ["en", "de"] {
        let (reader, times) =
            (reader(language), PassTimes { made_at: utc("2026-11-22T05:00:00Z"), ..ada(language).times });
        assert_snapshot!(
            format!("{language}_reminder"),
            read(contoso().reminder(&ReminderMail { reader, times }).unwrap())
        );
    }
}

#[test]
fn a_manager_reads_what_keeps_the_joiner_from_signing_in() {
    for language in ["en", "de"] {
        let options = MailOptions {
            company: Some("Contoso".into()),
            default_language: language.into(),
            ..MailOptions::default()
        };
        let mailer = Mailer::new(options).unwrap();
        for what in ["unused", "disabled", "new"] {
            let is_disabled = what == "disabled";
            let mail = ManagerMail {
                manager: Some("Charles Babbage").filter(|_| !is_disabled),
                usage_location: Some("DE"),
                joiner: "Ada Lovelace",
                opens_at: utc("2026-11-30T06:00:00Z"),
                closes_at: utc("2026-12-01T06:00:00Z"),
                zone: zone("Europe/Berlin"),
                is_disabled,
                is_new: what == "new",
                has_code: is_disabled && language == "de",
            };
            assert_snapshot!(format!("{language}_manager_{what}"), read(mailer.manager(&mail).unwrap()));
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
fn a_notice_tells_of_a_pass_and_whom_to_call() {
    for language in ["en", "de"] {
        assert_snapshot!(format!("{language}_notice"), read(contoso().notice(&notice(language)).unwrap()));
    }
}

#[test]
fn a_notice_renders_in_every_language_with_whatever_is_known() {
    for language in Mailer::languages() {
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

#[test]
fn the_html_is_what_mail_clients_can_show() {
    let html = contoso().joiner(&ada("en")).unwrap().with_code(&code()).html;
    assert_snapshot!("en_html", html);
    for banned in ["<script", "<img", "<link", "<style", "src=", "url(", "@import"] {
        assert!(!html.contains(banned), "{banned}");
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
fn every_language_renders_in_every_variant() {
    assert!(Mailer::languages().contains(&"en") && Mailer::languages().contains(&"de"));
    for language in Mailer::languages() {
        for (mailer, mail) in variants(language) {
            let draft = mailer.joiner(&mail).unwrap_or_else(|error| panic!("{error}\n{mail:?}"));
            assert_eq!(draft.language(), language);
            assert!(!draft.subject().is_empty());
            let html = draft.with_code(&code()).html;
            assert_eq!(html.matches("Xk7+q&lt;2&amp;&quot;&#x27;").count(), 1, "{language}");
            assert!(html.contains(&format!(r#"<html lang="{language}" dir="#)));
        }
    }
}

#[test]
fn every_folder_is_a_language_with_all_its_mails() {
    let folders: BTreeSet<_> = TEMPLATES
        .templates()
        .filter_map(|(name, _)| name.split_once('/'))
        .map(|(folder, _)| folder)
        .collect();
    assert_eq!(folders.into_iter().collect::<Vec<_>>(), Mailer::languages());
    for language in Mailer::languages() {
        let canonical = icu_locale::LanguageIdentifier::try_from_str(language).unwrap().to_string();
        assert_eq!(language, canonical, "the folder's name is no BCP 47 tag in its usual spelling");
        let all = ["joiner", "moved", "again", "corrected", "retimed"];
        for mail in [&all[..], &["notice", "reminder", "renamed", "address", "manager"]].concat() {
            for kind in ["html", "subject.txt"] {
                TEMPLATES.get_template(&format!("{language}/{mail}.{kind}.j2")).unwrap();
            }
        }
    }
}

#[test]
fn templates_use_known_names_only() {
    let mailer = contoso();
    let joiner = serde_json::to_value(mailer.joiner_values(&ada("en")).unwrap()).unwrap();
    let mut known: BTreeSet<_> = joiner.as_object().unwrap().keys().cloned().collect();
    known.insert("code".to_owned());
    known.extend(["ticket_url", "is_by_manager"].map(str::to_owned));
    known.extend(["joiner", "is_disabled", "is_new", "has_code"].map(str::to_owned));
    for (name, template) in TEMPLATES.templates() {
        let mut unknown = template.undeclared_variables(false);
        unknown.retain(|variable| !known.contains(variable));
        if name == "en/alert.html.j2" || name == "en/alert.subject.txt.j2" {
            let alert = ["headline", "who", "what_happened", "what_to_do", "reference", "at"];
            unknown.retain(|variable| !alert.contains(&variable.as_str()));
        }
        assert!(unknown.is_empty(), "templates/{name} uses {unknown:?}");
    }
}

#[test]
fn a_template_mistake_is_an_error_before_there_is_a_code() {
    let missing = contoso().joiner(&ada("xx")).unwrap_err();
    assert!(
        matches!(&missing, MailError::Template(TemplateError { name, .. }) if name == "xx/joiner.subject.txt.j2")
    );
    assert!(missing.to_string().starts_with("templates/xx/joiner.subject.txt.j2 does not render: "));

    let error = TEMPLATES.render_str("{{ manager }}", context! { manager => None::<&str> }).unwrap_err();
    assert!(error.to_string().contains("this value can be missing"), "{error}");
    assert!(TEMPLATES.render_str("{{ codr }}", context! { code => "" }).is_err());
    assert_eq!(Marker::new().split("no code in here"), None);
}

#[test]
fn a_default_language_without_mails_is_refused() {
    let options = MailOptions { default_language: "kl".to_owned(), ..MailOptions::default() };
    let error = Mailer::new(options).unwrap_err();
    assert!(matches!(error, MailError::UnknownLanguage { .. }));
    let available = Mailer::languages().join(", ");
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
    let options = MailOptions { default_language: "de-DE".to_owned(), ..MailOptions::default() };
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn names_and_codes_are_escaped(
        name in "\\PC*|[<>&\"'\\n\\r{}%a]*",
        secret in "[!-~]{8,48}",
    ) {
        let plain = contoso().joiner(&ada("de")).unwrap().with_code(&Code::new("plain"));
        let mail = JoinerMail {
            reader: Reader {
                given_name: None,
                display_name: &name,
                user_principal_name: &name,
                ..reader("de")
            },
            manager: Some(&name),
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
