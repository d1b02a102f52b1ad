//! The tenant's Temporary Access Pass policy.

use serde::Deserialize;

/// What the tenant allows.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PassPolicy {
    /// `enabled` or `disabled`.
    pub state: String,
    /// Minutes.
    pub minimum_lifetime_in_minutes: u32,
    /// Minutes.
    pub maximum_lifetime_in_minutes: u32,
    /// Whether all passes work only once.
    pub is_usable_once: bool,
}

pub(super) const PATH: &str =
    "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass";

impl PassPolicy {
    /// Whether passes can be made at all.
    pub fn is_enabled(&self) -> bool {
        self.state.eq_ignore_ascii_case("enabled")
    }

    /// `minutes`, or the nearest lifetime that the policy allows.
    pub fn clamp(&self, minutes: u32) -> u32 {
        // Not `clamp`, which panics where a broken policy has its limits the wrong way round.
        minutes.max(self.minimum_lifetime_in_minutes).min(self.maximum_lifetime_in_minutes)
    }
}
