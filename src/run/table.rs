//! The table of runs: attach, expire, report. Ending one is `end`.
//!
//! Must never evict a live run: a full table refuses the new (I11). Two first requests of one key must
//! never become two runs, so a key's slot is held while its run starts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::barriers::Barriers;
use super::section::Shared;
use super::tombstones::{Grave, Tombstones};
use super::{Approach, BarrierReport, Chronicle, Milestone, RecoveredRun, Run, RunKey, StoredSources, Unit};
use crate::chance;
use crate::model::claim::{Claim, Tombstone};
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, Subject, Txn};
use crate::model::principal::{
    Origin, Principal, RUN_IDLE_DEFAULT, RUN_MAX_DEFAULT, RunRule, RunScope, TOKEN_TTL_MAX_DEFAULT,
};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::RunHistory;
use crate::model::trigger::TRIGGER_BYTES_MAX;

/// Every run that is open, those that are remembered, and what people closed.
#[derive(Debug)]
pub struct Runs {
    slots: Mutex<HashMap<RunKey, Arc<Slot>>>,
    runs_max: AtomicUsize,
    pub(super) shared: Arc<Shared>,
    pub(super) tombstones: Tombstones,
}

/// The place of one key. The lock is held while its run starts or ends, which waits for the journal.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) current: tokio::sync::Mutex<Option<Held>>,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) run: Arc<Run>,
    pub(super) rule: RunRule,
    /// The place of its tombstone, where tokens claim it.
    pub(super) grave: Option<Grave>,
}

/// What the journal knows of runs.
#[derive(Debug, Default)]
pub struct RecoveredRuns {
    /// Those that have not ended.
    pub runs: Vec<RecoveredRun>,
    /// What is stored at upstreams.
    pub stored: StoredSources,
    /// The claimed ones that have ended.
    pub tombstones: Vec<Tombstone>,
    /// What people closed.
    pub barriers: BarrierReport,
}

/// A run, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// Its id.
    pub run: RunId,
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
    /// Whether all of its history is known.
    pub history: RunHistory,
}

const RULE_DEFAULT: RunRule = RunRule {
    scope: RunScope::Subject,
    idle: RUN_IDLE_DEFAULT,
    max: RUN_MAX_DEFAULT,
    token_ttl_max: TOKEN_TTL_MAX_DEFAULT,
};

/// How full the table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunFigures {
    /// Keys that hold a run, or a place for one.
    pub open: usize,
    /// Most that may.
    pub max: usize,
    /// Claimed runs that have ended and are remembered.
    pub remembered: usize,
}

