//! Where a call stands in a trace, in the `_meta` of what is forwarded (SEP-414; 2026-07-28, "Request `_meta`").
//!
//! Must never touch a byte but the values of `traceparent` and `tracestate` (I7): the hop toward the upstream is the
//! gateway's, and so is what says whose child it is.

use std::ops::Range;

use bytes::Bytes;

use super::quoted;
use crate::model::trace::Trace;
use crate::wire::object::{Object, value_text};

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// The edits that make `meta` say what `trace` is, and cut out what `unwanted` names. In order, but for those of one
/// place, of which the first comes first.
pub(super) fn edits(
    meta: &Object,
    trace: &Trace,
    unwanted: impl Fn(&str) -> bool,
) -> Vec<(Range<usize>, Bytes)> {
    let state = trace.state.as_ref().map(|state| state.as_str());
    // "If the vendor failed to parse traceparent, it MUST NOT attempt to parse tracestate" (3.3.1), and what belongs to
    // another trace goes with none.
    let is_cut = |key: &str| unwanted(key) || (key == STATE && state.is_none());
    let mut edits = Vec::new();
    let mut missing = Vec::new();
    match meta.entry(PARENT) {
        Some(entry) => edits.push((entry.value.clone(), quoted(&trace.toward().to_string()))),
        None => missing.push(parent(trace)),
    }
    if let Some(state) = state {
        match meta.entry(STATE) {
            Some(entry) if value_text(meta.bytes(entry.value.clone())).is_ok_and(|own| own == state) => {}
            Some(entry) => edits.push((entry.value.clone(), quoted(state))),
            None => missing.push(self::state(state)),
        }
    }
    if !missing.is_empty() {
        let first = meta.span.start + 1;
        let more = if meta.keys().any(|key| !is_cut(key)) { "," } else { "" };
        edits.insert(0, (first..first, format!("{}{more}", missing.join(",")).into()));
    }
    edits.extend(super::cut(meta, is_cut));
    edits
}

/// What is put into `params`, which has no `_meta`, and out of which what `unwanted` names is cut.
pub(super) fn member(
    params: &Object,
    trace: &Trace,
    unwanted: impl Fn(&str) -> bool,
) -> (Range<usize>, Bytes) {
    let first = params.span.start + 1;
    let mut inside = parent(trace);
    if let Some(state) = &trace.state {
        inside.push(',');
        inside.push_str(&self::state(state.as_str()));
    }
    let more = if params.keys().any(|key| !unwanted(key)) { "," } else { "" };
    (first..first, format!("\"_meta\":{{{inside}}}{more}").into())
}

fn parent(trace: &Trace) -> String {
    format!("\"{PARENT}\":\"{}\"", trace.toward())
}

fn state(state: &str) -> String {
    format!("\"{STATE}\":{}", String::from_utf8_lossy(&quoted(state)))
}
