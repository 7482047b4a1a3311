//! Proofs that were used, for as long as they could be used again.
//!
//! Must never forget one that still counts: a full table refuses the new (I11). Must never let one holder
//! fill it for all others: each has a share. In memory alone: a proof of the last minute before a restart
//! could count once more after it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::identity::sweep::Sweeps;
use crate::model::digest::Sha256;

/// Proofs that are remembered at once: about a thousand new ones a second.
pub const PROOFS_MAX: usize = 65_536;
/// Proofs of one key that are remembered at once, about 68 new ones a second; a further one is refused.
pub const PROOFS_PER_KEY_MAX: usize = PROOFS_MAX / 16;

/// How many proofs are remembered at once.
#[derive(Debug, Clone, Copy)]
pub(in crate::identity) struct Places {
    /// Of everybody.
    pub(in crate::identity) all: usize,
    /// Of one holder.
    pub(in crate::identity) per_holder: usize,
}

#[derive(Debug)]
pub(in crate::identity) struct Replays {
    used: Mutex<Used>,
    places: Places,
}

/// A proof that was shown.
#[derive(Debug, Clone, Copy)]
pub(in crate::identity) struct Shown {
    /// Which one.
    pub(in crate::identity) proof: Sha256,
    /// Who holds what made it: its share is charged.
    pub(in crate::identity) holder: Sha256,
    /// When it no longer counts.
    pub(in crate::identity) until: Timestamp,
}

/// Why something that is shown does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::identity) enum Untaken {
    /// It was used before.
    Used,
    /// No further one can be remembered.
    Full,
}

#[derive(Debug, Default)]
struct Used {
    proofs: HashMap<Sha256, Shown>,
    /// How many of `proofs` each holder has; nobody stands here with none.
    shares: HashMap<Sha256, usize>,
    sweeps: Sweeps,
}

impl Replays {
    pub(in crate::identity) fn new(places: Places) -> Self {
        Self { used: Mutex::default(), places }
    }

    /// Remembers what is shown until it no longer counts, where it is used for the first time.
    ///
    /// # Errors
    /// Why it does not count.
    pub(in crate::identity) fn take(&self, shown: Shown, now: Timestamp) -> Result<(), Untaken> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.proofs.get(&shown.proof).is_some_and(|known| now < known.until) {
            return Err(Untaken::Used);
        }
        if !used.has_room(shown.holder, self.places) && used.sweeps.begin(now) {
            used.forget_expired(now);
        }
        if !used.has_room(shown.holder, self.places) {
            return Err(Untaken::Full);
        }
        used.remember(shown);
        Ok(())
    }
}

impl Used {
    fn has_room(&self, holder: Sha256, places: Places) -> bool {
        let share = self.shares.get(&holder).copied().unwrap_or_default();
        self.proofs.len() < places.all && share < places.per_holder
    }

    fn remember(&mut self, shown: Shown) {
        // One that no longer counts may still stand there.
        if let Some(before) = self.proofs.insert(shown.proof, shown) {
            self.release(before.holder);
        }
        *self.shares.entry(shown.holder).or_default() += 1;
    }

    fn release(&mut self, holder: Sha256) {
        let left = self.shares.get(&holder).map_or(0, |share| share.saturating_sub(1));
        if left == 0 {
            self.shares.remove(&holder);
        } else {
            self.shares.insert(holder, left);
        }
    }

    fn forget_expired(&mut self, now: Timestamp) {
        self.proofs.retain(|_, shown| now < shown.until);
        self.shares.clear();
        for shown in self.proofs.values() {
            *self.shares.entry(shown.holder).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shown(holder: &str, proof: &str, until: i64) -> Shown {
        let (proof, holder) = (Sha256::of(proof.as_bytes()), Sha256::of(holder.as_bytes()));
        Shown { proof, holder, until: at(until) }
    }

    #[test]
    fn i11_a_proof_counts_once_and_a_full_table_refuses_the_new() {
        let replays = Replays::new(Places { all: 2, per_holder: 2 });
        let take = |proof, until, now| replays.take(shown(proof, proof, until), at(now)).is_ok();
        assert!(take("a", 60, 0));
        assert!(!take("a", 60, 59));
        assert!(take("b", 100, 1));
        assert!(!take("c", 61, 2), "both still count");
        assert!(!take("b", 100, 3), "and nothing was evicted for it");
        assert!(take("c", 120, 60), "the first no longer counts");
    }

    #[test]
    fn one_holder_fills_its_share_and_leaves_the_rest_to_others() {
        let replays = Replays::new(Places { all: 4, per_holder: 2 });
        let take = |holder, proof, until, now| replays.take(shown(holder, proof, until), at(now)).is_ok();
        assert!(take("greedy", "1", 60, 0) && take("greedy", "2", 90, 0));
        assert!(!take("greedy", "3", 90, 1), "its share is used");
        assert!(take("other", "4", 90, 1) && take("other", "5", 90, 1), "and theirs is not");
        assert!(!take("third", "6", 90, 2), "the table is full all the same");
        assert!(take("greedy", "7", 120, 60), "what no longer counts gives its place back");
        assert!(!take("greedy", "8", 120, 62));
        assert!(take("greedy", "7", 200, 150) && take("greedy", "8", 200, 150), "all of them do");
        assert!(!take("greedy", "9", 200, 152));
    }

    #[test]
    fn a_full_table_is_searched_at_most_once_a_second() {
        let replays = Replays::new(Places { all: 1, per_holder: 1 });
        let halfway = |second| at(second).checked_add(jiff::SignedDuration::from_millis(500)).unwrap();
        assert!(replays.take(shown("a", "a", 10), at(0)).is_ok());
        assert!(replays.take(shown("b", "b", 20), halfway(9)).is_err(), "searched, and nothing had expired");
        assert!(replays.take(shown("b", "b", 20), at(10)).is_err(), "not searched again so soon");
        assert!(replays.take(shown("b", "b", 20), halfway(10)).is_ok());
        assert!(replays.take(shown("c", "c", 30), at(25)).is_ok());
        assert!(
            replays.take(shown("d", "d", 30), at(5)).is_err(),
            "a clock that is set back forgets nothing"
        );
    }
}
