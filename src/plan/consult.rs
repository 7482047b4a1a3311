//! What a reviewer outside of the gateway is asked of a plan, and how its answer is read (DESIGN §9.5).
//!
//! Pure: who sends and fetches the bytes is elsewhere. Must never show a text that the plan, its sender or a tool server
//! chose: what is asked holds names of the configuration, names that accepted definitions give to arguments, and
//! features. Must never take an answer to another question, nor one that leaves a step out.

use serde::{Deserialize, Serialize};

use crate::model::digest::Sha256;
use crate::model::name::{Goal, RuleName};
use crate::model::provenance::Provenance;
use crate::wire::strict;

use super::features::{Domains, StepFeatures};
use super::read::STEPS_MAX;
use super::review::Review;

/// The version of what is asked and answered.
const VERSION: u32 = 1;
/// Largest answer that is read, in bytes.
pub const REVIEWER_ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Deepest nesting of an answer.
const DEPTH_MAX: usize = 4;
/// Most keys and elements of an answer.
const MEMBERS_MAX: usize = 8 + 4 * STEPS_MAX;

/// What is asked of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Brief {
    /// The kind of request that the credential vouches for. What the plan says of itself is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
    /// What has influenced the run until now.
    sources: Provenance,
    steps: Vec<BriefStep>,
}

/// What is asked of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct BriefStep {
    /// Its number, from 0: what the plan calls it is a text of the plan.
    step: usize,
    /// What comes of it without the reviewer: `granted`, `person` or `refused`.
    verdict: &'static str,
    /// What the operator says that the tool does.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    #[serde(flatten)]
    features: StepFeatures,
}

/// A request to a reviewer, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewerRequest {
    id: String,
    body: Vec<u8>,
    digest: Sha256,
    steps: usize,
}

/// What a reviewer says of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// Of each step, in order.
    Said(Vec<StepOpinion>),
    /// Nothing that counts.
    Silent,
}

/// What it says of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOpinion {
    /// The word.
    pub word: OpinionWord,
    /// The rule of its own by which it says so.
    pub rule: Option<RuleName>,
}

/// What a reviewer can say of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpinionWord {
    /// It stays as it is.
    Agree,
    /// A person has to look.
    Ask,
    /// No.
    Deny,
}

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It is not what docs/reviewer-answer.schema.json says.
    #[error("it does not fit the schema of answers")]
    Schema,
    /// It answers another request.
    #[error("it answers another request")]
    Other,
    /// It does not say one word of each step.
    #[error("it does not say one word of each step")]
    Steps,
}

/// An answer as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    v: u32,
    id: String,
    request: String,
    steps: Vec<AnsweredStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnsweredStep {
    step: usize,
    verdict: OpinionWord,
    #[serde(default)]
    rule: Option<RuleName>,
}

impl Review {
    /// What a reviewer is asked of the plan, whose credential vouches for `goal`, where the operator knows the domains
    /// `known`; `None` where every step is refused, so that nothing it says would count.
    #[must_use]
    pub fn brief(&self, goal: Option<&Goal>, known: &Domains) -> Option<Brief> {
        if self.is_refused() {
            return None;
        }
        let tools = self.fitted.tools.iter().map(Option::as_ref);
        let lines = tools.map(|tool| tool.and_then(|tool| tool.labels.review_line.clone()));
        let steps = self.steps.iter().zip(lines).zip(self.fitted.features(known)).enumerate();
        let steps = steps.map(|(step, ((reviewed, line), features))| BriefStep {
            step,
            verdict: reviewed.verdict.code(),
            line,
            features,
        });
        Some(Brief { goal: goal.cloned(), sources: self.under.clone(), steps: steps.collect() })
    }
}

impl Brief {
    /// The request of this `id` that asks it; `None` where it cannot be written.
    #[must_use]
    pub fn request(&self, id: &str) -> Option<ReviewerRequest> {
        #[derive(Serialize)]
        struct Request<'a> {
            v: u32,
            id: &'a str,
            #[serde(flatten)]
            brief: &'a Brief,
        }
        let body = serde_json::to_vec(&Request { v: VERSION, id, brief: self }).ok()?;
        let digest = Sha256::of(&body);
        Some(ReviewerRequest { id: id.to_owned(), body, digest, steps: self.steps.len() })
    }
}

impl ReviewerRequest {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its bytes.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Their digest, which the answer has to name.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// What the reviewer says, by its `answer` to exactly this request.
    ///
    /// # Errors
    /// [`Misfit`] says why it does not count.
    pub fn read(&self, answer: &[u8]) -> Result<Opinion, Misfit> {
        if answer.len() > REVIEWER_ANSWER_BYTES_MAX {
            return Err(Misfit::Schema);
        }
        let text = strict::document(answer, DEPTH_MAX, MEMBERS_MAX).map_err(|_| Misfit::Schema)?;
        let answer: Answer = serde_json::from_str(text).map_err(|_| Misfit::Schema)?;
        if answer.v != VERSION {
            return Err(Misfit::Schema);
        }
        // A message of this gateway that somebody sends back is no answer either: no request holds its own digest.
        if answer.id != self.id || answer.request != format!("sha256:{}", self.digest) {
            return Err(Misfit::Other);
        }
        let mut said = answer.steps;
        said.sort_by_key(|said| said.step);
        if said.len() != self.steps || said.iter().enumerate().any(|(at, said)| said.step != at) {
            return Err(Misfit::Steps);
        }
        let each = said.into_iter().map(|said| StepOpinion { word: said.verdict, rule: said.rule });
        Ok(Opinion::Said(each.collect()))
    }
}

impl Opinion {
    /// What is said of the step of this number, if anything is.
    #[must_use]
    pub fn of(&self, step: usize) -> Option<&StepOpinion> {
        match self {
            Self::Said(steps) => steps.get(step),
            Self::Silent => None,
        }
    }

    /// The word on each step.
    pub fn words(&self) -> impl Iterator<Item = OpinionWord> {
        let steps: &[StepOpinion] = match self {
            Self::Said(steps) => steps,
            Self::Silent => &[],
        };
        steps.iter().map(|said| said.word)
    }
}

impl OpinionWord {
    /// The stable word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}
