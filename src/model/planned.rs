//! What a record of a call says of plans and flows: the step that it used, and what it did.
//!
//! Must never hold a word of a plan beside the id of a step, nor a value of the arguments.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::Sha256;
use super::label::ToolClass;
use super::name::ToolId;
use super::provenance::Provenance;

/// The use of a step that was taken for a call. It is never given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepUse {
    /// The digest of the plan.
    pub plan: Sha256,
    /// The number of its grant in the run, from 1.
    pub grant: u32,
    /// The id of the step.
    pub step: Arc<str>,
    /// Which use of the step it is, from 1.
    pub count: u32,
}

/// A call as flows look at it, once it was made (DESIGN §9.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The tool; absent for what is no tool: a resource, a prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolId>,
    /// What it does.
    pub classes: BTreeSet<ToolClass>,
    /// The sources of its answer.
    pub brings: Provenance,
}
