//! `tctx`: what started the run, as the token describes it, with typed attributes and finer sources.
//!
//! Must never keep an attribute that the configuration does not declare, nor take one of another type than
//! it declares: rules are written for what was declared.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::identity::json::{self, Members};
use crate::identity::refine::Refinement;
use crate::model::name::{AttributeName, Goal, SourceName};
use crate::model::reason::Reason;
use crate::model::text::Bounded;
use crate::model::trigger::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, AttributeType, AttributeValue, Declarations, ENTRIES_MAX, TEXTS_MAX,
    Trigger, TriggerEntry,
};

/// The member of an entry that names its source. No attribute can have this name.
pub const KIND: &str = "kind";

/// The trigger that `payload` describes; without entries where it describes none.
pub(super) fn trigger(
    payload: &Members,
    refine: &BTreeMap<SourceName, Refinement>,
    attributes: &Declarations,
) -> Result<Trigger, Reason> {
    let Some(context) = json::child(payload, "tctx")? else { return Ok(Trigger::default()) };
    // Whoever says what started the run has to say which source that was: a description without one is
    // not the same as none.
    let written = json::list(context, "src")?.unwrap_or_default();
    if written.is_empty() || written.len() > ENTRIES_MAX {
        return Err(Reason::TokenClaimsInvalid);
    }
    let each = |value: &Value| entry(value, refine, attributes).ok_or(Reason::TokenClaimsInvalid);
    let entries = written.iter().map(each).collect::<Result<_, _>>()?;
    let goal = json::text(context, "goal")?.map(Goal::new).transpose();
    Ok(Trigger { entries, goal: goal.map_err(|_| Reason::TokenClaimsInvalid)? })
}

fn entry(
    value: &Value,
    refine: &BTreeMap<SourceName, Refinement>,
    attributes: &Declarations,
) -> Option<TriggerEntry> {
    let written = value.as_object()?;
    let kind = SourceName::new(json::text(written, KIND).ok()??).ok()?;
    if written.len() > ATTRIBUTES_MAX + 1 {
        return None;
    }
    let declared = attributes.get(&kind);
    let mut kept = BTreeMap::new();
    let mut dropped = Vec::new();
    for (name, value) in written.iter().filter(|(name, _)| *name != KIND) {
        let known = declared.and_then(|declared| declared.get_key_value(name.as_str()));
        match known {
            Some((name, of_type)) => {
                kept.insert(AttributeName::clone(name), attribute(value, *of_type)?);
            }
            None => dropped.push(Bounded::new(name)),
        }
    }
    let source = refine.get(&kind).map_or(&kind, |refinement| refinement.source(&kept)).clone();
    Some(TriggerEntry { kind, source, attributes: kept, dropped })
}

fn attribute(value: &Value, of_type: AttributeType) -> Option<AttributeValue> {
    Some(match of_type {
        AttributeType::Bool => AttributeValue::Bool(value.as_bool()?),
        AttributeType::Integer => AttributeValue::Integer(value.as_i64()?),
        AttributeType::Text => AttributeValue::Text(text(value)?),
        AttributeType::Texts => {
            let texts = value.as_array().filter(|texts| texts.len() <= TEXTS_MAX)?;
            AttributeValue::Texts(texts.iter().map(text).collect::<Option<_>>()?)
        }
    })
}

fn text(value: &Value) -> Option<Arc<str>> {
    value.as_str().filter(|text| text.len() <= ATTRIBUTE_BYTES_MAX).map(Arc::from)
}
