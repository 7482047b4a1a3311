//! Labels of tools and of their arguments, as the operator declares them (DESIGN §9).
//!
//! Must never be taken from what an upstream says of itself: its hints are words of its own (CASES A65).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a tool does. A tool whose classes nobody declared counts as all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolClass {
    /// It reads what the run may not have seen yet.
    Reads,
    /// It changes something that lasts.
    Writes,
    /// It carries content to somebody else.
    Sends,
    /// It runs code or commands.
    Executes,
    /// It takes in code, packages or instructions that count later.
    Loads,
}

impl ToolClass {
    /// Every class.
    pub const ALL: [Self; 5] = [Self::Reads, Self::Writes, Self::Sends, Self::Executes, Self::Loads];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Sends => "sends",
            Self::Executes => "executes",
            Self::Loads => "loads",
        }
    }
}

/// What an operator declared of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// What it does, where somebody said so.
    pub classes: Option<BTreeSet<ToolClass>>,
    /// The arguments that say who, where, which or how much, where somebody said so.
    pub destinations: Option<BTreeSet<String>>,
    /// The arguments that hold what is told.
    pub content: BTreeSet<String>,
    /// What a reviewer of plans is told that it does.
    pub review_line: Option<String>,
}

impl Labels {
    /// What the tool does. One without classes counts as all of them (DESIGN §9.3).
    #[must_use]
    pub fn effective_classes(&self) -> BTreeSet<ToolClass> {
        self.classes.clone().unwrap_or_else(|| ToolClass::ALL.into())
    }

    /// Whether it reads and does nothing else.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        self.classes.as_ref().is_some_and(|classes| *classes == BTreeSet::from([ToolClass::Reads]))
    }

    /// Whether the argument `name` says who, where, which or how much. Where nobody said which do, all do that are not
    /// content, but of a tool that does nothing but read: it carries nothing anywhere.
    #[must_use]
    pub fn is_destination(&self, name: &str) -> bool {
        match &self.destinations {
            Some(destinations) => destinations.contains(name),
            None => !self.only_reads() && !self.content.contains(name),
        }
    }
}
