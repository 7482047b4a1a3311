//! What the policy is compiled from: the lists of every source, role and agent, with their places.
//!
//! Must never be changed after it was checked; `config` fills it. Trusts that names were declared.

use std::collections::BTreeMap;

use crate::model::glob::Glob;
use crate::model::name::{AgentName, RoleName, SourceName};
use crate::model::place::Place;

/// Every list of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `[sources.*]`.
    pub sources: BTreeMap<SourceName, Lists>,
    /// `[roles.*]`.
    pub roles: BTreeMap<RoleName, Lists>,
    /// `[agents.*]`. Where empty, agents are no dimension of the decision.
    pub agents: BTreeMap<AgentName, Lists>,
}

/// The four lists of one source, one role or one agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// May pass.
    pub allow: Vec<Permission>,
    /// May pass under a grant.
    pub plan: Vec<Permission>,
    /// May pass when a person approved.
    pub ask: Vec<Permission>,
    /// May not pass.
    pub deny: Vec<Permission>,
}

/// One entry of a list: a glob over `upstream.tool`, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// What it speaks of.
    pub glob: Glob,
    /// Where it stands.
    pub place: Place,
}
