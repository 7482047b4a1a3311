//! The client's end of a call: which request of it waits now, and where what it is told goes.
//!
//! A call of 2026-07-28 that asks for input is left by its client and found again by another request; the
//! line is what stays. Must never hold an answer back: whoever does not read loses what is a courtesy, and
//! nothing else.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{mpsc, watch};

use super::port::CallEvent;
use super::session::{InFlight, Wanted};
use crate::wire::{Id, Method, Object, encode};

/// The client's end of one call.
#[derive(Debug)]
pub(super) struct Line {
    /// What the first request was called, for an answer that nobody waits for any more.
    first: Id,
    seat: Mutex<Option<Seat>>,
    moved: watch::Sender<()>,
    /// Whoever asks the client something holds it: one thing at a time where the client has to leave for it.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// One request that waits.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) id: Id,
    /// The client's own token, put back into each progress notification.
    pub(super) progress_token: Option<Bytes>,
    /// Holds the id in its session until the end.
    pub(super) in_flight: Option<InFlight>,
    pub(super) events: mpsc::Sender<CallEvent>,
}

impl Line {
    pub(super) fn new(seat: Seat) -> Self {
        let first = seat.id.clone();
        let (moved, turn) = (watch::Sender::default(), tokio::sync::Mutex::default());
        Self { first, seat: Mutex::new(Some(seat)), moved, turn }
    }

    /// Resolves when the client cancels the call, or hangs up and can or does not come back. A client that
    /// left to come back with input has done neither.
    pub(super) async fn given_up(&self) {
        let mut moved = self.moved.subscribe();
        loop {
            let waiting = self.lock().as_ref().map(|seat| {
                (seat.events.clone(), seat.in_flight.as_ref().map(|in_flight| in_flight.wanted.clone()))
            });
            let gone = async {
                match waiting {
                    None => std::future::pending().await,
                    Some((events, None)) => events.closed().await,
                    Some((events, Some(mut wanted))) => tokio::select! {
                        () = events.closed() => {}
                        // The sender lives in the session for as long as the id is in flight, which is
                        // until we end.
                        _ = wanted.wait_for(|wanted| *wanted == Wanted::Cancelled) => {}
                    },
                }
            };
            tokio::select! {
                () = gone => return,
                // The line holds the sender.
                _ = moved.changed() => {}
            }
        }
    }

    /// Tells the client something that it may miss.
    pub(super) fn tell(&self, notification: Bytes) {
        if let Some(seat) = self.lock().as_ref() {
            let _dropped = seat.events.try_send(CallEvent::Notification(notification));
        }
    }

    /// The upstream goes on later: the connection of the client need not wait for it.
    pub(super) fn pause(&self) {
        if let Some(seat) = self.lock().as_ref() {
            let _dropped = seat.events.try_send(CallEvent::Pause);
        }
    }

    /// Asks the client something on its stream.
    ///
    /// # Errors
    /// Nobody is there.
    pub(super) async fn ask(&self, request: Bytes) -> Result<(), Gone> {
        let events = self.lock().as_ref().map(|seat| seat.events.clone()).ok_or(Gone)?;
        events.send(CallEvent::Request(request)).await.map_err(|_| Gone)
    }

    /// A progress notification under the client's own token, if it sent one.
    pub(super) fn progress(&self, params: &Bytes) -> Option<Bytes> {
        let seat = self.lock();
        let token = seat.as_ref()?.progress_token.as_ref()?;
        let own = Object::of(params).ok()?.replace("progressToken", token)?;
        Some(encode::notification(&Method::Progress, Some(&own)))
    }

    /// Ends the request that waits, with what `answer` makes of its id; the call goes on without it.
    ///
    /// # Errors
    /// Nobody waited.
    pub(super) async fn leave(&self, answer: impl FnOnce(&Id) -> Bytes) -> Result<(), Gone> {
        let seat = self.lock().take().ok_or(Gone)?;
        self.moved.send_replace(());
        let last = CallEvent::Final { status: StatusCode::OK, body: answer(&seat.id).into() };
        seat.events.send(last).await.map_err(|_| Gone)
    }

    /// From now on this request waits.
    pub(super) fn sit(&self, seat: Seat) {
        *self.lock() = Some(seat);
        self.moved.send_replace(());
    }

    /// The id of the request that waits, or that did last.
    pub(super) fn id(&self) -> Id {
        self.lock().as_ref().map_or_else(|| self.first.clone(), |seat| seat.id.clone())
    }

    /// Ends it. A client that hung up gets no answer.
    pub(super) async fn finish(self, last: CallEvent) {
        let seat = self.seat.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(Seat { events, in_flight, .. }) = seat {
            // Whoever has the answer may use its id for the next request at once.
            drop(in_flight);
            let _gone = events.send(last).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seat>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody is there to be told.
#[derive(Debug)]
pub(super) struct Gone;
