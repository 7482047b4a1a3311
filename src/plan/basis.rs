//! What a review rests on, in one digest: a reload that changes it suspends the grants that rest on it (DESIGN §9).
//!
//! Must never leave out a label, a flow or a shape. Where something was written does not count: a line that moved
//! changes nothing. What a tool returns does not either, because it grows while runs store content in it.

use std::fmt::Write as _;

use crate::model::digest::Sha256;

use super::flow::Flow;
use super::shape::Shape;
use super::tool::Tool;

/// The digest of the labels of a plan's tools, and of every flow and shape.
#[must_use]
pub fn basis<'t>(tools: impl IntoIterator<Item = &'t Tool>, flows: &[Flow], shapes: &[Shape]) -> Sha256 {
    let mut text = String::new();
    for Tool { id, labels, schema: _, returns: _ } in tools {
        let _ = writeln!(text, "tool {id:?} {labels:?}");
    }
    for Flow { name, from, to, reaches, answer, place: _ } in flows {
        let _ = writeln!(text, "flow {name:?} {from:?} {to:?} {reaches:?} {answer:?}");
    }
    for Shape { name, source, goal, entries, place: _ } in shapes {
        let _ = writeln!(text, "shape {name:?} {source:?} {goal:?} {entries:?}");
    }
    Sha256::of(text.as_bytes())
}
