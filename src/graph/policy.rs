//! The tenant's Temporary Access Pass policy.

use serde::Deserialize;

/// The tenant's rules for passes.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PassPolicy {
    /// `enabled` or `disabled`.
    pub state: String,
    /// In minutes.
    pub minimum_lifetime_in_minutes: u32,
    /// In minutes.
    pub maximum_lifetime_in_minutes: u32,
    /// Whether every pass works only once.
    pub is_usable_once: bool,
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
