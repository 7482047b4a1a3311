//! Tool servers: their processes and sessions, what they offer, and the calls that are forwarded to them.
//!
//! Must never send a byte of a call without the proof that it was decided, admitted and recorded (I6);
//! never send one twice; never let one upstream, however it behaves, hold up or harm the calls of
//! another (I12); never list a definition that was not accepted (DESIGN §4.6). It trusts its settings,
//! which come from the configuration file alone (CASES A51), and nothing that an upstream says.

mod accepted;
mod account;
mod aside;
mod breaker;
mod browse;
mod cancel;
mod catalogue;
mod changes;
mod entries;
mod era;
mod exchange;
mod failure;
mod features;
mod figures;
mod fleet;
mod forward;
mod handover;
mod hold;
mod http;
mod instance;
mod keeper;
mod layout;
mod listing;
mod lock;
mod notice;
mod pool;
mod process;
mod question;
mod rate;
mod settings;
mod stdio;
mod survey;
mod suspect;
#[cfg(test)]
mod tests;
mod watching;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::model::change::Changes;
use crate::model::facts::RunId;
use crate::model::name::{Subject, UpstreamName};

use fleet::Yard;
use instance::Parts;
use keeper::{Keeper, Roster};
use notice::Notices;
use pool::{Attempts, Pool, Remembered};
use process::Leftovers;

pub use crate::wire::Revision;
pub use accepted::accepted;
pub use account::Account;
pub use aside::Aside;
pub use breaker::{BACKOFF_FIRST, BACKOFF_MAX, BREAKER_FAILURES_MAX, BREAKER_OPEN};
pub use browse::{Audience, Purpose};
pub use cancel::{CancelSignal, Canceller, cancel};
pub use catalogue::{Catalogue, Server, Shadowed, Tool};
pub use entries::{ENTRIES_BYTES_MAX, ENTRIES_MAX, Entries, Entry};
pub use era::{Asker, Takes};
pub use failure::{Answer, AnswerKind, DETAIL_BYTES_MAX, Detail, Executed, Failure};
pub use features::{Feature, Features};
pub use figures::Figures;
pub use fleet::{Fleet, Prepared};
pub use forward::Forwarded;
pub use hold::Hold;
pub use keeper::{
    ACCEPTED_MAX, AcceptError, Acceptance, OWN_PREFIX, PinCounts, PinReport, PinState, PinnedDefinition,
    is_own_name,
};
pub use listing::{DEFINITION_BYTES_MAX, PAGES_MAX, TOOLS_MAX};
pub use lock::LockError;
pub use notice::{NOTICE_NAME_BYTES_MAX, NOTICES_MAX, Notice, Quarantine, STDERR_LINE_BYTES_MAX};
pub use pool::Condition;
pub use question::{QUESTIONS_MAX, Question, ROUNDS_MAX, Said};
pub use settings::*;
pub use survey::{SURVEYED_AT_ONCE_MAX, Surveyed, survey};
pub use suspect::TEXT_BYTES_USUAL;
pub use watching::Watch;

/// Longest time that [`Upstreams::stop`] waits for children to go. Each gets less: see `process`.
pub const STOP_MAX: Duration = Duration::from_secs(10);

/// All upstreams. Clones are the same.
#[derive(Debug, Clone)]
pub struct Upstreams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    keeper: Arc<Keeper>,
    fleet: ArcSwap<Fleet>,
    /// Pools that are in no fleet any more and may still have calls to end: never more than there are
    /// calls in flight and instances that are being ended.
    leaving: Mutex<Vec<Remembered>>,
    yard: Yard,
}

/// On whose behalf a call is forwarded: who may share its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The subject of the run.
    pub subject: Subject,
    /// The run.
    pub run: RunId,
    /// What its client wants and can.
    pub asker: Asker,
}

/// Where the time of a forwarded call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// Until an instance was ready.
    pub instance: Duration,
    /// From handing the call over to its whole answer.
    pub upstream: Duration,
}

