//! Tokens that were verified, by digest, so that each costs its signature once.
//!
//! Must never answer for a key set that is not in force: whoever asks compares epochs. Must never grow
//! beyond its bound: a full table takes no more, and what it does not hold is verified anew (I11).

use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Verified;
use crate::identity::sweep::Sweeps;
use crate::model::digest::Sha256;

/// Verified tokens that are remembered at once.
pub const VERIFIED_TOKENS_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Cache {
    known: Mutex<Known>,
    entries_max: usize,
}

#[derive(Debug, Default)]
struct Known {
    tokens: HashMap<Sha256, Arc<Verified>>,
    sweeps: Sweeps,
}

impl Cache {
    pub(super) fn new(entries_max: usize) -> Self {
        Self { known: Mutex::default(), entries_max }
    }

    pub(super) fn find(&self, digest: Sha256) -> Option<Arc<Verified>> {
        self.lock().tokens.get(&digest).cloned()
    }

    pub(super) fn forget(&self, digest: Sha256) {
        self.lock().tokens.remove(&digest);
    }

    /// Remembers `verified`, if there is room or `is_in_force` and the time make some.
    pub(super) fn put(
        &self,
        digest: Sha256,
        verified: &Arc<Verified>,
        now: Timestamp,
        is_in_force: impl Fn(&Verified) -> bool,
    ) {
        let mut known = self.lock();
        if known.tokens.len() >= self.entries_max && known.sweeps.begin(now) {
            known.tokens.retain(|_, token| now < token.times.until && is_in_force(token));
        }
        if known.tokens.len() < self.entries_max {
            known.tokens.insert(digest, Arc::clone(verified));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::token::{Confirmation, Times};
    use crate::model::name::{EntryPointName, Subject};
    use crate::model::principal::{
        Label, Principal, RUN_IDLE_DEFAULT, RUN_MAX_DEFAULT, RunRule, RunScope, TOKEN_TTL_MAX_DEFAULT,
    };
    use crate::model::provenance::Provenance;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn until(second: i64) -> Arc<Verified> {
        let label = Label {
            entry_point: EntryPointName::new("issuers.test").unwrap(),
            subject: Subject::new("user:1").unwrap(),
            roles: [].into(),
            agents: Vec::new(),
            sources: Provenance::default(),
        };
        let runs = RunRule {
            scope: RunScope::Claim,
            idle: RUN_IDLE_DEFAULT,
            max: RUN_MAX_DEFAULT,
            token_ttl_max: TOKEN_TTL_MAX_DEFAULT,
        };
        Arc::new(Verified {
            principal: Arc::new(Principal::configured(label, runs)),
            confirmation: Confirmation::default(),
            times: Times { from: at(0), until: at(second) },
            issuer: 0,
            epoch: 1,
        })
    }

    #[test]
    fn i11_a_full_cache_takes_no_more_and_evicts_nothing_that_counts() {
        let cache = Cache::new(2);
        let digest = |name: &str| Sha256::of(name.as_bytes());
        let put = |name: &str, ends: i64, now: i64| cache.put(digest(name), &until(ends), at(now), |_| true);
        put("a", 10, 0);
        put("b", 20, 0);
        put("c", 30, 1);
        assert!(cache.find(digest("a")).is_some() && cache.find(digest("b")).is_some());
        assert!(cache.find(digest("c")).is_none(), "it is verified anew instead");
        put("c", 30, 10);
        assert!(cache.find(digest("a")).is_none(), "it has ended");
        assert!(cache.find(digest("b")).is_some() && cache.find(digest("c")).is_some());
        cache.put(digest("d"), &until(30), at(12), |_| false);
        assert!(cache.find(digest("b")).is_none(), "its key set is not in force");
        assert!(cache.find(digest("d")).is_some());
    }
}
