//! The record of a pin: whose definition, what happened to it, and what looks suspicious in it.
//!
//! Must never hold the definition: it stands in `gateway.lock`, and its digest here.

use super::super::line::Object;
use super::{Cuts, actor, tool};
use crate::model::pin::{Finding, PinMove};
use crate::model::run::Actor;
use crate::model::text::Bounded;

/// Bound of what is pinned and is no tool, in bytes.
const PINNED_BYTES_MAX: usize = 512;

pub(super) fn event(object: &mut Object<'_>, moved: &PinMove, by: Option<&Actor>, cuts: &mut Cuts) {
    let PinMove { id, change, accepted, before, offered, findings } = moved;
    match id.tool() {
        Some(id) => tool(object, &id),
        None => {
            let pinned = Bounded::<PINNED_BYTES_MAX>::new(&id.to_string());
            object.text("pinned", cuts.text("pinned", &pinned));
        }
    }
    object.text("change", change.as_str());
    for (key, digest) in [("accepted", accepted), ("before", before), ("offered", offered)] {
        if let Some(digest) = digest {
            object.digest(key, digest);
        }
    }
    if !findings.is_empty() {
        object.objects("findings", findings.iter(), finding);
    }
    actor(object, by);
}

fn finding(object: &mut Object<'_>, finding: &Finding) {
    object.text("what", finding.what.as_str());
    object.text("at", finding.at.as_str());
}
