//! Where records go beside the journal: each sink at its own pace, from the journal, at least once, in order.
//!
//! Must never stand in the way of a call: a sink that hangs, refuses or is gone falls behind, says so, and goes on where
//! it was. Must never get a record that the journal could still lose: only what is known durable is sent, so that no
//! number is ever sent for two records. What a receiver gets twice has the same `seq` and `digest`.

mod anchor;
mod backoff;
mod courier;
mod cursor;
mod dead;
mod ecs;
mod failure;
mod file;
mod http;
#[cfg(feature = "kafka")]
mod kafka;
mod members;
#[cfg(feature = "nats")]
mod nats;
mod ocsf;
mod one_line;
mod otel;
mod parcel;
mod settings;
mod severity;
mod spans;
mod stdout;
mod stream;
mod syslog;
mod target;
#[cfg(test)]
mod tests;
mod told;
mod witness;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::audit::{Position, Seq};
use crate::clock::Clock;
use courier::Courier;
use cursor::Cursor;
pub use cursor::CursorError;
pub use ocsf::OcsfVersion;
pub use settings::*;
pub use witness::WITNESS_PATH;

/// How one sink does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Records that it took.
    pub delivered: u64,
    /// Lines of the journal that are durable and that it does not have yet.
    pub behind: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Segments of the journal that were gone before it had them.
    pub missed: u64,
    /// Records that it cannot take, which were set aside.
    pub dead: u64,
    /// What is wrong, and since when; nothing while it goes.
    pub trouble: Option<Trouble>,
}

/// Why a sink takes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// Is told how a sink does, whenever that changes.
pub type Tell = Arc<dyn Fn(&Settings, &Figures) + Send + Sync>;

/// What the sinks read.
#[derive(Debug, Clone)]
pub struct Source {
    /// The folder of the journal.
    pub dir: PathBuf,
    /// The last line that is known durable.
    pub synced: watch::Receiver<Seq>,
}

impl Source {
    /// How many durable lines are not before `at`.
    fn behind(&self, at: Position) -> u64 {
        self.synced.borrow().0.saturating_add(1).saturating_sub(at.next.0)
    }
}

/// The sinks that are served.
#[derive(Debug)]
pub struct Sinks {
    couriers: JoinSet<()>,
    stop: watch::Sender<Stop>,
    had: Had,
}

/// How far the sinks are.
#[derive(Debug, Clone, Default)]
pub struct Had(Arc<Mutex<Vec<Place>>>);

/// How far one of them says that it is, and where that is kept.
type Place = (watch::Receiver<Seq>, Cursor);

impl Had {
    /// Where one of them, which keeps its place in `cursor`, tells it; it lacks everything from `first` on.
    fn of(&self, first: Seq, cursor: &Cursor) -> watch::Sender<Seq> {
        let (sender, receiver) = watch::channel(first);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((receiver, cursor.clone()));
        sender
    }

    /// The first record that one of them will ask for again, even after a loss of power; beyond any where there are
    /// none. Waits for the disk.
    #[must_use]
    pub fn needed(&self) -> Seq {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sure = |(had, cursor): Place| {
            // What it tells is kept already. Should it be lost, the sink would look for what is not there any more.
            let needed = *had.borrow();
            cursor.sync().map_or_else(
                |error| {
                    tracing::warn!(%error, "the journal keeps what a sink may ask for: its place is not known durable");
                    Seq(0)
                },
                |()| needed,
            )
        };
        all.into_iter().map(sure).min().unwrap_or(Seq(u64::MAX))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Asked,
    NotAsked,
}

impl Sinks {
    /// Begins to serve the sinks `all`, each from where it was; `dir` is where their places are kept.
    ///
    /// # Errors
    /// [`CursorError`] where the place of one cannot be read or kept.
    pub fn start(
        all: &[Settings],
        source: &Source,
        dir: &Path,
        clock: &Clock,
        tell: &Tell,
    ) -> Result<Self, CursorError> {
        let stop = watch::Sender::new(Stop::NotAsked);
        let (mut couriers, had) = (JoinSet::new(), Had::default());
        for settings in all {
            let (settings, source, tell) = (settings.clone(), source.clone(), Arc::clone(tell));
            let courier = Courier::new(settings, source, dir, clock.clone(), tell, stop.subscribe(), &had)?;
            couriers.spawn(courier.run());
        }
        Ok(Self { couriers, stop, had })
    }

    /// How far they are.
    #[must_use]
    pub fn had(&self) -> Had {
        self.had.clone()
    }

    /// Gives each sink what is left, for at most `patience`; what is left then is left for the next start.
    pub async fn finish(mut self, patience: Duration) {
        self.stop.send_replace(Stop::Asked);
        let all = async { while self.couriers.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!(
                "a sink of the audit trail did not take everything before the end; it gets it at the next start"
            );
        }
    }
}
