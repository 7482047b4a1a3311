//! Detection Finding (2004): what somebody should look at.
//!
//! Must give what comes again of one thing the same `finding_info.uid`, so that its end closes it.

use serde_json::{Value, json};

use super::{DETECTION_FINDING, base};
use crate::audit::Kind;
use crate::sink::members::Members;
use crate::sink::told::Told;

/// `activity_id` and `status_id`: it is new.
const CREATE: u64 = 1;
const NEW: u64 = 1;
/// `activity_id` and `status_id`: it is over.
const CLOSE: u64 = 3;
const RESOLVED: u64 = 4;

/// The event of a finding.
pub(super) fn detection(told: Told<'_>) -> Members {
    let is_over = told.kind == Kind::Pin && told.text("/change").as_deref() == Some("restored");
    let (activity, status, name) = if is_over { (CLOSE, RESOLVED, "Resolved") } else { (CREATE, NEW, "New") };
    let mut event = base(told, DETECTION_FINDING, activity);
    event.put("status_id", status);
    event.put("status", name);
    event.put("is_alert", !is_over);
    let (kind, about) = about(told);
    let mut types: Vec<String> = vec![told.action()];
    types.extend(suspicions(told));
    let finding = Members::default()
        .with("uid", Some(format!("{}:{about}", told.kind.as_str())))
        .with("title", Some(title(told)))
        .with("desc", told.text("/detail"))
        .with("types", Some(types));
    event.put_inner("finding_info", finding);
    event.put("resources", json!([{ "name": about, "type": kind }]));
    event
}

const fn title(told: Told<'_>) -> &'static str {
    match told.kind {
        Kind::Gap => "Records of the audit journal cannot be read any more",
        Kind::Torn => "An unfinished tail of the audit journal was cut off",
        Kind::Upstream => "A tool server offers what cannot be listed",
        _ => "A definition changed, or looks suspicious",
    }
}

/// What it is about: of which type, and which one.
fn about(told: Told<'_>) -> (&'static str, String) {
    let file = told.text("/file").unwrap_or_default();
    match told.kind {
        Kind::Gap => ("journal", format!("{file}:{}", told.number("/first").unwrap_or_default())),
        Kind::Torn => ("journal", format!("{file}:{}", told.number("/offset").unwrap_or_default())),
        Kind::Upstream => ("upstream", told.upstream().unwrap_or_default()),
        _ => {
            let name = told.target().map(|(_, name)| name).or_else(|| told.text("/pinned"));
            ("definition", name.unwrap_or_default())
        }
    }
}

/// What looks suspicious in a definition.
fn suspicions(told: Told<'_>) -> Vec<String> {
    let all = told.record.get("findings").and_then(Value::as_array).into_iter().flatten();
    let words = all.filter_map(|finding| finding.get("what")?.as_str());
    words.take(crate::audit::NAMES_MAX).map(str::to_owned).collect()
}
