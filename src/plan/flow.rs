//! `[[flows]]`: what may not follow what, over the classes of tools (DESIGN §9.3).
//!
//! A flow has two ends. It is raised by a call of its second end after one of its first, in the plan that is reviewed
//! or in the run's recorded history, with or without a plan. Must never clear a flow because something is not known: a
//! tool without classes has all of them, and a history that is full holds everything. Trusts the operator's labels, and
//! the caller to record a call once it is decided and before it is forwarded.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::glob::Glob;
use crate::model::label::ToolClass;
use crate::model::name::{SourceName, ToolId};
use crate::model::place::Place;
use crate::model::planned::Past;
use crate::model::provenance::Provenance;

use super::tool::Tool;

/// Most different calls that a history tells apart; from then on it counts as everything.
pub const HISTORY_MAX: usize = 256;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// What it is called: no other is called so.
    pub name: Arc<str>,
    /// What comes first.
    pub from: End,
    /// What may not follow it.
    pub to: End,
    /// What of the second end has to be reached.
    pub reaches: Reaches,
    /// What it answers to a call that it is raised by.
    pub answer: FlowAnswer,
    /// Where it was written.
    pub place: Place,
}

/// One end of a flow: calls that are of one of these classes, of one of these tools, and bring one of these sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// Of one of these classes; of any where there are none.
    pub classes: BTreeSet<ToolClass>,
    /// Of a tool that one of these matches; of any where there are none.
    pub tools: Vec<Glob>,
    /// What the answer brings.
    pub brings: Brings,
}

/// What the answer of a call brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Brings {
    /// Anything, or nothing.
    #[default]
    Anything,
    /// Content of at least one source: it is not trusted.
    Untrusted,
    /// Content of one of these sources.
    OneOf(BTreeSet<SourceName>),
}

/// What of the second end has to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaches {
    /// The call alone, whatever its arguments are.
    Call,
    /// A destination: the flow is not raised by a planned call all of whose destinations are pinned to values that come
    /// from elsewhere.
    Destination,
}

/// What a flow answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlowAnswer {
    /// The call needs a grant.
    Plan,
    /// The call, or its step, needs a person.
    Ask,
    /// The call may not be made.
    Deny,
}

/// What a run has done, as far as flows look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    past: Vec<Past>,
    #[serde(default)]
    room: Room,
}

/// Whether a history can tell everything that was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Room {
    #[default]
    Left,
    Full,
}

/// A call as flows look at it.
#[derive(Debug, Clone, Copy)]
pub struct Deed<'a> {
    /// The tool; `None` for what is no tool: a resource, a prompt.
    pub tool: Option<&'a ToolId>,
    /// What it does.
    pub classes: &'a BTreeSet<ToolClass>,
    /// The sources of its answer.
    pub brings: &'a Provenance,
}

impl History {
    /// Takes a call in. Gives it, for the record, where it is news.
    pub fn take_in(&mut self, deed: Deed<'_>) -> Option<Past> {
        let is_known = self.room == Room::Full || self.past.iter().any(|past| deed == Deed::of(past));
        if is_known {
            return None;
        }
        let past =
            Past { tool: deed.tool.cloned(), classes: deed.classes.clone(), brings: deed.brings.clone() };
        self.restore(past.clone());
        Some(past)
    }

    /// Takes in what is on record.
    pub fn restore(&mut self, past: Past) {
        match self.past.len() < HISTORY_MAX {
            true => self.past.push(past),
            false => self.room = Room::Full,
        }
    }

    /// Everything that it tells apart. One more than [`HISTORY_MAX`] where it was full: whoever restores it is, too.
    pub fn iter(&self) -> impl Iterator<Item = &Past> {
        let overflow = self.past.last().filter(|_| self.room == Room::Full);
        self.past.iter().chain(overflow)
    }

    /// Whether a call of the end `end` was made, or may have been.
    pub(super) fn holds(&self, end: &End) -> bool {
        self.room == Room::Full || self.past.iter().any(|past| end.is(Deed::of(past)))
    }
}

impl<'a> Deed<'a> {
    fn of(past: &'a Past) -> Self {
        Self { tool: past.tool.as_ref(), classes: &past.classes, brings: &past.brings }
    }
}

impl PartialEq for Deed<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.tool, self.classes, self.brings) == (other.tool, other.classes, other.brings)
    }
}

impl Flow {
    /// Whether a call of `tool` is of its second end.
    pub(super) fn ends_in(&self, tool: &Tool) -> bool {
        self.to.is_of(tool)
    }

    /// Whether a call of `tool` is of its first end.
    pub(super) fn begins_in(&self, tool: &Tool) -> bool {
        self.from.is_of(tool)
    }
}

impl End {
    fn is_of(&self, tool: &Tool) -> bool {
        let classes = tool.labels.effective_classes();
        self.is(Deed { tool: Some(&tool.id), classes: &classes, brings: &tool.returns })
    }

    fn is(&self, deed: Deed<'_>) -> bool {
        let Deed { tool, classes, brings } = deed;
        // A name is one of a tool: what is none is of no end that names some.
        let is_named = |globs: &[Glob]| {
            tool.is_some_and(|tool| globs.iter().any(|glob| glob.matches(&tool.to_string())))
        };
        (self.classes.is_empty() || !self.classes.is_disjoint(classes))
            && (self.tools.is_empty() || is_named(&self.tools))
            && match &self.brings {
                Brings::Anything => true,
                Brings::Untrusted => !brings.is_empty(),
                Brings::OneOf(sources) => sources.iter().any(|source| brings.contains(source)),
            }
    }
}

/// The flows that the call `deed` raises after `history`, the strictest first. What a granted step meets of them its
/// match says ([`super::Match::meets_flow`]).
#[must_use]
pub fn raised<'f>(flows: &'f [Flow], history: &History, deed: Deed<'_>) -> Vec<&'f Flow> {
    let is_raised = |flow: &&Flow| flow.to.is(deed) && history.holds(&flow.from);
    let mut raised: Vec<&Flow> = flows.iter().filter(is_raised).collect();
    raised.sort_by_key(|flow| std::cmp::Reverse(flow.answer));
    raised
}
