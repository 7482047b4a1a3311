//! What was written, as JSON.
//!
//! Must never make something else of what JSON has no value for: that is told.

use serde_json::{Map, Number, Value};

use super::node::{Entries, Located, Node};
use crate::model::place::Place;

/// `written` as JSON.
///
/// # Errors
/// Where something stands that JSON has no value for: a date, an integer beyond 64 bits, a number that is none.
pub(super) fn json(written: &Located<Node>) -> Result<Value, &Place> {
    Ok(match &written.value {
        Node::Text(text) => Value::String(text.clone()),
        Node::Integer(number) => (*number).into(),
        Node::Boolean(value) => (*value).into(),
        Node::List(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Node::Table(entries) => table(entries)?,
        // A number with a fraction keeps its digits.
        Node::Fraction(text) => Value::Number(text.parse::<Number>().map_err(|_| &written.place)?),
        Node::Other(_) => return Err(&written.place),
    })
}

/// The table `entries` as a JSON object.
///
/// # Errors
/// As [`json`].
pub(super) fn table(entries: &Entries) -> Result<Value, &Place> {
    let each = entries.iter().map(|(name, entry)| Ok((name.clone(), json(&entry.value)?)));
    Ok(Value::Object(each.collect::<Result<Map<_, _>, _>>()?))
}

/// Advice where there is no such value.
pub(super) const JSON_HELP: &str =
    "JSON has text, numbers, `true`, `false`, arrays and tables: write a date in quotes";
