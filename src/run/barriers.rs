//! What people have closed: revoked callers, closed sources. Asked before a run is, and inside its section.
//!
//! Must never let a change count before it is durable, nor in another order than the journal has it. A full
//! table refuses the new revocation; what stands in it lasts until a person lifts it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Chronicle, Milestone};
use crate::model::barrier::{BarrierChange, Revoked, Since};
use crate::model::name::{EntryPointName, SourceName, Subject};
use crate::model::principal::Principal;
use crate::model::provenance::SOURCES_MAX;
use crate::model::reason::Reason;

/// Most subjects and entry points that are revoked at once. Beyond it a new revocation is refused.
pub const REVOCATIONS_MAX: usize = 10_000;
/// Most sources that are closed at once: as many as a configuration may declare.
pub const CLOSED_SOURCES_MAX: usize = SOURCES_MAX;

/// Everything that is closed.
#[derive(Debug, Default)]
pub(super) struct Barriers {
    /// Held from a record to its effect: both have the same order.
    changing: tokio::sync::Mutex<()>,
    closed: Mutex<Closed>,
}

#[derive(Debug, Default)]
struct Closed {
    revoked: BTreeMap<Revoked, Since>,
    sources: BTreeMap<SourceName, Since>,
    /// The same sources, as decisions take them.
    names: Arc<BTreeSet<SourceName>>,
}

/// Everything that is closed, for people and for the next process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BarrierReport {
    /// Callers whose credentials do not count.
    pub revoked: BTreeMap<Revoked, Since>,
    /// Sources that nothing may come from.
    pub closed: BTreeMap<SourceName, Since>,
}

/// Why something was not closed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BarrierError {
    /// It is so already.
    #[error("it is so already")]
    Already,
    /// The table is full.
    #[error("{0} are closed already, which is as many as there may be")]
    Full(usize),
    /// It could not be made durable.
    #[error("{0}")]
    Refused(Reason),
}

impl Barriers {
    pub(super) fn recover(report: BarrierReport) -> Self {
        let BarrierReport { revoked, closed: sources } = report;
        let names = Arc::new(sources.keys().cloned().collect());
        Self {
            changing: tokio::sync::Mutex::default(),
            closed: Mutex::new(Closed { revoked, sources, names }),
        }
    }

    /// Whether the credentials of `principal` count.
    pub(super) fn check(&self, principal: &Principal) -> Result<(), Reason> {
        self.check_of(Some(&principal.subject), principal.revocable_by())
    }

    /// Whether credentials for `subject` count that all of `entry_points` answer for.
    pub(super) fn check_of<'a>(
        &self,
        subject: Option<&Subject>,
        entry_points: impl Iterator<Item = &'a EntryPointName>,
    ) -> Result<(), Reason> {
        let closed = self.lock();
        if closed.revoked.is_empty() {
            return Ok(());
        }
        let entry_points = entry_points.cloned().map(Revoked::EntryPoint);
        let mut ways = subject.cloned().map(Revoked::Subject).into_iter().chain(entry_points);
        if ways.any(|way| closed.revoked.contains_key(&way)) {
            return Err(Reason::CredentialRevoked);
        }
        Ok(())
    }

    /// The sources that are closed now.
    pub(super) fn closed(&self) -> Arc<BTreeSet<SourceName>> {
        Arc::clone(&self.lock().names)
    }

    pub(super) fn report(&self) -> BarrierReport {
        let closed = self.lock();
        BarrierReport { revoked: closed.revoked.clone(), closed: closed.sources.clone() }
    }

    /// Makes `change` durable, then lets it count.
    pub(super) async fn change(
        &self,
        change: &BarrierChange,
        since: Since,
        chronicle: &impl Chronicle,
    ) -> Result<(), BarrierError> {
        let _order = self.changing.lock().await;
        self.lock().may(change)?;
        let milestone = Milestone::Barrier { change, by: since.by };
        chronicle.record(milestone).await.map_err(BarrierError::Refused)?;
        self.lock().make(change, since);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Closed> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Closed {
    fn may(&self, change: &BarrierChange) -> Result<(), BarrierError> {
        let (is_there, wanted, full) = match change {
            BarrierChange::Revoke(who) => (self.revoked.contains_key(who), false, self.revoked.len()),
            BarrierChange::Lift(who) => (self.revoked.contains_key(who), true, 0),
            BarrierChange::Close(source) => (self.sources.contains_key(source), false, self.sources.len()),
            BarrierChange::Open(source) => (self.sources.contains_key(source), true, 0),
        };
        let max = match change {
            BarrierChange::Revoke(_) | BarrierChange::Lift(_) => REVOCATIONS_MAX,
            BarrierChange::Close(_) | BarrierChange::Open(_) => CLOSED_SOURCES_MAX,
        };
        match is_there == wanted {
            false => Err(BarrierError::Already),
            true if full >= max => Err(BarrierError::Full(max)),
            true => Ok(()),
        }
    }

    fn make(&mut self, change: &BarrierChange, since: Since) {
        match change {
            BarrierChange::Revoke(who) => _ = self.revoked.insert(who.clone(), since),
            BarrierChange::Lift(who) => _ = self.revoked.remove(who),
            BarrierChange::Close(source) => _ = self.sources.insert(source.clone(), since),
            BarrierChange::Open(source) => _ = self.sources.remove(source),
        }
        self.names = Arc::new(self.sources.keys().cloned().collect());
    }
}
