//! The commands for a person, on the sandbox tenant and the ledger.

mod docs;
mod issue;
mod revoke;
mod status;

use firstpass::cli::{
    issue::issue,
    people::People,
    revoke::{self as cli, Request},
};
use firstpass_sandbox::tenant::Group;
use uuid::Uuid;

use crate::helpers::{TestApp, emma, html_escaped, tenant_with_emma};

impl TestApp {
    /// `firstpass issue USER --yes`: what it prints, and whether a pass was mailed.
    async fn issue(&self, user: Uuid) -> (String, bool) {
        let done = issue(&self.app, user, false).await;
        self.assert_no_code(&done.0);
        done
    }

    /// `firstpass revoke … --yes`: what it prints, as text and as JSON.
    async fn revoke(&self, request: &Request) -> (cli::Report, String) {
        let report = cli::carry_out(&self.app.services, request, |_| {}).await;
        let text = self.printed(&report, request, true).await;
        (report, text)
    }

    /// The same without --yes.
    async fn would_revoke(&self, request: &Request) -> (cli::Report, String) {
        let report = cli::look(&self.app.services, request).await;
        let text = self.printed(&report, request, false).await;
        (report, text)
    }

    async fn printed(&self, report: &cli::Report, request: &Request, is_done: bool) -> String {
        let users: Vec<Uuid> = request.users.clone();
        let people = People::read(&self.app.services.graph, &users).await;
        let text = report.to_text(&people, request, is_done);
        self.assert_no_code(&text);
        self.assert_no_code(&report.to_json(&people, request, is_done).to_string());
        text
    }

    /// Asserts that `text` has none of the tenant's codes, and no address in clear.
    fn assert_no_code(&self, text: &str) {
        for code in self.sandbox.codes() {
            assert!(!text.contains(&code) && !text.contains(&html_escaped(&code)), "a code in {text}");
        }
        assert!(!text.contains("@mail.example") || !text.contains("emma.brooks@mail"), "{text}");
    }
}

/// Emma, who is a joiner, and Noah, who is in the on-demand group and no joiner.
fn with_noah(settings: &[(&str, &str)]) -> (TestApp, Uuid, Uuid) {
    let (mut tenant, emma_id) = tenant_with_emma();
    let noah = tenant.add(firstpass_sandbox::tenant::Person {
        hire_date: None,
        display_name: "Noah Reed".into(),
        user_principal_name: "noah.reed@contoso.example".into(),
        other_mails: vec!["noah@home.example".into()],
        ..emma(Uuid::nil())
    });
    let group = tenant.add_group(Group::named("On-demand access").members([noah])).to_string();
    let settings = [&[("ON_DEMAND_GROUP_ID", group.as_str())], settings].concat();
    (TestApp::new(tenant, &settings), emma_id, noah)
}
