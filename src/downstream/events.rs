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

use crate::gateway::port::{CallEvent, Listening, Next, Tap};
use crate::spool::{Body, Drained};
use crate::wire::sse;

/// How long a stream stays quiet before a comment tells both ends, and what lies between, that it lives.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// A stream of events. Dropping it tells the gateway that the client has gone.
pub(super) struct Events {
    source: Source,
    ready: Drained,
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
    pub(super) fn of_call(receiver: mpsc::Receiver<CallEvent>, first: Vec<CallEvent>) -> Self {
        let first = first.into_iter().filter_map(message_of).map(|message| event(message, None));
        Self::new(Source::Call(receiver), first.fold(Body::default(), Body::then))
    }

    /// One message and the end.
    pub(super) fn of_one(message: Bytes) -> Self {
        Self::new(Source::Ended, event(message.into(), None))
    }

    /// A stream of notifications.
    pub(super) fn of_stream(listening: Listening) -> Self {
        Self::new(Source::Stream(listening), Body::default())
    }

    /// A stream of a session. Where its client can come back to it, its connection is closed after `age_max`.
    pub(super) fn of_tap(tap: Tap, age_max: Duration) -> Self {
        Self::new(Source::Tap(tap, Box::pin(tokio::time::sleep(age_max))), Body::default())
    }

    fn new(source: Source, ready: Body) -> Self {
        let quiet = Box::pin(tokio::time::sleep(KEEP_ALIVE_INTERVAL));
        Self { source, ready: ready.drain(), quiet }
    }

    /// The next piece of the body; `None` at its end.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Poll::Ready(piece) = self.poll_piece(context) {
            self.quiet.set(tokio::time::sleep(KEEP_ALIVE_INTERVAL));
            return Poll::Ready(piece);
        }
        // Between the pieces of one event nothing may stand.
        if self.ready.bytes() > 0 || self.quiet.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.quiet.set(tokio::time::sleep(KEEP_ALIVE_INTERVAL));
        Poll::Ready(Some(Bytes::from_static(sse::KEEP_ALIVE)))
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match self.ready.poll_next(context) {
                Poll::Ready(None) if self.ready.is_broken() => return Poll::Ready(None),
                Poll::Ready(None) => {}
                piece => return piece,
            }
            match self.poll_message(context) {
                Poll::Ready(Some(message)) => self.ready = message.drain(),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Body>> {
        let message = match &mut self.source {
            Source::Call(receiver) => match receiver.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    // The client sees the stream end without an answer, which is what happened.
                    tracing::error!("a call ended without its final message");
                    None
                }
                Poll::Ready(Some(event)) => {
                    if matches!(event, CallEvent::Final { .. }) {
                        self.source = Source::Ended;
                    }
                    match message_of(event) {
                        Some(message) => Some(message),
                        None => return self.poll_message(context),
                    }
                }
            },
            Source::Stream(listening) => match listening.events.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(message) => message.map(Body::from),
            },
            Source::Tap(..) => return self.poll_tap(context),
            Source::Ended => None,
        };
        Poll::Ready(message.map(|message| event(message, None)))
    }

    fn poll_tap(&mut self, context: &mut Context<'_>) -> Poll<Option<Body>> {
        let Source::Tap(tap, age) = &mut self.source else { return Poll::Ready(None) };
        match tap.poll_next(context) {
            Poll::Ready(Some(Next::Event(sent))) => {
                return Poll::Ready(Some(event(sent.message, Some(&sent.id))));
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
        Poll::Ready(Some(sse::retry(retry).into()))
    }
}

/// The message of an event; what only says that nothing comes for a while has none.
fn message_of(event: CallEvent) -> Option<Body> {
    match event {
        CallEvent::Notification(message) | CallEvent::Request(message) => Some(message.into()),
        CallEvent::Answer(body) | CallEvent::Final { body, .. } => Some(body),
        // Nobody could come back.
        CallEvent::Pause => None,
    }
}

/// `message` as one event. What of it lies on disk is the inside of strings, which have no line ends.
fn event(message: Body, id: Option<&str>) -> Body {
    if let Some(text) = message.as_text() {
        return sse::encode(id, text).into();
    }
    message.map_text(|text| sse::piece(&text)).between(sse::begin(id), Bytes::from_static(sse::END))
}
