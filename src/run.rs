//! The run table: which run a request belongs to, what has influenced it, and its critical section.
//!
//! Must never let a provenance shrink, nor hand out a fresh run except as invariant I4 says: by expiry,
//! by a person, or by a new session where the entry point says so. Never does I/O itself: what starts and
//! ends is handed to a [`Chronicle`] and counts only once that has made it durable. Trusts `identity` for
//! the principal and the journal for what it recovers.

mod section;
mod stored;
mod table;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, Subject};
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::{Actor, RunEnding, RunHistory};

pub use section::{Run, Section};
pub use stored::StoredSources;
pub use table::{RunFigures, RunReport, Runs};

/// `limits.runs_max` where the configuration is silent.
pub const RUNS_MAX_DEFAULT: usize = 10_000;

/// What a run belongs to: a caller at an entry point and, where the entry point says
/// `run = "session"`, one session of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey {
    /// What vouched for the label.
    pub entry_point: EntryPointName,
    /// On whose behalf it acts.
    pub subject: Subject,
    /// The session, where a run is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
}

/// A milestone in the life of a run. It counts once it is durable.
#[derive(Debug)]
pub enum Milestone<'a> {
    /// A fresh run starts.
    Started {
        /// Its id.
        run: &'a RunId,
        /// What it belongs to.
        key: &'a RunKey,
        /// Who started it, with the provenance that it begins with.
        principal: &'a Arc<Principal>,
    },
    /// A run has ended.
    Ended {
        /// Its id.
        run: &'a RunId,
        /// Why.
        why: RunEnding,
        /// Who ended it, where a person did.
        by: Option<Actor>,
    },
}

/// Where milestones become durable. The gateway writes them to the journal.
pub trait Chronicle: Sync {
    /// Returns once `milestone` is durable.
    ///
    /// # Errors
    /// The reason why it is not; the milestone then does not count.
    fn record(&self, milestone: Milestone<'_>) -> impl Future<Output = Result<(), Reason>> + Send;
}

/// A run as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredRun {
    /// Its id.
    pub id: RunId,
    /// What it belongs to.
    pub key: RunKey,
    /// Everything that has influenced it.
    pub provenance: Provenance,
    /// When it started.
    pub started: Timestamp,
    /// When it was last used.
    pub used: Timestamp,
    /// Whether all of its history is there.
    pub history: RunHistory,
}
