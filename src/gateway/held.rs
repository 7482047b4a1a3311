//! A call that waits for a person is held for a while, with progress, where its client can be told that it waits.
//!
//! A courtesy in front of the answer that names the question (DESIGN §4.5): official clients give a request up after 60
//! seconds. Must never be the only way to what a person said, nor hold more calls than there are places. The
//! question is recorded from the start, the call once it goes on or is refused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, interval, sleep_until};

use super::Gateway;
use super::exchange::Exchange;
use super::named::Named;
use super::own::Own;
use super::port::{CALL_EVENTS_MAX, CallEvent, Ongoing, Reply, Shape};
use super::refusal::Refusal;
use super::session::{InFlight, Wanted};
use super::visit::Visits;
use crate::model::approval::QuestionId;
use crate::model::reason::Reason;
use crate::wire::{Method, encode};

/// Calls that may be held at once; a further one is told at once that it waits.
const HELD_MAX: usize = 256;
/// How often a client is told that its call still waits.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Who waits for people, and when it is worth it.
#[derive(Debug)]
pub(super) struct Waiters {
    places: Arc<Semaphore>,
    /// Held by whoever answers a question about a call, until the answer counts.
    answering: tokio::sync::Mutex<()>,
    /// Who was sent to where they can answer.
    pub(super) visits: Visits,
    /// Told whenever somebody answered.
    answered: watch::Sender<Hope>,
}

/// Whether an answer may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hope {
    Is,
    /// The gateway ends.
    IsGone,
}

impl Default for Waiters {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(HELD_MAX)),
            answering: tokio::sync::Mutex::default(),
            visits: Visits::default(),
            answered: watch::Sender::new(Hope::Is),
        }
    }
}

impl Waiters {
    /// The turn to answer a question about a call: two answers come one after the other, so that the second finds the
    /// first, and no answer is on the record that does not count.
    pub(super) async fn turn_to_answer(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.answering.lock().await
    }

    /// Somebody answered: whoever waits looks again.
    pub(super) fn look(&self) {
        self.answered.send_modify(|_| ());
    }

    /// Lets nobody wait any more.
    pub(super) fn close(&self) {
        self.answered.send_replace(Hope::IsGone);
    }
}

/// What ended the wait.
enum Waited {
    /// A person answered, or will not: it is tried again.
    Over,
    /// The client does not wait any more.
    Gone,
}

/// A call that is held.
struct Held {
    exchange: Exchange,
    named: Named,
    /// The client's own token, where it wants to be told of progress.
    token: Option<Bytes>,
    question: QuestionId,
    in_flight: Option<InFlight>,
    /// What is recorded, and would have been told, where its client does not wait.
    refusal: Box<Refusal>,
    _place: OwnedSemaphorePermit,
}

impl Gateway {
    /// A call, of a tool of our own or of a tool server; held where it waits for a person.
    pub(super) async fn call_or_hold(
        self: &Arc<Self>,
        exchange: Exchange,
        named: Named,
    ) -> Result<Reply, Box<Refusal>> {
        let may_visit = self.worlds.within(|world| world.in_force.page_url.is_some());
        let again = (may_visit || named.progress_token.is_some()).then(|| named.clone());
        match (self.call_named(&exchange, named).await, again) {
            (Err(refusal), Some(again)) if refusal.reason == Reason::ApprovalPending => {
                match self.visit(&exchange, &refusal) {
                    Some(visit) => self.send_to_page(exchange, again, refusal, visit),
                    None => self.hold(exchange, again, refusal),
                }
            }
            (done, _) => done,
        }
    }

    async fn call_named(self: &Arc<Self>, exchange: &Exchange, named: Named) -> Result<Reply, Box<Refusal>> {
        let is_there = |own: &Own| self.worlds.within(|world| world.own.contains(own));
        match Own::named(&named).filter(is_there) {
            Some(own) => self.own(exchange, &named, own).await,
            None => self.start(exchange, named, None).await,
        }
    }

