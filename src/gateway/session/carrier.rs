//! Carries what belongs to a call onto a stream of its session, whoever reads it meanwhile.
//!
//! 2025-11-25, basic/transports: "Disconnection SHOULD NOT be interpreted as the client cancelling its
//! request." So a call outlives the connection of its stream for the window in which the client may come
//! back; then nobody will, and it is cancelled. Must never hold an answer back, nor outlive its stream.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::outbox::{Outbox, Place, Purpose};
use super::tap::Tap;
use crate::gateway::port::CallEvent;
use crate::model::reason::Reason;
use crate::run::Run;

/// Where the messages of a call can be kept, for a client that loses its connection.
#[derive(Debug)]
pub struct Resumable {
    outbox: Arc<Outbox>,
    runs: Vec<Arc<Run>>,
}

impl Resumable {
    pub(super) fn new(outbox: Arc<Outbox>, runs: Vec<Arc<Run>>) -> Self {
        Self { outbox, runs }
    }

    /// The same for what more than one call of a session belongs to.
    pub(in crate::gateway) fn join(mut self, other: Self) -> Self {
        self.runs.extend(other.runs);
        self
    }

    /// Begins the stream: what has come already, and then what `events` brings.
    ///
    /// # Errors
    /// Why there is no stream; `events` is dropped, which cancels the call.
    pub fn begin(self, first: Vec<CallEvent>, mut events: mpsc::Receiver<CallEvent>) -> Result<Tap, Reason> {
        let Self { outbox, runs } = self;
        let tap = outbox.open(Purpose::Call(runs))?;
        let stream = tap.stream();
        for event in first {
            put(&outbox, stream, event);
        }
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    event = events.recv() => event,
                    () = outbox.abandoned(stream) => None,
                };
                let Some(event) = event else { break };
                if put(&outbox, stream, event) == Place::Last {
                    // Kept for a while: the client may have lost it on the way.
                    outbox.abandoned(stream).await;
                    break;
                }
            }
            outbox.forget(stream);
        });
        Ok(tap)
    }
}

fn put(outbox: &Outbox, stream: u64, event: CallEvent) -> Place {
    let (message, place) = match event {
        CallEvent::Pause => {
            outbox.pause(stream);
            return Place::Passing;
        }
        CallEvent::Notification(message) => (message.into(), Place::Passing),
        CallEvent::Request(message) => (message.into(), Place::Between),
        CallEvent::Answer(message) => (message, Place::Between),
        CallEvent::Final { body, .. } => (body, Place::Last),
    };
    // What nobody will read is dropped, as the outbox says.
    let _unheard = outbox.add(stream, message, place);
    place
}
