//! Temporary Access Passes.

use azure_core::http::Method;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    client::{Graph, GraphRequest},
    error::{GraphError, GraphErrorKind},
};
use crate::code::Code;

/// A pass as Graph lists it: without its code, which only the answer to the POST has.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    /// The id of the method.
    pub id: String,
    /// When it was made.
    pub created_date_time: DateTime<Utc>,
    /// When it starts to work.
    pub start_date_time: DateTime<Utc>,
    /// Minutes from the start until it ends.
    pub lifetime_in_minutes: u32,
    /// Whether it works only once.
    #[serde(default)]
    pub is_usable_once: bool,
    /// An open set of words; see [`Pass::usability`].
    pub method_usability_reason: Option<String>,
}

/// Whether a pass is of any use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usability {
    /// It works now.
    Works,
    /// It will work later.
    Later,
    /// It was used, and worked only once.
    Used,
    /// Its time is over.
    Over,
    /// The tenant's policy does not let this user sign in with it.
    Disabled,
}

impl Pass {
    /// Whether the pass is of any use at `now`.
    ///
    /// Graph's reason counts where time cannot tell; time counts for the rest, because the list may lag, the set
    /// of reasons is open and some tenants omit `isUsable`.
    pub fn usability(&self, now: DateTime<Utc>) -> Usability {
        match self.method_usability_reason.as_deref() {
            Some("OneTimeUsed") => Usability::Used,
            Some("DisabledByPolicy") => Usability::Disabled,
            Some("Expired") => Usability::Over,
            _ if now >= self.ends_at() => Usability::Over,
            _ if now < self.start_date_time => Usability::Later,
            _ => Usability::Works,
        }
    }

    /// When it stops to work.
    pub fn ends_at(&self) -> DateTime<Utc> {
        self.start_date_time + TimeDelta::minutes(self.lifetime_in_minutes.into())
    }

    /// Whether it works now or will.
    pub fn is_alive(&self, now: DateTime<Utc>) -> bool {
        matches!(self.usability(now), Usability::Works | Usability::Later)
    }
}

/// A pass to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewPass {
    /// When it opens; `None` for now, by Graph's clock.
    pub opens_at: Option<DateTime<Utc>>,
    /// Minutes.
    pub lifetime_minutes: u32,
    /// Always sent: Graph does not document what it takes otherwise.
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

impl Graph {
    /// Makes a pass, which replaces any other that the user has. Not started after `deadline`.
    ///
    /// # Errors
    /// [`GraphErrorKind::Ambiguous`] when it may have been made with a code that nobody will ever know.
    pub async fn create_pass(
        &self,
        user: Uuid,
        new: NewPass,
        deadline: Instant,
    ) -> Result<(Pass, Code), GraphError> {
        let mut body = json!({"lifetimeInMinutes": new.lifetime_minutes, "isUsableOnce": new.one_time});
        if let Some(opens_at) = new.opens_at {
            body["startDateTime"] = opens_at.to_rfc3339_opts(SecondsFormat::Secs, true).into();
        }
        let answer = self.send(GraphRequest::post("making the pass", &path(user), body, deadline)).await?;
        let created: Created =
            answer.json().map_err(|error| GraphError { kind: GraphErrorKind::Ambiguous, ..error })?;
        Ok((created.pass, created.temporary_access_pass))
    }

    /// Deletes a pass. One that is gone already is as good as deleted.
    pub async fn delete_pass(&self, user: Uuid, pass_id: &str) -> Result<(), GraphError> {
        let path = format!("{}/{}", path(user), super::client::segment(pass_id));
        let call = GraphRequest { method: Method::Delete, ..GraphRequest::get("deleting the pass", &path) };
        match self.send(call).await {
            Err(error) if error.kind == GraphErrorKind::NotFound => Ok(()),
            result => result.map(|_| ()),
        }
    }

    /// The passes of a user, at most one by Graph's rules, without codes.
    pub async fn list_passes(&self, user: Uuid) -> Result<Vec<Pass>, GraphError> {
        self.list("reading the passes", &path(user), false).await
    }
}
