//! The plan of a test: what it is, and whether each of its steps gets what the test expects.
//!
//! Must never pass a test whose plan was not reviewed: where the definition of a tool is not known, that is said.

use std::io::Read;

use jiff::Timestamp;

use crate::config::code::Code;
use crate::config::node::{Located, suggestion};
use crate::config::rehearsal::Rehearsal;
use crate::model::name::{Goal, SourceName};
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::trigger::Trigger;
use crate::plan::{Finding, PLAN_BYTES_MAX, Problem, Review};

use super::Reading;

impl Reading<'_> {
    /// Reviews the plan that the test submits, if it does, and compares.
    pub(super) fn plan(&self, rehearsal: &Rehearsal<'_>, principal: &Principal, now: Timestamp) {
        let Some(written) = &self.trial.submits else { return self.no_plan() };
        let Some(raw) = self.raw(written) else { return };
        let (goal, after) = (self.goal(), self.after());
        let (Some(goal), Some(after)) = (goal, after) else { return };
        let trigger = Trigger { goal, ..principal.trigger.clone() };
        let principal = Principal { trigger, ..principal.clone() };
        let mut provenance = principal.sources.clone();
        provenance.join(&Provenance::of(after));
        match rehearsal.review(&raw, &principal, &provenance, now) {
            Err(problems) => problems.iter().for_each(|problem| self.wrong(written, problem)),
            Ok(review) => {
                let unknown =
                    review.plan().steps().iter().find(|step| rehearsal.catalogue.find(step.tool()).is_none());
                match unknown {
                    Some(step) => self.not_run(written, step.tool()),
                    None => self.compare(written, &review),
                }
            }
        }
    }

    fn no_plan(&self) {
        let expected = self.trial.verdicts.iter().find(|(_, steps)| !steps.is_empty());
        if let Some((word, _)) = expected {
            let help = "add `submits = \"plans/meeting.json\"`, or the plan itself as a string";
            self.bad(&self.trial.place, format!("`{word}` in a test that submits no plan"), help);
        }
    }

    /// The plan, where it stands in the test or in the file that is named.
    fn raw(&self, written: &Located<String>) -> Option<Vec<u8>> {
        if written.value.trim_start().starts_with('{') {
            return Some(written.value.clone().into_bytes());
        }
        let path = self.scope.path(&written.value);
        self.scope.found.note_file(&path);
        let mut raw = Vec::new();
        let most = u64::try_from(PLAN_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let read = std::fs::File::open(&path).and_then(|file| file.take(most).read_to_end(&mut raw));
        if let Err(error) = read {
            let message = format!("the plan `{}` cannot be read: {error}", path.display());
            self.bad(&written.place, message, "name a file, or write the plan itself as a string");
            return None;
        }
        Some(raw)
    }

    /// The goal of the test, if it has one; `None` where that is no goal.
    fn goal(&self) -> Option<Option<Goal>> {
        let Some(written) = &self.trial.goal else { return Some(None) };
        match Goal::new(&written.value) {
            Ok(goal) => Some(Some(goal)),
            Err(error) => {
                let message = format!("`{}` does not name a goal: {error}", written.value);
                self.bad(&written.place, message, "write the goal as the credential says it");
                None
            }
        }
    }

    fn after(&self) -> Option<Vec<SourceName>> {
        let sources = &self.scope.names.sources;
        self.trial.after.iter().map(|source| sources.take(source, self.scope.found)).collect()
    }

    fn wrong(&self, written: &Located<String>, problem: &Problem) {
        let Problem { step, at, why, mend, .. } = problem;
        let step = step.as_ref().map_or_else(String::new, |step| format!("step `{}`, ", step.as_str()));
        let message =
            format!("the plan of the test `{}` is wrong: {step}at `{}`: {why}", self.title, at.as_str());
        self.bad(&written.place, message, mend);
    }

    fn not_run(&self, written: &Located<String>, tool: &str) {
        let message = format!("not run: the plan names `{tool}`, whose definition is not accepted yet");
        let help = "start the gateway once, or run `sluicegate init`, so that `gateway.lock` holds it";
        self.scope.found.note(Code::TestNotRun, &written.place, message, help);
    }

    fn compare(&self, written: &Located<String>, review: &Review) {
        if self.trial.verdicts.iter().all(|(_, steps)| steps.is_empty()) {
            let help = "add `granted = [\"s1\"]`, `asks` or `refused`";
            let message = format!("the test `{}` expects nothing of its plan", self.title);
            self.bad(&written.place, message, help);
        }
        for (word, steps) in &self.trial.verdicts {
            for step in steps {
                let reviewed = review.steps().iter().find(|reviewed| reviewed.step.as_str() == step.value);
                let Some(reviewed) = reviewed else {
                    let known: Vec<_> =
                        review.steps().iter().map(|reviewed| reviewed.step.as_str()).collect();
                    let message = format!("the plan has no step `{}`", step.value);
                    self.bad(&step.place, message, suggestion(&step.value, &known));
                    continue;
                };
                let found = match reviewed.verdict.code() {
                    "person" => "asks",
                    other => other,
                };
                if found == *word {
                    continue;
                }
                let message = format!(
                    "the test `{}` expects `{word}` for the step `{}`, and it is `{found}`",
                    self.title, step.value
                );
                let why = |finding: &Finding| format!("{} ({})", finding.rule, finding.ground.code());
                let rules: Vec<_> = reviewed.verdict.findings().iter().map(why).collect();
                let help =
                    if rules.is_empty() { "nothing is said of it".to_owned() } else { rules.join(", ") };
                self.scope.found.error(Code::TestFailed, &step.place, message, format!("by {help}"));
            }
        }
    }
}
