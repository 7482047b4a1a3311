//! `sluicegate serve`: starts every room in order, and stops them in the reverse order.
//!
//! Must never leave anything half-started: what can be refused is refused before the first call is taken.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::exit;
use crate::audit::Journal;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::downstream::{Bind, Bound, Downstream, MCP_PATH};
use crate::gateway::{Gateway, Rooms, TableLimits, Tasks};
use crate::identity::{Authenticator, ListenerVouches};
use crate::limit::Gate;
use crate::model::name::EntryPointName;
use crate::model::principal::RunRule;
use crate::socket::{self, ConnectionLimits, Listener, Place, Server};
use crate::telemetry::{AdminResponder, Finding, LogFormat, Metrics};
use crate::upstream::{NOTICES_MAX, Upstreams};

/// How long calls in flight may go on after the gateway was asked to stop; then their tool servers are
/// stopped, and they are recorded as what that makes of them.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long answers may take to leave after the last call has ended.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "gateway.toml")]
    config: PathBuf,
    /// How log lines look on standard error: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = super::log::format)]
    log_format: LogFormat,
    /// Which log lines are written, for instance `debug` or `sluicegate::upstream=debug`
    #[arg(long, value_name = "FILTER", default_value = super::log::FILTER_DEFAULT, env = "SLUICEGATE_LOG")]
    log: String,
}

