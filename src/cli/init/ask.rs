//! Starts each server once, as the gateway will, and proposes labels for what it lists.
//!
//! Must never start one that was not agreed to, nor leave one running.

use std::io::Write as _;

use serde_json::Value;

use super::find::Finds;
use super::{Draft, Init, LOCK};
use crate::cli::place::Place;
use crate::clock::Clock;
use crate::model::text::printable;
use crate::proposal::{Server, Tool, labels};
use crate::upstream::{self, Settings, Surveyed, survey};

/// Asks all of `servers` that can be started; gives what `gateway.lock` holds then. Those that fail are marked.
pub(super) async fn all(
    command: &Init,
    finds: &Finds,
    servers: &mut [Server],
    draft: &mut Draft<'_>,
) -> anyhow::Result<Option<Vec<u8>>> {
    let settings = draft.settings(servers)?;
    if command.offline {
        return Ok(None);
    }
    let timeout = command.timeout;
    let settings = settings.into_iter().map(|one| Settings { start_timeout: timeout, ..one }).collect();
    let place = Place::new(None)?;
    let lock = place.path().join(LOCK);
    let told = |one: &Surveyed| {
        // Whoever cannot see the progress still gets the report.
        let _unseen = tell(one);
    };
    for one in survey(settings, &lock, place.path(), &Clock::system(), told).await? {
        let Some(server) = servers.iter_mut().find(|server| server.name == one.upstream.as_str()) else {
            continue;
        };
        match one.tools {
            Ok(tools) => server.tools = tools.iter().map(proposed).collect(),
            Err(why) => server.failed = Some(why.as_str().to_owned()),
        }
        let candidate = finds.candidates.iter().find(|candidate| candidate.name == server.name);
        if let Some(only) = candidate.and_then(|candidate| candidate.server.tools.only.as_ref()) {
            let unwanted =
                server.tools.iter().map(|tool| tool.name.clone()).filter(|name| !only.contains(name));
            server.off.extend(unwanted);
        }
    }
    // A server may offer nothing at all; then there is nothing to accept.
    Ok(std::fs::read(&lock).ok())
}

fn proposed(tool: &upstream::Tool) -> Tool {
    let name = tool.id.tool.as_str();
    let schema: Value = serde_json::from_slice(&tool.input_schema).unwrap_or_default();
    Tool { name: name.to_owned(), labels: labels(name, &schema) }
}

fn tell(one: &Surveyed) -> std::io::Result<()> {
    let mut err = std::io::stderr().lock();
    let name = &one.upstream;
    match &one.tools {
        Ok(tools) => writeln!(err, "{name}: {} tools", tools.len())?,
        Err(why) => writeln!(err, "{name}: not taken over: {}", printable(why.as_str()))?,
    }
    for (tool, why) in &one.quarantined {
        writeln!(err, "{name}: the tool `{}` is left out: {why}", printable(tool))?;
    }
    Ok(())
}
