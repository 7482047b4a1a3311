//! One run and its critical section: snapshot, decide, reserve, enqueue, in one breath.
//!
//! Nothing in here may wait: the section holds a plain mutex. What is added inside it is never taken
//! back, even if the call is refused afterwards (DESIGN §8).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::barriers::Barriers;
use super::planned::Plans;
use super::{Approach, RecoveredRun, RunKey, StoredSources};
use crate::model::barrier::Revoked;
use crate::model::call::Call;
use crate::model::claim::Claim;
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, SourceName, Subject, UpstreamName};
use crate::model::principal::{Origin, Principal, RunRule};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::{RunEnding, RunHistory};
use crate::model::trigger::Trigger;

/// One execution of an agent for one trigger; the unit that provenance belongs to.
#[derive(Debug)]
pub struct Run {
    id: RunId,
    key: RunKey,
    subject: Subject,
    started: Timestamp,
    pub(super) origin: Option<Origin>,
    /// The dispatchers that asked for its first token. Nobody knows them after a restart.
    asked_by: Vec<EntryPointName>,
    shared: Arc<Shared>,
    /// Held while a plan of it is reviewed and recorded, so that two do not spend the same count of a shape.
    planning: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// What all runs of a table share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) stored: StoredSources,
    pub(super) barriers: Barriers,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) provenance: Provenance,
    /// What its tokens settled, where they claim it.
    pub(super) claim: Option<Claim>,
    /// The same trigger, as records take it.
    pub(super) trigger: Arc<Trigger>,
    used: Timestamp,
    phase: Phase,
    pub(super) plans: Plans,
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
    pub(super) fn start(id: RunId, key: RunKey, approach: &Approach<'_>, shared: Arc<Shared>) -> Self {
        let Approach { principal, origin, now, .. } = *approach;
        let state = State {
            provenance: principal.sources.clone(),
            claim: Claim::of(principal),
            trigger: Arc::new(principal.trigger.clone()),
            used: now,
            phase: Phase::Open,
            plans: Plans::default(),
        };
        let (subject, origin) = (principal.subject.clone(), Some(origin.clone()));
        let asked_by = principal.asked_by.clone();
        let (planning, state) = (tokio::sync::Mutex::default(), Mutex::new(state));
        Self { id, key, subject, started: now, origin, asked_by, shared, planning, state }
    }

    pub(super) fn recover(run: RecoveredRun, shared: Arc<Shared>) -> Self {
        let phase = match run.history {
            RunHistory::Whole => Phase::Open,
            RunHistory::Lost => Phase::Lost,
        };
        let trigger = Arc::new(run.claim.as_ref().map(|claim| claim.trigger.clone()).unwrap_or_default());
        let plans = Plans::recover(run.plans);
        let state =
            State { provenance: run.provenance, claim: run.claim, trigger, used: run.used, phase, plans };
        Self {
            id: run.id,
            key: run.key,
            subject: run.subject,
            started: run.started,
            origin: run.origin,
            asked_by: Vec::new(),
            shared,
            planning: tokio::sync::Mutex::default(),
            state: Mutex::new(state),
        }
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

    /// On whose behalf it acts.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Whether it belongs to who is revoked.
    pub(super) fn is_of(&self, who: &Revoked) -> bool {
        match who {
            Revoked::Subject(subject) => self.subject == *subject,
            Revoked::EntryPoint(name) => self.key.entry_point == *name || self.asked_by.contains(name),
        }
    }

    /// What started it, with what later tokens added, where tokens claim it.
    #[must_use]
    pub fn trigger(&self) -> Option<Arc<Trigger>> {
        let state = self.lock();
        state.claim.as_ref().map(|_| Arc::clone(&state.trigger))
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
    /// [`Reason::RunEnded`] where a claimed run has ended, else [`Reason::RunClosed`] where it has, or where
    /// its history is lost; `work` did not run.
    pub fn section<T>(&self, now: Timestamp, work: impl FnOnce(&mut Section<'_>) -> T) -> Result<T, Reason> {
        let mut state = self.lock();
        match (state.phase, &state.claim) {
            (Phase::Open, _) => {}
            (Phase::Ending, Some(_)) => return Err(Reason::RunEnded),
            (Phase::Ending, None) | (Phase::Lost, _) => return Err(Reason::RunClosed),
        }
        state.used = state.used.max(now);
        let (shared, subject) = (&self.shared, &self.subject);
        Ok(work(&mut Section { state: &mut state, shared, subject, now }))
    }

    /// Waits for the turn to have a plan of the run reviewed.
    pub async fn turn_to_plan(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.planning.lock().await
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

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
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
    pub(super) state: &'a mut State,
    shared: &'a Shared,
    subject: &'a Subject,
    now: Timestamp,
}

impl Section<'_> {
    /// The provenance that a decision in this section is made under.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.state.provenance
    }

    /// What started the run, with what later tokens added, where tokens claim it; else what `principal` says.
    #[must_use]
    pub fn trigger<'a>(&'a self, principal: &'a Principal) -> &'a Trigger {
        match &self.state.claim {
            Some(_) => &self.state.trigger,
            None => &principal.trigger,
        }
    }

    /// When the section was entered.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Adds the sources that the caller's credential carries now and gives those that are new to the run.
    pub fn taint_by_label(&mut self, sources: &Provenance) -> Provenance {
        self.state.provenance.join(sources)
    }

    /// The sources that people closed, as they are in this section.
    #[must_use]
    pub fn closed(&self) -> Arc<BTreeSet<SourceName>> {
        self.shared.barriers.closed()
    }

    /// Whether a source of the run is closed, so that nothing of it passes.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let closed = self.closed();
        self.provenance().iter().any(|source| closed.contains(source))
    }

    /// What a call at `upstream` will bring to the run: what the upstream `returns`, and what was stored
    /// there by others.
    #[must_use]
    pub fn brings(&self, upstream: &UpstreamName, returns: &Provenance) -> Provenance {
        let mut brings = returns.clone();
        brings.join(&self.shared.stored.read(upstream, self.subject));
        brings
    }

    /// Adds what a call `brings`. Gives the sources that are new to the run; they count from here on.
    pub fn taint(&mut self, brings: &Provenance) -> Provenance {
        self.state.provenance.join(brings)
    }

    /// Notes that `call` writes where later reads will find it: they carry this run's provenance.
    pub fn store(&mut self, call: &Call) {
        let stored = &self.shared.stored;
        stored.write(call.target.upstream(), self.subject, call.stores, &self.state.provenance);
    }
}
