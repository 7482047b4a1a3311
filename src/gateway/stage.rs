//! The inside of the critical section of a call: what it is, decide, admit, taint, intend.
//!
//! Must never wait, nor forward: what it hands on is the pending intent. What is hidden and what does not exist take
//! every step in here alike (I5).

use std::sync::Arc;

use bytes::Bytes;

use super::Gateway;
use super::able::Able;
use super::aim::Aim;
use super::asking;
use super::exchange::Exchange;
use super::mirror::decide;
use super::missing::Missing;
use super::named::{Named, What};
use super::planned::{self, Consent, Like, Said, Taken, Tried};
use super::refusal::{Form, Refusal};
use super::reply::{AnswerForm, Output};
use super::task::Task;
use super::world::{World, call_of};
use crate::audit::{Pending, Slot};
use crate::limit::{Admission, Keys, Refused, Who};
use crate::model::approval::{Exact, QuestionId};
use crate::model::call::{ArgumentFacts, Call, Pin, Stores};
use crate::model::decision::{Decision, Visibility};
use crate::model::facts::CallFacts;
use crate::model::keep::Whole;
use crate::model::name::{PromptName, UpstreamName};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::Target;
use crate::plan::{Attempt, Use};
use crate::policy::{Permit, Ruling, Standing};
use crate::run::Section;
use crate::upstream::{COST_DEFAULT, Fleet, Server, Settled, Share, Tool};
use crate::wire::method::{Mark, Toward};
use crate::wire::{OwnName, StripMeta, headers, preset};

/// What a call is decided on: of a tool its accepted definition, of everything else what it is.
pub(super) enum At<'a> {
    Tool(&'a Tool),
    /// A task that the tool made.
    Task(&'a Tool, &'a Task),
    Other {
        server: &'a Server,
        target: &'a Target,
        own: Option<&'a PromptName>,
        pin: Option<Pin>,
    },
}

/// What is there, in the world in which the call is decided.
pub(super) fn resolve<'a>(world: &'a World, aim: &'a Aim, name: &str) -> Option<At<'a>> {
    match aim {
        Aim::Tool => world.catalogue.find(name).map(At::Tool),
        Aim::At(target, own, pin) => {
            let server = world.catalogue.server(target.upstream())?;
            Some(At::Other { server, target, own: own.as_ref(), pin: *pin })
        }
        Aim::Task(task) => Some(At::Task(world.catalogue.tool(task.tool())?, task)),
        Aim::Nothing => None,
    }
}

/// Everything that the critical section looks at.
pub(super) struct Stage<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) world: &'a World,
    pub(super) exchange: &'a Exchange,
    pub(super) named: &'a Named,
    pub(super) able: &'a Able,
    pub(super) at: Option<At<'a>>,
}

/// A call whose intent is on its way to the journal.
pub(super) struct Passed {
    pub(super) pending: Pending<Admission<Permit>>,
    pub(super) facts: CallFacts,
    pub(super) adds: Provenance,
    pub(super) fleet: Fleet,
    pub(super) form: AnswerForm,
    pub(super) share: Share,
    pub(super) capabilities: Option<Arc<str>>,
    pub(super) values: Bytes,
    pub(super) result_max: Option<u64>,
    /// The use of a step of a plan that was taken for it.
    pub(super) used: Option<Use>,
}

