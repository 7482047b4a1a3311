//! The key set in force of one issuer: loaded when it is needed, kept for a while, dropped when too old.
//!
//! Must never load twice at a time nor more often than its interval, whatever tokens ask for (CASES A39);
//! must never use a key set that could not be confirmed for [`KEYS_AGE_MAX`]. Loads run in a task of their
//! own: a caller that hangs up does not cut one off for the others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::source::{KeysFrom, LoadError, Loaded};
use super::{KeySet, NoKey};
use crate::clock::Clock;
use crate::identity::algorithm::{Algorithm, VerifyingKey};
use crate::model::file_stamp::FileStamp;
use crate::model::name::EntryPointName;
use crate::model::reason::Reason;

/// A key set from a URL is used this long before it is fetched again in the background.
pub const KEYS_FRESH: Duration = Duration::from_secs(5 * 60);
/// A key set from a URL that was not confirmed for this long is confirmed before it is used, unless its
/// endpoint just failed: how long a key that was taken out can count.
pub const KEYS_UNCONFIRMED_MAX: Duration = Duration::from_secs(10 * 60);
/// A key set that could not be confirmed for this long is not used any more.
pub const KEYS_AGE_MAX: Duration = Duration::from_secs(60 * 60);
/// Shortest time between two loads: how often an unknown `kid` or an outage can cause one, and how often
/// a file is looked at.
pub const LOAD_INTERVAL: Duration = Duration::from_secs(2);

/// Keeps the keys of one issuer.
#[derive(Debug)]
pub(in crate::identity) struct Keeper {
    entry_point: EntryPointName,
    from: KeysFrom,
    algorithms: BTreeSet<Algorithm>,
    clock: Clock,
    state: Mutex<State>,
    /// Counts loads that have ended.
    loads: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    stamp: Option<FileStamp>,
    /// Raised with each change of the set.
    epoch: u64,
    /// When the set was last confirmed, by the monotonic clock.
    confirmed: Duration,
    /// When the last load began.
    attempted: Option<Duration>,
    loading: Loading,
    last: Last,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Loading {
    #[default]
    No,
    Yes,
}

/// How the last load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    #[default]
    Good,
    Failed,
}

/// Why keys are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// There are none, or they have to be confirmed.
    Due,
    /// A token names a key that is not among them.
    UnknownKey,
}

/// A key set in force, with the epoch that everything verified by it is bound to.
#[derive(Debug, Clone)]
pub(in crate::identity) struct InForce {
    keys: Arc<KeySet>,
    pub(in crate::identity) epoch: u64,
}

impl Keeper {
    pub(in crate::identity) fn new(
        entry_point: EntryPointName,
        from: KeysFrom,
        algorithms: BTreeSet<Algorithm>,
        clock: Clock,
    ) -> Arc<Self> {
        let (loads, _) = watch::channel(0);
        Arc::new(Self { entry_point, from, algorithms, clock, state: Mutex::default(), loads })
    }

    /// The key set in force, confirmed as far as it has to be: a file is looked at, a URL is fetched again
    /// in the background.
    ///
    /// # Errors
    /// [`Reason::KeysUnavailable`] where there is none.
    pub(in crate::identity) async fn in_force(self: &Arc<Self>) -> Result<InForce, Reason> {
        let now = self.clock.monotonic();
        let (usable, age, last) = {
            let state = self.lock();
            (state.in_force(now), now.saturating_sub(state.confirmed), state.last)
        };
        match (&self.from, usable) {
            (KeysFrom::Url { .. }, Some(usable)) if age < KEYS_FRESH => return Ok(usable),
            // An endpoint that is down makes one caller wait, and not each of them.
            (KeysFrom::Url { .. }, Some(usable)) if age < KEYS_UNCONFIRMED_MAX || last == Last::Failed => {
                self.begin(Why::Due);
                return Ok(usable);
            }
            (KeysFrom::File(_), Some(usable)) if age < LOAD_INTERVAL => return Ok(usable),
            _ => self.load(Why::Due).await,
        }
        self.lock().in_force(now).ok_or(Reason::KeysUnavailable)
    }

