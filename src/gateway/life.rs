//! How the gateway begins and ends.
//!
//! Must never take a call before the runs of the last process are back, nor end before every call in
//! flight has its outcome in the journal.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Gateway;
use super::chronicle::JournalOfRuns;
use super::minting::MintRoom;
use super::session::Sessions;
use super::streams::Streams;
use super::tally::Tally;
use super::world::Worlds;
use crate::audit::{Journal, Live};
use crate::clock::Clock;
use crate::identity::Authenticator;
use crate::limit::Gate;
use crate::model::name::EntryPointName;
use crate::model::principal::RunRule;
use crate::model::reason::Reason;
use crate::policy::Rules;
use crate::run::{RecoveredRun, RunKey, Runs, StoredSources};
use crate::telemetry::{Finding, Metrics};
use crate::upstream::{Notice, Upstreams};

/// What a gateway is made of. Everything in it is open already.
#[derive(Debug)]
pub struct Rooms {
    /// Credential → principal.
    pub authenticator: Authenticator,
    /// The minter of run tokens, where the configuration has one.
    pub mint: Option<MintRoom>,
    /// Calls in flight.
    pub gate: Gate,
    /// The journal.
    pub journal: Journal,
    /// What the journal knows of the present.
    pub live: Live,
    /// The tool servers.
    pub upstreams: Upstreams,
    /// What they tell.
    pub notices: mpsc::Receiver<Notice>,
    /// The lists of the configuration.
    pub rules: Rules,
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// The clocks.
    pub clock: Clock,
    /// What operators should know for as long as this configuration is in force.
    pub findings: Vec<Finding>,
    /// Name and place of every listener.
    pub listening: Vec<(String, String)>,
    /// The limits of the gateway's own tables.
    pub limits: TableLimits,
}

/// The limits of the gateway's own tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLimits {
    /// Runs at once (`limits.runs_max`).
    pub runs_max: usize,
    /// Sessions at once (`limits.sessions_max`).
    pub sessions_max: usize,
    /// A session that was not used for this long is closed (`limits.session_idle`).
    pub session_idle: Duration,
    /// Open streams at once (`limits.streams_max`).
    pub streams_max: usize,
}

/// The gateway's own tasks. Dropping them ends them.
#[derive(Debug)]
pub struct Tasks {
    _running: JoinSet<()>,
}

impl Gateway {
    /// A gateway of these rooms. `rule_of` says what a run is at an entry point of the configuration.
    /// Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// Why the runs of sessions that did not survive could not be ended on the record.
    pub async fn begin(
        rooms: Rooms,
        rule_of: impl Fn(&EntryPointName) -> Option<RunRule>,
    ) -> Result<(Arc<Self>, Tasks), Reason> {
        let Rooms { live, limits, notices, .. } = rooms;
        let (recovered, stored) = recover(live);
        let (minter, opened) =
            rooms.mint.map(|MintRoom { minter, opened }| (Arc::new(minter), opened)).unzip();
        let gateway = Arc::new(Self {
            authenticator: rooms.authenticator,
            minter,
            runs: Runs::recover(recovered, stored, limits.runs_max, rule_of),
            sessions: Sessions::new(limits.sessions_max, limits.session_idle),
            streams: Streams::new(limits.streams_max),
            worlds: Worlds::new(rooms.rules, rooms.upstreams.catalogue()),
            gate: rooms.gate,
            journal: rooms.journal,
            upstreams: rooms.upstreams,
            metrics: rooms.metrics,
            tally: Tally::default(),
            started: rooms.clock.wall(),
            clock: rooms.clock,
            findings: rooms.findings,
            listening: rooms.listening,
        });
        if let Some(opened) = opened {
            gateway.record_first_key(&opened).await?;
        }
        gateway.runs.end_lost_sessions(&JournalOfRuns(&gateway.journal)).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&gateway).expire_forever());
        tasks.spawn(Arc::clone(&gateway).write_tally_forever());
        tasks.spawn(Arc::clone(&gateway).follow_catalogue_forever());
        tasks.spawn(Arc::clone(&gateway).heed_notices_forever(notices));
        Ok((gateway, Tasks { _running: tasks }))
    }

    /// Starts the tool servers that were never seen, and waits for each at most its `list_wait`, so that
    /// the first call of a fresh gateway does not find an empty catalogue: no call starts one (I5).
    pub async fn meet_upstreams(&self) {
        self.upstreams.list_ready().await;
        self.worlds.follow(self.upstreams.catalogue());
    }

    /// Ends the gateway: takes no new calls, lets those in flight end within `patience`, then stops the
    /// upstreams under them, and closes the journal when every call has its outcome.
    ///
    /// # Errors
    /// Why the end could not be recorded.
    pub async fn end(&self, tasks: Tasks, patience: Duration) -> Result<(), Reason> {
        self.gate.drain();
        self.streams.close();
        if tokio::time::timeout(patience, self.gate.drained()).await.is_err() {
            tracing::warn!("calls are still in flight: their tool servers are stopped under them");
        }
        self.upstreams.stop().await;
        self.gate.drained().await;
        drop(tasks);
        self.write_tally().await;
        self.journal.clone().close().await.map(|_seq| ())
    }
}

/// What the journal knows, in the words of the run table.
fn recover(live: Live) -> (Vec<RecoveredRun>, StoredSources) {
    let runs = live.runs.into_values().map(|run| RecoveredRun {
        id: run.run,
        key: RunKey { entry_point: run.entry_point, subject: run.subject, session: run.session },
        provenance: run.provenance,
        started: run.started,
        used: run.used,
        history: run.history,
    });
    (runs.collect(), StoredSources::recover(live.stored))
}
