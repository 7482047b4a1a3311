//! Application Lifecycle (6002) and Event Log Activity (1008): the gateway, its tool servers and its journal.
//!
//! Must never say that something was up or down that a record does not say.

use serde_json::json;

use super::{APPLICATION_LIFECYCLE, EVENT_LOG_ACTIVITY, LOG, OTHER, PRODUCT, UNKNOWN, base, counted, status};
use crate::audit::{Kind, UpstreamState};
use crate::sink::members::Members;
use crate::sink::told::Told;

/// `activity_id` of Application Lifecycle.
const APP_START: u64 = 3;
const APP_STOP: u64 = 4;
const APP_ENABLE: u64 = 6;
const APP_DISABLE: u64 = 7;
/// `activity_id` of Event Log Activity.
const LOG_DELETE: u64 = 2;
const LOG_ROTATE: u64 = 5;
const LOG_START: u64 = 6;
const LOG_RESTART: u64 = 8;
const LOG_DISABLE: u64 = 10;

/// The gateway started or stopped.
pub(super) fn gateway(told: Told<'_>) -> Members {
    let activity = if told.kind == Kind::Start { APP_START } else { APP_STOP };
    let mut event = base(told, APPLICATION_LIFECYCLE, activity);
    let app = Members::default()
        .with("name", Some(PRODUCT))
        .with("uid", Some(PRODUCT))
        .with("version", told.text("/version"));
    event.put_inner("app", app);
    event
}

/// Something about a tool server that is no call.
pub(super) fn upstream(told: Told<'_>) -> Members {
    use UpstreamState::{BreakerClosed, BreakerOpen, Exited, Failed, Started};
    let activities = [
        (Started, APP_START),
        // It did not come up.
        (Failed, APP_START),
        (Exited, APP_STOP),
        (BreakerOpen, APP_DISABLE),
        (BreakerClosed, APP_ENABLE),
    ];
    let activity = activities.into_iter().find(|(state, _)| told.is_state(*state));
    let mut event = base(told, APPLICATION_LIFECYCLE, activity.map_or(OTHER, |(_, activity)| activity));
    event.put("app", json!({ "name": told.upstream().unwrap_or_else(|| UNKNOWN.to_owned()) }));
    status(told, &mut event);
    counted(told, &mut event);
    event
}

/// The journal began a file, was signed, or could not be written for a while.
pub(super) fn journal(told: Told<'_>) -> Members {
    let activity = match (told.kind, told.text("/why").as_deref()) {
        (Kind::Halted, _) => LOG_DISABLE,
        (Kind::Retired, _) => LOG_DELETE,
        (Kind::Segment, Some("started")) => LOG_START,
        (Kind::Segment, Some("full")) => LOG_ROTATE,
        (Kind::Segment, Some("mended")) => LOG_RESTART,
        _ => OTHER,
    };
    let mut event = base(told, EVENT_LOG_ACTIVITY, activity);
    event.put("log_name", LOG);
    event.put_some("status_code", told.reason());
    event.put_some("status_detail", told.text("/detail"));
    counted(told, &mut event);
    event
}
