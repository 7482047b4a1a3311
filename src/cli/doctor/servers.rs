//! The tool servers: does each start, and does it offer what was accepted?
//!
//! Must never accept anything: what is offered is looked at in a place of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Reach};
use crate::cli::place::Place;
use crate::clock::Clock;
use crate::config::Config;
use crate::model::call::Pin;
use crate::model::digest::Sha256;
use crate::model::name::{ToolId, UpstreamName};
use crate::model::target::Class;
use crate::upstream::{self, Catalogue, Surveyed, survey};

/// Looks at every upstream.
pub(super) async fn look(config: &Config, reach: Reach) -> anyhow::Result<(Vec<Finding>, Vec<String>)> {
    let accepted = upstream::accepted(&config.upstreams, &config.lock_path)?;
    let (mut findings, mut good) = (Vec::new(), Vec::new());
    if reach == Reach::Nothing {
        for settings in &config.upstreams {
            let about = format!("upstream {}", settings.name);
            if of(&accepted, &settings.name).is_empty() {
                findings.push(unseen(&about));
            } else {
                closed(config, &accepted, &settings.name, &mut findings);
            }
        }
        return Ok((findings, good));
    }
    let place = Place::new(None)?;
    let lock = place.path().join("gateway.lock");
    let found = survey(config.upstreams.clone(), &lock, place.path(), &Clock::system(), |_| {}).await?;
    for one in &found {
        let before = findings.len();
        server(one, &accepted, &mut findings);
        closed(config, &accepted, &one.upstream, &mut findings);
        if let (true, Ok(tools)) = (findings.len() == before, &one.tools) {
            good.push(format!("upstream {}: starts, {} tools as accepted", one.upstream, tools.len()));
        }
    }
    Ok((findings, good))
}

fn digest(pin: &Pin) -> Sha256 {
    match pin {
        Pin::Accepted(digest) | Pin::Changed { accepted: digest, .. } => *digest,
    }
}

/// The accepted tools of `upstream`.
fn of(catalogue: &Catalogue, upstream: &UpstreamName) -> BTreeMap<ToolId, Sha256> {
    let tools = catalogue.tools().iter().filter(|tool| tool.id.upstream == *upstream);
    tools.map(|tool| (tool.id.clone(), digest(&tool.pin))).collect()
}

fn unseen(about: &str) -> Finding {
    let message = "none of its tools is accepted yet, so that nobody sees one";
    let fix = "`sluicegate serve` accepts what it offers first, or `sluicegate pins` what is shown";
    Finding::note("not_accepted", about, message, fix)
}

fn server(one: &Surveyed, accepted: &Catalogue, findings: &mut Vec<Finding>) {
    let about = format!("upstream {}", one.upstream);
    let tools = match &one.tools {
        Ok(tools) => tools,
        Err(why) => {
            let fix = "start its command by hand; look at its secrets and its path in gateway.toml";
            findings.push(Finding::problem("down", &about, why.as_str(), fix));
            return;
        }
    };
    let accepted = of(accepted, &one.upstream);
    let offered: BTreeMap<ToolId, Sha256> =
        tools.iter().map(|tool| (tool.id.clone(), digest(&tool.pin))).collect();
    if accepted.is_empty() && !offered.is_empty() {
        findings.push(unseen(&about));
    }
    let names = |all: Vec<&ToolId>| {
        let names: BTreeSet<&str> = all.into_iter().map(|id| id.tool.as_str()).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let changed = accepted.iter().filter(|(id, digest)| offered.get(*id).is_some_and(|now| now != *digest));
    let changed: Vec<&ToolId> = changed.map(|(id, _)| id).collect();
    if !changed.is_empty() {
        let message =
            format!("these tools changed since they were accepted, and are refused: {}", names(changed));
        let fix = "`sluicegate pins list` shows what changed, `sluicegate pins accept` accepts it";
        findings.push(Finding::problem("definition_changed", &about, message, fix));
    }
    let gone: Vec<&ToolId> = accepted.keys().filter(|id| !offered.contains_key(*id)).collect();
    if !gone.is_empty() {
        let message = format!("it no longer offers {}", names(gone));
        findings.push(Finding::note("definition_gone", &about, message, "nothing, if that is meant"));
    }
    for (name, why) in &one.quarantined {
        let message = format!("its tool `{name}` is left out: {why}");
        findings.push(Finding::problem("left_out", &about, message, "tell whoever makes the server"));
    }
}

/// Tools that no source could ever call.
fn closed(config: &Config, accepted: &Catalogue, upstream: &UpstreamName, findings: &mut Vec<Finding>) {
    let accepted = of(accepted, upstream);
    let is_open = |id: &ToolId| config.rules.may_ever(Class::Tool, &id.to_string());
    if !accepted.is_empty() && !accepted.keys().any(is_open) {
        let about = format!("upstream {upstream}");
        let fix = "open one in a source and in a role: `sluicegate matrix` shows them all";
        findings.push(Finding::problem("closed", &about, "no source may call any of its tools", fix));
    }
}
