//! The way back: what an upstream asks of the client during a call, and what the client answers.
//!
//! A question may be asked where the run may answer it; its answer is decided again, as a write of the run's
//! text to that upstream, with the provenance of that moment, and so is the call that waits for it (DESIGN
//! §6). Must never let a question or an answer pass without a record, nor wait for ever: nobody who waits
//! for a person holds a permit.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Gateway;
use super::able::class_of;
use super::exchange::{Caller, Exchange};
use super::line::{Line, Seat};
use super::named;
use super::parked::{Back, Owner};
use super::planned::{Said as Meets, Taken};
use super::port::{Accepts, CALL_EVENTS_MAX, Ongoing, Reply, Shape};
use super::refusal::Refusal;
use super::relay::Leg;
use super::session::Answer;
use super::world::World;
use crate::audit::{Event, Seq};
use crate::limit::{Keys, Refused, Who};
use crate::model::budget::{Metered, Spent};
use crate::model::call::{ArgumentFacts, Call, Pin, Stores};
use crate::model::decision::{Decision, PolicyEpoch};
use crate::model::digest::Sha256;
use crate::model::facts::CallFacts;
use crate::model::name::UpstreamName;
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::{Class, Target};
use crate::policy::{Ruling, Standing};
use crate::run::Section;
use crate::upstream::{Question, Said, Share};
use crate::wire::input::{self, Asked, GoesOn};
use crate::wire::{Id, Method, Object, Outcome, Response, encode};

/// Longest wait for a client to answer a question of an upstream.
pub const INPUT_WAIT_MAX: Duration = Duration::from_secs(300);

/// Who answers, and by which configuration they were accepted.
#[derive(Debug, Clone)]
pub(super) struct Speaker {
    pub(super) principal: Arc<Principal>,
    pub(super) under: PolicyEpoch,
}

/// How it goes on with a call that asked something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The upstream has its answers.
    GoesOn,
    /// What was answered may not go there: the upstream is told to stop.
    Refused,
    /// Nobody answered in time.
    Abandoned,
}

/// What was decided, or why not.
type Decided = Result<Passes, Stops>;

/// A question or an answer that may pass.
struct Passes {
    /// What it was decided under.
    provenance: Provenance,
    decision: Decision,
    metered: Metered,
}

/// One that may not.
struct Stops {
    reason: Reason,
    decision: Option<Decision>,
    /// The budget that says so, if one does.
    spent: Option<Spent>,
}

impl From<(Reason, Option<Decision>)> for Stops {
    fn from((reason, decision): (Reason, Option<Decision>)) -> Self {
        Self { reason, decision, spent: None }
    }
}

/// Whether a question counts for budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    /// It is asked for the first time.
    Yes,
    /// It was counted then.
    No,
}

/// What the client said, and who said it.
struct Heard {
    speaker: Speaker,
    said: Vec<Said>,
}

impl Gateway {
    /// Asks the client of `leg` what its upstream asks.
    pub(super) async fn ask(&self, question: Question, leg: &Leg, line: &Line, intent: Seq) -> After {
        let Question { asked, reply } = question;
        let mut said = vec![Said::Declined; asked.len()];
        let mut open = Vec::new();
        for (at, one) in asked.iter().enumerate() {
            if self.may_be_asked(one, leg, intent).await {
                open.push(at);
            }
        }
        let mut questions: Vec<Asked> = open.iter().filter_map(|at| asked.get(*at)).cloned().collect();
        for question in &mut questions {
            question.params = question.params.as_ref().map(|params| leg.task.for_client(params));
        }
        let mut after = After::GoesOn;
        if !questions.is_empty() {
            // Nobody answers in time, or nobody can be asked any more: the call would wait for nothing.
            let heard = timeout(INPUT_WAIT_MAX, self.hear(&questions, leg, line)).await;
            let Ok(Some(Heard { speaker, said: heard })) = heard else { return After::Abandoned };
            for ((at, asked), one) in open.into_iter().zip(&questions).zip(heard) {
                let one = match one {
                    Said::Result(raw) => Said::Result(leg.task.for_server(&raw)),
                    other => other,
                };
                let passes = self.may_answer(asked, &one, &speaker, leg, intent).await;
                if let Some(place) = said.get_mut(at) {
                    *place = if passes { one } else { Said::Declined };
                }
                after = if passes { after } else { After::Refused };
            }
        }
        // The upstream may have gone; then nobody waits for it.
        let _gone = reply.send(said);
        after
    }

