//! What an operator wrote for plans: flows between tools, and what may be asked for without a person.
//!
//! Must never be changed after it was checked; `config` fills it. Trusts that names were declared.

use std::time::Duration;

use super::flow::Flow;
use super::shape::Shape;

/// `limits.grant_lasts` where the configuration is silent: how long what of a plan is granted counts.
pub const GRANT_LASTS_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// Longest time that a configuration can let it count.
pub const GRANT_LASTS_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Most flows of a configuration: each call and each step looks at all of them.
pub const FLOWS_MAX: usize = 64;
/// Most request shapes of a configuration.
pub const SHAPES_MAX: usize = 256;
/// Most steps of one request shape.
pub const SHAPE_STEPS_MAX: usize = 32;
/// Most values that a request shape names for one argument.
pub const SHAPE_VALUES_MAX: usize = 64;

/// Every flow and every request shape of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// `[[flows]]`.
    pub flows: Vec<Flow>,
    /// `[[requests]]`.
    pub shapes: Vec<Shape>,
    /// `limits.grant_lasts`: how long what of a plan is granted counts.
    pub grant_lasts: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { flows: Vec::new(), shapes: Vec::new(), grant_lasts: GRANT_LASTS_DEFAULT }
    }
}
