//! Reading what a step says of one argument.
//!
//! Must never take a constraint of two kinds: which one counts nobody could tell.

use std::collections::BTreeMap;

use crate::wire::Json;

use super::super::decimal::Decimal;
use super::super::pattern::Pattern;
use super::super::problem::{At, Flaw, Named};
use super::super::select::Select;
use super::super::steps::{Argument, Constraint, Presence};
use super::super::value::Value;
use super::Reading;

/// Deepest nesting of `each` and `object`.
pub const CONSTRAINT_DEPTH_MAX: usize = 6;
/// Most values of one `enum`.
pub const ENUM_MAX: usize = 32;
/// Most patterns of one plan.
pub const PATTERNS_MAX: usize = 16;
/// Most `from` of one plan: what they select is kept with its run.
pub const QUERIES_MAX: usize = 32;
/// Most elements that an `each` can be for.
pub const ITEMS_MAX: u32 = 100;
/// Longest text that a `free` can be for, in characters.
pub const FREE_LEN_MAX: u32 = 65_536;

/// Every member that a constraint can have.
const KNOWN: &[&str] = &[
    "lit",
    "enum",
    "match",
    "min",
    "max",
    "from",
    "select",
    "trigger",
    "each",
    "max_items",
    "object",
    "free",
    "optional",
];
/// Those that say of which kind it is.
const KINDS: &[&str] = &["lit", "enum", "match", "min", "max", "from", "trigger", "each", "object", "free"];
const FREE_MEMBERS: &[&str] = &["max_len"];

impl Reading {
    /// What stands for one argument, or for one member of an object.
    pub(super) fn argument(&mut self, json: &Json<'_>, at: &At, depth: usize) -> Option<Argument> {
        let presence = match json.get("optional") {
            None | Some(Json::Bool(false)) => Presence::Required,
            Some(Json::Bool(true)) => Presence::Optional,
            Some(_) => self.wrong(&at.then("optional"), Flaw::NotA("`true` or `false`"))?,
        };
        Some(Argument { constraint: self.constraint(json, at, depth)?, presence })
    }

    fn constraint(&mut self, json: &Json<'_>, at: &At, depth: usize) -> Option<Constraint> {
        self.object(json, at, "a constraint, like `{\"lit\":\"value\"}`", KNOWN)?;
        if depth > CONSTRAINT_DEPTH_MAX {
            return self.wrong(at, Flaw::TooDeep);
        }
        let mut kinds = KINDS.iter().filter(|kind| json.get(kind).is_some());
        let kind = match (kinds.next(), kinds.next(), kinds.next()) {
            (Some(&"min"), None | Some(&"max"), None) | (Some(&"max"), None, None) => "min",
            (Some(kind), None, None) => kind,
            (None, ..) => return self.wrong(at, Flaw::Kind { found: 0 }),
            (Some(_), _, third) => {
                return self.wrong(at, Flaw::Kind { found: 2 + usize::from(third.is_some()) });
            }
        };
        for (name, with) in [("select", "from"), ("max_items", "each")] {
            if json.get(name).is_some() && kind != with {
                let name = Named::new(name);
                self.problems.add(
                    at,
                    Flaw::Unknown { name, known: &["`select` beside `from`, `max_items` beside `each`"] },
                );
            }
        }
        let (value, inner) = (json.get(kind), at.then(kind));
        match (kind, value) {
            ("min", _) => self.range(json, at),
            ("lit", Some(value)) => self.value(value, &inner).map(Constraint::Lit),
            ("enum", Some(value)) => self.values(value, &inner),
            ("match", Some(value)) => self.pattern(value, &inner),
            ("from", Some(value)) => self.from(value, json, at),
            ("trigger", Some(value)) => self.attribute(value, &inner).map(Constraint::Trigger),
            ("each", Some(value)) => self.each(value, json, at, depth),
            ("object", Some(value)) => self.nested(value, &inner, depth),
            ("free", Some(value)) => self.free(value, &inner),
            _ => self.wrong(at, Flaw::Kind { found: 0 }),
        }
    }

    fn value(&mut self, json: &Json<'_>, at: &At) -> Option<Value> {
        Value::of(json).or_else(|| self.wrong(at, Flaw::Number))
    }

