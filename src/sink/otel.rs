//! Records as log records of OpenTelemetry: its data model as one JSON object, with attributes that its semantic
//! conventions name (GenAI, MCP; status "development").
//!
//! Pure. Must give a valid record for every record, whatever stands in it. Must never give the id of a session, nor the
//! arguments or the result of a call, which the conventions have names for: no record holds them. One log record a call:
//! that of its outcome, with what its intent says.

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::members::Members;
use super::told::{Ending, LISTS, NUMBERS, PROGRAM, Severity, TEXTS, Told, VERSION};
use crate::audit::Kind;

/// The log record of what is told; none for an intent, which its outcome tells.
pub(super) fn log_record(told: Told<'_>) -> Option<Value> {
    if told.kind == Kind::Intent {
        return None;
    }
    let mut all = Members::default();
    all.put("timestamp", told.time_text());
    let (number, text) = severity(told.severity());
    all.put("severity_number", number);
    all.put("severity_text", text);
    all.put("event_name", format!("{PROGRAM}.{}", told.kind.as_str()));
    all.put("body", told.message());
    // The names of "Trace Context in non-OTLP Log Formats".
    if let Some(trace) = told.trace() {
        all.put("trace_id", trace.trace_id);
        all.put("span_id", trace.span_id);
        all.put_some("trace_flags", trace.flags);
    }
    all.put("resource", json!({ "service.name": PROGRAM, "service.version": VERSION }));
    let mut attributes = Members::default();
    if told.is_call() {
        of_call(told, &mut attributes);
    }
    of_any(told, &mut attributes);
    all.put_inner("attributes", attributes);
    Some(all.into())
}

/// `SeverityNumber` and `SeverityText` (Logs Data Model).
const fn severity(severity: Severity) -> (u64, &'static str) {
    match severity {
        Severity::Informational => (9, "INFO"),
        Severity::Low => (10, "INFO2"),
        Severity::Medium => (13, "WARN"),
        Severity::High => (17, "ERROR"),
    }
}

/// What "Semantic conventions for Model Context Protocol" names.
fn of_call(told: Told<'_>, attributes: &mut Members) {
    attributes.put("mcp.method.name", told.text("/method").unwrap_or_else(|| UNKNOWN.to_owned()));
    attributes.put_some("mcp.protocol.version", told.text("/revision"));
    attributes.put_some("jsonrpc.request.id", told.request_id());
    attributes.put_some("rpc.response.status_code", told.error_code().map(|code| code.to_string()));
    attributes.put_some("error.type", told.error_type());
    attributes.put_some("gen_ai.agent.name", told.agent());
    match told.target() {
        Some(("tool", name)) => {
            attributes.put("gen_ai.operation.name", "execute_tool");
            attributes.put("gen_ai.tool.name", name);
        }
        Some(("prompt", name)) => attributes.put("gen_ai.prompt.name", name),
        Some(("resource", name)) => {
            // An upstream's name holds no colon.
            let uri = name.split_once(':').map_or(name.as_str(), |(_, uri)| uri);
            attributes.put("mcp.resource.uri", uri);
        }
        _ => {}
    }
    if let Some(rule) = told.rule() {
        attributes.put("security_rule.name", rule.name);
        attributes.put_some("security_rule.category", rule.dimension);
        attributes.put_some("security_rule.description", rule.permission);
        attributes.put_some("security_rule.ruleset.name", rule.file);
        attributes.put_some("sluicegate.rule.place", rule.place);
    }
}

/// What any record may have. Own names stand under our own.
fn of_any(told: Told<'_>, attributes: &mut Members) {
    let mut own = |name: &str, value: Option<Value>| {
        attributes.put_some(&format!("{PROGRAM}.{name}"), value);
    };
    for (name, pointer) in TEXTS {
        own(name, told.text(pointer).map(Value::from));
    }
    for (name, pointer) in NUMBERS {
        own(name, told.number(pointer).map(Value::from));
    }
    for (name, pointer) in LISTS {
        own(name, Some(told.names(pointer)).filter(|names| !names.is_empty()).map(Value::from));
    }
    own("kind", Some(told.kind.as_str().into()));
    own("seq", told.seq().map(Value::from));
    own("intent", told.intent_seq().map(Value::from));
    own("digest", told.text_of_record("digest").map(Value::from));
    own("action", Some(told.action().into()));
    own("reason", told.reason().map(Value::from));
    own("outcome", told.ending().map(Ending::as_str).map(Value::from));
    own("duration_ns", told.duration_ns().map(Value::from));
    own("entry_point", told.entry_point().map(Value::from));
    own("upstream", told.upstream().map(Value::from));
    own("target.type", told.target().map(|(class, _)| class.into()));
    own("target.name", told.target().map(|(_, name)| name.into()));
    own("by.uid", told.by().map(Value::from));
    attributes.put_some("user.id", told.subject());
    attributes.put_some("user.roles", Some(told.roles()).filter(|roles| !roles.is_empty()));
    // What comes twice has the same.
    attributes.put_some("log.record.uid", told.seq().map(|seq| seq.to_string()));
    attributes.put("log.record.original", told.line);
}

/// What stands where a name is required and none is known: the outcome of a call whose intent is lost.
const UNKNOWN: &str = "unknown";
