//! The proofs of this room: a place in the journal, an intent on its way, an intent that is durable.
//!
//! None is `Clone` or can be made elsewhere: whoever holds an [`Intent`] holds a record that is on disk
//! (invariant I6). Dropping one never loses a record: an intent without outcome writes `abandoned`.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Seq;
use super::event::{Executed, Latency, OutcomeFacts, Transport};
use super::queue::{Body, Claims, Reply, Shared};
use crate::model::facts::CallFacts;
use crate::model::reason::Reason;

/// A place in the queue and the disk space for the intent and the outcome of one call.
#[derive(Debug)]
#[must_use = "a slot that is dropped frees its place"]
pub struct Slot {
    pub(super) shared: Arc<Shared>,
    pub(super) place: Place,
}

/// What a call holds from its reservation until its outcome is written. Freed on drop.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) _claim: Claims,
}

impl Slot {
    /// Puts the intent of a call into the queue. Never waits, so that it can stand in the run's critical
    /// section: the order of calls is the order of records, and what `proven` proves was decided in the
    /// same breath.
    pub fn intend<A>(self, proven: A, facts: CallFacts) -> Pending<A> {
        let facts = Arc::new(facts);
        let (sender, receiver) = oneshot::channel();
        let Self { shared, place } = self;
        shared.push(Body::Intent(facts, place), Reply::Intent(sender));
        Pending { proven, receiver, shared }
    }
}

/// An intent in the queue. Not durable yet; nothing may be forwarded on it.
///
/// Dropped before it is durable, the writer closes its record with an outcome `abandoned` that says
/// nothing was executed.
#[derive(Debug)]
#[must_use = "an intent that nobody waits for is abandoned"]
pub struct Pending<A> {
    proven: A,
    receiver: oneshot::Receiver<Result<OpenIntent, Reason>>,
    shared: Arc<Shared>,
}

impl<A> Pending<A> {
    /// Waits until the intent is durable at the configured level.
    ///
    /// # Errors
    /// What was proven, handed back, and why the journal did not take the intent. What the critical
    /// section added to the run stays added.
    pub async fn durable(self) -> Result<Intent<A>, (A, Reason)> {
        let Self { proven, receiver, shared } = self;
        match shared.answer(receiver).await {
            Ok(open) => Ok(Intent { proven, open }),
            // Where the disk was only too slow, the intent becomes durable later and is abandoned then: its
            // outcome says that nothing was executed.
            Err(reason) => Err((proven, reason)),
        }
    }
}

/// A durable intent of what `A` proves: the only thing that may be forwarded.
#[derive(Debug)]
#[must_use = "an intent that is dropped is abandoned"]
pub struct Intent<A> {
    proven: A,
    open: OpenIntent,
}

impl<A> Intent<A> {
    /// The record of the intent.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.open.seq
    }

    /// What was proven, to look at before it is sent.
    #[must_use]
    pub fn proven(&self) -> &A {
        &self.proven
    }

    /// Takes the proof apart at the moment of sending. From here on the upstream may have executed the
    /// call, and the record says so unless an outcome says otherwise.
    pub fn begin(self) -> (A, OpenIntent) {
        let Self { proven, mut open } = self;
        open.phase = Phase::Begun;
        (proven, open)
    }
}

/// A forwarded call whose outcome is owed.
#[derive(Debug)]
#[must_use = "an open intent that is dropped is abandoned"]
pub struct OpenIntent {
    pub(super) shared: Arc<Shared>,
    pub(super) seq: Seq,
    pub(super) facts: Arc<CallFacts>,
    pub(super) place: Option<Place>,
    pub(super) phase: Phase,
}

/// How far an intent has come, for the outcome that its drop writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Durable, and nothing was sent on it.
    Durable,
    /// In the journal, and refused because its durability is not known.
    Refused,
    /// Sent, perhaps.
    Begun,
}

impl OpenIntent {
    /// The record of the intent.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Records how the call ended, and returns once that is written: only then may an answer leave.
    ///
    /// # Errors
    /// [`Reason::JournalHalted`] or [`Reason::JournalOverloaded`] where the outcome could not be written
    /// within the wait for the journal. The answer must then be withheld; the outcome is kept and written as soon as the journal goes again.
    pub async fn conclude(mut self, outcome: OutcomeFacts) -> Result<Seq, Reason> {
        let (sender, receiver) = oneshot::channel();
        self.owe(outcome, Reply::Record(sender));
        let shared = Arc::clone(&self.shared);
        shared.answer(receiver).await
    }

    fn owe(&mut self, outcome: OutcomeFacts, reply: Reply) {
        // The place is taken exactly once: by the outcome, or by the drop of an intent that has none.
        let Some(place) = self.place.take() else { return };
        let body = Body::Outcome { intent: self.seq, facts: Arc::clone(&self.facts), outcome, _place: place };
        self.shared.push(body, reply);
    }
}

impl Drop for OpenIntent {
    fn drop(&mut self) {
        let (reason, executed, transport) = match self.phase {
            Phase::Durable => (Reason::Abandoned, Executed::No, Transport::NotSent),
            Phase::Refused => (Reason::JournalHalted, Executed::No, Transport::NotSent),
            Phase::Begun => (Reason::Abandoned, Executed::Unknown, Transport::Failed),
        };
        let outcome = OutcomeFacts {
            reason,
            executed,
            transport,
            jsonrpc: None,
            is_error: None,
            contents: super::event::Contents::Same,
            result: None,
            latency: Latency::default(),
        };
        self.owe(outcome, Reply::Nobody);
    }
}
