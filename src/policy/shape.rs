//! The arguments of a tool as conditions see them: which there are and of which type, read from the accepted
//! input schema (JSON Schema 2020-12, as MCP uses it).
//!
//! Must never give a type to what it could not represent exactly: such an argument cannot be named by a
//! condition. Must never resolve a reference out of the schema (CASES A64). Trusts that the schema was accepted;
//! nothing in it is followed further than the named limits.

mod value;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub(super) use value::Values;

/// Deepest nesting of a schema that is looked at, references included.
const SCHEMA_DEPTH_MAX: usize = 16;
/// Most members of all objects of one schema that are looked at.
const SCHEMA_MEMBERS_MAX: usize = 4096;

/// The type of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Bool,
    Integer,
    Decimal,
    Text,
    Set(Box<Shape>),
    Record(BTreeMap<String, Member>),
    /// It cannot be represented exactly, and so not be named.
    Opaque,
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) shape: Shape,
    /// `null` counts as absent.
    pub(super) is_nullable: bool,
    /// Another member has the same name but for its case: a careless reader would take one for the other.
    pub(super) has_twin: bool,
}

/// Every argument of a tool.
pub(super) type Arguments = BTreeMap<String, Member>;

/// The arguments that the input schema `raw` has. One that cannot be read has none.
pub(super) fn arguments(raw: &[u8]) -> Arguments {
    let schema: Value = serde_json::from_slice(raw).unwrap_or_default();
    let mut reading = Reading { root: &schema, members_left: SCHEMA_MEMBERS_MAX };
    match reading.shape(&schema, 0) {
        Shape::Record(members) => members,
        _ => Arguments::new(),
    }
}

struct Reading<'a> {
    root: &'a Value,
    members_left: usize,
}

impl<'a> Reading<'a> {
    fn shape(&mut self, schema: &'a Value, depth: usize) -> Shape {
        self.member(schema, depth).shape
    }

    fn member(&mut self, schema: &'a Value, depth: usize) -> Member {
        let opaque = Member { shape: Shape::Opaque, is_nullable: false, has_twin: false };
        let Some(object) = schema.as_object().filter(|_| depth < SCHEMA_DEPTH_MAX) else { return opaque };
        if let Some(target) = object.get("$ref") {
            return match self.referenced(target) {
                Some(target) => self.member(target, depth + 1),
                None => opaque,
            };
        }
        if let Some(branches) = branches(object) {
            return self.one_of(branches, depth);
        }
        let types = types(object);
        let is_nullable = types.contains(&"null");
        let mut others = types.into_iter().filter(|name| *name != "null");
        let shape = match (others.next(), others.next()) {
            (Some(name), None) => self.of_type(name, object, depth),
            (None, None) => of_enum(object),
            _ => Shape::Opaque,
        };
        Member { shape, is_nullable, has_twin: false }
    }

    fn of_type(&mut self, name: &str, object: &'a Map<String, Value>, depth: usize) -> Shape {
        match name {
            "string" => Shape::Text,
            "boolean" => Shape::Bool,
            "integer" => Shape::Integer,
            "number" => Shape::Decimal,
            "array" => {
                let element = object.get("items").map(|items| self.member(items, depth + 1));
                match element {
                    Some(Member { shape, is_nullable: false, .. }) if shape != Shape::Opaque => {
                        Shape::Set(Box::new(shape))
                    }
                    _ => Shape::Opaque,
                }
            }
            "object" => match object.get("properties").and_then(Value::as_object) {
                Some(properties) => self.record(properties, depth),
                // Without declared members the top has no arguments; anything deeper is a map.
                None if depth == 0 => Shape::Record(BTreeMap::new()),
                None => Shape::Opaque,
            },
            _ => Shape::Opaque,
        }
    }

    fn record(&mut self, properties: &'a Map<String, Value>, depth: usize) -> Shape {
        let mut members = BTreeMap::new();
        for (name, schema) in properties {
            let Some(left) = self.members_left.checked_sub(1) else { return Shape::Opaque };
            self.members_left = left;
            members.insert(name.clone(), self.member(schema, depth + 1));
        }
        let mut folded: BTreeMap<String, usize> = BTreeMap::new();
        for name in members.keys() {
            *folded.entry(fold(name)).or_default() += 1;
        }
        for (name, member) in &mut members {
            member.has_twin = folded.get(&fold(name)).is_some_and(|count| *count > 1);
        }
        Shape::Record(members)
    }

