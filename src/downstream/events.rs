//! The body of a stream: messages as server-sent events, and comments where there are none.
//!
//! Must never wait for a second event before it hands out the first (CASES F03, F04), nor go on after the
//! final message of a call.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use crate::gateway::port::{CallEvent, Listening, Next, Tap};
use crate::wire::sse;

/// How long a stream stays quiet before a comment tells both ends, and what lies between, that it lives.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A stream of events. Dropping it tells the gateway that the client has gone.
pub(super) struct Events {
    source: Source,
    ready: VecDeque<Bytes>,
    quiet: Pin<Box<Sleep>>,
}

enum Source {
    Call(mpsc::Receiver<CallEvent>),
    Stream(Listening),
    /// The stream of a session, and when its connection has lived long enough.
    Tap(Tap, Pin<Box<Sleep>>),
    Ended,
}

impl Events {
    /// The events of a call, of which `first` have come already.
    pub(super) fn of_call(receiver: mpsc::Receiver<CallEvent>, first: &[CallEvent]) -> Self {
        let message = |event: &CallEvent| match event {
            CallEvent::Notification(message) | CallEvent::Request(message) | CallEvent::Answer(message) => {
                Some(sse::encode(message))
            }
            CallEvent::Final { body, .. } => Some(sse::encode(body)),
            // Nobody could come back.
            CallEvent::Pause => None,
        };
        Self::new(Source::Call(receiver), first.iter().filter_map(message).collect())
    }

    /// One message and the end.
    pub(super) fn of_one(message: &Bytes) -> Self {
        Self::new(Source::Ended, VecDeque::from([sse::encode(message)]))
    }

    /// A stream of notifications.
    pub(super) fn of_stream(listening: Listening) -> Self {
        Self::new(Source::Stream(listening), VecDeque::new())
    }

    /// A stream of a session. Where its client can come back to it, its connection is closed after `age_max`.
    pub(super) fn of_tap(tap: Tap, age_max: Duration) -> Self {
        Self::new(Source::Tap(tap, Box::pin(tokio::time::sleep(age_max))), VecDeque::new())
    }

    fn new(source: Source, ready: VecDeque<Bytes>) -> Self {
        Self { source, ready, quiet: Box::pin(tokio::time::sleep(KEEP_ALIVE_INTERVAL)) }
    }

    /// The next piece of the body; `None` at its end.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let piece = match self.ready.pop_front() {
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
                Poll::Ready(Some(
                    CallEvent::Notification(message)
                    | CallEvent::Request(message)
                    | CallEvent::Answer(message),
                )) => Some(message),
                // Nobody could come back.
                Poll::Ready(Some(CallEvent::Pause)) => return self.poll_message(context),
                Poll::Ready(Some(CallEvent::Final { body, .. })) => {
                    self.source = Source::Ended;
                    Some(body)
                }
            },
            Source::Stream(listening) => match listening.events.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(message) => message,
            },
            Source::Tap(..) => return self.poll_tap(context),
            Source::Ended => None,
        };
        Poll::Ready(message.map(|message| sse::encode(&message)))
    }

    fn poll_tap(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Source::Tap(tap, age) = &mut self.source else { return Poll::Ready(None) };
        match tap.poll_next(context) {
            Poll::Ready(Some(Next::Event(sent))) => {
                return Poll::Ready(Some(sse::encode_with_id(&sent.id, &sent.message)));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Next::Pause)) => {}
            Poll::Pending if age.as_mut().poll(context).is_pending() => return Poll::Pending,
            Poll::Pending => {}
        }
        let Some(retry) = tap.retry() else { return Poll::Pending };
        // SEP-1699 (2025-11-25, basic/transports): the server MAY close the connection without terminating
        // the stream, and SHOULD say before how long the client waits before it comes back.
        self.source = Source::Ended;
        Poll::Ready(Some(sse::retry(retry)))
    }
}
