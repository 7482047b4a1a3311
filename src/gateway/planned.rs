//! What plans and flows say of a call, inside the critical section of its run.
//!
//! Must never let a step count for another call than the bytes that are forwarded, nor take a use of one for a call that
//! does not go on. What is said about a task is no call of its own: its step was used when the task was made.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use jiff::Timestamp;

use super::world::World;
use crate::model::approval::QuestionId;
use crate::model::call::{Call, Pin};
use crate::model::decision::{Answer, Dimension, Rule};
use crate::model::digest::Sha256;
use crate::model::facts::{CallFacts, RunId};
use crate::model::label::ToolClass;
use crate::model::name::{SourceName, ToolId};
use crate::model::planned::StepUse;
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::trigger::Trigger;
use crate::plan::{Attempt, Deed, Flow, FlowAnswer, Match, Under, Use, raised};
use crate::policy::{Approval, Planned, StepMeets};
use crate::run::Section;

/// What is no tool is read: a resource, a prompt.
static READ: LazyLock<BTreeSet<ToolClass>> = LazyLock::new(|| [ToolClass::Reads].into());

/// What a grant is held against: the call as it is forwarded.
pub(super) struct Tried {
    run: RunId,
    tool: ToolId,
    values: Bytes,
    trigger: Trigger,
    definition: Option<Sha256>,
    config: Sha256,
    provenance: Provenance,
}

/// What is met of what stands before the call, and what more stands there.
#[derive(Default)]
pub(super) struct Said {
    /// The sources whose *plan* the call's step does not meet; nothing where it belongs to no step.
    unmet: Option<BTreeSet<SourceName>>,
    flows: Vec<Rule>,
    /// A person's yes to exactly this call.
    pub(super) yes: Option<QuestionId>,
    /// Whether a person's yes to several calls is for this one too.
    like: Like,
    /// Whether a person's yes was taken for the call already, of which more is said now.
    taken: Consented,
}

/// What was taken for a call that goes on, and that counts for what is said of it later: it is not taken again.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken {
    step: Option<StepUse>,
    consent: Consented,
}

/// Whether a person said yes to a call that was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Consented {
    #[default]
    No,
    Yes,
}

impl Taken {
    /// What was taken for the call of `facts`, which was forwarded.
    pub(super) fn of(facts: &CallFacts) -> Self {
        let is_of_person = facts.approval.is_some() || facts.like.is_some();
        let consent = if is_of_person { Consented::Yes } else { Consented::No };
        Self { step: facts.step.clone(), consent }
    }
}

/// Whether one of several calls that a person said yes to is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Like {
    #[default]
    No,
    One,
}

/// What people said that a call goes on with: taken with it.
pub(super) struct Consent {
    pub(super) yes: Option<QuestionId>,
    pub(super) like: Like,
}

impl Said {
    /// What still is met by what was taken for the call already. Flows had their word then.
    pub(super) fn of_taken(section: &Section<'_>, taken: &Taken) -> Self {
        let step = taken.step.as_ref().and_then(|used| section.used_step(used));
        Self { unmet: step.map(|step| unmet(section, step)), taken: taken.consent, ..Self::default() }
    }

    /// Takes in that a person said no to exactly this call: a yes to like ones is none to it.
    pub(super) fn hear_no(&mut self) {
        self.like = Like::No;
    }

    /// What people said, which is taken where the call goes on. What was said to exactly this call comes first.
    pub(super) fn consent(self) -> Consent {
        let like = if self.yes.is_some() { Like::No } else { self.like };
        Consent { yes: self.yes, like }
    }

    /// In the words of the policy.
    pub(super) fn planned(&self) -> Planned<'_> {
        let is_given = self.yes.is_some() || self.like == Like::One || self.taken == Consented::Yes;
        let approval = if is_given { Approval::Given } else { Approval::None };
        Planned { step: self.unmet.as_ref().map(|not| StepMeets { not }), flows: &self.flows, approval }
    }
}

