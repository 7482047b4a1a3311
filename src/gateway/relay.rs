//! A call after its intent: wait until it is durable, forward, conclude, reply.
//!
//! Runs in a task of its own, so that a client that hangs up cannot cut off the outcome. Must never let a
//! byte of the answer leave before the outcome is written (I6), nor before every source that the answer
//! carries is in the provenance of the run, durably (I3, I4).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::mpsc;

use super::Gateway;
use super::port::{CALL_EVENTS_MAX, CallEvent, Ongoing, Reply, Shape};
use super::reply::{self, Output, Told};
use super::session::{InFlight, Wanted};
use crate::audit::{Event, Intent, Pending};
use crate::limit::Admission;
use crate::model::decision::Answer;
use crate::model::facts::CallFacts;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::text::Bounded;
use crate::policy::Permit;
use crate::run::Run;
use crate::telemetry::CallTimes;
use crate::upstream::{self, AnswerKind, Failure, Fleet, Forwarded, Route};
use crate::wire::{Id, Method, Object, Revision, encode, result};

/// Progress notifications of one call that may wait; further ones are dropped, the answer never is.
const PROGRESS_MAX: usize = 32;

/// What the call's own task takes along.
pub(super) struct Leg {
    pub(super) id: Id,
    pub(super) revision: Revision,
    /// The client's own token, put back into each progress notification.
    pub(super) progress_token: Option<Bytes>,
    pub(super) output: Output,
    pub(super) facts: CallFacts,
    pub(super) run: Arc<Run>,
    /// The upstream that it was decided for, with the settings of that moment.
    pub(super) fleet: Fleet,
    /// When the request was taken up, and when it was decided, on the monotonic clock.
    pub(super) arrived: Duration,
    pub(super) decided: Duration,
    /// Holds the id in its session until the end.
    pub(super) in_flight: Option<InFlight>,
}

impl Gateway {
    /// Hands the call to its own task.
    pub(super) fn carry(self: &Arc<Self>, pending: Pending<Admission<Permit>>, leg: Leg) -> Reply {
        let (events, receiver) = mpsc::channel(CALL_EVENTS_MAX);
        let resumable = leg.in_flight.as_ref().map(|in_flight| in_flight.resumable(&leg.run));
        let gateway = Arc::clone(self);
        tokio::spawn(async move {
            let last = gateway.relay(pending, &leg, &events).await;
            // A client that hung up gets no answer; the outcome is written either way.
            let _gone = events.send(last).await;
        });
        Reply::Call(Ongoing { events: receiver, shape: Shape::Single, resumable })
    }

    async fn relay(
        &self,
        pending: Pending<Admission<Permit>>,
        leg: &Leg,
        events: &mpsc::Sender<CallEvent>,
    ) -> CallEvent {
        match pending.durable().await {
            Ok(intent) => {
                let journal = self.clock.monotonic().saturating_sub(leg.decided);
                let forwarded = self.forward(intent, leg, events).await;
                self.conclude(forwarded, leg, journal).await
            }
            // Not durable, so nothing left. What the call added to the run counts all the same.
            Err((_admission, reason)) => {
                let gateway = self.clock.monotonic().saturating_sub(leg.arrived);
                self.metrics.call(Some(Answer::Allow), reason, CallTimes { gateway, upstream: None });
                leg.last(reply::tool_error(&leg.id, &Told::refused(reason, None), leg.output, leg.revision))
            }
        }
    }
}

impl Gateway {
    /// Forwards, relaying progress while it lasts, and cancels when nobody waits any more.
    async fn forward(
        &self,
        intent: Intent<Admission<Permit>>,
        leg: &Leg,
        events: &mpsc::Sender<CallEvent>,
    ) -> Forwarded {
        let (progress, mut reported) = mpsc::channel(PROGRESS_MAX);
        let (canceller, cancel) = upstream::cancel();
        let mut canceller = Some(canceller);
        let route = Route { subject: leg.run.subject().clone(), run: leg.run.id().clone() };
        let mut forwarding = std::pin::pin!(leg.fleet.forward(intent, &route, progress, cancel));
        let mut given_up = std::pin::pin!(leg.given_up(events));
        loop {
            tokio::select! {
                // What was reported came before the answer, and goes out before it.
                biased;
                Some(params) = reported.recv() => leg.report(&params, events),
                forwarded = &mut forwarding => {
                    while let Ok(params) = reported.try_recv() {
                        leg.report(&params, events);
                    }
                    return forwarded;
                }
                () = &mut given_up, if canceller.is_some() => {
                    if let Some(canceller) = canceller.take() {
                        canceller.cancel();
                    }
                }
            }
        }
    }

