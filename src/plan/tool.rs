//! What a review and a grant know of a tool: its accepted schema, and what the operator said of it.
//!
//! Must never take a label from anywhere but the configuration, nor know more than the schema that was accepted: labels
//! are the operator's (CASES A65). What nobody labelled counts as the worst that it can be.

use bytes::Bytes;

use crate::model::label::Labels;
use crate::model::name::ToolId;
use crate::model::provenance::Provenance;

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name in permissions.
    pub id: ToolId,
    /// What the operator said of it.
    pub labels: Labels,
    /// Its accepted input schema, raw, as callers are shown it.
    pub schema: Bytes,
    /// The sources that its answers carry: its own, and those that are stored in it.
    pub returns: Provenance,
}
