//! The hosting plan.

/// What the app is hosted on, as far as it changes what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Consumption: ten minutes at most.
    Consumption,
    /// Flex Consumption.
    Flex,
    /// Premium and Dedicated.
    Dedicated,
}
