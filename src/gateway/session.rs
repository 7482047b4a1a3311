//! Sessions of the 2025 revisions: ids of 128 random bits, each bound to its principal.
//!
//! Must never tell another principal that a session exists: theirs and none are the same 404 (CASES A31).
//! Holds nothing that provenance depends on: that is the run's.

mod asked;
mod carrier;
mod outbox;
mod tap;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use tokio::sync::watch;

pub(super) use asked::Answer;
use asked::AskedTable;
pub use carrier::Resumable;
pub(super) use outbox::{Resumed, Unheard};
pub use tap::{Next, RETRY, Sent, Tap};

use super::able::Able;
use super::watch::SUBSCRIPTIONS_MAX;
use crate::chance;
use crate::model::facts::CLAIM_BYTES_MAX;
use crate::model::principal::Principal;
use crate::model::reason::Reason;
use crate::model::text::Bounded;
use crate::model::uri::Uri;
use crate::run::Run;
use crate::task::Task;
use crate::wire::{Id, LogLevel, Revision};
use outbox::{Outbox, Purpose, Replay};

/// Requests of one session that may be in flight.
const SESSION_IN_FLIGHT_MAX: usize = 1024;

/// Every open session.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    limits: Mutex<Limits>,
    replay: Arc<Replay>,
}

/// How many sessions, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) sessions_max: usize,
    pub(super) idle: Duration,
    /// How long a stream is kept for a client that lost its connection.
    pub(super) resume_window: Duration,
}

/// What a client says of itself at the handshake.
#[derive(Debug)]
pub(super) struct Introduced {
    /// Its name and version.
    pub(super) client: Option<Bounded<CLAIM_BYTES_MAX>>,
    /// What it can be asked.
    pub(super) able: Able,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    /// Its id.
    pub(super) id: Arc<str>,
    /// Whose it is.
    pub(super) principal: Arc<Principal>,
    /// What `initialize` agreed on.
    pub(super) revision: Revision,
    /// Name and version of the client as it introduced itself.
    pub(super) client: Option<Bounded<CLAIM_BYTES_MAX>>,
    wants: Mutex<Wants>,
    /// What the client can be asked.
    pub(super) able: Able,
    asked: AskedTable,
    used_ms: AtomicU64,
    in_flight: Mutex<HashMap<Id, watch::Sender<Wanted>>>,
    outbox: Arc<Outbox>,
    /// What its client watches, and who tells it of that.
    watches: Mutex<HashMap<Uri, Task>>,
}

/// Which log messages a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    /// It did not say: what the server sends by itself (2025-11-25, server/utilities/logging).
    Anything,
    /// Those that are at least so severe.
    From(LogLevel),
    /// None.
    Nothing,
}

impl Wants {
    /// The level that the server is asked for.
    pub(super) fn level(self) -> Option<LogLevel> {
        match self {
            Self::From(level) => Some(level),
            Self::Anything | Self::Nothing => None,
        }
    }

    /// Whether a message of `level` is wanted; one of no known level is no less severe than any.
    pub(super) fn has(self, level: Option<LogLevel>) -> bool {
        match self {
            Self::Anything => true,
            Self::From(least) => level.is_none_or(|level| level >= least),
            Self::Nothing => false,
        }
    }
}

/// Whether the client still wants an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    Cancelled,
}

impl Sessions {
    pub(super) fn new(limits: Limits) -> Self {
        let replay = Arc::new(Replay::new(limits.resume_window));
        Self { table: Mutex::default(), limits: Mutex::new(limits), replay }
    }

    /// From now on these limits hold; sessions that are open stay.
    pub(super) fn limit(&self, limits: Limits) {
        self.replay.limit(limits.resume_window);
        *lock(&self.limits) = limits;
    }

    /// Opens a session for `principal`.
    pub(super) fn open(
        &self,
        principal: Arc<Principal>,
        revision: Revision,
        introduced: Introduced,
        now: Duration,
    ) -> Result<Arc<Session>, Reason> {
        // 2025-11-25, basic/transports, "Session Management": the id SHOULD be cryptographically secure.
        let random = chance::bytes::<16>().map_err(|_| Reason::Fault)?;
        let session = Arc::new(Session {
            id: HEXLOWER.encode(&random).into(),
            principal,
            revision,
            client: introduced.client,
            wants: Mutex::new(Wants::Anything),
            able: introduced.able,
            asked: AskedTable::default(),
            used_ms: AtomicU64::new(millis(now)),
            in_flight: Mutex::default(),
            outbox: Outbox::new(revision, Arc::clone(&self.replay))?,
            watches: Mutex::default(),
        });
        let sessions_max = lock(&self.limits).sessions_max;
        let mut table = self.lock();
        if table.len() >= sessions_max {
            return Err(Reason::SessionsFull);
        }
        table.insert(Arc::clone(&session.id), Arc::clone(&session));
        Ok(session)
    }

    /// The session with this id, if it is `principal`'s.
    pub(super) fn find(
        &self,
        id: &str,
        principal: &Principal,
        now: Duration,
    ) -> Result<Arc<Session>, Reason> {
        let session = self.lock().get(id).cloned().ok_or(Reason::SessionUnknown)?;
        if !session.principal.is_same_caller(principal) {
            return Err(Reason::SessionUnknown);
        }
        session.used_ms.fetch_max(millis(now), Ordering::AcqRel);
        Ok(session)
    }

