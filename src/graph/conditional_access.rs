//! Conditional Access policies.

use serde::{Deserialize, Deserializer};

use super::{
    client::{Graph, query},
    error::GraphError,
    null::{visible, without_nulls},
};

/// A Conditional Access policy, as far as [`crate::doctor`] reads it (conditionalAccessPolicy resource page).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ConditionalAccessPolicy {
    #[serde(deserialize_with = "visible")]
    pub display_name: Option<String>,
    /// `enabled`, `disabled` or `enabledForReportingButNotEnforced`.
    pub state: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub conditions: Conditions,
    /// `None` where the policy only has session controls.
    pub grant_controls: Option<GrantControls>,
}

/// When a policy applies.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Conditions {
    #[serde(deserialize_with = "or_default")]
    pub users: Users,
    #[serde(deserialize_with = "or_default")]
    pub applications: Applications,
    #[serde(deserialize_with = "without_nulls")]
    pub client_app_types: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub user_risk_levels: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub sign_in_risk_levels: Vec<String>,
    pub locations: Option<Locations>,
    pub platforms: Option<Platforms>,
    pub devices: Option<Devices>,
    pub authentication_flows: Option<serde_json::Value>,
    pub insider_risk_levels: Option<serde_json::Value>,
}

/// To whom.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Users {
    #[serde(deserialize_with = "without_nulls")]
    pub include_users: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub exclude_users: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub include_groups: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub exclude_groups: Vec<String>,
}

/// For what.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Applications {
    #[serde(deserialize_with = "without_nulls")]
    pub include_applications: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub exclude_applications: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub include_user_actions: Vec<String>,
}

/// From where.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Locations {
    #[serde(deserialize_with = "without_nulls")]
    pub include_locations: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub exclude_locations: Vec<String>,
}

/// On which operating systems.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Platforms {
    #[serde(deserialize_with = "without_nulls")]
    pub include_platforms: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub exclude_platforms: Vec<String>,
}

/// On which devices.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Devices {
    pub device_filter: Option<serde_json::Value>,
}

/// What a policy asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GrantControls {
    /// `AND` or `OR`.
    pub operator: Option<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub built_in_controls: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub custom_authentication_factors: Vec<String>,
    #[serde(deserialize_with = "without_nulls")]
    pub terms_of_use: Vec<String>,
    pub authentication_strength: Option<AuthenticationStrength>,
}

/// Which methods count.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AuthenticationStrength {
    #[serde(deserialize_with = "visible")]
    pub display_name: Option<String>,
    /// Each is a method, or several separated by commas: `password,microsoftAuthenticatorPush`.
    #[serde(deserialize_with = "without_nulls")]
    pub allowed_combinations: Vec<String>,
}

/// Null stands for nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Graph {
    /// All policies. This needs `Policy.Read.ConditionalAccess`.
    pub(crate) async fn conditional_access(&self) -> Result<Vec<ConditionalAccessPolicy>, GraphError> {
        let properties = query(&[("$select", "id,displayName,state,conditions,grantControls")]);
        let path = format!("/identity/conditionalAccess/policies{properties}");
        self.list("reading the Conditional Access policies", &path, false).await
    }
}
