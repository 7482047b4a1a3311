//! The words of Cedar that conditions and guardrails are written against: entities, and the context of a call.
//!
//! Must never name an entity or a member of the context in a second place: the schema that is checked against
//! and the request that is decided on both come from here.

use std::collections::BTreeMap;
use std::str::FromStr;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema, SchemaError};
use serde_json::{Map, Value, json};

use super::shape::{Arguments, record_to_cedar};
use crate::model::name::AttributeName;
use crate::model::trigger::{AttributeType, Declarations};

/// The schema of a call of a tool with these `arguments`.
pub(super) fn schema(arguments: &Arguments, triggers: &Declarations) -> Result<Schema, Box<SchemaError>> {
    let text = json!({"type": "String"});
    let texts = json!({"type": "Set", "element": text});
    let each =
        |(source, declared): (&crate::model::name::SourceName, _)| (source.to_string(), attributes(declared));
    let triggers: Map<String, Value> = triggers.iter().map(each).collect();
    let context = json!({"type": "Record", "attributes": {
        ARGS: record_to_cedar(arguments),
        TRIGGER: {"type": "Record", "attributes": triggers},
        SUBJECT: text, AGENT: text, ROLES: texts, AGENTS: texts, SOURCES: texts,
        NOW: {"type": "Extension", "name": "datetime"},
    }});
    let whole = json!({"": {
        "entityTypes": {
            SUBJECT_TYPE: {}, UPSTREAM_TYPE: {}, TOOL_TYPE: {"memberOfTypes": [UPSTREAM_TYPE]},
        },
        "actions": {
            CALL: {"appliesTo": {"principalTypes": [SUBJECT_TYPE], "resourceTypes": [TOOL_TYPE], "context": context}},
        },
    }});
    Schema::from_json_value(whole).map_err(Box::new)
}

fn attributes(declared: &BTreeMap<AttributeName, AttributeType>) -> Value {
    let of_type = |declared: &AttributeType| match declared {
        AttributeType::Bool => json!({"type": "Boolean"}),
        AttributeType::Integer => json!({"type": "Long"}),
        AttributeType::Text => json!({"type": "String"}),
        AttributeType::Texts => json!({"type": "Set", "element": {"type": "String"}}),
    };
    let attributes: Map<String, Value> =
        declared.iter().map(|(name, declared)| (name.to_string(), of_type(declared))).collect();
    json!({"type": "Record", "attributes": attributes})
}

/// The entity `id` of the type `name`, which is one of ours.
pub(super) fn entity(name: &str, id: &str) -> Option<EntityUid> {
    // A type of ours is an identifier, so this always holds; were it not, the call would be denied.
    let name = EntityTypeName::from_str(name).ok()?;
    Some(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}

pub(super) const SUBJECT_TYPE: &str = "Subject";
pub(super) const TOOL_TYPE: &str = "Tool";
pub(super) const UPSTREAM_TYPE: &str = "Upstream";
pub(super) const ACTION_TYPE: &str = "Action";
pub(super) const CALL: &str = "call";

pub(super) const ARGS: &str = "args";
pub(super) const TRIGGER: &str = "trigger";
pub(super) const SUBJECT: &str = "subject";
pub(super) const AGENT: &str = "agent";
pub(super) const AGENTS: &str = "agents";
pub(super) const ROLES: &str = "roles";
pub(super) const SOURCES: &str = "sources";
pub(super) const NOW: &str = "now";
