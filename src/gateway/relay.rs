//! A call after its intent: wait until it is durable, forward, conclude, reply.
//!
//! Runs in a task of its own, so that a client that hangs up cannot cut off the outcome. Must never let a
//! byte of the answer leave before the outcome is written (I6), nor before every source that the answer
//! carries is in the provenance of the run, durably (I3, I4).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::StatusCode;
use tokio::sync::mpsc;

use super::Gateway;
use super::able::Able;
use super::call::Then;
use super::line::Line;
use super::mirror::After;
use super::missing::{self, Missing};
use super::port::{Accepts, CallEvent};
use super::reply::{AnswerForm, Told};
use super::session::{Session, Wants};
use super::task::TaskSide;
use super::traced::{End, Ended};
use super::world::route;
use crate::audit::{Event, GrantChange, Intent, Pending, ResultFacts};
use crate::limit::Admission;
use crate::model::decision::{Answer, PolicyEpoch};
use crate::model::digest::Sha256;
use crate::model::facts::CallFacts;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::text::Bounded;
use crate::plan::{Ended as StepEnded, Use};
use crate::policy::Permit;
use crate::run::Run;
use crate::spool::Body;
use crate::telemetry::CallTimes;
use crate::upstream::{
    self, AnswerKind, Aside, Asker, Canceller, Failure, Fleet, Forwarded, QUESTIONS_MAX, Share,
};
use crate::wire::method::Mark;
use crate::wire::{Id, LogLevel, Method, Object, Revision, code, encode, result};

/// What an upstream says and asks in one call that may wait; further ones are dropped, the answer never is.
const ASIDES_MAX: usize = 32;

/// What the call's own task takes along.
pub(super) struct Leg {
    /// The configuration that accepted the credential.
    pub(super) under: PolicyEpoch,
    pub(super) accepts: Accepts,
    /// What the client can be asked.
    pub(super) able: Able,
    /// The arguments, where a condition may look at them when it is decided again.
    pub(super) values: Bytes,
    /// Who shares the upstream's instance: one that is everybody's may ask nothing.
    pub(super) share: Share,
    /// What it can be asked by this call's upstream, as that is told.
    pub(super) capabilities: Option<Arc<str>>,
    /// The largest answer that budgets let it have, in bytes.
    pub(super) result_max: Option<u64>,
    /// Of the method and the parameters, in 2026-07-28: what a request is known by that goes on with it.
    pub(super) request: Option<Sha256>,
    /// Answers that the request brought along (2026-07-28), until something is asked.
    pub(super) offered: Mutex<Option<Object>>,
    pub(super) session: Option<Arc<Session>>,
    pub(super) revision: Revision,
    pub(super) method: &'static str,
    /// The use of a step of a plan that was taken for it, until it is concluded.
    pub(super) used: Mutex<Option<Use>>,
    /// Whether the answer carries words of the tool server.
    pub(super) taints: Mark,
    /// What it has to do with tasks.
    pub(super) task: TaskSide,
    /// What is told where it turns out not to exist.
    pub(super) missing: Missing,
    /// Which log messages the client wants.
    pub(super) level: Wants,
    pub(super) form: AnswerForm,
    pub(super) facts: CallFacts,
    pub(super) run: Arc<Run>,
    /// The upstream that it was decided for, with the settings of that moment.
    pub(super) fleet: Fleet,
    /// When the request was taken up, and when it was decided, on the monotonic clock.
    pub(super) arrived: Duration,
    pub(super) decided: Duration,
}

/// What is measured on the way of a forwarded call.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// How long its intent took to be durable.
    journal: Duration,
    /// When its upstream had answered, or it was given up, on the monotonic clock.
    answered: Duration,
}

impl Gateway {
    /// Hands the call to its own task.
    pub(super) fn carry(
        self: &Arc<Self>,
        pending: Pending<Admission<Permit>>,
        leg: Leg,
        line: Line,
        then: Option<Then>,
    ) {
        let gateway = Arc::clone(self);
        tokio::spawn(async move {
            let last = gateway.relay(pending, &leg, &line, then).await;
            line.finish(last).await;
        });
    }

