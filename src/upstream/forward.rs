//! The one way out: a call that was decided, admitted and recorded, on its way to its upstream.
//!
//! Must never send anything else, nor anything twice. What it takes apart cannot be put together again,
//! and the bytes that leave come out of the permit (DESIGN §6).

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::instance::deadline_in;
use super::pool::{Lease, Pool};
use super::{
    Answer, AnswerKind, Aside, Asker, CancelSignal, Detail, Executed, Failure, Fleet, Hold, QUESTIONS_MAX,
    Question, ROUNDS_MAX, Route, Said, Timings, Watch,
};
use crate::audit::{Intent, OpenIntent};
use crate::clock::Clock;
use crate::limit::{Admission, InFlight};
use crate::model::call::{Call, Payload};
use crate::model::target::Target;
use crate::policy::Permit;
use crate::spool::Rest;
use crate::wire::{self, Method, input::Wanted};

/// What became of a forwarded call, and what is owed for it.
#[derive(Debug)]
#[must_use = "the outcome has to be recorded"]
pub struct Forwarded {
    /// The record that waits for its outcome.
    pub open: OpenIntent,
    /// The call's place among those in flight, kept until the outcome is written.
    pub in_flight: InFlight,
    /// The answer, or why there is none that may be handed on.
    pub outcome: Result<Answer, Failure>,
    /// Where the time went.
    pub timings: Timings,
    /// What is watched from now on, where the call asked for that and was granted it.
    pub watch: Option<Watch>,
    /// What keeps the instance while it works on the task that it made of the call.
    pub hold: Option<Hold>,
}

/// What is done about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// It is sent.
    Send,
    /// Its resource is watched from now on; it is sent where the instance has to be told.
    Watch,
    /// Its resource is watched no longer. The instance is told once nobody watches it: whoever drops the
    /// [`Watch`] does so.
    Unwatch,
}

impl Errand {
    fn of(method: &str) -> Self {
        match method {
            _ if method == Method::ResourcesSubscribe.code() => Self::Watch,
            _ if method == Method::ResourcesUnsubscribe.code() => Self::Unwatch,
            _ => Self::Send,
        }
    }
}

/// An instance that is ready for one call, and until when.
#[derive(Debug)]
pub(super) struct Ready {
    lease: Lease,
    deadline: Instant,
    clock: Clock,
}

impl Fleet {
    /// Sends the call that `intent` proves, once, on behalf of `route`. What the upstream says to it goes
    /// into `relay` while it lasts, tokens still ours; what finds `relay` full is dropped. `cancel` gives the
    /// call up. Ends within the call's deadline, which stands still while the client is asked.
    pub async fn forward(
        &self,
        intent: Intent<Admission<Permit>>,
        route: &Route,
        relay: mpsc::Sender<Aside>,
        mut cancel: CancelSignal,
    ) -> Forwarded {
        let mut timings = Timings::default();
        let call = intent.proven().permit().call();
        let errand = Errand::of(call.payload.method);
        let ready = match errand {
            Errand::Unwatch => None,
            Errand::Send | Errand::Watch => Some(self.ready(call, route, &mut cancel, &mut timings).await),
        };
        // Until here not a byte was sent. From here on only an outcome says how it ended.
        let (admission, open) = intent.begin();
        let (permit, in_flight) = admission.into_parts();
        let call = permit.into_call();
        let (mut watch, mut hold) = (None, None);
        let outcome = match ready {
            None => Ok(done()),
            Some(Err(failure)) => Err(failure),
            Some(Ok(ready)) if errand == Errand::Watch => {
                let watched = ready.watch(&call, &mut cancel, &mut timings).await;
                watched.map(|watched| {
                    watch = Some(watched);
                    done()
                })
            }
            Some(Ok(ready)) => {
                let outcome = ready.send(&call, &route.asker, relay, &mut cancel, &mut timings).await;
                if matches!(&outcome, Ok(answer) if answer.kind == AnswerKind::Task) {
                    hold = Some(Hold::new(ready.lease));
                }
                outcome
            }
        };
        Forwarded { open, in_flight, outcome, timings, watch, hold }
    }

