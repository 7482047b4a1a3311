//! What a run holds of plans: its grants, and what it did, as far as flows look at it.
//!
//! Kept twice: the run's own counts, the journal's is the record that a start goes on with. Must never forget a grant
//! while its run is open: what was used of it counts against request shapes. Trusts whoever holds it to hand in one call
//! at a time.

use crate::model::approval::Word;
use crate::model::person::Person;
use crate::model::planned::{Past, StepUse};

use super::flow::{Deed, History};
use super::grant::{Attempt, Concluded, Ended, Grant, Match, Use};
use super::steps::StepId;

/// Most plans of one run of which something was granted.
pub const GRANTS_MAX: usize = 32;

/// The grants of one run, and what it did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// In the order in which they were made; each knows its number.
    grants: Vec<Grant>,
    history: History,
}

impl Held {
    /// The grants, in the order in which they were made.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// What the run did.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The number of the next grant; `None` where there are as many as there may be.
    #[must_use]
    pub fn next_number(&self) -> Option<u32> {
        let next = self.grants.last().map_or(1, |last| last.terms().number.saturating_add(1));
        (self.grants.len() < GRANTS_MAX).then_some(next)
    }

    /// Takes a grant in. One of a number that is there already is the same, told again.
    pub fn add(&mut self, grant: Grant) {
        if self.grant(grant.terms().number).is_none() {
            self.grants.push(grant);
        }
    }

    /// The step that `attempt` belongs to: of the first grant that has one, of those that `counts` lets count.
    pub fn find(&self, attempt: &Attempt<'_>, counts: impl Fn(&Grant) -> bool) -> Option<Match<'_>> {
        self.grants.iter().filter(|grant| counts(grant)).find_map(|grant| grant.find(attempt))
    }

    /// The step of which `used` is a use, whatever is left of it.
    #[must_use]
    pub fn used(&self, used: &StepUse) -> Option<Match<'_>> {
        let grant = self.grants.iter().find(|grant| grant.terms().number == used.grant)?;
        grant.step(&StepId::new(&used.step)?)
    }

    /// Takes a use of that step. Nothing gives it back.
    pub fn take(&mut self, attempt: &Attempt<'_>, counts: impl Fn(&Grant) -> bool) -> Option<Use> {
        self.grants.iter_mut().filter(|grant| counts(grant)).find_map(|grant| grant.take(attempt))
    }

    /// Takes in how the call ended that `used` was taken for. What is to be recorded of it.
    pub fn conclude(&mut self, used: Use, ended: Ended<'_>) -> Option<Concluded> {
        self.grant(used.number())?.conclude(used, ended)
    }

    /// Takes a call in that is made now. Gives it, for the record, where it is news.
    pub fn take_in(&mut self, deed: Deed<'_>) -> Option<Past> {
        self.history.take_in(deed)
    }

    /// Takes in a use that is on record.
    pub fn restore_use(&mut self, used: &StepUse) {
        if let Some(grant) = self.grant(used.grant) {
            grant.restore_use(&used.step, used.count);
        }
    }

    /// Takes in what a step brought that is on record.
    pub fn restore_conclusion(&mut self, concluded: &Concluded) {
        if let Some(grant) = self.grant(concluded.grant) {
            grant.restore_conclusion(concluded);
        }
    }

    /// Takes a person's answer to a step that waits for one; nothing where none does.
    pub fn answer(&mut self, number: u32, step: &str, word: Word) -> Option<()> {
        let (grant, step) = (self.grant(number)?, StepId::new(step)?);
        match word {
            Word::Approve => grant.approve(&step),
            Word::Deny => grant.decline(&step),
        }
    }

    /// Takes the yes of one of several people to a step that waits for them; nothing where none does.
    pub fn agree(&mut self, number: u32, step: &str, person: Person) -> Option<()> {
        self.grant(number)?.agree(&StepId::new(step)?, person)
    }

    /// Takes in a call that is on record.
    pub fn restore_past(&mut self, past: Past) {
        self.history.restore(past);
    }

    fn grant(&mut self, number: u32) -> Option<&mut Grant> {
        self.grants.iter_mut().find(|grant| grant.terms().number == number)
    }
}