#[tokio::main]
pub(super) async fn run(command: Serve) -> anyhow::Result<ExitCode> {
    super::log::start(command.log_format, &command.log)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let running = start(&command.config).await?;
    running.announce()?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping: no new calls, those in flight end first");
    running.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// A gateway that serves in this process.
pub(super) struct Running {
    /// The folder of its journal.
    pub(super) journal_dir: PathBuf,
    listening: Vec<(String, String)>,
    gateway: Arc<Gateway>,
    tasks: Tasks,
    downstream: Downstream,
    probes: Option<Server>,
}

/// Starts the gateway of the configuration at `path`.
pub(super) async fn start(path: &Path) -> anyhow::Result<Running> {
    let config = config::load(path).map_err(|problems| exit::configuration(&problems))?;
    serve(config).await.map_err(|error| exit::unavailable(&error))
}

/// First everything that can be refused by the system: sockets, journal, tool servers. Peers that connect
/// meanwhile wait; nothing is answered until all of it is there.
async fn serve(config: Config) -> anyhow::Result<Running> {
    let Config { state_dir, audit, upstreams: servers, lock_path, .. } = config;
    let rules_of_runs = rules_of_runs(&config.identity, &config.listeners);
    let findings = findings(&config.warnings);
    for problem in config.warnings.iter() {
        tracing::warn!("{problem}");
    }
    let mut bound = Vec::new();
    for settings in config.listeners {
        bound.push(bind(settings).await?);
    }
    let probes = match config.admin {
        Some(address) => Some(
            socket::bind_tcp(address)
                .await
                .context("cannot listen for probes and metrics (admin.address)")?,
        ),
        None => None,
    };
    let clock = Clock::system();
    let journal_dir = audit.dir.clone();
    let (journal, recovered) = Journal::open(audit, clock.clone())?;
    if recovered.unknown > 0 {
        tracing::warn!(
            calls = recovered.unknown,
            "calls were in flight when the last process died: recorded as unknown"
        );
    }
    let (told, notices) = mpsc::channel(NOTICES_MAX);
    let upstreams = Upstreams::start(servers, lock_path, &state_dir, clock.clone(), told)?;
    let metrics = Arc::new(Metrics::new());
    let limits = TableLimits {
        runs_max: config.runs_max,
        sessions_max: config.limits.sessions_max,
        session_idle: config.limits.session_idle,
        streams_max: config.limits.streams_max,
    };
    let rooms = Rooms {
        authenticator: Authenticator::new(config.identity),
        gate: Gate::new(config.in_flight),
        journal,
        live: recovered.live,
        upstreams,
        notices,
        rules: config.rules,
        metrics: Arc::clone(&metrics),
        clock,
        findings,
        limits,
    };
    let begun = Gateway::begin(rooms, |entry_point| rules_of_runs.get(entry_point).copied()).await;
    let (gateway, tasks) =
        begun.map_err(|reason| anyhow::anyhow!("the audit journal does not go: {reason}"))?;
    let listening = bound.iter().map(|bound| (bound.name().to_owned(), endpoint(bound.place()))).collect();
    let downstream = Downstream::serve(bound, &config.limits, &gateway);
    gateway.meet_upstreams().await;
    let probes = probes.map(|listener| serve_probes(listener, &metrics, &gateway));
    Ok(Running { journal_dir, listening, gateway, tasks, downstream, probes })
}

async fn bind(settings: crate::downstream::ListenSettings) -> anyhow::Result<Bound> {
    let place = match &settings.bind {
        Bind::Tcp(address) => address.to_string(),
        Bind::Unix { path, .. } => path.display().to_string(),
    };
    let name = settings.name.clone();
    Bound::bind(settings).await.with_context(|| format!("cannot listen on {place} (listen.{name})"))
}

fn serve_probes(listener: Listener, metrics: &Arc<Metrics>, gateway: &Arc<Gateway>) -> Server {
    let responder = AdminResponder::new(listener.place(), Arc::clone(metrics), Arc::clone(gateway));
    let limits = ConnectionLimits {
        connections_max: PROBE_CONNECTIONS_MAX,
        head_timeout: crate::downstream::HEAD_TIMEOUT_DEFAULT,
    };
    Server::start(listener, limits, Arc::new(responder))
}

/// Where clients point: a URL, or the path of a socket.
fn endpoint(place: &Place) -> String {
    match place {
        Place::Tcp(address) => format!("http://{address}{MCP_PATH}"),
        Place::Unix(path) => path.display().to_string(),
    }
}

/// Connections of probes and scrapers at once.
const PROBE_CONNECTIONS_MAX: usize = 32;

/// What a run is at each entry point.
fn rules_of_runs(
    identity: &crate::identity::Settings,
    listeners: &[crate::downstream::ListenSettings],
) -> HashMap<EntryPointName, RunRule> {
    let keys = identity.keys.iter().map(|key| &key.principal);
    let vouched = listeners.iter().flat_map(|listener| match &listener.vouches {
        ListenerVouches::Nothing => Vec::new(),
        ListenerVouches::Everyone(principal) => vec![principal],
        ListenerVouches::Peers(peers) => peers.iter().map(|(_, principal)| principal).collect(),
    });
    keys.chain(vouched).map(|principal| (principal.entry_point.clone(), principal.runs)).collect()
}

/// The warnings of the configuration, as probes show them.
fn findings(warnings: &config::Problems) -> Vec<Finding> {
    let of = |problem: &config::Problem| Finding {
        code: problem.code.word().to_owned(),
        message: problem.message.clone(),
    };
    warnings.iter().map(of).collect()
}

impl Running {
    /// Says on standard output where it listens: one line each, then `ready`.
    fn announce(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        for (name, place) in &self.listening {
            writeln!(out, "listening {name} {place}")?;
        }
        if let Some(probes) = &self.probes {
            writeln!(out, "listening admin {}", probes.place())?;
        }
        writeln!(out, "ready")?;
        out.flush()?;
        Ok(())
    }

    /// Stops: no new calls, those in flight end or are recorded, the last sync.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.downstream.stop_accepting();
        let ended = self.gateway.end(self.tasks, DRAIN_MAX).await;
        self.downstream.drain(GOODBYE_MAX).await;
        if let Some(probes) = self.probes {
            probes.drain(GOODBYE_MAX).await;
        }
        ended.map_err(|reason| anyhow::anyhow!("the end could not be recorded: {reason}"))
    }
}
