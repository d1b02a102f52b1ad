//! Temporary Access Passes.

use azure_core::http::Method;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    client::{Graph, GraphRequest},
    error::{GraphError, GraphErrorKind, if_exists},
};
use crate::code::Code;

/// A pass as Graph lists it. Only the answer to the POST has its code.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    /// The id of the authentication method.
    pub id: String,
    /// The time of its creation.
    pub created_date_time: DateTime<Utc>,
    /// The start of its validity.
    pub start_date_time: DateTime<Utc>,
    /// Its validity from the start, in minutes.
    pub lifetime_in_minutes: u32,
    /// Whether it works only once.
    #[serde(default)]
    pub is_usable_once: bool,
    /// Graph's reason, an open enumeration; see [`Pass::usability`].
    pub method_usability_reason: Option<String>,
}

/// Whether a user can sign in with a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usability {
    /// It works now.
    Active,
    /// It will work later.
    NotYetActive,
    /// It worked once and was used.
    Used,
    /// Its validity has ended.
    Expired,
    /// The tenant's policy does not let this user sign in with a pass.
    DisabledByPolicy,
}

impl Pass {
    /// Whether the user can sign in with the pass at `now`.
    ///
    /// Graph's reason decides where it is final. Otherwise the times decide: the list may lag, the reasons are an open
    /// enumeration and some tenants omit `isUsable`.
    pub fn usability(&self, now: DateTime<Utc>) -> Usability {
        match self.method_usability_reason.as_deref() {
            Some("OneTimeUsed") => Usability::Used,
            Some("DisabledByPolicy") => Usability::DisabledByPolicy,
            Some("Expired") => Usability::Expired,
            _ if now >= self.ends_at() => Usability::Expired,
            _ if now < self.start_date_time => Usability::NotYetActive,
            _ => Usability::Active,
        }
    }

    /// The end of its validity.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.start_date_time + TimeDelta::minutes(self.lifetime_in_minutes.into())
    }

    /// Whether the user can sign in with it at `now` or later.
    pub(crate) fn can_be_used(&self, now: DateTime<Utc>) -> bool {
        matches!(self.usability(now), Usability::Active | Usability::NotYetActive)
    }
}

/// A pass to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewPass {
    /// The start of its validity; `None`: now, by Graph's clock.
    pub opens_at: Option<DateTime<Utc>>,
    /// Its validity in minutes, within the tenant's policy.
    pub lifetime_minutes: u32,
    /// Whether it works only once. Always sent: Graph documents no default.
    pub one_time: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    temporary_access_pass: Code,
    #[serde(flatten)]
    pass: Pass,
}

pub(super) fn path(user: Uuid) -> String {
    format!("/users/{user}/authentication/temporaryAccessPassMethods")
}

/// Whether a POST was refused because the user has a pass. Graph's documentation says that a POST replaces it; some tenants
/// were seen to refuse. All 400s about passes have the same code, so only the message tells them apart.
pub(crate) fn says_one_exists(error: &GraphError) -> bool {
    let words = error.message.to_ascii_lowercase();
    words.contains("already exist") || words.contains("already has")
}

impl Graph {
    /// Makes a pass, which replaces the user's earlier one. No try starts after `deadline`.
    ///
    /// # Errors
    /// [`GraphErrorKind::Ambiguous`] when the pass may exist and its code was lost; [`GraphErrorKind::Unavailable`] for a 409 while
    /// the account is being changed.
    pub(crate) async fn create_pass(
        &self,
        user: Uuid,
        new: NewPass,
        deadline: Instant,
    ) -> Result<(Pass, Code), GraphError> {
        let mut body = json!({"lifetimeInMinutes": new.lifetime_minutes, "isUsableOnce": new.one_time});
        if let Some(opens_at) = new.opens_at {
            body["startDateTime"] = opens_at.to_rfc3339_opts(SecondsFormat::Secs, true).into();
        }
        let sent = self.send(GraphRequest::post("making the pass", &path(user), body, deadline)).await;
        let answer = sent.map_err(|error| match error {
            // Another change of the account was in progress; nothing changed.
            error if error.status == Some(409) && !says_one_exists(&error) => {
                GraphError { kind: GraphErrorKind::Unavailable, ..error }
            }
            error => error,
        })?;
        let created: Created =
            answer.json().map_err(|error| GraphError { kind: GraphErrorKind::Ambiguous, ..error })?;
        Ok((created.pass, created.temporary_access_pass))
    }

    /// Deletes a pass. Succeeds if it does not exist.
    pub async fn delete_pass(&self, user: Uuid, pass_id: &str) -> Result<(), GraphError> {
        let path = format!("{}/{}", path(user), super::client::segment(pass_id));
        let call = GraphRequest { method: Method::Delete, ..GraphRequest::get("deleting the pass", &path) };
        if_exists(self.send(call).await).map(|_| ())
    }

    /// The passes of a user, without codes. Graph keeps at most one.
    pub(crate) async fn list_passes(&self, user: Uuid) -> Result<Vec<Pass>, GraphError> {
        self.list("reading the passes", &path(user), false).await
    }
}
