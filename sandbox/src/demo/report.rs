//! The demo's result as a table and as JSON.

use std::{collections::BTreeMap, io::IsTerminal};

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use firstpass::settings::PassSettings;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    functions_host::handler_response::Completed,
    tenant::{Mail, Person, Sandbox, samples::SERVICE_DESK},
};

const OUTCOMES: [&str; 5] = ["delivered", "skipped", "blocked", "revoked", "failed"];
/// The table's width in columns if stdout is not a terminal.
const WIDTH: u16 = 140;

/// The outcome of one job.
#[derive(Clone, Debug)]
pub struct Row {
    /// The object id.
    pub id: Uuid,
    /// The sign-in name.
    pub user: String,
    /// The display name.
    pub name: String,
    /// What this joiner is an example of.
    pub case: &'static str,
    /// One of `delivered`, `skipped`, `blocked`, `revoked`, `failed`.
    pub outcome: String,
    /// The reason, or the details.
    pub reason: String,
    /// When the pass opens, in the user's time zone.
    pub opens: Option<String>,
    /// The number of requests to Graph that the job sent.
    pub graph_requests: usize,
}

impl Row {
    /// Takes the outcome from the handler's log and the other fields from the tenant. `None` if the message was not a
    /// job.
    pub fn new(
        sandbox: &Sandbox,
        settings: &PassSettings,
        completed: &Completed,
        graph_requests: usize,
    ) -> Option<Self> {
        // The log line has the form "reason/user/…: outcome: details".
        let mut words = completed.answer.log().splitn(3, ": ").map(str::to_owned);
        let (key, outcome) = (words.next()?, words.next()?);
        let reason = words.next().unwrap_or_default();
        if !OUTCOMES.contains(&outcome.as_str()) {
            return None;
        }
        let id: Uuid = key.split('/').nth(1).and_then(|id| id.parse().ok()).unwrap_or_default();
        let pass = sandbox.passes().into_iter().find(|pass| pass.user == id && outcome == "delivered");
        Some(sandbox.edit(|tenant| {
            let person = tenant.users.get(&id);
            let zone = settings.zone(person.map(Person::place).unwrap_or_default()).zone;
            let city = zone.name().rsplit('/').next().unwrap_or("UTC").replace('_', " ");
            Self {
                id,
                user: person.map_or_else(|| id.to_string(), |p| p.user_principal_name.clone()),
                name: person.map_or_else(String::new, |p| p.display_name.clone()),
                case: tenant.notes.get(&id).copied().unwrap_or_default(),
                opens: pass.map(|p| {
                    format!("{} {city}", p.opens_by().with_timezone(&zone).format("%a %-d %b, %H:%M"))
                }),
                outcome,
                reason,
                graph_requests,
            }
        }))
    }
}

/// The outcomes of all jobs.
#[derive(Clone, Debug)]
pub struct Report {
    /// One row for each job.
    pub rows: Vec<Row>,
    /// The number of mails with a code.
    pub mails: usize,
    /// The number of alerts to the service desk.
    pub alerts: usize,
    /// How many of them wait for the summary of the hour.
    pub alerts_waiting: usize,
    /// The number of requests to Graph.
    pub graph_requests: usize,
}

impl Report {
    pub(super) fn new(sandbox: &Sandbox, rows: Vec<Row>, alerts_waiting: usize) -> Self {
        let (alerts, mails): (Vec<_>, Vec<_>) =
            sandbox.mails().into_iter().partition(|mail| is_alert(&mail.message));
        let codes = sandbox.codes();
        // Notes have none.
        let has_code =
            |mail: &&Mail| codes.iter().any(|code| mail.content().contains(&super::views::escaped(code)));
        let (mails, alerts) = (mails.iter().filter(has_code).count(), alerts.len() + alerts_waiting);
        Self { rows, mails, alerts, alerts_waiting, graph_requests: sandbox.requests().len() }
    }

    fn outcomes(&self) -> BTreeMap<&'static str, usize> {
        OUTCOMES.map(|word| (word, self.rows.iter().filter(|row| row.outcome == word).count())).into()
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> Value {
        let jobs: Vec<Value> = self
            .rows
            .iter()
            .map(|row| json!({"user": row.user, "outcome": row.outcome, "why": row.reason}))
            .collect();
        json!({
            "joiners": self.rows.len(),
            "outcomes": self.outcomes(),
            "mails": self.mails,
            "alerts": self.alerts,
            "alerts_waiting": self.alerts_waiting,
            "graph_requests": self.graph_requests,
            "jobs": jobs,
        })
    }

    /// The report as a table with a line of totals.
    pub fn to_table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        if !std::io::stdout().is_terminal() {
            table.set_width(WIDTH);
        }
        table.set_header(["Joiner", "Case", "Outcome", "Opens, in their time", "Why", "Calls"]);
        for row in &self.rows {
            let outcome = Cell::new(&row.outcome).fg(color(&row.outcome)).add_attribute(Attribute::Bold);
            let opens = row.opens.as_deref().unwrap_or("–");
            let calls = Cell::new(row.graph_requests).set_alignment(CellAlignment::Right);
            // The table has a column for the window.
            let reason = row.reason.split(", open ").next().unwrap_or_default();
            let [name, case, opens, reason] = [&row.name, row.case, opens, reason].map(Cell::new);
            table.add_row([name, case, outcome, opens, reason, calls]);
        }
        let outcomes = self.outcomes();
        let sums: Vec<String> = OUTCOMES.map(|word| format!("{} {word}", outcomes[word])).into();
        format!(
            "{table}\n{} joiners: {}. {} mails with a pass, {} alerts ({} of them in the summary of the hour), {} Graph calls.",
            self.rows.len(),
            sums.join(", "),
            self.mails,
            self.alerts,
            self.alerts_waiting,
            self.graph_requests,
        )
    }
}

/// Whether a Graph message is addressed to the sample tenant's service desk.
pub(super) fn is_alert(message: &Value) -> bool {
    message["toRecipients"][0]["emailAddress"]["address"] == SERVICE_DESK
}

fn color(outcome: &str) -> Color {
    match outcome {
        "delivered" => Color::Green,
        "skipped" => Color::Grey,
        "blocked" => Color::Yellow,
        "revoked" => Color::Magenta,
        _ => Color::Red,
    }
}
