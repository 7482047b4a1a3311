//! The body of a stream: messages as server-sent events, and comments where there are none.
//!
//! Must never wait for a second event before it hands out the first (CASES F03, F04), nor go on after the
//! final message of a call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use crate::gateway::port::CallEvent;
use crate::wire::sse;

/// How long a stream stays quiet before a comment tells both ends, and what lies between, that it lives.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A stream of events. Dropping it tells the gateway that the client has gone.
pub(super) struct Events {
    source: Source,
    ready: Option<Bytes>,
    quiet: Pin<Box<Sleep>>,
}

enum Source {
    Call(mpsc::Receiver<CallEvent>),
    Stream(mpsc::Receiver<Bytes>),
    Ended,
}

impl Events {
    /// The events of a call, of which `first` has come already.
    pub(super) fn of_call(receiver: mpsc::Receiver<CallEvent>, first: Option<&Bytes>) -> Self {
        Self::new(Source::Call(receiver), first.map(|message| sse::encode(message)))
    }

    /// A stream of notifications.
    pub(super) fn of_stream(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self::new(Source::Stream(receiver), None)
    }

    fn new(source: Source, ready: Option<Bytes>) -> Self {
        Self { source, ready, quiet: Box::pin(tokio::time::sleep(KEEP_ALIVE_INTERVAL)) }
    }

    /// The next piece of the body; `None` at its end.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let piece = match self.ready.take() {
            Some(ready) => Poll::Ready(Some(ready)),
            None => self.poll_message(context),
        };
        if let Poll::Ready(piece) = piece {
            self.quiet.set(tokio::time::sleep(KEEP_ALIVE_INTERVAL));
            return Poll::Ready(piece);
        }
        if self.quiet.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.quiet.set(tokio::time::sleep(KEEP_ALIVE_INTERVAL));
        Poll::Ready(Some(Bytes::from_static(sse::KEEP_ALIVE)))
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let message = match &mut self.source {
            Source::Call(receiver) => match receiver.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    // The client sees the stream end without an answer, which is what happened.
                    tracing::error!("a call ended without its final message");
                    None
                }
                Poll::Ready(Some(CallEvent::Notification(message))) => Some(message),
                Poll::Ready(Some(CallEvent::Final { body, .. })) => {
                    self.source = Source::Ended;
                    Some(body)
                }
            },
            Source::Stream(receiver) => match receiver.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(message) => message,
            },
            Source::Ended => None,
        };
        Poll::Ready(message.map(|message| sse::encode(&message)))
    }
}
