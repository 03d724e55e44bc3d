//! Limits that hold for every role and user of a system.

use keyward_config_values::Duration;

/// Limits that hold for every role and user of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Life of a token whose role says nothing about it. 1 h by default.
    pub default_ttl: Duration,
    /// The longest life that any issue or refresh gives. 32 d by default.
    pub max_ttl: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { default_ttl: Duration::HOUR, max_ttl: Duration::DAY.saturating_mul(32) }
    }
}