    /// Answers later; `refusal` is what is told where it cannot be held.
    fn hold(
        self: &Arc<Self>,
        exchange: Exchange,
        named: Named,
        refusal: Box<Refusal>,
    ) -> Result<Reply, Box<Refusal>> {
        let place = Arc::clone(&self.waiters.places).try_acquire_owned();
        let (Some(question), Some(token)) = (refusal.facts.approval.clone(), named.progress_token.clone())
        else {
            return Err(refusal);
        };
        let (Ok(place), Ok(in_flight)) = (place, exchange.begin()) else { return Err(refusal) };
        let token = Some(token);
        let held = Held { exchange, named, token, question, in_flight, refusal, _place: place };
        let (events, receiver) = mpsc::channel(CALL_EVENTS_MAX);
        let gateway = Arc::clone(self);
        tokio::spawn(async move { gateway.wait_and_go_on(held, &events).await });
        Ok(Reply::Call(Ongoing { events: receiver, shape: Shape::Single, resumable: None }))
    }

    /// The same for a request that came back from where its person can answer; tried at once where it cannot be held.
    pub(super) async fn hold_for(
        self: Arc<Self>,
        exchange: Exchange,
        named: Named,
        refusal: Box<Refusal>,
        token: Option<Bytes>,
        events: &mpsc::Sender<CallEvent>,
    ) {
        let place = Arc::clone(&self.waiters.places).try_acquire_owned();
        let (Ok(place), Some(question)) = (place, refusal.facts.approval.clone()) else {
            return self.go_ahead(&exchange, named, events).await;
        };
        let held = Held { exchange, named, token, question, in_flight: None, refusal, _place: place };
        self.wait_and_go_on(held, events).await;
    }

    async fn wait_and_go_on(self: Arc<Self>, held: Held, events: &mpsc::Sender<CallEvent>) {
        let waited = self.wait(&held, events).await;
        let Held { exchange, named, in_flight, refusal, .. } = held;
        if matches!(waited, Waited::Gone) {
            // Every refusal has its record (I6), also one that nobody is there to be told.
            let _untold = self.refuse(*refusal, exchange.caller.arrived).await;
            return;
        }
        // The call that goes on is in flight under this request's id itself.
        drop(in_flight);
        self.go_ahead(&exchange, named, events).await;
    }

    /// Makes the call, and hands on what comes of it.
    async fn go_ahead(self: &Arc<Self>, exchange: &Exchange, named: Named, events: &mpsc::Sender<CallEvent>) {
        let reply = match self.call_named(exchange, named).await {
            Ok(reply) => reply,
            Err(refusal) => self.refuse(*refusal, exchange.caller.arrived).await,
        };
        match reply {
            Reply::Call(mut ongoing) => {
                while let Some(event) = ongoing.events.recv().await {
                    // A client that hung up cancels the call: what it is dropped with says so.
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
            }
            Reply::Json { body, .. } => {
                let last = CallEvent::Final { status: StatusCode::OK, body: body.into() };
                let _gone = events.send(last).await;
            }
            _ => {}
        }
    }

    /// Waits until the question is answered, its time is over, or nobody wants to know.
    async fn wait(&self, held: &Held, events: &mpsc::Sender<CallEvent>) -> Waited {
        let mut answers = self.waiters.answered.subscribe();
        let until = Instant::now() + self.worlds.now().in_force.ask_hold;
        let (mut ticks, mut told) = (interval(PROGRESS_INTERVAL), 0_u64);
        let mut wanted = held.in_flight.as_ref().map(|in_flight| in_flight.wanted.clone());
        let cancelled = async {
            match &mut wanted {
                Some(wanted) => drop(wanted.wait_for(|wanted| *wanted == Wanted::Cancelled).await),
                None => std::future::pending().await,
            }
        };
        let mut cancelled = std::pin::pin!(cancelled);
        while self.questions.waits(&held.question) && *answers.borrow_and_update() == Hope::Is {
            tokio::select! {
                () = events.closed() => return Waited::Gone,
                () = &mut cancelled => return Waited::Gone,
                () = sleep_until(until) => return Waited::Over,
                changed = answers.changed() => if changed.is_err() { return Waited::Over },
                _ = ticks.tick() => {
                    told += 1;
                    if let Some(token) = &held.token {
                        // Whoever does not read it misses a courtesy.
                        let _missed = events.try_send(CallEvent::Notification(progress(token, told)));
                    }
                }
            }
        }
        Waited::Over
    }
}

/// That the call still waits, under the client's own token (server/utilities/progress).
fn progress(token: &[u8], told: u64) -> Bytes {
    let said = format!(",\"progress\":{told},\"message\":\"A person is asked to approve this call.\"}}");
    let params = [b"{\"progressToken\":".as_slice(), token, said.as_bytes()].concat();
    encode::notification(&Method::Progress, Some(&params))
}
