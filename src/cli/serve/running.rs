//! A gateway that serves in this process, from its first socket to its last sync.
//!
//! Must never leave anything half-started: what can be refused is refused before the first call is taken.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::Activation;
use super::notify::Notifier;
use super::orders::{Order, Signals};
use super::rooms;
use super::sockets::Sockets;
use super::watch::Watcher;
use crate::cli::exit;
use crate::clock::Clock;
use crate::config::{self, Config, Fixed};
use crate::console::{AdminSocket, RELOADS_WAITING_MAX, ReloadRequest};
use crate::downstream::Downstream;
use crate::gateway::{Gateway, Tasks};
use crate::sink::Sinks;
use crate::socket::Server;
use crate::telemetry::{Exporter, Metrics};

/// How long calls in flight may go on after the gateway was asked to stop; then their tool servers are
/// stopped, and they are recorded as what that makes of them.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long answers may take to leave after the last call has ended.
const GOODBYE_MAX: Duration = Duration::from_secs(5);
/// How long sinks may take what is left for them.
const SINKS_MAX: Duration = Duration::from_secs(5);

/// How long the receiver of traces may take what is left for it.
const TRACES_MAX: Duration = Duration::from_secs(2);

/// A gateway that serves in this process.
pub(in crate::cli) struct Running {
    /// The folder of its journal.
    pub(in crate::cli) journal_dir: PathBuf,
    /// Name and place of every listener that it started with.
    pub(in crate::cli) listening: Vec<(String, String)>,
    /// The file that its configuration is read from.
    pub(super) path: PathBuf,
    /// What it was started with and cannot change.
    pub(super) fixed: Vec<Fixed>,
    /// Name and place of the listener of probes.
    pub(super) probed: Option<(String, String)>,
    pub(super) gateway: Arc<Gateway>,
    /// The clock of every room.
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) downstream: Downstream,
    pub(super) watcher: Watcher,
    pub(super) notifier: Notifier,
    asked: mpsc::Receiver<ReloadRequest>,
    tasks: Tasks,
    desk: AdminSocket,
    probes: Option<Server>,
    sinks: Sinks,
    /// What sends traces.
    exporter: Option<Exporter>,
}

/// Starts the gateway of the configuration at `path`, on what was `passed` where it says so.
pub(in crate::cli) async fn start(path: &Path, passed: Activation) -> anyhow::Result<Running> {
    let reading = config::read(path);
    let config = reading.outcome.map_err(|problems| exit::configuration(&problems))?;
    let watcher = Watcher::new(reading.files, config.watch);
    serve(path, config, passed, watcher).await.map_err(|error| exit::unavailable(&error))
}

/// First everything that can be refused by the system: sockets, journal, tool servers. Peers that connect
/// meanwhile wait; nothing is answered until all of it is there.
async fn serve(
    path: &Path,
    mut config: Config,
    passed: Activation,
    watcher: Watcher,
) -> anyhow::Result<Running> {
    make_state_dir(&config.state_dir)?;
    let listeners = std::mem::take(&mut config.listeners);
    let clock = Clock::system();
    let sockets = Sockets::bind(listeners.clone(), &config, passed, &clock).await?;
    let (journal_dir, fixed, limits) =
        (config.audit.dir.clone(), config.fixed.clone(), config.limits.clone());
    let (listening, probed) = (sockets.listening(), sockets.probes());
    let door = sockets.door(config.admin.url.clone());
    let (reloader, asked) = mpsc::channel(RELOADS_WAITING_MAX);
    let opened = rooms::open(config, &listeners, listening.clone(), reloader, clock.clone())?;
    let rooms::Opened { rooms, sinks, exporter } = opened;
    let desk = sockets.bind_desk()?;
    let metrics = Arc::clone(&rooms.metrics);
    let begun = Gateway::begin(rooms).await;
    let (gateway, tasks) = begun.map_err(|reason| anyhow::anyhow!("{}", reason.sentence()))?;
    let (downstream, probes) = sockets.serve(&limits, &metrics, &gateway, door.clone());
    let desk = AdminSocket::serve(desk, Arc::clone(&gateway), door);
    gateway.meet_upstreams().await;
    Ok(Running {
        journal_dir,
        listening,
        path: path.to_owned(),
        fixed,
        probed,
        gateway,
        clock,
        metrics,
        downstream,
        watcher,
        notifier: Notifier::from_environment(),
        asked,
        tasks,
        desk,
        probes,
        sinks,
        exporter,
    })
}

/// Makes the state directory, for its owner alone, where there is none: sockets and journal stand in it.
/// One that is there already was checked with the configuration.
fn make_state_dir(dir: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make the state directory `{}` (gateway.state_dir)", dir.display()))
}

impl Running {
    /// Says on standard output where it listens, one line each, then `ready`; and tells the service
    /// manager, if there is one.
    pub(super) fn announce(&self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        for (name, place) in &self.listening {
            writeln!(out, "listening {name} {place}")?;
        }
        writeln!(out, "ready")?;
        out.flush()?;
        self.notifier.ready(&format!("serving, {}", self.in_force()));
        Ok(())
    }

    /// Reloads whenever it is told to, one after the other, until it is told to stop.
    pub(in crate::cli) async fn heed(&mut self, signals: &mut Signals) {
        loop {
            let Self { asked, watcher, .. } = self;
            match signals.next(asked, watcher).await {
                Order::Stop => return,
                Order::Reload(cause) => self.reload(cause).await,
            }
        }
    }

    /// Which configuration is in force, in words.
    pub(super) fn in_force(&self) -> String {
        let (epoch, config) = self.gateway.in_force();
        let digest = config.to_string();
        format!("configuration {} (number {})", digest.get(..12).unwrap_or(&digest), epoch.0)
    }

    /// Stops: no new calls, those in flight end or are recorded, the last sync.
    pub(in crate::cli) async fn stop(self) -> anyhow::Result<()> {
        self.notifier.stopping();
        // Whoever still waits for a reload is told that there will be none.
        drop(self.asked);
        self.downstream.stop_accepting();
        let ended = self.gateway.end(self.tasks, DRAIN_MAX).await;
        self.downstream.drain(GOODBYE_MAX).await;
        self.desk.drain(GOODBYE_MAX).await;
        if let Some(probes) = self.probes {
            probes.drain(GOODBYE_MAX).await;
        }
        // The last record is that of the end.
        self.sinks.finish(SINKS_MAX).await;
        if let Some(exporter) = self.exporter {
            exporter.finish(TRACES_MAX).await;
        }
        ended.map_err(|reason| anyhow::anyhow!("the end could not be recorded: {reason}"))
    }
}
