//! The table of runs: attach, end, expire, report.
//!
//! Must never evict a live run: a full table refuses the new (I11). Two first requests of one key must
//! never become two runs, so a key's slot is held while its run starts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Chronicle, Milestone, RecoveredRun, Run, RunKey, StoredSources};
use crate::chance;
use crate::model::facts::RunId;
use crate::model::name::EntryPointName;
use crate::model::principal::{Principal, RUN_IDLE_DEFAULT, RUN_MAX_DEFAULT, RunRule, RunScope};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::{Actor, RunEnding, RunHistory};

/// Every run that is open.
#[derive(Debug)]
pub struct Runs {
    slots: Mutex<HashMap<RunKey, Arc<Slot>>>,
    runs_max: AtomicUsize,
    stored: Arc<StoredSources>,
}

/// The place of one key. The lock is held while its run starts or ends, which waits for the journal.
#[derive(Debug, Default)]
struct Slot {
    current: tokio::sync::Mutex<Option<Held>>,
}

#[derive(Debug, Clone)]
struct Held {
    run: Arc<Run>,
    rule: RunRule,
}

/// A run, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// Its id.
    pub run: RunId,
    /// What it belongs to.
    #[serde(flatten)]
    pub key: RunKey,
    /// Everything that has influenced it.
    pub provenance: Provenance,
    /// When it started.
    pub started: Timestamp,
    /// When it was last used.
    pub used: Timestamp,
    /// Whether all of its history is known.
    pub history: RunHistory,
}

const RULE_DEFAULT: RunRule =
    RunRule { scope: RunScope::Subject, idle: RUN_IDLE_DEFAULT, max: RUN_MAX_DEFAULT };

/// How full the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunFigures {
    /// Keys that hold a run, or a place for one.
    pub open: usize,
    /// Most that may.
    pub max: usize,
}

impl Runs {
    /// The table as the journal knows it. `rule_of` says what a run is at an entry point; where that is
    /// no longer configured the defaults say when its runs expire.
    #[must_use]
    pub fn recover(
        recovered: Vec<RecoveredRun>,
        stored: StoredSources,
        runs_max: usize,
        rule_of: impl Fn(&EntryPointName) -> Option<RunRule>,
    ) -> Self {
        let stored = Arc::new(stored);
        let mut slots = HashMap::new();
        for run in recovered {
            let key = run.key.clone();
            let rule = rule_of(&key.entry_point).unwrap_or(RULE_DEFAULT);
            let held = Held { run: Arc::new(Run::recover(run, Arc::clone(&stored))), rule };
            slots.insert(key, Arc::new(Slot { current: tokio::sync::Mutex::new(Some(held)) }));
        }
        Self { slots: Mutex::new(slots), runs_max: runs_max.into(), stored }
    }

    /// From now on at most `runs_max` are open, and each lasts as `rule_of` says of its entry point. Runs
    /// that are open stay; those of an entry point that is gone expire by the last rule that it had.
    pub async fn follow(&self, runs_max: usize, rule_of: impl Fn(&EntryPointName) -> Option<RunRule>) {
        self.runs_max.store(runs_max, Ordering::Relaxed);
        for (key, slot) in self.snapshot() {
            let Some(rule) = rule_of(&key.entry_point) else { continue };
            if let Some(held) = slot.current.lock().await.as_mut() {
                held.rule = rule;
            }
        }
    }

    /// The run that a request of `principal` belongs to; starts one where invariant I4 allows it.
    ///
    /// # Errors
    /// [`Reason::RunsFull`], [`Reason::RunClosed`] where history is lost, or why the start could not be
    /// made durable.
    pub async fn attach(
        &self,
        principal: &Arc<Principal>,
        session: Option<&Arc<str>>,
        now: Timestamp,
        chronicle: &impl Chronicle,
    ) -> Result<Arc<Run>, Reason> {
        let rule = principal.runs;
        let session = match rule.scope {
            RunScope::Session => session.cloned(),
            RunScope::Subject | RunScope::Claim => None,
        };
        let entry_point = principal.entry_point.clone();
        let key = RunKey { entry_point, subject: principal.subject.clone(), session };
        let slot = self.slot(&key)?;
        let mut current = slot.current.lock().await;
        if let Some(held) = current.as_mut() {
            held.rule = rule;
            if held.run.history() == RunHistory::Lost {
                return Err(Reason::RunClosed);
            }
            let Some(why) = held.run.expiry(rule, now) else { return Ok(Arc::clone(&held.run)) };
            end(&held.run, why, None, chronicle).await?;
            *current = None;
        }
        let id = RunId::of(chance::bytes().map_err(|_| Reason::Fault)?);
        chronicle.record(Milestone::Started { run: &id, key: &key, principal }).await?;
        let run = Arc::new(Run::start(id, key, principal, now, Arc::clone(&self.stored)));
        *current = Some(Held { run: Arc::clone(&run), rule });
        Ok(run)
    }

