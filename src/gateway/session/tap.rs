//! One connection's end of a stream of a session.
//!
//! Must never hold a message that it did not hand out: what is not read stays in the outbox, within its
//! limits. Dropping it says that the connection has gone, which cancels nothing by itself.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::outbox::{Found, Outbox, Primes};
use crate::spool::Body;

/// How long a client is asked to wait before it comes back to a stream whose connection was closed.
pub const RETRY: Duration = Duration::from_secs(1);

/// Reads one stream of a session. One that is dropped can be resumed by its last event's id.
#[derive(Debug)]
pub struct Tap {
    outbox: Arc<Outbox>,
    stream: u64,
    number: u64,
}

/// One event, as it is sent.
#[derive(Debug)]
pub struct Sent {
    /// Its id.
    pub id: String,
    /// The message; empty where the event only says how to come back.
    pub message: Body,
}

/// What comes next on a stream.
#[derive(Debug)]
pub enum Next {
    /// An event.
    Event(Sent),
    /// Nothing for a while: the connection may be closed.
    Pause,
}

impl Tap {
    pub(super) fn new(outbox: Arc<Outbox>, stream: u64, number: u64) -> Self {
        Self { outbox, stream, number }
    }

    pub(super) fn stream(&self) -> u64 {
        self.stream
    }

    /// Forgets the stream itself: it was never the client's.
    pub(in crate::gateway) fn discard(self) {
        self.outbox.forget(self.stream);
    }

    /// What comes next; `None` at the end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Next>> {
        match self.outbox.next(self.stream, self.number, context.waker()) {
            Found::Event(event, message) => {
                let id = self.outbox.id_of(self.stream, event);
                Poll::Ready(Some(Next::Event(Sent { id, message })))
            }
            Found::Pause => Poll::Ready(Some(Next::Pause)),
            Found::Nothing => Poll::Pending,
            Found::End => Poll::Ready(None),
        }
    }

    /// How long the client waits before it comes back, where its connection may be closed although the
    /// stream goes on (SEP-1699, from 2025-11-25 on).
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        (self.outbox.primes() == Primes::Yes).then_some(RETRY)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.outbox.leave(self.stream, self.number);
    }
}
