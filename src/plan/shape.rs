//! `[[requests]]`: what a source may ask for without a person (DESIGN §9.4).
//!
//! "An email may ask for a meeting: at most one `calendar.create_event` whose only attendees are the sender and the
//! subject." A shape covers a step, or it does not; it never allows what the lists deny. Must never be chosen by a
//! plan's own words, and never cover a destination that it does not speak of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::glob::Glob;
use crate::model::name::{AttributeName, Goal, SourceName};
use crate::model::place::Place;
use crate::model::trigger::Trigger;
use crate::wire::{Json, ScanLimits};

use super::attribute::{attribute, values};
use super::decimal::Decimal;
use super::steps::{Argument, Constraint, Presence, Step};
use super::tool::Tool;
use super::value::Value;

/// Most bytes of a literal in a shape.
pub const LITERAL_BYTES_MAX: usize = 4096;

/// What one source may ask for, all entries together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// What it is called: no other is called so.
    pub name: Arc<str>,
    /// Whose requests it is about.
    pub source: SourceName,
    /// The kind of request that the credential has to vouch for; any where none is named.
    pub goal: Option<Goal>,
    /// What may be asked for.
    pub entries: Vec<Entry>,
    /// Where it was written.
    pub place: Place,
}

/// Calls that may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Of which tools.
    pub tool: Glob,
    /// How many in one run; as many as a plan may hold where nothing is said.
    pub max_calls: Option<u32>,
    /// With which arguments. A destination that is not named here may not be given, any other argument may.
    pub arguments: BTreeMap<String, Limit>,
}

/// What an argument may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// Whatever the rest of the review lets pass.
    Any,
    /// One of these, or an array of them.
    OneOf(Vec<Pin>),
    /// A number between these, both included.
    Between(Option<Literal>, Option<Literal>),
}

/// One value that a shape names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// This attribute of the trigger's entry of the source that the shape is about.
    Trigger(AttributeName),
    /// The subject of the run, by any of the texts that it is known by.
    Subject,
    /// This value.
    Literal(Literal),
}

/// A value that an operator wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal(Value);

impl Literal {
    /// The value that the JSON document `raw` is; `None` where it is none, or is too long.
    #[must_use]
    pub fn new(raw: &[u8]) -> Option<Self> {
        let json = Json::read(raw, ScanLimits::default()).ok().filter(|_| raw.len() <= LITERAL_BYTES_MAX)?;
        Value::of(&json).map(Self)
    }

    /// Whether it is a number.
    #[must_use]
    pub fn is_number(&self) -> bool {
        self.number().is_some()
    }

    /// Whether both are numbers, and it is the larger one.
    #[must_use]
    pub fn is_above(&self, other: &Self) -> bool {
        self.number().zip(other.number()).is_some_and(|(own, other)| own > other)
    }

    fn number(&self) -> Option<&Decimal> {
        match &self.0 {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }
}

/// What the run is known by, for shapes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) trigger: &'a Trigger,
    pub(super) subject: &'a [String],
}

impl Shape {
    /// The entries that cover `step`, by their numbers.
    pub(super) fn covering(
        &self,
        step: &Step,
        tool: &Tool,
        known: Known<'_>,
    ) -> impl Iterator<Item = (usize, &Entry)> {
        let name = tool.id.to_string();
        self.entries.iter().enumerate().filter(move |(_, entry)| {
            entry.tool.matches(&name) && self.takes_arguments(entry, step, tool, known)
        })
    }

    fn takes_arguments(&self, entry: &Entry, step: &Step, tool: &Tool, known: Known<'_>) -> bool {
        let takes = |(name, argument): (&String, &Argument)| match entry.arguments.get(name) {
            None => !tool.labels.is_destination(name),
            Some(limit) => self.within(&argument.constraint, limit, known),
        };
        // What a call leaves out its tool fills in, and nobody knows with what.
        let is_given = |name: &String| {
            step.arguments.get(name).is_some_and(|argument| argument.presence == Presence::Required)
        };
        let fixed = entry.arguments.iter().filter(|(_, limit)| **limit != Limit::Any);
        step.arguments.iter().all(takes) && fixed.into_iter().all(|(name, _)| is_given(name))
    }

    /// Whether every value that fits `constraint` is within `limit`.
    fn within(&self, constraint: &Constraint, limit: &Limit, known: Known<'_>) -> bool {
        match limit {
            Limit::Any => true,
            Limit::OneOf(pins) => self.is_pinned(constraint, pins, known),
            Limit::Between(min, max) => is_between(constraint, min.as_ref(), max.as_ref()),
        }
    }

    fn is_pinned(&self, constraint: &Constraint, pins: &[Pin], known: Known<'_>) -> bool {
        let is_one = |value: &Value| self.is_one_of(value, pins, known);
        match constraint {
            Constraint::Lit(value) => is_one(value),
            Constraint::Enum(values) => values.iter().all(is_one),
            Constraint::Each { element, .. } => self.is_pinned(element, pins, known),
            Constraint::Trigger(name) => {
                pins.iter().any(|pin| matches!(pin, Pin::Trigger(pinned) if pinned == name))
                    && self.attribute(name, known).is_some()
            }
            // What these may be nobody knows before the call.
            Constraint::Match(_)
            | Constraint::Range { .. }
            | Constraint::From { .. }
            | Constraint::Object(_)
            | Constraint::Free { .. } => false,
        }
    }

    fn is_one_of(&self, value: &Value, pins: &[Pin], known: Known<'_>) -> bool {
        if let Value::Array(elements) = value {
            return elements.iter().all(|element| self.is_one_of(element, pins, known));
        }
        pins.iter().any(|pin| match pin {
            Pin::Literal(literal) => literal.0 == *value,
            Pin::Subject => matches!(value, Value::Text(text) if known.subject.contains(text)),
            Pin::Trigger(name) => self.attribute(name, known).is_some_and(|values| values.contains(value)),
        })
    }

    /// The values of an attribute, where the trigger's entry of the shape's source has it and no other entry does.
    fn attribute(&self, name: &AttributeName, known: Known<'_>) -> Option<Vec<Value>> {
        let is_ours = |entry: &crate::model::trigger::TriggerEntry| entry.source == self.source;
        let own = known.trigger.entries.iter().filter(|entry| is_ours(entry));
        own.into_iter().find(|entry| entry.attributes.contains_key(name))?;
        attribute(known.trigger, name).map(values)
    }
}

fn is_between(constraint: &Constraint, min: Option<&Literal>, max: Option<&Literal>) -> bool {
    let reaches =
        |number: Option<&Decimal>, bound: Option<&Literal>, is_in: fn(&Decimal, &Decimal) -> bool| {
            let Some(bound) = bound else { return true };
            bound.number().zip(number).is_some_and(|(bound, number)| is_in(number, bound))
        };
    let fits = |least: Option<&Decimal>, most: Option<&Decimal>| {
        reaches(least, min, |number, min| number >= min) && reaches(most, max, |number, max| number <= max)
    };
    let value = |value: &Value| matches!(value, Value::Number(number) if fits(Some(number), Some(number)));
    match constraint {
        Constraint::Lit(only) => value(only),
        Constraint::Enum(values) => values.iter().all(value),
        Constraint::Range { min, max } => fits(min.as_ref(), max.as_ref()),
        _ => false,
    }
}
