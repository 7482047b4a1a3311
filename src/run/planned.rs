//! The plans of a run, inside its critical section: which step a call belongs to, its use, and what the run did.
//!
//! Must never let a grant count that rests on labels, flows or shapes of another configuration, nor one that is not on
//! the record yet: whoever adds one has made it durable. What is taken here is never given back (DESIGN §8).

use std::collections::BTreeSet;

use crate::model::approval::Word;
use crate::model::decision::PolicyEpoch;
use crate::model::person::Person;
use crate::model::planned::{Past, StepUse};
use crate::plan::{Attempt, Concluded, Deed, Ended, Grant, Held, History, Match, Use};

use super::Section;

/// The configuration and the catalogue that a grant was last held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Against {
    /// The configuration.
    pub epoch: PolicyEpoch,
    /// The catalogue.
    pub catalogue: u64,
}

/// What a run holds of plans, and which of its grants do not count now.
#[derive(Debug, Default)]
pub(super) struct Plans {
    pub(super) held: Held,
    /// What the grants were last held against.
    against: Option<Against>,
    /// The grants that rest on something else, by their numbers.
    suspended: BTreeSet<u32>,
}

impl Plans {
    pub(super) fn recover(held: Held) -> Self {
        Self { held, ..Self::default() }
    }
}

impl Section<'_> {
    /// The grants of the run, in the order in which they were made.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        self.state.plans.held.grants()
    }

    /// What the run did.
    #[must_use]
    pub fn history(&self) -> &History {
        self.state.plans.held.history()
    }

    /// Holds the grants against the configuration and the catalogue of now, if they were not yet: one that `rests` on
    /// something else counts only once it was reviewed again.
    pub fn hold_against(&mut self, now: Against, rests: impl Fn(&Grant) -> Rests) {
        let plans = &mut self.state.plans;
        if plans.against == Some(now) {
            return;
        }
        let differs = |grant: &&Grant| rests(grant) == Rests::OnSomethingElse;
        plans.suspended =
            plans.held.grants().iter().filter(differs).map(|grant| grant.terms().number).collect();
        plans.against = Some(now);
    }

    /// The step that `attempt` belongs to.
    #[must_use]
    pub fn step(&self, attempt: &Attempt<'_>) -> Option<Match<'_>> {
        let Plans { held, suspended, .. } = &self.state.plans;
        held.find(attempt, |grant| !grant.is_of_person() && !suspended.contains(&grant.terms().number))
    }

    /// Whether a person said yes to calls like `attempt`, and one is left.
    #[must_use]
    pub fn has_like(&self, attempt: &Attempt<'_>) -> bool {
        self.state.plans.held.find(attempt, Grant::is_of_person).is_some()
    }

    /// Takes one of those calls. It counts from here on, whatever becomes of the call.
    pub fn use_like(&mut self, attempt: &Attempt<'_>) -> Option<Use> {
        self.state.plans.held.take(attempt, Grant::is_of_person)
    }

    /// The step of which `used` is a use, whatever is left of it.
    #[must_use]
    pub fn used_step(&self, used: &StepUse) -> Option<Match<'_>> {
        self.state.plans.held.used(used)
    }

    /// Takes a use of that step. It counts from here on, whatever becomes of the call.
    pub fn use_step(&mut self, attempt: &Attempt<'_>) -> Option<Use> {
        let Plans { held, suspended, .. } = &mut self.state.plans;
        held.take(attempt, |grant| !grant.is_of_person() && !suspended.contains(&grant.terms().number))
    }

    /// Takes in how the call ended that `used` was taken for, and gives what is to be recorded of it.
    pub fn conclude_step(&mut self, used: Use, ended: Ended<'_>) -> Option<Concluded> {
        self.state.plans.held.conclude(used, ended)
    }

    /// Takes in a call that is made now, and gives it where it is news.
    pub fn note(&mut self, deed: Deed<'_>) -> Option<Past> {
        self.state.plans.held.take_in(deed)
    }

    /// Whether `grant`, of this run, counts as far as what it rests on goes.
    #[must_use]
    pub fn counts(&self, grant: &Grant) -> bool {
        !self.state.plans.suspended.contains(&grant.terms().number)
    }

    /// Takes a person's answer to a step that waits for one, which is on the record; nothing where none does.
    pub fn answer_step(&mut self, grant: u32, step: &str, word: Word) -> Option<()> {
        self.state.plans.held.answer(grant, step, word)
    }

    /// Takes the yes of one of several people to a step, which is on the record; nothing where none waits for it.
    pub fn agree_step(&mut self, grant: u32, step: &str, person: Person) -> Option<()> {
        self.state.plans.held.agree(grant, step, person)
    }

    /// The number of the next grant; `None` where the run has as many as it may have.
    #[must_use]
    pub fn next_grant(&self) -> Option<u32> {
        self.state.plans.held.next_number()
    }

    /// Takes in a grant that is on the record, durably.
    pub fn grant(&mut self, grant: Grant) {
        self.state.plans.held.add(grant);
        // It is held against what is there when it is used.
        self.state.plans.against = None;
    }
}

/// Whether a grant rests on the labels, flows and shapes of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rests {
    /// It does.
    OnThese,
    /// It was reviewed under others.
    OnSomethingElse,
}
