//! Between the tasks that record and the one thread that writes: the queue, its places, and the space.
//!
//! Must never grow beyond `queue_max`: whatever is in the queue holds a place. Must never wait inside a
//! push: a push stands in a run's critical section.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot, watch};

use super::Seq;
use super::checkpoint::RotateError;
use super::event::{Event, OutcomeFacts};
use super::figures::{Counters, Status};
use super::line::Stamp;
use super::measure::Measure;
use super::note::VerifyingKey;
use super::proof::{OpenIntent, Place};
use crate::clock::Clock;
use crate::model::facts::CallFacts;
use crate::model::reason::Reason;
use crate::model::run::Actor;

/// Most bytes that the outcome of a call takes in the journal, its share of commit lines included.
pub const OUTCOME_BYTES_MAX: u64 = 2 * 1024;
/// Bytes that are reserved for one call in flight: an intent of the usual size and any outcome. A larger
/// intent is refused where there is no room for it; an outcome always has its room.
pub const CALL_BYTES: u64 = OUTCOME_BYTES_MAX + 4 * 1024;

/// What the handles and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) queue_wait: Duration,
    pub(super) queue_max: usize,
    pub(super) space: Arc<Space>,
    pub(super) status: watch::Sender<Status>,
    /// The last line that is known durable.
    pub(super) synced: watch::Sender<Seq>,
    pub(super) counters: Counters,
    /// Whoever measures; nobody until somebody says so.
    pub(super) measure: OnceLock<Measure>,
    places: Arc<Semaphore>,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    probe: Probe,
    /// Somebody wants another key; one at a time.
    rotation: Option<Rotation>,
    end: End,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Probe {
    #[default]
    Unasked,
    Asked,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// The last handle is gone: end when nothing is owed any more.
    Leaving,
    /// The writer has ended: nothing is taken.
    Ended,
}

/// One thing to write, and who waits for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) stamp: Stamp,
    pub(super) body: Body,
    pub(super) reply: Reply,
}

#[derive(Debug)]
pub(super) enum Body {
    Intent(Arc<CallFacts>, Place),
    Outcome {
        intent: Seq,
        facts: Arc<CallFacts>,
        outcome: OutcomeFacts,
        _place: Place,
    },
    Event {
        event: Box<Event>,
        _permit: OwnedSemaphorePermit,
    },
    /// Write what is queued, a `stop` record, sync, and end.
    Close,
}

/// What it takes to replace the key that signs checkpoints.
#[derive(Debug)]
pub(super) struct Rotation {
    pub(super) by: Actor,
    /// How long the old one signs too.
    pub(super) overlap: Duration,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) done: oneshot::Sender<Result<VerifyingKey, RotateError>>,
}

#[derive(Debug)]
pub(super) enum Reply {
    /// A call waits for its intent to be durable.
    Intent(oneshot::Sender<Result<OpenIntent, Reason>>),
    /// Somebody waits for the record to be written, or durable where its kind says so.
    Record(oneshot::Sender<Result<Seq, Reason>>),
    /// Nobody waits.
    Nobody,
}

impl Reply {
    pub(super) fn refuse(self, reason: Reason) {
        // Whoever waited may have gone; then there is nobody to tell.
        match self {
            Self::Intent(sender) => drop(sender.send(Err(reason))),
            Self::Record(sender) => _ = sender.send(Err(reason)),
            Self::Nobody => {}
        }
    }

    /// Tells whoever waits that the record stands. Whoever waited may have gone; the record stays.
    pub(super) fn confirm(self, seq: Seq) {
        if let Self::Record(sender) = self {
            _ = sender.send(Ok(seq));
        }
    }
}

/// Why the writer woke up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// There are entries.
    Group,
    /// The time that it wanted to wait at most has passed.
    Timeout,
    /// Somebody would like to know whether the journal goes again.
    Probe,
    /// The key that signs checkpoints is to be replaced.
    Rotation,
    /// Nobody can record any more and nothing is owed.
    Left,
}

/// The disk space that is reserved, and the calls that it is reserved for.
#[derive(Debug, Default)]
pub(super) struct Space {
    /// Bytes that writes will find, in the current segment and the standby.
    left_bytes: AtomicU64,
    calls: AtomicU64,
}

/// The space of one call, from its reservation until its outcome is written.
#[derive(Debug)]
pub(super) struct Claims(Arc<Space>);