    /// Takes the session out of the table; requests that name it are unknown from now on.
    pub(super) fn close(&self, session: &Session) {
        self.lock().remove(&session.id);
        session.end();
    }

    /// Takes out and gives every session that was idle for too long and has nothing open (CASES F46).
    pub(super) fn expire(&self, now: Duration) -> Vec<Arc<Session>> {
        let deadline_ms = millis(now.saturating_sub(lock(&self.limits).idle));
        let mut table = self.lock();
        let idle =
            |session: &Session| session.used_ms.load(Ordering::Acquire) < deadline_ms && !session.is_open();
        let expired: Vec<_> = table.values().filter(|session| idle(session)).cloned().collect();
        for session in &expired {
            table.remove(&session.id);
            session.end();
        }
        table.values().for_each(|session| session.outbox.expire());
        expired
    }

    /// Every open session.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Session>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Notes that the request `id` is in flight, until the guard is dropped.
    ///
    /// 2025-11-25, basic, "Requests": the id MUST NOT have been used before in the session. What is in
    /// flight is what can be mixed up (CASES F27), so that is what is refused.
    pub(super) fn begin(self: &Arc<Self>, id: &Id) -> Result<InFlight, Reason> {
        let mut in_flight = lock(&self.in_flight);
        if in_flight.contains_key(id) {
            return Err(Reason::IdInUse);
        }
        if in_flight.len() >= SESSION_IN_FLIGHT_MAX {
            return Err(Reason::PrincipalBusy);
        }
        let (sender, wanted) = watch::channel(Wanted::Yes);
        in_flight.insert(id.clone(), sender);
        Ok(InFlight { session: Arc::clone(self), id: id.clone(), wanted })
    }

    /// The client no longer wants the answer to `id`. Unknown ids are ignored, as the specification says.
    pub(super) fn cancel(&self, id: &Id) {
        if let Some(sender) = lock(&self.in_flight).get(id) {
            sender.send_replace(Wanted::Cancelled);
        }
    }

    /// Which log messages the client wants.
    pub(super) fn level(&self) -> Wants {
        *lock(&self.wants)
    }

    /// The client wants log messages that are at least as severe as `level`.
    pub(super) fn set_level(&self, level: LogLevel) {
        *lock(&self.wants) = Wants::From(level);
    }

    /// Opens a GET stream, or goes on with the one that `last_event_id` names.
    pub(super) fn open_stream(&self, last_event_id: Option<&[u8]>) -> Result<(Tap, Resumed), Reason> {
        match last_event_id {
            Some(id) => self.outbox.resume(id),
            None => self.outbox.open(Purpose::Listening).map(|tap| (tap, Resumed::Listening)),
        }
    }

    /// Tells the client something that belongs to no call, on one of its GET streams.
    pub(super) fn tell(&self, message: Bytes) -> Result<(), Unheard> {
        self.outbox.tell(message)
    }

    /// Where the messages of a call of `run` are kept for a client that loses its connection.
    pub(super) fn resumable(&self, run: &Arc<Run>) -> Resumable {
        Resumable::new(Arc::clone(&self.outbox), vec![Arc::clone(run)])
    }

    /// How many GET streams are being read.
    pub(super) fn listeners(&self) -> usize {
        self.outbox.listeners()
    }

    /// Whether there is a GET stream, or one that the client may come back to.
    pub(super) fn is_listening(&self) -> bool {
        self.outbox.is_listening()
    }

    /// From now on `teller` tells the client of `uri`. False where it watches too much already.
    pub(super) fn watch(&self, uri: Uri, teller: Task) -> bool {
        let mut watches = lock(&self.watches);
        let fits = watches.len() < SUBSCRIPTIONS_MAX || watches.contains_key(&uri);
        if fits {
            watches.insert(uri, teller);
        }
        fits
    }

    /// Whether the client may watch `uri` as well.
    pub(super) fn may_watch(&self, uri: &Uri) -> bool {
        let watches = lock(&self.watches);
        watches.len() < SUBSCRIPTIONS_MAX || watches.contains_key(uri)
    }

    /// The client is told of `uri` no more.
    pub(super) fn unwatch(&self, uri: &Uri) {
        lock(&self.watches).remove(uri);
    }

    /// Takes no more messages, and watches nothing.
    fn end(&self) {
        self.outbox.end();
        lock(&self.watches).clear();
    }

    /// Ends every GET stream.
    pub(super) fn end_streams(&self) {
        self.outbox.end_listening();
    }

    fn is_open(&self) -> bool {
        self.listeners() > 0 || !lock(&self.in_flight).is_empty()
    }
}

/// A request in flight in a session.
#[derive(Debug)]
pub(super) struct InFlight {
    session: Arc<Session>,
    id: Id,
    /// Says when the client cancels it.
    pub(super) wanted: watch::Receiver<Wanted>,
}

impl InFlight {
    /// Where the messages of the call are kept for a client that loses its connection.
    pub(super) fn resumable(&self, run: &Arc<Run>) -> Resumable {
        self.session.resumable(run)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        lock(&self.session.in_flight).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
