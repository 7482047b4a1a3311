//! How a command writes its answer: for people, or for programs (`--json`).
//!
//! Must never mix the two in one answer.

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Text, for people.
    Text,
    /// JSON.
    Json,
}

impl From<bool> for Form {
    /// What `--json` says.
    fn from(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}