/// Why upstreams could not be set up. Nothing runs then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The accepted definitions cannot be read.
    #[error("the accepted tool definitions cannot be read")]
    Lock(#[from] LockError),
    /// The state directory cannot be used.
    #[error("cannot use `{}` to remember child processes; the gateway must own it", path.display())]
    StateDir {
        /// The state directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificate roots of the system cannot be loaded.
    #[error("the certificate roots of the system, which upstream `{upstream}` needs, cannot be loaded")]
    Roots {
        /// The first upstream that needs them.
        upstream: UpstreamName,
        /// What the system said.
        source: std::io::Error,
    },
    /// A configured header cannot be sent.
    #[error("the value of header `{header}` of upstream `{upstream}` holds characters that no header can")]
    Header {
        /// Whose header.
        upstream: UpstreamName,
        /// Which one. Its value is a secret.
        header: ::http::HeaderName,
    },
}

impl StartError {
    /// Which upstream cannot be set up, where it is one of them.
    #[must_use]
    pub fn upstream(&self) -> Option<&UpstreamName> {
        match self {
            Self::Roots { upstream, .. } | Self::Header { upstream, .. } => Some(upstream),
            Self::Lock(_) | Self::StateDir { .. } => None,
        }
    }
}

impl Upstreams {
    /// Reads what was accepted, kills what a gateway before this one left running, and starts nothing
    /// yet: an upstream starts when it is needed. Call it inside a runtime, and only while holding
    /// `state_dir` alone (the journal's lock says so).
    ///
    /// # Errors
    /// [`StartError`] says what to mend. Nothing runs then.
    pub fn start(
        settings: Vec<Settings>,
        lock_path: PathBuf,
        state_dir: &Path,
        clock: Clock,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Self, StartError> {
        let notices = Notices::new(notices);
        let leftovers = Leftovers::reap(state_dir, &notices)
            .map_err(|source| StartError::StateDir { path: state_dir.to_owned(), source })?;
        let yard = Yard { leftovers, spool: state_dir.into(), clock, notices };
        let launches = launches(&yard, &settings, &Fleet::none())?;
        let keeper = Keeper::open(roster(settings, &launches), lock_path, yard.notices.clone())?;
        let keeper = Arc::new(keeper);
        let fleet = ArcSwap::from_pointee(Fleet::after(&Fleet::none(), launches, &keeper));
        Ok(Self(Arc::new(Shared { keeper, fleet, leaving: Mutex::default(), yard })))
    }

    /// Makes ready to go on with other settings. Nothing changes yet.
    ///
    /// # Errors
    /// [`StartError`] says what to mend.
    pub fn prepare(&self, settings: Vec<Settings>) -> Result<Prepared, StartError> {
        let before = self.fleet();
        let launches = launches(&self.0.yard, &settings, &before)?;
        let roster = roster(settings, &launches);
        Ok(Prepared { roster, fleet: Fleet::after(&before, launches, &self.0.keeper) })
    }

    /// The catalogue that [`Upstreams::replace`] would publish now.
    pub async fn draft(&self, prepared: &Prepared) -> Catalogue {
        self.0.keeper.draft(&prepared.roster).await
    }

    /// What `prepared` changes in what is set up now, and which of it lets more pass.
    pub async fn changes_by(&self, prepared: &Prepared) -> Changes {
        changes::changes(&self.0.keeper.settings().await, &prepared.roster.settings)
    }

    /// Goes on with other settings: publishes their catalogue and gives new calls their upstreams. What
    /// is no longer configured, or is launched in another way, ends once the calls that were decided for
    /// it have ended. What was not started yet is started by the next [`Upstreams::list_ready`].
    pub async fn replace(&self, prepared: Prepared) {
        let Prepared { roster, fleet } = prepared;
        self.0.keeper.replace(roster).await;
        let before = self.0.fleet.swap(Arc::new(fleet.clone()));
        let mut leaving = self.0.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|left| left.pool().is_some());
        leaving.extend(before.without(&fleet).map(Pool::remember));
    }

    /// The upstreams as they are set up now.
    #[must_use]
    pub fn fleet(&self) -> Fleet {
        Fleet::clone(&self.0.fleet.load())
    }

    /// The catalogue as it is now.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.0.keeper.catalogue()
    }

    /// The version of each new catalogue.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.keeper.changes()
    }

    /// Makes ready for a list: starts every upstream that was not started yet, and waits for those that
    /// were never seen, each at most its `list_wait` from the beginning of its start (DESIGN §7). What
    /// comes up later is announced through [`Upstreams::changes`].
    pub async fn list_ready(&self) {
        let mut waits = JoinSet::new();
        for pool in self.fleet().pools() {
            let settings = &pool.parts().settings;
            let is_seen = self.0.keeper.has_seen(&settings.name).await;
            if is_seen && pool.attempts() == Attempts::Some {
                continue;
            }
            let wait = settings.list_wait.saturating_sub(pool.listing_for().unwrap_or_default());
            let (pool, notices) = (pool.clone(), self.0.yard.notices.clone());
            let ready = async move {
                let key = pool.key_for_listing();
                if timeout(wait, pool.acquire(&key)).await.is_err() && !wait.is_zero() && !is_seen {
                    let upstream = pool.parts().settings.name.clone();
                    notices.tell(Notice::ListWaitExceeded { upstream });
                }
            };
            // What was seen before is listed as it was accepted; nobody waits for it.
            if is_seen { drop(tokio::spawn(ready)) } else { drop(waits.spawn(ready)) }
        }
        while waits.join_next().await.is_some() {}
    }

    /// Every pin that is not as it was accepted, or in which something looks suspicious.
    pub async fn pins(&self) -> Vec<PinReport> {
        self.0.keeper.pins().await
    }

    /// Accepts offered definitions: all of them, or nothing.
    ///
    /// # Errors
    /// [`AcceptError::Stale`] where one is no longer offered as it was shown.
    pub async fn accept(&self, acceptances: &[Acceptance]) -> Result<(), AcceptError> {
        self.0.keeper.accept(acceptances).await
    }

    /// What counts of the pins of `upstream`.
    #[must_use]
    pub fn pin_counts(&self, upstream: &UpstreamName) -> PinCounts {
        self.0.keeper.counts(upstream)
    }

    /// The counts of every upstream.
    #[must_use]
    pub fn figures(&self) -> Vec<(UpstreamName, Figures)> {
        let fleet = self.fleet();
        let parts = fleet.pools().map(Pool::parts);
        parts.map(|parts| (parts.settings.name.clone(), parts.counters.read())).collect()
    }

    /// How each upstream is now.
    #[must_use]
    pub fn conditions(&self) -> Vec<(UpstreamName, Condition)> {
        let fleet = self.fleet();
        fleet.pools().map(|pool| (pool.parts().settings.name.clone(), pool.condition())).collect()
    }

    /// Ends every instance and every child with all it started, within [`STOP_MAX`]. New calls are
    /// refused from now on; those in flight fail.
    pub async fn stop(&self) {
        let leaving = std::mem::take(&mut *self.0.leaving.lock().unwrap_or_else(PoisonError::into_inner));
        let mut stops = JoinSet::new();
        for pool in self.fleet().pools().cloned().chain(leaving.iter().filter_map(Remembered::pool)) {
            stops.spawn(async move { pool.stop().await });
        }
        let all = async { while stops.join_next().await.is_some() {} };
        if timeout(STOP_MAX, all).await.is_err() {
            tracing::warn!("some tool servers did not end in time");
        }
    }
}

fn launches(
    yard: &Yard,
    settings: &[Settings],
    before: &Fleet,
) -> Result<Vec<(Arc<Settings>, Parts)>, StartError> {
    settings.iter().map(|settings| yard.launch(settings, before)).collect()
}

fn roster(settings: Vec<Settings>, launches: &[(Arc<Settings>, Parts)]) -> Roster {
    let launches = launches.iter().map(|(launch, _)| Arc::clone(launch)).collect();
    Roster { settings: settings.into(), launches }
}
