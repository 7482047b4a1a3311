//! Account Change (3001) and Entity Management (3004): what people, and the configuration, changed of who may do what.
//!
//! Must never tell a change that nobody made: what an upstream did is a finding.

use serde_json::json;

use super::{ACCOUNT_CHANGE, ENTITY_MANAGEMENT, OTHER, UNKNOWN, base, operator, status};
use crate::audit::Kind;
use crate::sink::members::Members;
use crate::sink::told::{Ending, Told};

/// `activity_id` of Account Change.
const ACCOUNT_ENABLE: u64 = 2;
const ACCOUNT_DISABLE: u64 = 5;
/// `activity_id` of Entity Management.
const CREATE: u64 = 1;
const UPDATE: u64 = 3;
const DELETE: u64 = 4;
const ENABLE: u64 = 8;
const DISABLE: u64 = 9;
const ACTIVATE: u64 = 10;
/// `type_id` of a managed entity.
const POLICY: u64 = 5;

/// The credentials of a subject do not count any more, or count again.
pub(super) fn account(told: Told<'_>) -> Members {
    let activity = match told.text("/change").as_deref() {
        Some("revoked") => ACCOUNT_DISABLE,
        Some("lifted") => ACCOUNT_ENABLE,
        _ => OTHER,
    };
    let mut event = base(told, ACCOUNT_CHANGE, activity);
    event.put("user", json!({ "uid": told.subject().unwrap_or_else(|| UNKNOWN.to_owned()) }));
    event.put_some("actor", operator(told));
    event
}

/// Something that the gateway decides by is another now.
pub(super) fn entity(told: Told<'_>) -> Members {
    let mut event = base(told, ENTITY_MANAGEMENT, activity(told));
    event.put("entity", of(told));
    event.put_some("actor", operator(told));
    event.put_some("comment", told.text("/detail"));
    status(told, &mut event);
    event
}

fn activity(told: Told<'_>) -> u64 {
    match (told.kind, told.text("/change").as_deref()) {
        (Kind::Revocation, Some("revoked")) | (Kind::Source, Some("closed")) => DISABLE,
        (Kind::Revocation, Some("lifted")) | (Kind::Source, Some("opened")) => ENABLE,
        (Kind::Pin, Some("new")) | (Kind::TokenKey, Some("made")) => CREATE,
        (Kind::Pin, Some("first" | "accepted")) => ACTIVATE,
        (Kind::Pin, Some("forgotten")) | (Kind::Erasure, _) => DELETE,
        (Kind::Pin, Some("taken")) | (Kind::TokenKey, Some("aged" | "rotated")) => UPDATE,
        (Kind::StoredCleared | Kind::AuditKey | Kind::Reload, _) => UPDATE,
        (Kind::Plan, _) | (Kind::Approval, Some("asked")) => CREATE,
        (Kind::Grant | Kind::Approval, Some("approved")) => ACTIVATE,
        (Kind::Grant | Kind::Approval, Some("denied")) => DISABLE,
        (Kind::Approval, Some("lapsed")) => DELETE,
        (Kind::Grant, Some("done")) => UPDATE,
        _ => OTHER,
    }
}

/// What was changed.
fn of(told: Told<'_>) -> Members {
    if told.kind == Kind::Reload {
        return configuration(told);
    }
    let (word, name) = match told.kind {
        Kind::Source => ("source", told.text("/source")),
        Kind::Revocation => ("entry_point", told.entry_point()),
        Kind::StoredCleared => ("upstream", told.upstream()),
        Kind::Erasure => ("kept_values", told.subject()),
        Kind::TokenKey => ("token_key", told.text("/kid")),
        Kind::AuditKey => ("audit_key", told.text("/key")),
        Kind::Plan => ("plan", told.text("/submitted/sha256")),
        Kind::Grant => ("grant", told.text("/plan")),
        Kind::Approval => ("approval", told.text("/asked/id")),
        _ => ("definition", told.target().map(|(_, name)| name).or_else(|| told.text("/pinned"))),
    };
    Members::default()
        .with("type_id", Some(OTHER))
        .with("type", Some(word))
        .with("name", Some(name.unwrap_or_else(|| UNKNOWN.to_owned())))
        .with("version", told.text("/accepted"))
}

/// The configuration, which is the policy: that of a reload, whether it is in force or was refused.
fn configuration(told: Told<'_>) -> Members {
    let (digest, epoch) = (told.text("/config"), told.number("/epoch").map(|epoch| epoch.to_string()));
    let policy = Members::default()
        .with("name", Some("configuration"))
        .with("uid", digest.clone())
        .with("version", epoch.clone())
        .with("is_applied", Some(told.ending() == Some(Ending::Success)));
    let mut entity = Members::default()
        .with("type_id", Some(POLICY))
        .with("type", Some("Policy"))
        .with("name", Some("configuration"))
        .with("uid", digest)
        .with("version", epoch);
    entity.put_inner("policy", policy);
    entity
}
