//! Questions to people: a call that needs one is asked about, and goes on when its agent comes back with a yes.
//!
//! Must never ask about what the caller may not see, nor let a yes count that is not on the record. The call that goes
//! on is the stored one, and it is decided again like any other.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::Gateway;
use super::exchange::Exchange;
use super::named::{self, Named};
use super::port::Reply;
use super::refusal::{Form, Refusal};
use super::reply::Output;
use super::world::World;
use crate::approval::{Covered, QUESTION_LASTS, StoredCall};
use crate::audit::Event;
use crate::chance;
use crate::model::approval::{ApprovalChange, Asked, Exact, QuestionId, Standing};
use crate::model::decision::Rule;
use crate::model::facts::CallFacts;
use crate::model::reason::Reason;
use crate::plan::Problem;
use crate::run::Run;

/// Everything that a yes to the call of `facts` is bound to; nothing for what is no tool.
pub(super) fn exact(world: &World, facts: &CallFacts) -> Option<Exact> {
    Some(Exact {
        run: facts.run.clone()?,
        tool: facts.target.as_ref()?.tool()?.clone(),
        arguments: facts.arguments?.sha256,
        definition: facts.definition,
        config: world.in_force.config,
        provenance: facts.provenance.clone(),
    })
}

/// What is wrong with what a person limited a yes by, in one line.
pub(super) fn told_problems(problems: &[Problem]) -> String {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    problems.join(" ")
}

/// The call as it is kept while a person is asked.
fn stored(named: &Named, facts: &CallFacts) -> StoredCall {
    let rules = facts.decision.iter().flat_map(|decision| &decision.rules).map(ToString::to_string);
    StoredCall { name: named.name.clone(), params: named.params.clone(), rules: rules.collect() }
}

impl Gateway {
    /// Asks a person about the call that `refusal` refuses, and tells its agent where the answer will be.
    pub(super) async fn ask_people(
        &self,
        exchange: &Exchange,
        named: &Named,
        run: &Run,
        mut refusal: Box<Refusal>,
    ) -> Box<Refusal> {
        let now = self.clock.wall();
        let exact = self.worlds.within(|world| exact(world, &refusal.facts));
        // People are asked about tools: what else there is has no arguments that they could look at.
        let Some(exact) = exact else { return refusal };
        let known = self.questions.find(&exact, now);
        let (id, reason) = match known.map(|known| (known.asked.id, known.standing)) {
            Some((id, Standing::Denied)) => (Some(id), Reason::ApprovalDenied),
            // One that was answered in this moment is found by the next try.
            Some((id, Standing::Waiting | Standing::Approved)) => {
                self.questions.show(&id, stored(named, &refusal.facts));
                (Some(id), Reason::ApprovalPending)
            }
            None => match self.put_question(exact, exchange, named, &refusal.facts, now).await {
                Ok(id) => (Some(id), Reason::ApprovalPending),
                Err(reason) => (None, reason),
            },
        };
        // A run that ended meanwhile is told so.
        let ended = run.section(now, |_| ()).err();
        (refusal.facts.approval, refusal.reason) = (id, ended.unwrap_or(reason));
        refusal
    }

    async fn put_question(
        &self,
        exact: Exact,
        exchange: &Exchange,
        named: &Named,
        facts: &CallFacts,
        now: Timestamp,
    ) -> Result<QuestionId, Reason> {
        let id = QuestionId::of(chance::bytes().map_err(|_| Reason::Fault)?);
        let until = now.saturating_add(QUESTION_LASTS).unwrap_or(Timestamp::MAX);
        let subject = exchange.caller.principal.subject.clone();
        let asked = Asked { id: id.clone(), exact, subject, at: now, until };
        let asking = self.questions.ask(asked.clone(), stored(named, facts));
        if asking.is_err() {
            // What is bound to what is no more keeps nobody from asking.
            self.let_questions_lapse().await;
            self.questions.ask(asked.clone(), stored(named, facts))?;
        }
        let rules = facts.decision.iter().flat_map(|decision| decision.rules.clone()).collect();
        let recorded = self.record_question(ApprovalChange::Asked, asked.clone(), rules).await;
        recorded.inspect_err(|_| self.questions.withdraw(&id))?;
        self.tell_of_question(&asked);
        Ok(id)
    }

