//! What is recorded of plans: that one was submitted, what its review said of each step, and what became of its grant.
//!
//! Must never hold a note of a plan, but in the plan itself, which its grant needs to be found again.

use std::time::Duration;

use super::{Claim, Detail};
use crate::model::approval::Word;
use crate::model::digest::Sha256;
use crate::model::person::Person;
use crate::model::reason::Reason;
use crate::plan::{Concluded, Grant, OpinionWord, StepId, Verdict};

/// A plan that was submitted (`plan`).
#[derive(Debug)]
pub struct PlanFacts {
    /// The digest of what was submitted.
    pub sha256: Sha256,
    /// Its size.
    pub bytes: u64,
    /// What came of it.
    pub result: PlanResult,
    /// What a reviewer outside was asked of it, where one was.
    pub consulted: Option<ConsultedFacts>,
}

/// What a reviewer outside was asked of a plan, and said.
#[derive(Debug)]
pub struct ConsultedFacts {
    /// The digest of what was asked.
    pub request: Sha256,
    /// The digest of what came back, where it was signed by the reviewer.
    pub answer: Option<Sha256>,
    /// Whether it counts.
    pub result: Consultation,
    /// What it says of each step, in order.
    pub words: Vec<OpinionWord>,
    /// Why it does not count.
    pub why: Option<Detail>,
    /// How long it took.
    pub took: Duration,
}

/// Whether what a reviewer outside said counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consultation {
    /// It does.
    Said,
    /// It said nothing that does.
    Silent,
    /// What it was asked about was another thing once it had answered: the run, its grants or the configuration.
    Outdated,
}

impl Consultation {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Said => "said",
            Self::Silent => "silent",
            Self::Outdated => "outdated",
        }
    }
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
