//! The least policy that covers what was seen.
//!
//! Must never propose what was not seen: a pattern stands for several names only where every name that is known and
//! that it matches was seen to be allowed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::decision::Answer;
use crate::model::target::Class;

/// What was seen, by class and written form.
#[derive(Debug, Clone, Default)]
pub struct Seen(BTreeMap<(Class, String), Use>);

/// How one target was used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Use {
    /// Calls that were allowed.
    pub allowed: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// The last of them.
    pub last: Option<Timestamp>,
}

/// One entry of a list that is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// The class whose list it stands in.
    pub class: Class,
    /// The permission.
    pub permission: String,
    /// Every use that it covers, together.
    pub seen: Use,
}

/// Most targets that are kept apart.
pub const TARGETS_MAX: usize = 100_000;

/// How names become entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Each its own.
    Literal,
    /// Several by a pattern, where that covers nothing that was not seen.
    Generalised,
}

impl Seen {
    /// Notes one call and its answer. `None` where there are too many targets to keep apart.
    pub fn note(&mut self, class: Class, text: &str, answer: Answer, at: Timestamp) -> Option<()> {
        let is_full = self.0.len() >= TARGETS_MAX;
        let key = (class, text.to_owned());
        if is_full && !self.0.contains_key(&key) {
            return None;
        }
        let seen = self.0.entry(key).or_default();
        match answer {
            Answer::Allow => seen.allowed += 1,
            Answer::Plan | Answer::Ask | Answer::Deny => seen.refused += 1,
        }
        seen.last = seen.last.max(Some(at));
        Some(())
    }

    /// What was only refused.
    pub fn refused(&self) -> impl Iterator<Item = (Class, &str, &Use)> {
        let only = self.0.iter().filter(|(_, seen)| seen.allowed == 0);
        only.map(|((class, text), seen)| (*class, text.as_str(), seen))
    }

    /// What was allowed and cannot be written as a permission: a `*` in it would be a pattern, and strangers name
    /// resources.
    pub fn unwritable(&self) -> impl Iterator<Item = (Class, &str, &Use)> {
        let starred = self.0.iter().filter(|((_, text), seen)| seen.allowed > 0 && text.contains('*'));
        starred.map(|((class, text), seen)| (*class, text.as_str(), seen))
    }

    /// The entries that cover everything else that was allowed. `known` are the tools that there are.
    #[must_use]
    pub fn propose(&self, names: Names, known: &BTreeSet<String>) -> Vec<Proposed> {
        let is_name = |text: &str| !text.contains('*');
        let allowed = self.0.iter().filter(|((_, text), seen)| seen.allowed > 0 && is_name(text));
        let literal = allowed.map(|((class, text), seen)| Proposed {
            class: *class,
            permission: text.clone(),
            seen: seen.clone(),
        });
        match names {
            Names::Literal => literal.collect(),
            Names::Generalised => {
                // What was only refused is there as well, whether or not its definition is accepted.
                let refused = self.refused().filter(|(class, ..)| *class == Class::Tool);
                let refused: BTreeSet<_> = refused.map(|(_, text, _)| text.to_owned()).collect();
                generalised(literal.collect(), known, &refused)
            }
        }
    }
}

/// `upstream.*`, or `upstream.prefix_*`, in the place of at least two tools, all of them known, where every known and
/// every refused tool that it matches is among them.
fn generalised(
    literal: Vec<Proposed>,
    known: &BTreeSet<String>,
    refused: &BTreeSet<String>,
) -> Vec<Proposed> {
    let mut left = literal;
    for pattern_of in [whole_upstream, by_prefix] {
        let seen: BTreeSet<String> = left
            .iter()
            .filter(|entry| entry.class == Class::Tool)
            .map(|entry| entry.permission.clone())
            .collect();
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for tool in seen.iter().filter(|tool| !tool.contains('*')) {
            if let Some(head) = pattern_of(tool) {
                groups.entry(head).or_default().push(tool);
            }
        }
        groups.retain(|head, tools| {
            let mut matched = known.union(refused).filter(|tool| tool.starts_with(head.as_str()));
            // Where nothing of an upstream is accepted, nobody knows what else a pattern would match.
            let are_known = tools.iter().all(|tool| known.contains(*tool));
            tools.len() > 1 && are_known && matched.all(|tool| seen.contains(tool))
        });
        left = left.into_iter().fold(Vec::new(), |mut out: Vec<Proposed>, entry| {
            let head = pattern_of(&entry.permission)
                .filter(|head| entry.class == Class::Tool && groups.contains_key(head));
            let permission = head.map_or_else(|| entry.permission.clone(), |head| format!("{head}*"));
            match out.iter_mut().find(|other| (other.class, &other.permission) == (entry.class, &permission))
            {
                Some(other) => other.seen.join(&entry.seen),
                None => out.push(Proposed { permission, ..entry }),
            }
            out
        });
    }
    left
}

fn whole_upstream(tool: &str) -> Option<String> {
    Some(format!("{}.", tool.split_once('.')?.0))
}

fn by_prefix(tool: &str) -> Option<String> {
    let (upstream, name) = tool.split_once('.')?;
    Some(format!("{upstream}.{}_", name.split_once('_')?.0))
}

impl Use {
    fn join(&mut self, other: &Self) {
        self.allowed += other.allowed;
        self.refused += other.refused;
        self.last = self.last.max(other.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(allowed: &[&str], refused: &[&str], known: &[&str], names: Names) -> Vec<String> {
        let mut seen = Seen::default();
        for (texts, answer) in [(allowed, Answer::Allow), (refused, Answer::Deny)] {
            for text in texts {
                seen.note(Class::Tool, text, answer, Timestamp::UNIX_EPOCH).unwrap();
            }
        }
        let known = known.iter().map(|name| (*name).to_owned()).collect();
        seen.propose(names, &known).into_iter().map(|entry| entry.permission).collect()
    }

    #[test]
    fn patterns_cover_nothing_that_was_not_seen() {
        let allowed = ["mail.read_inbox", "mail.read_one", "mail.send", "web.open"];
        let known = ["mail.read_inbox", "mail.read_one", "mail.send", "mail.delete", "web.open", "web.fetch"];
        assert_eq!(proposed(&allowed, &[], &known, Names::Literal), allowed);
        let generalised = ["mail.read_*", "mail.send", "web.open"];
        assert_eq!(proposed(&allowed, &["mail.delete"], &known, Names::Generalised), generalised);
        let fewer = ["mail.read_inbox", "mail.read_one", "mail.send"];
        assert_eq!(proposed(&allowed, &[], &fewer, Names::Generalised), ["mail.*", "web.open"]);
        assert_eq!(proposed(&allowed, &[], &[], Names::Generalised), allowed, "nothing is known");
        assert_eq!(proposed(&["docs.a*"], &[], &[], Names::Literal), Vec::<String>::new());
        assert_eq!(proposed(&[], &["mail.delete"], &known, Names::Generalised), Vec::<String>::new());
    }
}
