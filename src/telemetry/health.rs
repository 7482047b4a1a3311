//! Whether the gateway can serve: ready, unready, or halted, and what an operator should know beside that.
//!
//! Must never soften a halt: where nothing is forwarded the probe says so, with the reason.

use serde::{Deserialize, Serialize};

use crate::model::reason::Reason;

/// Whether the gateway can serve.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Why the probe fails although calls may still be forwarded, for instance `draining`.
    pub unready: Vec<Finding>,
    /// Why nothing is forwarded.
    pub halted: Option<Halt>,
    /// What serves and still deserves a look, for instance `insecure_local`.
    pub findings: Vec<Finding>,
}

/// One thing an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// One stable word.
    pub code: String,
    /// One sentence, with what to do.
    pub message: String,
}

/// Nothing is forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// The reason that callers are given.
    pub reason: Reason,
    /// What happened, and what to do.
    pub message: String,
}

impl Readiness {
    /// Whether the probe succeeds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.unready.is_empty() && self.halted.is_none()
    }
}
