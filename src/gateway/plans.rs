//! A plan that a run submits: read, fitted to what its credential may see, reviewed, recorded, granted.
//!
//! Must never let a grant count before it is durable, nor let two plans of one run spend the same count of a request
//! shape: they are reviewed one after the other. Must never wait for a reviewer outside while it holds anything. No word of the plan takes part in the review beside what it does; the
//! review is [`crate::plan::review()`], which is pure.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::Gateway;
use super::consulting::Consulted;
use super::exchange::{Caller, Exchange};
use super::named::Named;
use super::own;
use super::port::Reply;
use super::refusal::Refusal;
use super::reply;
use super::traced::{End, Ended};
use super::world::{World, plan_tool};
use crate::audit::{Claim, Consultation, Event, PlanFacts, PlanResult, StepFacts};
use crate::model::decision::Answer;
use crate::model::digest::Sha256;
use crate::model::facts::CallFacts;
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::Target;
use crate::plan::{
    self, Brief, Circumstances, Fitted, Heard, Opinion, People, Plan, Problem, Remaining, Review, Terms,
    Told, Tool, review_among,
};
use crate::policy::{Ceiling, Offered};
use crate::run::{Run, Section};
use crate::telemetry::CallTimes;

/// What came of a plan, inside the critical section of its run.
struct Reviewed {
    facts: CallFacts,
    result: PlanResult,
    steps: Vec<Told>,
    problems: Vec<Problem>,
    /// Whether what a reviewer outside said counts.
    consultation: Consultation,
}

/// What whoever submitted a plan is told.
#[derive(Serialize)]
struct Answered<'a> {
    #[serde(flatten)]
    told: &'a reply::Told,
    /// The digest of the plan.
    plan: Sha256,
    /// Until when what is granted counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "<[Told]>::is_empty")]
    steps: &'a [Told],
    #[serde(skip_serializing_if = "<[Problem]>::is_empty")]
    problems: &'a [Problem],
}

/// What is left of the plans of a run.
#[derive(Serialize)]
struct Status {
    plans: Vec<Left>,
}

/// What is left of one.
#[derive(Serialize)]
struct Left {
    plan: Sha256,
    until: Timestamp,
    /// `in_force`, `expired`, `suspended` where labels, flows or shapes changed since: submit it again; or `lapsed`, of
    /// a yes to like calls, where the run, the configuration or the definition is another since.
    state: &'static str,
    steps: Vec<Remaining>,
}

impl Gateway {
    /// One plan.
    pub(super) async fn submit_plan(
        &self,
        exchange: &Exchange,
        named: &Named,
        run: &Arc<Run>,
        facts: CallFacts,
    ) -> Result<Reply, Box<Refusal>> {
        let raw = named.params.get("arguments").unwrap_or_default();
        // What is read of it rests on nothing else, and may take a moment.
        let plan = Plan::read(&raw);
        // Nobody waits for the reviewer: what it says counts only if the plan is still the same thing afterwards.
        let consulted = self.consult(exchange, run, plan.as_ref().ok()).await;
        let _turn = run.turn_to_plan().await;
        let reviewed = run.section(self.clock.wall(), |section| {
            self.worlds.within(|world| {
                Reviewing { world, exchange, run }.review(section, plan, consulted.as_ref(), facts.clone())
            })
        });
        let refuse = |facts, reason| Refusal::error(facts, reason, exchange.id());
        let reviewed = reviewed.map_err(|closed| refuse(facts.clone(), closed))?;
        let Reviewed { facts, result, steps, problems, consultation } = reviewed?;
        if !facts.adds.is_empty() {
            self.announce_taint(run);
        }
        let granted = result.grant().cloned();
        let reason = result.reason();
        let latency = self.latency_until_now(exchange.caller.arrived);
        let (sha256, bytes) = (Sha256::of(&raw), u64::try_from(raw.len()).unwrap_or(u64::MAX));
        let consulted = consulted.map(|consulted| consulted.facts(consultation));
        let plan = Box::new(PlanFacts { sha256, bytes, result, consulted });
        let event = Event::Plan { facts: Box::new(facts.clone()), plan, latency };
        let seq = self.journal.record(event).await.map_err(|halted| refuse(facts.clone(), halted))?;
        let until = granted.as_ref().map(|grant| grant.terms().until);
        if let Some(grant) = granted {
            let number = grant.terms().number;
            run.section(self.clock.wall(), |section| section.grant(grant))
                .map_err(|closed| refuse(facts.clone(), closed))?;
            self.tell_of_steps(run, number);
        }
        let seq = Some(seq.0);
        let (verdict, end, told) = match until {
            Some(_) => (Answer::Allow, End::answered(), reply::Told::allowed(seq)),
            None => (Answer::Deny, End::refused(reason), reply::Told::refused(reason, seq)),
        };
        self.metrics.call(Some(verdict), reason, CallTimes { gateway: latency.total, upstream: None });
        let arrived = exchange.caller.arrived;
        self.tell_trace(&Ended { facts: &facts, seq, arrived, latency, end });
        let answered = Answered { told: &told, plan: sha256, until, steps: &steps, problems: &problems };
        let error = until.is_none().then_some(&told);
        Ok(own::answer(exchange, &sentence(reason, &steps), &answered, error))
    }

