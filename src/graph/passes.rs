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
use crate::{
    code::Code,
    range::{self, LIFETIMES},
};

/// A pass as Graph lists it. Only the answer to the POST has its code.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "ListedPass")]
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
    pub is_usable_once: bool,
    /// Graph's reason, an open enumeration; see [`Pass::usability`].
    pub method_usability_reason: Option<String>,
}

/// A pass in an answer: only its id is always there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedPass {
    id: String,
    #[serde(default, deserialize_with = "range::graphs")]
    created_date_time: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "range::graphs")]
    start_date_time: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "range::graphs_lifetime")]
    lifetime_in_minutes: Option<u32>,
    is_usable_once: Option<bool>,
    method_usability_reason: Option<String>,
}

/// A pass counts as valid for as long as it can be, so that no working pass is replaced: Graph's reason says if it has ended.
impl TryFrom<ListedPass> for Pass {
    type Error = &'static str;

    fn try_from(listed: ListedPass) -> Result<Self, Self::Error> {
        let ListedPass { created_date_time: created, start_date_time: start, .. } = listed;
        Ok(Self {
            id: listed.id,
            created_date_time: created.or(start).ok_or("a pass without any time")?,
            start_date_time: start.or(created).ok_or("a pass without any time")?,
            lifetime_in_minutes: listed
                .lifetime_in_minutes
                .filter(|_| start.is_some())
                .unwrap_or(*LIFETIMES.end()),
            is_usable_once: listed.is_usable_once.unwrap_or_default(),
            method_usability_reason: listed.method_usability_reason,
        })
    }
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
    listed: ListedPass,
}

impl Created {
    /// The pass and its code. What the answer does not say is as `requested`.
    fn into_pass(self, requested: NewPass) -> Result<(Pass, Code), &'static str> {
        let listed = ListedPass {
            start_date_time: self.listed.start_date_time.or(requested.opens_at),
            lifetime_in_minutes: self.listed.lifetime_in_minutes.or(Some(requested.lifetime_minutes)),
            is_usable_once: self.listed.is_usable_once.or(Some(requested.one_time)),
            ..self.listed
        };
        Ok((listed.try_into()?, self.temporary_access_pass))
    }
}

pub(super) fn path(user: Uuid) -> String {
    format!("/users/{user}/authentication/temporaryAccessPassMethods")
}

/// Whether a POST was refused because the user has a pass. Graph's documentation says that a POST replaces it; some tenants
/// were seen to refuse. All 400s about passes have the same code, so only the message tells them apart.
pub(crate) fn says_one_exists(error: &GraphError) -> bool {
    let words = error.message.raw().to_ascii_lowercase();
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
        let created = answer.json::<Created>();
        let made = created.and_then(|created| {
            created.into_pass(new).map_err(|why| GraphError::unreadable("making the pass", why))
        });
        made.map_err(|error| GraphError { kind: GraphErrorKind::Ambiguous, ..error })
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

#[cfg(test)]
mod tests {
    use super::*;

    const PASS: &str = r#"{"id": "p", "createdDateTime": "2026-11-22T05:00:00Z",
        "startDateTime": "2026-11-27T07:00:00Z", "lifetimeInMinutes": 480, "isUsableOnce": true}"#;

    fn pass(without: &[&str]) -> serde_json::Value {
        let mut pass: serde_json::Value = serde_json::from_str(PASS).unwrap();
        without.iter().for_each(|property| pass[*property] = serde_json::Value::Null);
        pass
    }

    #[test]
    fn a_listed_pass_without_a_time_counts_as_valid_for_as_long_as_it_can_be() {
        for (without, starts, minutes) in [
            (&[][..], "2026-11-27T07:00:00Z", 480),
            (&["createdDateTime"], "2026-11-27T07:00:00Z", 480),
            (&["startDateTime"], "2026-11-22T05:00:00Z", 43_200),
            (&["lifetimeInMinutes"], "2026-11-27T07:00:00Z", 43_200),
        ] {
            let read: Pass = serde_json::from_value(pass(without)).unwrap();
            let starts: DateTime<Utc> = starts.parse().unwrap();
            assert_eq!((read.start_date_time, read.lifetime_in_minutes), (starts, minutes), "{without:?}");
        }
        assert!(serde_json::from_value::<Pass>(pass(&["createdDateTime", "startDateTime"])).is_err());
    }

    #[test]
    fn what_the_answer_does_not_say_of_a_new_pass_is_as_requested() {
        let opens_at = Some("2026-11-27T07:00:00Z".parse().unwrap());
        let requested = NewPass { opens_at, lifetime_minutes: 480, one_time: true };
        let whole: Pass = serde_json::from_value(pass(&[])).unwrap();
        for without in ["startDateTime", "lifetimeInMinutes", "isUsableOnce"] {
            let mut answer = pass(&[without]);
            answer["temporaryAccessPass"] = "code".into();
            let created: Created = serde_json::from_value(answer).unwrap();
            assert_eq!(created.into_pass(requested).unwrap().0, whole, "{without}");
        }
    }
}
