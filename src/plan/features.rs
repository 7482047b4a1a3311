//! What a reviewer outside of the gateway is shown of a plan: kinds and features, never a text of it (DESIGN §9.5).
//!
//! A plan is written by a model that may have read an injection, and a reviewer may be a model too: what the plan says
//! in words must not reach it. So steps are numbers, tools and arguments go by the names that their definitions give
//! them, and of a value there is its type, its length and whether it is of a domain that the operator knows. Must never
//! hold an id, a note, a goal, a literal, a pattern, a path or a name of a member that the plan chose.

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
    /// How many calls it says; none where it says no number.
    pub max_calls: Option<u32>,
    /// The numbers of the steps that it needs, from 0.
    pub needs: BTreeSet<usize>,
    /// What it says of each argument.
    pub arguments: BTreeMap<String, Feature>,
}

/// What a step says of an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Whether a call may leave it out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_optional: bool,
    /// Which kind of constraint it is.
    #[serde(flatten)]
    pub kind: Kind,
}

/// A constraint without its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Kind {
    /// `lit` and `enum`: what the values are.
    Values {
        /// One for each value.
        values: Vec<ValueFeature>,
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
        /// How many there can be.
        max_items: usize,
    },
    /// `object`: its members, without their names.
    Object {
        /// One for each member.
        members: Vec<Feature>,
    },
    /// `free`.
    Free {
        /// How many characters there can be.
        max_len: usize,
    },
}

/// What a reviewer is shown of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueFeature {
    /// Its type, as JSON Schema names it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Characters of a text, elements of an array, members of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub len: Option<usize>,
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
                max_calls: step.max_calls,
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
            Constraint::Lit(value) => Kind::Values { values: vec![self.value(value)] },
            Constraint::Enum(values) => {
                Kind::Values { values: values.iter().map(|value| self.value(value)).collect() }
            }
            Constraint::Match(_) => Kind::Match,
            Constraint::Range { .. } => Kind::Range,
            Constraint::From { step, .. } => Kind::From { step: (self.number)(step) },
            Constraint::Trigger(attribute) => Kind::Trigger { attribute: attribute.clone() },
            Constraint::Each { element, max_items } => {
                Kind::Each { element: Box::new(self.kind(element)), max_items: *max_items }
            }
            Constraint::Object(members) => {
                Kind::Object { members: members.values().map(|member| self.argument(member)).collect() }
            }
            Constraint::Free { max_len } => Kind::Free { max_len: *max_len },
        }
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
        ValueFeature { kind: value.kind(), len, is_known_domain }
    }
}
