//! A grant: what of a plan may be called, how often still, and what earlier steps selected (DESIGN §9).
//!
//! Data that is kept with its run; what it meets is decided at each call under the policy of that moment. Must never
//! give a use back, nor match a call that its plan does not name. Trusts the run's critical section: it hands in one
//! call at a time, and records a use before a byte of the call leaves.

mod attempt;
mod kept;
mod like;
mod used;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::name::{SourceName, ToolId};
use crate::model::person::Person;
use crate::model::provenance::Provenance;

use super::flow::{Flow, FlowAnswer};
use super::matching::{Facts, Selected};
use super::review::{Review, Reviewed, Verdict};
use super::steps::{Plan, Step, StepId};

pub use attempt::Attempt;
pub use like::{LIKE_CALLS_MAX, LIKE_LASTS_MAX, LikeTo, Under};
pub use used::{Concluded, Ended, Use};

/// What of a reviewed plan is granted to one run. Its uses are counted in the one that its run holds; a copy of it is a
/// record, of which nobody takes anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    plan: Plan,
    terms: Terms,
    /// What had influenced the run when the plan was reviewed.
    under: Provenance,
    /// One for each step of the plan.
    steps: Vec<Granted>,
    selected: Selected,
    closed: Closed,
}

/// Whom a grant is for, until when, and on what it rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The run.
    pub run: RunId,
    /// Which grant of the run it is, from 1.
    pub number: u32,
    /// From when on it counts no more.
    pub until: Timestamp,
    /// The digest of the labels, flows and shapes that it was reviewed under ([`super::basis()`]).
    pub basis: Sha256,
    /// The mark of a grant that a person made from a question: what that is bound to. Such a grant meets *ask* too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<LikeTo>,
}

/// What of a grant one step has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Granted {
    tool: Option<ToolId>,
    state: State,
    uses: u32,
    used: u32,
    done: Done,
    /// The sources whose shapes cover it.
    covered: BTreeSet<SourceName>,
    spent: Vec<Spent>,
    /// The flows that it meets.
    flows: BTreeSet<Arc<str>>,
    /// Those that it meets once a person said yes.
    asked_flows: BTreeSet<Arc<str>>,
    /// Who said yes already, where several people have to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    agreed: BTreeSet<Person>,
}

/// Whether calls of a step may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They may.
    Open,
    /// A person has to say yes first.
    Waiting,
    /// A person said yes.
    Approved,
    /// The review or a person said no.
    Refused,
}

/// Whether a step was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Done {
    Not,
    Once,
}

/// Whether a grant was closed before its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Closed {
    #[default]
    No,
    Yes,
}

/// A count of a request shape that a step takes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// The name of the shape.
    pub shape: Arc<str>,
    /// The number of its entry.
    pub entry: usize,
}

/// The step that a call belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Match<'g> {
    grant: &'g Grant,
    number: usize,
    step: &'g Step,
    granted: &'g Granted,
}

/// What remains of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remaining {
    /// Which.
    pub step: StepId,
    /// Whether its calls may be made.
    pub state: State,
    /// How many calls of it are left.
    pub left: u32,
}

impl Review {
    /// The grant of what was not refused; `None` where everything was.
    #[must_use]
    pub fn grant(self, terms: Terms) -> Option<Grant> {
        if self.is_refused() {
            return None;
        }
        let tools = self.fitted.tools.into_iter().map(|tool| tool.map(|tool| tool.id));
        let steps =
            self.steps.into_iter().zip(tools).map(|(reviewed, tool)| Granted::of(reviewed, tool)).collect();
        let (selected, closed) = (Selected::new(), Closed::No);
        Some(Grant { plan: self.fitted.plan, terms, under: self.under, steps, selected, closed })
    }
}

impl Granted {
    fn of(reviewed: Reviewed, tool: Option<ToolId>) -> Self {
        let Reviewed { verdict, uses, covered, spent, flows, asked_flows, .. } = reviewed;
        let state = match verdict {
            Verdict::Granted(_) => State::Open,
            Verdict::Person(_) => State::Waiting,
            Verdict::Refused(_) => State::Refused,
        };
        let agreed = BTreeSet::new();
        Self { tool, state, uses, used: 0, done: Done::Not, covered, spent, flows, asked_flows, agreed }
    }

    fn left(&self) -> u32 {
        self.uses.saturating_sub(self.used)
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open | State::Approved)
    }
}

impl Grant {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whom it is for, until when, and on what it rests.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What remains of each step, in order.
    pub fn remaining(&self) -> impl Iterator<Item = Remaining> {
        self.plan.steps.iter().zip(&self.steps).map(|(step, granted)| Remaining {
            step: step.id.clone(),
            state: granted.state,
            left: if granted.is_open() { granted.left() } else { 0 },
        })
    }