impl Runs {
    /// The table as the journal knows it. `rule_of` says what a run is at an entry point; where that is
    /// no longer configured the defaults say when its runs expire.
    #[must_use]
    pub fn recover(
        recovered: RecoveredRuns,
        runs_max: usize,
        rule_of: impl Fn(&EntryPointName) -> Option<RunRule>,
    ) -> Self {
        let barriers = Barriers::recover(recovered.barriers);
        let shared = Arc::new(Shared { stored: recovered.stored, barriers });
        let tombstones = Tombstones::recover(recovered.tombstones);
        let mut slots = HashMap::new();
        for run in recovered.runs {
            let key = run.key.clone();
            let rule = rule_of(&key.entry_point).unwrap_or(RULE_DEFAULT);
            let grave = run.claim.is_some().then(|| tombstones.dig_for_recovered());
            let held = Held { run: Arc::new(Run::recover(run, Arc::clone(&shared))), rule, grave };
            slots.insert(key, Arc::new(Slot { current: tokio::sync::Mutex::new(Some(held)) }));
        }
        Self { slots: Mutex::new(slots), runs_max: runs_max.into(), shared, tombstones }
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

    /// The run that a request belongs to; starts one where invariant I4 allows it.
    ///
    /// # Errors
    /// [`Reason::RunsFull`]; [`Reason::RunClosed`] where history is lost; for a claimed run
    /// [`Reason::RunEnded`], [`Reason::RunPinned`] and [`Reason::RunChanged`]; what [`Runs::admits`] says;
    /// or why the start, or what the request adds, could not be made durable.
    pub async fn attach(
        &self,
        approach: Approach<'_>,
        chronicle: &impl Chronicle,
    ) -> Result<Arc<Run>, Reason> {
        let key = RunKey::of(approach.principal, approach.session)?;
        self.tombstones.check(&key, approach.principal.until)?;
        let slot = self.slot(&key)?;
        let mut current = slot.current.lock().await;
        let attached = self.attach_in(&mut current, &key, &approach, chronicle).await;
        let is_empty = current.is_none();
        drop(current);
        if is_empty {
            self.forget(&key);
        }
        attached
    }

    async fn attach_in(
        &self,
        current: &mut Option<Held>,
        key: &RunKey,
        approach: &Approach<'_>,
        chronicle: &impl Chronicle,
    ) -> Result<Arc<Run>, Reason> {
        let (principal, now) = (approach.principal, approach.now);
        // Asked again where the run is: a person may have revoked the caller since its request came in.
        self.shared.barriers.check(principal)?;
        if let Some(held) = current.as_mut() {
            held.rule = principal.runs;
            if held.run.history() == RunHistory::Lost {
                return Err(Reason::RunClosed);
            }
            let Some(why) = held.run.expiry(held.rule, now) else {
                held.run.take_up(approach, chronicle).await?;
                return Ok(Arc::clone(&held.run));
            };
            Self::end_held(held, why, None, now, chronicle).await?;
            *current = None;
        }
        self.tombstones.check(key, principal.until)?;
        let grave = match key.unit {
            Unit::Claim(_) => Some(self.tombstones.dig(now)?),
            Unit::Subject(_) | Unit::Session(..) => None,
        };
        // A token of this size does not fit into a request's head; what makes one up itself may.
        if principal.trigger.bytes() > TRIGGER_BYTES_MAX {
            return Err(Reason::TokenClaimsInvalid);
        }
        let id = RunId::of(chance::bytes().map_err(|_| Reason::Fault)?);
        let started = Milestone::Started { run: &id, key, principal, origin: approach.origin };
        chronicle.record(started).await?;
        let run = Arc::new(Run::start(id, key.clone(), approach, Arc::clone(&self.shared)));
        *current = Some(Held { run: Arc::clone(&run), rule: principal.runs, grave });
        Ok(run)
    }

    /// Whether the credential of `principal` still counts: asked before anything of a request is read.
    ///
    /// # Errors
    /// [`Reason::CredentialRevoked`].
    pub fn admits(&self, principal: &Principal) -> Result<(), Reason> {
        self.shared.barriers.check(principal)?;
        let claimed = principal.claimed().map(|_| RunKey::of(principal, None)).transpose()?;
        match claimed.map(|key| self.tombstones.check(&key, principal.until)) {
            Some(Err(Reason::CredentialRevoked)) => Err(Reason::CredentialRevoked),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a credential for `subject` that all of `entry_points` answer for would count, were it made.
    ///
    /// # Errors
    /// [`Reason::CredentialRevoked`].
    pub fn may_vouch<'a>(
        &self,
        subject: Option<&Subject>,
        entry_points: impl Iterator<Item = &'a EntryPointName>,
    ) -> Result<(), Reason> {
        self.shared.barriers.check_of(subject, entry_points)
    }

    /// Whether a request may use what belongs to its run without being a part of it: sessions, streams.
    ///
    /// # Errors
    /// [`Reason::RunEnded`] and [`Reason::RunPinned`], for a claimed run.
    pub async fn recognise(&self, principal: &Principal, origin: &Origin) -> Result<(), Reason> {
        if principal.claimed().is_none() {
            return Ok(());
        }
        let key = RunKey::of(principal, None)?;
        self.tombstones.check(&key, principal.until)?;
        let Some(slot) = self.lock().get(&key).cloned() else { return Ok(()) };
        let current = slot.current.lock().await;
        current.as_ref().map_or(Ok(()), |held| held.run.check_pin(principal, origin))
    }

    /// Whether the run that tokens of `entry_point` claim as `txn` may still be used. What was never used is.
    ///
    /// # Errors
    /// [`Reason::RunEnded`], or [`Reason::CredentialRevoked`] where a person revoked it.
    pub fn may_claim(&self, entry_point: &EntryPointName, txn: &Txn) -> Result<(), Reason> {
        let key = RunKey { entry_point: entry_point.clone(), unit: Unit::Claim(txn.clone()) };
        self.tombstones.check(&key, None)
    }

    /// Ends every run that has expired at `now`, and forgets those whose tokens are dead.
    ///
    /// # Errors
    /// Why an end could not be made durable; the rest is left for the next time.
    pub async fn expire(&self, now: Timestamp, chronicle: &impl Chronicle) -> Result<(), Reason> {
        self.tombstones.clear(now);
        for (key, slot) in self.snapshot() {
            // A slot that is being started or ended right now is not idle.
            let Ok(mut current) = slot.current.try_lock() else { continue };
            if let Some(held) = current.as_ref() {
                let Some(why) = held.run.expiry(held.rule, now) else { continue };
                Self::end_held(held, why, None, now, chronicle).await?;
            }
            *current = None;
            drop(current);
            self.forget(&key);
        }
        Ok(())
    }

    /// Whether `run` is the run that `key` stands for now. One that is just being started or ended may be.
    #[must_use]
    pub fn is_current(&self, key: &RunKey, run: &RunId) -> bool {
        let Some(slot) = self.find(key) else { return false };
        let Ok(current) = slot.current.try_lock() else { return true };
        current.as_ref().is_some_and(|held| held.run.id() == run)
    }

    /// Every open run, for people.
    pub async fn report(&self) -> Vec<RunReport> {
        let mut reports = Vec::new();
        for (_, slot) in self.snapshot() {
            if let Some(held) = slot.current.lock().await.as_ref() {
                reports.push(held.run.report());
            }
        }
        reports.sort_by(|a, b| a.started.cmp(&b.started).then_with(|| a.run.cmp(&b.run)));
        reports
    }

    /// Every open run, the oldest first.
    pub async fn open(&self) -> Vec<Arc<Run>> {
        let mut runs = Vec::new();
        for (_, slot) in self.snapshot() {
            runs.extend(slot.current.lock().await.as_ref().map(|held| Arc::clone(&held.run)));
        }
        runs.sort_by(|a, b| (a.started(), a.id()).cmp(&(b.started(), b.id())));
        runs
    }

    /// What people closed.
    #[must_use]
    pub fn barriers(&self) -> BarrierReport {
        self.shared.barriers.report()
    }

    /// How full the table is.
    #[must_use]
    pub fn figures(&self) -> RunFigures {
        RunFigures {
            open: self.lock().len(),
            max: self.runs_max.load(Ordering::Relaxed),
            remembered: self.tombstones.len(),
        }
    }

    pub(super) fn slot(&self, key: &RunKey) -> Result<Arc<Slot>, Reason> {
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

    pub(super) fn find(&self, key: &RunKey) -> Option<Arc<Slot>> {
        self.lock().get(key).cloned()
    }

    /// Takes a key's place out of the table if nothing is in it and nobody is about to use it.
    pub(super) fn forget(&self, key: &RunKey) {
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

    pub(super) fn snapshot(&self) -> Vec<(RunKey, Arc<Slot>)> {
        self.lock().iter().map(|(key, slot)| (key.clone(), Arc::clone(slot))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunKey, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
