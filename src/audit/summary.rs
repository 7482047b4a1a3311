//! One readable line a call, for people: time, sources, subject, tool, verdict, reason, duration.
//!
//! Must never let anything through that a terminal would obey (CASES A61, A69).

use std::collections::BTreeMap;

use serde_json::Value;

use super::line::Kind;
use super::stream::Item;
use crate::model::target::Class;
use crate::model::text::printable;

/// Most calls in flight that are kept to be joined with their outcomes. Of the oldest only the outcome is
/// shown.
pub(super) const OPEN_MAX: usize = 100_000;

/// Joins the two records of a call into one line.
#[derive(Debug, Default)]
pub struct Summary {
    /// The intents whose outcome has not been seen.
    open: BTreeMap<u64, Value>,
}

impl Summary {
    /// The line of `item`, if it has one yet: an intent waits for its outcome.
    pub fn line(&mut self, item: &Item) -> Option<String> {
        let record: Value = serde_json::from_str(&item.line).ok()?;
        let line = match item.kind {
            Kind::Intent => {
                if self.open.len() >= OPEN_MAX {
                    self.open.pop_first();
                }
                self.open.insert(record.get("seq")?.as_u64()?, record);
                return None;
            }
            Kind::Outcome | Kind::Unknown => {
                let seq = record.get("intent").and_then(Value::as_u64)?;
                let intent = self.open.remove(&seq);
                call(intent.as_ref().unwrap_or(&record), &record, seq)
            }
            Kind::Denial => {
                let seq = record.get("seq").and_then(Value::as_u64)?;
                call(&record, &record, seq)
            }
            Kind::Segment => return None,
            kind => other(kind, &record),
        };
        Some(printable(&line))
    }
}

