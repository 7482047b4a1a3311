//! The arguments that an operator settles: each once, in one way, with a value that its schema takes.
//!
//! Must never settle an argument that the tool does not have: nobody would notice.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::config::code::Code;
use crate::config::json::{JSON_HELP, json};
use crate::config::node::{Located, suggestion};
use crate::config::problem::Sink;
use crate::config::raw::{Document, PresetRule};
use crate::model::glob::Glob;
use crate::model::preset::{Preset, Presets};
use crate::upstream::Tool;

use super::Scope;

pub(super) fn check(written: &[PresetRule], scope: Scope<'_>) -> Presets {
    let found = scope.found;
    let one = |rule: &PresetRule| {
        let preset = match (&rule.fixed, &rule.default) {
            (Some(value), None) => Preset::Fixed(raw(value, found)?),
            (None, Some(value)) => Preset::Default(raw(value, found)?),
            (None, None) if !found.lacks(&rule.place, &["fixed", "default"]) => return None,
            _ => {
                let message = format!("`{}` has to be fixed, or have a default", rule.name);
                let help =
                    "write `{ fixed = … }` for what callers may not say, `{ default = … }` for what they may";
                found.error(Code::Conflict, &rule.place, message, help);
                return None;
            }
        };
        Some((rule.name.clone(), preset))
    };
    Presets(written.iter().filter_map(one).collect::<BTreeMap<_, _>>())
}

fn raw(written: &Located<crate::config::node::Node>, found: &Sink) -> Option<Bytes> {
    match json(written) {
        Ok(value) => Some(value.to_string().into()),
        Err(place) => {
            found.error(Code::WrongType, place, "this is no value of an argument", JSON_HELP);
            None
        }
    }
}

/// Every entry that settles an argument against the accepted schemas of the tools that it is for.
pub(super) fn against_schemas(document: &Document, accepted: &[Tool], scope: Scope<'_>) {
    for upstream in &document.upstreams {
        for rule in &upstream.tools {
            let glob = rule.tool.as_ref().and_then(|tool| Glob::new(&tool.value));
            let (Some(glob), Some(presets)) = (glob, &rule.arguments) else { continue };
            let is_meant = |tool: &&Tool| {
                tool.id.upstream.as_str() == upstream.name.value && glob.matches(tool.id.tool.as_str())
            };
            for tool in accepted.iter().filter(is_meant) {
                presets.iter().for_each(|preset| against_schema(preset, tool, scope));
            }
        }
    }
}

fn against_schema(preset: &PresetRule, tool: &Tool, scope: Scope<'_>) {
    let schema: Value = serde_json::from_slice(&tool.input_schema).unwrap_or_default();
    let none = serde_json::Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let Some(property) = properties.get(&preset.name) else {
        let known: Vec<&String> = properties.keys().collect();
        let message = format!("`{}` has no argument `{}`", tool.id, preset.name);
        scope.found.error(Code::BadValue, &preset.place, message, suggestion(&preset.name, &known));
        return;
    };
    let Some(written) = preset.fixed.as_ref().or(preset.default.as_ref()) else { return };
    let Ok(value) = json(written) else { return };
    if let Some(wanted) = misfit(property, &value) {
        let message = format!("`{}` of `{}` cannot be {value}", preset.name, tool.id);
        let help = format!("`gateway.lock` holds its accepted schema, which takes {wanted}");
        scope.found.error(Code::BadValue, &written.place, message, help);
    }
}

/// What `schema` takes instead of `value`, as far as its `type` and `enum` say (JSON Schema, "A Vocabulary for
/// Structural Validation", 6.1).
fn misfit(schema: &Value, value: &Value) -> Option<String> {
    let words = schema.get("enum").and_then(Value::as_array);
    if let Some(words) = words.filter(|words| !words.contains(value)) {
        let words: Vec<_> = words.iter().take(WORDS_SHOWN_MAX).map(ToString::to_string).collect();
        return Some(words.join(", "));
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let is_of = |name: &&str| match *name {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        // A number without a fraction is an integer, however it is written.
        "integer" => value.is_i64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "null" => value.is_null(),
        _ => true,
    };
    (!types.iter().any(is_of)).then(|| types.join(" or "))
}

/// Most values of an `enum` that advice lists.
const WORDS_SHOWN_MAX: usize = 12;
