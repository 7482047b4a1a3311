//! The review of a plan: what of it is granted, what needs a person, what is refused, and by which rule (DESIGN §9).
//!
//! It looks at *what* a step does and never at *why*: no note and no free text takes part. Pure: the same plan, labels,
//! answers and rules give the same review. Must never grant what a source, the roles or the agent deny whatever the
//! arguments are (I1), must never refuse a step of a hidden tool in another way than one of a tool that does not exist
//! (I5), and in doubt asks a person. Trusts the answers, labels and rules it is given.

mod judge;
mod order;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::approver::{Approver, Question, has_approver};
use crate::model::name::{Goal, SourceName, Subject};
use crate::model::place::Place;
use crate::model::provenance::Provenance;
use crate::model::target::Target;
use crate::model::trigger::Trigger;

use super::consult::Opinion;
use super::fit::Fitted;
use super::flow::{Flow, History};
use super::grant::{Grant, Spent};
use super::shape::Shape;
use super::steps::{Plan, StepId};

pub use crate::model::ceiling::{Answers, Said};
pub use said::{BuiltIn, Finding, Ground, ReviewRule, Told, ToldFinding};

/// Most calls of a step that only reads and does not say how many it is for.
pub const READ_CALLS_MAX: u32 = 32;
/// Most findings that one step has.
pub const FINDINGS_MAX: usize = 32;

/// What a plan is reviewed under.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// What has influenced the run until now.
    pub provenance: &'a Provenance,
    /// What started the run.
    pub trigger: &'a Trigger,
    /// The kind of request that the credential vouches for.
    pub goal: Option<&'a Goal>,
    /// The texts that the subject of the run is known by: itself, its addresses.
    pub subject: &'a [String],
    /// `[[flows]]`.
    pub flows: &'a [Flow],
    /// What the run has done.
    pub history: &'a History,
    /// `[[requests]]`.
    pub shapes: &'a [Shape],
    /// What was granted to the run already.
    pub grants: &'a [Grant],
    /// What a reviewer outside says, where there is one.
    pub outside: Option<Heard<'a>>,
    /// Whether anybody can be asked.
    pub people: People,
    /// When it is reviewed.
    pub now: Timestamp,
}

/// What a reviewer outside says of the plan.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// What.
    pub opinion: &'a Opinion,
    /// Where the configuration names it.
    pub place: &'a Place,
}

/// Whether a person can answer for the run's sources and tools (`[[approvers]]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum People {
    /// Somebody can.
    Reachable,
    /// Nobody can: what needs a person is refused.
    Nobody,
}

/// What comes of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "findings")]
pub enum Verdict {
    /// Its calls meet *plan*. The findings say by which rules.
    Granted(Vec<Finding>),
    /// A person has to say yes first. The findings say why.
    Person(Vec<Finding>),
    /// It is not granted. The findings say why.
    Refused(Vec<Finding>),
}

/// One step, reviewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// Which.
    pub step: StepId,
    /// What comes of it.
    pub verdict: Verdict,
    /// How many calls it is for.
    pub uses: u32,
    /// The sources whose shapes cover it.
    pub(super) covered: BTreeSet<SourceName>,
    /// What it takes of the shapes' counts.
    pub(super) spent: Vec<Spent>,
    /// The flows that it meets whatever the run does in between.
    pub(super) flows: BTreeSet<Arc<str>>,
    /// The flows that a person's yes to it meets too.
    pub(super) asked_flows: BTreeSet<Arc<str>>,
}

impl Verdict {
    /// The stable word.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Granted(_) => "granted",
            Self::Person(_) => "person",
            Self::Refused(_) => "refused",
        }
    }

    /// Why.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Granted(findings) | Self::Person(findings) | Self::Refused(findings) => findings,
        }
    }
}

impl Reviewed {
    /// What whoever wrote the plan is told of the step: no rule, no place, and of a tool that is hidden nothing.
    #[must_use]
    pub fn told(&self) -> Told {
        let calls = if matches!(self.verdict, Verdict::Refused(_)) { 0 } else { self.uses };
        // What grants a step says nothing that helps, but that a person is asked all the same.
        let is_told = |ground| !matches!(ground, Ground::Within | Ground::Covered | Ground::FlowPlanned);
        let told =
            self.verdict.findings().iter().filter(|finding| is_told(finding.ground)).map(Finding::told);
        let mut why: Vec<ToldFinding> = told.collect();
        // Several rules may have one ground: it is said once.
        why.dedup();
        Told { step: self.step.clone(), verdict: self.verdict.code(), calls, why }
    }
}

/// A plan that was reviewed. Only [`review`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    pub(super) fitted: Fitted,
    pub(super) steps: Vec<Reviewed>,
    /// What had influenced the run when it was reviewed.
    pub(super) under: Provenance,
}

/// Reviews a plan that fits its tools.
#[must_use]
pub fn review(fitted: Fitted, under: Circumstances<'_>, answers: &dyn Answers) -> Review {
    let steps = judge::steps(&fitted, under, answers);
    Review { fitted, steps, under: under.provenance.clone() }
}

/// The same, where only `approvers` can be asked about runs of `subject`: where a step needs a person whom nobody is,
/// what needs a person is refused.
#[must_use]
pub fn review_among(
    fitted: Fitted,
    under: Circumstances<'_>,
    answers: &dyn Answers,
    (approvers, subject): (&[Approver], &Subject),
) -> Review {
    let asked = review(fitted.clone(), Circumstances { people: People::Reachable, ..under }, answers);
    match asked.has_people(approvers, subject) {
        true => asked,
        false => review(fitted, Circumstances { people: People::Nobody, ..under }, answers),
    }
}

impl Review {
    /// Whether one of `approvers` may answer for every step that needs a person.
    fn has_people(&self, approvers: &[Approver], subject: &Subject) -> bool {
        let steps = self.steps.iter().zip(&self.fitted.tools);
        let mut asked = steps.filter(|(reviewed, _)| matches!(reviewed.verdict, Verdict::Person(_)));
        asked.all(|(_, tool)| {
            tool.as_ref().is_some_and(|tool| {
                let target = Target::Tool(tool.id.clone());
                let question = Question { sources: &self.under, target: &target, subject };
                has_approver(approvers, question)
            })
        })
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        self.fitted.plan()
    }

    /// Its steps, in order, with what comes of each.
    #[must_use]
    pub fn steps(&self) -> &[Reviewed] {
        &self.steps
    }

    /// Whether nothing of it is granted, nor will be if a person says yes.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.verdict, Verdict::Refused(_)))
    }
}

/// How many calls of the shapes' entries are spoken for, by the name of the shape and the number of the entry.
type Tally = BTreeMap<(Arc<str>, usize), u32>;
