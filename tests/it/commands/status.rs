//! `firstpass status`.

use std::sync::Arc;

use chrono::TimeDelta;
use firstpass::{
    cli::{
        revoke::Request,
        status::{self, Entry, html, list, name, one, person, table, to_json},
    },
    ledger::{Purpose, Record, State},
    pass::{Job, revoke::Then},
};
use firstpass_sandbox::tenant::{Fault, FaultKind, roles, samples};
use uuid::Uuid;

use super::with_noah;
use crate::{
    helpers::{NOW, TestApp, fail_with, tenant_with_emma, time},
    ledger::{blob_ledger, blob_service::BlobService},
};

impl TestApp {
    async fn entries(&self, is_all: bool) -> (Vec<Entry>, bool) {
        let mut entries = list(self.ledger(), is_all, self.sandbox.now()).await.unwrap();
        let is_named = name(Some(&self.app.services.graph), &mut entries).await;
        (entries, is_named)
    }

    /// The table, without the width of the terminal.
    async fn status(&self) -> String {
        let (entries, is_named) = self.entries(false).await;
        let (now, text) = (self.sandbox.now(), table(&entries, is_named, self.sandbox.now()));
        self.assert_no_code(&text);
        self.assert_no_code(&html(&entries, false, now).unwrap());
        self.assert_no_code(&to_json(&entries, false, now).to_string());
        // Cells that are broken into lines.
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Everything about one user.
    async fn status_of(&self, user: Uuid) -> String {
        let mut entries = vec![one(self.ledger(), user).await.unwrap()];
        name(Some(&self.app.services.graph), &mut entries).await;
        let now = self.sandbox.now();
        let text = person(&entries[0], now);
        self.assert_no_code(&text);
        self.assert_no_code(&html(&entries, true, now).unwrap());
        text
    }

    async fn words(&self, user: Uuid) -> (String, Option<String>) {
        let user = to_json(&[one(self.ledger(), user).await.unwrap()], true, self.sandbox.now());
        let user = &user["users"][0];
        let text = |field: &str| user[field].as_str().map(str::to_owned);
        (text("words").unwrap(), text("waitsFor"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_joiner_is_followed_from_the_mail_to_the_arrival() {
    let (app, emma) = TestApp::with_emma();
    assert!(one(app.ledger(), emma).await.unwrap_err().contains("no record"));
    app.sweep().await;
    let text = app.status().await;
    for words in ["Fri 27 Nov 2026", "Emma Brooks", "e…@mail.example", "Fri 27 Nov 07:00 – 15:00"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(app.words(emma).await, ("the pass works from Fri 27 Nov 07:00".to_owned(), None));
    app.advance(time("2026-11-27T09:00:00Z") - app.sandbox.now());
    assert!(app.words(emma).await.0.contains("works now, until Fri 27 Nov 15:00"));
    let pass = app.sandbox.passes().pop().unwrap();
    app.sandbox.edit(|tenant| tenant.use_pass(pass.id, time("2026-11-27T09:00:00Z")));
    app.sweep().await;
    let (words, waits) = app.words(emma).await;
    assert!(words.contains("in the account, seen Fri 27 Nov") && waits.is_none(), "{words}");
    let story = app.status_of(emma).await;
    let order =
        ["A job began", "was mailed to e…@mail.example", "began to work", "seen in the account", "will end"];
    let places: Vec<_> =
        order.iter().map(|words| story.find(words).unwrap_or_else(|| panic!("{words}: {story}"))).collect();
    assert!(places.is_sorted(), "{story}");
    app.advance(TimeDelta::days(30));
    assert_eq!(app.entries(false).await.0.len(), 0, "what is over is not shown");
    assert_eq!(app.entries(true).await.0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_person_says_what_to_do() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.edit(|tenant| tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR));
    app.sweep().await;
    let (words, waits) = app.words(emma).await;
    assert!(words.contains("no pass: the account is privileged"), "{words}");
    assert!(waits.unwrap().contains("in person"));
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    app.sandbox.edit(|tenant| tenant.change(emma, |p| p.hire_date = None));
    app.sweep().await;
    assert!(app.words(emma).await.0.contains("revoked: the start was cancelled"));
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(time("2026-11-30T05:00:00Z") - app.sandbox.now());
    app.sandbox.edit(|tenant| tenant.change(emma, |p| p.enabled = false));
    app.sweep().await;
    assert!(app.words(emma).await.1.is_some(), "the pass ended, and nobody got in");
}

#[tokio::test(start_paused = true)]
async fn moved_failed_held_and_on_demand_are_told_apart() {
    let (app, emma, noah) = with_noah(&[]);
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    app.sandbox.edit(|tenant| tenant.change(emma, |p| p.hire_date = Some(time("2026-11-30T00:00:00Z"))));
    app.sweep().await;
    assert!(app.words(emma).await.0.contains("works from Mon 30 Nov"));
    assert!(app.status_of(emma).await.contains("for the first day Fri 27 Nov 2026: 1"));
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)).times(1));
    app.host.deliver(&Job::group_add(noah, app.sandbox.now(), "e1").to_message(), 1).await;
    assert!(app.words(noah).await.0.contains("the last job failed, and a sweep tries again"));
    app.host.deliver(&Job::group_add(noah, app.sandbox.now(), "e1").to_message(), 1).await;
    assert!(app.status_of(noah).await.contains("A pass on demand was mailed to n…@home.example"));
    app.advance(TimeDelta::minutes(10));
    app.revoke(&Request::of_user(noah, Then::Hold)).await;
    let (words, waits) = app.words(noah).await;
    assert!(words.contains("an admin revoked") && waits.unwrap().contains("firstpass issue"), "{words}");
    assert!(app.status_of(noah).await.contains("who did so is not known here"));
    app.revoke(&Request::of_user(emma, Then::Renew)).await;
    assert!(app.words(emma).await.0.contains("the next sweep mails another pass"));
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(std::time::Duration::from_secs(600))));
    crate::helpers::abort_after(30, app.run_job(emma)).await;
    assert_eq!(app.words(emma).await.0, "a job is making a pass");
    app.advance(TimeDelta::minutes(6));
    assert_eq!(app.words(emma).await.0, "a job stopped halfway");
}

/// Names come from others, and the page is opened in a browser.
#[tokio::test(start_paused = true)]
async fn hostile_names_stay_text() {
    let (app, emma) = TestApp::with_emma();
    let hostile = "<script>alert(1)</script>\" onload='x' \u{202e}\u{1b}[31m &amp; {{ 7*7 }}";
    app.sandbox.edit(|tenant| {
        tenant.change(emma, |p| p.display_name = hostile.to_owned());
    });
    app.sweep().await;
    for is_one in [false, true] {
        let (entries, _) = app.entries(false).await;
        let page = html(&entries, is_one, app.sandbox.now()).unwrap();
        for raw in ["<script", "onload='x'", "\u{202e}", "\u{1b}", "49", "style=\""] {
            assert!(!page.contains(raw) || raw == "49" && !page.contains(" 49 "), "{raw}");
        }
        assert!(page.contains("&lt;script&gt;") && page.contains("{{ 7*7 }}"));
    }
    let text = app.status().await;
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_page_loads_nothing_and_allows_its_own_style_only() {
    let app = TestApp::new(samples::samples(time(NOW)), &[]);
    app.sweep().await;
    let (entries, is_named) = app.entries(false).await;
    assert!(is_named && entries.len() > 12);
    let page = html(&entries, false, app.sandbox.now()).unwrap();
    for word in ["http://", "https://", "src=", "@import", "url(", "<link", "<script"] {
        assert!(!page.contains(word), "{word}");
    }
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let digest =
        azure_core::base64::encode(ring::digest::digest(&ring::digest::SHA256, style.as_bytes()).as_ref());
    assert!(page.contains(&format!("default-src 'none'; style-src 'sha256-{digest}'")), "{digest}");
    assert_eq!(page.matches("<tr id=").count(), entries.len());
    let first_days: Vec<_> = to_json(&entries, false, app.sandbox.now())["users"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|user| user["dayOne"].as_str().map(str::to_owned))
        .collect();
    assert!(first_days.is_sorted(), "{first_days:?}");
}

#[tokio::test(start_paused = true)]
async fn without_graph_there_are_ids_and_without_a_record_a_reason() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.sandbox.inject(Fault::on("GET", "/users/", fail_with(403)).always());
    app.sandbox.inject(Fault::on("POST", "$batch", fail_with(401)).always());
    let (entries, is_named) = app.entries(false).await;
    let text = table(&entries, is_named, app.sandbox.now());
    assert!(!is_named && text.contains("Graph did not answer"), "{text}");
    assert!(text.replace(['\n', ' ', '│', '┆'], "").contains(&emma.to_string()[..8]), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_no_record_is_shown_as_such() {
    let service = BlobService::new();
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::with_ledger(tenant, &[], Arc::new(blob_ledger(&service)));
    service.put(&format!("joiners/{emma}.json"), "{\"secret\": 1");
    let text = app.status().await;
    assert!(text.contains("Emma Brooks") && text.contains("cannot be read"), "{text}");
    assert!(text.contains("correct the document") && !text.contains("secret"), "{text}");
    let (entries, _) = app.entries(false).await;
    assert!(html(&entries, true, app.sandbox.now()).unwrap().contains("cannot be read"));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_records_are_one_list() {
    let (app, _) = TestApp::with_emma();
    for number in 0..1_000 {
        let mut record = Record::new(State::Blocked, Purpose::Joiner, app.sandbox.now());
        record.cause = Some("no-address".to_owned());
        record.day_one = Some(app.sandbox.now().date_naive() + TimeDelta::days(number % 14));
        app.ledger().write(Uuid::from_u128(number as u128 + 1), &record, None).await.unwrap();
    }
    let (entries, _) = app.entries(false).await;
    let page = html(&entries, false, app.sandbox.now()).unwrap();
    assert_eq!((entries.len(), page.matches("<tr id=").count()), (1_000, 1_000));
    assert!(page.len() < 2 << 20, "{} bytes", page.len());
    assert_eq!(app.count_requests("POST", "$batch"), 50, "20 names in a request");
    assert!(status::table(&entries, false, app.sandbox.now()).contains("1000 wait for a person"));
}