    fn values(&mut self, json: &Json<'_>, at: &At) -> Option<Constraint> {
        let written = self.array(json, at, "an array of the values that it may have")?;
        if written.is_empty() || written.len() > ENUM_MAX {
            return self.wrong(at, Flaw::Count { what: "values", min: 1, max: ENUM_MAX });
        }
        let each = |(number, json): (usize, &Json<'_>)| self.value(json, &at.then(&number.to_string()));
        let values: Vec<Value> = written.iter().enumerate().filter_map(each).collect();
        (values.len() == written.len()).then_some(Constraint::Enum(values))
    }

    fn pattern(&mut self, json: &Json<'_>, at: &At) -> Option<Constraint> {
        let text = self.text(json, at, "a regular expression of RFC 9485")?;
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            return self.wrong(at, Flaw::Count { what: "`match` in a plan", min: 0, max: PATTERNS_MAX });
        }
        match Pattern::new(text) {
            Ok(pattern) => Some(Constraint::Match(pattern)),
            Err(error) => self.wrong(at, Flaw::Pattern(error)),
        }
    }

    fn range(&mut self, json: &Json<'_>, at: &At) -> Option<Constraint> {
        let mut bound = |name: &str| match json.get(name) {
            None => Some(None),
            Some(Json::Number(text)) => match Decimal::new(text) {
                Some(number) => Some(Some(number)),
                None => self.wrong(&at.then(name), Flaw::Number),
            },
            Some(_) => self.wrong(&at.then(name), Flaw::NotA("a number")),
        };
        let (min, max) = (bound("min")?, bound("max")?);
        if let (Some(min), Some(max)) = (&min, &max)
            && min > max
        {
            return self.wrong(at, Flaw::EmptyRange);
        }
        Some(Constraint::Range { min, max })
    }

    fn from(&mut self, value: &Json<'_>, json: &Json<'_>, at: &At) -> Option<Constraint> {
        let inner = at.then("from");
        let named = self.text(value, &inner, "the id of an earlier step");
        let step = named.and_then(|text| self.earlier(text, &inner));
        let inner = at.then("select");
        let Some(select) = json.get("select") else { return self.wrong(at, Flaw::Missing("select")) };
        self.queries += 1;
        if self.queries > QUERIES_MAX {
            return self.wrong(at, Flaw::Count { what: "`from` in a plan", min: 0, max: QUERIES_MAX });
        }
        let text = self.text(select, &inner, "a path into the answer, like `$.items[0].id`")?;
        match Select::new(text) {
            Ok(select) => Some(Constraint::From { step: step?, select }),
            Err(error) => self.wrong(&inner, Flaw::Select(error)),
        }
    }

    fn each(&mut self, value: &Json<'_>, json: &Json<'_>, at: &At, depth: usize) -> Option<Constraint> {
        let inner = at.then("each");
        if value.get("optional").is_some() {
            self.problems.add(&inner, Flaw::Unknown { name: Named::new("optional"), known: KINDS });
        }
        let element = self.constraint(value, &inner, depth + 1);
        if json.get("max_items").is_none() {
            return self.wrong(at, Flaw::Missing("max_items"));
        }
        let max_items = usize::try_from(self.whole(json, at, "max_items", ITEMS_MAX)?).ok()?;
        Some(Constraint::Each { element: Box::new(element?), max_items })
    }

    fn nested(&mut self, json: &Json<'_>, at: &At, depth: usize) -> Option<Constraint> {
        let written = self.members(json, at, "an object of constraints by member")?;
        let mut members = BTreeMap::new();
        for (name, value) in written {
            let member = self.argument(value, &at.then(name), depth + 1);
            members.extend(member.map(|member| (name.clone().into_owned(), member)));
        }
        (members.len() == written.len()).then_some(Constraint::Object(members))
    }

    fn free(&mut self, json: &Json<'_>, at: &At) -> Option<Constraint> {
        self.object(json, at, "an object, like `{\"max_len\":200}`", FREE_MEMBERS)?;
        if json.get("max_len").is_none() {
            return self.wrong(at, Flaw::Missing("max_len"));
        }
        let max_len = usize::try_from(self.whole(json, at, "max_len", FREE_LEN_MAX)?).ok()?;
        Some(Constraint::Free { max_len })
    }
}