    /// A request of 2026-07-28 that goes on with one that waits for input.
    pub(super) async fn go_on(&self, exchange: Exchange, goes_on: GoesOn) -> Result<Reply, Box<Refusal>> {
        let named = named::read(&exchange)?;
        let (run, facts) = self.join_run(&exchange, &named).await?;
        let Caller { principal, under, .. } = exchange.caller.clone();
        let request = input::request_digest(&exchange.request.method, &named.params);
        let owner = Owner { principal: Arc::clone(&principal), run: run.id().clone(), request };
        let GoesOn { state, answers } = goes_on;
        let parked = self.parked.take(&state, &owner);
        let not_parked = || Refusal::error(facts.clone(), Reason::NotParked, exchange.id());
        let parked = parked.ok_or_else(not_parked)?;
        let (events, receiver) = mpsc::channel(CALL_EVENTS_MAX);
        let id = exchange.request.id.clone();
        let seat = Seat { id, progress_token: named.progress_token, in_flight: None, events };
        let back = Back { seat, speaker: Speaker { principal, under }, answers };
        parked.send(back).map_err(|_| not_parked())?;
        Ok(Reply::Call(Ongoing { events: receiver, shape: Shape::Single, resumable: None }))
    }

    /// A response of the client: the answer to what it was asked in its session (CASES F33).
    pub(super) fn take_answer(&self, caller: &Caller, response: Response) -> Result<Reply, Box<Refusal>> {
        let refuse = |reason| Refusal::error(caller.facts(), reason, None);
        let session = self.session_of(caller).map_err(refuse)?;
        let speaker = Speaker { principal: Arc::clone(&caller.principal), under: caller.under };
        let said = match response.outcome {
            Outcome::Result(raw) => Said::Result(raw),
            Outcome::Error(raw) => Said::Error(raw),
        };
        let number = response.id.as_ref().and_then(Id::number);
        let taken = number.is_some_and(|number| session.answered(number, Answer { speaker, said }));
        if taken {
            Ok(Reply::Empty(http::StatusCode::ACCEPTED))
        } else {
            Err(refuse(Reason::ResponseUnexpected))
        }
    }

    /// Asks, in the way of the client's revision. `None` where it cannot be asked, or has gone.
    async fn hear(&self, questions: &[Asked], leg: &Leg, line: &Line) -> Option<Heard> {
        let _turn = line.turn.lock().await;
        if leg.revision.is_modern() {
            self.leave_and_return(questions, leg, line).await
        } else {
            ask_in_session(questions, leg, line).await
        }
    }

    /// 2026-07-28: the request ends with the questions, and another one brings the answers.
    async fn leave_and_return(&self, questions: &[Asked], leg: &Leg, line: &Line) -> Option<Heard> {
        if let Some(heard) = offered(questions, leg) {
            return Some(heard);
        }
        let principal = Arc::clone(&leg.facts.principal);
        let owner = Owner { principal, run: leg.run.id().clone(), request: leg.request? };
        let mut place = self.parked.park(owner).ok()?;
        let required = input::required(questions, &place.state);
        line.leave(|id| encode::result(id, &required)).await.ok()?;
        let Back { seat, speaker, answers } = (&mut place.back).await.ok()?;
        line.sit(seat);
        let answer = |asked: &Asked| {
            let raw = answers.as_ref().and_then(|answers| answers.get(&asked.key));
            raw.map_or(Said::Nothing, Said::Result)
        };
        Some(Heard { speaker, said: questions.iter().map(answer).collect() })
    }

    /// Whether the run may answer `asked` at all, and its client can be asked. Recorded either way.
    pub(super) async fn may_be_asked(&self, asked: &Asked, leg: &Leg, intent: Seq) -> bool {
        let Some((target, facts)) = about(asked, asked.params.as_ref(), leg) else { return false };
        let decided = self.decide_to_ask(target, asked, leg, Counting::Yes);
        self.record_decided(decided, facts, |facts| Event::Suspended { facts, intent }).await
    }

    /// The same of what was asked and recorded before, and is asked again.
    pub(super) fn may_still_be_asked(&self, asked: &Asked, leg: &Leg) -> bool {
        let about = about(asked, asked.params.as_ref(), leg);
        about.is_some_and(|(target, _)| self.decide_to_ask(target, asked, leg, Counting::No).is_ok())
    }

