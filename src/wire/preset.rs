//! Presets in the bytes of a call and of a definition: what is settled is put in, and what is fixed is not told.
//!
//! Must never change another byte (I7). It trusts that what it edits was parsed, and that a preset is one JSON value.

use bytes::{BufMut, Bytes, BytesMut};

use super::encode;
use super::fault::Fault;
use super::object::{Object, elements, value_text};
use super::text;
use crate::model::preset::{Preset, Presets};

/// `arguments`, an object or nothing, as they are sent: whatever is fixed in the place of what came in, and what
/// is missing and has a default.
///
/// # Errors
/// A fault where `arguments` is something else.
pub fn fill(arguments: &Bytes, presets: &Presets) -> Result<Bytes, Fault> {
    let arguments = if arguments.is_empty() { Bytes::from_static(b"{}") } else { arguments.clone() };
    let object = Object::of(&arguments)?;
    let fixed: Vec<&str> = presets.fixed().collect();
    let rest = object.without(&fixed);
    let mut out = BytesMut::with_capacity(rest.len());
    out.put_u8(b'{');
    let mut members = 0_usize;
    for (name, preset) in &presets.0 {
        let value = match preset {
            Preset::Fixed(value) => value,
            Preset::Default(_) if object.entry(name).is_some() => continue,
            Preset::Default(value) => value,
        };
        if members > 0 {
            out.put_u8(b',');
        }
        out.extend_from_slice(&encode::quoted(name));
        out.put_u8(b':');
        out.extend_from_slice(value);
        members += 1;
    }
    if members > 0 && object.keys().any(|key| !fixed.contains(&key)) {
        out.put_u8(b',');
    }
    out.extend_from_slice(rest.get(1..).unwrap_or_default());
    Ok(out.freeze())
}

/// Whether `arguments` say something of what is fixed, also by a name that a careless parser takes for it
/// (CASES A03).
#[must_use]
pub fn speaks_of_fixed(arguments: &Bytes, presets: &Presets) -> bool {
    if presets.is_empty() || arguments.is_empty() {
        return false;
    }
    let Ok(object) = Object::of(arguments) else { return false };
    let is_fixed = |key: &str| presets.fixed().any(|fixed| key == fixed || text::folds_to(key, fixed));
    object.keys().any(is_fixed)
}

/// The definition `raw` of a tool as callers are shown it: without the arguments that are fixed, and with the
/// defaults of those that have one, which are no longer required.
///
/// # Errors
/// A fault where it is no object.
pub fn show(raw: &Bytes, presets: &Presets) -> Result<Bytes, Fault> {
    let tool = Object::of(raw)?;
    let Some(schema) = tool.get("inputSchema") else { return Ok(raw.clone()) };
    let mut schema = Object::of(&schema)?;
    let properties = schema.get("properties").and_then(|raw| Object::of(&raw).ok());
    if let Some(properties) = properties {
        schema = replaced(&schema, "properties", &shown(&properties, presets)?)?;
    }
    let required = schema.get("required").and_then(|raw| elements(&raw));
    if let Some(required) = required {
        let is_settled = |name: &Bytes| value_text(name).is_ok_and(|name| presets.0.contains_key(&name));
        let left: Vec<_> = required.into_iter().filter(|name| !is_settled(name)).collect();
        schema = replaced(&schema, "required", &encode::array(&left))?;
    }
    Ok(replaced(&tool, "inputSchema", &schema.raw())?.raw())
}

/// `object` with another value for the member `key`, which it has.
fn replaced(object: &Object, key: &str, value: &[u8]) -> Result<Object, Fault> {
    Object::of(&object.replace(key, value).unwrap_or_else(|| object.raw()))
}

