//! What follows from what is accepted and what is offered: who owns which name, and the catalogue.
//!
//! Pure. Must never list a definition that is not accepted (DESIGN §4.6), nor let one upstream's tool be
//! taken for another's (CASES A57, A58).

use std::collections::{BTreeMap, HashMap};

use super::{OWN_PREFIX, Offer};
use crate::model::call::Pin;
use crate::model::name::{TOOL_NAME_BYTES_MAX, ToolId, ToolName, UpstreamName};
use crate::model::pin::Pinned;
use crate::upstream::catalogue::{Catalogue, SEPARATOR, Server, Shadowed, Tool};
use crate::upstream::listing::Offered;
use crate::upstream::lock::{Accepted, Definition};
use crate::upstream::notice::Quarantine;
use crate::upstream::settings::{Prefix, Settings};

/// Moves to quarantine what cannot be listed under its wire name.
pub(super) fn sift(accepted: &Accepted, all: &[Settings], settings: &Settings, offered: &mut Offered) {
    let owners = owners(all, accepted);
    let problem = |tool: &ToolName| {
        let name = settings.wire_name(tool);
        let owner = owners.get(&name).is_some_and(|owner| !is_tool(owner, settings, tool));
        if name.len() > TOOL_NAME_BYTES_MAX {
            Some(Quarantine::WireNameTooLong)
        } else if owner || shadows(all, settings, &name) {
            Some(Quarantine::Collision)
        } else {
            None
        }
    };
    let problems = offered.tools.keys().filter_map(|tool| Some((tool.clone(), problem(tool)?)));
    for (tool, why) in problems.collect::<Vec<_>>() {
        offered.tools.remove(&tool);
        offered.quarantined.insert(tool.as_str().to_owned(), why);
    }
}

/// Whether a bare name could be taken for a tool of another upstream, seen or not yet, or for one of the
/// gateway's own (CASES A57, A58).
fn shadows(all: &[Settings], settings: &Settings, wire_name: &str) -> bool {
    let Some((prefix, _)) = wire_name.split_once(SEPARATOR) else { return false };
    let is_taken = all.iter().any(|other| other.name.as_str() == prefix);
    is_own_name(wire_name) || settings.prefix == Prefix::Bare && is_taken
}

/// Whether a tool that agents know as `wire_name` could be taken for one of the gateway's own, in whatever case.
#[must_use]
pub fn is_own_name(wire_name: &str) -> bool {
    wire_name.split_once(SEPARATOR).is_some_and(|(prefix, _)| prefix.eq_ignore_ascii_case(OWN_PREFIX))
}

/// Whose each wire name is: the tool's to which an operator gave it, seen or not yet; and of two that were both
/// accepted under one, the first configured's.
fn owners(settings: &[Settings], accepted: &Accepted) -> HashMap<String, ToolId> {
    let mut owners = HashMap::new();
    let mut own = |settings: &Settings, tool: &ToolName| {
        let id = || ToolId { upstream: settings.name.clone(), tool: tool.clone() };
        owners.entry(settings.wire_name(tool)).or_insert_with(id);
    };
    for settings in settings {
        let renamed = settings.tools.iter().filter(|entry| entry.name.is_some());
        // A name is given to one tool, whose whole name the entry holds.
        for tool in renamed.filter_map(|entry| ToolName::new(entry.glob.as_str()).ok()) {
            own(settings, &tool);
        }
    }
    for settings in settings {
        for (tool, _) in tools_of(accepted.get(&settings.name)) {
            own(settings, tool);
        }
    }
    owners
}

fn is_tool(id: &ToolId, settings: &Settings, tool: &ToolName) -> bool {
    (&id.upstream, &id.tool) == (&settings.name, tool)
}

/// What is listed of what is `accepted`, as far as `offered` is known.
pub(in crate::upstream) fn catalogue(
    version: u64,
    settings: &[Settings],
    accepted: &Accepted,
    offered: &HashMap<UpstreamName, Offer>,
) -> Catalogue {
    let servers = settings.iter().map(Server::of).collect();
    let (tools, shadowed) = tools(settings, accepted, offered);
    Catalogue::new(version, tools, shadowed, servers)
}

fn tools(
    settings: &[Settings],
    accepted: &Accepted,
    offered: &HashMap<UpstreamName, Offer>,
) -> (Vec<Tool>, Vec<Shadowed>) {
    let owners = owners(settings, accepted);
    let (mut tools, mut shadowed) = (Vec::new(), Vec::new());
    for settings in settings {
        let offered = offered.get(&settings.name);
        for (tool, accepted) in tools_of(accepted.get(&settings.name)) {
            let pin = match offered.map(|offered| offered.pinned.get(&Pinned::Tool(tool.clone()))) {
                // Until an instance has listed, what was accepted last time is served (DESIGN §7).
                None => Pin::Accepted(accepted.digest),
                // The upstream no longer offers it: accepted still, but not listed (CASES F43).
                Some(None) => continue,
                Some(Some(now)) if now.digest == accepted.digest => Pin::Accepted(accepted.digest),
                Some(Some(now)) => Pin::Changed { accepted: accepted.digest, offered: now.digest },
            };
            let Some(tool) = Tool::new(settings, tool, accepted, pin) else { continue };
            if is_own_name(&tool.wire_name) {
                // It was accepted under another name: with that prefix it had one.
                continue;
            }
            match owners.get(&tool.wire_name) {
                Some(owner) if *owner != tool.id => {
                    let Tool { wire_name, id, .. } = tool;
                    shadowed.push(Shadowed { wire_name, tool: id, by: owner.clone() });
                }
                _ => tools.push(tool),
            }
        }
    }
    (tools, shadowed)
}

/// The tools among what is accepted of one upstream.
fn tools_of(
    accepted: Option<&BTreeMap<Pinned, Definition>>,
) -> impl Iterator<Item = (&ToolName, &Definition)> {
    accepted.into_iter().flatten().filter_map(|(pinned, definition)| match pinned {
        Pinned::Tool(tool) => Some((tool, definition)),
        _ => None,
    })
}
