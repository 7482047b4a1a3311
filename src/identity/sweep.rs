//! When a full table may be searched for what has expired: seldom, because a search looks at every entry.
//!
//! Must never let a clock that was set back keep a table full.

use std::time::Duration;

use jiff::Timestamp;

/// Shortest time between two searches of a full table for what has expired.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The searches of one table.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    last: Option<Timestamp>,
}

impl Sweeps {
    /// Whether the table may be searched at `now`; if so, this is the search.
    pub(super) fn begin(&mut self, now: Timestamp) -> bool {
        let is_due = self.last.is_none_or(|then| {
            Duration::try_from(now.duration_since(then)).map_or(true, |passed| passed >= SWEEP_INTERVAL)
        });
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}
