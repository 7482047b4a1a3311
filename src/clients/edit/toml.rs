//! TOML, edited in place: whole tables are taken out, one is added at the end, and every other line stays.
//!
//! Looks at lines, so a text that only looks like the head of a table would be taken for one: the caller compares
//! what comes out with what was meant.

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::clients::OWN_NAME;
use crate::model::text::toml_string;

/// `text` with `entry` as our server of the table `key`, without the servers that are `gone`.
pub(super) fn edit(text: &str, key: &str, gone: &impl Fn(&String) -> bool, entry: &Value) -> String {
    let mut out = String::with_capacity(text.len());
    let mut keeps = true;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            let server = head(line).filter(|path| path.first().is_some_and(|first| first == key));
            keeps = !server.and_then(|path| path.into_iter().nth(1)).is_some_and(|name| gone(&name));
        }
        if keeps {
            out.push_str(line);
        }
    }
    if !out.is_empty() {
        out.truncate(out.trim_end().len());
        out.push_str("\n\n");
    }
    out.push_str(&self::entry(OWN_NAME, entry));
    out
}

/// The keys in the head of a table.
fn head(line: &str) -> Option<Vec<String>> {
    let table = DeTable::parse(line).ok()?;
    let mut path = Vec::new();
    let mut inside = table.get_ref();
    while let Some((key, value)) = inside.iter().next() {
        path.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(table) => inside = table,
            _ => break,
        }
    }
    Some(path)
}

/// The server `name` as Codex reads it.
pub(in crate::clients) fn entry(name: &str, entry: &Value) -> String {
    let mut out = format!("[mcp_servers.{name}]\n");
    for key in ["command", "args"] {
        match entry.get(key) {
            Some(Value::String(text)) => out.push_str(&format!("{key} = {}\n", toml_string(text))),
            Some(Value::Array(items)) => {
                let items: Vec<String> = items.iter().filter_map(Value::as_str).map(toml_string).collect();
                out.push_str(&format!("{key} = [{}]\n", items.join(", ")));
            }
            _ => {}
        }
    }
    out
}