    /// Writes the outcome, and only then makes the answer.
    async fn conclude(&self, forwarded: Forwarded, leg: &Leg, journal: Duration) -> CallEvent {
        let Forwarded { open, in_flight, outcome, timings } = forwarded;
        // The one place where a call that would have to go on ends.
        let outcome = outcome.and_then(upstream::Answer::complete);
        let decision_id = Some(open.seq().0);
        let late = self.taint_by_what_was_stored_meanwhile(leg).await;
        let facts = self.outcome_facts(&outcome, timings, leg, journal);
        self.measure(&facts, leg);
        let concluded = open.conclude(facts).await;
        drop(in_flight);
        let withheld = late.err().or(concluded.err());
        let told = match (withheld, outcome) {
            (Some(reason), _) => Told::failed(reason, decision_id),
            (None, Ok(answer)) => return leg.last(leg.answer(&answer)),
            // It vanished between the list and the call (CASES F43): as if it had never been there.
            (None, Err(Failure::Vanished)) => {
                let name = leg.facts.named.as_ref().map(Bounded::as_str).unwrap_or_default();
                return leg.last(reply::unknown_tool(&leg.id, name));
            }
            (None, Err(failure)) => Told::failed(failure.reason(), decision_id),
        };
        leg.last(reply::tool_error(&leg.id, &told, leg.output, leg.revision))
    }

    /// What others stored at the upstream while the call was under way may be in its answer too. Its
    /// sources join the run, durably, before a byte of the answer leaves. A run that has ended meanwhile
    /// gets no answer: its client may be in a fresh run already, which would not carry them (I4). Nor does
    /// one that a source has influenced which a person closed meanwhile.
    async fn taint_by_what_was_stored_meanwhile(&self, leg: &Leg) -> Result<(), Reason> {
        let Some(target) = &leg.facts.target else { return Ok(()) };
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
        closed
    }
}

impl Leg {
    /// Resolves when the client cancels the call, or hangs up and can or does not come back.
    async fn given_up(&self, events: &mpsc::Sender<CallEvent>) {
        let Some(in_flight) = &self.in_flight else { return events.closed().await };
        let mut wanted = in_flight.wanted.clone();
        tokio::select! {
            () = events.closed() => {}
            // The sender lives in the session for as long as the id is in flight, which is until we end.
            _ = wanted.wait_for(|wanted| *wanted == Wanted::Cancelled) => {}
        }
    }

    /// Hands a progress notification on, under the client's own token. Progress is a courtesy: where the
    /// client does not keep up it is dropped, so that the answer never waits behind it, and where its text
    /// may not reach the run as it is now, it is dropped too.
    fn report(&self, params: &Bytes, events: &mpsc::Sender<CallEvent>) {
        let Some(token) = &self.progress_token else { return };
        if !self.carries_what_is_told() {
            return;
        }
        let own = Object::of(params).ok().and_then(|params| params.replace("progressToken", token));
        if let Some(own) = own {
            let notification = encode::notification(&Method::Progress, Some(&own));
            let _dropped = events.try_send(CallEvent::Notification(notification));
        }
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

    fn answer(&self, answer: &upstream::Answer) -> Bytes {
        match answer.kind {
            AnswerKind::Result | AnswerKind::InputRequired | AnswerKind::Task => {
                encode::result(&self.id, &result::for_revision(&answer.raw, self.revision))
            }
            AnswerKind::Error => encode::raw_error(&self.id, &answer.raw),
        }
    }

    fn last(&self, body: Bytes) -> CallEvent {
        CallEvent::Final { status: StatusCode::OK, body }
    }
}