/// A record on several lines, its members in their own order, its text safe for a terminal. `line` is one
/// JSON value without blanks between its parts, as every line of the journal is.
#[must_use]
pub fn pretty(line: &str) -> String {
    let mut out = String::with_capacity(line.len() * 2);
    let (mut depth, mut inside, mut escaped) = (0_usize, Inside::Structure, false);
    let text = printable(line);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (inside, c) {
            (Inside::Text, '"') if !escaped => inside = Inside::Structure,
            (Inside::Structure, '"') => inside = Inside::Text,
            (Inside::Structure, '}' | ']') => {
                depth = depth.saturating_sub(1);
                if !out.ends_with(['{', '[']) {
                    new_line(&mut out, depth);
                }
            }
            (Inside::Text | Inside::Structure, _) => {}
        }
        escaped = inside == Inside::Text && c == '\\' && !escaped;
        out.push(c);
        match (inside, c) {
            (Inside::Structure, '{' | '[') => {
                depth += 1;
                if !matches!(chars.peek(), Some('}' | ']')) {
                    new_line(&mut out, depth);
                }
            }
            (Inside::Structure, ',') => new_line(&mut out, depth),
            (Inside::Structure, ':') => out.push(' '),
            (Inside::Text | Inside::Structure, _) => {}
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Structure,
    Text,
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// What the call of `record` is for, as people are told: a tool by its name alone, everything else after the
/// word for its class. `None` where the record names nothing.
pub fn target_of(record: &Value) -> Option<String> {
    Class::ALL
        .into_iter()
        .find_map(|class| record.get(class.code())?.as_str().map(|name| written(class, name)))
}

/// What a call is for, as people are told.
pub(super) fn written(class: Class, name: &str) -> String {
    match class {
        Class::Tool => name.to_owned(),
        other => format!("{} {name}", other.code()),
    }
}

/// The line of a call from the record that it began with and the one that it ended with.
fn call(begin: &Value, end: &Value, seq: u64) -> String {
    let time = time(begin);
    let sources = sources(begin);
    let subject = text(begin, "/principal/subject").or_else(|| text(begin, "/subject")).unwrap_or("-");
    let claimed = || text(begin, "/claimed/name").or_else(|| text(begin, "/method")).map(str::to_owned);
    let target = target_of(begin).or_else(claimed).unwrap_or_else(|| "-".to_owned());
    let is_denial = text(end, "/kind") == Some("denial");
    let verdict = if is_denial { "refused" } else { "forwarded" };
    let reason = reason(end);
    let duration = end.pointer("/latency_us/total").and_then(Value::as_u64).map_or("-".to_owned(), duration);
    format!("{time}  {sources}  {subject}  {target}  {verdict}  {reason}  {duration}  #{seq}")
}

/// Why it ended so: the reason, what kind of error came back, and the budget or the rule that decided a refusal.
fn reason(end: &Value) -> String {
    let mut reason = match text(end, "/kind") {
        Some("unknown") => "unknown (the gateway died during the call)".to_owned(),
        _ => text(end, "/reason").unwrap_or("-").to_owned(),
    };
    if end.pointer("/is_error") == Some(&Value::Bool(true)) {
        reason.push_str(" (tool error)");
    }
    if let Some(code) = end.pointer("/jsonrpc/code").and_then(Value::as_i64) {
        reason.push_str(&format!(" (error {code})"));
    }
    if text(end, "/kind") != Some("denial") {
        return reason;
    }
    // What a budget refused the rules had let pass.
    if let Some(budget) = text(end, "/budget/name") {
        let limit = text(end, "/budget/limit").unwrap_or("-");
        reason.push_str(&format!(" (budget {budget}: {limit})"));
    } else if let Some(rule) = end.pointer("/decision/rules/0") {
        reason.push_str(&format!(" ({})", rule_text(rule)));
    }
    reason
}

fn rule_text(rule: &Value) -> String {
    let dimension = text(rule, "/dimension").unwrap_or("-");
    let name = text(rule, "/name").map(|name| format!(" {name}")).unwrap_or_default();
    let Some(permission) = text(rule, "/permission") else {
        return format!("{dimension}{name}: nothing allows it");
    };
    let answer = text(rule, "/answer").unwrap_or("-");
    let file = text(rule, "/place/file").unwrap_or("-");
    let line = rule.pointer("/place/line").and_then(Value::as_u64).unwrap_or_default();
    format!("{dimension}{name}: {answer} `{permission}`, {file}:{line}")
}

/// The line of a record that is no call: its own words, in the order in which they stand.
fn other(kind: Kind, record: &Value) -> String {
    let mut line = format!("{}  {}", time(record), kind.as_str());
    for (key, value) in record.as_object().into_iter().flatten() {
        if ENVELOPE.contains(&key.as_str()) {
            continue;
        }
        match value {
            // It is for those who verify.
            _ if kind == Kind::Checkpoint && key == "note" => {}
            Value::Object(_) if kind == Kind::Checkpoint => {
                let size = value.pointer("/size").and_then(Value::as_u64).unwrap_or_default();
                line.push_str(&format!("  lines={size}  root={}", text(value, "/root").unwrap_or("-")));
            }
            Value::String(text) => line.push_str(&format!("  {key}={text}")),
            Value::Number(number) => line.push_str(&format!("  {key}={number}")),
            Value::Array(_) if key == "provenance" => line.push_str(&format!("  {}", sources(record))),
            Value::Array(adds) if key == "adds" && !adds.is_empty() => {
                line.push_str(&format!("  +{}", names(value)))
            }
            Value::Object(_) if key == "principal" => {
                line.push_str(&format!("  {}", text(record, "/principal/subject").unwrap_or("-")));
            }
            Value::Object(_) if key == "submitted" => line.push_str(&submitted(value)),
            Value::Object(_) if key == "asked" => {
                let [id, tool] = ["/id", "/exact/tool"].map(|pointer| text(value, pointer).unwrap_or("-"));
                line.push_str(&format!("  {id}  about {tool}"));
            }
            _ => {}
        }
    }
    let seq = record.get("seq").and_then(Value::as_u64).unwrap_or_default();
    format!("{line}  #{seq}")
}

/// What came of a plan, and of each of its steps.
fn submitted(plan: &Value) -> String {
    let steps = plan.get("steps").and_then(Value::as_array).into_iter().flatten();
    let step = |step: &Value| {
        let (id, verdict) = (text(step, "/id").unwrap_or("-"), text(step, "/verdict").unwrap_or("-"));
        format!("  {id} {verdict}")
    };
    format!("  {}{}", text(plan, "/result").unwrap_or("-"), steps.map(step).collect::<String>())
}

const ENVELOPE: [&str; 7] = ["v", "seq", "t", "mono_ns", "prev", "kind", "digest"];

fn time(record: &Value) -> String {
    let time = text(record, "/t").unwrap_or("-");
    // `2026-11-21T01:02:03.456789Z`: milliseconds are enough for people.
    time.get(..23).map_or_else(|| time.to_owned(), |millis| format!("{millis}Z"))
}

fn sources(record: &Value) -> String {
    record.get("provenance").map_or_else(|| "-".to_owned(), names)
}

fn names(list: &Value) -> String {
    let names: Vec<_> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if names.is_empty() { "-".to_owned() } else { names.join("+") }
}

fn text<'r>(record: &'r Value, pointer: &str) -> Option<&'r str> {
    record.pointer(pointer).and_then(Value::as_str)
}

fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros}µs"),
        1_000..10_000_000 => format!("{}.{}ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{}s", micros / 1_000_000),
    }
}
