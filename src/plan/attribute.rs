//! The attributes of a trigger as a plan names them: by their name alone.
//!
//! Must never choose between several: an attribute that two entries of the trigger have is none (DESIGN §4.3).

use std::collections::BTreeMap;

use crate::model::name::AttributeName;
use crate::model::trigger::{AttributeValue, Trigger};

use super::decimal::Decimal;
use super::value::Value;

/// The attributes that exactly one entry of `trigger` has.
pub(super) fn attributes(trigger: &Trigger) -> BTreeMap<&AttributeName, &AttributeValue> {
    let mut found: BTreeMap<&AttributeName, Option<&AttributeValue>> = BTreeMap::new();
    for (name, value) in trigger.entries.iter().flat_map(|entry| &entry.attributes) {
        found.entry(name).and_modify(|known| *known = None).or_insert(Some(value));
    }
    found.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The value of the attribute `name`, if exactly one entry of `trigger` has it.
pub(super) fn attribute<'a>(trigger: &'a Trigger, name: &AttributeName) -> Option<&'a AttributeValue> {
    let mut all = trigger.entries.iter().filter_map(|entry| entry.attributes.get(name));
    all.next().filter(|_| all.next().is_none())
}

/// The values that the attribute allows: its own; of a set of texts, each of them.
pub(super) fn values(attribute: &AttributeValue) -> Vec<Value> {
    match attribute {
        AttributeValue::Bool(value) => vec![Value::Bool(*value)],
        AttributeValue::Integer(value) => Decimal::of(*value).map(Value::Number).into_iter().collect(),
        AttributeValue::Text(text) => vec![Value::Text(text.to_string())],
        AttributeValue::Texts(all) => all.iter().map(|text| Value::Text(text.to_string())).collect(),
    }
}

/// The type of one value of the attribute, as JSON Schema names it.
pub(super) const fn kind(attribute: &AttributeValue) -> &'static str {
    match attribute {
        AttributeValue::Bool(_) => "boolean",
        AttributeValue::Integer(_) => "integer",
        AttributeValue::Text(_) | AttributeValue::Texts(_) => "string",
    }
}
