//! What a review rests on, in one digest: a reload that changes it suspends the grants that rest on it (DESIGN §9).
//!
//! Must never leave out a label, a flow, a shape or a reviewer outside. Where something was written does not count: a line
//! that moved changes nothing. What a tool returns does not either, because it grows while runs store content in it, nor
//! how long grants last: each holds its own end.

use std::fmt::Write as _;

use crate::model::digest::Sha256;

use super::flow::Flow;
use super::rules::{Outside, Rules};
use super::shape::Shape;
use super::tool::Tool;

/// The digest of the labels of a plan's tools, and of all `rules`.
#[must_use]
pub fn basis<'t>(tools: impl IntoIterator<Item = &'t Tool>, rules: &Rules) -> Sha256 {
    let Rules { flows, shapes, outside, grant_lasts: _ } = rules;
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
    if let Some(Outside { url, known_domains, place: _ }) = outside {
        let _ = writeln!(text, "outside {url:?} {known_domains:?}");
    }
    Sha256::of(text.as_bytes())
}