    async fn relay(
        &self,
        pending: Pending<Admission<Permit>>,
        leg: &Leg,
        line: &Line,
        then: Option<Then>,
    ) -> CallEvent {
        match pending.durable().await {
            Ok(intent) => {
                let journal = self.clock.monotonic().saturating_sub(leg.decided);
                let forwarded = self.forward(intent, leg, line).await;
                let times = Times { journal, answered: self.clock.monotonic() };
                self.conclude(forwarded, leg, line, times, then).await
            }
            // Not durable, so nothing left. What the call added to the run counts all the same.
            Err((_admission, reason)) => {
                let latency = self.latency_until_now(leg.arrived);
                let (facts, arrived, end) = (&leg.facts, leg.arrived, End::refused(reason));
                self.tell_trace(&Ended { facts, seq: None, arrived, latency, end });
                let gateway = latency.total;
                self.metrics.call(Some(Answer::Allow), reason, CallTimes { gateway, upstream: None });
                last(leg.form.answer(&line.id(), &Told::refused(reason, None), leg.revision).into())
            }
        }
    }
}

impl Gateway {
    /// Forwards, relaying what is said and asked while it lasts, and cancels when nobody waits any more.
    async fn forward(&self, intent: Intent<Admission<Permit>>, leg: &Leg, line: &Line) -> Forwarded {
        let (asides, mut heard) = mpsc::channel(ASIDES_MAX);
        let (canceller, cancel) = upstream::cancel();
        let mut canceller = Some(canceller);
        let (level, takes) = (leg.level.level(), leg.task.takes(leg.revision));
        let asker = Asker { level, capabilities: leg.capabilities.clone(), takes };
        let (seq, route) = (intent.seq(), route(&leg.run, asker));
        let mut forwarding = std::pin::pin!(leg.fleet.forward(intent, &route, asides, cancel));
        let mut given_up = std::pin::pin!(line.given_up());
        let (mut asking, mut after) = (FuturesUnordered::new(), After::GoesOn);
        let mut forwarded = loop {
            tokio::select! {
                // What was said came before the answer, and goes out before it.
                biased;
                Some(aside) = heard.recv() => match aside {
                    Aside::Asks(question) if asking.len() < QUESTIONS_MAX => {
                        asking.push(self.ask(question, leg, line, seq));
                    }
                    // Whoever drops a question declines it.
                    Aside::Asks(_) => {}
                    other => leg.report(&other, line),
                },
                forwarded = &mut forwarding => {
                    while let Ok(aside) = heard.try_recv() {
                        leg.report(&aside, line);
                    }
                    break forwarded;
                }
                Some(how) = asking.next() => if how != After::GoesOn {
                    after = how;
                    give_up(&mut canceller);
                },
                () = &mut given_up, if canceller.is_some() => give_up(&mut canceller),
            }
        };
        if after == After::Abandoned
            && matches!(forwarded.outcome, Err(Failure::Cancelled(_) | Failure::InputRequired))
        {
            forwarded.outcome = Err(Failure::Abandoned);
        }
        forwarded
    }

    /// Writes the outcome, and only then makes the answer.
    async fn conclude(
        &self,
        forwarded: Forwarded,
        leg: &Leg,
        line: &Line,
        times: Times,
        then: Option<Then>,
    ) -> CallEvent {
        let Forwarded { open, in_flight, outcome, timings, watch, hold } = forwarded;
        let outcome = self.sift_questions(outcome, leg, open.seq()).await;
        let decision_id = Some(open.seq().0);
        let late = self.taint_by_what_was_stored_meanwhile(leg).await;
        let (outcome, result) = measured(outcome, leg.result_max).await;
        let stepped = self.conclude_step(&outcome, leg).await;
        let facts = self.outcome_facts(&outcome, result, timings, leg, times.journal);
        self.measure(&facts, leg);
        let (mut end, latency) = (End::of(&facts), facts.latency);
        let concluded = open.conclude(facts).await;
        drop(in_flight);
        let withheld = late.err().or(stepped.err()).or(concluded.err());
        if let Some(reason) = withheld {
            end = End::refused(reason);
        }
        end.forwarded = Some((leg.decided, times.answered));
        let (facts, arrived) = (&leg.facts, leg.arrived);
        self.tell_trace(&Ended { facts, seq: decision_id, arrived, latency, end });
        let told = match (withheld, outcome) {
            (Some(reason), _) => Told::failed(reason, decision_id),
            (None, Ok(answer)) => {
                if let Some(then) = then {
                    then(watch, leg);
                }
                match self.settle_task(answer, hold, leg) {
                    Ok(answer) => return leg.answer(&line.id(), &answer),
                    Err(reason) => Told::failed(reason, decision_id),
                }
            }
            // It vanished between the list and the call (CASES F43): as if it had never been there.
            (None, Err(Failure::Vanished)) => {
                return last(leg.missing.answer(&line.id(), leg.revision).into());
            }
            (None, Err(failure)) => Told::failed(failure.reason(), decision_id),
        };
        last(leg.form.answer(&line.id(), &told, leg.revision).into())
    }

