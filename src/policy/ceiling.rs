//! What the lists leave open to a caller whatever the arguments are: the answers that the review of a plan asks for
//! (DESIGN §9.1).
//!
//! Must never decide, and never say less than there is: each condition is taken to turn out either way, whatever the
//! others do, so that every call is answered at least as strictly as the loosest and at most as strictly as the
//! strictest answer here. Arguments that cannot be told are no answer of a list: their call is refused when it is
//! decided. What refuses every call (a closed source, a changed definition, a condition that does not fit, a guardrail
//! without a condition) is a denial here too. Trusts what it is handed of a tool: its definition, and what it returns.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::explain::rule;
use super::row::Row;
use super::{DETERMINING_RULES_MAX, Policy, seen_at};
use crate::model::call::Pin;
use crate::model::ceiling::{Answers, Said};
use crate::model::decision::{Answer, Dimension, Rule};
use crate::model::name::{AgentName, RoleName, SourceName, ToolId};
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;

/// The lists, as one caller meets them at one moment.
#[derive(Clone, Copy)]
pub struct Ceiling<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Who calls.
    pub principal: &'a Principal,
    /// The sources that people closed.
    pub closed: &'a BTreeSet<SourceName>,
    /// How a tool stands; `None` where there is none of the name.
    pub offered: &'a dyn Fn(&ToolId) -> Option<Offered>,
    /// When.
    pub now: Timestamp,
}

/// How a tool stands whatever the lists say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its accepted definition against what its upstream offers now.
    pub pin: Pin,
    /// The sources that its answers carry.
    pub returns: Provenance,
}

impl Answers for Ceiling<'_> {
    fn source(&self, source: &SourceName, tool: &ToolId) -> Said {
        if self.closed.contains(source) {
            return denied(Dimension::Closed(source.clone()));
        }
        self.of_row(self.policy.sources.get(source), tool, || Dimension::Source(source.clone()))
    }

    fn caller(&self, tool: &ToolId) -> Vec<Said> {
        let Some(offered) = (self.offered)(tool) else { return Vec::new() };
        // `identity` refuses a credential without a source; should one come here, it may nothing.
        if self.principal.sources.is_empty() || !self.policy.index.contains_key(tool) {
            return Vec::new();
        }
        let mut all = vec![self.roles(tool)];
        all.extend(self.agents(tool));
        all.extend(self.refusals(tool, &offered));
        all.extend(self.guardrails(tool));
        all
    }
}

impl Ceiling<'_> {
    /// The loosest of what the roles say, in every way in which their conditions turn out.
    fn roles(&self, tool: &ToolId) -> Said {
        let name = |role: &RoleName| {
            self.of_row(self.policy.roles.get(role), tool, || Dimension::Role(role.clone()))
        };
        let joined = self.principal.roles.iter().map(name).reduce(|one, other| {
            let strictest = one.strictest.min(other.strictest);
            let loosest = if other.rule.answer < one.rule.answer { other } else { one };
            Said { strictest, ..loosest }
        });
        joined.unwrap_or_else(|| denied(Dimension::Roles))
    }

    /// What each agent of the chain says, where agents are a dimension.
    fn agents(&self, tool: &ToolId) -> Vec<Said> {
        let Policy { agents: rows, .. } = self.policy;
        let agents = &self.principal.agents;
        if rows.is_empty() {
            return Vec::new();
        }
        if agents.is_empty() {
            return vec![denied(Dimension::Agents)];
        }
        let name = |agent: &AgentName| self.of_row(rows.get(agent), tool, || Dimension::Agent(agent.clone()));
        agents.iter().map(name).collect()
    }

    /// What refuses every call, whoever makes it.
    fn refusals(&self, tool: &ToolId, offered: &Offered) -> Vec<Said> {
        let brought = self.closed.iter().filter(|source| offered.returns.contains(source));
        let mut all: Vec<_> = brought.map(|source| denied(Dimension::Closed(source.clone()))).collect();
        if matches!(offered.pin, Pin::Changed { .. }) {
            all.push(denied(Dimension::Pin));
        }
        let looked = self.policy.index.get(tool).and_then(|at| self.policy.looked.get(at));
        if let Some(misfit) = looked.and_then(|looked| looked.invalid.first()) {
            let mut said = denied(Dimension::Condition);
            said.rule.place = Some(misfit.place.clone());
            all.push(said);
        }
        all
    }

    /// The guardrails about the tool: each forbids some calls, and one without a condition all of them.
    fn guardrails(&self, tool: &ToolId) -> impl Iterator<Item = Said> {
        let each = |guardrail: &super::Guardrail| {
            let answer = if guardrail.forbids_all() { Answer::Deny } else { Answer::Allow };
            let mut said = denied(Dimension::Guardrail(guardrail.name().into()));
            (said.rule.answer, said.rule.place) = (answer, Some(guardrail.place().clone()));
            said
        };
        let mut all: Vec<_> = self.policy.guarding(tool).map(each).collect();
        // One that forbids everything must not be among those that are left out.
        all.sort_by_key(|said| std::cmp::Reverse(said.rule.answer));
        all.into_iter().take(DETERMINING_RULES_MAX)
    }

    /// What `row` says. One that is not configured denies, one in shadow says nothing.
    fn of_row(&self, row: Option<&Row>, tool: &ToolId, dimension: impl FnOnce() -> Dimension) -> Said {
        let view = seen_at(self.now);
        let (Some(row), Some(&tool)) = (row, self.policy.index.get(tool)) else { return denied(dimension()) };
        if !row.is_enforced(view) {
            return Said { rule: plain(dimension(), Answer::Allow), strictest: Answer::Allow };
        }
        let base = row.without_conditions(tool, view);
        let mut strictest = base.map_or(Answer::Deny, |(answer, _)| *answer);
        let mut loosest = (strictest, base.map(|(_, entry)| entry));
        for (answer, entry) in row.with_conditions(tool, view) {
            strictest = strictest.max(*answer);
            if *answer < loosest.0 {
                loosest = (*answer, Some(entry));
            }
        }
        let (answer, entry) = loosest;
        let rule = match entry {
            Some(entry) => rule(dimension(), answer, entry),
            None => plain(dimension(), answer),
        };
        Said { rule, strictest }
    }
}

/// An answer that no entry gives.
fn plain(dimension: Dimension, answer: Answer) -> Rule {
    Rule { dimension, answer, permission: None, when: None, place: None }
}

fn denied(dimension: Dimension) -> Said {
    Said { rule: plain(dimension, Answer::Deny), strictest: Answer::Deny }
}
