//! What is recorded of plans: that one was submitted, what its review said of each step, and what became of its grant.
//!
//! Must never hold a note of a plan, but in the plan itself, which its grant needs to be found again.

use super::Claim;
use crate::model::approval::Word;
use crate::model::digest::Sha256;
use crate::model::person::Person;
use crate::model::reason::Reason;
use crate::plan::{Concluded, Grant, StepId, Verdict};

/// A plan that was submitted (`plan`).
#[derive(Debug)]
pub struct PlanFacts {
    /// The digest of what was submitted.
    pub sha256: Sha256,
    /// Its size.
    pub bytes: u64,
    /// What came of it.
    pub result: PlanResult,
}

/// What came of a plan.
#[derive(Debug)]
pub enum PlanResult {
    /// It cannot be read, or does not fit its tools: this many things are wrong.
    Invalid(usize),
    /// It was reviewed, and nothing of it is granted.
    Refused(Vec<StepFacts>),
    /// It was reviewed; what was not refused is granted, or waits for a person.
    Granted(Vec<StepFacts>, Box<Grant>),
}

/// What the review said of one step.
#[derive(Debug)]
pub struct StepFacts {
    /// Which.
    pub id: StepId,
    /// The tool as the plan names it. Claimed.
    pub tool: Claim,
    /// What comes of it, and by which rules.
    pub verdict: Verdict,
    /// How many calls it is for.
    pub calls: u32,
}

/// What became of a grant after it was made (`grant`).
#[derive(Debug)]
pub enum GrantChange {
    /// A step was done, and this is what later steps may use of its answer.
    Done(Concluded),
    /// A person said yes to a step for which more have to. Durable before it counts.
    Agreed {
        /// The number of the grant in its run.
        grant: u32,
        /// The step.
        step: StepId,
        /// Who.
        by: Person,
    },
    /// A person answered a step that waited for one. Durable before it counts.
    Answered {
        /// The number of the grant in its run.
        grant: u32,
        /// The step.
        step: StepId,
        /// What the person said.
        word: Word,
        /// Who.
        by: Person,
    },
}

impl PlanResult {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Refused(_) => "refused",
            Self::Granted(..) => "granted",
        }
    }

    /// The reason code of the answer.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_) => Reason::PlanInvalid,
            Self::Refused(_) => Reason::PlanRefused,
            Self::Granted(..) => Reason::Allowed,
        }
    }

    /// What is granted.
    #[must_use]
    pub const fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Invalid(_) | Self::Refused(_) => None,
            Self::Granted(_, grant) => Some(grant),
        }
    }

    /// What the review said of each step.
    #[must_use]
    pub fn steps(&self) -> &[StepFacts] {
        match self {
            Self::Invalid(_) => &[],
            Self::Refused(steps) | Self::Granted(steps, _) => steps,
        }
    }
}