impl Tried {
    /// `call` in the run of `section`; nothing where the run has no grant that it could belong to.
    pub(super) fn of(
        world: &World,
        section: &Section<'_>,
        run: Option<&RunId>,
        call: &Call,
        principal: &Principal,
    ) -> Option<Self> {
        let (run, tool) = (run.cloned()?, call.target.tool().cloned()?);
        let (values, trigger) = (call.values.clone(), section.trigger(principal).clone());
        let (config, provenance) = (world.in_force.config, section.provenance().clone());
        let definition = call.pin.map(Pin::accepted);
        let tried = Self { run, tool, values, trigger, definition, config, provenance };
        (!section.grants().is_empty()).then_some(tried)
    }

    /// What grants are asked about: read once for a call.
    pub(super) fn attempt(&self, now: Timestamp) -> Option<Attempt<'_>> {
        let Self { run, tool, values, trigger, definition, config, provenance } = self;
        let under = Under { definition: *definition, config: *config, provenance };
        Some(Attempt::read(run, tool, values, trigger, now)?.under(under))
    }
}

/// What the grants and the history of a run say of a call that brings `brings`.
pub(super) fn ask(
    world: &World,
    section: &mut Section<'_>,
    attempt: Option<&Attempt<'_>>,
    call: &Call,
    brings: &Provenance,
) -> Said {
    if attempt.is_some() {
        world.hold_grants(section);
    }
    let section = &*section;
    let step = attempt.and_then(|attempt| section.step(attempt));
    let unmet = step.map(|step| unmet(section, step));
    let flows = raised(world.flows(), section.history(), deed(world, call, brings));
    let flows = flows.into_iter().filter(|flow| !step.is_some_and(|step| step.meets_flow(flow)));
    let like = match attempt.is_some_and(|attempt| section.has_like(attempt)) {
        true => Like::One,
        false => Like::No,
    };
    Said { unmet, flows: flows.map(rule).collect(), yes: None, like, taken: Consented::No }
}

/// Takes the use of the step that the call belongs to, and notes for flows that it is made. Both are for its record.
pub(super) fn take(
    world: &World,
    section: &mut Section<'_>,
    attempt: Option<&Attempt<'_>>,
    call: (&Call, &Provenance),
    like: Like,
    facts: &mut CallFacts,
) -> Option<Use> {
    let is_like = |_: &&Attempt<'_>| like == Like::One;
    let taken = attempt.filter(is_like).and_then(|attempt| section.use_like(attempt));
    // Nothing comes after one of them.
    facts.like = taken.map(|taken| taken.told());
    let used = attempt.and_then(|attempt| section.use_step(attempt));
    facts.step = used.as_ref().map(Use::told);
    facts.past = section.note(deed(world, call.0, call.1)).map(Box::new);
    used
}

/// The sources of the run whose *plan* `step` does not meet.
fn unmet(section: &Section<'_>, step: Match<'_>) -> BTreeSet<SourceName> {
    section.provenance().iter().filter(|source| !step.meets_source(source)).cloned().collect()
}

/// The call as flows see it.
fn deed<'a>(world: &'a World, call: &'a Call, brings: &'a Provenance) -> Deed<'a> {
    let tool = call.target.tool();
    let classes = match tool.and_then(|tool| world.catalogue.tool(tool)) {
        Some(tool) => &*tool.classes,
        None => &READ,
    };
    Deed { tool, classes, brings }
}

/// What `flow` says, as a decision tells it.
fn rule(flow: &Flow) -> Rule {
    let answer = match flow.answer {
        FlowAnswer::Plan => Answer::Plan,
        FlowAnswer::Ask => Answer::Ask,
        FlowAnswer::Deny => Answer::Deny,
    };
    let (dimension, place) = (Dimension::Flow(flow.name.clone()), Some(flow.place.clone()));
    Rule { dimension, answer, permission: None, when: None, place }
}
