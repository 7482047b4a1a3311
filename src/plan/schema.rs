//! The accepted input schema of a tool (JSON Schema 2020-12, as MCP uses it), as far as a plan is held against it.
//!
//! It tells a model early what its tool would refuse. Must never be taken for a guard: keywords that it does not know
//! fit everything, and the tool checks its own calls. Must never resolve a reference out of the schema (CASES A64), nor
//! follow one further than its limit.

use crate::model::trigger::Trigger;
use crate::wire::{Json, ScanLimits};

use super::attribute::{attribute, kind};
use super::decimal::Decimal;
use super::problem::Unfit;
use super::steps::{Argument, Constraint, Presence};
use super::value::Value;

/// Deepest nesting of a schema that is looked at, references included.
const SCHEMA_DEPTH_MAX: usize = 16;
/// Most keys and elements of a schema; one with more has no arguments that a plan could name.
const SCHEMA_MEMBERS_MAX: usize = 16_384;

/// An input schema.
pub(super) struct Schema<'a> {
    root: Json<'a>,
}

/// The schema that fits nothing.
const NOTHING: &Json<'static> = &Json::Bool(false);
/// The schema that fits everything.
const ANYTHING: &Json<'static> = &Json::Bool(true);

impl<'a> Schema<'a> {
    /// The schema that `raw` is; one without arguments where it is none.
    pub(super) fn read(raw: &'a [u8]) -> Self {
        let limits = ScanLimits { depth_max: crate::wire::DEPTH_MAX, members_max: SCHEMA_MEMBERS_MAX };
        Self { root: Json::read(raw, limits).unwrap_or(Json::Null) }
    }

    /// The names of the arguments.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> {
        members(self.branch(&self.root, "object", 0), "properties").iter().map(|(name, _)| name.as_ref())
    }

    /// The arguments that every call has to have.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        let object = self.branch(&self.root, "object", 0);
        object.get("required").and_then(Json::elements).unwrap_or_default().iter().filter_map(Json::text)
    }

    /// Whether some value that fits the argument `name` fits `constraint` too, as far as can be told; `None` where
    /// there is no such argument.
    pub(super) fn takes(
        &self,
        name: &str,
        constraint: &Constraint,
        trigger: &Trigger,
    ) -> Option<Result<(), Unfit>> {
        let object = self.branch(&self.root, "object", 0);
        let schema = object.get("properties")?.get(name)?;
        Some(self.constraint(schema, constraint, trigger, 0))
    }

    fn constraint(
        &self,
        schema: &Json<'_>,
        constraint: &Constraint,
        trigger: &Trigger,
        depth: usize,
    ) -> Result<(), Unfit> {
        if depth > SCHEMA_DEPTH_MAX {
            return Ok(());
        }
        match constraint {
            Constraint::Lit(value) => self.value(schema, value, 0),
            Constraint::Enum(values) => values.iter().try_for_each(|value| self.value(schema, value, 0)),
            Constraint::Match(_) | Constraint::Free { .. } => self.kind(schema, "string"),
            Constraint::Range { .. } => self.kind(schema, "number").or_else(|_| self.kind(schema, "integer")),
            Constraint::Trigger(name) => match attribute(trigger, name) {
                Some(value) => self.kind(schema, kind(value)),
                None => Ok(()),
            },
            // What the answer will hold nobody knows yet.
            Constraint::From { .. } => Ok(()),
            Constraint::Each { element, .. } => {
                self.kind(schema, "array")?;
                let items = self.branch(schema, "array", 0).get("items").unwrap_or(ANYTHING);
                self.constraint(items, element, trigger, depth + 1)
            }
            Constraint::Object(named) => {
                self.kind(schema, "object")?;
                let object = self.branch(schema, "object", 0);
                let Some(properties) = object.get("properties") else { return Ok(()) };
                for (name, Argument { constraint, .. }) in named {
                    let schema = properties.get(name).ok_or(Unfit::NoMember)?;
                    self.constraint(schema, constraint, trigger, depth + 1)?;
                }
                let is_named =
                    |name: &str| named.get(name).is_some_and(|member| member.presence == Presence::Required);
                all_required(object, is_named)
            }
        }
    }

    /// Whether `value` fits `schema`.
    fn value(&self, schema: &Json<'_>, value: &Value, depth: usize) -> Result<(), Unfit> {
        if depth > SCHEMA_DEPTH_MAX {
            return Ok(());
        }
        if matches!(schema, Json::Bool(false)) {
            return Err(Unfit::Type);
        }
        if let Some(target) = schema.get("$ref") {
            return self.referenced(target).map_or(Ok(()), |target| self.value(target, value, depth + 1));
        }
        for branch in branches(schema, "allOf").unwrap_or_default() {
            self.value(branch, value, depth + 1)?;
        }
        for branches in ["anyOf", "oneOf"].into_iter().filter_map(|key| branches(schema, key)) {
            let fits = |branch: &Json<'_>| self.value(branch, value, depth + 1).is_ok();
            if !branches.iter().any(fits) {
                return Err(Unfit::Alternatives);
            }
        }
        if !types(schema).is_none_or(|types| types.iter().any(|name| is_type(value, name))) {
            return Err(Unfit::Type);
        }
        let listed = schema.get("enum").and_then(Json::elements);
        let is_listed = listed.is_none_or(|listed| listed.iter().any(|listed| value.equals(listed)));
        if !is_listed || schema.get("const").is_some_and(|only| !value.equals(only)) {
            return Err(Unfit::Enum);
        }
        bounds(schema, value)?;
        self.inside(schema, value, depth)
    }

    /// Whether the elements and members of `value` fit.
    fn inside(&self, schema: &Json<'_>, value: &Value, depth: usize) -> Result<(), Unfit> {
        match value {
            Value::Array(elements) => {
                let items = schema.get("items").unwrap_or(ANYTHING);
                elements.iter().try_for_each(|element| self.value(items, element, depth + 1))
            }
            Value::Object(given) => {
                if let Some(properties) = schema.get("properties") {
                    for (name, value) in given {
                        self.value(properties.get(name).ok_or(Unfit::NoMember)?, value, depth + 1)?;
                    }
                }
                all_required(schema, |name| given.contains_key(name))
            }
            _ => Ok(()),
        }
    }

    /// Whether a value of the type `name` can fit `schema`.
    fn kind(&self, schema: &Json<'_>, name: &str) -> Result<(), Unfit> {
        let fits = !matches!(self.branch(schema, name, 0), Json::Bool(false));
        if fits { Ok(()) } else { Err(Unfit::Type) }
    }

    /// The part of `schema` that speaks of values of the type `name`.
    fn branch<'s>(&'s self, schema: &'s Json<'a>, name: &str, depth: usize) -> &'s Json<'a> {
        if depth > SCHEMA_DEPTH_MAX {
            return ANYTHING;
        }
        if let Some(target) = schema.get("$ref") {
            return self.referenced(target).map_or(ANYTHING, |target| self.branch(target, name, depth + 1));
        }
        if let Some(branches) = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| branches(schema, key))
        {
            let each = branches.iter().map(|branch| self.branch(branch, name, depth + 1));
            return each.into_iter().find(|branch| !matches!(branch, Json::Bool(false))).unwrap_or(NOTHING);
        }
        let takes = |known: &&str| *known == name || (*known == "number" && name == "integer");
        match types(schema) {
            Some(types) if !types.iter().any(takes) => NOTHING,
            _ => schema,
        }
    }

    /// What `#/$defs/NAME` means. Everything else is a reference out of the schema, or too clever.
    fn referenced(&self, target: &Json<'_>) -> Option<&Json<'a>> {
        let name = target.text()?.strip_prefix("#/")?;
        let (section, name) = name.split_once('/')?;
        let is_known = matches!(section, "$defs" | "definitions") && !name.contains(['/', '~', '%']);
        self.root.get(section)?.get(name).filter(|_| is_known)
    }
}

