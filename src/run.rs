//! The run table: which run a request belongs to, what has influenced it, and its critical section.
//!
//! Must never let a provenance shrink, nor hand out a fresh run except as invariant I4 says: by expiry,
//! by a person, by a new `txn`, or by a new session where the entry point says so. Never does I/O itself: what starts and
//! ends is handed to a [`Chronicle`] and counts only once that has made it durable. Trusts `identity` for
//! the principal and the journal for what it recovers.

mod barriers;
mod end;
mod later;
mod planned;
mod section;
mod stored;
mod table;
#[cfg(test)]
mod tests;
mod tombstones;

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::barrier::BarrierChange;
use crate::model::claim::{Claim, ClaimName};
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, Subject, Txn};
use crate::model::principal::{Origin, Principal, RunScope};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::{Actor, RunEnding, RunHistory};
use crate::model::trigger::TriggerEntry;
use crate::plan::Held;

pub use barriers::{BarrierError, BarrierReport, CLOSED_SOURCES_MAX, REVOCATIONS_MAX};
pub use planned::{Against, Rests};
pub use section::{Run, Section};
pub use stored::StoredSources;
pub use table::{RecoveredRuns, RunFigures, RunReport, Runs};
pub use tombstones::TOMBSTONES_MAX;

/// `limits.runs_max` where the configuration is silent.
pub const RUNS_MAX_DEFAULT: usize = 10_000;

/// What a run belongs to: one unit of an entry point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey {
    /// What vouched for the label.
    pub entry_point: EntryPointName,
    /// What of it.
    pub unit: Unit,
}

/// What one run is at an entry point, as its `run` says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Everything on behalf of a subject.
    Subject(Subject),
    /// One session on behalf of a subject.
    Session(Subject, Arc<str>),
    /// What its tokens name, whoever they act for: the whole family of agents.
    Claim(Txn),
}

impl RunKey {
    /// What a request of `principal` in `session` belongs to.
    ///
    /// # Errors
    /// [`Reason::TokenClaimsInvalid`] where the run is to be claimed and the credential claims none.
    pub fn of(principal: &Principal, session: Option<&Arc<str>>) -> Result<Self, Reason> {
        let subject = || principal.subject.clone();
        let unit = match (principal.runs.scope, session) {
            (RunScope::Claim, _) => {
                Unit::Claim(principal.claimed().ok_or(Reason::TokenClaimsInvalid)?.clone())
            }
            (RunScope::Session, Some(session)) => Unit::Session(subject(), Arc::clone(session)),
            (RunScope::Session, None) | (RunScope::Subject, _) => Unit::Subject(subject()),
        };
        Ok(Self { entry_point: principal.entry_point.clone(), unit })
    }

    /// The key of a run that the journal knows.
    #[must_use]
    pub fn recovered(
        entry_point: EntryPointName,
        subject: &Subject,
        session: Option<Arc<str>>,
        claim: Option<&Claim>,
    ) -> Self {
        let unit = match (claim, session) {
            (Some(claim), _) => Unit::Claim(claim.txn.clone()),
            (None, Some(session)) => Unit::Session(subject.clone(), session),
            (None, None) => Unit::Subject(subject.clone()),
        };
        Self { entry_point, unit }
    }

    /// The session, where a run is one.
    #[must_use]
    pub fn session(&self) -> Option<&Arc<str>> {
        match &self.unit {
            Unit::Session(_, session) => Some(session),
            Unit::Subject(_) | Unit::Claim(_) => None,
        }
    }
}

/// A request on its way to its run.
#[derive(Debug, Clone, Copy)]
pub struct Approach<'a> {
    /// Who sends it.
    pub principal: &'a Arc<Principal>,
    /// The session that it belongs to, where the revision has any.
    pub session: Option<&'a Arc<str>>,
    /// Where it came in.
    pub origin: &'a Origin,
    /// When.
    pub now: Timestamp,
}

/// A milestone in the life of a run, or something that a person closed. It counts once it is durable.
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
        /// Where its first request came in.
        origin: &'a Origin,
    },
    /// A later credential of a run brought more than the run had.
    Joined {
        /// The run.
        run: &'a RunId,
        /// The sources that are new to it.
        adds: Provenance,
        /// The entries of its trigger that are new to it.
        entries: &'a [TriggerEntry],
    },
    /// A run has ended.
    Ended {
        /// Its id.
        run: &'a RunId,
        /// Why.
        why: RunEnding,
        /// Who ended it, where a person did.
        by: Option<Actor>,
        /// Until when its tokens may be valid, where it is claimed by any.
        until: Option<Timestamp>,
        /// What its tokens claim, where none of them ever started it.
        unstarted: Option<&'a ClaimName>,
    },
    /// A person closed something or opened it again.
    Barrier {
        /// What.
        change: &'a BarrierChange,
        /// Who.
        by: Actor,
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
    /// On whose behalf it acts.
    pub subject: Subject,
    /// What its tokens settled, where they claim it.
    pub claim: Option<Claim>,
    /// Where its first request came in.
    pub origin: Option<Origin>,
    /// Everything that has influenced it.
    pub provenance: Provenance,
    /// When it started.
    pub started: Timestamp,
    /// When it was last used.
    pub used: Timestamp,
    /// Whether all of its history is there.
    pub history: RunHistory,
    /// What was granted to it, and what it did.
    pub plans: Held,
}
