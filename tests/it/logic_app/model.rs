//! A model of the Logic App, with the actions of its template in their order.
//!
//! Differences without effect: the model reads user details from v1.0 instead of `beta`, serves users one after the
//! other instead of in parallel, and sends a shorter mail.

use std::{collections::BTreeSet, time::Duration};

use azure_core::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use firstpass_sandbox::tenant::{Membership, Sandbox, Tenant, samples::SENDER};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::helpers::graph_caller::{Caller, Reply};

/// The waits of the HTTP action's default retry policy, in seconds.
const RETRIES: [f32; 4] = [7.5, 15.0, 30.0, 45.0];

pub struct LogicApp {
    graph: Caller,
    sandbox: Sandbox,
    /// The parameter `GroupID`.
    group: Uuid,
    /// The parameter `TAPlifetimeInMinutes`.
    pub lifetime_minutes: u32,
}

/// The action that failed, which ends the run for this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(pub &'static str);

impl LogicApp {
    pub fn new(sandbox: &Sandbox, group: Uuid) -> Self {
        let graph = Caller::new(sandbox);
        Self { graph, sandbox: sandbox.clone(), group, lifetime_minutes: 10_080 }
    }

    /// One run: `GetPreHires`, then `For_each`. A failure for one user does not stop the others.
    pub async fn run(&self) -> Vec<Result<(), Failed>> {
        let now = self.sandbox.now();
        self.sandbox.edit(|tenant| update_dynamic_group(tenant, self.group, now));
        // Only the first page: the action has no pagination.
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

    /// The actions inside `For_each`, which also run when a user is added to the on-demand group.
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

    /// An HTTP action with the default retry policy.
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
            let is_retryable = reply.as_ref().is_none_or(|reply| matches!(reply.status, 408 | 429 | 500..));
            match (reply, waits.next()) {
                (Some(Reply { status: 200..300, body }), _) => return Ok(body),
                (_, Some(wait)) if is_retryable => tokio::time::sleep(Duration::from_secs_f32(wait)).await,
                _ => return Err(Failed(action)),
            }
        }
    }
}

/// `ComposeEmailBody`. Assumes that `first(otherMails)` of an empty list is empty text, so that the mail is refused. If it
/// is an error instead, the run ends one action earlier, also after `CreateTAP`.
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

/// The rule of the dynamic group in the post: members with a hire date five to seven days ahead. The group is always up
/// to date, which favours the Logic App.
fn update_dynamic_group(tenant: &mut Tenant, group: Uuid, now: DateTime<Utc>) {
    let window = now + TimeDelta::days(5)..=now + TimeDelta::days(7);
    let matching = tenant.users.values().filter(|person| !person.guest);
    let matching = matching.filter(|person| person.hire_date.is_some_and(|date| window.contains(&date)));
    let members: BTreeSet<Uuid> = matching.map(|person| person.id).collect();
    if let Some(group) = tenant.groups.get_mut(&group) {
        group.membership = Membership::Assigned(members);
    }
}
