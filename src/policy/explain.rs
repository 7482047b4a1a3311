//! Why a call is decided as it is, who can reach a tool at all, and what would have to be different.
//!
//! Must never decide in a second way: the answers are those of the findings that [`Policy::decide`] joins. What is
//! said of conditions is an upper bound: each is taken to turn out either way, whatever the others do, so that what
//! no triple reaches here is reached by no call.

use jiff::Timestamp;
use serde::Serialize;

use super::judge::Finding;
use super::row::{About, Row, Shadow};
use super::rules::Permission;
use super::{Policy, Standing};
use crate::model::call::Call;
use crate::model::decision::{Answer, Decision, Dimension, Rule};
use crate::model::name::{AgentName, RoleName, SourceName, ToolId};
use crate::model::principal::Principal;
use crate::model::reason::Reason;

/// A decision with everything that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was decided.
    pub decision: Decision,
    /// What each dimension said, in their order.
    pub voices: Vec<Voice>,
}

/// What one dimension said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Voice {
    /// What said it, and by which entry.
    #[serde(flatten)]
    pub rule: Rule,
    /// Why it could not be told, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Reason>,
    /// What would have to be different for a looser answer; empty where there is none.
    pub remedies: Vec<String>,
}

/// What a source, a role and an agent together leave open of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The source.
    pub source: SourceName,
    /// The role.
    pub role: RoleName,
    /// The agent, where agents are a dimension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The span of their answers.
    #[serde(flatten)]
    pub span: Span,
}

/// The loosest and the strictest answer that there can be, and by which conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The loosest.
    pub loosest: Answer,
    /// The strictest.
    pub strictest: Answer,
    /// The entries with conditions that make the difference.
    pub conditions: Vec<Rule>,
}

