//! Labels of tools and of their arguments, as the operator declares them (DESIGN §9).
//!
//! Must never be taken from what an upstream says of itself: its hints are words of its own (CASES A65).

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
