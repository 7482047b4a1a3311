//! One run and its critical section: snapshot, decide, reserve, enqueue, in one breath.
//!
//! Nothing in here may wait: the section holds a plain mutex. What is added inside it is never taken
//! back, even if the call is refused afterwards (DESIGN §8).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::{RecoveredRun, RunKey, StoredSources};
use crate::model::call::Call;
use crate::model::facts::RunId;
use crate::model::name::{Subject, UpstreamName};
use crate::model::principal::{Principal, RunRule};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::{RunEnding, RunHistory};

/// One execution of an agent for one trigger; the unit that provenance belongs to.
#[derive(Debug)]
pub struct Run {
    id: RunId,
    key: RunKey,
    started: Timestamp,
    stored: Arc<StoredSources>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    provenance: Provenance,
    used: Timestamp,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// History is lost: refuses every call, and only a person ends it.
    Lost,
    /// The end is on its way to the journal, or there.
    Ending,
}

impl Run {
    pub(super) fn start(
        id: RunId,
        key: RunKey,
        principal: &Principal,
        now: Timestamp,
        stored: Arc<StoredSources>,
    ) -> Self {
        let state = State { provenance: principal.sources.clone(), used: now, phase: Phase::Open };
        Self { id, key, started: now, stored, state: Mutex::new(state) }
    }

    pub(super) fn recover(run: RecoveredRun, stored: Arc<StoredSources>) -> Self {
        let phase = match run.history {
            RunHistory::Whole => Phase::Open,
            RunHistory::Lost => Phase::Lost,
        };
        let state = State { provenance: run.provenance, used: run.used, phase };
        Self { id: run.id, key: run.key, started: run.started, stored, state: Mutex::new(state) }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// What it belongs to.
    #[must_use]
    pub fn key(&self) -> &RunKey {
        &self.key
    }

    /// When it started.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// What has influenced it so far. A snapshot: decisions are made in [`Run::section`].
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        self.lock().provenance.clone()
    }

    /// Runs `work` in the critical section of this run.
    ///
    /// # Errors
    /// [`Reason::RunClosed`] where the run has ended or its history is lost; `work` did not run.
    pub fn section<T>(&self, now: Timestamp, work: impl FnOnce(&mut Section<'_>) -> T) -> Result<T, Reason> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(Reason::RunClosed);
        }
        state.used = state.used.max(now);
        Ok(work(&mut Section { state: &mut state, stored: &self.stored, subject: &self.key.subject }))
    }

    /// Why the run has ended by itself at `now` under `rule`, if it has. A run whose history is lost
    /// never ends by itself: only a person may say that what it has read no longer matters.
    pub(super) fn expiry(&self, rule: RunRule, now: Timestamp) -> Option<RunEnding> {
        let state = self.lock();
        let since = |then: Timestamp| Duration::try_from(now.duration_since(then)).unwrap_or_default();
        match state.phase {
            Phase::Lost => None,
            Phase::Open | Phase::Ending if since(self.started) >= rule.max => Some(RunEnding::Max),
            Phase::Open | Phase::Ending if since(state.used) >= rule.idle => Some(RunEnding::Idle),
            Phase::Open | Phase::Ending => None,
        }
    }

    pub(super) fn used(&self) -> Timestamp {
        self.lock().used
    }

    pub(super) fn history(&self) -> RunHistory {
        match self.lock().phase {
            Phase::Lost => RunHistory::Lost,
            Phase::Open | Phase::Ending => RunHistory::Whole,
        }
    }

    /// From now on no section opens. Returns what to hand to [`Run::reopen`] if the end could not be
    /// made durable.
    pub(super) fn close(&self) -> Closing {
        let mut state = self.lock();
        let before = state.phase;
        state.phase = Phase::Ending;
        Closing { before }
    }

    pub(super) fn reopen(&self, closing: &Closing) {
        self.lock().phase = closing.before;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic inside a section leaves a provenance that may have grown: it is still the truth.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a run was before its end was begun.
#[derive(Debug)]
pub(super) struct Closing {
    before: Phase,
}

/// The inside of a run's critical section.
#[derive(Debug)]
pub struct Section<'a> {
    state: &'a mut State,
    stored: &'a StoredSources,
    subject: &'a Subject,
}

impl Section<'_> {
    /// The provenance that a decision in this section is made under.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.state.provenance
    }

    /// Adds the sources that the caller's credential carries now and gives those that are new to the run.
    pub fn taint_by_label(&mut self, sources: &Provenance) -> Provenance {
        self.state.provenance.join(sources)
    }

    /// Adds what `call` will bring back to the run: what its upstream returns, and what was stored
    /// there by others. Gives the sources that are new to the run; they count from here on.
    pub fn taint(&mut self, call: &Call) -> Provenance {
        let mut added = self.state.provenance.join(&call.returns);
        added.join(&self.taint_by_stored(&call.tool.upstream));
        added
    }

    /// Adds what is stored at `upstream` to the run and gives what was new.
    pub fn taint_by_stored(&mut self, upstream: &UpstreamName) -> Provenance {
        let stored = self.stored.read(upstream, self.subject);
        self.state.provenance.join(&stored)
    }

    /// Notes that `call` writes where later reads will find it: they carry this run's provenance.
    pub fn store(&mut self, call: &Call) {
        self.stored.write(&call.tool.upstream, self.subject, call.stores, &self.state.provenance);
    }
}
