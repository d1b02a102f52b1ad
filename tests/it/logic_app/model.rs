//! The Logic App that people use today, action by action as its template has them: what it asks of Graph, in which
//! order, and what each action waits for.
//!
//! Left out is what makes no difference here: the template reads user details from `beta`, the model the same
//! properties from v1.0; users are served one after the other, not side by side; the mail's text is shorter.

use std::{collections::BTreeSet, time::Duration};

use azure_core::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use firstpass_sandbox::tenant::{Membership, Sandbox, Tenant, samples::SENDER};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::raw::{Caller, Reply};

/// Waits of the HTTP action's default retry policy: up to four, growing by 7.5 s, at most 45 s.
const RETRIES: [f32; 4] = [7.5, 15.0, 30.0, 45.0];

pub struct LogicApp {
    graph: Caller,
    sandbox: Sandbox,
    /// The parameter `GroupID`.
    group: Uuid,
    /// The parameter `TAPlifetimeInMinutes`.
    pub lifetime_minutes: u32,
}

/// The action that failed. The run is over for this user; the run history has it, and nothing else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(pub &'static str);

impl LogicApp {
    pub fn new(sandbox: &Sandbox, group: Uuid) -> Self {
        let graph = Caller::new(sandbox);
        Self { graph, sandbox: sandbox.clone(), group, lifetime_minutes: 10_080 }
    }

    /// One run of the recurrence: `GetPreHires`, then `For_each`. A user who fails does not stop the others.
    pub async fn run(&self) -> Vec<Result<(), Failed>> {
        let now = self.sandbox.now();
        self.sandbox.edit(|tenant| update_dynamic_group(tenant, self.group, now));
        // The first page: the action has no pagination.
        let path = format!("/groups/{}/members", self.group);
        let members = match self.http("GetPreHires", Method::Get, &path, None).await {
            Ok(members) => members,
            Err(failed) => return vec![Err(failed)],
        };
        let mut ends = Vec::new();
        for member in members["value"].as_array().into_iter().flatten() {
            ends.push(self.serve(member["userPrincipalName"].as_str().unwrap_or_default()).await);
        }
        ends
    }

    /// What is inside of `For_each`; also what runs when somebody is added to the on-demand group.
    pub async fn serve(&self, upn: &str) -> Result<(), Failed> {
        let passes = format!("/users/{upn}/authentication/temporaryAccessPassMethods");
        let listed = self.http("CheckForExistingTAP", Method::Get, &passes, None).await?;
        if listed["value"].as_array().is_none_or(|passes| !passes.is_empty()) {
            return Ok(());
        }
        let path = format!("/users/{upn}/manager");
        let manager = self.http("Get_Manager_Info", Method::Get, &path, None).await?;
        let path = format!(
            "/users/{upn}?$select=userPrincipalName,mail,otherMails,id,employeeHireDate,displayName,givenName,\
             onPremisesExtensionAttributes"
        );
        let user = self.http("Get_UserDetails", Method::Get, &path, None).await?;
        let body = json!({"lifetimeInMinutes": self.lifetime_minutes, "isUsableOnce": true});
        let pass = self.http("CreateTAP", Method::Post, &passes, Some(body)).await?;
        let mail = compose(&user, &manager, &pass);
        let path = format!("/users/{SENDER}/sendMail");
        self.http("SendMail", Method::Post, &path, Some(mail)).await.map(|_| ())
    }

    /// An HTTP action with the default retry policy; anything but 2xx in the end is a failure.
    async fn http(
        &self,
        action: &'static str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failed> {
        let mut waits = RETRIES.into_iter();
        loop {
            let reply = self.graph.send(method, path, body.as_ref()).await;
            let is_worth_a_retry =
                reply.as_ref().is_none_or(|reply| matches!(reply.status, 408 | 429 | 500..));
            match (reply, waits.next()) {
                (Some(Reply { status: 200..300, body }), _) => return Ok(body),
                (_, Some(wait)) if is_worth_a_retry => {
                    tokio::time::sleep(Duration::from_secs_f32(wait)).await
                }
                _ => return Err(Failed(action)),
            }
        }
    }
}

/// `ComposeEmailBody`. Without an address `first(otherMails)` is taken to be empty text, which the mail is refused for;
/// if it is an error, the run ends one action earlier, and `CreateTAP` has run in either case.
fn compose(user: &Value, manager: &Value, pass: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let content = format!(
        "<p>Username: {}<br>Temporary Access Pass: <b>{}</b><br>Can be used: Once only</p>",
        text(&user["userPrincipalName"]),
        text(&pass["temporaryAccessPass"])
    );
    json!({
        "message": {
            "body": {"content": content, "contentType": "HTML"},
            "subject": "Your Temporary Access Pass",
            "toRecipients": [{"emailAddress": {"address": text(&user["otherMails"][0])}}],
            "ccRecipients": [{"emailAddress": {"address": text(&manager["mail"])}}],
        },
        "saveToSentItems": "false",
    })
}

/// Entra, with the rule from the post: a hire date five to seven days ahead, members only. In the Logic App's favour
/// the group is always up to date.
fn update_dynamic_group(tenant: &mut Tenant, group: Uuid, now: DateTime<Utc>) {
    let window = now + TimeDelta::days(5)..=now + TimeDelta::days(7);
    let fits = tenant.users.values().filter(|person| !person.guest);
    let fits = fits.filter(|person| person.hire_date.is_some_and(|date| window.contains(&date)));
    let members: BTreeSet<Uuid> = fits.map(|person| person.id).collect();
    if let Some(group) = tenant.groups.get_mut(&group) {
        group.membership = Membership::Assigned(members);
    }
}
