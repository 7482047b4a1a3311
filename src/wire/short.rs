//! A definition in fewer words, for agents with little room for lists.
//!
//! Must never change what a call of the tool may look like: it leaves out prose, and what describes results. It
//! trusts that the definition was parsed, so that it is no deeper than the grammar lets anything be.

use bytes::{BufMut, Bytes, BytesMut};

use super::encode;
use super::fault::Fault;
use super::object::{Object, elements, value_text};

/// Longest description that stays, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 240;

/// What of a tool is left out whole.
const LEFT_OUT_OF_TOOLS: &[&str] = &["outputSchema", "icons", "_meta"];
/// What of a schema is, which no call is checked by (JSON Schema, "A Vocabulary for Basic Meta-Data Annotations").
const LEFT_OUT_OF_SCHEMAS: &[&str] = &["title", "examples", "$comment"];
/// Keywords with schemas by name.
const NAMED: &[&str] = &["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/// Keywords with a schema, or several.
const INSIDE: &[&str] = &[
    "items",
    "prefixItems",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
];

/// The definition `raw` of a tool, each description cut to its first sentence, without what describes results,
/// pictures and the server's own notes.
///
/// # Errors
/// A fault where it is no object.
pub fn shorten(raw: &Bytes) -> Result<Bytes, Fault> {
    let tool = Object::of(&Object::of(raw)?.without(LEFT_OUT_OF_TOOLS))?;
    each(&tool, |key, value| match key {
        "inputSchema" => schema(value),
        "description" => Ok(described(value)),
        _ => Ok(value.clone()),
    })
}

fn schema(raw: &Bytes) -> Result<Bytes, Fault> {
    match raw.first() {
        Some(b'{') => {
            let object = Object::of(&Object::of(raw)?.without(LEFT_OUT_OF_SCHEMAS))?;
            each(&object, |key, value| match key {
                "description" => Ok(described(value)),
                _ if NAMED.contains(&key) && value.first() == Some(&b'{') => {
                    each(&Object::of(value)?, |_, schema_of| schema(schema_of))
                }
                _ if INSIDE.contains(&key) => schema(value),
                _ => Ok(value.clone()),
            })
        }
        Some(b'[') => {
            let several = elements(raw).unwrap_or_default();
            let several: Result<Vec<_>, _> = several.iter().map(schema).collect();
            Ok(encode::array(&several?))
        }
        _ => Ok(raw.clone()),
    }
}

/// The members of `object`, each with what `change` makes of its value.
fn each(object: &Object, change: impl Fn(&str, &Bytes) -> Result<Bytes, Fault>) -> Result<Bytes, Fault> {
    let mut out = BytesMut::with_capacity(object.raw().len());
    out.put_u8(b'{');
    for (at, (key, value)) in object.members().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        out.extend_from_slice(&encode::quoted(key));
        out.put_u8(b':');
        out.extend_from_slice(&change(key, &value)?);
    }
    out.put_u8(b'}');
    Ok(out.freeze())
}

fn described(value: &Bytes) -> Bytes {
    match value_text(value) {
        Ok(text) => encode::quoted(&sentence(&text)).into(),
        Err(_) => value.clone(),
    }
}

/// The first sentence of `text`, or as much of it as there is room for.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut end = text.len();
    for (at, mark) in text.char_indices() {
        let after = text.get(at + mark.len_utf8()..).unwrap_or_default();
        let is_end = match mark {
            // A new paragraph, a list or a table.
            '\n' => after.trim_start_matches([' ', '\t']).starts_with(['\n', '-', '*', '#', '|', '1']),
            '。' => true,
            // Not within `e.g. this`: a sentence begins with a capital.
            '.' | '!' | '?' => {
                let next = after.trim_start().chars().next();
                after.starts_with(char::is_whitespace) && next.is_some_and(|next| !next.is_lowercase())
            }
            _ => false,
        };
        if is_end {
            end = if mark == '\n' { at } else { at + mark.len_utf8() };
            break;
        }
    }
    let whole = text.get(..end).unwrap_or(text).trim_end();
    if whole.len() <= DESCRIPTION_BYTES_MAX {
        return whole.to_owned();
    }
    let cut = whole.floor_char_boundary(DESCRIPTION_BYTES_MAX - '…'.len_utf8());
    format!("{}…", whole.get(..cut).unwrap_or_default().trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_description_is_its_first_sentence() {
        for (text, first) in [
            ("Sends mail. Use it with care.", "Sends mail."),
            ("Sends mail", "Sends mail"),
            ("Sends mail, e.g. to you. More.", "Sends mail, e.g. to you."),
            ("Reads v1.2 files. More", "Reads v1.2 files."),
            ("  One\n\nTwo", "One"),
            ("One line\nthat goes on. Two", "One line\nthat goes on."),
            ("Options:\n  - a\n  - b", "Options:"),
            ("", ""),
            ("送ります。注意", "送ります。"),
        ] {
            assert_eq!(sentence(text), first, "{text}");
        }
        let long = sentence(&"ü".repeat(1000));
        assert!(long.len() <= DESCRIPTION_BYTES_MAX && long.ends_with("ü…"), "{long}");
    }

    #[test]
    fn prose_goes_and_what_a_call_may_look_like_stays() {
        let tool = json!({
            "name": "t", "title": "T", "description": "One. Two.", "icons": [{}], "_meta": {"a": 1},
            "outputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true},
            "inputSchema": {
                "type": "object", "title": "In", "$defs": {"d": {"description": "D. E.", "type": "string"}},
                "properties": {
                    "description": {"type": "string", "description": "What. More.", "default": "A. B."},
                    "title": {"anyOf": [{"$ref": "#/$defs/d", "examples": ["x"]}, {"type": "null"}]},
                    "list": {"items": {"title": "I", "const": {"title": "kept", "description": "A. B."}}},
                    "any": true,
                },
                "required": ["title"], "additionalProperties": false,
            },
        });
        let short = shorten(&Bytes::from(tool.to_string())).unwrap();
        let expected = json!({
            "name": "t", "title": "T", "description": "One.", "annotations": {"readOnlyHint": true},
            "inputSchema": {
                "type": "object", "$defs": {"d": {"description": "D.", "type": "string"}},
                "properties": {
                    "description": {"type": "string", "description": "What.", "default": "A. B."},
                    "title": {"anyOf": [{"$ref": "#/$defs/d"}, {"type": "null"}]},
                    "list": {"items": {"const": {"title": "kept", "description": "A. B."}}},
                    "any": true,
                },
                "required": ["title"], "additionalProperties": false,
            },
        });
        assert_eq!(serde_json::from_slice::<Value>(&short).unwrap(), expected);
        assert_eq!(shorten(&Bytes::from_static(b"{\"inputSchema\":7}")).unwrap(), "{\"inputSchema\":7}");
    }

    #[test]
    fn numbers_stay_as_they_are_written() {
        let tool = Bytes::from_static(br#"{"inputSchema":{"properties":{"n":{"maximum":1e400}}}}"#);
        assert_eq!(shorten(&tool).unwrap(), tool);
    }
}
