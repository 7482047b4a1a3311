//! What a reviewer outside of the gateway is shown of a plan: kinds and features, never a text of it (DESIGN §9.5).
//!
//! A plan is written by a model that may have read an injection, and a reviewer may be a model too: what the plan says
//! in words must not reach it. So steps are numbers, tools and arguments go by the names that their definitions give
//! them, and of a value there is its type, its length and whether it is of a domain that the operator knows. Must never
//! hold an id, a note, a goal, a literal, a pattern, a path or a name of a member that the plan chose. Must never hold
//! numbers that spell a text either: each that the plan chooses is rounded up to a power of two, and what it may put in
//! any order is sorted.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::name::{AttributeName, ToolId};

use super::fit::Fitted;
use super::steps::{Argument, Constraint, Presence, StepId};
use super::value::Value;

/// The domains that the operator knows, in lower case.
pub type Domains = BTreeSet<String>;

/// One step, as a reviewer is shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepFeatures {
    /// The tool; none where there is no such tool, and then nothing else is shown.
    pub tool: Option<ToolId>,
    /// It says no more calls than this; none where it says no number.
    pub max_calls: Option<usize>,
    /// The numbers of the steps that it needs, from 0.
    pub needs: BTreeSet<usize>,
    /// What it says of each argument.
    pub arguments: BTreeMap<String, Feature>,
}

/// What a step says of an argument.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Feature {
    /// Whether a call may leave it out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_optional: bool,
    /// Which kind of constraint it is.
    #[serde(flatten)]
    pub kind: Kind,
}

/// A constraint without its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Kind {
    /// `lit` and `enum`: what the values are.
    Values {
        /// Those that differ in what is shown of them, sorted.
        values: Vec<Alike>,
    },
    /// `match`.
    Match,
    /// `min` and `max`.
    Range,
    /// `from` and `select`.
    From {
        /// The number of the step.
        step: Option<usize>,
    },
    /// `trigger`: a name that the operator declared.
    Trigger {
        /// The attribute.
        attribute: AttributeName,
    },
    /// `each`.
    Each {
        /// What each element is.
        element: Box<Kind>,
        /// There can be no more than this.
        max_items: usize,
    },
    /// `object`: its members, without their names.
    Object {
        /// One for each member, sorted.
        members: Vec<Feature>,
    },
    /// `free`.
    Free {
        /// There can be no more characters than this.
        max_len: usize,
    },
}

/// Values of which the same is shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Alike {
    /// What is shown of each.
    #[serde(flatten)]
    pub each: ValueFeature,
    /// There are no more than this.
    pub count_max: usize,
}

/// What a reviewer is shown of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ValueFeature {
    /// Its type, as JSON Schema names it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// No more than as many characters of a text, elements of an array, members of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub len_max: Option<usize>,
    /// For a text that ends in `@` and a domain: whether the operator knows that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_known_domain: Option<bool>,
}

impl Fitted {
    /// What a reviewer outside is shown of each step, in order.
    #[must_use]
    pub fn features(&self, known: &Domains) -> Vec<StepFeatures> {
        let steps = &self.plan.steps;
        let number = |id: &StepId| steps.iter().position(|step| step.id == *id);
        let view = View { known, number: &number };
        let each = steps.iter().zip(&self.tools).map(|(step, tool)| {
            // The names of arguments are those of a definition only where there is one.
            let named = tool.iter().flat_map(|_| &step.arguments);
            StepFeatures {
                tool: tool.as_ref().map(|tool| tool.id.clone()),
                max_calls: step.max_calls.map(|calls| coarse(calls as usize)),
                needs: step.needs().into_iter().filter_map(number).collect(),
                arguments: named.map(|(name, argument)| (name.clone(), view.argument(argument))).collect(),
            }
        });
        each.collect()
    }
}

struct View<'a> {
    known: &'a Domains,
    number: &'a dyn Fn(&StepId) -> Option<usize>,
}

impl View<'_> {
    fn argument(&self, argument: &Argument) -> Feature {
        Feature {
            is_optional: argument.presence == Presence::Optional,
            kind: self.kind(&argument.constraint),
        }
    }

    fn kind(&self, constraint: &Constraint) -> Kind {
        match constraint {
            Constraint::Lit(value) => self.values(std::slice::from_ref(value)),
            Constraint::Enum(values) => self.values(values),
            Constraint::Match(_) => Kind::Match,
            Constraint::Range { .. } => Kind::Range,
            Constraint::From { step, .. } => Kind::From { step: (self.number)(step) },
            Constraint::Trigger(attribute) => Kind::Trigger { attribute: attribute.clone() },
            Constraint::Each { element, max_items } => {
                Kind::Each { element: Box::new(self.kind(element)), max_items: coarse(*max_items) }
            }
            Constraint::Object(members) => {
                let mut members: Vec<_> = members.values().map(|member| self.argument(member)).collect();
                members.sort();
                Kind::Object { members }
            }
            Constraint::Free { max_len } => Kind::Free { max_len: coarse(*max_len) },
        }
    }

    fn values(&self, values: &[Value]) -> Kind {
        let mut alike = BTreeMap::<ValueFeature, usize>::new();
        for value in values {
            *alike.entry(self.value(value)).or_default() += 1;
        }
        let each = alike.into_iter().map(|(each, count)| Alike { each, count_max: coarse(count) });
        Kind::Values { values: each.collect() }
    }

    fn value(&self, value: &Value) -> ValueFeature {
        let len = match value {
            Value::Text(text) => Some(text.chars().count()),
            Value::Array(elements) => Some(elements.len()),
            Value::Object(members) => Some(members.len()),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        };
        let domain = match value {
            Value::Text(text) => text.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase()),
            _ => None,
        };
        let is_known_domain = domain.map(|domain| self.known.contains(&domain));
        ValueFeature { kind: value.kind(), len_max: len.map(coarse), is_known_domain }
    }
}

/// `number`, rounded up to a power of two: a plan can say a number, and no text by many of them.
fn coarse(number: usize) -> usize {
    if number == 0 { 0 } else { number.checked_next_power_of_two().unwrap_or(usize::MAX) }
}
