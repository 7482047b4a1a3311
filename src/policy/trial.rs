//! `[[tests]]`: runs that are decided without anybody calling, and what each call of them was expected to be.
//!
//! Must never decide by itself: every answer is that of [`Policy::decide`], over the same run of calls.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::row::Shadow;
use super::{Planned, Policy, Standing};
use crate::model::call::Call;
use crate::model::decision::{Answer, Decision};
use crate::model::place::Place;
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::Target;

/// One run of calls.
#[derive(Debug)]
pub struct Trial {
    /// Who calls; its trigger is what the run was started by.
    pub principal: Principal,
    /// When.
    pub now: Timestamp,
    /// What is called, in this order.
    pub steps: Vec<Step>,
}

/// One call of a trial, and what is expected of it.
#[derive(Debug)]
pub struct Step {
    /// What is called.
    pub target: Target,
    /// With which arguments: a raw JSON object, empty where there is none.
    pub values: Bytes,
    /// Why it is refused although the policy allows it.
    pub refused: Option<Reason>,
    /// The sources of what it returns; they join the run where the call is allowed.
    pub returns: Provenance,
    /// How much later than the call before it.
    pub after: Duration,
    /// How often.
    pub times: u32,
    /// The answer, each time.
    pub expected: Answer,
    /// The reason, where one is expected.
    pub reason: Option<Reason>,
    /// Where the expectation stands.
    pub place: Place,
}

/// A call that was decided, for whoever counts calls.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// Who calls.
    pub principal: &'a Principal,
    /// What had influenced the run.
    pub provenance: &'a Provenance,
    /// What is called.
    pub target: &'a Target,
    /// What the policy says.
    pub verdict: Answer,
    /// When.
    pub now: Timestamp,
}

/// A step that was not answered as it was expected.
#[derive(Debug)]
pub struct Miss {
    /// What was called.
    pub target: Target,
    /// What was expected.
    pub expected: (Answer, Option<Reason>),
    /// What was decided.
    pub decision: Decision,
    /// What had influenced the run by then.
    pub provenance: Provenance,
    /// Where the expectation stands.
    pub place: Place,
}

impl Step {
    /// What is told of a `decision` that is not what was expected.
    fn miss(&self, decision: Decision, provenance: Provenance) -> Option<Miss> {
        let is_as_expected =
            decision.verdict == self.expected && self.reason.is_none_or(|reason| reason == decision.reason);
        let (expected, place) = ((self.expected, self.reason), self.place.clone());
        (!is_as_expected).then(|| Miss { target: self.target.clone(), expected, decision, provenance, place })
    }
}

/// The entries of the lists by which something was decided, by their places.
pub type Exercised = BTreeSet<Place>;

impl Policy {
    /// Runs `trial`: every step that was answered otherwise than it was expected. The places of the entries that
    /// said something are added to `exercised`; `meter` counts each call, and may refuse it with a reason of its own.
    pub fn try_out(
        &self,
        trial: Trial,
        exercised: &mut Exercised,
        mut meter: impl FnMut(Attempt<'_>) -> Result<(), Reason>,
    ) -> Vec<Miss> {
        let Trial { principal, mut now, steps } = trial;
        let mut provenance = principal.sources.clone();
        let closed = BTreeSet::new();
        let mut misses = Vec::new();
        for step in steps {
            now = now.checked_add(step.after).unwrap_or(now);
            for _ in 0..step.times {
                let (brings, trigger) = (&step.returns, &principal.trigger);
                let planned = Planned::default();
                let standing =
                    Standing { provenance: &provenance, brings, closed: &closed, trigger, planned, now };
                let call = Call::hypothetical(step.target.clone(), step.values.clone());
                self.note(&principal, standing, &call, exercised);
                let mut decision = self.ruling(&principal, standing, &call);
                if let Some(reason) = step.refused.filter(|_| decision.verdict == Answer::Allow) {
                    decision = Decision { verdict: Answer::Deny, reason, rules: Vec::new(), ..decision };
                }
                let (verdict, target) = (decision.verdict, &step.target);
                let attempt =
                    Attempt { principal: &principal, provenance: &provenance, target, verdict, now };
                if let Err(reason) = meter(attempt) {
                    decision = Decision { verdict: Answer::Deny, reason, rules: Vec::new(), ..decision };
                }
                let was = provenance.clone();
                if decision.verdict == Answer::Allow {
                    provenance.join(brings);
                }
                if let Some(miss) = step.miss(decision, was) {
                    misses.push(miss);
                    break;
                }
            }
        }
        misses
    }

    /// Notes which entries say something to `call`.
    fn note(&self, principal: &Principal, standing: Standing<'_>, call: &Call, exercised: &mut Exercised) {
        self.ask(principal, standing, call, |question| {
            let Some(question) = question else { return };
            let findings = self.findings(question, Shadow::Recorded);
            let entries = findings.all.iter().filter_map(|finding| finding.said.entry);
            exercised.extend(entries.map(|entry| entry.place.clone()));
        });
    }
}