    /// The first step, in plan order, that `attempt` belongs to: which it matches, which has uses left, and which
    /// needs nothing that is not done.
    #[must_use]
    pub fn find(&self, attempt: &Attempt<'_>) -> Option<Match<'_>> {
        if !self.is_in_force(attempt.now) || *attempt.run != self.terms.run || self.has_lapsed(attempt.under)
        {
            return None;
        }
        let facts = Facts { trigger: attempt.trigger, selected: &self.selected };
        let mut steps = self.plan.steps.iter().zip(&self.steps).enumerate();
        steps.find_map(|(number, (step, granted))| {
            let is_it = granted.is_open()
                && granted.left() > 0
                && granted.tool.as_ref() == Some(attempt.tool)
                // Also where a call leaves out what would come from there: the review rests on this order.
                && step.needs().into_iter().all(|needed| self.is_done(needed))
                && facts.all(&step.arguments, attempt.arguments());
            is_it.then_some(Match { grant: self, number, step, granted })
        })
    }

    /// The step `id`, whatever is left of it.
    pub(super) fn step(&self, id: &StepId) -> Option<Match<'_>> {
        let number = self.number(id)?;
        let (step, granted) = (self.plan.steps.get(number)?, self.steps.get(number)?);
        Some(Match { grant: self, number, step, granted })
    }

    /// Whether it counts at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.closed == Closed::No && now < self.terms.until
    }

    /// Whether a person made it from a question, for calls like that one.
    #[must_use]
    pub fn is_of_person(&self) -> bool {
        self.terms.like.is_some()
    }

    /// Whether it is bound to something that is not as it was under what is in force `now`.
    #[must_use]
    pub fn has_lapsed(&self, now: Option<Under<'_>>) -> bool {
        self.terms.like.as_ref().is_some_and(|like| now.is_none_or(|now| !like.holds(now)))
    }

    /// Ends it before its time: what is left of it nobody can use.
    pub fn close(&mut self) {
        self.closed = Closed::Yes;
    }

    /// A person said yes to a step that waits for one. Says whether one was waiting.
    pub fn approve(&mut self, step: &StepId) -> Option<()> {
        self.answer(step, State::Approved)
    }

    /// One of several people said yes to a step that waits for them. Says whether it was waiting.
    pub fn agree(&mut self, step: &StepId, person: Person) -> Option<()> {
        let granted = self.granted(step).filter(|granted| granted.state == State::Waiting)?;
        granted.agreed.insert(person);
        Some(())
    }

    /// Who said yes to a step already, where several people have to.
    #[must_use]
    pub fn agreed(&self, step: &StepId) -> BTreeSet<Person> {
        let granted = self.number(step).and_then(|number| self.steps.get(number));
        granted.map(|granted| granted.agreed.clone()).unwrap_or_default()
    }

    /// A person said no to a step that waits for one. Says whether one was waiting.
    pub fn decline(&mut self, step: &StepId) -> Option<()> {
        self.answer(step, State::Refused)
    }

    fn answer(&mut self, step: &StepId, state: State) -> Option<()> {
        let granted = self.granted(step).filter(|granted| granted.state == State::Waiting)?;
        granted.state = state;
        Some(())
    }

    /// What it takes of request shapes, with how many calls: those that were made, and while it is in force also those
    /// that still can be.
    pub(super) fn spent(&self, now: Timestamp) -> impl Iterator<Item = (&Spent, u32)> {
        let is_in_force = self.is_in_force(now);
        self.steps.iter().filter(|granted| granted.state != State::Refused).flat_map(move |granted| {
            let calls = if is_in_force { granted.uses } else { granted.used };
            granted.spent.iter().map(move |spent| (spent, calls))
        })
    }

    fn is_done(&self, step: &StepId) -> bool {
        self.number(step)
            .and_then(|number| self.steps.get(number))
            .is_some_and(|granted| granted.done == Done::Once)
    }

    fn number(&self, step: &StepId) -> Option<usize> {
        self.plan.steps.iter().position(|other| other.id == *step)
    }

    fn granted(&mut self, step: &StepId) -> Option<&mut Granted> {
        let number = self.number(step)?;
        self.steps.get_mut(number)
    }
}

impl Match<'_> {
    /// The step.
    #[must_use]
    pub fn step(&self) -> &StepId {
        &self.step.id
    }

    /// Whether the step meets *plan* from `source` (DESIGN §4.4). *Plan* from a role or an agent it always meets.
    #[must_use]
    pub fn meets_source(&self, source: &SourceName) -> bool {
        !self.grant.under.contains(source)
            || self.granted.covered.contains(source)
            || self.granted.state == State::Approved
    }

    /// Whether the step meets `flow`, which the call raises. A flow that denies it meets only where the review found
    /// that it cannot reach the step's destinations.
    #[must_use]
    pub fn meets_flow(&self, flow: &Flow) -> bool {
        let was_asked =
            || self.granted.state == State::Approved && self.granted.asked_flows.contains(&flow.name);
        flow.answer == FlowAnswer::Plan || self.granted.flows.contains(&flow.name) || was_asked()
    }
}

/// The digests that each query selected.
type ByQuery = BTreeMap<String, BTreeSet<Sha256>>;
