//! The questions to people that a journal holds: which were asked, by which rules, and what became of each.
//!
//! Must never change a file. Trusts no record: what a member does not say is empty.

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use super::Seq;
use super::line::Kind;
use super::query::{STEP, begin};
use super::recorded::Rule;
use super::stream::{Item, Stream};
use super::tail::TailError;
use crate::model::approval::{ApprovalChange, Asked};
use crate::model::facts::RunId;

/// What one record says of a question: about a call, or about a step of a plan.
#[derive(Debug, Clone)]
pub struct AskedRecord {
    /// When it was written.
    pub at: Timestamp,
    /// What the question is told from others by.
    pub id: String,
    /// What became of it.
    pub change: ApprovalChange,
    /// The rules that ask, in words with their places, where it was asked.
    pub rules: Vec<String>,
    /// From when on nobody can answer it, where it was asked.
    pub until: Option<Timestamp>,
}

/// `approval`: of a call.
#[derive(Deserialize)]
struct OfCall {
    t: Timestamp,
    change: String,
    asked: Asked,
    #[serde(default)]
    rules: Vec<Rule>,
}

/// `plan`: each step that needs a person is a question.
#[derive(Deserialize)]
struct OfPlan {
    t: Timestamp,
    run: RunId,
    submitted: Submitted,
    grant: Granted,
}

#[derive(Deserialize)]
struct Submitted {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    id: String,
    verdict: String,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    rule: String,
}

#[derive(Deserialize)]
struct Granted {
    terms: Terms,
}

#[derive(Deserialize)]
struct Terms {
    number: u32,
    until: Timestamp,
}

/// `grant`: a person answered a step.
#[derive(Deserialize)]
struct OfStep {
    t: Timestamp,
    run: RunId,
    change: String,
    grant_number: u32,
    step_id: String,
}

/// What the question about a step is told from others by.
fn step_id(run: &RunId, number: u32, step: &str) -> String {
    format!("{run}/{number}/{step}")
}

impl AskedRecord {
    fn of(item: &Item) -> Vec<Self> {
        match item.kind {
            Kind::Approval => Self::of_call(&item.line).into_iter().collect(),
            Kind::Plan => Self::of_plan(&item.line),
            Kind::Grant => Self::of_step(&item.line).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn of_call(line: &str) -> Option<Self> {
        let OfCall { t: at, change, asked, rules } = serde_json::from_str(line).ok()?;
        let (id, until) = (asked.id.to_string(), Some(asked.until));
        let change = ApprovalChange::parse(&change)?;
        Some(Self { at, id, change, rules: rules.into_iter().map(Rule::words).collect(), until })
    }

    /// Of one of which nothing was granted nobody is asked.
    fn of_plan(line: &str) -> Vec<Self> {
        let Ok(OfPlan { t: at, run, submitted, grant }) = serde_json::from_str(line) else {
            return Vec::new();
        };
        let Terms { number, until } = grant.terms;
        let waiting = submitted.steps.into_iter().filter(|step| step.verdict == "person");
        let asked = waiting.map(|step| Self {
            at,
            id: step_id(&run, number, &step.id),
            change: ApprovalChange::Asked,
            rules: step.findings.into_iter().map(|finding| finding.rule).collect(),
            until: Some(until),
        });
        asked.collect()
    }

    fn of_step(line: &str) -> Option<Self> {
        let OfStep { t: at, run, change, grant_number, step_id: step } = serde_json::from_str(line).ok()?;
        let (id, change) = (step_id(&run, grant_number, &step), ApprovalChange::parse(&change)?);
        Some(Self { at, id, change, rules: Vec::new(), until: None })
    }
}

/// Hands what the journal in `dir` says of questions since that moment to `visit`, in its order. `progress` is told the
/// number of the last record that was read.
///
/// # Errors
/// [`TailError`] where the journal cannot be read, or is damaged.
pub fn asked(
    dir: &Path,
    since: Option<Timestamp>,
    mut visit: impl FnMut(AskedRecord),
    mut progress: impl FnMut(Seq),
) -> Result<(), TailError> {
    let mut stream = Stream::new(dir, begin(dir, since)?);
    loop {
        let items = stream.read(STEP)?;
        let Some(last) = items.last() else { return Ok(()) };
        progress(last.seq);
        let records = items.iter().flat_map(AskedRecord::of);
        records.filter(|record| since.is_none_or(|since| since <= record.at)).for_each(&mut visit);
    }
}
