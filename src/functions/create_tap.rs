//! CreateTap: a pass now, for one user, in the answer to a POST.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    app::App,
    graph::{GraphError, Kind},
    pass::{
        Block, Failure, Job, Outcome,
        issue::{Issued, issue_to_caller},
    },
};

/// For finding the user; making the pass has its own time, and 230 seconds end the request.
const FINDING_TIME: Duration = Duration::from_secs(30);

/// An HTTP answer.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
    /// The body; of a 201 it holds a code, which is why this has no `Debug`.
    pub body: Value,
}

/// Makes a pass for the user that `body` names.
pub async fn create_tap(app: &App, body: Option<&str>, invocation: &str) -> Reply {
    let name = match parse(body) {
        Ok(name) => name,
        Err(problems) => {
            return problem(400, "The request cannot be understood", &problems.join("; "), invocation);
        }
    };
    let found = timeout(FINDING_TIME, app.graph.find_user(&name)).await;
    let result = match found.unwrap_or_else(|_| Err(GraphError::no_time("looking for the user"))) {
        Ok(Some(user)) => issue_to_caller(app, &Job::http(user, invocation)).await,
        Ok(None) => Err(Outcome::Failed(Failure::Missing)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(issued) => {
            let (user, pass) = (&issued.user.user_principal_name, &issued.pass.id);
            tracing::info!(event = "create_tap.done", user, pass, invocation);
            created(&issued)
        }
        Err(outcome) => {
            tracing::warn!(event = "create_tap.refused", user = name, invocation, why = %outcome);
            refusal(&outcome, invocation)
        }
    }
}

/// The `UserName`, or all that is wrong with the body.
fn parse(body: Option<&str>) -> Result<String, Vec<String>> {
    let Some(body) = body.filter(|body| !body.trim().is_empty()) else {
        return Err(vec![
            "the body is empty; send {\"UserName\": \"…\"} with a Content-Length (the Functions host drops bodies \
             that are sent in chunks)"
                .into(),
        ]);
    };
    let Ok(parameters) = serde_json::from_str::<Map<String, Value>>(body) else {
        return Err(vec!["the body is not a JSON object".into()]);
    };
    let mut name = None;
    let mut problems = Vec::new();
    for (key, value) in &parameters {
        if !key.eq_ignore_ascii_case("UserName") {
            // Ignoring what a caller asks for could hand out another pass than they meant.
            problems.push(format!("{key:?} is not a parameter of this version, which takes UserName alone"));
            continue;
        }
        match value.as_str().map(str::trim) {
            Some(_) if name.is_some() => problems.push("UserName is given twice".into()),
            // Anything else could be a path to somewhere else.
            Some(text) if text.contains('@') || text.parse::<Uuid>().is_ok() => name = Some(text.to_owned()),
            Some(_) => problems.push("UserName is neither a user principal name nor an object id".into()),
            None => problems.push("UserName is not a text".into()),
        }
    }
    if name.is_none() && problems.is_empty() {
        problems.push("UserName is missing: the user principal name or object id".into());
    }
    name.filter(|_| problems.is_empty()).ok_or(problems)
}

fn created(issued: &Issued) -> Reply {
    let Issued { user, pass, code } = issued;
    let body = json!({
        "userId": user.id,
        "userPrincipalName": user.user_principal_name,
        "temporaryAccessPass": code.reveal(),
        "startDateTime": pass.start_date_time,
        "validUntil": pass.ends_at(),
        "lifetimeInMinutes": pass.lifetime_in_minutes,
        "isUsableOnce": pass.is_usable_once,
    });
    Reply { status: 201, retry_after: None, body }
}

fn refusal(outcome: &Outcome, invocation: &str) -> Reply {
    let (status, title, retry_after) = match outcome {
        Outcome::Skipped(_) => (403, "This account gets no pass", None),
        Outcome::Blocked(Block::Privileged(_)) => (403, "This account is too powerful for a pass", None),
        Outcome::Blocked(_) => (409, "The tenant does not allow this pass", None),
        Outcome::Failed(Failure::Missing) => (404, "No such user", None),
        Outcome::Failed(Failure::Busy(_)) => (409, "A pass is being made for this user", Some(300)),
        Outcome::Failed(Failure::Graph(error)) => graph_status(error),
        _ => (503, "The pass could not be made", Some(60)),
    };
    let advice = outcome.advice().map(|advice| format!(" {advice}")).unwrap_or_default();
    Reply { retry_after, ..problem(status, title, &format!("{outcome}.{advice}"), invocation) }
}

fn graph_status(error: &GraphError) -> (u16, &'static str, Option<u32>) {
    match error.kind {
        Kind::Throttled => (429, "Microsoft Graph is busy", Some(60)),
        Kind::Ambiguous | Kind::Unavailable => (504, "Microsoft Graph did not answer", Some(60)),
        _ => (502, "Microsoft Graph refused", None),
    }
}

/// A problem by RFC 9457.
fn problem(status: u16, title: &str, detail: &str, invocation: &str) -> Reply {
    let body = json!({
        "type": "about:blank", "title": title, "status": status, "detail": detail, "instance": invocation,
    });
    Reply { status, retry_after: None, body }
}
