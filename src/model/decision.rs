//! What was decided, why, and by which lines of the configuration.
//!
//! Must never be a bare yes or no: a decision always names its reason and its determining rules.

use serde::{Deserialize, Serialize};

use super::name::{AgentName, RoleName, SourceName};
use super::place::Place;
use super::reason::Reason;

/// What one source, one role or one agent says to a call, in the order of strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The call may pass.
    Allow,
    /// It may pass under a grant.
    Plan,
    /// It may pass when a person has approved this exact call.
    Ask,
    /// It may not pass.
    Deny,
}

/// The dimension that gave an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "dimension", content = "name")]
pub enum Dimension {
    /// A source in the provenance.
    Source(SourceName),
    /// A role of the subject.
    Role(RoleName),
    /// An agent of the chain.
    Agent(AgentName),
    /// The subject has no role that is configured.
    Roles,
    /// Agents are configured and the credential names none of them.
    Agents,
    /// A source that a person closed.
    Closed(SourceName),
    /// The accepted definition of the tool.
    Pin,
}

/// One rule that determined a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The dimension it belongs to.
    #[serde(flatten)]
    pub dimension: Dimension,
    /// What it answers.
    pub answer: Answer,
    /// The permission as written; absent where no rule matched and the default denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// Where it was written; absent where no rule matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// A verdict with its reason and the rules that determined it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The strictest answer over all dimensions.
    pub verdict: Answer,
    /// The one word for why.
    pub reason: Reason,
    /// The rules that gave the strictest answer.
    pub rules: Vec<Rule>,
    /// The policy under which it was decided.
    pub epoch: PolicyEpoch,
    /// Whether the tool is visible to the credential: in the ceiling of its own sources, roles and agent.
    pub visibility: Visibility,
}

/// Whether a credential may know of a tool (invariant I5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// In the ceiling of the credential's own sources, roles and agent.
    Visible,
    /// Outside it, or nonexistent.
    Hidden,
}

/// Counts the policies that were in force since the gateway started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyEpoch(pub u64);