impl Stage<'_> {
    /// The inside of the critical section: decide, admit, taint, intend.
    pub(super) fn pass(
        &self,
        section: &mut Section<'_>,
        slot: Result<Slot, Reason>,
        mut facts: CallFacts,
    ) -> Result<Passed, Box<Refusal>> {
        let principal = &self.exchange.caller.principal;
        if !self.world.in_force.entry_points.holds(principal, self.exchange.caller.under) {
            return Err(self.protocol(facts, Reason::CredentialUnknown));
        }
        // An entry point that vouches for other sources than it did brings them into the run that it had.
        facts.adds = section.taint_by_label(&principal.sources);
        facts.provenance = section.provenance().clone();
        let Some(call) = self.call() else {
            return Err(self.refused(facts, self.world.policy.explain_unknown()));
        };
        facts.target = Some(call.target.clone());
        facts.arguments = Some(call.arguments);
        facts.definition = call.pin.map(Pin::accepted);
        facts.stores = call.stores;
        let upstream = call.target.upstream().clone();
        let brings = match self.exchange.request.method.taints(Toward::Upstream) {
            Mark::Carries => section.brings(&upstream, &call.returns),
            // No word of the tool server comes back.
            Mark::Clean => Provenance::default(),
        };
        let tried = self.tried(section, &facts, &call);
        let attempt = tried.as_ref().and_then(|tried| tried.attempt(section.now()));
        let (permit, consent) = self.decided(section, call, attempt.as_ref(), &brings, &facts)?;
        facts.decision = Some(permit.decision().clone());
        check_kept(&facts).map_err(|reason| self.closed(facts.clone(), reason))?;
        self.check_settled().map_err(|reason| self.closed(facts.clone(), reason))?;
        self.check_answers(section, &facts)?;
        self.check_param_headers().map_err(|reason| self.protocol(facts.clone(), reason))?;
        // What is counted is counted for good: nothing is, where it could not be recorded.
        let slot = slot.map_err(|reason| self.closed(facts.clone(), reason))?;
        let admission = self.admit(permit, &mut facts)?;
        let result_max = admission.result_max().into_iter().chain(self.result_max()).min();
        let call = admission.permit().call();
        let is_looked_at = call.target.tool().is_some_and(|tool| self.world.policy.looks_at(tool));
        // A slice keeps the whole request in memory, so only where it may be asked for again.
        let values = if is_looked_at { call.values.clone() } else { Bytes::new() };
        facts.approval = self.settled(&consent, &facts, section);
        let (like, brought) = (consent.like, (call, &brings));
        let used = planned::take(self.world, section, attempt.as_ref(), brought, like, &mut facts);
        facts.adds.join(&section.taint(&brings));
        section.store(call);
        let adds = facts.adds.clone();
        let pending = slot.intend(admission, facts.clone());
        let fleet = self.world.fleet.only(&upstream);
        let form = self.form();
        let share = self.share(&upstream);
        let capabilities = self.capabilities(&upstream, &facts).filter(|_| share != Share::All);
        Ok(Passed { pending, facts, adds, fleet, form, share, capabilities, values, result_max, used })
    }

    /// What the policy says, with what the run's plans, its history and people say of it.
    fn decided(
        &self,
        section: &mut Section<'_>,
        call: Call,
        attempt: Option<&Attempt<'_>>,
        brings: &Provenance,
        facts: &CallFacts,
    ) -> Result<(Permit, Consent), Box<Refusal>> {
        let principal = &self.exchange.caller.principal;
        let mut said = match &self.at {
            Some(At::Task(_, task)) => Said::of_taken(section, task.taken()),
            _ => planned::ask(self.world, section, attempt, &call, brings),
        };
        if let Some(exact) = self.asked(facts) {
            said.yes = self.gateway.questions.yes(&exact, section.now());
            if self.gateway.questions.denies(&exact, section.now()) {
                said.hear_no();
            }
        }
        let closed = section.closed();
        let standing = Standing {
            provenance: section.provenance(),
            brings,
            closed: &closed,
            trigger: section.trigger(principal),
            planned: said.planned(),
            now: section.now(),
        };
        match self.world.policy.decide(principal, standing, call) {
            Ruling::Permit(permit) => Ok((permit, said.consent())),
            Ruling::Refuse(_, decision) => Err(self.refused(facts.clone(), decision)),
        }
    }

    /// The call as grants are held against it. What is said about a task is none: the call that made it was.
    fn tried(&self, section: &Section<'_>, facts: &CallFacts, call: &Call) -> Option<Tried> {
        let is_of_tool = matches!(self.at, Some(At::Tool(_)));
        let principal = &self.exchange.caller.principal;
        is_of_tool.then(|| Tried::of(self.world, section, facts.run.as_ref(), call, principal)).flatten()
    }

    /// What a question on exactly this call would be bound to, where the run has any.
    fn asked(&self, facts: &CallFacts) -> Option<Exact> {
        let questions = &self.gateway.questions;
        let is_asked = facts.run.as_ref().is_some_and(|run| questions.has_any(run));
        is_asked.then(|| asking::exact(self.world, facts)).flatten()
    }

    /// The question that the call ends by going on: the one whose yes it takes, or one that waits for nothing now.
    fn settled(&self, consent: &Consent, facts: &CallFacts, section: &Section<'_>) -> Option<QuestionId> {
        let questions = &self.gateway.questions;
        let like = || asking::exact(self.world, facts).filter(|_| consent.like == Like::One);
        let asked = || questions.find(&like()?, section.now()).map(|question| question.asked.id);
        let settled = consent.yes.clone().or_else(asked);
        settled.inspect(|id| questions.spend(id))
    }

    /// Room for the call. What it counts for budgets, and which of them refuses it, its record says.
    fn admit(&self, permit: Permit, facts: &mut CallFacts) -> Result<Admission<Permit>, Box<Refusal>> {
        let target = permit.call().target.clone();
        let principal = &self.exchange.caller.principal;
        let who = Who { principal, run: facts.run.as_ref(), sources: &facts.provenance };
        let keys = Keys { who, target: &target };
        let admitted = self.gateway.gate.admit(permit, keys, self.cost(), self.gateway.clock.wall());
        match admitted {
            Ok(admission) => {
                facts.metered.charges = admission.charges().to_vec();
                Ok(admission)
            }
            Err((_, Refused { reason, spent })) => {
                facts.metered.spent = spent;
                Err(self.closed(facts.clone(), reason))
            }
        }
    }

    /// What the call costs. What is said about a task was paid for by the call that made it.
    fn cost(&self) -> u64 {
        match self.at {
            Some(At::Tool(tool)) => tool.cost,
            Some(At::Task(..)) => 0,
            Some(At::Other { .. }) | None => COST_DEFAULT,
        }
    }

    /// Largest answer of the tool, whoever calls it.
    fn result_max(&self) -> Option<u64> {
        match self.at {
            Some(At::Tool(tool) | At::Task(tool, _)) => tool.result_max,
            Some(At::Other { .. }) | None => None,
        }
    }

    /// An argument that an operator fixed is nobody else's to say. Told only to whom the tool is visible.
    fn check_settled(&self) -> Result<(), Reason> {
        let Some(At::Tool(tool)) = &self.at else { return Ok(()) };
        if tool.presets.is_empty() {
            return Ok(());
        }
        let values = self.named.params.get("arguments").unwrap_or_default();
        match Settled::of(&values, &tool.presets) {
            Settled::Agreed => Ok(()),
            Settled::Contradicted => Err(Reason::ArgumentFixed),
        }
    }

    /// What the policy refuses: as if nonexistent where hidden, with its reason where visible.
    fn refused(&self, mut facts: CallFacts, decision: Decision) -> Box<Refusal> {
        let (reason, visibility) = (decision.reason, decision.visibility);
        facts.decision = Some(decision);
        match visibility {
            Visibility::Visible => self.closed(facts, reason),
            Visibility::Hidden => {
                let form = Form::Hidden(self.exchange.request.id.clone(), Missing::of(self.named));
                let revision = Some(self.exchange.revision);
                Box::new(Refusal { facts, reason: Reason::NotVisible, form, revision })
            }
        }
    }

    /// The answers to what a task asked: each is decided as what it answers (DESIGN §6).
    fn check_answers(&self, section: &Section<'_>, facts: &CallFacts) -> Result<(), Box<Refusal>> {
        let Some(At::Task(_, task)) = self.at else { return Ok(()) };
        let principal = &self.exchange.caller.principal;
        for (_, target) in task.answered(&self.named.params) {
            let decided = decide(self.world, section, &target, principal, (&Bytes::new(), &Taken::default()));
            if let Err((reason, decision)) = decided {
                let target = Some(target);
                return Err(self.closed(CallFacts { decision, target, ..facts.clone() }, reason));
            }
        }
        Ok(())
    }

    /// What is visible and does not pass now.
    fn closed(&self, facts: CallFacts, reason: Reason) -> Box<Refusal> {
        let id = self.exchange.request.id.clone();
        let form = match self.form() {
            AnswerForm::Tool(output) => Form::Tool(id, output),
            AnswerForm::Plain => Form::Error(Some(id)),
        };
        Box::new(Refusal { facts, reason, form, revision: Some(self.exchange.revision) })
    }

    fn protocol(&self, facts: CallFacts, reason: Reason) -> Box<Refusal> {
        Refusal::error(facts, reason, self.exchange.id())
    }

    /// What is called, and the bytes that are sent.
    fn call(&self) -> Option<Call> {
        let Named { params, arguments, .. } = self.named;
        let is_modern = self.exchange.revision.is_modern();
        let strip = if is_modern { StripMeta::Modern } else { StripMeta::Nothing };
        let method = &self.exchange.request.method;
        let trace = self.exchange.trace.as_ref();
        let payload = |own: OwnName<'_>| params.payload(method, own, strip, trace);
        Some(match self.at.as_ref()? {
            At::Task(tool, task) => {
                let answered = task.answered(params);
                let asked: Vec<_> = answered.iter().map(|(key, _)| key.as_str()).collect();
                let own = OwnName::Task { own: task.own(), asked: &asked };
                call_of(tool, payload(own), *arguments, task.values().clone())
            }
            At::Tool(tool) => {
                let (own, values) = (tool.id.tool.as_str(), params.get("arguments").unwrap_or_default());
                if tool.presets.is_empty() {
                    return Some(call_of(tool, payload(OwnName::Name(own)), *arguments, values));
                }
                let values = preset::fill(&values, &tool.presets).ok()?;
                let settled = OwnName::Settled { own, arguments: &values };
                call_of(tool, payload(settled), ArgumentFacts::of(&values), values)
            }
            At::Other { server, target, own, pin } => {
                let own = match (own, self.named.what) {
                    (None, _) => OwnName::Kept,
                    (Some(own), What::PromptArgument) => OwnName::InRef(own.as_str()),
                    (Some(own), _) => OwnName::Name(own.as_str()),
                };
                Call {
                    target: (*target).clone(),
                    pin: *pin,
                    returns: server.returns(target).clone(),
                    stores: Stores::Nothing,
                    arguments: *arguments,
                    values: Bytes::new(),
                    payload: payload(own),
                    deadline: None,
                }
            }
        })
    }

    /// Who shares an instance of the upstream; everybody where that is not known any more.
    fn share(&self, upstream: &UpstreamName) -> Share {
        self.world.catalogue.server(upstream).map_or(Share::All, |server| server.share)
    }

    /// What the upstream may know that the client can be asked: what the run may answer now.
    fn capabilities(&self, upstream: &UpstreamName, facts: &CallFacts) -> Option<Arc<str>> {
        let principal = &self.exchange.caller.principal;
        let mut sources = facts.provenance.clone();
        sources.join(&facts.adds);
        let targets = [
            Target::Sampling(upstream.clone()),
            Target::Elicitation(upstream.clone()),
            Target::Roots(upstream.clone()),
        ];
        let open = targets
            .iter()
            .filter(|target| self.world.policy.leaves_open(principal, &sources, target, self.world.now()));
        let members: Vec<_> = open
            .filter_map(|target| {
                let part = self.able.part(target.class())?;
                Some(format!("\"{}\":{}", target.class().code(), std::str::from_utf8(&part).ok()?))
            })
            .collect();
        (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")).into())
    }

    /// How its caller is answered.
    fn form(&self) -> AnswerForm {
        match (&self.at, self.named.what) {
            (Some(At::Tool(tool)), _) if tool.has_output_schema => AnswerForm::Tool(Output::Schema),
            (_, What::Tool) => AnswerForm::Tool(Output::Unstructured),
            _ => AnswerForm::Plain,
        }
    }

    /// 2026-07-28, server/tools, "x-mcp-header": what the headers repeat has to equal the arguments.
    /// Checked after the decision, because which headers those are is told only to whom it is visible.
    fn check_param_headers(&self) -> Result<(), Reason> {
        let Some(At::Tool(tool)) = &self.at else { return Ok(()) };
        if !self.exchange.revision.is_modern() {
            return Ok(());
        }
        let arguments = self.named.params.get("arguments");
        let presented = &self.exchange.caller.headers.params;
        headers::check_params(arguments.as_ref(), &tool.param_headers, presented)
            .map_err(|fault| fault.reason())
    }
}

/// A call of which something is to be kept that is not does not go on (I6): it could not be, or what is visible now was
/// hidden a moment ago.
fn check_kept(facts: &CallFacts) -> Result<(), Reason> {
    match facts.kept.as_ref().map(|kept| kept.whole) {
        Some(Whole::Lacking | Whole::Hidden) => Err(Reason::ValuesNotKept),
        Some(Whole::Yes) | None => Ok(()),
    }
}
