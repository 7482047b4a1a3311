//! Refusals before authentication: counted exactly, in bounded records (invariant I6).
//!
//! Must never hold anything that the unauthenticated peer chose: the keys are listeners and reasons.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::model::reason::Reason;

/// How often each listener refused for each reason since the last record.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<(String, Reason), Count>>);

/// One line of the tally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    /// How often.
    pub(super) count: u64,
    /// When the first of them was.
    pub(super) since: Timestamp,
}

impl Tally {
    /// Counts one refusal.
    pub(super) fn add(&self, listener: &str, reason: Reason, now: Timestamp) {
        self.restore(listener.to_owned(), reason, Count { count: 1, since: now });
    }

    /// Takes everything that was counted.
    pub(super) fn take(&self) -> BTreeMap<(String, Reason), Count> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts back what could not be recorded.
    pub(super) fn restore(&self, listener: String, reason: Reason, count: Count) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = table.entry((listener, reason)).or_insert(Count { count: 0, since: count.since });
        line.count = line.count.saturating_add(count.count);
        line.since = line.since.min(count.since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_recorded_is_counted_with_the_next() {
        let (tally, now) = (Tally::default(), Timestamp::UNIX_EPOCH);
        tally.add("main", Reason::CredentialUnknown, now);
        tally.add("main", Reason::CredentialUnknown, now);
        let taken = tally.take();
        tally.add("main", Reason::CredentialUnknown, now);
        for ((listener, reason), count) in taken {
            tally.restore(listener, reason, count);
        }
        let line = tally.take().into_values().next();
        assert_eq!(line, Some(Count { count: 3, since: now }));
    }
}