    fn decide_to_ask(&self, target: Target, asked: &Asked, leg: &Leg, counting: Counting) -> Decided {
        let speaker = Speaker { principal: Arc::clone(&leg.facts.principal), under: leg.under };
        // DESIGN §7: an instance that all share asks nobody, whichever era it speaks. What its client cannot be
        // asked is declined: nobody has to know that it may not either.
        let is_mute = leg.share == Share::All
            || !leg.able.can(asked, leg.revision)
            || (!leg.revision.is_modern() && leg.accepts == Accepts::Json);
        self.decide_again(&[target], &speaker, leg, |section| match counting {
            _ if is_mute => Err(Stops::from((Reason::UpstreamRequestRefused, None))),
            Counting::Yes => self.count_question(asked, leg, section),
            Counting::No => Ok(Metered::default()),
        })
    }

    /// Counts what `asked` takes of the agent's model, for the budgets of the call that it is asked in.
    fn count_question(&self, asked: &Asked, leg: &Leg, section: &Section<'_>) -> Result<Metered, Stops> {
        let (Method::SamplingCreateMessage, Some(target)) = (&asked.method, &leg.facts.target) else {
            return Ok(Metered::default());
        };
        let (principal, run) = (&leg.facts.principal, Some(leg.run.id()));
        let keys = Keys { who: Who { principal, run, sources: section.provenance() }, target };
        let counted = self.gate.ask(keys, tokens_of(asked), self.clock.wall());
        counted.map(|charges| Metered { charges, spent: None }).map_err(|Refused { reason, spent }| {
            if let Some(spent) = &spent {
                self.metrics.budget_refusal(spent.budget.as_str(), reason);
            }
            Stops { reason, decision: None, spent }
        })
    }

    /// Whether what the client said may go to the upstream, and the call may go on with it.
    async fn may_answer(
        &self,
        asked: &Asked,
        said: &Said,
        speaker: &Speaker,
        leg: &Leg,
        intent: Seq,
    ) -> bool {
        let raw = match said {
            Said::Result(raw) | Said::Error(raw) => Some(raw),
            Said::Nothing | Said::Declined => None,
        };
        let Some((target, mut facts)) = about(asked, raw, leg) else { return false };
        facts.principal = Arc::clone(&speaker.principal);
        let mut targets = vec![target];
        targets.extend(leg.facts.target.clone());
        let decided = self.decide_again(&targets, speaker, leg, |_| Ok(Metered::default()));
        self.record_decided(decided, facts, |facts| Event::Resumed { facts, intent }).await
    }

    /// Records what was decided: as `passes` says, or as a denial. Whether it passes; what could not be
    /// recorded does not.
    async fn record_decided(
        &self,
        decided: Decided,
        facts: CallFacts,
        passes: impl FnOnce(Box<CallFacts>) -> Event,
    ) -> bool {
        match decided {
            Ok(Passes { provenance, decision, metered }) => {
                let facts = CallFacts { provenance, decision: Some(decision), metered, ..facts };
                self.journal.record(passes(Box::new(facts))).await.is_ok()
            }
            Err(Stops { reason, decision, spent }) => {
                let metered = Metered { charges: Vec::new(), spent };
                let latency = self.latency_until_now(self.clock.monotonic());
                let facts = Box::new(CallFacts { decision, metered, ..facts });
                let _halted = self.journal.record(Event::Denial { facts, reason, latency }).await;
                false
            }
        }
    }

