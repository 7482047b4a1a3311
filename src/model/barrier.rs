//! What people have closed: callers whose credentials no longer count, sources that nothing may come from.
//!
//! Must never open anything: what is closed only takes away.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::{EntryPointName, SourceName, Subject};
use super::run::Actor;

/// Whose credentials no longer count until a person lifts it. A revoked run has ended instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// Everything that acts on behalf of this subject, at every entry point.
    Subject(Subject),
    /// Everything that this entry point vouches for.
    EntryPoint(EntryPointName),
}

impl std::fmt::Display for Revoked {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Subject(subject) => write!(out, "the subject `{subject}`"),
            Self::EntryPoint(name) => write!(out, "the entry point `{name}`"),
        }
    }
}

/// Since when something is closed, and who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
}

/// One thing that a person closes or opens again. It counts once it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BarrierChange {
    /// These credentials no longer count.
    Revoke(Revoked),
    /// They count again.
    Lift(Revoked),
    /// Nothing passes that this source has influenced or would.
    Close(SourceName),
    /// The policy alone decides again.
    Open(SourceName),
}
