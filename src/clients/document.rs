//! What a file of a client says, in one form: a tree of JSON values, whatever it is written in.
//!
//! Must never say of a broken file more than its line: what stands there may be a secret (I10).

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::format::Syntax;
use super::jsonc;

/// The document that `text` is; the line of the first mistake where it is none. Deeper than 127 levels is one.
pub(super) fn parse(syntax: Syntax, text: &str) -> Result<Value, usize> {
    match syntax {
        Syntax::Json if text.trim().is_empty() => Ok(Value::Object(serde_json::Map::new())),
        Syntax::Json => serde_json::from_str(&jsonc::blank(text)).map_err(|error| error.line()),
        Syntax::Toml => {
            let line = |error: toml::de::Error| {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                before.matches('\n').count() + 1
            };
            DeTable::parse(text).map(|table| of_table(table.get_ref())).map_err(line)
        }
    }
}

/// The value at the end of `path`.
pub(super) fn at<'a>(document: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(document, |value, key| value.get(key))
}

fn of_table(table: &DeTable<'_>) -> Value {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), of_value(value.get_ref()))).collect()
}

fn of_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Integer(number) => number.as_str().parse::<i64>().map_or(Value::Null, Value::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(items) => items.iter().map(|item| of_value(item.get_ref())).collect(),
        DeValue::Table(table) => of_table(table),
    }
}