    async fn record_question(
        &self,
        change: ApprovalChange,
        asked: Asked,
        rules: Vec<Rule>,
    ) -> Result<(), Reason> {
        let event = Event::Approval { change, asked: Box::new(asked), by: None, rules, grant: None };
        self.journal.record(event).await?;
        self.metrics.approval(change, None);
        Ok(())
    }

    /// Forgets the questions of a run that has read something new, on the record: they were about another provenance.
    pub(super) async fn let_questions_of(&self, run: &Run) {
        if self.questions.has_any(run.id()) {
            self.let_questions_lapse().await;
        }
    }

    /// Forgets the questions whose time is over, and those that are bound to what is no more, on the record.
    pub(super) async fn let_questions_lapse(&self) {
        let mut lapsed = self.questions.expire(self.clock.wall());
        lapsed.extend(self.questions.forget(&self.stale_questions().await));
        for asked in lapsed {
            // Whoever is held for it asks anew.
            self.waiters.look();
            if let Err(reason) = self.record_question(ApprovalChange::Lapsed, asked, Vec::new()).await {
                tracing::error!(%reason, "a question that nobody answered could not be put on the record");
            }
        }
    }

    /// The questions whose answers count no more, whatever they are: their run has ended or read something new, or the
    /// configuration or the definition is another.
    async fn stale_questions(&self) -> BTreeSet<QuestionId> {
        let questions = self.questions.all();
        if questions.is_empty() {
            return BTreeSet::new();
        }
        let runs = self.runs.open().await;
        let runs: HashMap<_, _> = runs.iter().map(|run| (run.id().clone(), run.provenance())).collect();
        let world = self.worlds.now();
        let is_stale = |exact: &Exact| {
            let tool = world.catalogue.tool(&exact.tool);
            exact.config != world.in_force.config
                || runs.get(&exact.run) != Some(&exact.provenance)
                // A tool that is not there now may come back as it was.
                || tool.is_some_and(|tool| Some(tool.pin.accepted()) != exact.definition)
        };
        let stale =
            questions.into_iter().map(|question| question.asked).filter(|asked| is_stale(&asked.exact));
        stale.map(|asked| asked.id).collect()
    }

    /// `sluicegate__resume`: the call that waits under an id of this run, as it was made.
    pub(super) async fn resume(
        self: &Arc<Self>,
        exchange: &Exchange,
        named: &Named,
        run: &Arc<Run>,
        facts: CallFacts,
    ) -> Result<Reply, Box<Refusal>> {
        let refuse = |id: Option<QuestionId>, reason| {
            let form = Form::Tool(exchange.request.id.clone(), Output::Unstructured);
            let facts = CallFacts { approval: id, provenance: run.provenance(), ..facts.clone() };
            Box::new(Refusal { facts, reason, form, revision: Some(exchange.revision) })
        };
        let id = named.argument_text("id").and_then(|id| QuestionId::parse(&id));
        let question = id.and_then(|id| self.questions.of_run(&id, run.id(), self.clock.wall()));
        let Some(question) = question else { return Err(refuse(None, Reason::ApprovalUnknown)) };
        let id = Some(question.asked.id);
        match (question.standing, question.call) {
            (Standing::Waiting, None) => Err(refuse(id, Reason::ApprovalPending)),
            (Standing::Waiting, Some(_)) if question.covered == Covered::No => {
                Err(refuse(id, Reason::ApprovalPending))
            }
            (Standing::Denied, _) => Err(refuse(id, Reason::ApprovalDenied)),
            (Standing::Approved, None) => Err(refuse(id, Reason::ApprovalUnknown)),
            (Standing::Approved | Standing::Waiting, Some(call)) => {
                let stored = named::stored(call.name, call.params, named.progress_token.clone());
                self.start(exchange, stored, None).await
            }
        }
    }
}
