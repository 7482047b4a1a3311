//! What was decided, why, and by which lines of the configuration.
//!
//! Must never be a bare yes or no: a decision always names its reason and its determining rules.

use std::fmt;
use std::sync::Arc;

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

impl Answer {
    /// Every answer, the loosest first.
    pub const ALL: [Self; 4] = [Self::Allow, Self::Plan, Self::Ask, Self::Deny];

    /// The word in the configuration and in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Plan => "plan",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
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
    /// A guardrail, by its `@id` or its place.
    Guardrail(Arc<str>),
    /// The conditions of the tool, which do not fit its schema or the call.
    Condition,
    /// A flow, by its name: what the run did before the call.
    Flow(Arc<str>),
}

impl fmt::Display for Dimension {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(name) => write!(out, "source {name}"),
            Self::Role(name) => write!(out, "role {name}"),
            Self::Agent(name) => write!(out, "agent {name}"),
            Self::Roles => out.write_str("no role"),
            Self::Agents => out.write_str("no agent"),
            Self::Closed(name) => write!(out, "closed source {name}"),
            Self::Pin => out.write_str("changed definition"),
            Self::Guardrail(name) => write!(out, "guardrail {name}"),
            Self::Condition => out.write_str("condition"),
            Self::Flow(name) => write!(out, "flow {name}"),
        }
    }
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
    /// Its condition as written, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Where it was written; absent where no rule matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.dimension, self.answer)?;
        match &self.permission {
            Some(permission) => write!(out, " by `{permission}`")?,
            None if self.place.is_none() => out.write_str(", which nothing names")?,
            None => {}
        }
        match &self.place {
            Some(place) => write!(out, " at {place}"),
            None => Ok(()),
        }
    }
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
    /// What would have been decided if everything that is only recorded yet counted, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_be: Option<WouldBe>,
}

/// A decision that was not enforced (`enforce = false`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WouldBe {
    /// The strictest answer.
    pub verdict: Answer,
    /// The one word for why.
    pub reason: Reason,
    /// The rules that gave the strictest answer.
    pub rules: Vec<Rule>,
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
