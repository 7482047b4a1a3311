//! The answers of all dimensions to one call, joined to one decision that names what determined it.
//!
//! Must never let provenance widen what the credential's own sources allow (I1), nor tell a caller by
//! the order of its checks that a tool exists which it may not see (I5).

use crate::model::call::Pin;
use crate::model::decision::{Answer, Decision, Dimension, Rule, Visibility, WouldBe};
use crate::model::name::{RoleName, SourceName};
use crate::model::principal::Principal;
use crate::model::reason::Reason;

use super::case::Case;
use super::row::{About, Row, Said, Shadow, View};
use super::{Approval, DETERMINING_RULES_MAX, Planned, Policy, Standing};

/// What is judged.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) principal: &'a Principal,
    pub(super) standing: Standing<'a>,
    pub(super) about: About<'a>,
    pub(super) pin: Option<Pin>,
    pub(super) case: Option<&'a Case<'a>>,
}

impl<'a> Question<'a> {
    fn view(self, shadow: Shadow) -> View<'a> {
        View { now: self.standing.now, shadow, case: self.case }
    }
}

impl Policy {
    /// The decision, and what it would be if everything in shadow counted.
    pub(super) fn judge(&self, question: Question<'_>) -> Decision {
        let decision = self.join(self.findings(question, Shadow::Recorded));
        if !self.is_in_shadow(question) {
            return decision;
        }
        let would_be = self.join(self.findings(question, Shadow::Enforced));
        let is_same = (would_be.verdict, would_be.reason) == (decision.verdict, decision.reason);
        let Decision { verdict, reason, rules, .. } = would_be;
        Decision { would_be: (!is_same).then_some(WouldBe { verdict, reason, rules }), ..decision }
    }

    /// What every dimension says, in their order.
    pub(super) fn findings<'a>(&'a self, question: Question<'a>, shadow: Shadow) -> Findings<'a> {
        let Question { principal, standing, about, pin, case } = question;
        let view = question.view(shadow);
        let mut findings = self.own(principal, about, view);
        if !self.sees(principal, about, view) {
            findings.visibility = Visibility::Hidden;
            return findings;
        }
        let closed = standing.closed_for(principal).map(|source| Dimension::Closed(source.clone()));
        let unfit = case.and_then(|case| self.unfit(case));
        // Whatever else is said: a person said no, or nothing can be told of the tool.
        findings.all.splice(0..0, closed.map(Finding::silent).chain(unfit));
        for source in standing.provenance.iter().filter(|source| !principal.sources.contains(source)) {
            findings.of(self.sources.get(source), about, view, || Dimension::Source(source.clone()));
        }
        if let Some(case) = case {
            findings.all.extend(self.forbidden(case));
        }
        findings.all.extend(standing.planned.flows.iter().map(Finding::of_flow));
        findings.meet(standing.planned);
        if findings.verdict() < Answer::Deny && matches!(pin, Some(Pin::Changed { .. })) {
            findings.add(Finding::silent(Dimension::Pin));
        }
        findings
    }

    /// Whether the credential may know of it: no own row denies it whatever the arguments are (I5).
    pub(super) fn sees(&self, principal: &Principal, about: About<'_>, view: View<'_>) -> bool {
        let reaches =
            |row: Option<&Row>| row.is_some_and(|row| !row.is_enforced(view) || row.reaches(about, view));
        let Principal { sources, roles, agents, .. } = principal;
        !sources.is_empty()
            && sources.iter().all(|source| reaches(self.sources.get(source)))
            && roles.iter().any(|role| reaches(self.roles.get(role)))
            && (self.agents.is_empty()
                || !agents.is_empty() && agents.iter().all(|agent| reaches(self.agents.get(agent))))
    }

