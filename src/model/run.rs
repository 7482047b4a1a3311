//! What several rooms say of a run beside its provenance: how it ended, whether its history is whole.
//!
//! Must never decide when a run ends: that is the run table's.

use serde::{Deserialize, Serialize};

/// Why a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnding {
    /// It was not used for `run_idle`.
    Idle,
    /// It lasted `run_max`.
    Max,
    /// A person ended it.
    Person,
    /// A person revoked it, its subject or its entry point.
    Revoked,
    /// Its session was closed.
    SessionClosed,
    /// Its session did not survive a restart of the gateway.
    SessionLost,
}

impl RunEnding {
    /// Every ending.
    pub const ALL: [Self; 6] =
        [Self::Idle, Self::Max, Self::Person, Self::Revoked, Self::SessionClosed, Self::SessionLost];

    /// The ending that `word` names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == word)
    }

    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Max => "max",
            Self::Person => "person",
            Self::Revoked => "revoked",
            Self::SessionClosed => "session_closed",
            Self::SessionLost => "session_lost",
        }
    }
}

/// Whether everything that a run has read is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunHistory {
    /// It is.
    Whole,
    /// Part of its history is lost: it refuses every call with `run_closed` until a person ends it (I4).
    Lost,
}

impl RunHistory {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Lost => "lost",
        }
    }
}

/// Who acted outside a run: a peer of the admin socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The uid of the peer, as the kernel says.
    pub uid: u32,
}