    /// Finds or starts the instance for a call, and checks that it offers what was decided on.
    pub(super) async fn ready(
        &self,
        call: &Call,
        route: &Route,
        cancel: &mut CancelSignal,
        timings: &mut Timings,
    ) -> Result<Ready, Failure> {
        let pool = self.pool(call.target.upstream());
        let pool = pool.ok_or_else(|| Failure::Unavailable(Detail::new("no such upstream")))?;
        // One deadline for everything: waiting for an instance, the call, its whole answer (F01, F02).
        let deadline = deadline_in(call.deadline.unwrap_or(pool.parts().settings.call_timeout));
        let clock = &pool.parts().clock;
        let begun = clock.monotonic();
        let lease = lease(pool, route, deadline, cancel).await;
        timings.instance = clock.monotonic().saturating_sub(begun);
        let lease = lease?;
        // What was decided on is what is called (CASES A29), also where this very instance is the
        // first to say that it offers something else.
        if let (Target::Tool(id), Some(pin)) = (&call.target, call.pin) {
            lease.check(&id.tool, pin.accepted())?;
        }
        Ok(Ready { lease, deadline, clock: clock.clone() })
    }
}

impl Ready {
    /// Watches what the call names.
    async fn watch(
        self,
        call: &Call,
        cancel: &mut CancelSignal,
        timings: &mut Timings,
    ) -> Result<Watch, Failure> {
        let sent = self.clock.monotonic();
        let watched = self.lease.watch(&call.payload, self.deadline, cancel).await;
        timings.upstream += self.clock.monotonic().saturating_sub(sent);
        Ok(Watch::new(call.target.upstream().clone(), self.lease, watched?))
    }

    /// Sends the call, and again with what its client says for as long as the upstream asks for input before
    /// it answers: a request of its own each time, of which the upstream says where it goes on (2026-07-28,
    /// basic/patterns/mrtr).
    pub(super) async fn send(
        &self,
        call: &Call,
        asker: &Asker,
        relay: mpsc::Sender<Aside>,
        cancel: &mut CancelSignal,
        timings: &mut Timings,
    ) -> Result<Answer, Failure> {
        let (mut payload, mut deadline) = (call.payload.clone(), self.deadline);
        for _ in 0..=ROUNDS_MAX {
            let sent = self.clock.monotonic();
            let outcome = self.lease.call(&payload, asker, relay.clone(), deadline, cancel).await;
            timings.upstream += self.clock.monotonic().saturating_sub(sent);
            let answer = outcome?;
            if answer.kind != AnswerKind::InputRequired {
                return Ok(answer);
            }
            let asked = Instant::now();
            payload = input(&call.payload, &answer, &relay, cancel).await?;
            deadline += asked.elapsed();
        }
        Err(Failure::InputRequired)
    }
}

/// The answer to what needs none but that it was done.
fn done() -> Answer {
    Answer { kind: AnswerKind::Result, raw: Bytes::from_static(b"{}"), rest: Rest::default() }
}

/// Gets the input that `answer` asks for, and makes of it what the call goes on with.
async fn input(
    payload: &Payload,
    answer: &Answer,
    relay: &mpsc::Sender<Aside>,
    cancel: &mut CancelSignal,
) -> Result<Payload, Failure> {
    let wanted = wire::input::wanted(&answer.raw, QUESTIONS_MAX)
        .map_err(|fault| Failure::Invalid(Detail::new(&fault.to_string())))?;
    let Wanted { questions, state } = wanted;
    let named: Vec<_> = questions.iter().map(|asked| (asked.key.clone(), asked.method.clone())).collect();
    let (reply, said) = oneshot::channel();
    if named.is_empty() {
        // It only wants to be asked again.
        return Ok(wire::input::resumed(payload, &[], state.as_ref()));
    }
    relay.try_send(Aside::Asks(Question { asked: questions, reply })).map_err(|_| Failure::InputRequired)?;
    let said = tokio::select! {
        biased;
        said = said => said.map_err(|_| Failure::InputRequired)?,
        () = cancel.given_up() => return Err(Failure::Cancelled(Executed::Unknown)),
    };
    let mut answers = Vec::new();
    for ((key, method), said) in named.into_iter().zip(said) {
        match said.as_result(&method) {
            Some(result) => answers.push((key, result)),
            // It may ask again.
            None if said == Said::Nothing => {}
            None => return Err(Failure::InputRequired),
        }
    }
    Ok(wire::input::resumed(payload, &answers, state.as_ref()))
}

async fn lease(
    pool: &Pool,
    route: &Route,
    deadline: Instant,
    cancel: &mut CancelSignal,
) -> Result<Lease, Failure> {
    let key = pool.key(&route.subject, &route.run);
    tokio::select! {
        biased;
        lease = timeout_at(deadline, pool.acquire(&key)) => {
            lease.unwrap_or(Err(Failure::Timeout(Executed::No)))
        }
        () = cancel.given_up() => Err(Failure::Cancelled(Executed::No)),
    }
}