    /// The answers of the credential's own sources, its roles and its agents.
    fn own<'a>(&'a self, principal: &Principal, about: About<'_>, view: View<'_>) -> Findings<'a> {
        let mut findings = Findings { visibility: Visibility::Visible, all: Vec::new() };
        if principal.sources.is_empty() {
            // `identity` refuses a credential without a source; should one come here, it may nothing.
            findings.visibility = Visibility::Hidden;
        }
        for source in principal.sources.iter() {
            findings.of(self.sources.get(source), about, view, || Dimension::Source(source.clone()));
        }
        for finding in self.loosest_roles(principal, about, view) {
            findings.add(finding);
        }
        if !self.agents.is_empty() {
            if principal.agents.is_empty() {
                findings.add(Finding::silent(Dimension::Agents));
            }
            for agent in &principal.agents {
                findings.of(self.agents.get(agent), about, view, || Dimension::Agent(agent.clone()));
            }
        }
        findings
    }

    /// The roles with the loosest answer: together they are what the subject's roles say.
    fn loosest_roles<'a>(
        &'a self,
        principal: &Principal,
        about: About<'_>,
        view: View<'_>,
    ) -> Vec<Finding<'a>> {
        let mut all = Findings { visibility: Visibility::Visible, all: Vec::new() };
        for role in &principal.roles {
            let name = |role: &RoleName| Dimension::Role(role.clone());
            all.of(self.roles.get(role), about, view, || name(role));
        }
        let mut all = all.all;
        match all.iter().map(|finding| finding.said.answer).min() {
            Some(loosest) => all.retain(|finding| finding.said.answer == loosest),
            None => all.push(Finding::silent(Dimension::Roles)),
        }
        all
    }

    /// What closes the tool, because a condition does not fit its schema.
    fn unfit(&self, case: &Case<'_>) -> Option<Finding<'_>> {
        let misfit = case.looked().invalid.first()?;
        let mut finding = Finding::silent(Dimension::Condition);
        finding.said.trouble = Some(Reason::ConditionInvalid);
        finding.place = Some(misfit.place.clone());
        Some(finding)
    }

    /// The guardrails that forbid the call. One that cannot be told forbids it too.
    fn forbidden(&self, case: &Case<'_>) -> Vec<Finding<'_>> {
        let looked = case.looked();
        if looked.guardrails.is_empty() {
            return Vec::new();
        }
        let finding = |number: &u32, trouble: Option<Reason>| {
            let guardrail = usize::try_from(*number).ok().and_then(|number| self.guardrails.get(number));
            let name = guardrail.map_or("", |guardrail| guardrail.name());
            let mut finding = Finding::silent(Dimension::Guardrail(name.into()));
            finding.said.trouble = trouble;
            finding.place = guardrail.map(|guardrail| guardrail.place().clone());
            finding
        };
        match case.truths(&looked.guardrails) {
            Err(reason) => {
                let mut finding = Finding::silent(Dimension::Condition);
                finding.said.trouble = Some(reason);
                vec![finding]
            }
            Ok(truths) => {
                let forbids = truths.hold.iter().chain(&truths.open).map(|number| finding(number, None));
                let failed = truths.failed.iter().map(|n| finding(n, Some(Reason::ConditionError)));
                forbids.chain(failed).collect()
            }
        }
    }

    fn is_in_shadow(&self, question: Question<'_>) -> bool {
        if !self.has_shadow {
            return false;
        }
        let Question { principal, standing, about, .. } = question;
        let is_it = |row: Option<&Row>| row.is_some_and(|row| row.is_in_shadow(about, standing.now));
        principal.sources.iter().chain(standing.provenance.iter()).any(|name| is_it(self.sources.get(name)))
            || principal.roles.iter().any(|name| is_it(self.roles.get(name)))
            || principal.agents.iter().any(|name| is_it(self.agents.get(name)))
    }

    fn join(&self, findings: Findings<'_>) -> Decision {
        let visibility = findings.visibility;
        let verdict = findings.verdict();
        let reason = match (visibility, verdict) {
            (Visibility::Hidden, _) => Reason::NotVisible,
            (Visibility::Visible, Answer::Allow) => Reason::Allowed,
            (Visibility::Visible, Answer::Plan) => Reason::PlanRequired,
            (Visibility::Visible, Answer::Ask) => Reason::ApprovalRequired,
            (Visibility::Visible, Answer::Deny) => findings.refusal(),
        };
        let determining = findings.all.into_iter().filter(|finding| finding.answer() == verdict);
        let rules = determining.take(DETERMINING_RULES_MAX).map(Finding::into_rule).collect();
        Decision { verdict, reason, rules, epoch: self.epoch, visibility, would_be: None }
    }
}

impl<'a> Standing<'a> {
    /// The closed sources that have influenced the run or would.
    fn closed_for(self, principal: &Principal) -> impl Iterator<Item = &'a SourceName> {
        let Self { provenance, brings, closed, .. } = self;
        let is_met = move |source: &&SourceName| {
            [provenance, brings, &principal.sources].iter().any(|sources| sources.contains(source))
        };
        closed.iter().filter(is_met)
    }
}

/// Every answer so far.
pub(super) struct Findings<'a> {
    pub(super) visibility: Visibility,
    pub(super) all: Vec<Finding<'a>>,
}

