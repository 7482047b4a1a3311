//! API Activity (6003): requests that agents made.
//!
//! Must never say of a call whose end nobody knows that it succeeded or failed.

use serde_json::{Value, json};

use super::{API_ACTIVITY, OTHER, UNKNOWN, base, status};
use crate::sink::members::Members;
use crate::sink::told::{Ending, Told};

/// The event of a request.
pub(super) fn activity(told: Told<'_>) -> Members {
    let mut event = base(told, API_ACTIVITY, OTHER);
    event.put("actor", actor(told));
    event.put("src_endpoint", json!({ "name": told.entry_point().unwrap_or_else(unknown) }));
    event.put("api", api(told));
    status(told, &mut event);
    if let Some((class, name)) = told.target() {
        event.put("resources", json!([{ "name": name, "type": class }]));
    }
    event
}

fn actor(told: Told<'_>) -> Members {
    let groups: Vec<Value> = told.roles().into_iter().map(|name| json!({ "name": name })).collect();
    let user = json!({ "uid": told.subject().unwrap_or_else(unknown), "groups": groups });
    let session = told.text("/run").map(|run| json!({ "uid": run }));
    Members::default().with("user", Some(user)).with("app_name", told.agent()).with("session", session)
}

fn api(told: Told<'_>) -> Members {
    let is_failure = told.ending() == Some(Ending::Failure);
    let error = told.error_type().or_else(|| told.reason()).filter(|_| is_failure);
    Members::default()
        .with("operation", Some(told.action()))
        .with("service", told.upstream().map(|name| json!({ "name": name })))
        .with("request", told.text("/claimed/request_id").map(|id| json!({ "uid": id })))
        .with("response", error.map(|error| json!({ "error": error })))
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}
