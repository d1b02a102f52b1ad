//! For whom the tenant allows a method of sign-in.

use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::{client::Graph, error::GraphError, null::without_nulls, policy::PassPolicy};

/// A policy of the tenant for one method: its authenticationMethodConfiguration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodPolicy {
    state: Option<String>,
    #[serde(default, deserialize_with = "targets")]
    include_targets: Vec<String>,
    #[serde(default, deserialize_with = "targets")]
    exclude_targets: Vec<String>,
    /// Of passkeys: whether people may register one themselves.
    is_self_service_registration_allowed: Option<bool>,
}

/// The ids of users and groups; the literal `all_users` stands for everybody.
fn targets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    struct Target {
        id: Option<String>,
    }
    let targets: Vec<Target> = without_nulls(deserializer)?;
    Ok(targets.into_iter().filter_map(|target| target.id).collect())
}

impl MethodPolicy {
    /// Whether the method can be used. What Graph does not say counts as allowed.
    pub(crate) fn is_enabled(&self) -> bool {
        self.state.as_deref().is_none_or(|state| state.eq_ignore_ascii_case("enabled"))
    }

    /// Whether people may register it themselves.
    pub(crate) fn is_self_service(&self) -> bool {
        self.is_self_service_registration_allowed.unwrap_or(true)
    }

    /// Whether the user who has these ids may register it: their own and those of all groups that they are in.
    pub(crate) fn lets_register(&self, ids: &[Uuid]) -> bool {
        self.is_enabled() && self.is_self_service() && self.is_for(ids)
    }

    /// Whether it names everybody, and nobody as an exception.
    pub(crate) fn is_for_all(&self) -> bool {
        self.exclude_targets.is_empty() && self.names(&self.include_targets, &[])
    }

    /// Whether it is for the user who has these ids: their own and those of all groups that they are in.
    pub(crate) fn is_for(&self, ids: &[Uuid]) -> bool {
        self.names(&self.include_targets, ids) && !self.names(&self.exclude_targets, ids)
    }

    fn names(&self, targets: &[String], ids: &[Uuid]) -> bool {
        targets.iter().any(|target| {
            target.eq_ignore_ascii_case("all_users") || target.parse().is_ok_and(|id| ids.contains(&id))
        })
    }
}

/// The methods whose policies are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyOf {
    /// Passkeys.
    Passkeys,
    /// Microsoft Authenticator.
    Authenticator,
}

/// The path of a policy.
pub(super) fn path(of: PolicyOf) -> String {
    let id = match of {
        PolicyOf::Passkeys => "fido2",
        PolicyOf::Authenticator => "microsoftAuthenticator",
    };
    format!("/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/{id}")
}

const READING: &str = "reading the policy of authentication methods";

impl Graph {
    /// The tenant's policy for a method. This needs `Policy.Read.AuthenticationMethod`.
    pub(crate) async fn method_policy(&self, of: PolicyOf) -> Result<MethodPolicy, GraphError> {
        self.get(READING, &path(of)).await
    }

    /// The tenant's policy for passes, and for whom it is. This needs the same permission.
    pub(crate) async fn pass_policy(&self) -> Result<(PassPolicy, MethodPolicy), GraphError> {
        #[derive(Deserialize)]
        struct Both {
            #[serde(flatten)]
            policy: PassPolicy,
            #[serde(flatten)]
            targets: MethodPolicy,
        }
        let Both { policy, targets } = self.get(READING, super::policy::PATH).await?;
        Ok((policy, targets))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn an_exception_weighs_more_than_everybody() {
        let [ann, group, other] = [1, 2, 3].map(Uuid::from_u128);
        let policy = |include: serde_json::Value, exclude: serde_json::Value| {
            from_value::<MethodPolicy>(json!({"includeTargets": include, "excludeTargets": exclude})).unwrap()
        };
        let target = |id: &dyn ToString| json!({"targetType": "group", "id": id.to_string()});
        let all = target(&"all_users");
        for (include, exclude, is_for_ann) in [
            (json!([all]), json!([]), true),
            (json!([all]), json!([target(&group)]), false),
            (json!([target(&group)]), json!(null), true),
            (json!([target(&other), null]), json!([]), false),
            (json!([target(&ann)]), json!([target(&other)]), true),
            (json!(null), json!(null), false),
        ] {
            let policy = policy(include, exclude);
            assert_eq!(policy.is_for(&[ann, group]), is_for_ann, "{policy:?}");
        }
        let whole: MethodPolicy = from_value(json!({})).unwrap();
        assert!(whole.is_enabled() && whole.is_self_service() && !whole.is_for_all());
    }
}
