//! Records as events of the Elastic Common Schema (github.com/elastic/ecs).
//!
//! Pure. Must give a valid event for every record, whatever stands in it, with no name of the schema that it does not have
//! and no value of a category that it does not allow. Must never let what strangers chose become the name of a field: an
//! index has a limited number of them. One event a call: that of its outcome, with what its intent says.

mod categories;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::members::Members;
use super::told::{PROGRAM, Told, VERSION};
use crate::audit::Kind;
use categories::{Category, category};

/// The version of the schema that the names are of. They mean the same in all of 8.x since 8.8 (category `api`).
const ECS_VERSION: &str = "9.3.0";

/// The event of what is told; none for an intent, which its outcome tells.
pub(super) fn event(told: Told<'_>) -> Option<Value> {
    if told.kind == Kind::Intent {
        return None;
    }
    let mut all = Members::default();
    all.put("@timestamp", told.time_text());
    all.put("ecs", json!({ "version": ECS_VERSION }));
    all.put("message", told.message());
    all.put("service", json!({ "name": PROGRAM, "type": PROGRAM, "version": VERSION }));
    all.put_inner("event", happened(told));
    all.put_inner("user", user(told));
    all.put_inner("related", related(told));
    all.put_inner("rule", rule(told));
    let error = Members::default()
        .with("type", told.error_type())
        .with("code", told.error_code().map(|code| code.to_string()));
    all.put_inner("error", error);
    if let Some(trace) = told.trace() {
        all.put("trace", json!({ "id": trace.trace_id }));
        all.put("span", json!({ "id": trace.span_id }));
    }
    all.put_inner(PROGRAM, own(told));
    Some(all.into())
}

fn happened(told: Told<'_>) -> Members {
    let Category { kind, categories, types } = category(told);
    let mut event = Members::default()
        .with("kind", Some(kind))
        .with("category", Some(categories))
        .with("type", Some(types))
        .with("action", Some(told.action()))
        .with("code", Some(told.kind.as_str()))
        .with("outcome", told.ending().map(super::told::Ending::as_str))
        .with("reason", told.reason())
        .with("severity", Some(told.severity().number()))
        .with("duration", told.duration_ns())
        .with("start", told.time_at("/since").map(|since| format!("{since:.6}")))
        .with("dataset", Some(DATASET))
        .with("module", Some(PROGRAM))
        .with("provider", Some(PROGRAM))
        .with("sequence", told.seq())
        // What comes twice has the same.
        .with("id", told.seq().map(|seq| seq.to_string()))
        .with("hash", told.text_of_record("digest"));
    event.put("original", told.line);
    event
}

/// Who did it: the subject that an agent acted for, or the person at the admin socket or who signed in. What is done to a subject has it as
/// `user.target`.
fn user(told: Told<'_>) -> Members {
    let named = |id: Option<String>| Members::default().with("id", id.clone()).with("name", id);
    let roles = Some(told.roles()).filter(|roles| !roles.is_empty());
    if told.by().is_none() {
        return named(told.subject()).with("roles", roles);
    }
    let mut person = named(told.by());
    person.put_inner("target", named(told.subject()).with("roles", roles));
    person
}

fn related(told: Told<'_>) -> Members {
    let users: Vec<String> = told.subject().into_iter().chain(told.by()).collect();
    Members::default().with("user", Some(users).filter(|users| !users.is_empty()))
}

fn rule(told: Told<'_>) -> Members {
    let Some(rule) = told.rule() else { return Members::default() };
    Members::default()
        .with("name", Some(rule.name))
        .with("category", rule.dimension)
        .with("description", rule.permission)
        .with("ruleset", rule.file)
        .with("id", rule.place)
}

/// What the schema has no names for.
fn own(told: Told<'_>) -> Members {
    let mut own = Members::default()
        .with("entry_point", told.entry_point())
        .with("agent", told.agent())
        .with("upstream", told.upstream())
        .with("request_id", told.request_id())
        .with("intent", told.intent_seq());
    for (name, pointer) in super::told::TEXTS {
        own.put_some(name, told.text(pointer));
    }
    for (name, pointer) in super::told::NUMBERS {
        own.put_some(name, told.number(pointer));
    }
    for (name, pointer) in super::told::LISTS {
        own.put_some(name, Some(told.names(pointer)).filter(|names| !names.is_empty()));
    }
    if let Some((class, name)) = told.target() {
        own.put("target", json!({ "type": class, "name": name }));
    }
    own
}

/// `event.dataset`.
const DATASET: &str = "sluicegate.audit";