    /// The key of a token. Where it is not among those that `held` holds, they are loaded again, if it is
    /// time.
    pub(in crate::identity) async fn find(
        self: &Arc<Self>,
        held: InForce,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(Arc<VerifyingKey>, u64), Reason> {
        match held.keys.find(kid, algorithm) {
            Ok(key) => return Ok((key, held.epoch)),
            Err(NoKey::OtherAlgorithm) => return Err(Reason::TokenAlgorithmForbidden),
            Err(NoKey::Unknown) => self.load(Why::UnknownKey).await,
        }
        let now = self.clock.monotonic();
        let InForce { keys, epoch } = self.lock().in_force(now).ok_or(Reason::KeysUnavailable)?;
        match keys.find(kid, algorithm) {
            Ok(key) => Ok((key, epoch)),
            Err(NoKey::OtherAlgorithm) => Err(Reason::TokenAlgorithmForbidden),
            Err(NoKey::Unknown) => Err(Reason::TokenKeyUnknown),
        }
    }

    /// The epoch in force, if any is.
    pub(in crate::identity) fn epoch(&self) -> Option<u64> {
        self.lock().in_force(self.clock.monotonic()).map(|usable| usable.epoch)
    }

    /// Waits for a load: the one that is under way, or a new one if it is time.
    async fn load(self: &Arc<Self>, why: Why) {
        if let Some(mut ended) = self.begin(why) {
            // The sender is in `self`; a load ends within its own limit.
            let _ended = ended.changed().await;
        }
    }

    /// Begins a load, if none is under way and it is time. `None` where there is nothing to wait for.
    fn begin(self: &Arc<Self>, why: Why) -> Option<watch::Receiver<u64>> {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        // Subscribed under the lock: no load can end between here and the first look at it.
        let ended = self.loads.subscribe();
        if state.loading == Loading::Yes {
            return Some(ended);
        }
        // To look at a file costs nothing that would have to be rationed, and a key that was just made has
        // to be known; it is read only if it changed.
        let is_rationed = !(matches!(self.from, KeysFrom::File(_)) && why == Why::UnknownKey);
        let is_early = state.attempted.is_some_and(|then| now.saturating_sub(then) < LOAD_INTERVAL);
        if is_rationed && is_early {
            return None;
        }
        state.loading = Loading::Yes;
        state.attempted = Some(now);
        let known = state.stamp;
        drop(state);
        let ending = Ending(Arc::clone(self));
        tokio::spawn(async move {
            let keeper = &ending.0;
            let loaded = keeper.from.load(known).await;
            keeper.take_in(loaded);
        });
        Some(ended)
    }

    fn take_in(&self, loaded: Result<Loaded, LoadError>) {
        let now = self.clock.monotonic();
        let read = loaded.and_then(|loaded| match loaded {
            Loaded::Unchanged => Ok(None),
            Loaded::Bytes(bytes, stamp) => Ok(Some((KeySet::read(&bytes, &self.algorithms)?, stamp))),
        });
        let mut state = self.lock();
        state.last = if read.is_ok() { Last::Good } else { Last::Failed };
        match read {
            Ok(None) => state.confirmed = now,
            Ok(Some((keys, stamp))) => {
                if state.keys.as_ref().is_none_or(|known| known.digest != keys.digest) {
                    state.epoch += 1;
                    let (issuer, usable) = (&self.entry_point, keys.keys.len());
                    tracing::info!(%issuer, usable, "the keys of an issuer are loaded");
                    state.keys = Some(Arc::new(keys));
                }
                state.stamp = stamp;
                state.confirmed = now;
            }
            Err(error) => {
                // What was known stays in force until it is too old.
                let issuer = &self.entry_point;
                tracing::warn!(%issuer, %error, "the keys of an issuer cannot be had");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn in_force(&self, now: Duration) -> Option<InForce> {
        let is_usable = now.saturating_sub(self.confirmed) < KEYS_AGE_MAX;
        let keys = self.keys.as_ref().filter(|_| is_usable)?;
        Some(InForce { keys: Arc::clone(keys), epoch: self.epoch })
    }
}

/// Ends a load however it ended: what waits for it is woken even if it panicked.
struct Ending(Arc<Keeper>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.lock().loading = Loading::No;
        self.0.loads.send_modify(|ended| *ended += 1);
    }
}
