//! Proofs that were used, for as long as they could be used again.
//!
//! Must never forget one that still counts: a full table refuses the new (I11). In memory alone: a proof
//! of the last minute before a restart could count once more after it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::model::digest::Sha256;

/// Proofs that are remembered at once: about a thousand new ones a second.
pub const PROOFS_MAX: usize = 65_536;

#[derive(Debug)]
pub(in crate::identity) struct Replays {
    used: Mutex<HashMap<Sha256, Timestamp>>,
    entries_max: usize,
}

impl Replays {
    pub(in crate::identity) fn new(entries_max: usize) -> Self {
        Self { used: Mutex::default(), entries_max }
    }

    /// Whether `proof` is used for the first time and can be remembered until it no longer counts.
    pub(in crate::identity) fn take(&self, proof: Sha256, until: Timestamp, now: Timestamp) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.get(&proof).is_some_and(|until| now < *until) {
            return false;
        }
        if used.len() >= self.entries_max {
            // Only holders of verified tokens get here, so this is not a stranger's to repeat.
            used.retain(|_, until| now < *until);
        }
        if used.len() >= self.entries_max {
            return false;
        }
        used.insert(proof, until);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i11_a_proof_counts_once_and_a_full_table_refuses_the_new() {
        let replays = Replays::new(2);
        let at = |second| Timestamp::from_second(second).unwrap();
        let proof = |name: &str| Sha256::of(name.as_bytes());
        assert!(replays.take(proof("a"), at(60), at(0)));
        assert!(!replays.take(proof("a"), at(60), at(59)));
        assert!(replays.take(proof("b"), at(100), at(1)));
        assert!(!replays.take(proof("c"), at(61), at(2)), "both still count");
        assert!(!replays.take(proof("b"), at(100), at(3)), "and nothing was evicted for it");
        assert!(replays.take(proof("c"), at(120), at(60)), "the first no longer counts");
    }
}
