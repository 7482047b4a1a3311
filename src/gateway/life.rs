//! How the gateway begins and ends.
//!
//! Must never take a call before the runs of the last process are back, nor end before every call in
//! flight has its outcome in the journal.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::Gateway;
use super::chronicle::JournalOfRuns;
use super::held::Waiters;
use super::page::Cursors;
use super::parked::Parked;
use super::reload::Reloads;
use super::retention::Retention;
use super::session::{self, Sessions};
use super::streams::Streams;
use super::tally::Tally;
use super::task::TaskTable;
use super::watch::Places;
use super::world::{InForce, World, Worlds};
use crate::approval::Questions;
use crate::audit::{Journal, Live};
use crate::clock::Clock;
use crate::console::ReloadRequest;
use crate::identity::{Authenticator, EntryPoints, ListenerVouches, Minter, Opened, People, Webhooks};
use crate::keep::Keeper;
use crate::limit::{self, Failures, Gate};
use crate::model::approver::Approver;
use crate::model::decision::PolicyEpoch;
use crate::model::digest::Sha256;
use crate::model::quorum::Quorum;
use crate::model::reason::Reason;
use crate::notify::Notifiers;
use crate::plan;
use crate::policy::Rules;
use crate::reviewer::Reviewer;
use crate::run::{BarrierReport, RecoveredRun, RecoveredRuns, RunKey, Runs, StoredSources};
use crate::telemetry::{Finding, Metrics, Tracer};
use crate::upstream::{Notice, Upstreams};

/// What a gateway is made of. Everything in it is open already.
#[derive(Debug)]
pub struct Rooms {
    /// What the configuration says.
    pub configured: Configured,
    /// Whether the first key for run tokens was made, where the gateway makes them.
    pub mint_opened: Option<Opened>,
    /// The journal.
    pub journal: Journal,
    /// What keeps values of arguments for it.
    pub keeper: Keeper,
    /// How long the journal is kept; for ever where there is nothing.
    pub retention: Option<Retention>,
    /// What the journal knows of the present.
    pub live: Live,
    /// The tool servers.
    pub upstreams: Upstreams,
    /// What they tell.
    pub notices: mpsc::Receiver<Notice>,
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// What says where calls stand in traces, where that is configured.
    pub tracer: Option<Tracer>,
    /// The clocks.
    pub clock: Clock,
    /// Who takes what people ask of the configuration.
    pub reloader: mpsc::Sender<ReloadRequest>,
}

/// What a configuration says to the gateway. One follows another as a whole: see [`Gateway::reload`].
#[derive(Debug)]
pub struct Configured {
    /// Digest of its files.
    pub config: Sha256,
    /// Its lists.
    pub rules: Rules,
    /// Its flows and request shapes.
    pub plans: plan::Rules,
    /// Who outside is asked about plans.
    pub reviewer: Option<Arc<Reviewer>>,
    /// Who is told of what happens.
    pub notifiers: Arc<Notifiers>,
    /// Who may answer questions; where there is nobody, the uid that owns the gateway.
    pub approvers: Vec<Approver>,
    /// How many people have to say yes to which questions.
    pub quorums: Vec<Quorum>,
    /// Where people reach the page on which they answer (`admin.url`).
    pub page_url: Option<String>,
    /// Credential → principal.
    pub authenticator: Authenticator,
    /// Who signs people in.
    pub people: People,
    /// Who brings the word of people.
    pub webhooks: Webhooks,
    /// What makes run tokens, where it is configured.
    pub minter: Option<Arc<Minter>>,
    /// Every entry point.
    pub entry_points: EntryPoints,
    /// What each listener vouches for by itself.
    pub listeners: HashMap<String, ListenerVouches>,
    /// How much there may be.
    pub in_flight: limit::Settings,
    /// The limits of the gateway's own tables.
    pub limits: TableLimits,
    /// What operators should know for as long as it is in force.
    pub findings: Vec<Finding>,
    /// Name and place of every listener.
    pub listening: Vec<(String, String)>,
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
    /// How long a call that waits for a person is held (`limits.ask_hold`).
    pub ask_hold: Duration,
    /// How long a stream is kept for a client that lost its connection (`limits.resume_window`).
    pub resume_window: Duration,
}

impl TableLimits {
    pub(super) fn of_sessions(&self) -> session::Limits {
        let Self { sessions_max, session_idle: idle, resume_window, .. } = *self;
        session::Limits { sessions_max, idle, resume_window }
    }
}

/// The number of the configuration that the gateway starts with.
const FIRST_EPOCH: PolicyEpoch = PolicyEpoch(1);

/// The gateway's own tasks. Dropping them ends them; [`Gateway::end`] lets the last notices be recorded.
#[derive(Debug)]
pub struct Tasks {
    running: JoinSet<()>,
    notices: JoinHandle<()>,
    upstreams_stopped: oneshot::Sender<()>,
}

impl Tasks {
    /// Ends them, once what the upstreams told before they stopped is in the record.
    async fn end(self) {
        drop(self.running);
        // It has ended already if nobody receives this, and then there is nothing to wait for either.
        let _ = self.upstreams_stopped.send(());
        if let Err(error) = self.notices.await {
            tracing::error!(%error, "the last notices of the upstreams could not be recorded");
        }
    }
}

