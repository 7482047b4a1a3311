//! The names that operators give tools: each of one tool, and none that another tool is called by.
//!
//! Must never let two tools be called by one name: which of them is meant would be anybody's guess (CASES A57).

use std::collections::HashMap;

use crate::config::code::Code;
use crate::config::raw::{Document, Upstream};
use crate::model::name::{ToolId, ToolName};
use crate::model::place::Place;
use crate::upstream::{Prefix, Settings, Shadowed, is_own_name};

use super::Scope;

/// No tool can be given a name that the gateway's own tools have.
pub(super) fn own(written: &Upstream, prefix: Prefix, scope: Scope<'_>) {
    let names = written.tools.iter().filter_map(|rule| rule.name.as_ref());
    for name in names.filter(|name| prefix == Prefix::Bare && is_own_name(&name.value)) {
        let message = format!("`{}` would be one of the gateway's own tools", name.value);
        scope.found.error(Code::BadName, &name.place, message, "choose another name");
    }
}

/// `shadowed` are the accepted tools that cannot be called because another one has their name.
pub(super) fn check(document: &Document, upstreams: &[Settings], shadowed: &[Shadowed], scope: Scope<'_>) {
    let mut given: HashMap<String, (ToolId, &Place)> = HashMap::new();
    for upstream in &document.upstreams {
        let settings = upstreams.iter().find(|settings| settings.name.as_str() == upstream.name.value);
        let Some(settings) = settings else { continue };
        for rule in &upstream.tools {
            let tool = rule.tool.as_ref().and_then(|tool| ToolName::new(&tool.value).ok());
            let (Some(tool), Some(written)) = (tool, &rule.name) else { continue };
            // A later entry for the same tool does not count.
            let counts = settings.said(&tool, |entry| entry.name.as_ref());
            if counts.is_none_or(|name| name.as_str() != written.value) {
                continue;
            }
            let id = ToolId { upstream: settings.name.clone(), tool };
            let wire_name = settings.wire_name(&id.tool);
            let place = &written.place;
            if let Some((other, at)) = given.get(&wire_name).filter(|(other, _)| *other != id) {
                let message = format!("`{wire_name}` would be `{id}` and `{other}`");
                let help = format!("give one of them another name; the other is at {at}");
                scope.found.error(Code::Conflict, place, message, help);
            }
            given.entry(wire_name).or_insert((id, place));
        }
    }
    for Shadowed { wire_name, tool, by } in shadowed {
        let Some((_, place)) = given.get(wire_name).filter(|(id, _)| id == by) else { continue };
        let message = format!("`{wire_name}` is what `{tool}` is called by");
        let help =
            format!("choose another name for `{by}`, or give `{tool}` one, or write `hide = true` for it");
        scope.found.error(Code::Conflict, place, message, help);
    }
}