impl<'a> Findings<'a> {
    /// The strictest of the answers. What is hidden is denied.
    pub(super) fn verdict(&self) -> Answer {
        let strictest = self.all.iter().map(Finding::answer).max();
        match self.visibility {
            Visibility::Hidden => Answer::Deny,
            Visibility::Visible => strictest.unwrap_or(Answer::Deny),
        }
    }

    fn add(&mut self, finding: Finding<'a>) {
        self.all.push(finding);
    }

    /// Takes what a step of a grant, or a person, meets out of what is required.
    fn meet(&mut self, planned: Planned<'_>) {
        if planned.approval == Approval::Given {
            let is_met =
                |finding: &&mut Finding<'_>| matches!(finding.said.answer, Answer::Plan | Answer::Ask);
            return self.all.iter_mut().filter(is_met).for_each(|finding| finding.met = Met::ByPerson);
        }
        let Some(step) = planned.step else { return };
        for finding in self.all.iter_mut().filter(|finding| finding.said.answer == Answer::Plan) {
            finding.met = match &finding.dimension {
                Dimension::Source(source) if step.not.contains(source) => Met::No,
                // Those that a step meets are not among the flows.
                Dimension::Flow(_) => Met::No,
                _ => Met::ByStep,
            };
        }
    }

    /// Adds what `row` says. One that is not configured denies; one in shadow says nothing.
    fn of(
        &mut self,
        row: Option<&'a Row>,
        about: About<'_>,
        view: View<'_>,
        dimension: impl FnOnce() -> Dimension,
    ) {
        match row {
            None => self.add(Finding::silent(dimension())),
            Some(row) if !row.is_enforced(view) => {
                self.add(Finding::new(dimension(), Said::plainly(Answer::Allow)));
            }
            Some(row) => {
                let said = row.answer(about, view);
                self.add(Finding::new(dimension(), said));
            }
        }
    }

    /// The reason of a denial: that of the first dimension that denies.
    fn refusal(&self) -> Reason {
        let Some(first) = self.all.iter().find(|finding| finding.said.answer == Answer::Deny) else {
            return Reason::SourceDenies;
        };
        first.said.trouble.unwrap_or(match first.dimension {
            Dimension::Source(_) => Reason::SourceDenies,
            Dimension::Role(_) | Dimension::Roles => Reason::RoleDenies,
            Dimension::Agent(_) | Dimension::Agents => Reason::AgentDenies,
            Dimension::Closed(_) => Reason::SourceClosed,
            Dimension::Pin => Reason::PinChanged,
            Dimension::Guardrail(_) => Reason::GuardrailDenies,
            Dimension::Condition => Reason::ConditionError,
            Dimension::Flow(_) => Reason::FlowDenies,
        })
    }
}

/// One dimension's answer and what gives it.
pub(super) struct Finding<'a> {
    pub(super) dimension: Dimension,
    pub(super) said: Said<'a>,
    /// Where it stands, where no entry of a list says it.
    pub(super) place: Option<crate::model::place::Place>,
    /// Whether what it requires is met.
    met: Met,
}

/// Whether what an answer requires is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    No,
    ByStep,
    ByPerson,
}

impl<'a> Finding<'a> {
    fn new(dimension: Dimension, said: Said<'a>) -> Self {
        Self { dimension, said, place: None, met: Met::No }
    }

    /// A denial that no entry gives.
    fn silent(dimension: Dimension) -> Self {
        Self::new(dimension, Said::plainly(Answer::Deny))
    }

    /// What a flow says of the call that raises it.
    fn of_flow(rule: &Rule) -> Self {
        let said = Said::plainly(rule.answer);
        Self { place: rule.place.clone(), ..Self::new(rule.dimension.clone(), said) }
    }

    /// What it answers once what it requires is looked at.
    fn answer(&self) -> Answer {
        match self.met {
            Met::No => self.said.answer,
            Met::ByStep | Met::ByPerson => Answer::Allow,
        }
    }

    pub(super) fn into_rule(self) -> Rule {
        let Self { dimension, said, place, met: _ } = self;
        let entry = said.entry;
        Rule {
            dimension,
            answer: said.answer,
            permission: entry.map(|entry| entry.glob.as_str().to_owned()),
            when: entry.and_then(|entry| entry.condition.as_ref()).map(|when| when.text().to_owned()),
            place: entry.map(|entry| entry.place.clone()).or(place),
        }
    }
}
