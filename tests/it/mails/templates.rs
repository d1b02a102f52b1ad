//! Templates of a folder.

use std::{fs, path::Path};

use chrono::TimeDelta;

use super::Folder;
use crate::helpers::{TestApp, source, tenant_with_emma};

fn alerts_about_templates(app: &TestApp) -> Vec<String> {
    let contents = app.alerts().into_iter().map(|mail| mail["body"]["content"].as_str().unwrap().to_owned());
    contents
        .filter(|content| content.contains("Templates of mails are broken"))
        .map(|content| content.replace("&#x2f;", "/"))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_sentence_of_the_admins_reaches_the_joiner() {
    let folder = Folder::new();
    folder.copy("de", "de", |name, text| match name {
        "joiner.html.j2" => text.replace("{% block content %}", "{% block content %}<p>Servus aus Wien!</p>"),
        _ => text,
    });
    let (mut tenant, emma) = tenant_with_emma();
    tenant.users.get_mut(&emma).unwrap().preferred_language = Some("de_AT".into());
    let app = TestApp::new(tenant, &[("MAIL_TEMPLATES", folder.name())]);
    app.sweep().await;
    let mail = app
        .pass_mails()
        .into_iter()
        .find(|mail| mail["body"]["content"].to_string().contains("Servus aus Wien!"));
    assert!(mail.is_some());
    assert_eq!(alerts_about_templates(&app).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_language_stops_nobody_and_is_told_once() {
    let folder = Folder::new();
    folder.copy("de", "de", |name, text| match name {
        "joiner.html.j2" => text.replace("{{ part.account(user_principal_name) }}", "{{ sign_in_nme }}"),
        _ => text,
    });
    let (mut tenant, emma) = tenant_with_emma();
    tenant.users.get_mut(&emma).unwrap().preferred_language = Some("de".into());
    let app = TestApp::new(tenant, &[("MAIL_TEMPLATES", folder.name())]);
    app.sweep().await;
    app.assert_newest_mail_has_live_code(emma);
    assert!(app.pass_mails()[0]["subject"].as_str().unwrap().starts_with("Welcome"), "English serves");
    let alerts = alerts_about_templates(&app);
    assert_eq!(alerts.len(), 1);
    assert!(
        alerts[0].contains("templates/de/joiner.html.j2:") && alerts[0].contains("sign_in_nme"),
        "{}",
        alerts[0]
    );
    app.sweep_daily(3).await;
    assert_eq!(alerts_about_templates(&app).len(), 1, "it is said once");

    // Corrected, deployed, broken again: that is news.
    let app = app.with_settings(&[]);
    app.sweep_daily(1).await;
    let app = app.with_settings(&[("MAIL_TEMPLATES", folder.name())]);
    app.advance(TimeDelta::days(1));
    app.sweep().await;
    assert_eq!(alerts_about_templates(&app).len(), 2);
}

/// docs/TRANSLATING.md lists Microsoft's own names in each language, which the mails must use.
#[test]
fn the_terms_of_each_language_are_in_its_mails() {
    let page = source::read("docs/TRANSLATING.md");
    let (_, terms) = page.split_once("\n## Terms\n").unwrap();
    let rows: Vec<Vec<String>> = terms
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| |"))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().trim_end_matches(" *").to_owned())
                .collect()
        })
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let languages =
        fs::read_dir(&folder).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(rows.len(), languages - 1, "every language but English has a row");
    for row in rows {
        let files = fs::read_dir(folder.join(&row[0])).unwrap_or_else(|_| panic!("{row:?}"));
        let text: String =
            files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap().to_lowercase()).collect();
        for term in &row[1..] {
            assert!(text.contains(&term.to_lowercase()), "{}: {term}", row[0]);
        }
    }
}