fn members<'j, 'a>(schema: &'j Json<'a>, key: &str) -> &'j [(std::borrow::Cow<'a, str>, Json<'a>)] {
    schema.get(key).and_then(Json::members).unwrap_or_default()
}

fn branches<'j, 'a>(schema: &'j Json<'a>, key: &str) -> Option<&'j [Json<'a>]> {
    schema.get(key)?.elements()
}

/// The types that `schema` names; `None` where it takes all.
fn types<'j>(schema: &'j Json<'_>) -> Option<Vec<&'j str>> {
    match schema.get("type")? {
        Json::Text(name) => Some(vec![name]),
        Json::Array(names) => Some(names.iter().filter_map(Json::text).collect()),
        _ => None,
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match value {
        // JSON Schema 2020-12, validation, 6.1.1: 1.0 is an integer.
        Value::Number(number) => name == "number" || (name == "integer" && number.is_integer()),
        value => value.kind() == name,
    }
}

fn all_required(schema: &Json<'_>, is_there: impl Fn(&str) -> bool) -> Result<(), Unfit> {
    let required = schema.get("required").and_then(Json::elements).unwrap_or_default();
    let all = required.iter().filter_map(Json::text).all(is_there);
    if all { Ok(()) } else { Err(Unfit::MemberMissing) }
}

/// JSON Schema 2020-12, validation, 6.2 to 6.4, without `multipleOf` and `pattern`.
fn bounds(schema: &Json<'_>, value: &Value) -> Result<(), Unfit> {
    let bound = |key: &str| match schema.get(key) {
        Some(Json::Number(text)) => Decimal::new(text),
        _ => None,
    };
    let count = |len: usize| i64::try_from(len).ok().and_then(Decimal::of);
    let (size, least, most) = match value {
        Value::Number(number) => {
            let above = bound("exclusiveMinimum").is_none_or(|least| *number > least);
            let below = bound("exclusiveMaximum").is_none_or(|most| *number < most);
            if !above || !below {
                return Err(Unfit::Bounds);
            }
            (Some(number.clone()), "minimum", "maximum")
        }
        Value::Text(text) => (count(text.chars().count()), "minLength", "maxLength"),
        Value::Array(elements) => (count(elements.len()), "minItems", "maxItems"),
        _ => return Ok(()),
    };
    let Some(size) = size else { return Ok(()) };
    let fits = bound(least).is_none_or(|least| size >= least) && bound(most).is_none_or(|most| size <= most);
    if fits { Ok(()) } else { Err(Unfit::Bounds) }
}