    /// A choice that is one type and perhaps `null`, as `Optional` is written by many generators.
    fn one_of(&mut self, branches: &'a [Value], depth: usize) -> Member {
        let is_null = |branch: &&Value| branch.get("type").and_then(Value::as_str) == Some("null");
        let mut others = branches.iter().filter(|branch| !is_null(branch));
        match (others.next(), others.next()) {
            (Some(only), None) => {
                let member = self.member(only, depth + 1);
                Member { is_nullable: member.is_nullable || branches.iter().any(|b| is_null(&b)), ..member }
            }
            _ => Member { shape: Shape::Opaque, is_nullable: false, has_twin: false },
        }
    }

    /// What `#/$defs/NAME` means. Everything else is a reference out of the schema, or too clever.
    fn referenced(&self, target: &Value) -> Option<&'a Value> {
        let name = target.as_str()?.strip_prefix("#/")?;
        let (section, name) = name.split_once('/')?;
        let is_known = matches!(section, "$defs" | "definitions") && !name.contains(['/', '~', '%']);
        self.root.get(section)?.get(name).filter(|_| is_known)
    }
}

/// Case folding for comparison alone.
fn fold(name: &str) -> String {
    name.to_uppercase().to_lowercase()
}

fn branches(object: &Map<String, Value>) -> Option<&[Value]> {
    let choice = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| object.get(key)?.as_array());
    choice.map(Vec::as_slice)
}

fn types(object: &Map<String, Value>) -> Vec<&str> {
    match object.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ if object.contains_key("properties") => vec!["object"],
        _ => Vec::new(),
    }
}

/// A list of values without a type has the one that all of them have.
fn of_enum(object: &Map<String, Value>) -> Shape {
    let values = match (object.get("enum").and_then(Value::as_array), object.get("const")) {
        (Some(values), _) => values.as_slice(),
        (None, Some(value)) => std::slice::from_ref(value),
        (None, None) => return Shape::Opaque,
    };
    let all = |is_it: fn(&Value) -> bool| !values.is_empty() && values.iter().all(is_it);
    if all(Value::is_string) {
        Shape::Text
    } else if all(Value::is_boolean) {
        Shape::Bool
    } else if all(Value::is_i64) {
        Shape::Integer
    } else {
        Shape::Opaque
    }
}

/// The type as Cedar's schema format writes it; `None` where it has none.
pub(super) fn to_cedar(shape: &Shape) -> Option<Value> {
    Some(match shape {
        Shape::Bool => json!({"type": "Boolean"}),
        Shape::Integer => json!({"type": "Long"}),
        Shape::Decimal => json!({"type": "Extension", "name": "decimal"}),
        Shape::Text => json!({"type": "String"}),
        Shape::Set(element) => json!({"type": "Set", "element": to_cedar(element)?}),
        Shape::Record(members) => record_to_cedar(members),
        Shape::Opaque => return None,
    })
}

/// The same of an object. Every member is required, so that a condition may name an optional one without asking
/// first: where it is absent, the entry counts both ways (DESIGN §4.3).
pub(super) fn record_to_cedar(members: &BTreeMap<String, Member>) -> Value {
    let each = |(name, member): (&String, &Member)| Some((name.clone(), to_cedar(&member.shape)?));
    let attributes: Map<String, Value> = members.iter().filter_map(each).collect();
    json!({"type": "Record", "attributes": attributes})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(schema: Value) -> Vec<(String, Shape, bool)> {
        let all = arguments(schema.to_string().as_bytes());
        all.into_iter().map(|(name, member)| (name, member.shape, member.is_nullable)).collect()
    }

    #[test]
    fn what_schemas_say_is_a_type_or_cannot_be_named() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "string"}, "b": {"type": ["integer", "null"]}, "c": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "d": {"type": "array", "items": {"type": "string"}}, "e": {"$ref": "#/$defs/E"}, "f": {"enum": ["x", "y"]},
            "g": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "h": {"type": "object"}, "i": {},
            "j": {"$ref": "https://example.com/s.json"}, "k": {"type": "number"}, "l": {"type": "array"},
        }, "$defs": {"E": {"type": "object", "properties": {"x": {"type": "boolean"}, "y": {"$ref": "#/$defs/E"}}}}});
        let found = shapes(schema);
        let of = |name: &str| found.iter().find(|(found, ..)| found == name).unwrap().clone();
        assert_eq!((of("a").1, of("b").1, of("b").2), (Shape::Text, Shape::Integer, true));
        assert_eq!((of("c").1, of("c").2), (Shape::Text, true));
        assert_eq!(of("d").1, Shape::Set(Box::new(Shape::Text)));
        assert_eq!((of("f").1, of("k").1), (Shape::Text, Shape::Decimal));
        for opaque in ["g", "h", "i", "j", "l"] {
            assert_eq!(of(opaque).1, Shape::Opaque, "{opaque}");
        }
        // A schema that contains itself is cut at the depth that is looked at.
        assert!(matches!(of("e").1, Shape::Record(_)));
        assert_eq!(shapes(json!(true)), []);
    }
}