    /// What is left of the plans of the run.
    pub(super) async fn plan_status(
        &self,
        exchange: &Exchange,
        run: &Arc<Run>,
        mut facts: CallFacts,
    ) -> Result<Reply, Box<Refusal>> {
        let refuse = |facts: &CallFacts, reason| Refusal::error(facts.clone(), reason, exchange.id());
        let now = self.clock.wall();
        let status = run.section(now, |section| {
            self.worlds.within(|world| {
                facts.provenance = section.provenance().clone();
                world.hold_grants(section);
                let left = section.grants().iter().map(|grant| Left {
                    plan: grant.plan().digest(),
                    until: grant.terms().until,
                    state: match (grant.is_in_force(now), section.counts(grant)) {
                        (false, _) => "expired",
                        _ if world.has_lapsed(grant, section) => "lapsed",
                        (true, false) => "suspended",
                        (true, true) => "in_force",
                    },
                    steps: grant.remaining().collect(),
                });
                Status { plans: left.collect() }
            })
        });
        let status = status.map_err(|closed| refuse(&facts, closed))?;
        let latency = self.latency_until_now(exchange.caller.arrived);
        let shown = u64::try_from(status.plans.len()).unwrap_or(u64::MAX);
        let event = Event::List { facts: Box::new(facts.clone()), shown, latency };
        let seq = self.journal.record(event).await.map_err(|reason| refuse(&facts, reason))?;
        let (seq, arrived, end) = (Some(seq.0), exchange.caller.arrived, End::answered());
        self.tell_trace(&Ended { facts: &facts, seq, arrived, latency, end });
        let sentence = match status.plans.is_empty() {
            true => "No plan was granted in this run yet.",
            false => "What is left of the plans of this run:",
        };
        Ok(own::answer(exchange, sentence, &status, None))
    }
}

/// One sentence on what came of a plan.
fn sentence(reason: Reason, steps: &[Told]) -> String {
    let count = |verdict: &str| steps.iter().filter(|step| step.verdict == verdict).count();
    match reason {
        Reason::Allowed => format!(
            "Granted: {} of {} steps. Need a person: {}. Refused: {}.",
            count("granted"),
            steps.len(),
            count("person"),
            count("refused"),
        ),
        other => other.sentence().to_owned(),
    }
}

/// What a plan is reviewed in.
pub(super) struct Reviewing<'a> {
    pub(super) world: &'a World,
    pub(super) exchange: &'a Exchange,
    pub(super) run: &'a Run,
}

impl Reviewing<'_> {
    fn review(
        &self,
        section: &mut Section<'_>,
        plan: Result<Plan, Vec<Problem>>,
        consulted: Option<&Consulted>,
        mut facts: CallFacts,
    ) -> Result<Reviewed, Box<Refusal>> {
        let principal = &self.exchange.caller.principal;
        let refuse = |facts: &CallFacts, reason| Refusal::error(facts.clone(), reason, self.exchange.id());
        if !self.world.in_force.entry_points.holds(principal, self.exchange.caller.under) {
            return Err(refuse(&facts, Reason::CredentialUnknown));
        }
        facts.adds = section.taint_by_label(&principal.sources);
        facts.provenance = section.provenance().clone();
        if section.is_closed() {
            return Err(refuse(&facts, Reason::SourceClosed));
        }
        let section = &*section;
        let number = section.next_grant().ok_or_else(|| refuse(&facts, Reason::PlansFull))?;
        let fitted = match plan.and_then(|plan| self.fit(section, plan)) {
            Ok(fitted) => fitted,
            Err(problems) => {
                let (result, steps) = (PlanResult::Invalid(problems.len()), Vec::new());
                return Ok(Reviewed { facts, result, steps, problems, consultation: Consultation::Outdated });
            }
        };
        let judging = Judging { reviewing: self, section, provenance: &facts.provenance };
        let (reviewed, consultation) = judging.heeding(fitted, consulted);
        let recorded = recorded(&reviewed);
        let steps = reviewed.steps().iter().map(plan::Reviewed::told).collect();
        let terms = Terms {
            run: self.run.id().clone(),
            number,
            until: section
                .now()
                .saturating_add(self.world.in_force.plans.grant_lasts)
                .unwrap_or(Timestamp::MAX),
            basis: self.world.basis_of(reviewed.plan()),
            like: None,
        };
        let result = match reviewed.grant(terms) {
            Some(grant) => PlanResult::Granted(recorded, Box::new(grant)),
            None => PlanResult::Refused(recorded),
        };
        Ok(Reviewed { facts, result, steps, problems: Vec::new(), consultation })
    }

    /// What a reviewer outside is asked of the plan as it stands, if there is anything to ask. Changes nothing.
    pub(super) fn brief(&self, section: &Section<'_>, plan: Plan) -> Option<Brief> {
        let Caller { principal, under, .. } = &self.exchange.caller;
        let is_heard = self.world.in_force.entry_points.holds(principal, *under) && !section.is_closed();
        // What will be refused as a whole nobody has to look at.
        section.next_grant().filter(|_| is_heard)?;
        let mut provenance = section.provenance().clone();
        provenance.join(&principal.sources);
        let fitted = self.fit(section, plan).ok()?;
        let judging = Judging { reviewing: self, section, provenance: &provenance };
        judging.brief(&judging.judge(fitted, None))
    }

    fn fit(&self, section: &Section<'_>, plan: Plan) -> Result<Fitted, Vec<Problem>> {
        let principal = &self.exchange.caller.principal;
        plan.fit(|name| self.tool(section, principal, name), section.trigger(principal))
    }

    /// The tool that the wire calls `name`, where the caller may know of it (I5).
    fn tool(&self, section: &Section<'_>, principal: &Principal, name: &str) -> Option<Tool> {
        let tool = self.world.catalogue.find(name)?;
        let target = Target::Tool(tool.id.clone());
        self.world
            .policy
            .shows(principal, &target, section.now())
            .then(|| Tool { returns: section.brings(&tool.id.upstream, &tool.returns), ..plan_tool(tool) })
    }
}

