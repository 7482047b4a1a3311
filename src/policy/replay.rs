//! Calls that were decided before, decided again by another policy, as far as that can be told without their
//! arguments.
//!
//! Must never guess: where arguments would make the difference, it says between which answers.

use jiff::Timestamp;

use super::row::{About, Row};
use super::{Policy, Span, seen_at};
use crate::model::decision::{Answer, Dimension};
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::target::Target;

impl Policy {
    /// The loosest and the strictest answer that a call for `target` could have had, whatever its arguments were,
    /// from `principal` in a run of `provenance`.
    #[must_use]
    pub fn span_of(
        &self,
        principal: &Principal,
        provenance: &Provenance,
        target: &Target,
        now: Timestamp,
    ) -> Span {
        let text = target.to_string();
        let about = match target {
            Target::Tool(id) => self.index.get(id).map(|tool| About::Tool(*tool)),
            other => Some(About::Other(other.class(), &text)),
        };
        let Some(about) = about else { return Span::only(Answer::Deny) };
        let of = |row: Option<&Row>, dimension: Dimension| match row {
            Some(row) => self.span_about(row, about, now, dimension),
            None => Span::only(Answer::Deny),
        };
        let Principal { sources, roles, agents, .. } = principal;
        let tainting = provenance.iter().filter(|source| !sources.contains(source));
        let mut all: Vec<Span> = sources
            .iter()
            .chain(tainting)
            .map(|name| of(self.sources.get(name), Dimension::Source(name.clone())))
            .collect();
        let roles = roles.iter().map(|name| of(self.roles.get(name), Dimension::Role(name.clone())));
        all.push(roles.reduce(Span::or).unwrap_or_else(|| Span::only(Answer::Deny)));
        if !self.agents.is_empty() {
            let agents = agents.iter().map(|name| of(self.agents.get(name), Dimension::Agent(name.clone())));
            all.push(agents.reduce(|a, b| a.with(&b)).unwrap_or_else(|| Span::only(Answer::Deny)));
        }
        let mut span = all.into_iter().reduce(|a, b| a.with(&b)).unwrap_or_else(|| Span::only(Answer::Deny));
        let is_looked_at = match about {
            About::Tool(tool) => self.looked.get(&tool).is_some_and(|looked| !looked.guardrails.is_empty()),
            About::Other(..) => false,
        };
        // Arguments that do not fit what looks at them are refused, whatever it would say.
        if is_looked_at || !span.conditions.is_empty() {
            span.strictest = Answer::Deny;
        }
        span
    }

    fn span_about(&self, row: &Row, about: About<'_>, now: Timestamp, dimension: Dimension) -> Span {
        match about {
            About::Tool(tool) => self.span(row, tool, now, || dimension),
            About::Other(..) if !row.is_enforced(seen_at(now)) => Span::only(Answer::Allow),
            About::Other(..) => Span::only(row.answer(about, seen_at(now)).answer),
        }
    }
}
