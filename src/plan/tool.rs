//! A tool as the review of a plan sees it: what its operator says of it, and its accepted input schema.
//!
//! Must never hold a word of its upstream beside the schema that was accepted: labels are the operator's (CASES A65).
//! What nobody labelled counts as the worst that it can be.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::model::label::ToolClass;
use crate::model::name::ToolId;
use crate::model::provenance::Provenance;

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name in permissions.
    pub id: ToolId,
    /// What it does, where somebody said so.
    pub classes: Option<BTreeSet<ToolClass>>,
    /// The arguments that say who, where, which or how much, where somebody said so.
    pub destinations: Option<BTreeSet<String>>,
    /// The arguments that hold what is told.
    pub content: BTreeSet<String>,
    /// Its accepted input schema, raw, as callers are shown it.
    pub schema: Bytes,
    /// The sources that its answers carry: its own, and those that are stored in it.
    pub returns: Provenance,
}

impl Tool {
    /// What it does. A tool without classes counts as all of them (DESIGN §9.3).
    #[must_use]
    pub fn effective_classes(&self) -> BTreeSet<ToolClass> {
        self.classes.clone().unwrap_or_else(|| ToolClass::ALL.into())
    }

    /// Whether it reads and does nothing else.
    pub(super) fn only_reads(&self) -> bool {
        self.classes.as_ref().is_some_and(|classes| *classes == BTreeSet::from([ToolClass::Reads]))
    }

    /// Whether the argument `name` says who, where, which or how much. Where nobody said which do, all do that are not
    /// content, but of a tool that does nothing but read: it carries nothing anywhere.
    pub(super) fn is_destination(&self, name: &str) -> bool {
        match &self.destinations {
            Some(destinations) => destinations.contains(name),
            None => !self.only_reads() && !self.content.contains(name),
        }
    }
}
