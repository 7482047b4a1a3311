//! Records as events of the Open Cybersecurity Schema Framework (schema.ocsf.io), 1.8.0 and 1.6.0.
//!
//! Pure. Must give a valid event for every record, whatever stands in it: what has no place of its own stands under
//! `unmapped`, whole, and what a record lacks is said to be unknown. One event a call: that of its outcome, with what its
//! intent says. Which record becomes which class is said in docs/AUDIT.md §9.

mod call;
mod change;
mod finding;
mod identity;
mod service;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::members::Members;
use super::told::{Ending, Told, VERSION};
use crate::audit::Kind;

/// A version of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcsfVersion {
    /// 1.6.0.
    V1_6,
    /// 1.8.0.
    V1_8,
}

impl OcsfVersion {
    const fn as_str(self) -> &'static str {
        match self {
            Self::V1_6 => "1.6.0",
            Self::V1_8 => "1.8.0",
        }
    }
}

/// A class: its category and its number (schema.ocsf.io).
#[derive(Debug, Clone, Copy)]
struct Class {
    category: u64,
    uid: u64,
}

const BASE_EVENT: Class = Class { category: 0, uid: 0 };
const EVENT_LOG_ACTIVITY: Class = Class { category: 1, uid: 1008 };
const DETECTION_FINDING: Class = Class { category: 2, uid: 2004 };
const ACCOUNT_CHANGE: Class = Class { category: 3, uid: 3001 };
const AUTHENTICATION: Class = Class { category: 3, uid: 3002 };
const ENTITY_MANAGEMENT: Class = Class { category: 3, uid: 3004 };
const APPLICATION_LIFECYCLE: Class = Class { category: 6, uid: 6002 };
const API_ACTIVITY: Class = Class { category: 6, uid: 6003 };

/// `activity_id` of what no class has a number for.
const OTHER: u64 = 99;

/// The event of what is told; none for an intent, which its outcome tells.
pub(super) fn event(told: Told<'_>, version: OcsfVersion) -> Option<Value> {
    let event = match told.kind {
        Kind::Intent => return None,
        _ if told.is_call() => call::activity(told),
        _ if told.is_finding() => finding::detection(told),
        Kind::Start | Kind::Stop => service::gateway(told),
        Kind::Upstream => service::upstream(told),
        Kind::Segment | Kind::Checkpoint | Kind::Halted | Kind::Retired => service::journal(told),
        Kind::AuthFailures => identity::failures(told),
        Kind::RunStart | Kind::RunEnd => identity::run(told),
        Kind::Mint => identity::mint(told),
        Kind::Revocation if told.subject().is_some() => change::account(told),
        Kind::Revocation | Kind::Source | Kind::StoredCleared | Kind::Erasure | Kind::Pin => {
            change::entity(told)
        }
        Kind::TokenKey | Kind::AuditKey | Kind::Reload => change::entity(told),
        Kind::Plan | Kind::Grant | Kind::Approval => change::entity(told),
        _ => base(told, BASE_EVENT, OTHER),
    };
    Some(finish(told, event, version))
}

/// What every event of `class` has.
fn base(told: Told<'_>, class: Class, activity: u64) -> Members {
    let mut event = Members::default();
    event.put("class_uid", class.uid);
    event.put("category_uid", class.category);
    event.put("activity_id", activity);
    event.put("type_uid", class.uid * 100 + activity);
    event.put("severity_id", told.severity().number());
    event.put("time", told.time().as_millisecond());
    if activity == OTHER {
        event.put("activity_name", told.action());
    }
    event
}

/// How it ended, where that can be said.
fn status(told: Told<'_>, event: &mut Members) {
    let (id, name) = match told.ending() {
        None => return,
        Some(Ending::Unknown) => (0, "Unknown"),
        Some(Ending::Success) => (1, "Success"),
        Some(Ending::Failure) => (2, "Failure"),
    };
    event.put("status_id", id);
    event.put("status", name);
    event.put_some("status_code", told.reason());
    event.put_some("status_detail", told.text("/detail"));
}

/// The person who did it, or the dispatcher, where one is named.
fn operator(told: Told<'_>) -> Option<Value> {
    if let Some(uid) = told.by() {
        return Some(json!({ "user": { "uid": uid } }));
    }
    told.text("/dispatcher").map(|name| json!({ "app_name": name }))
}

/// How many of the same it stands for, and since when.
fn counted(told: Told<'_>, event: &mut Members) {
    // An `integer_t` of OCSF has 32 bits.
    let count = told.number("/count").and_then(|count| i32::try_from(count).ok());
    event.put_some("count", count);
    event.put_some("start_time", told.time_at("/since").map(Timestamp::as_millisecond));
}

fn finish(told: Told<'_>, mut event: Members, version: OcsfVersion) -> Value {
    let mut metadata = Members::default();
    metadata.put("version", version.as_str());
    metadata.put("product", json!({ "name": PRODUCT, "vendor_name": PRODUCT, "version": VERSION }));
    metadata.put("log_name", LOG);
    metadata.put("event_code", told.kind.as_str());
    if let Some(seq) = told.seq() {
        metadata.put("sequence", seq);
        // What comes twice has the same.
        metadata.put("uid", seq.to_string());
        metadata.put("correlation_uid", told.intent_seq().unwrap_or(seq).to_string());
    }
    event.put_inner("metadata", metadata);
    event.put("message", told.message());
    let unmapped = Members::default().with("record", Some(told.record.clone()));
    event.put_inner("unmapped", unmapped.with("intent", told.intent.cloned()));
    event.into()
}

const PRODUCT: &str = "Sluicegate";
/// What the journal is called where the name of a log is asked for.
const LOG: &str = "audit";
/// What stands where a name is required and none is known.
const UNKNOWN: &str = "unknown";