impl Policy {
    /// Explains the decision on `call`.
    #[must_use]
    pub fn explain(&self, principal: &Principal, standing: Standing<'_>, call: &Call) -> Explanation {
        self.ask(principal, standing, call, |question| {
            let Some(question) = question else {
                return Explanation { decision: self.explain_unknown(), voices: Vec::new() };
            };
            let findings = self.findings(question, Shadow::Recorded);
            let voice = |finding: Finding<'_>| {
                let remedies = self.remedies(&finding, question.about);
                Voice { trouble: finding.said.trouble, remedies, rule: finding.into_rule() }
            };
            let voices = findings.all.into_iter().map(voice).collect();
            Explanation { decision: self.judge(question), voices }
        })
    }

    /// Every source, role and agent that together leave `tool` open under some arguments at `now`. Exhaustive: what
    /// is not among them is refused to every call of theirs, whatever else is in the provenance.
    #[must_use]
    pub fn who_can(&self, tool: &ToolId, now: Timestamp) -> Vec<Way> {
        let Some(&at) = self.index.get(tool) else { return Vec::new() };
        let agents: Vec<_> = match self.agents.is_empty() {
            true => vec![None],
            false => self.agents.iter().map(Some).collect(),
        };
        let mut ways = Vec::new();
        for (source, source_row) in &self.sources {
            let of_source = self.span(source_row, at, now, || Dimension::Source(source.clone()));
            for (role, role_row) in &self.roles {
                let of_role = self.span(role_row, at, now, || Dimension::Role(role.clone()));
                for agent in &agents {
                    let of_agent =
                        agent.map(|(name, row)| self.span(row, at, now, || Dimension::Agent(name.clone())));
                    let span =
                        of_agent.iter().fold(of_source.clone().with(&of_role), |span, more| span.with(more));
                    let agent = agent.map(|(name, _)| name.clone());
                    ways.push(Way { source: source.clone(), role: role.clone(), agent, span });
                }
            }
        }
        ways.retain(|way| way.span.loosest != Answer::Deny);
        ways
    }

    /// What `source` alone leaves open of each tool at `now`, in the order of the tools; nothing for a source that is
    /// not configured.
    pub fn reach_of<'a>(
        &'a self,
        source: &'a SourceName,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a ToolId, Span)> + use<'a> {
        let row = self.sources.get(source);
        let tools = self.tools.iter().enumerate();
        tools.filter_map(move |(at, tool)| {
            Some((tool, self.span(row?, at, now, || Dimension::Source(source.clone()))))
        })
    }

    /// The guardrails that may forbid calls of `tool`.
    pub fn guarding(&self, tool: &ToolId) -> impl Iterator<Item = &super::Guardrail> {
        self.guardrails.iter().filter(|guardrail| guardrail.is_about(tool))
    }

    pub(super) fn span(
        &self,
        row: &Row,
        tool: usize,
        now: Timestamp,
        dimension: impl FnOnce() -> Dimension,
    ) -> Span {
        let view = super::seen_at(now);
        if !row.is_enforced(view) {
            return Span::only(Answer::Allow);
        }
        let base = row.without_conditions(tool, view);
        let mut span = Span::only(base.map_or(Answer::Deny, |(answer, _)| *answer));
        let dimension = dimension();
        for (answer, entry) in row.with_conditions(tool, view) {
            span.loosest = span.loosest.min(*answer);
            span.strictest = span.strictest.max(*answer);
            span.conditions.push(rule(dimension.clone(), *answer, entry));
        }
        span
    }

    fn remedies(&self, finding: &Finding<'_>, about: About<'_>) -> Vec<String> {
        let said = finding.said;
        if said.answer == Answer::Allow {
            return Vec::new();
        }
        if let Some(trouble) = said.trouble {
            return vec![trouble.sentence().to_owned()];
        }
        let (row, section) = match &finding.dimension {
            Dimension::Source(name) => (self.sources.get(name), format!("[sources.{name}]")),
            Dimension::Role(name) => (self.roles.get(name), format!("[roles.{name}]")),
            Dimension::Agent(name) => (self.agents.get(name), format!("[agents.{name}]")),
            Dimension::Roles => return vec!["the subject would need a role that is configured".to_owned()],
            Dimension::Agents => return vec!["the credential would need to name an agent".to_owned()],
            Dimension::Closed(name) => {
                return vec![format!("a person would have to open the source {name} again")];
            }
            Dimension::Pin => return vec!["a person would have to accept the definition of now".to_owned()],
            Dimension::Guardrail(name) => {
                return vec![format!("the guardrail {name} would have to hold no longer")];
            }
            Dimension::Condition => return vec!["the condition would have to fit the tool".to_owned()],
            Dimension::Flow(name) => {
                return vec![format!("the run would have to be without what the flow {name} begins with")];
            }
        };
        let Some(row) = row else { return vec![format!("`{section}` would have to be declared")] };
        let mut remedies = Vec::new();
        if let About::Tool(tool) = about {
            for (answer, entry) in row.matching(tool) {
                let Some(condition) = entry.condition.as_ref().filter(|_| *answer < said.answer) else {
                    continue;
                };
                remedies.push(format!(
                    "`{}` would have to hold ({}, {})",
                    condition.text(),
                    entry.place,
                    answer
                ));
            }
        }
        remedies.push(match said.entry {
            Some(Permission { condition: Some(condition), place, .. }) if said.is_open => {
                format!("what `{}` names would have to be there ({place})", condition.text())
            }
            Some(entry) => {
                format!("`{}` would have to leave `{}` ({})", entry.glob, said.answer, entry.place)
            }
            None => format!("a looser list of `{section}` would have to name it"),
        });
        remedies
    }
}

impl Span {
    /// One answer, whatever holds.
    pub(super) fn only(answer: Answer) -> Self {
        Self { loosest: answer, strictest: answer, conditions: Vec::new() }
    }

    /// Either of the two: the loosest of them in every way.
    #[must_use]
    pub(super) fn or(mut self, other: Self) -> Self {
        self.loosest = self.loosest.min(other.loosest);
        self.strictest = self.strictest.min(other.strictest);
        self.conditions.extend(other.conditions);
        self
    }

    /// Both together: the strictest of the two in every way.
    #[must_use]
    pub(super) fn with(mut self, other: &Self) -> Self {
        self.loosest = self.loosest.max(other.loosest);
        self.strictest = self.strictest.max(other.strictest);
        self.conditions.extend(other.conditions.iter().cloned());
        self
    }
}

/// What `entry` says in its list.
pub(super) fn rule(dimension: Dimension, answer: Answer, entry: &Permission) -> Rule {
    Rule {
        dimension,
        answer,
        permission: Some(entry.glob.as_str().to_owned()),
        when: entry.condition.as_ref().map(|condition| condition.text().to_owned()),
        place: Some(entry.place.clone()),
    }
}
