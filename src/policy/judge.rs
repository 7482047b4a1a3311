//! The answers of all dimensions to one call, joined to one decision that names what determined it.
//!
//! Must never let provenance widen what the credential's own sources allow (I1), nor tell a caller by
//! the order of its checks that a tool exists which it may not see (I5).

use crate::model::call::Pin;
use crate::model::decision::{Answer, Decision, Dimension, Rule, Visibility};
use crate::model::name::{RoleName, SourceName};
use crate::model::principal::Principal;
use crate::model::reason::Reason;

use super::row::{About, Row};
use super::rules::Permission;
use super::{DETERMINING_RULES_MAX, Policy, Standing};

impl Policy {
    pub(super) fn judge(
        &self,
        principal: &Principal,
        standing: Standing<'_>,
        about: About<'_>,
        pin: Option<Pin>,
    ) -> Decision {
        let mut findings = self.own(principal, about);
        if findings.verdict == Answer::Deny {
            return self.decision(Reason::NotVisible, Visibility::Hidden, findings);
        }
        let Standing { provenance, .. } = standing;
        for source in standing.closed_for(principal) {
            findings.add(Finding::silent(Dimension::Closed(source.clone())));
        }
        for source in provenance.iter().filter(|source| !principal.sources.contains(source)) {
            findings.add(Finding::of(self.sources.get(source), about, || Dimension::Source(source.clone())));
        }
        if findings.verdict < Answer::Deny && matches!(pin, Some(Pin::Changed { .. })) {
            findings.add(Finding::silent(Dimension::Pin));
        }
        let reason = match findings.verdict {
            Answer::Allow => Reason::Allowed,
            Answer::Plan => Reason::PlanRequired,
            Answer::Ask => Reason::ApprovalRequired,
            Answer::Deny => findings.refusal(),
        };
        self.decision(reason, Visibility::Visible, findings)
    }

    /// The answers of the credential's own sources, its roles and its agents.
    pub(super) fn own<'a>(&'a self, principal: &Principal, about: About<'_>) -> Findings<'a> {
        let mut findings = Findings { verdict: Answer::Allow, all: Vec::new() };
        if principal.sources.is_empty() {
            // `identity` refuses a credential without a source; should one come here, it may nothing.
            findings.verdict = Answer::Deny;
        }
        for source in principal.sources.iter() {
            findings.add(Finding::of(self.sources.get(source), about, || Dimension::Source(source.clone())));
        }
        for finding in self.loosest_roles(principal, about) {
            findings.add(finding);
        }
        if !self.agents.is_empty() {
            if principal.agents.is_empty() {
                findings.add(Finding::silent(Dimension::Agents));
            }
            for agent in &principal.agents {
                findings.add(Finding::of(self.agents.get(agent), about, || Dimension::Agent(agent.clone())));
            }
        }
        findings
    }

    /// The roles with the loosest answer: together they are what the subject's roles say.
    fn loosest_roles<'a>(&'a self, principal: &Principal, about: About<'_>) -> Vec<Finding<'a>> {
        let each =
            |role: &RoleName| Finding::of(self.roles.get(role), about, || Dimension::Role(role.clone()));
        let mut all: Vec<_> = principal.roles.iter().map(each).collect();
        match all.iter().map(|finding| finding.answer).min() {
            Some(loosest) => all.retain(|finding| finding.answer == loosest),
            None => all.push(Finding::silent(Dimension::Roles)),
        }
        all
    }

    fn decision(&self, reason: Reason, visibility: Visibility, findings: Findings<'_>) -> Decision {
        let Findings { verdict, all } = findings;
        let determining = all.into_iter().filter(|finding| finding.answer == verdict);
        let rules = determining.take(DETERMINING_RULES_MAX).map(Finding::into_rule).collect();
        Decision { verdict, reason, rules, epoch: self.epoch, visibility }
    }
}

impl<'a> Standing<'a> {
    /// The closed sources that have influenced the run or would.
    fn closed_for(self, principal: &Principal) -> impl Iterator<Item = &'a SourceName> {
        let Self { provenance, brings, closed } = self;
        let is_met = move |source: &&SourceName| {
            [provenance, brings, &principal.sources].iter().any(|sources| sources.contains(source))
        };
        closed.iter().filter(is_met)
    }
}

/// Every answer so far, and the strictest of them.
pub(super) struct Findings<'a> {
    pub(super) verdict: Answer,
    all: Vec<Finding<'a>>,
}

impl<'a> Findings<'a> {
    fn add(&mut self, finding: Finding<'a>) {
        self.verdict = self.verdict.max(finding.answer);
        self.all.push(finding);
    }

    /// The reason of a denial: that of the first dimension that denies.
    fn refusal(&self) -> Reason {
        match self.all.iter().find(|finding| finding.answer == Answer::Deny).map(|found| &found.dimension) {
            Some(Dimension::Source(_)) | None => Reason::SourceDenies,
            Some(Dimension::Role(_) | Dimension::Roles) => Reason::RoleDenies,
            Some(Dimension::Agent(_) | Dimension::Agents) => Reason::AgentDenies,
            Some(Dimension::Closed(_)) => Reason::SourceClosed,
            Some(Dimension::Pin) => Reason::PinChanged,
        }
    }
}

/// One row's answer and the entry that gives it.
struct Finding<'a> {
    dimension: Dimension,
    answer: Answer,
    permission: Option<&'a Permission>,
}

impl<'a> Finding<'a> {
    fn of(row: Option<&'a Row>, about: About<'_>, dimension: impl FnOnce() -> Dimension) -> Self {
        let (answer, permission) = row.map_or((Answer::Deny, None), |row| row.answer(about));
        Self { dimension: dimension(), answer, permission }
    }

    /// A denial that no entry gives.
    fn silent(dimension: Dimension) -> Self {
        Self { dimension, answer: Answer::Deny, permission: None }
    }

    fn into_rule(self) -> Rule {
        Rule {
            dimension: self.dimension,
            answer: self.answer,
            permission: self.permission.map(|entry| entry.glob.as_str().to_owned()),
            place: self.permission.map(|entry| entry.place.clone()),
        }
    }
}