impl Space {
    fn claim(self: &Arc<Self>) -> Option<Claims> {
        let calls = self.calls.fetch_add(1, Ordering::AcqRel) + 1;
        let claims = Claims(Arc::clone(self));
        (calls.saturating_mul(CALL_BYTES) <= self.left_bytes.load(Ordering::Acquire)).then_some(claims)
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Acquire)
    }

    pub(super) fn set_left(&self, bytes: u64) {
        self.left_bytes.store(bytes, Ordering::Release);
    }

    /// Whether one more call would find space.
    pub(super) fn has_room(&self) -> bool {
        let calls = self.calls().saturating_add(1);
        calls.saturating_mul(CALL_BYTES) <= self.left_bytes.load(Ordering::Acquire)
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    pub(super) fn new(clock: Clock, queue_max: usize, queue_wait: Duration) -> Self {
        Self {
            clock,
            queue_wait,
            queue_max,
            space: Arc::default(),
            status: watch::Sender::new(Status::Going),
            synced: watch::Sender::new(Seq(0)),
            counters: Counters::default(),
            measure: OnceLock::new(),
            places: Arc::new(Semaphore::new(queue_max.clamp(1, Semaphore::MAX_PERMITS))),
            queue: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// A place in the queue and the space for one call.
    pub(super) async fn reserve(&self) -> Result<Place, Reason> {
        let permit = self.permit().await?;
        match self.space.claim() {
            Some(claim) => Ok(Place { _permit: permit, _claim: claim }),
            None => {
                self.ask_for_probe();
                Err(Reason::JournalHalted)
            }
        }
    }

    /// A place in the queue.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, Reason> {
        if matches!(*self.status.borrow(), Status::Halted(_)) {
            // A call that meets a halted journal is the best reason to see whether it goes again.
            self.ask_for_probe();
            self.counters.refused_while_halted.fetch_add(1, Ordering::Relaxed);
            return Err(Reason::JournalHalted);
        }
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => return Ok(permit),
            Err(TryAcquireError::Closed) => return Err(Reason::JournalHalted),
            Err(TryAcquireError::NoPermits) => {}
        }
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(self.queue_wait, place).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Reason::JournalHalted),
            Err(_) => Err(Reason::JournalOverloaded),
        }
    }

    /// What the writer answers, waited for no longer than for a place in the queue.
    pub(super) async fn answer<T>(
        &self,
        receiver: oneshot::Receiver<Result<T, Reason>>,
    ) -> Result<T, Reason> {
        match tokio::time::timeout(self.queue_wait, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Reason::JournalHalted),
            Err(_) if matches!(*self.status.borrow(), Status::Halted(_)) => Err(Reason::JournalHalted),
            Err(_) => Err(Reason::JournalOverloaded),
        }
    }

    pub(super) fn push(&self, body: Body, reply: Reply) {
        let mut queue = self.lock();
        if queue.end == End::Ended {
            drop(queue);
            reply.refuse(Reason::JournalHalted);
            return;
        }
        // The clocks are read under the lock, so that monotonic time never goes back along the journal.
        let stamp = Stamp::now(&self.clock);
        queue.entries.push_back(Entry { stamp, body, reply });
        drop(queue);
        self.wake.notify_one();
    }

    pub(super) fn ask_for_probe(&self) {
        self.lock().probe = Probe::Asked;
        self.wake.notify_one();
    }

    /// Whether nobody has looked yet.
    #[cfg(test)]
    pub(super) fn is_probe_asked(&self) -> bool {
        self.lock().probe == Probe::Asked
    }

    /// Asks for another key, where nobody else does.
    pub(super) fn ask_for_rotation(&self, rotation: Rotation) {
        let mut queue = self.lock();
        if queue.end == End::Open && queue.rotation.is_none() {
            queue.rotation = Some(rotation);
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// What was asked for.
    pub(super) fn take_rotation(&self) -> Option<Rotation> {
        self.lock().rotation.take()
    }

    /// The last handle is gone.
    pub(super) fn leave(&self) {
        self.lock().end = End::Leaving;
        self.wake.notify_one();
    }

    /// The writer has ended: whatever still comes is refused at once.
    pub(super) fn end(&self) {
        self.places.close();
        let left = {
            let mut queue = self.lock();
            queue.end = End::Ended;
            std::mem::take(&mut queue.entries)
        };
        left.into_iter().for_each(|entry| entry.reply.refuse(Reason::JournalHalted));
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// How many records wait.
    pub(super) fn depth(&self) -> usize {
        self.lock().entries.len()
    }

    /// Moves up to `entries_max` entries into `into`; waits for the first one.
    pub(super) fn take(&self, into: &mut Vec<Entry>, entries_max: usize, patience: Option<Duration>) -> Wake {
        let mut queue = self.lock();
        loop {
            if !queue.entries.is_empty() {
                let count = queue.entries.len().min(entries_max);
                into.extend(queue.entries.drain(..count));
                return Wake::Group;
            }
            if queue.probe == Probe::Asked {
                queue.probe = Probe::Unasked;
                return Wake::Probe;
            }
            if queue.rotation.is_some() {
                return Wake::Rotation;
            }
            if queue.end == End::Leaving && self.space.calls() == 0 {
                return Wake::Left;
            }
            // What is still owed when the last handle leaves comes within a moment or never wakes us.
            let patience = match queue.end {
                End::Leaving => Some(patience.unwrap_or(LEAVING_POLL).min(LEAVING_POLL)),
                End::Open | End::Ended => patience,
            };
            let Some(patience) = patience else {
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let waited = self.wake.wait_timeout(queue, patience).unwrap_or_else(PoisonError::into_inner);
            queue = waited.0;
            if waited.1.timed_out() && queue.entries.is_empty() {
                return Wake::Timeout;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic while the queue was held leaves it whole: every change to it is one push or one take.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a writer without handles looks whether the last outcomes have come.
const LEAVING_POLL: Duration = Duration::from_millis(20);
