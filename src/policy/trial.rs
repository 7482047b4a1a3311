//! `[[tests]]`: runs that are decided without anybody calling, and what each call of them was expected to be.
//!
//! Must never decide by itself: every answer is that of [`Policy::decide`], over the same run of calls.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::row::Shadow;
use super::{Policy, Ruling, Standing};
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
    /// The call. What it returns joins the run where the call is allowed.
    pub call: Call,
    /// The answer.
    pub expected: Answer,
    /// The reason, where one is expected.
    pub reason: Option<Reason>,
    /// Where the expectation stands.
    pub place: Place,
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

/// The entries of the lists by which something was decided, by their places.
pub type Exercised = BTreeSet<Place>;

impl Policy {
    /// Runs `trial`: every step that was answered otherwise than it was expected. The places of the entries that
    /// said something are added to `exercised`.
    pub fn try_out(&self, trial: Trial, exercised: &mut Exercised) -> Vec<Miss> {
        let Trial { principal, now, steps } = trial;
        let mut provenance = principal.sources.clone();
        let closed = BTreeSet::new();
        let mut misses = Vec::new();
        for Step { call, expected, reason, place } in steps {
            let brings = call.returns.clone();
            let trigger = &principal.trigger;
            let standing =
                Standing { provenance: &provenance, brings: &brings, closed: &closed, trigger, now };
            self.note(&principal, standing, &call, exercised);
            let (decision, target) = match self.decide(&principal, standing, call) {
                Ruling::Permit(permit) => (permit.decision().clone(), permit.into_call().target),
                Ruling::Refuse(call, decision) => (decision, call.target),
            };
            let was = provenance.clone();
            if decision.verdict == Answer::Allow {
                provenance.join(&brings);
            }
            let is_as_expected =
                decision.verdict == expected && reason.is_none_or(|reason| reason == decision.reason);
            if !is_as_expected {
                let expected = (expected, reason);
                misses.push(Miss { target, expected, decision, provenance: was, place });
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
