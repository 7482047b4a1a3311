//! Authentication (3002): refused credentials, run tokens, and runs, which are what this gateway has for sessions.
//!
//! Must never name as a user whom nobody authenticated.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{AUTHENTICATION, OTHER, PRODUCT, UNKNOWN, base, counted, operator, status};
use crate::audit::Kind;
use crate::sink::members::Members;
use crate::sink::told::Told;

/// `activity_id`: a session was asked for.
const LOGON: u64 = 1;
/// `activity_id`: a session ended.
const LOGOFF: u64 = 2;

/// Requests that were refused before there was a principal, counted.
pub(super) fn failures(told: Told<'_>) -> Members {
    let mut event = base(told, AUTHENTICATION, LOGON);
    event.put("user", json!({ "name": UNKNOWN }));
    event.put("service", json!({ "name": told.text("/listener").unwrap_or_else(|| UNKNOWN.to_owned()) }));
    status(told, &mut event);
    counted(told, &mut event);
    event
}

/// A run that started or ended.
pub(super) fn run(told: Told<'_>) -> Members {
    let activity = if told.kind == Kind::RunStart { LOGON } else { LOGOFF };
    let mut event = base(told, AUTHENTICATION, activity);
    event.put("user", user(told));
    event.put("service", json!({ "name": PRODUCT }));
    event.put_some("actor", operator(told));
    event.put_inner("session", Members::default().with("uid", told.text("/run")));
    event.put_some("src_endpoint", told.entry_point().map(|name| json!({ "name": name })));
    status(told, &mut event);
    event
}

/// A run token that was made or refused. Not a ticket of Kerberos, which is what the class has numbers for.
pub(super) fn mint(told: Told<'_>) -> Members {
    let mut event = base(told, AUTHENTICATION, OTHER);
    event.put("user", user(told));
    event.put("service", json!({ "name": PRODUCT }));
    event.put_some("actor", operator(told));
    let until = told.time_at("/expires").map(Timestamp::as_millisecond);
    let session = Members::default()
        .with("uid", told.text("/txn"))
        .with("credential_uid", told.text("/jti_sha256"))
        .with("expiration_time", until);
    event.put_inner("session", session);
    status(told, &mut event);
    event
}

fn user(told: Told<'_>) -> Value {
    let Some(subject) = told.subject() else { return json!({ "name": UNKNOWN }) };
    let groups: Vec<Value> = told.roles().into_iter().map(|name| json!({ "name": name })).collect();
    json!({ "uid": subject, "groups": groups })
}
