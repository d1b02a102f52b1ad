//! A manager gets mail about a joiner, with or without the code, only as a colleague: an enabled member of the tenant with a mailbox
//! there.

use firstpass::ledger::Notice;
use firstpass_sandbox::tenant::{Contact, NullForm, NullProperty, Permission, Person, Tenant};
use serde_json::json;
use uuid::Uuid;

use super::follow_up::MANAGER;
use crate::{
    helpers::{TestApp, cc_addresses, log_capture::capture_log, tenant_with_emma, to_address},
    http::call_for,
};

const PRIVATE: &str = "emma.brooks@mail.example";

type Change = fn(&mut Tenant, Uuid, Uuid);

/// What becomes of Emma's manager, and what an admin reads where the manager is the only recipient.
const UNFIT: [(&str, Change, &str); 7] = [
    ("a guest", |t, _, m| t.change(m, |m| m.guest = true), "the manager is a guest"),
    (
        "an invited member",
        |t, _, m| t.change(m, |m| m.user_principal_name = "grace_x.example#EXT#@contoso.example".into()),
        "the manager is a guest",
    ),
    (
        "a contact",
        |t, emma, _| {
            let contact = t.add_contact(Contact::named("Grace Hall", MANAGER));
            t.change(emma, |emma| emma.manager = Some(contact));
        },
        "the manager is a contact",
    ),
    ("a leaver", |t, _, m| t.change(m, |m| m.enabled = false), "the manager's account is not enabled"),
    (
        "a mailbox elsewhere",
        |t, _, m| t.change(m, |m| m.mail = Some("grace@gmail.example".into())),
        "the manager's mailbox g…@gmail.example is in no known domain of the tenant",
    ),
    (
        "a mailbox of another tenant",
        |t, _, m| t.change(m, |m| m.mail = Some("grace@evil.onmicrosoft.com".into())),
        "the manager's mailbox g…@evil.onmicrosoft.com is in no known domain of the tenant",
    ),
    (
        "an address that looks like the tenant's",
        |t, _, m| t.change(m, |m| m.mail = Some("grace@cont\u{43e}so.example".into())),
        "the manager has no mailbox",
    ),
];

fn app(change: Change, settings: &[(&str, &str)]) -> (TestApp, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    let manager = tenant.users[&emma].manager.unwrap();
    change(&mut tenant, emma, manager);
    (TestApp::new(tenant, settings), emma)
}

