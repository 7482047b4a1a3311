//! What one set of flows and request shapes lets pass that another did not.
//!
//! Pure. Must never keep silent where something is wider: what is not certainly as strict is said (I1).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::model::change::Changes;
use crate::model::glob::{Glob, covers};

use super::flow::{Brings, End, Flow, Reaches};
use super::rules::{Outside, Rules};
use super::shape::{Entry, Limit, Shape};

impl Rules {
    /// What is different from `before`, and which of it lets some step or call pass more easily.
    #[must_use]
    pub fn changes(&self, before: &Self) -> Changes {
        let mut changes = Changes::default();
        flows(&before.flows, &self.flows, &mut changes);
        shapes(&before.shapes, &self.shapes, &mut changes);
        match self.grant_lasts.cmp(&before.grant_lasts) {
            Ordering::Greater => changes.widen("what of a plan is granted counts for longer"),
            Ordering::Less => changes.change("what of a plan is granted counts for less long"),
            Ordering::Equal => {}
        }
        outside(before.outside.as_ref(), self.outside.as_ref(), &mut changes);
        changes
    }
}

fn outside(before: Option<&Outside>, after: Option<&Outside>, changes: &mut Changes) {
    let same = |before: &Outside, after: &Outside| {
        (&before.url, &before.known_domains) == (&after.url, &after.known_domains)
    };
    match (before, after) {
        (None, None) => {}
        (None, Some(_)) => changes.change("plans are shown to a reviewer"),
        (Some(_), None) => changes.widen("no reviewer looks at plans any more"),
        (Some(before), Some(after)) if same(before, after) => {}
        (Some(_), Some(_)) => changes.widen("another reviewer looks at plans, or knows other domains"),
    }
}

fn flows(before: &[Flow], after: &[Flow], changes: &mut Changes) {
    for old in before {
        let name = &old.name;
        let new = after.iter().find(|new| new.name == *name);
        match new {
            Some(new) if is_same_flow(old, new) => {}
            // Another one may hold what it held.
            _ if after.iter().any(|new| holds_as_much(new, old)) => {
                let what = if new.is_some() { "changed" } else { "is gone, and another holds what it held" };
                changes.change(format!("flow {name} {what}"));
            }
            Some(_) => changes.widen(format!("flow {name} holds less")),
            None => changes.widen(format!("flow {name} is gone")),
        }
    }
    for new in after.iter().filter(|new| !before.iter().any(|old| old.name == new.name)) {
        changes.change(format!("flow {} is new", new.name));
    }
}

fn is_same_flow(one: &Flow, other: &Flow) -> bool {
    let Flow { name, from, to, reaches, answer, place: _ } = one;
    (name, from, to, reaches, answer) == (&other.name, &other.from, &other.to, &other.reaches, &other.answer)
}

/// Whether `new` is raised wherever `old` was, and answers as strictly.
fn holds_as_much(new: &Flow, old: &Flow) -> bool {
    new.answer >= old.answer
        && (new.reaches == old.reaches || new.reaches == Reaches::Call)
        && spans(&new.from, &old.from)
        && spans(&new.to, &old.to)
}

/// Whether every call of the end `old` is one of `new`.
fn spans(new: &End, old: &End) -> bool {
    let has_classes =
        new.classes.is_empty() || !old.classes.is_empty() && old.classes.is_subset(&new.classes);
    let is_spanned = |old: &Glob| new.tools.iter().any(|new| covers(new.as_str(), old.as_str()));
    let has_tools = new.tools.is_empty() || !old.tools.is_empty() && old.tools.iter().all(is_spanned);
    let has_sources = match (&new.brings, &old.brings) {
        (Brings::Anything, _) | (Brings::Untrusted, Brings::Untrusted | Brings::OneOf(_)) => true,
        (Brings::OneOf(new), Brings::OneOf(old)) => old.is_subset(new),
        (Brings::Untrusted, Brings::Anything) | (Brings::OneOf(_), _) => false,
    };
    has_classes && has_tools && has_sources
}

fn shapes(before: &[Shape], after: &[Shape], changes: &mut Changes) {
    for old in before.iter().filter(|old| !after.iter().any(|new| new.name == old.name)) {
        changes.change(format!("request {} is gone", old.name));
    }
    for new in after {
        let (name, source) = (&new.name, &new.source);
        match before.iter().find(|old| old.name == *name) {
            None => {
                changes.widen(format!("request {name} is new: {source} may ask for more without a person"))
            }
            Some(old) if is_same_shape(old, new) => {}
            Some(old) if is_within(new, old) => changes.change(format!("request {name} changed")),
            Some(_) => {
                changes.widen(format!("request {name}: {source} may ask for more without a person"));
            }
        }
    }
}

fn is_same_shape(one: &Shape, other: &Shape) -> bool {
    let Shape { name, source, goal, entries, place: _ } = one;
    (name, source, goal, entries) == (&other.name, &other.source, &other.goal, &other.entries)
}

/// Whether everything that `new` covers `old` covers too. Each entry of `old` takes in one of `new`, so that two of
/// them do not count one number of calls twice.
fn is_within(new: &Shape, old: &Shape) -> bool {
    let mut free: Vec<&Entry> = old.entries.iter().collect();
    let mut takes = |entry: &Entry| {
        let at = free.iter().position(|old| is_entry_within(entry, old));
        at.map(|at| free.swap_remove(at)).is_some()
    };
    new.source == old.source
        && (old.goal.is_none() || new.goal == old.goal)
        && new.entries.iter().all(&mut takes)
}

fn is_entry_within(new: &Entry, old: &Entry) -> bool {
    let calls = match (new.max_calls, old.max_calls) {
        (_, None) => true,
        (Some(new), Some(old)) => new <= old,
        (None, Some(_)) => false,
    };
    calls && covers(old.tool.as_str(), new.tool.as_str()) && arguments_within(&new.arguments, &old.arguments)
}

fn arguments_within(new: &BTreeMap<String, Limit>, old: &BTreeMap<String, Limit>) -> bool {
    // A destination that nobody named could not be given; one that is named can.
    let is_within =
        |(name, limit): (&String, &Limit)| old.get(name).is_some_and(|old| is_limit_within(limit, old));
    // What is not named any more may be anything, where it is no destination.
    let is_kept = |(name, limit): (&String, &Limit)| *limit == Limit::Any || new.contains_key(name);
    new.iter().all(is_within) && old.iter().all(is_kept)
}

fn is_limit_within(new: &Limit, old: &Limit) -> bool {
    match (new, old) {
        (_, Limit::Any) => true,
        (Limit::OneOf(new), Limit::OneOf(old)) => new.iter().all(|pin| old.contains(pin)),
        (new, old) => new == old,
    }
}
