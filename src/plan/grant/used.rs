//! Using a step: the proof of it, and what its outcome brings.
//!
//! Must never lower a count, whatever became of the call, and never count one call twice or two as one. A [`Use`] is
//! made in one place; it owns the right to conclude the step once.

use serde::{Deserialize, Serialize};

use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::planned::StepUse;

use super::super::outcome::{SELECTED_MAX, selected};
use super::super::steps::StepId;
use super::{Attempt, ByQuery, Done, Grant, Terms};

/// The proof that a use of a step was taken for one call. Only [`Grant::take`] makes one.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Use {
    plan: Sha256,
    run: RunId,
    /// Of its grant.
    number: u32,
    step: StepId,
    /// Which use of the step it is, from 1.
    count: u32,
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub enum Ended<'a> {
    /// With this raw result.
    Answered(&'a [u8]),
    /// In another way: its step stays used and is not done.
    Failed,
}

/// What the outcome of a call brings to its grant: recorded, and enough to bring it again after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concluded {
    /// The number of the grant.
    pub grant: u32,
    /// The step.
    pub step: StepId,
    /// The digests of what later steps' queries selected of the answer.
    pub selected: ByQuery,
}

impl Grant {
    /// Takes a use of the step that `attempt` belongs to; nothing where it belongs to none. Nothing gives it back.
    pub fn take(&mut self, attempt: &Attempt<'_>) -> Option<Use> {
        let number = self.find(attempt)?.number;
        let step = self.plan.steps.get(number)?.id.clone();
        let granted = self.steps.get_mut(number)?;
        granted.used = granted.used.saturating_add(1);
        let (plan, Terms { run, number, .. }) = (self.plan.digest, self.terms.clone());
        Some(Use { plan, run, number, step, count: granted.used })
    }

    /// Takes in how the call ended that `used` was taken for. What is to be recorded of it; nothing where the call
    /// failed, or where the use is of another grant.
    pub fn conclude(&mut self, used: Use, ended: Ended<'_>) -> Option<Concluded> {
        if (used.number, &used.run) != (self.terms.number, &self.terms.run) {
            return None;
        }
        let Ended::Answered(result) = ended else { return None };
        let later = self.plan.steps.iter().flat_map(|step| step.selections());
        let queries = later.filter(|(step, _)| **step == used.step).map(|(_, query)| query);
        let concluded =
            Concluded { grant: used.number, selected: selected(result, queries)?, step: used.step };
        self.restore_conclusion(&concluded);
        Some(concluded)
    }

    /// Counts the use number `count` of a step, which is on record, after a restart. It gives no proof: the call was
    /// made, or may have been. A use before it that is not on record counts too: its call went nowhere.
    pub fn restore_use(&mut self, step: &str, count: u32) {
        if let Some(granted) = StepId::new(step).and_then(|step| self.granted(&step)) {
            granted.used = granted.used.max(count);
        }
    }

    /// Takes in what an outcome brought that is on record.
    pub fn restore_conclusion(&mut self, concluded: &Concluded) {
        let Some(granted) = self.granted(&concluded.step) else { return };
        granted.done = Done::Once;
        let known = self.selected.entry(concluded.step.clone()).or_default();
        for (query, digests) in &concluded.selected {
            let of_query = known.entry(query.clone()).or_default();
            let room = SELECTED_MAX.saturating_sub(of_query.len());
            let more: Vec<_> = digests.difference(of_query).copied().collect();
            if more.len() <= room {
                of_query.extend(more);
            }
        }
    }
}

impl Use {
    /// The step.
    #[must_use]
    pub fn step(&self) -> &StepId {
        &self.step
    }

    /// The digest of the plan.
    #[must_use]
    pub fn plan(&self) -> Sha256 {
        self.plan
    }

    /// The number of its grant.
    pub(in crate::plan) fn number(&self) -> u32 {
        self.number
    }

    /// What its record says.
    #[must_use]
    pub fn told(&self) -> StepUse {
        StepUse { plan: self.plan, grant: self.number, step: self.step.as_str().into(), count: self.count }
    }

    /// Which use of the step it is, from 1.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }
}