/// The schemas of the arguments by their names.
fn shown(properties: &Object, presets: &Presets) -> Result<Bytes, Fault> {
    let fixed: Vec<&str> = presets.fixed().collect();
    let mut shown = Object::of(&properties.without(&fixed))?;
    for (name, preset) in &presets.0 {
        let Preset::Default(value) = preset else { continue };
        // A schema may also be `true`, which has no place for a default.
        let Some(schema) = shown.get(name).and_then(|raw| Object::of(&raw).ok()) else { continue };
        let schema = schema.replace("default", value).unwrap_or_else(|| schema.with("default", value));
        shown = replaced(&shown, name, &schema)?;
    }
    Ok(shown.raw())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn presets(all: &[(&str, Preset)]) -> Presets {
        Presets(all.iter().map(|(name, preset)| ((*name).to_owned(), preset.clone())).collect())
    }

    fn raw(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn settled() -> Presets {
        presets(&[("folder", Preset::Fixed(raw("\"inbox\""))), ("limit", Preset::Default(raw("10")))])
    }

    #[test]
    fn what_is_fixed_is_put_in_what_is_missing_too_and_nothing_else_changes() {
        for (arguments, filled) in [
            ("", r#"{"folder":"inbox","limit":10}"#),
            ("{}", r#"{"folder":"inbox","limit":10}"#),
            ("{ }", r#"{"folder":"inbox","limit":10 }"#),
            (r#"{"folder":"x"}"#, r#"{"folder":"inbox","limit":10}"#),
            (r#"{"limit": null}"#, r#"{"folder":"inbox","limit": null}"#),
            (r#"{ "q" : 1e400, "folder":"x" }"#, r#"{"folder":"inbox","limit":10, "q" : 1e400 }"#),
            (r#"{"folder":{},"q":1,"limit":3}"#, r#"{"folder":"inbox","q":1,"limit":3}"#),
        ] {
            assert_eq!(fill(&raw(arguments), &settled()).unwrap(), filled, "{arguments}");
        }
        assert!(fill(&raw("[]"), &settled()).is_err());
    }

    #[test]
    fn a03_who_speaks_of_what_is_fixed_is_told_apart() {
        for (arguments, speaks) in [
            ("", false),
            ("{}", false),
            (r#"{"limit":1,"q":{"folder":1}}"#, false),
            (r#"{"folder":"inbox"}"#, true),
            (r#"{"fold\u0065r":1}"#, true),
            (r#"{"q":1,"Folder":1}"#, true),
        ] {
            assert_eq!(speaks_of_fixed(&raw(arguments), &settled()), speaks, "{arguments}");
        }
    }

    #[test]
    fn callers_are_shown_neither_what_is_fixed_nor_that_a_default_is_required() {
        let tool = raw(r#"{"name":"t","inputSchema":{"type":"object","properties":
            {"folder":{"type":"string"},"limit":{"type":"integer","maximum":1e2},"q":true},
            "required":["folder", "q","limit"]}}"#);
        let shown = show(&tool, &settled()).unwrap();
        let expected = r#"{"name":"t","inputSchema":{"type":"object","properties":
            {"limit":{"default":10,"type":"integer","maximum":1e2},"q":true},
            "required":["q"]}}"#;
        assert_eq!(std::str::from_utf8(&shown).unwrap(), expected);
        let bare = raw(r#"{"name":"t","inputSchema":{"type":"object"}}"#);
        assert_eq!(show(&bare, &settled()).unwrap(), bare);
        let none = raw(r#"{"name":"t"}"#);
        assert_eq!(show(&none, &settled()).unwrap(), none);
    }

    fn arguments() -> impl Strategy<Value = Value> {
        let name = prop_oneof![Just("folder"), Just("limit"), Just("q"), Just("Folder")];
        let value =
            prop_oneof![Just(json!(null)), any::<i32>().prop_map(Value::from), Just(json!({ "a": [1] }))];
        prop::collection::btree_map(name, value, 0..4)
            .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    proptest! {
        #[test]
        fn filled_is_what_came_in_with_the_presets_over_and_under_it(came_in in arguments()) {
            let filled = fill(&Bytes::from(came_in.to_string()), &settled()).unwrap();
            let mut expected = json!({ "limit": 10 });
            for (name, value) in came_in.as_object().unwrap() {
                expected[name] = value.clone();
            }
            expected["folder"] = json!("inbox");
            prop_assert_eq!(serde_json::from_slice::<Value>(&filled).unwrap(), expected);
        }
    }
}
