//! What people answer: a question about one call, or about a step of a plan.
//!
//! Must never be reached by a run's credential: `console` asks only for peers of its own socket and for people who
//! signed in. An answer is on the record before it counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;

use super::Gateway;
use super::administration::unavailable;
use crate::approval::{AnswerError, Question};
use crate::audit::{Event, GrantChange};
use crate::console::{About, AdministrationError, Approvals, Like, LikeGranted, QuestionEntry, SignIns};
use crate::model::approval::{ApprovalChange, Asked, Exact, QuestionId, Standing, Word};
use crate::model::approver;
use crate::model::digest::Sha256;
use crate::model::name::EntryPointName;
use crate::model::person::Person;
use crate::model::reason::Reason;
use crate::model::sign_in::{Brought, Returned, SignIn};
use crate::model::target::Target;
use crate::model::trigger::Trigger;
use crate::notify::News;
use crate::plan::{Grant, Remaining, State, StepId};
use crate::run::Run;

impl Approvals for Gateway {
    async fn questions(&self) -> Vec<QuestionEntry> {
        let now = self.clock.wall();
        let runs = self.runs.open().await;
        let trigger = |question: &Question| {
            let run = runs.iter().find(|run| *run.id() == question.asked.exact.run);
            run.and_then(|run| run.trigger()).map(|trigger| (*trigger).clone())
        };
        let questions = self.questions.all();
        let waiting = questions.into_iter().filter(|question| now < question.asked.until);
        let entry = |question| self.call_entry(trigger(&question), question);
        let mut all: Vec<_> = waiting.map(entry).collect();
        for run in &runs {
            all.extend(self.waiting_steps(run).iter().map(|step| self.step_entry(step, run)));
        }
        all
    }

    async fn questions_of(&self, person: &Person) -> Vec<QuestionEntry> {
        let mut all = self.questions().await;
        all.retain(|entry| match self.target_of(entry) {
            Some(target) => {
                let (sources, subject) = (&entry.provenance, &entry.subject);
                let about = approver::Question { sources, target: &target, subject };
                self.check_approver(person, about).is_ok()
            }
            None => false,
        });
        all
    }

    async fn answer_question(&self, by: &Person, id: &str, word: Word) -> Result<(), AdministrationError> {
        let missing = || AdministrationError::Missing(AnswerError::Missing.to_string());
        let parsed = QuestionId::parse(id).ok_or_else(missing)?;
        if self.questions.get(&parsed).is_some() {
            return self.answer_call(by, &parsed, word).await;
        }
        for run in self.runs.open().await {
            // Two answers to one step come one after the other.
            let _turn = run.turn_to_plan().await;
            let step = self.waiting_steps(&run).into_iter().find(|step| step.id(&run) == parsed);
            if let Some(step) = step {
                return self.answer_step(by, &run, step, word).await;
            }
        }
        Err(missing())
    }

    async fn approve_like(
        &self,
        by: &Person,
        id: &str,
        like: Like,
    ) -> Result<LikeGranted, AdministrationError> {
        self.answer_like(by, id, like).await
    }
}

impl SignIns for Gateway {
    fn ways(&self) -> Vec<EntryPointName> {
        self.worlds.within(|world| world.in_force.people.names())
    }

    async fn begin_sign_in(&self, by: &EntryPointName, sign_in: &SignIn) -> Result<String, Reason> {
        let people = Arc::clone(&self.worlds.now().in_force.people);
        people.begin(by, sign_in).await
    }

    async fn finish_sign_in(
        &self,
        by: &EntryPointName,
        sign_in: &SignIn,
        returned: &Returned,
    ) -> Result<Person, Reason> {
        let people = Arc::clone(&self.worlds.now().in_force.people);
        people.finish(by, sign_in, returned).await
    }

    fn brought(&self, by: &str, headers: &HeaderMap, body: &[u8]) -> Result<Brought, Reason> {
        let webhooks = Arc::clone(&self.worlds.now().in_force.webhooks);
        webhooks.open(by, headers, body, self.clock.wall())
    }
}

impl Gateway {
    async fn answer_call(&self, by: &Person, id: &QuestionId, word: Word) -> Result<(), AdministrationError> {
        // Two answers to one question come one after the other.
        let _turn = self.waiters.turn_to_answer().await;
        let (question, change) = self.weigh_call(by, id, word)?;
        self.take_word(by, &question, (change, word), None).await?;
        self.waiters.look();
        Ok(())
    }

