//! The client's end of a call: which request of it waits, and where its answer goes.
//!
//! Must never hold an answer back: whoever does not read loses what is a courtesy, and nothing else.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::port::CallEvent;
use super::session::{InFlight, Wanted};
use crate::wire::{Id, Method, Object, encode};

/// The request that waits.
pub(super) struct Line {
    pub(super) id: Id,
    /// The client's own token, put back into each progress notification.
    pub(super) progress_token: Option<Bytes>,
    /// Holds the id in its session until the end.
    pub(super) in_flight: Option<InFlight>,
}

impl Line {
    /// Resolves when the client cancels the call, or hangs up and can or does not come back.
    pub(super) async fn given_up(&self, events: &mpsc::Sender<CallEvent>) {
        let Some(in_flight) = &self.in_flight else { return events.closed().await };
        let mut wanted = in_flight.wanted.clone();
        tokio::select! {
            () = events.closed() => {}
            // The sender lives in the session for as long as the id is in flight, which is until we end.
            _ = wanted.wait_for(|wanted| *wanted == Wanted::Cancelled) => {}
        }
    }

    /// A progress notification under the client's own token, if it sent one.
    pub(super) fn progress(&self, params: &Bytes) -> Option<Bytes> {
        let token = self.progress_token.as_ref()?;
        let own = Object::of(params).ok()?.replace("progressToken", token)?;
        Some(encode::notification(&Method::Progress, Some(&own)))
    }
}