#[tokio::test(start_paused = true)]
async fn only_a_colleague_gets_a_copy() {
    for (case, change, why) in UNFIT {
        for to in ["otherMails", "manager,otherMails"] {
            let (app, emma) = app(change, &[("MAIL_TO", to), ("MAIL_CC_CODE", "true")]);
            let (end, log) = capture_log("info", app.run_job(emma)).await;
            assert_eq!(end.outcome, "delivered", "{case}: {end:?}");
            let mails = app.pass_mails();
            assert_eq!((mails.len(), to_address(&mails[0])), (1, PRIVATE), "{case}, {to}");
            assert_eq!(cc_addresses(&mails[0]), Vec::<&str>::new(), "{case}, {to}");
            assert!(!mails[0].to_string().contains("Grace Hall"), "{case}: nobody is told to ask them");
            let notices = app.record(emma).await.unwrap().notices;
            let notices: Vec<&str> = notices.iter().map(|notice| notice.kind.as_str()).collect();
            let expected = match why {
                "the manager's account is not enabled" => vec![Notice::MANAGER_LEFT],
                "the manager has no mailbox" => vec![],
                _ => vec![Notice::MANAGER_UNFIT],
            };
            assert_eq!(notices, expected, "{case}, {to}");
            assert_eq!(
                log.contains("event=manager.unfit"),
                expected == [Notice::MANAGER_UNFIT],
                "{case}: {log}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_manager_alone_gets_the_code_nobody_gets_it_in_place_of_a_colleague() {
    for (case, change, why) in UNFIT {
        let (app, emma) = app(change, &[("MAIL_TO", "manager")]);
        let answer = call_for(&app, emma, json!({"Deliver": "mail"})).await;
        assert_eq!(answer.problem(), (409, "no-address", None), "{case}");
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome, "blocked", "{case}: {end:?}");
        assert!(
            end.why.contains("there is no address to send the pass to") && end.why.contains(why),
            "{case}: {end:?}"
        );
        assert_eq!(
            (app.alerts().len(), app.pass_mails().len(), app.sandbox.passes().len()),
            (1, 0, 0),
            "{case}"
        );
    }
    let (app, emma) = app(|_, _, _| {}, &[("MAIL_TO", "manager")]);
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    assert_eq!(to_address(&app.pass_mails()[0]), MANAGER);
}

/// Most tenants have one domain, and nobody has to grant or set anything for it.
#[tokio::test(start_paused = true)]
async fn the_domain_of_the_managers_mailbox_is_known_in_each_way() {
    let elsewhere: Change = |t, _, m| t.change(m, |m| m.mail = Some("grace@fabrikam.example".into()));
    let named: Change = |t, _, m| {
        t.change(m, |m| {
            m.user_principal_name = "grace@fabrikam.example".into();
            m.mail = Some("grace.hall@fabrikam.example".into());
        })
    };
    let listed: Change = |t, _, m| {
        t.change(m, |m| m.mail = Some("grace@fabrikam.example".into()));
        t.domains.push(("fabrikam.example".into(), true));
        t.granted.insert(Permission::DomainRead);
    };
    let unverified: Change = |t, _, m| {
        t.change(m, |m| m.mail = Some("grace@fabrikam.example".into()));
        t.domains.push(("fabrikam.example".into(), false));
        t.granted.insert(Permission::DomainRead);
    };
    let domains = ("TENANT_DOMAINS", "contoso.example,fabrikam.example");
    for (case, change, settings, is_copied) in [
        ("that of MAIL_FROM", (|_, _, _| {}) as Change, vec![], true),
        ("another", elsewhere, vec![], false),
        ("that of their sign-in name", named, vec![], true),
        ("one of TENANT_DOMAINS", elsewhere, vec![domains], true),
        ("one that Graph lists", listed, vec![], true),
        ("one that is not verified", unverified, vec![], false),
    ] {
        let (app, _) = app(change, &[&settings[..], &[("MAIL_CC_CODE", "true")]].concat());
        app.sweep().await;
        let mails = app.pass_mails();
        assert_eq!((mails.len(), cc_addresses(&mails[0]).len()), (1, usize::from(is_copied)), "{case}");
    }
}

/// Graph does not say whether the account is enabled: nothing goes there.
#[tokio::test(start_paused = true)]
async fn a_manager_of_whom_graph_says_too_little_gets_no_copy() {
    for form in [NullForm::Null, NullForm::Absent] {
        let (app, emma) = app(|_, _, _| {}, &[("MAIL_CC_CODE", "true")]);
        let (of, property) = ("user".to_owned(), "accountEnabled".to_owned());
        app.sandbox.edit(|t| t.null_property = Some(NullProperty { of, property, form }));
        assert_eq!(app.run_job(emma).await.outcome, "delivered");
        assert_eq!(cc_addresses(&app.pass_mails()[0]).len(), 0, "{form:?}");
    }
}

/// Mails without a code follow the same rule as those with one.
#[tokio::test(start_paused = true)]
async fn only_a_colleague_hears_that_the_joiner_has_not_signed_in_or_is_theirs_now() {
    for is_colleague in [true, false] {
        let (mut tenant, emma) = tenant_with_emma();
        let other = Person::named("Ola Nord");
        let other = tenant.add(match is_colleague {
            true => other,
            false => other.external_guest("ola@partner.example"),
        });
        let app = TestApp::new(tenant, &[]);
        app.sweep().await;
        app.sandbox.edit(|tenant| tenant.change(emma, |emma| emma.manager = Some(other)));
        app.sweep_daily(1).await;
        app.sweep_at(super::follow_up::OPEN).await;
        app.sweep_at("2026-11-27T11:30:00Z").await;
        let to_other =
            |mail: &serde_json::Value| !to_address(mail).contains("emma") && to_address(mail).contains("ola");
        let notes = app.pass_mails().iter().filter(|mail| to_other(mail)).count();
        // That the joiner is theirs, and that they were reminded.
        assert_eq!(notes, if is_colleague { 2 } else { 0 });
    }
}

/// Sign-in names in onmicrosoft.com, MAIL_FROM in a sub-domain, no `Domain.Read.All`: only the addresses in Exchange show the domain.
#[tokio::test(start_paused = true)]
async fn the_domain_of_the_joiners_own_mailbox_is_the_tenants() {
    let onmicrosoft: Change = |t, emma, manager| {
        for (user, name) in
            [(emma, "emma@contoso.onmicrosoft.com"), (manager, "grace@contoso.onmicrosoft.com")]
        {
            t.change(user, |user| user.user_principal_name = name.into());
        }
    };
    let settings = [("MAIL_TO", "manager"), ("MAIL_FROM", "hello@welcome.contoso.example")];
    let (app, _) = self::app(onmicrosoft, &settings);
    let ends = app.sweep().await;
    assert!(!ends[0].why.contains("in no known domain"), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_manager_who_may_get_no_mail_is_not_called_told() {
    let (app, emma) = self::app(|_, _, _| {}, &[]);
    app.sweep().await;
    let mails = app.sandbox.mails().len();
    app.sandbox.edit(|tenant| {
        let guest = tenant.add(Person::named("Ola Nord").external_guest("ola@partner.example"));
        tenant.change(emma, |emma| emma.manager = Some(guest));
    });
    let (ends, log) = capture_log("info", app.sweep_daily(1)).await;
    assert_eq!(app.sandbox.mails().len(), mails);
    assert!(!log.contains("manager.changed") && !log.contains("told-of-change"), "{ends:?} {log}");
    assert_eq!(app.record(emma).await.unwrap().announcement.unwrap().managers_told, 0);
    // It is settled: later sweeps have nothing to do.
    let (_, log) = capture_log("info", app.sweep_daily(1)).await;
    assert!(!log.contains("event=job.done"), "{log}");
}