    /// The question `id` about a call, and what becomes of it when `by` says `word` to it.
    pub(super) fn weigh_call(
        &self,
        by: &Person,
        id: &QuestionId,
        word: Word,
    ) -> Result<(Question, ApprovalChange), AdministrationError> {
        let question = self.questions.may_answer(id, word, self.clock.wall());
        let question = question.map_err(|error| AdministrationError::Impossible(error.to_string()))?;
        let target = Target::Tool(question.asked.exact.tool.clone());
        let about = about(&question.asked, &target);
        self.check_approver(by, about)?;
        let change = self.weigh(by, word, about, &question.agreed)?;
        Ok((question, change))
    }

    /// Takes the answer of `by` to `question`, on the record, with the `grant` that it makes. Who waits is not told yet.
    pub(super) async fn take_word(
        &self,
        by: &Person,
        question: &Question,
        (change, word): (ApprovalChange, Word),
        grant: Option<Box<Grant>>,
    ) -> Result<(), AdministrationError> {
        let (asked, id) = (Box::new(question.asked.clone()), &question.asked.id);
        let event = Event::Approval { change, asked, by: Some(by.clone()), rules: Vec::new(), grant };
        self.journal.record(event).await.map_err(unavailable)?;
        let answered = (change != ApprovalChange::Agreed).then(|| (&question.asked, self.clock.wall()));
        self.metrics.approval(change, answered);
        match change {
            ApprovalChange::Agreed => self.questions.agree(id, by.clone()),
            _ => {
                self.questions.answer(id, word);
                self.waiters.visits.complete(id);
            }
        }
        Ok(())
    }

    async fn answer_step(
        &self,
        by: &Person,
        run: &Run,
        waiting: WaitingStep,
        word: Word,
    ) -> Result<(), AdministrationError> {
        let WaitingStep { grant, step, plan, tool, agreed, .. } = waiting;
        let missing = || AdministrationError::Missing("the tool of this step is gone".to_owned());
        let target = self.planned_target(&tool).ok_or_else(missing)?;
        let sources = run.provenance();
        let about = approver::Question { sources: &sources, target: &target, subject: run.subject() };
        self.check_approver(by, about)?;
        let is_last = self.weigh(by, word, about, &agreed)? != ApprovalChange::Agreed;
        let change = match is_last {
            true => GrantChange::Answered { grant, step: step.clone(), word, by: by.clone() },
            false => GrantChange::Agreed { grant, step: step.clone(), by: by.clone() },
        };
        let event = Event::Grant { run: run.id().clone(), plan, change };
        self.journal.record(event).await.map_err(unavailable)?;
        let answered = run.section(run.started(), |section| match is_last {
            true => section.answer_step(grant, step.as_str(), word),
            false => section.agree_step(grant, step.as_str(), by.clone()),
        });
        answered.map(drop).map_err(unavailable)
    }

    /// What a step is for that names its tool as `wire_name`.
    fn planned_target(&self, wire_name: &str) -> Option<Target> {
        self.worlds.within(|world| world.catalogue.find(wire_name).map(|tool| Target::Tool(tool.id.clone())))
    }

    /// What the question is about.
    fn target_of(&self, entry: &QuestionEntry) -> Option<Target> {
        match entry.about {
            About::Call => entry.tool.parse().ok().map(Target::Tool),
            About::Step => self.planned_target(&entry.tool),
        }
    }

    /// Whether the configuration lets `by` answer `question` (`[[approvers]]`, DESIGN §4.5).
    fn check_approver(
        &self,
        by: &Person,
        question: approver::Question<'_>,
    ) -> Result<(), AdministrationError> {
        self.check_person(by)?;
        let in_force = Arc::clone(&self.worlds.now().in_force);
        if approver::may_answer(&in_force.approvers, question, by) {
            return Ok(());
        }
        let reason = Reason::NotAnApprover;
        Err(AdministrationError::Refused { reason, message: reason.sentence().to_owned() })
    }

    /// Whether nobody revoked `person` or what vouches for them.
    fn check_person(&self, person: &Person) -> Result<(), AdministrationError> {
        let Person::Subject { entry_point, subject } = person else { return Ok(()) };
        self.runs
            .may_vouch(Some(subject), std::iter::once(entry_point))
            .map_err(|reason| AdministrationError::Refused { reason, message: reason.sentence().to_owned() })
    }

    /// Tells people of the steps of the grant `number` that wait for them.
    pub(super) fn tell_of_steps(&self, run: &Arc<Run>, number: u32) {
        for step in self.waiting_steps(run).iter().filter(|step| step.grant == number) {
            let tool =
                self.worlds.within(|world| world.catalogue.find(&step.tool).map(|tool| tool.id.to_string()));
            self.tell(&News::Question {
                id: step.id(run).to_string(),
                about: "step",
                tool: tool.unwrap_or_default(),
                subject: run.subject().clone(),
                run: run.id().to_string(),
                sources: run.provenance(),
                until: step.until,
            });
        }
    }

