//! What an operator wrote for plans: flows between tools, and what may be asked for without a person.
//!
//! Must never be changed after it was checked; `config` fills it. Trusts that names were declared.

use std::time::Duration;

use super::features::Domains;
use super::flow::Flow;
use super::shape::Shape;
use crate::model::place::Place;

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

/// Most domains that an operator names to a reviewer outside.
pub const KNOWN_DOMAINS_MAX: usize = 1024;

/// Every flow and every request shape of a configuration, how long a grant lasts, and whether a reviewer outside is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// `[[flows]]`.
    pub flows: Vec<Flow>,
    /// `[[requests]]`.
    pub shapes: Vec<Shape>,
    /// `limits.grant_lasts`: how long what of a plan is granted counts.
    pub grant_lasts: Duration,
    /// `[reviewer]`.
    pub outside: Option<Outside>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { flows: Vec::new(), shapes: Vec::new(), grant_lasts: GRANT_LASTS_DEFAULT, outside: None }
    }
}

/// A reviewer outside of the gateway that every plan is shown to, as far as reviews look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// Where it is asked: another one is another review.
    pub url: String,
    /// The domains of which it is told that they are known.
    pub known_domains: Domains,
    /// Where it was written.
    pub place: Place,
}
