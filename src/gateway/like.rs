//! A person's yes to several calls: the one that waits, and a bounded number like it (DESIGN §4.2).
//!
//! It becomes a grant with a mark, made of the question and recorded with the answer. Must never be said to a question
//! that nobody can look at, nor reach further than the run, the tool and the limits that the person named.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::Gateway;
use super::administration::unavailable;
use super::approvals::about;
use super::asking::told_problems;
use super::quorum::people;
use super::world::{World, plan_tool};
use crate::approval::{Question, StoredCall};
use crate::console::{AdministrationError, Like, LikeGranted};
use crate::model::approval::{ApprovalChange, QuestionId, Standing, Word};
use crate::model::person::Person;
use crate::model::target::Target;
use crate::model::trigger::Trigger;
use crate::plan::{Attempt, Grant, LIKE_CALLS_MAX, LIKE_LASTS_MAX, LikeTo, Plan, Terms, Under};
use crate::run::{Run, Section};
use crate::wire::preset;

impl Gateway {
    /// A yes of `by` to the question `id` and to calls like it.
    pub(super) async fn answer_like(
        &self,
        by: &Person,
        id: &str,
        like: Like,
    ) -> Result<LikeGranted, AdministrationError> {
        let impossible = |why: String| AdministrationError::Impossible(why);
        let missing = || AdministrationError::Missing("no question about a call has this id".to_owned());
        let id = QuestionId::parse(id).filter(|id| self.questions.get(id).is_some()).ok_or_else(missing)?;
        let _answering = self.waiters.turn_to_answer().await;
        let (question, change) = self.weigh_call(by, &id, Word::Approve)?;
        if change == ApprovalChange::Agreed || !question.agreed.is_empty() {
            let target = Target::Tool(question.asked.exact.tool.clone());
            let needed = people(self.needed(about(&question.asked, &target)).people);
            return Err(impossible(format!("{needed} have to say yes, each to the one call")));
        }
        let runs = self.runs.open().await;
        let run = runs.iter().find(|run| *run.id() == question.asked.exact.run).ok_or_else(missing)?;
        // Its number is the next one of the run until it is there.
        let _turn = run.turn_to_plan().await;
        let (until, trigger) = (until(&like, self.clock.wall())?, trigger(run));
        let granting = Granting { run, question: &question, like: &like, until, trigger };
        let grant = run
            .section(run.started(), |section| self.worlds.within(|world| granting.grant(world, section)))
            .map_err(unavailable)??;
        let granted = granting.told(&grant);
        self.take_word(by, &question, (change, Word::Approve), Some(Box::new(grant.clone()))).await?;
        self.cover(&grant, run);
        run.section(run.started(), |section| section.grant(grant)).map_err(unavailable)?;
        self.waiters.look();
        Ok(granted)
    }

    /// Lets those calls go on that wait and that `grant` is for.
    fn cover(&self, grant: &Grant, run: &Arc<Run>) {
        let (now, trigger) = (self.clock.wall(), trigger(run));
        let of_run = self.questions.all().into_iter().filter(|it| it.asked.exact.run == *run.id());
        for question in of_run.filter(|it| it.standing == Standing::Waiting) {
            let exact = &question.asked.exact;
            let Some(call) = &question.call else { continue };
            let arguments = self.worlds.within(|world| arguments(world, call));
            let under =
                Under { definition: exact.definition, config: exact.config, provenance: &exact.provenance };
            let attempt = Attempt::read(run.id(), &exact.tool, &arguments, &trigger, now);
            if attempt.is_some_and(|attempt| grant.find(&attempt.under(under)).is_some()) {
                self.questions.cover(&question.asked.id);
            }
        }
    }
}

/// Until when a yes said `now` counts.
fn until(like: &Like, now: Timestamp) -> Result<Timestamp, AdministrationError> {
    let lasts = i64::try_from(like.for_s).map_or(SignedDuration::MAX, SignedDuration::from_secs);
    let refuse = |why| Err(AdministrationError::Impossible(why));
    if !(2..=LIKE_CALLS_MAX).contains(&like.calls) {
        return refuse(format!("a yes to like calls is for 2 to {LIKE_CALLS_MAX} of them"));
    }
    if lasts.is_zero() || lasts > LIKE_LASTS_MAX {
        return refuse(format!("a yes to like calls counts for up to {LIKE_LASTS_MAX:#}"));
    }
    Ok(now.saturating_add(lasts).unwrap_or(now))
}

/// The arguments of `call` as they are forwarded.
fn arguments(world: &World, call: &StoredCall) -> Bytes {
    let written = call.params.get("arguments").unwrap_or_default();
    let settled =
        world.catalogue.find(&call.name).and_then(|tool| preset::fill(&written, &tool.presets).ok());
    settled.unwrap_or(written)
}

fn trigger(run: &Run) -> Trigger {
    run.trigger().map(|trigger| (*trigger).clone()).unwrap_or_default()
}

/// What a grant is made of.
struct Granting<'a> {
    run: &'a Arc<Run>,
    question: &'a Question,
    like: &'a Like,
    until: Timestamp,
    /// Looked at before the critical section: that holds the run.
    trigger: Trigger,
}

impl Granting<'_> {
    fn grant(&self, world: &World, section: &Section<'_>) -> Result<Grant, AdministrationError> {
        let stale = |what: &str| AdministrationError::Stale(format!("{what} since the question was asked"));
        let exact = &self.question.asked.exact;
        let Some(call) = &self.question.call else { return Err(stale("the gateway started anew")) };
        let tool = world.catalogue.find(&call.name).filter(|tool| tool.id == exact.tool);
        let tool = tool.ok_or_else(|| stale("the tool is gone"))?;
        if exact.config != world.in_force.config {
            return Err(stale("the configuration has changed"));
        }
        if exact.provenance != *section.provenance() {
            return Err(stale("a source has joined the run"));
        }
        let number = section.next_grant();
        let full = || AdministrationError::Impossible("the run has as many grants as it may have".to_owned());
        let number = number.ok_or_else(full)?;
        // The call that waits takes the yes to the question itself.
        let calls = self.like.calls.saturating_sub(1);
        let told = |problems: Vec<_>| AdministrationError::Impossible(told_problems(&problems));
        let plan = Plan::like(&call.name, &arguments(world, call), calls, &self.like.limits).map_err(told)?;
        let fitted = plan.fit(|_| Some(plan_tool(tool)), &self.trigger).map_err(told)?;
        let like = LikeTo {
            question: self.question.asked.id.clone(),
            definition: exact.definition,
            config: exact.config,
            provenance: exact.provenance.clone(),
        };
        let basis = world.basis_of(fitted.plan());
        let run = self.run.id().clone();
        let terms = Terms { run, number, until: self.until, basis, like: Some(like) };
        Ok(fitted.approved(terms, exact.provenance.clone()))
    }

    fn told(&self, grant: &Grant) -> LikeGranted {
        let step = grant.plan().steps().first();
        let arguments = step.and_then(|step| grant.plan().raw_arguments(step.id())).unwrap_or_default();
        LikeGranted { calls: self.like.calls, until: self.until, arguments }
    }
}
