//! Tasks: calls that are answered with a handle first (2025-11-25, basic/utilities/tasks; 2026-07-28, the extension
//! `io.modelcontextprotocol/tasks`, SEP-2663).
//!
//! Must never change more of a message than the handle in it (I7). It trusts no handle: what is longer than
//! any that is kept is none.

use std::time::Duration;

use bytes::Bytes;

use super::encode;
use super::object::Object;

/// The name of the extension in `capabilities.extensions` (2026-07-28).
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// Longest handle that is taken of a server, in bytes.
pub const TASK_ID_BYTES_MAX: usize = 1024;
/// The member of `_meta` that names the task a message belongs to (2025-11-25).
const RELATED: &str = "io.modelcontextprotocol/related-task";
const ID: &str = "taskId";

/// A task that a call was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What its server calls it.
    pub id: String,
    /// How long its server keeps it; `None` where it does not say, or keeps it without end.
    pub ttl: Option<Duration>,
}

/// The task that the result `raw` hands over: in `task` (2025-11-25) or by itself (2026-07-28).
#[must_use]
pub fn made(raw: &Bytes) -> Option<Made> {
    let result = Object::of(raw).ok()?;
    let task = result.get("task").and_then(|task| Object::of(&task).ok()).unwrap_or(result);
    let id = task.text(ID)?.ok().filter(|id| !id.is_empty() && id.len() <= TASK_ID_BYTES_MAX)?;
    let number = |key| std::str::from_utf8(&task.get(key)?).ok()?.parse().ok();
    let ttl = number("ttlMs").or_else(|| number("ttl")).map(Duration::from_millis);
    Some(Made { id, ttl })
}

/// Whether the result `raw`, which says how a task is, says that it is over.
#[must_use]
pub fn is_over(raw: &Bytes) -> bool {
    let status = Object::of(raw).ok().and_then(|result| result.text("status")?.ok());
    matches!(status.as_deref(), Some("completed" | "failed" | "cancelled"))
}

/// `raw`, an object, with the handle `from` replaced by `to` wherever a message names its task: by itself, in
/// `task`, or in `_meta`.
#[must_use]
pub fn renamed(raw: &Bytes, from: &str, to: &str) -> Bytes {
    let Ok(object) = Object::of(raw) else { return raw.clone() };
    let names = |object: &Object| matches!(object.text(ID), Some(Ok(id)) if id == from);
    let quoted = encode::quoted(to);
    let own = |object: &Object| names(object).then(|| object.replace(ID, &quoted)).flatten();
    let mut out = own(&object).unwrap_or_else(|| raw.clone());
    for path in [&["task"][..], &["_meta", RELATED]] {
        out = within(&out, path, &own).unwrap_or(out);
    }
    out
}

/// `raw` with the object at `path` in it replaced by what `change` makes of it.
fn within(raw: &Bytes, path: &[&str], change: &impl Fn(&Object) -> Option<Bytes>) -> Option<Bytes> {
    let object = Object::of(raw).ok()?;
    match path {
        [] => change(&object),
        [key, rest @ ..] => object.replace(key, &within(&object.get(key)?, rest, change)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn a_task_is_read_in_both_forms() {
        let made = |text| super::made(&raw(text));
        let task = |ttl: Option<u64>| Some(Made { id: "t1".to_owned(), ttl: ttl.map(Duration::from_millis) });
        assert_eq!(made(r#"{"task":{"taskId":"t1","ttl":1000}}"#), task(Some(1000)));
        assert_eq!(made(r#"{"resultType":"task","taskId":"t1","ttlMs":5}"#), task(Some(5)));
        assert_eq!(made(r#"{"taskId":"t1","ttlMs":null}"#), task(None));
        assert_eq!(made(r#"{"taskId":""}"#), None);
        assert_eq!(made(r#"{"taskId":7}"#), None);
        assert_eq!(made("[]"), None);
        let long = format!(r#"{{"taskId":"{}"}}"#, "x".repeat(TASK_ID_BYTES_MAX + 1));
        assert_eq!(super::made(&long.into()), None);
        assert!(is_over(&raw(r#"{"status":"failed"}"#)) && !is_over(&raw(r#"{"status":"working"}"#)));
    }

    #[test]
    fn i7_only_the_handle_changes() {
        let text = r#"{ "taskId":"\u0074", "n":1e400, "task":{"x":1 ,"taskId":"t"}, "_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"},"a":"t"} }"#;
        let expected = r#"{ "taskId":"g", "n":1e400, "task":{"x":1 ,"taskId":"g"}, "_meta":{"io.modelcontextprotocol/related-task":{"taskId":"g"},"a":"t"} }"#;
        assert_eq!(renamed(&raw(text), "t", "g"), expected);
        assert_eq!(renamed(&raw(text), "other", "g"), text);
        assert_eq!(
            renamed(&raw(r#"{"content":[{"taskId":"t"}]}"#), "t", "g"),
            r#"{"content":[{"taskId":"t"}]}"#
        );
        assert_eq!(renamed(&raw("7"), "t", "g"), "7");
    }
}
