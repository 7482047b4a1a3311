//! Removing from the journal what is older than it has to be kept, on the record first.
//!
//! Must never remove what is not on the record as removed, nor take a clock that jumps for time that has passed: age is
//! measured from the time of the start on by the clock that never goes back.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Gateway;
use crate::audit::{self, Event, Seq};

/// How often the oldest segments are looked at.
const RETIRE_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How long the journal is kept.
#[derive(Clone)]
pub struct Retention {
    /// The folder of the journal.
    pub dir: PathBuf,
    /// How long after it was last written a segment is kept (`audit.retention`).
    pub after: Duration,
    /// The first record that somebody who reads the journal may ask for, even after a loss of power. May wait for the disk.
    pub needed: Arc<dyn Fn() -> Seq + Send + Sync>,
}

impl fmt::Debug for Retention {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Retention").field("after", &self.after).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Removes what is too old, for as long as the gateway lives.
    pub(super) async fn retire_forever(self: Arc<Self>, retention: Retention) {
        let (wall, monotonic) = (self.clock.wall(), self.clock.monotonic());
        let mut ticks = tokio::time::interval(RETIRE_INTERVAL);
        loop {
            ticks.tick().await;
            let ran = self.clock.monotonic().saturating_sub(monotonic);
            let now = wall.saturating_add(ran).unwrap_or(wall);
            let Ok(before) = now.checked_sub(retention.after) else { continue };
            if let Err(error) = self.retire(&retention, before).await {
                tracing::error!(%error, "old segments of the journal could not be removed");
            }
        }
    }

    async fn retire(&self, retention: &Retention, before: Timestamp) -> std::io::Result<()> {
        let (dir, needed) = (retention.dir.clone(), Arc::clone(&retention.needed));
        let found = tokio::task::spawn_blocking(move || audit::retirable(&dir, before, needed())).await;
        let found = found.map_err(std::io::Error::other)?.map_err(std::io::Error::other)?;
        let Some(retired) = found else { return Ok(()) };
        let (first, last, segments, bytes) = (retired.first, retired.last, retired.segments(), retired.bytes);
        let event = Event::Retired { first, last, segments, bytes, before };
        if let Err(reason) = self.journal.record(event).await {
            // What cannot be recorded is not done; the next round tries again.
            return Err(std::io::Error::other(reason.sentence()));
        }
        tracing::info!(%first, %last, segments, bytes, "old segments of the journal are removed");
        let dir = retention.dir.clone();
        tokio::task::spawn_blocking(move || audit::retire(&dir, &retired))
            .await
            .map_err(std::io::Error::other)?
    }
}