    /// Ends the run with this id because a person said so. `None` where there is none.
    ///
    /// # Errors
    /// Why the end could not be made durable; the run then goes on.
    pub async fn end(
        &self,
        id: &RunId,
        by: Actor,
        chronicle: &impl Chronicle,
    ) -> Result<Option<RunReport>, Reason> {
        for (key, slot) in self.snapshot() {
            let mut current = slot.current.lock().await;
            let Some(held) = current.as_ref().filter(|held| held.run.id() == id) else { continue };
            let report = report(&held.run);
            end(&held.run, RunEnding::Person, Some(by), chronicle).await?;
            *current = None;
            drop(current);
            self.forget(&key);
            return Ok(Some(report));
        }
        Ok(None)
    }

    /// Ends the run of a session that was closed.
    ///
    /// # Errors
    /// Why the end could not be made durable; the run then stays until it expires.
    pub async fn end_session(
        &self,
        principal: &Principal,
        session: &Arc<str>,
        chronicle: &impl Chronicle,
    ) -> Result<(), Reason> {
        let key = RunKey {
            entry_point: principal.entry_point.clone(),
            subject: principal.subject.clone(),
            session: Some(Arc::clone(session)),
        };
        let Some(slot) = self.lock().get(&key).cloned() else { return Ok(()) };
        let mut current = slot.current.lock().await;
        if let Some(held) = current.as_ref() {
            end(&held.run, RunEnding::SessionClosed, None, chronicle).await?;
        }
        *current = None;
        drop(current);
        self.forget(&key);
        Ok(())
    }

    /// Ends every run of a session: called once at start, because no session survives a restart.
    ///
    /// # Errors
    /// Why an end could not be made durable.
    pub async fn end_lost_sessions(&self, chronicle: &impl Chronicle) -> Result<(), Reason> {
        for (key, slot) in self.snapshot() {
            let mut current = slot.current.lock().await;
            let Some(held) = current
                .as_ref()
                .filter(|held| key.session.is_some() && held.run.history() == RunHistory::Whole)
            else {
                continue;
            };
            end(&held.run, RunEnding::SessionLost, None, chronicle).await?;
            *current = None;
            drop(current);
            self.forget(&key);
        }
        Ok(())
    }

    /// Ends every run that has expired at `now`.
    ///
    /// # Errors
    /// Why an end could not be made durable; the rest is left for the next time.
    pub async fn expire(&self, now: Timestamp, chronicle: &impl Chronicle) -> Result<(), Reason> {
        for (key, slot) in self.snapshot() {
            // A slot that is being started or ended right now is not idle.
            let Ok(mut current) = slot.current.try_lock() else { continue };
            if let Some(held) = current.as_ref() {
                let Some(why) = held.run.expiry(held.rule, now) else { continue };
                end(&held.run, why, None, chronicle).await?;
            }
            *current = None;
            drop(current);
            self.forget(&key);
        }
        Ok(())
    }

    /// Every open run, for people.
    pub async fn report(&self) -> Vec<RunReport> {
        let mut reports = Vec::new();
        for (_, slot) in self.snapshot() {
            if let Some(held) = slot.current.lock().await.as_ref() {
                reports.push(report(&held.run));
            }
        }
        reports.sort_by(|a, b| a.started.cmp(&b.started).then_with(|| a.run.cmp(&b.run)));
        reports
    }

    /// How full the table is.
    #[must_use]
    pub fn figures(&self) -> RunFigures {
        RunFigures { open: self.lock().len(), max: self.runs_max.load(Ordering::Relaxed) }
    }

    fn slot(&self, key: &RunKey) -> Result<Arc<Slot>, Reason> {
        let mut slots = self.lock();
        if let Some(slot) = slots.get(key) {
            return Ok(Arc::clone(slot));
        }
        if slots.len() >= self.runs_max.load(Ordering::Relaxed) {
            return Err(Reason::RunsFull);
        }
        let slot = Arc::new(Slot::default());
        slots.insert(key.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    /// Takes a key's place out of the table if nothing is in it and nobody is about to use it.
    fn forget(&self, key: &RunKey) {
        let mut slots = self.lock();
        let unused = slots.get(key).is_some_and(|slot| {
            // Whoever attaches clones the slot under the lock of the table that is held here, so two
            // owners (the table and the caller's own snapshot) mean that nobody else has it.
            Arc::strong_count(slot) <= 2 && slot.current.try_lock().is_ok_and(|current| current.is_none())
        });
        if unused {
            slots.remove(key);
        }
    }

    fn snapshot(&self) -> Vec<(RunKey, Arc<Slot>)> {
        self.lock().iter().map(|(key, slot)| (key.clone(), Arc::clone(slot))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunKey, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn end(run: &Run, why: RunEnding, by: Option<Actor>, chronicle: &impl Chronicle) -> Result<(), Reason> {
    let closing = run.close();
    let recorded = chronicle.record(Milestone::Ended { run: run.id(), why, by }).await;
    if recorded.is_err() {
        run.reopen(&closing);
    }
    recorded
}

fn report(run: &Run) -> RunReport {
    RunReport {
        run: run.id().clone(),
        key: run.key().clone(),
        provenance: run.provenance(),
        started: run.started(),
        used: run.used(),
        history: run.history(),
    }
}