    /// What the answer brings to the grant whose step the call used, on the record before the answer leaves.
    async fn conclude_step(
        &self,
        outcome: &Result<upstream::Answer, Failure>,
        leg: &Leg,
    ) -> Result<(), Reason> {
        let mine = || leg.used.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (used, result) = match (outcome, &leg.task) {
            // Its step is done with the task, not before.
            (Ok(answer), TaskSide::Makes(_)) if answer.kind == AnswerKind::Task => return Ok(()),
            (Ok(answer), TaskSide::Of(task)) => match task.concludes(answer, leg) {
                Some((used, result)) => (Some(used), result),
                None => return Ok(()),
            },
            (Ok(answer), _) if answer.kind == AnswerKind::Result => {
                (mine(), Bytes::copy_from_slice(whole(answer)))
            }
            // It stays used and is not done.
            (Ok(_) | Err(_), _) => return Ok(()),
        };
        let Some(used) = used else { return Ok(()) };
        let (plan, ended) = (used.plan(), StepEnded::Answered(&result));
        // What its answer holds keeps no run alive.
        let no_use = leg.run.started();
        let concluded = leg.run.section(no_use, |section| section.conclude_step(used, ended))?;
        let Some(concluded) = concluded else { return Ok(()) };
        let change = GrantChange::Done(concluded);
        let event = Event::Grant { run: leg.run.id().clone(), plan, change };
        self.journal.record(event).await.map(|_seq| ())
    }

    /// What others stored at the upstream while the call was under way may be in its answer too. Its
    /// sources join the run, durably, before a byte of the answer leaves. A run that has ended meanwhile
    /// gets no answer: its client may be in a fresh run already, which would not carry them (I4). Nor does
    /// one that a source has influenced which a person closed meanwhile.
    async fn taint_by_what_was_stored_meanwhile(&self, leg: &Leg) -> Result<(), Reason> {
        let Some(target) = leg.facts.target.as_ref().filter(|_| leg.taints == Mark::Carries) else {
            return Ok(());
        };
        let (adds, closed) = leg.run.section(self.clock.wall(), |section| {
            let stored = section.brings(target.upstream(), &Provenance::default());
            let adds = section.taint(&stored);
            (adds, if section.is_closed() { Err(Reason::SourceClosed) } else { Ok(()) })
        })?;
        if adds.is_empty() {
            return closed;
        }
        self.announce_taint(&leg.run);
        let cause = Bounded::new(&format!("stored at {}", target.upstream()));
        let event = Event::Taint { run: leg.run.id().clone(), adds, entries: Vec::new(), cause };
        self.journal.record(event).await?;
        self.let_questions_of(&leg.run).await;
        closed
    }
}

impl Leg {
    /// Hands on what the upstream said meanwhile. It is a courtesy: where the client does not keep up it is
    /// dropped, so that the answer never waits behind it, and where its text may not reach the run as it is
    /// now, it is dropped too.
    fn report(&self, aside: &Aside, line: &Line) {
        let notification = match aside {
            Aside::Paused => {
                // Only 2025-11-25 lets a server close the stream of a call that goes on.
                if self.revision == Revision::V2025_11_25 {
                    line.pause();
                }
                None
            }
            Aside::Progress(params) => line.progress(&self.task.for_client(params)),
            Aside::Log(params) => self.log(&self.task.for_client(params)),
            // Only 2025-11-25 has it.
            Aside::ElicitationComplete(params) => (self.revision == Revision::V2025_11_25)
                .then(|| encode::notification(&Method::ElicitationComplete, Some(params))),
            Aside::Asks(_) => None,
        };
        if let Some(notification) = notification.filter(|_| self.carries_what_is_told()) {
            line.tell(notification);
        }
    }

