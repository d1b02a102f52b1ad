//! Subscriptions to change notifications, and the app that they belong to.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::schema::object;

/// The tenant id.
pub const TENANT_ID: Uuid = Uuid::from_u128(0x6f1d_5b02_0000_4000_8000_0000_0000_0001);
/// The client id of the app, which every caller with a token is.
pub const APPLICATION_ID: Uuid = Uuid::from_u128(0x6f1d_5b02_0000_4000_8000_0000_0000_0002);
/// The object id of the app's service principal, the managed identity.
const PRINCIPAL_ID: Uuid = Uuid::from_u128(0x6f1d_5b02_0000_4000_8000_0000_0000_0003);

/// The maximum lifetime of a subscription to a directory object (subscription resource page).
pub const MAX_SUBSCRIPTION_LIFETIME: TimeDelta = TimeDelta::minutes(41_760);

/// A subscription to changes of one group.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The id; nil until the subscription is added to a tenant.
    pub id: Uuid,
    /// The app that owns it. Other apps do not see it.
    pub application: Uuid,
    /// The resource as requested: `groups/{id}` or `groups/{id}/members`, with or without a leading slash.
    pub resource: String,
    /// The change type as requested: `updated`, `deleted` or both.
    pub change_type: String,
    /// The destination of notifications.
    pub notification_url: String,
    /// The client state, sent with each notification. Only the response to the POST returns it.
    pub client_state: Option<String>,
    /// When it expires.
    pub expires: DateTime<Utc>,
    /// The group's members at the last notification.
    pub known_members: Option<BTreeSet<Uuid>>,
}

impl Subscription {
    /// A subscription of this app to updates of a group.
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

    /// The id of the group.
    pub fn group(&self) -> Option<Uuid> {
        group_of(&self.resource)
    }

    /// Whether it covers updates; a change of members is one.
    pub(super) fn includes_updates(&self) -> bool {
        self.change_type.split(',').any(|kind| kind.trim().eq_ignore_ascii_case("updated"))
    }

    /// Whether Graph refuses one of the two because the other exists.
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
