//! The claimed runs that have ended, for as long as one of their tokens may be valid.
//!
//! Must never forget one too early: its token would start a fresh run, free of what the old one read (I4).
//! A full table refuses new claimed runs: each open one holds the place of its tombstone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{RunKey, Unit};
use crate::model::claim::Tombstone;
use crate::model::reason::Reason;
use crate::model::run::RunEnding;

/// Most claimed runs that are open or remembered. Beyond it new ones are refused with `runs_full`.
pub const TOMBSTONES_MAX: usize = 100_000;

/// Where ended runs are remembered.
#[derive(Debug, Clone, Default)]
pub(super) struct Tombstones(Arc<Mutex<Yard>>);

#[derive(Debug, Default)]
struct Yard {
    stones: HashMap<RunKey, Tombstone>,
    /// Open claimed runs, each with a place for its stone.
    open: usize,
    /// When the first of the stones may go: before that there is nothing to look for.
    first_gone: Option<Timestamp>,
}

/// The place of an open run's tombstone. Free again when it is dropped without one.
#[derive(Debug)]
pub(super) struct Grave(Tombstones);

impl Tombstones {
    pub(super) fn recover(stones: Vec<Tombstone>) -> Self {
        let yard = Self::default();
        stones.into_iter().for_each(|stone| yard.lock().add(stone));
        yard
    }

    /// A place for the tombstone of a new run.
    pub(super) fn dig(&self, now: Timestamp) -> Result<Grave, Reason> {
        let mut yard = self.lock();
        if yard.is_full() {
            yard.clear(now);
        }
        if yard.is_full() {
            return Err(Reason::RunsFull);
        }
        yard.open += 1;
        Ok(Grave(self.clone()))
    }

    /// The place of a run that is open since before this process, whether or not there is room.
    pub(super) fn dig_for_recovered(&self) -> Grave {
        self.lock().open += 1;
        Grave(self.clone())
    }

    /// Whether a token of `key` that ends at `token_until` may still start or use a run.
    ///
    /// # Errors
    /// [`Reason::RunEnded`], or [`Reason::CredentialRevoked`] where a person revoked it.
    pub(super) fn check(&self, key: &RunKey, token_until: Option<Timestamp>) -> Result<(), Reason> {
        match self.lock().stones.get_mut(key) {
            None => Ok(()),
            Some(stone) => {
                stone.outlive(token_until);
                Err(if stone.why == RunEnding::Revoked {
                    Reason::CredentialRevoked
                } else {
                    Reason::RunEnded
                })
            }
        }
    }

    /// Forgets the runs whose tokens are dead.
    pub(super) fn clear(&self, now: Timestamp) {
        self.lock().clear(now);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().stones.len()
    }

    fn lock(&self) -> MutexGuard<'_, Yard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grave {
    /// Puts the stone there.
    pub(super) fn bury(&self, stone: Tombstone) {
        self.0.lock().add(stone);
    }
}

impl Drop for Grave {
    fn drop(&mut self) {
        let mut yard = self.0.lock();
        yard.open = yard.open.saturating_sub(1);
    }
}

impl Yard {
    fn is_full(&self) -> bool {
        self.stones.len().saturating_add(self.open) >= TOMBSTONES_MAX
    }

    fn add(&mut self, stone: Tombstone) {
        let key = RunKey { entry_point: stone.entry_point.clone(), unit: Unit::Claim(stone.txn.clone()) };
        self.first_gone = Some(self.first_gone.map_or(stone.until, |first| first.min(stone.until)));
        self.stones.insert(key, stone);
    }

    fn clear(&mut self, now: Timestamp) {
        if self.first_gone.is_none_or(|first| now < first) {
            return;
        }
        self.stones.retain(|_, stone| now < stone.until);
        self.first_gone = self.stones.values().map(|stone| stone.until).min();
    }
}
