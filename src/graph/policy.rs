//! The tenant's Temporary Access Pass policy.

use serde::Deserialize;

use crate::range;

/// The tenant's rules for passes.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "ListedPolicy")]
pub struct PassPolicy {
    /// `enabled` or `disabled`.
    pub state: String,
    /// In minutes.
    pub minimum_lifetime_in_minutes: u32,
    /// In minutes.
    pub maximum_lifetime_in_minutes: u32,
    /// Whether every pass works only once.
    pub is_usable_once: bool,
    /// How many letters a code has, 8 to 48.
    pub default_length: u32,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedPolicy {
    state: Option<String>,
    #[serde(default, deserialize_with = "range::graphs_lifetime")]
    minimum_lifetime_in_minutes: Option<u32>,
    #[serde(default, deserialize_with = "range::graphs_lifetime")]
    maximum_lifetime_in_minutes: Option<u32>,
    is_usable_once: Option<bool>,
    default_length: Option<i64>,
}

/// What Graph does not say counts as allowed, with Microsoft's default lifetimes: Graph refuses a pass that the tenant does
/// not allow, and says why.
impl From<ListedPolicy> for PassPolicy {
    fn from(listed: ListedPolicy) -> Self {
        let minimum = listed.minimum_lifetime_in_minutes.unwrap_or(60);
        Self {
            state: listed.state.unwrap_or_else(|| "enabled".to_owned()),
            minimum_lifetime_in_minutes: minimum,
            maximum_lifetime_in_minutes: listed.maximum_lifetime_in_minutes.unwrap_or(480.max(minimum)),
            is_usable_once: listed.is_usable_once.unwrap_or_default(),
            default_length: listed.default_length.map_or(8, |length| length.clamp(8, 48) as u32),
        }
    }
}

/// The policy of a tenant that says nothing.
impl Default for PassPolicy {
    fn default() -> Self {
        ListedPolicy::default().into()
    }
}

pub(super) const PATH: &str =
    "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass";

impl PassPolicy {
    /// Whether passes can be made.
    pub fn is_enabled(&self) -> bool {
        self.state.eq_ignore_ascii_case("enabled")
    }

    /// `minutes`, or the nearest lifetime that the policy allows.
    pub fn clamp(&self, minutes: u32) -> u32 {
        // Not `clamp`: it panics if the policy's minimum is above its maximum.
        minutes.max(self.minimum_lifetime_in_minutes).min(self.maximum_lifetime_in_minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::PassPolicy;

    #[test]
    fn a_policy_that_says_nothing_allows_passes_with_the_default_lifetimes() {
        let read = |text| serde_json::from_str::<PassPolicy>(text).unwrap();
        let lifetimes =
            |policy: PassPolicy| (policy.minimum_lifetime_in_minutes, policy.maximum_lifetime_in_minutes);
        let nothing = read("{}");
        assert!(nothing.is_enabled() && !nothing.is_usable_once);
        assert_eq!(lifetimes(nothing), (60, 480));
        assert_eq!(lifetimes(read(r#"{"minimumLifetimeInMinutes": 600}"#)), (600, 600));
        assert_eq!(lifetimes(read(r#"{"maximumLifetimeInMinutes": 30}"#)), (60, 30));
    }
}
