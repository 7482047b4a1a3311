//! Sessions of the 2025 revisions: ids of 128 random bits, each bound to its principal.
//!
//! Must never tell another principal that a session exists: theirs and none are the same 404 (CASES A31).
//! Holds nothing that provenance depends on: that is the run's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use tokio::sync::{mpsc, watch};

use super::port::STREAM_EVENTS_MAX;
use crate::chance;
use crate::model::facts::CLAIM_BYTES_MAX;
use crate::model::principal::Principal;
use crate::model::reason::Reason;
use crate::model::text::Bounded;
use crate::wire::{Id, Revision};

/// Requests of one session that may be in flight.
const SESSION_IN_FLIGHT_MAX: usize = 1024;

/// Every open session.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    limits: Mutex<Limits>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    sessions_max: usize,
    idle: Duration,
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
    used_ms: AtomicU64,
    in_flight: Mutex<HashMap<Id, watch::Sender<Wanted>>>,
    stream: Mutex<Option<mpsc::Sender<Bytes>>>,
}

/// Whether the client still wants an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    Cancelled,
}

impl Sessions {
    pub(super) fn new(sessions_max: usize, idle: Duration) -> Self {
        Self { table: Mutex::default(), limits: Mutex::new(Limits { sessions_max, idle }) }
    }

    /// From now on at most `sessions_max` are open, each idle for at most `idle`; those that are stay.
    pub(super) fn limit(&self, sessions_max: usize, idle: Duration) {
        *lock(&self.limits) = Limits { sessions_max, idle };
    }

    /// Opens a session for `principal`.
    pub(super) fn open(
        &self,
        principal: Arc<Principal>,
        revision: Revision,
        client: Option<Bounded<CLAIM_BYTES_MAX>>,
        now: Duration,
    ) -> Result<Arc<Session>, Reason> {
        // 2025-11-25, basic/transports, "Session Management": the id SHOULD be cryptographically secure.
        let random = chance::bytes::<16>().map_err(|_| Reason::Fault)?;
        let session = Arc::new(Session {
            id: HEXLOWER.encode(&random).into(),
            principal,
            revision,
            client,
            used_ms: AtomicU64::new(millis(now)),
            in_flight: Mutex::default(),
            stream: Mutex::default(),
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
        session.end_stream();
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
        }
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

    /// Opens the stream for notifications. An older one ends: a client that comes back after a cut
    /// connection must not find its place taken by the dead half.
    pub(super) fn open_stream(&self) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(STREAM_EVENTS_MAX);
        *lock(&self.stream) = Some(sender);
        receiver
    }

    /// Sends `notification` on the stream, if one is open. A client that does not read loses the stream.
    pub(super) fn notify(&self, notification: Bytes) {
        let mut stream = lock(&self.stream);
        if stream.as_ref().is_some_and(|open| open.try_send(notification).is_err()) {
            *stream = None;
        }
    }

    pub(super) fn has_stream(&self) -> bool {
        lock(&self.stream).as_ref().is_some_and(|open| !open.is_closed())
    }

    pub(super) fn end_stream(&self) {
        *lock(&self.stream) = None;
    }

    fn is_open(&self) -> bool {
        self.has_stream() || !lock(&self.in_flight).is_empty()
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