impl Gateway {
    /// A gateway of these rooms. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// Why the runs of sessions that did not survive could not be ended on the record, or what is in force
    /// could not be recorded.
    pub async fn begin(rooms: Rooms) -> Result<(Arc<Self>, Tasks), Reason> {
        let Rooms { mut live, configured, notices, .. } = rooms;
        let ledger = std::mem::take(&mut live.budgets);
        let questions = Questions::recover(std::mem::take(&mut live.questions).into_values());
        let Configured { limits, entry_points, in_flight, .. } = configured;
        let entry_points = entry_points.following(&EntryPoints::default(), FIRST_EPOCH);
        let rule_of = |entry_point: &_| entry_points.rule_of(entry_point);
        let runs = Runs::recover(recover(live), limits.runs_max, rule_of);
        let in_force = InForce {
            epoch: FIRST_EPOCH,
            config: configured.config,
            rules: configured.rules,
            plans: configured.plans,
            reviewer: configured.reviewer,
            notifiers: configured.notifiers,
            approvers: configured.approvers,
            quorums: configured.quorums,
            page_url: configured.page_url,
            ask_hold: limits.ask_hold,
            authenticator: configured.authenticator,
            people: Arc::new(configured.people),
            webhooks: Arc::new(configured.webhooks),
            minter: configured.minter,
            entry_points,
            listeners: configured.listeners,
            findings: configured.findings,
            listening: configured.listening,
        };
        let (catalogue, fleet) = (rooms.upstreams.catalogue(), rooms.upstreams.fleet());
        let cursors = Cursors::new()?;
        let gateway = Arc::new(Self {
            runs,
            sessions: Sessions::new(limits.of_sessions()),
            streams: Streams::new(limits.streams_max),
            cursors,
            parked: Parked::default(),
            questions,
            waiters: Waiters::default(),
            watches: Places::default(),
            tasks: TaskTable::default(),
            worlds: Worlds::new(World::compile(Arc::new(in_force), catalogue, fleet, rooms.clock.clone())),
            failures: Failures::new(in_flight.failed_authentications_per_minute),
            gate: Gate::new(in_flight, ledger),
            journal: rooms.journal,
            keeper: rooms.keeper,
            upstreams: rooms.upstreams,
            metrics: rooms.metrics,
            tracer: rooms.tracer,
            tally: Tally::default(),
            started: rooms.clock.wall(),
            clock: rooms.clock,
            reloads: Reloads::default(),
            reloader: rooms.reloader,
        });
        gateway.record_first().await?;
        if let Some(opened) = rooms.mint_opened {
            gateway.record_first_key(&opened).await?;
        }
        let chronicle = JournalOfRuns(&gateway.journal);
        gateway.runs.end_lost_sessions(gateway.clock.wall(), &chronicle).await?;
        let running = gateway.keep_house(rooms.retention);
        let (upstreams_stopped, stopped) = oneshot::channel();
        let notices = tokio::spawn(Arc::clone(&gateway).heed_notices(notices, stopped));
        Ok((gateway, Tasks { running, notices, upstreams_stopped }))
    }

    /// What goes on for as long as the gateway does, whoever calls.
    fn keep_house(self: &Arc<Self>, retention: Option<Retention>) -> JoinSet<()> {
        let mut running = JoinSet::new();
        running.spawn(Arc::clone(self).expire_forever());
        running.spawn(Arc::clone(self).write_tally_forever());
        if let Some(retention) = retention {
            running.spawn(Arc::clone(self).retire_forever(retention));
        }
        running.spawn(Arc::clone(self).follow_catalogue_forever());
        running.spawn(Arc::clone(self).tell_of_halts_forever());
        running
    }

    /// Starts the tool servers that were never seen, and waits for each at most its `list_wait`, so that
    /// the first call of a fresh gateway does not find an empty catalogue: no call starts one (I5).
    pub async fn meet_upstreams(&self) {
        self.upstreams.list_ready().await;
        self.worlds.follow(&self.upstreams).await;
    }

    /// Ends the gateway: takes no new calls, lets those in flight end within `patience`, then stops the
    /// upstreams under them, and closes the journal when every call has its outcome.
    ///
    /// # Errors
    /// Why the end could not be recorded.
    pub async fn end(&self, tasks: Tasks, patience: Duration) -> Result<(), Reason> {
        self.gate.drain();
        self.parked.close();
        self.waiters.close();
        self.streams.close();
        if tokio::time::timeout(patience, self.gate.drained()).await.is_err() {
            tracing::warn!("calls are still in flight: their tool servers are stopped under them");
        }
        self.upstreams.stop().await;
        self.gate.drained().await;
        tasks.end().await;
        self.write_tally().await;
        self.journal.clone().close().await.map(|_seq| ())
    }
}

/// What the journal knows, in the words of the run table.
pub(super) fn recover(live: Live) -> RecoveredRuns {
    let runs = live.runs.into_values().map(|run| RecoveredRun {
        key: RunKey::recovered(run.entry_point, &run.subject, run.session, run.claim.as_ref()),
        id: run.run,
        subject: run.subject,
        claim: run.claim,
        origin: run.origin,
        provenance: run.provenance,
        started: run.started,
        used: run.used,
        history: run.history,
        plans: run.plans,
    });
    RecoveredRuns {
        runs: runs.collect(),
        stored: StoredSources::recover(live.stored),
        tombstones: live.tombstones.into_values().collect(),
        barriers: BarrierReport { revoked: live.revoked, closed: live.closed },
    }
}
