//! Whether the arguments of a call are those that a step is for.
//!
//! A step is closed: what it does not name is refused, and what it names and a call leaves out too, unless the plan
//! says `optional`. Values count by meaning, never by spelling. Must never look at anything but the arguments, the
//! trigger and what earlier steps selected. Trusts the strict parse for one meaning a document.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::digest::Sha256;
use crate::model::trigger::Trigger;
use crate::wire::Json;

use super::attribute::{attribute, values};
use super::decimal::Decimal;
use super::select::Select;
use super::steps::{Argument, Constraint, Presence, StepId};
use super::value::scalar_digest;

/// What the arguments are held against beside the step.
pub(super) struct Facts<'a> {
    pub(super) trigger: &'a Trigger,
    pub(super) selected: &'a Selected,
}

/// The digests of the values that each query selected of each step's answers.
pub(super) type Selected = BTreeMap<StepId, BTreeMap<String, BTreeSet<Sha256>>>;

impl Facts<'_> {
    /// Whether `given` are arguments that `named` is for.
    pub(super) fn all(&self, named: &BTreeMap<String, Argument>, given: &[(Cow<'_, str>, Json<'_>)]) -> bool {
        let is_named = |(name, value): &(Cow<'_, str>, Json<'_>)| {
            named.get(name.as_ref()).is_some_and(|argument| self.one(&argument.constraint, value))
        };
        let is_given = |name: &str| given.iter().any(|(other, _)| other == name);
        given.iter().all(is_named)
            && named.iter().all(|(name, argument)| argument.presence == Presence::Optional || is_given(name))
    }

    fn one(&self, constraint: &Constraint, value: &Json<'_>) -> bool {
        match constraint {
            Constraint::Lit(wanted) => wanted.equals(value),
            Constraint::Enum(wanted) => wanted.iter().any(|wanted| wanted.equals(value)),
            Constraint::Match(pattern) => value.text().is_some_and(|text| pattern.matches(text)),
            Constraint::Range { min, max } => {
                let Json::Number(text) = value else { return false };
                Decimal::new(text).is_some_and(|number| {
                    min.as_ref().is_none_or(|min| number >= *min)
                        && max.as_ref().is_none_or(|max| number <= *max)
                })
            }
            Constraint::From { step, select } => self.is_selected(step, select, value),
            Constraint::Trigger(name) => attribute(self.trigger, name)
                .is_some_and(|wanted| values(wanted).iter().any(|wanted| wanted.equals(value))),
            Constraint::Each { element, max_items } => value.elements().is_some_and(|elements| {
                elements.len() <= *max_items && elements.iter().all(|value| self.one(element, value))
            }),
            Constraint::Object(members) => value.members().is_some_and(|given| self.all(members, given)),
            Constraint::Free { max_len } => value.text().is_some_and(|text| text.chars().count() <= *max_len),
        }
    }

    fn is_selected(&self, step: &StepId, select: &Select, value: &Json<'_>) -> bool {
        let digests = self.selected.get(step).and_then(|by_query| by_query.get(select.as_str()));
        digests.is_some_and(|digests| scalar_digest(value).is_some_and(|digest| digests.contains(&digest)))
    }
}