    /// The steps of the run that wait for a person.
    fn waiting_steps(&self, run: &Run) -> Vec<WaitingStep> {
        let now = self.clock.wall();
        let waiting = run.section(run.started(), |section| {
            let in_force = section.grants().iter().filter(|grant| grant.is_in_force(now));
            in_force.flat_map(WaitingStep::of).collect()
        });
        waiting.unwrap_or_default()
    }
}

/// A step of a plan that waits for a person.
struct WaitingStep {
    grant: u32,
    step: StepId,
    plan: Sha256,
    tool: String,
    arguments: Option<String>,
    until: Timestamp,
    /// Who said yes already, where several people have to.
    agreed: BTreeSet<Person>,
}

impl WaitingStep {
    fn of(grant: &Grant) -> Vec<Self> {
        let waits = |left: &Remaining| left.state == State::Waiting;
        let steps = grant.remaining().filter(waits).map(|left| {
            let planned = grant.plan().steps().iter().find(|step| *step.id() == left.step);
            Self {
                grant: grant.terms().number,
                plan: grant.plan().digest(),
                tool: planned.map(|step| step.tool().to_owned()).unwrap_or_default(),
                arguments: grant.plan().raw_arguments(&left.step),
                until: grant.terms().until,
                agreed: grant.agreed(&left.step),
                step: left.step,
            }
        });
        steps.collect()
    }

    /// What the question is called: the same each time it is looked at, also after a restart.
    fn id(&self, run: &Run) -> QuestionId {
        let grant = self.grant.to_string();
        let parts = [run.id().as_str(), &grant, self.step.as_str()].map(str::as_bytes);
        let digest = Sha256::of(&parts.join(&b'/'));
        QuestionId::of(digest.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

impl Gateway {
    fn step_entry(&self, step: &WaitingStep, run: &Arc<Run>) -> QuestionEntry {
        let (sources, subject) = (run.provenance(), run.subject());
        let people = self.planned_target(&step.tool).map(|target| {
            let about = approver::Question { sources: &sources, target: &target, subject };
            self.people_of(about, step.agreed.clone())
        });
        QuestionEntry {
            id: step.id(run).to_string(),
            people: people.unwrap_or_default(),
            about: About::Step,
            group: None,
            standing: Standing::Waiting,
            run: run.id().clone(),
            subject: run.subject().clone(),
            trigger: run.trigger().map(|trigger| (*trigger).clone()),
            provenance: sources,
            tool: step.tool.clone(),
            arguments: step.arguments.clone(),
            why: vec![format!("step {} of plan {}", step.step.as_str(), step.plan)],
            at: None,
            until: step.until,
        }
    }
}

/// What the configuration looks at of a question about a call of `target`.
pub(super) fn about<'a>(asked: &'a Asked, target: &'a Target) -> approver::Question<'a> {
    approver::Question { sources: &asked.exact.provenance, target, subject: &asked.subject }
}

/// What like questions have in common: everything that a yes is bound to but the arguments.
fn group(exact: &Exact) -> Sha256 {
    let Exact { run, tool, arguments: _, definition, config, provenance } = exact;
    let sources: Vec<_> = provenance.iter().map(|source| source.as_str()).collect();
    Sha256::of(format!("{run} {tool} {definition:?} {config} {sources:?}").as_bytes())
}

impl Gateway {
    fn call_entry(&self, trigger: Option<Trigger>, question: Question) -> QuestionEntry {
        let Question { asked, standing, agreed, call, covered: _ } = question;
        let target = Target::Tool(asked.exact.tool.clone());
        let people = self.people_of(about(&asked, &target), agreed);
        let arguments = |raw: Bytes| String::from_utf8_lossy(&raw).into_owned();
        let (why, arguments) = match call {
            Some(call) => {
                (call.rules, Some(call.params.get("arguments").map_or_else(|| "{}".to_owned(), arguments)))
            }
            None => (Vec::new(), None),
        };
        QuestionEntry {
            id: asked.id.to_string(),
            about: About::Call,
            group: Some(group(&asked.exact)),
            people,
            standing,
            run: asked.exact.run,
            subject: asked.subject,
            trigger,
            provenance: asked.exact.provenance,
            tool: asked.exact.tool.to_string(),
            arguments,
            why,
            at: Some(asked.at),
            until: asked.until,
        }
    }
}
