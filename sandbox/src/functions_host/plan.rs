//! The hosting plan.

/// The hosting plan, as far as it limits the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Consumption: `functionTimeout` is at most ten minutes.
    Consumption,
    /// Flex Consumption.
    Flex,
    /// Premium and Dedicated.
    Dedicated,
}