/// A plan that is judged in the critical section of its run, under `provenance`.
struct Judging<'a> {
    reviewing: &'a Reviewing<'a>,
    section: &'a Section<'a>,
    provenance: &'a Provenance,
}

impl Judging<'_> {
    /// The review of a plan, with what a reviewer outside said of exactly this, where one is to be asked.
    fn heeding(&self, fitted: Fitted, consulted: Option<&Consulted>) -> (Review, Consultation) {
        let in_force = &self.reviewing.world.in_force;
        let alone = self.judge(fitted.clone(), None);
        let asked = in_force.plans.outside.as_ref().zip(self.brief(&alone));
        let Some((outside, brief)) = asked else { return (alone, Consultation::Outdated) };
        let heard = consulted.filter(|consulted| consulted.is_of(in_force.epoch, &brief));
        let opinion = heard.map_or(&Opinion::Silent, |consulted| &consulted.opinion);
        let consultation = match heard.map(|heard| &heard.opinion) {
            Some(Opinion::Said(_)) => Consultation::Said,
            Some(Opinion::Silent) => Consultation::Silent,
            None => Consultation::Outdated,
        };
        (self.judge(fitted, Some(Heard { opinion, place: &outside.place })), consultation)
    }

    fn brief(&self, review: &Review) -> Option<Brief> {
        let Reviewing { world, exchange, .. } = self.reviewing;
        let outside = world.in_force.plans.outside.as_ref()?;
        let goal = self.section.trigger(&exchange.caller.principal).goal.as_ref();
        review.brief(goal, &outside.known_domains)
    }

    fn judge(&self, fitted: Fitted, outside: Option<Heard<'_>>) -> Review {
        let Self { reviewing: Reviewing { world, exchange, .. }, section, provenance } = self;
        let principal = &exchange.caller.principal;
        let (trigger, closed) = (section.trigger(principal), section.closed());
        let offered = |id: &_| {
            let tool = world.catalogue.tool(id)?;
            let returns = section.brings(&id.upstream, &tool.returns);
            Some(Offered { pin: tool.pin, returns })
        };
        let (policy, now) = (&world.policy, section.now());
        let ceiling = Ceiling { policy, principal, closed: &closed, offered: &offered, now };
        let subject = [principal.subject.as_str().to_owned()];
        let rules = &world.in_force.plans;
        let under = Circumstances {
            provenance,
            trigger,
            goal: trigger.goal.as_ref(),
            subject: &subject,
            flows: &rules.flows,
            history: section.history(),
            shapes: &rules.shapes,
            grants: section.grants(),
            outside,
            people: People::Reachable,
            now,
        };
        review_among(fitted, under, &ceiling, (&world.in_force.approvers, &principal.subject))
    }
}

/// What the review said of each step, for the record.
fn recorded(review: &Review) -> Vec<StepFacts> {
    let tools = review.plan().steps().iter().map(|step| Claim::new(step.tool()));
    let each = |(reviewed, tool): (&plan::Reviewed, Claim)| StepFacts {
        id: reviewed.step.clone(),
        tool,
        verdict: reviewed.verdict.clone(),
        calls: reviewed.uses,
    };
    review.steps().iter().zip(tools).map(each).collect()
}