    /// Decides on every target with the provenance of now; what is decided on the first is given. `last` has the
    /// last word where all may pass, and says what that counts.
    fn decide_again(
        &self,
        targets: &[Target],
        speaker: &Speaker,
        leg: &Leg,
        last: impl FnOnce(&Section<'_>) -> Result<Metered, Stops>,
    ) -> Decided {
        let decided = leg.run.section(self.clock.wall(), |section| {
            self.worlds.within(|world| {
                if !world.in_force.entry_points.holds(&speaker.principal, speaker.under) {
                    return Err(Stops::from((Reason::CredentialUnknown, None)));
                }
                let mut decisions = Vec::new();
                for target in targets {
                    let taken = target.tool().map(|_| Taken::of(&leg.facts)).unwrap_or_default();
                    let about = (&leg.values, &taken);
                    decisions.push(decide(world, section, target, &speaker.principal, about)?);
                }
                let decision = decisions.into_iter().next().ok_or((Reason::Fault, None))?;
                let metered = last(section)?;
                Ok(Passes { provenance: section.provenance().clone(), decision, metered })
            })
        });
        decided.unwrap_or_else(|closed| Err(Stops::from((closed, None))))
    }
}

/// How many tokens `asked` asks for at most (`maxTokens`); one that does not say so asks for any number.
fn tokens_of(asked: &Asked) -> u64 {
    let params = asked.params.as_ref().and_then(|params| Object::of(params).ok());
    let raw = params.and_then(|params| params.get("maxTokens"));
    raw.and_then(|raw| std::str::from_utf8(&raw).ok()?.parse().ok()).unwrap_or(u64::MAX)
}

/// What the request brought along, where that answers every question: a server that keeps no state is
/// answered by a request of its own, which names no state either.
fn offered(questions: &[Asked], leg: &Leg) -> Option<Heard> {
    let offered = leg.offered.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let said: Option<Vec<_>> =
        questions.iter().map(|asked| offered.get(&asked.key).map(Said::Result)).collect();
    let speaker = Speaker { principal: Arc::clone(&leg.facts.principal), under: leg.under };
    said.map(|said| Heard { speaker, said })
}

/// The 2025 revisions: a request on the stream of the call, and a response in a POST of its own.
async fn ask_in_session(questions: &[Asked], leg: &Leg, line: &Line) -> Option<Heard> {
    let session = leg.session.as_ref()?;
    let (mut said, mut speaker) = (Vec::new(), None);
    for asked in questions {
        let mut expected = session.expect_answer()?;
        let request = encode::request(expected.number, &asked.method, asked.params.as_deref());
        line.ask(request).await.ok()?;
        let answer = expected.answer().await?;
        said.push(answer.said);
        speaker = Some(answer.speaker);
    }
    Some(Heard { speaker: speaker?, said })
}

/// Decides on `target` alone, which brings nothing; `values` are the arguments, where it is a tool, and `taken` is what
/// was taken for its call.
pub(super) fn decide(
    world: &World,
    section: &Section<'_>,
    target: &Target,
    principal: &Principal,
    (values, taken): (&Bytes, &Taken),
) -> Result<Decision, (Reason, Option<Decision>)> {
    let pin = target.tool().map(|tool| world.catalogue.tool(tool).map(|tool| tool.pin));
    let pin: Option<Pin> = match pin {
        // A tool that is gone is not there to go on with.
        Some(None) => return Err((Reason::NotVisible, None)),
        Some(known) => known,
        None => None,
    };
    let (nothing, closed) = (Provenance::default(), section.closed());
    let said = Meets::of_taken(section, taken);
    let standing = Standing {
        provenance: section.provenance(),
        brings: &nothing,
        closed: &closed,
        planned: said.planned(),
        trigger: section.trigger(principal),
        now: section.now(),
    };
    let call = Call { pin, ..Call::hypothetical(target.clone(), values.clone()) };
    match world.policy.decide(principal, standing, call) {
        // Nothing that waits holds a permit: whatever goes on is decided again.
        Ruling::Permit(permit) => Ok(permit.decision().clone()),
        Ruling::Refuse(_, decision) => Err((decision.reason, Some(decision))),
    }
}

/// What is decided on where `upstream` asks a question of `class`.
pub(super) fn target_of(class: Class, upstream: &UpstreamName) -> Target {
    let upstream = upstream.clone();
    match class {
        Class::Sampling => Target::Sampling(upstream),
        Class::Elicitation => Target::Elicitation(upstream),
        _ => Target::Roots(upstream),
    }
}

/// What is decided on, and what its record says, of a question or an answer that is `raw`.
fn about(asked: &Asked, raw: Option<&Bytes>, leg: &Leg) -> Option<(Target, CallFacts)> {
    let upstream = leg.facts.target.as_ref()?.upstream().clone();
    let target = target_of(class_of(&asked.method)?, &upstream);
    let bytes = raw.map(|raw| raw.as_ref()).unwrap_or_default();
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let facts = CallFacts {
        method: asked.method.code(),
        named: None,
        target: Some(target.clone()),
        definition: None,
        arguments: Some(ArgumentFacts { sha256: Sha256::of(bytes), bytes: length }),
        kept: None,
        adds: Provenance::default(),
        stores: Stores::Nothing,
        metered: Metered::default(),
        ..leg.facts.clone()
    };
    Some((target, facts))
}
