//! `sluicegate serve`: starts every room in order, and stops them in the reverse order.
//!
//! Must never leave anything half-started: what can be refused is refused before the first call is taken.

mod rooms;
mod sockets;

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::exit;
use crate::config::{self, Config};
use crate::console::AdminSocket;
use crate::downstream::Downstream;
use crate::gateway::{Gateway, Tasks};
use crate::socket::Server;
use crate::telemetry::LogFormat;
pub(super) use rooms::entry_points;
use sockets::Sockets;

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
    /// Name and place of every listener.
    pub(super) listening: Vec<(String, String)>,
    gateway: Arc<Gateway>,
    tasks: Tasks,
    downstream: Downstream,
    desk: AdminSocket,
    probes: Option<Server>,
}

/// Starts the gateway of the configuration at `path`.
pub(super) async fn start(path: &Path) -> anyhow::Result<Running> {
    let config = config::load(path).map_err(|problems| exit::configuration(&problems))?;
    serve(config).await.map_err(|error| exit::unavailable(&error))
}

/// First everything that can be refused by the system: sockets, journal, tool servers. Peers that connect
/// meanwhile wait; nothing is answered until all of it is there.
async fn serve(mut config: Config) -> anyhow::Result<Running> {
    make_state_dir(&config.state_dir)?;
    let sockets = Sockets::bind(&mut config).await?;
    let journal_dir = config.audit.dir.clone();
    let limits = config.limits.clone();
    let (rooms, rules_of_runs) = rooms::open(config, &sockets)?;
    let desk = sockets.bind_desk()?;
    let (listening, metrics) = (rooms.listening.clone(), Arc::clone(&rooms.metrics));
    let begun = Gateway::begin(rooms, |entry_point| rules_of_runs.get(entry_point).copied()).await;
    let (gateway, tasks) = begun.map_err(|reason| anyhow::anyhow!("{}", reason.sentence()))?;
    let (downstream, probes) = sockets.serve(&limits, &metrics, &gateway);
    let desk = AdminSocket::serve(desk, Arc::clone(&gateway));
    gateway.meet_upstreams().await;
    Ok(Running { journal_dir, listening, gateway, tasks, downstream, desk, probes })
}

/// Makes the state directory, for its owner alone, where there is none: sockets and journal stand in it.
/// One that is there already was checked with the configuration.
fn make_state_dir(dir: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make the state directory `{}` (gateway.state_dir)", dir.display()))
}

impl Running {
    /// Says on standard output where it listens: one line each, then `ready`.
    fn announce(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        for (name, place) in &self.listening {
            writeln!(out, "listening {name} {place}")?;
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
        self.desk.drain(GOODBYE_MAX).await;
        if let Some(probes) = self.probes {
            probes.drain(GOODBYE_MAX).await;
        }
        ended.map_err(|reason| anyhow::anyhow!("the end could not be recorded: {reason}"))
    }
}
