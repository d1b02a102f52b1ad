//! Subscriptions to change notifications, and the app that they belong to.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::schema::object;

/// The tenant's own id.
pub const TENANT_ID: Uuid = Uuid::from_u128(0x6f1d_5b02_0000_4000_8000_0000_0000_0001);
/// The application that every caller with a token is.
pub const APPLICATION_ID: Uuid = Uuid::from_u128(0x6f1d_5b02_0000_4000_8000_0000_0000_0002);
/// Its service principal, the managed identity.
const PRINCIPAL_ID: Uuid = Uuid::from_u128(0x6f1d_5b02_0000_4000_8000_0000_0000_0003);

/// How far ahead a subscription to a directory object may end.
pub const MAX_SUBSCRIPTION_LIFETIME: TimeDelta = TimeDelta::minutes(41_760);

/// A subscription to the changes of one group.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its id; nil until it is added to a tenant.
    pub id: Uuid,
    /// Whose it is. Nobody else sees it.
    pub application: Uuid,
    /// As it was asked for: `groups/{id}` or `groups/{id}/members`, perhaps with a slash before.
    pub resource: String,
    /// As it was asked for: `updated`, `deleted` or both.
    pub change_type: String,
    /// Where notifications go.
    pub notification_url: String,
    /// What each notification brings along. Only the answer to the POST shows it.
    pub client_state: Option<String>,
    /// When it ends.
    pub expires: DateTime<Utc>,
    /// The group's members when somebody last looked for changes.
    pub known_members: Option<BTreeSet<Uuid>>,
}

impl Subscription {
    /// This app's subscription to a group's updates.
    pub fn to_group(group: Uuid, notification_url: &str, expires: DateTime<Utc>) -> Self {
        Self {
            id: Uuid::nil(),
            application: APPLICATION_ID,
            resource: format!("groups/{group}"),
            change_type: "updated".to_owned(),
            notification_url: notification_url.to_owned(),
            client_state: None,
            expires,
            known_members: None,
        }
    }

    /// The group that it is about.
    pub fn group(&self) -> Option<Uuid> {
        group_of(&self.resource)
    }

    /// Whether it speaks of updates, which changes of members are.
    pub(super) fn includes_updates(&self) -> bool {
        self.change_type.split(',').any(|kind| kind.trim().eq_ignore_ascii_case("updated"))
    }

    /// Whether an app may not have both.
    pub(super) fn conflicts_with(&self, other: &Self) -> bool {
        let resource = |of: &Self| of.resource.trim_start_matches('/').to_lowercase();
        let kinds = |of: &Self| -> BTreeSet<String> {
            of.change_type.split(',').map(|kind| kind.trim().to_lowercase()).collect()
        };
        self.application == other.application
            && resource(self) == resource(other)
            && kinds(self) == kinds(other)
    }

    pub(super) fn to_graph(&self) -> Map<String, Value> {
        object(json!({
            "id": self.id,
            "resource": self.resource,
            "applicationId": self.application,
            "changeType": self.change_type,
            "clientState": null,
            "notificationUrl": self.notification_url,
            "notificationQueryOptions": null,
            "lifecycleNotificationUrl": null,
            "expirationDateTime": self.expires.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            "creatorId": PRINCIPAL_ID,
            "includeResourceData": null,
            "latestSupportedTlsVersion": "v1_2",
            "encryptionCertificate": null,
            "encryptionCertificateId": null,
            "notificationUrlAppId": null,
        }))
    }
}

/// The group in `groups/{id}` or `groups/{id}/members`.
pub(super) fn group_of(resource: &str) -> Option<Uuid> {
    let parts: Vec<&str> = resource.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        [groups, id] if groups.eq_ignore_ascii_case("groups") => id.parse().ok(),
        [groups, id, members]
            if groups.eq_ignore_ascii_case("groups") && members.eq_ignore_ascii_case("members") =>
        {
            id.parse().ok()
        }
        _ => None,
    }
}
