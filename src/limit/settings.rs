//! The limits, checked.
//!
//! Must never hold a zero: a limit that admits nothing is refused by `config`.

use std::collections::BTreeMap;

use super::Budget;
use crate::model::name::UpstreamName;

/// How much there may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// In the whole gateway (`limits.calls_in_flight_max`); refused with `gateway_busy`.
    pub in_flight_max: usize,
    /// Per entry point and subject (`limits.calls_in_flight_per_principal_max`); `principal_busy`.
    pub in_flight_per_principal_max: usize,
    /// Per upstream (`upstreams.X.calls_in_flight_max`); `upstream_busy`.
    pub in_flight_per_upstream_max: BTreeMap<UpstreamName, usize>,
    /// What is counted over time (`[[budgets]]`).
    pub budgets: Vec<Budget>,
    /// Refused credentials per address and minute beyond which no further one is looked at
    /// (`limits.failed_authentications_per_minute`); any number where absent.
    pub failed_authentications_per_minute: Option<u64>,
}

/// `limits.calls_in_flight_max` where the configuration is silent.
pub const IN_FLIGHT_MAX_DEFAULT: usize = 4096;
/// `limits.calls_in_flight_per_principal_max` where the configuration is silent.
pub const IN_FLIGHT_PER_PRINCIPAL_MAX_DEFAULT: usize = 1024;
/// `upstreams.X.calls_in_flight_max` where the configuration is silent.
pub const IN_FLIGHT_PER_UPSTREAM_MAX_DEFAULT: usize = 1024;