    /// A log message, if it is one that the client wants.
    fn log(&self, params: &Bytes) -> Option<Bytes> {
        let level = Object::of(params).ok()?.text("level")?.ok();
        let level = level.and_then(|level| LogLevel::parse(&level));
        self.level.has(level).then(|| encode::notification(&Method::LoggingMessage, Some(params)))
    }

    /// Whether text of the tool server may reach the run at this moment: it is open, no source of it is
    /// closed, and it has every source of the text. Those are what the intent of this call made durable;
    /// what others stored there since joins the run with the answer (I3, I4).
    fn carries_what_is_told(&self) -> bool {
        let Some(target) = &self.facts.target else { return false };
        // What a tool server says keeps no run alive: only what its agent does is use of it.
        let no_use = self.run.started();
        let carries = self.run.section(no_use, |section| {
            let mut durable = self.facts.provenance.clone();
            durable.join(&self.facts.adds);
            let told = section.brings(target.upstream(), &Provenance::default());
            !section.is_closed() && told.missing_from(&durable).is_empty()
        });
        carries.unwrap_or(false)
    }

    fn answer(&self, id: &Id, answer: &upstream::Answer) -> CallEvent {
        match answer.kind {
            AnswerKind::Result | AnswerKind::InputRequired | AnswerKind::Task => {
                let result = result::for_revision(&answer.raw, self.method, self.revision);
                last(Body::whole(encode::result(id, &result), &answer.rest))
            }
            // In the words that are used for what is hidden (I5).
            AnswerKind::Error if missing::says_not_found(self.method, &answer.raw) => {
                last(self.missing.answer(id, self.revision).into())
            }
            AnswerKind::Error => {
                let body = encode::raw_error(id, &answer.raw);
                // 2026-07-28, basic, "Error Codes": a missing capability is a 400.
                let lacks = result::error_code(&answer.raw) == Some(code::MISSING_CLIENT_CAPABILITY);
                let is_refused = lacks && self.revision.is_modern();
                let status = if is_refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
                CallEvent::Final { status, body: body.into() }
            }
        }
    }
}

/// The raw result, where nothing of it lies on disk. Of a longer one nothing is selected.
fn whole(answer: &upstream::Answer) -> &[u8] {
    let is_error = || result::inspect(&answer.raw).map_or(true, |result| result.is_error);
    match answer.rest.is_nothing() {
        true => &answer.raw,
        false if is_error() => b"{\"isError\":true}",
        false => b"{}",
    }
}

/// The answer with its digest and size; one that can no longer be read is none, and one that is larger than budgets
/// let it be is withheld.
async fn measured(
    outcome: Result<upstream::Answer, Failure>,
    bytes_max: Option<u64>,
) -> (Result<upstream::Answer, Failure>, Option<ResultFacts>) {
    let Ok(answer) = &outcome else { return (outcome, None) };
    let facts = if answer.rest.is_nothing() {
        let bytes = u64::try_from(answer.raw.len()).unwrap_or(u64::MAX);
        ResultFacts { sha256: Sha256::of(&answer.raw), bytes }
    } else {
        match Body::whole(answer.raw.clone(), &answer.rest).digest().await {
            Ok((sha256, bytes)) => ResultFacts { sha256, bytes },
            Err(error) => return (Err(Failure::Unkept(upstream::Detail::of_error(&error))), None),
        }
    };
    let is_too_large = bytes_max.is_some_and(|max| facts.bytes > max);
    (if is_too_large { Err(Failure::TooLarge) } else { outcome }, Some(facts))
}

fn give_up(canceller: &mut Option<Canceller>) {
    if let Some(canceller) = canceller.take() {
        canceller.cancel();
    }
}

fn last(body: Body) -> CallEvent {
    CallEvent::Final { status: StatusCode::OK, body }
}
