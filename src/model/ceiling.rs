//! What the lists say to every call of a tool, whatever its arguments are: asked by the review of a plan, answered by
//! the policy.
//!
//! Must never be taken for a decision: it says what there can be, and each call is decided again (I1).

use super::decision::{Answer, Rule};
use super::name::{SourceName, ToolId};

/// What one dimension says to every call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The loosest answer that it gives under some arguments, with its rule.
    pub rule: Rule,
    /// The strictest answer that it gives under some arguments.
    pub strictest: Answer,
}

/// What the lists say, whatever the arguments are. The policy answers it.
pub trait Answers {
    /// What `source` says to calls of `tool`. A source that is not configured denies.
    fn source(&self, source: &SourceName, tool: &ToolId) -> Said;

    /// What the roles together say, what the agents do where agents are configured, and what refuses or may refuse the
    /// calls whoever makes them. Nothing is a denial.
    fn caller(&self, tool: &ToolId) -> Vec<Said>;
}
