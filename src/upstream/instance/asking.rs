//! One request of ours: sent once, answered once, and what the instance asks back meanwhile.
//!
//! Must never send it again, nor let time run against the upstream while it waits for the client. It trusts
//! that whoever takes a question answers it in bounded time.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::{Instance, Link};
use crate::upstream::aside::Aside;
use crate::upstream::cancel::CancelSignal;
use crate::upstream::era::Dressed;
use crate::upstream::exchange::{Posed, Relay, Waiting};
use crate::upstream::failure::{Answer, Executed, Failure};
use crate::upstream::handover::Handover;
use crate::upstream::question::{QUESTIONS_MAX, Question, Said};
use crate::wire::{Id, Method, code, encode};

/// A request of ours: what to send and who hears of what is said meanwhile.
pub(super) struct Asking<'a> {
    pub(super) message: Box<dyn FnOnce(u64) -> Dressed + Send + 'a>,
    pub(super) relay: Option<mpsc::Sender<Aside>>,
    pub(super) deadline: Instant,
    pub(super) giving_up: GivingUp,
}

/// What to do about a request that is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivingUp {
    /// Tell the upstream.
    Tell,
    /// Nothing. "The `initialize` request MUST NOT be cancelled by clients" (2025-11-25,
    /// basic/utilities/cancellation); and where each request has a response stream of its own, closing
    /// that is what says it (2026-07-28, "Cancellation").
    Silently,
}

/// The code of an answer of somebody who would rather not (client/sampling, "Error Handling").
const REJECTED: i64 = -1;

impl Instance {
    pub(super) async fn ask(&self, asking: Asking<'_>, cancel: &mut CancelSignal) -> Result<Answer, Failure> {
        let (posed, mut questions) = mpsc::channel(QUESTIONS_MAX);
        let relay = asking.relay.map(|asides| Relay { asides, posed });
        let asides = relay.as_ref().map(|relay| relay.asides.clone());
        let mut given = Given {
            waiting: self.exchange.expect(relay)?,
            handover: Handover::default(),
            link: &self.link,
            giving_up: asking.giving_up,
        };
        let message = (asking.message)(given.waiting.id());
        let mut answered = std::pin::pin!(async {
            match self.link {
                Link::Stdio(ref stdio) => stdio.send(&message.body, &given.handover).await?,
                Link::Http(ref http) => http.send(message, &given.waiting, &given.handover).await?,
            }
            given.waiting.answer().await
        });
        let (mut open, mut clock) = (FuturesUnordered::new(), Allowance::until(asking.deadline));
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut answered => break outcome,
                Some(posed) = questions.recv() => {
                    clock.stop();
                    open.push(self.question(posed, asides.clone()));
                }
                Some(()) = open.next() => if open.is_empty() { clock.go() },
                () = sleep_until(clock.deadline), if open.is_empty() => {
                    break Err(Failure::Timeout(given.handover.withdraw()));
                }
                () = cancel.given_up() => break Err(Failure::Cancelled(given.handover.withdraw())),
            }
        };
        // What was never handed over was never executed, whatever ended the session.
        match outcome {
            Err(Failure::Closed(why)) if given.handover.withdraw() == Executed::No => {
                Err(Failure::Unavailable(why))
            }
            other => other,
        }
    }

    /// Asks what the instance asks, and tells it what was said.
    async fn question(&self, posed: Posed, asides: Option<mpsc::Sender<Aside>>) {
        let Posed { id, asked } = posed;
        let method = asked.method.clone();
        let (reply, said) = oneshot::channel();
        let question = Aside::Asks(Question { asked: vec![asked], reply });
        let taken = asides.is_some_and(|asides| asides.try_send(question).is_ok());
        let said = if taken { said.await.ok() } else { None };
        let said = said.and_then(|mut all| all.pop()).unwrap_or(Said::Declined);
        let message = answer(&id, &method, &said);
        let delivered = match &self.link {
            Link::Stdio(stdio) => stdio.send(&message, &Handover::default()).await,
            Link::Http(http) => http.deliver(message).await,
        };
        if delivered.is_err() {
            self.exchange.counters().replies_dropped.count();
        }
    }
}

/// Sends a request that stays open, and waits for its end. Dropped before, it tells the upstream to stop.
pub(super) async fn stand(
    link: &Link,
    waiting: Waiting,
    message: Dressed,
    giving_up: GivingUp,
) -> Result<Answer, Failure> {
    let mut given = Given { waiting, handover: Handover::default(), link, giving_up };
    match link {
        Link::Stdio(stdio) => stdio.send(&message.body, &given.handover).await?,
        Link::Http(http) => http.send(message, &given.waiting, &given.handover).await?,
    }
    given.waiting.answer().await
}

/// The answer to a request of the instance.
fn answer(id: &Id, method: &Method, said: &Said) -> Bytes {
    match (said, said.as_result(method)) {
        (_, Some(result)) => encode::result(id, &result),
        (Said::Error(raw), None) => encode::raw_error(id, raw),
        _ if *method == Method::RootsList => {
            encode::error(Some(id), code::METHOD_NOT_FOUND, "Roots not supported", None)
        }
        _ => encode::error(Some(id), REJECTED, "User rejected the request", None),
    }
}

/// The time that an upstream has, which stands still while it waits for the client.
struct Allowance {
    deadline: Instant,
    stopped: Option<Instant>,
}

impl Allowance {
    fn until(deadline: Instant) -> Self {
        Self { deadline, stopped: None }
    }

    fn stop(&mut self) {
        self.stopped.get_or_insert_with(Instant::now);
    }

    fn go(&mut self) {
        if let Some(since) = self.stopped.take() {
            self.deadline += since.elapsed();
        }
    }
}

/// A request on its way. Dropped before it is answered, in whatever way its caller went, it tells the
/// upstream to stop (2025-11-25, basic/utilities/cancellation).
struct Given<'a> {
    waiting: Waiting,
    handover: Handover,
    link: &'a Link,
    giving_up: GivingUp,
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        let is_out = self.handover.withdraw() == Executed::Unknown;
        if self.giving_up == GivingUp::Silently || !is_out || self.waiting.is_settled() {
            return;
        }
        let params = format!("{{\"requestId\":{},\"reason\":\"given up\"}}", self.waiting.id());
        let message = encode::notification(&Method::Cancelled, Some(params.as_bytes()));
        match self.link {
            Link::Stdio(stdio) => stdio.tell(&message, self.waiting.exchange()),
            Link::Http(http) => http.tell(message),
        }
    }
}
