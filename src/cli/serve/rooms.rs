//! Opens the rooms of the path from a checked configuration.
//!
//! Must never start a tool server or take a call.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::sockets::Sockets;
use crate::audit::Journal;
use crate::clock::Clock;
use crate::config::{Config, Problem};
use crate::downstream::ListenSettings;
use crate::gateway::minting::MintRoom;
use crate::gateway::{Rooms, TableLimits};
use crate::identity::{self, Authenticator, ListenerVouches, Minter};
use crate::limit::Gate;
use crate::model::name::EntryPointName;
use crate::model::principal::RunRule;
use crate::telemetry::{Finding, Metrics};
use crate::upstream::{NOTICES_MAX, Upstreams};

/// What a run is at each entry point.
pub(super) type RulesOfRuns = HashMap<EntryPointName, RunRule>;

/// Opens the journal, takes up what it knows, and sets up everything else around it.
pub(super) fn open(config: Config, sockets: &Sockets) -> anyhow::Result<(Rooms, RulesOfRuns)> {
    for problem in config.warnings.iter() {
        tracing::warn!("{problem}");
    }
    let clock = Clock::system();
    let (journal, recovered) = Journal::open(config.audit, clock.clone())?;
    if recovered.unknown > 0 {
        let calls = recovered.unknown;
        tracing::warn!(calls, "calls were in flight when the last process died: recorded as unknown");
    }
    let (told, notices) = mpsc::channel(NOTICES_MAX);
    let upstreams =
        Upstreams::start(config.upstreams, config.lock_path, &config.state_dir, clock.clone(), told)?;
    let rules_of_runs = rules_of_runs(&config.identity, sockets.settings());
    let limits = TableLimits {
        runs_max: config.runs_max,
        sessions_max: config.limits.sessions_max,
        session_idle: config.limits.session_idle,
        streams_max: config.limits.streams_max,
    };
    let mint = config.mint.map(|settings| Minter::open(settings, clock.clone())).transpose()?;
    let rooms = Rooms {
        mint: mint.map(|(minter, opened)| MintRoom { minter, opened }),
        authenticator: Authenticator::new(config.identity, clock.clone()),
        gate: Gate::new(config.in_flight),
        journal,
        live: recovered.live,
        upstreams,
        notices,
        rules: config.rules,
        metrics: Arc::new(Metrics::new()),
        clock,
        findings: config.warnings.iter().map(finding).collect(),
        listening: sockets.listening(),
        limits,
    };
    Ok((rooms, rules_of_runs))
}

fn rules_of_runs<'a>(
    identity: &identity::Settings,
    listeners: impl Iterator<Item = &'a ListenSettings>,
) -> RulesOfRuns {
    let issuers = identity.issuers.iter().map(|issuer| (issuer.entry_point.clone(), issuer.runs));
    let keys = identity.keys.iter().map(|key| &key.principal);
    let vouched = listeners.flat_map(|listener| match &listener.vouches {
        ListenerVouches::Nothing => Vec::new(),
        ListenerVouches::Everyone(principal) => vec![principal],
        ListenerVouches::Peers(peers) => peers.iter().map(|(_, principal)| principal).collect(),
    });
    let configured = keys.chain(vouched).map(|principal| (principal.entry_point.clone(), principal.runs));
    configured.chain(issuers).collect()
}

/// A warning of the configuration, as probes show it.
fn finding(problem: &Problem) -> Finding {
    Finding { code: problem.code.word().to_owned(), message: problem.message.clone() }
}
