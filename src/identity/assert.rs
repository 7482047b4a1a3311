//! What an entry point may vouch for: its ceiling over the labels that its credentials carry.
//!
//! Must never let a label pass that was not configured: what is absent may not be asserted (DESIGN §5,
//! "Entry points"). Sources and roles are exact names; subjects, agents and goals are patterns.

use std::collections::BTreeSet;

use crate::model::glob::Glob;
use crate::model::name::{AgentName, Goal, RoleName, SourceName, Subject};

/// What may be vouched for. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MayAssert {
    /// Sources, by their exact names.
    pub sources: BTreeSet<SourceName>,
    /// Subjects, by pattern.
    pub subjects: Vec<Glob>,
    /// Roles, by their exact names.
    pub roles: BTreeSet<RoleName>,
    /// Agents, by pattern.
    pub agents: Vec<Glob>,
    /// Kinds of request, by pattern.
    pub goals: Vec<Glob>,
}

/// A label that goes beyond what may be asserted; says which part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word} `{name}` may not be asserted here")]
pub struct Forbidden {
    /// What kind of name it is.
    pub word: &'static str,
    /// The name.
    pub name: String,
}

/// A label that somebody asserts.
#[derive(Debug, Clone, Copy)]
pub struct Asserted<'a> {
    /// The sources as they are asserted, before finer ones are made of them.
    pub sources: &'a [SourceName],
    /// On whose behalf.
    pub subject: &'a Subject,
    /// With which roles.
    pub roles: &'a BTreeSet<RoleName>,
    /// Through which agents.
    pub agents: &'a [AgentName],
    /// For which kind of request.
    pub goal: Option<&'a Goal>,
}

impl MayAssert {
    /// Whether every part of `asserted` may be asserted.
    ///
    /// # Errors
    /// [`Forbidden`] names the first part that may not.
    pub fn check(&self, asserted: Asserted<'_>) -> Result<(), Forbidden> {
        let forbidden = |word, name: &str| Err(Forbidden { word, name: name.to_owned() });
        if let Some(source) = asserted.sources.iter().find(|source| !self.sources.contains(*source)) {
            return forbidden("source", source.as_str());
        }
        if !matches_any(&self.subjects, asserted.subject.as_str()) {
            return forbidden("subject", asserted.subject.as_str());
        }
        if let Some(role) = asserted.roles.iter().find(|role| !self.roles.contains(*role)) {
            return forbidden("role", role.as_str());
        }
        if let Some(agent) = asserted.agents.iter().find(|agent| !matches_any(&self.agents, agent.as_str())) {
            return forbidden("agent", agent.as_str());
        }
        match asserted.goal.filter(|goal| !matches_any(&self.goals, goal.as_str())) {
            Some(goal) => forbidden("goal", goal.as_str()),
            None => Ok(()),
        }
    }
}

impl MayAssert {
    /// What may be asserted beyond `before`. A pattern that `before` does not have counts, whatever it matches.
    pub(super) fn wider_than(&self, before: &Self) -> Vec<String> {
        let more = |word: &str, names: Vec<&str>| {
            (!names.is_empty()).then(|| format!("may assert the {word} {}", names.join(", ")))
        };
        let globs = |new: &'_ [Glob], old: &[Glob]| -> Vec<String> {
            new.iter().filter(|glob| !old.contains(glob)).map(ToString::to_string).collect()
        };
        let sources = self.sources.difference(&before.sources).map(SourceName::as_str).collect();
        let roles = self.roles.difference(&before.roles).map(RoleName::as_str).collect();
        let mut wider: Vec<String> = more("source", sources).into_iter().chain(more("role", roles)).collect();
        for (word, new, old) in [
            ("subject", &self.subjects, &before.subjects),
            ("agent", &self.agents, &before.agents),
            ("goal", &self.goals, &before.goals),
        ] {
            let names = globs(new, old);
            wider.extend(more(word, names.iter().map(String::as_str).collect()));
        }
        wider
    }
}

fn matches_any(globs: &[Glob], name: &str) -> bool {
    globs.iter().any(|glob| glob.matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_configured_may_not_be_asserted() {
        let source = |name| SourceName::new(name).unwrap();
        let (email, chat) = ([source("email")], [source("chat")]);
        let (subject, stranger) = (Subject::new("user:1").unwrap(), Subject::new("svc:1").unwrap());
        let roles = BTreeSet::from([RoleName::new("assistant").unwrap()]);
        let (agents, goal) = ([AgentName::new("inbox").unwrap()], Goal::new("triage").unwrap());
        let label = Asserted {
            sources: &email,
            subject: &subject,
            roles: &roles,
            agents: &agents,
            goal: Some(&goal),
        };
        let may = MayAssert {
            sources: email.iter().cloned().collect(),
            subjects: vec![Glob::new("user:*").unwrap()],
            roles: roles.clone(),
            agents: vec![Glob::new("*").unwrap()],
            goals: vec![Glob::new("tri*").unwrap()],
        };
        assert_eq!(may.check(label), Ok(()));
        let word = |may: &MayAssert, label| may.check(label).unwrap_err().word;
        assert_eq!(word(&MayAssert::default(), label), "source");
        assert_eq!(word(&may, Asserted { sources: &chat, ..label }), "source");
        assert_eq!(word(&may, Asserted { subject: &stranger, ..label }), "subject");
        assert_eq!(word(&MayAssert { roles: BTreeSet::new(), ..may.clone() }, label), "role");
        assert_eq!(word(&MayAssert { agents: Vec::new(), ..may.clone() }, label), "agent");
        assert_eq!(word(&MayAssert { goals: Vec::new(), ..may.clone() }, label), "goal");
        let empty = Asserted { sources: &[], ..label };
        assert_eq!(may.check(empty), Ok(()), "that there is a source is for whoever makes the label");
    }
}
