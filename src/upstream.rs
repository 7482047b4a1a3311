//! Tool servers: their processes and sessions, what they offer, and the calls that are forwarded to them.
//!
//! Must never send a byte of a call without the proof that it was decided, admitted and recorded (I6);
//! never send one twice; never let one upstream, however it behaves, hold up or harm the calls of
//! another (I12); never list a definition that was not accepted (DESIGN §4.6). It trusts its settings,
//! which come from the configuration file alone (CASES A51), and nothing that an upstream says.

mod account;
mod breaker;
mod cancel;
mod catalogue;
mod exchange;
mod failure;
mod figures;
mod forward;
mod handover;
mod http;
mod instance;
mod keeper;
mod layout;
mod listing;
mod lock;
mod notice;
mod pool;
mod process;
mod rate;
mod settings;
mod stdio;
mod task;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::model::facts::RunId;
use crate::model::name::{Subject, UpstreamName};

use instance::Parts;
use keeper::Keeper;
use notice::Notices;
use pool::{Attempts, Pool};
use process::Leftovers;

pub use account::Account;
pub use breaker::{BACKOFF_FIRST, BACKOFF_MAX, BREAKER_FAILURES_MAX, BREAKER_OPEN};
pub use cancel::{CancelSignal, Canceller, cancel};
pub use catalogue::{Catalogue, Tool};
pub use failure::{Answer, AnswerKind, DETAIL_BYTES_MAX, Detail, Executed, Failure};
pub use figures::Figures;
pub use forward::Forwarded;
pub use keeper::{ACCEPTED_MAX, AcceptError, Acceptance, OWN_PREFIX, PinChange};
pub use listing::{DEFINITION_BYTES_MAX, PAGES_MAX, TOOLS_MAX};
pub use lock::LockError;
pub use notice::{NOTICE_NAME_BYTES_MAX, NOTICES_MAX, Notice, Quarantine, STDERR_LINE_BYTES_MAX};
pub use pool::Condition;
pub use settings::*;

/// Longest time that [`Upstreams::stop`] waits for children to go. Each gets less: see `process`.
pub const STOP_MAX: Duration = Duration::from_secs(10);

/// All upstreams. Clones are the same.
#[derive(Debug, Clone)]
pub struct Upstreams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    keeper: Arc<Keeper>,
    pools: Vec<Pool>,
    notices: Notices,
    clock: Clock,
}

/// On whose behalf a call is forwarded: who may share its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The subject of the run.
    pub subject: Subject,
    /// The run.
    pub run: RunId,
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
        let settings: Arc<[Settings]> = settings.into();
        let keeper = Arc::new(Keeper::open(Arc::clone(&settings), lock_path, notices.clone())?);
        let leftovers = Leftovers::reap(state_dir, &notices)
            .map_err(|source| StartError::StateDir { path: state_dir.to_owned(), source })?;
        let mut pools = Vec::with_capacity(settings.len());
        for settings in settings.iter() {
            let parts = parts(settings, &leftovers, &clock, &notices)?;
            pools.push(Pool::new(parts, Arc::clone(&keeper)));
        }
        Ok(Self(Arc::new(Shared { keeper, pools, notices, clock })))
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
        for pool in &self.0.pools {
            let settings = &pool.parts().settings;
            let is_seen = self.0.keeper.has_seen(&settings.name).await;
            if is_seen && pool.attempts() == Attempts::Some {
                continue;
            }
            let wait = settings.list_wait.saturating_sub(pool.listing_for().unwrap_or_default());
            let (pool, notices) = (pool.clone(), self.0.notices.clone());
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

    /// Every tool whose accepted definition is not what its upstream offers now.
    pub async fn pins(&self) -> Vec<PinChange> {
        self.0.keeper.pins().await
    }

    /// Accepts offered definitions: all of them, or nothing.
    ///
    /// # Errors
    /// [`AcceptError::Stale`] where one is no longer offered as it was shown.
    pub async fn accept(&self, acceptances: &[Acceptance]) -> Result<(), AcceptError> {
        self.0.keeper.accept(acceptances).await
    }

    /// The counts of every upstream.
    #[must_use]
    pub fn figures(&self) -> Vec<(UpstreamName, Figures)> {
        let parts = self.0.pools.iter().map(Pool::parts);
        parts.map(|parts| (parts.settings.name.clone(), parts.counters.read())).collect()
    }

    /// How each upstream is now.
    #[must_use]
    pub fn conditions(&self) -> Vec<(UpstreamName, Condition)> {
        self.0.pools.iter().map(|pool| (pool.parts().settings.name.clone(), pool.condition())).collect()
    }

    /// Ends every instance and every child with all it started, within [`STOP_MAX`]. New calls are
    /// refused from now on; those in flight fail.
    pub async fn stop(&self) {
        let mut stops = JoinSet::new();
        for pool in self.0.pools.clone() {
            stops.spawn(async move { pool.stop().await });
        }
        let all = async { while stops.join_next().await.is_some() {} };
        if timeout(STOP_MAX, all).await.is_err() {
            tracing::warn!("some tool servers did not end in time");
        }
    }
}

fn parts(
    settings: &Settings,
    leftovers: &Leftovers,
    clock: &Clock,
    notices: &Notices,
) -> Result<Parts, StartError> {
    let upstream = || settings.name.clone();
    let (client, headers) = match &settings.launch {
        Launch::Process { .. } => (None, ::http::HeaderMap::new()),
        Launch::Http { url, headers } => {
            let client = http::Client::new(url)
                .map_err(|source| StartError::Roots { upstream: upstream(), source })?;
            let headers = http::static_headers(headers)
                .map_err(|header| StartError::Header { upstream: upstream(), header })?;
            (Some(client), headers)
        }
    };
    Ok(Parts {
        settings: Arc::new(settings.clone()),
        client,
        headers,
        leftovers: leftovers.clone(),
        counters: Arc::default(),
        notices: notices.clone(),
        clock: clock.clone(),
    })
}
