//! Opens the rooms of the path from a checked configuration.
//!
//! Must never start a tool server or take a call.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::audit::{Journal, Measure, Measured};
use crate::clock::Clock;
use crate::config::{Config, Problem};
use crate::console::ReloadRequest;
use crate::downstream::ListenSettings;
use crate::gateway::{Configured, Retention, Rooms, TableLimits};
use crate::identity::{Authenticator, EntryPoints, Minter, People, Webhooks};
use crate::keep::Keeper;
use crate::notify::{self, Fate, Notifiers};
use crate::reviewer::Reviewer;
use crate::sink::{self, Sinks};
use crate::telemetry::{Exporter, Finding, Metrics, SinkFigures, Tracer, WhenBehind};
use crate::upstream::{self, NOTICES_MAX, Upstreams};

/// What of a configuration goes to the gateway, and its upstreams, which are set up beside it.
pub(super) type Parts = (Configured, Vec<upstream::Settings>);

/// What was opened: the rooms of the path, and what takes from them what leaves the gateway.
pub(super) struct Opened {
    pub(super) rooms: Rooms,
    pub(super) sinks: Sinks,
    pub(super) exporter: Option<Exporter>,
}

/// Opens the journal, takes up what it knows, and sets up everything else around it.
pub(super) fn open(
    config: Config,
    listeners: &[ListenSettings],
    listening: Vec<(String, String)>,
    reloader: mpsc::Sender<ReloadRequest>,
    clock: Clock,
) -> anyhow::Result<Opened> {
    let (journal, recovered) = Journal::open(config.audit.clone(), clock.clone())?;
    let metrics = Arc::new(Metrics::new());
    let measured = Arc::clone(&metrics);
    journal.measured_by(Measure::new(move |what| match what {
        Measured::Sync { took } => measured.journal_sync(took),
        Measured::Group { records, waited } => measured.journal_group(records, waited),
    }));
    let sinks = sinks(&config, &journal, &metrics, &clock)?;
    if recovered.unknown > 0 {
        let calls = recovered.unknown;
        tracing::warn!(calls, "calls were in flight when the last process died: recorded as unknown");
    }
    let (tracer, exporter) = tracer(&config, &metrics, &clock)?.unzip();
    let keeper = Keeper::open(&config.state_dir).context("the keys of kept values")?;
    let (told, notices) = mpsc::channel(NOTICES_MAX);
    let had = sinks.had();
    let retention = config.audit.retention.map(|after| Retention {
        dir: config.audit.dir.clone(),
        after,
        needed: Arc::new(move || had.needed()),
    });
    let (lock_path, state_dir) = (config.lock_path.clone(), config.state_dir.clone());
    // Before anything looks for the keys that it makes where there are none.
    let mint = config.mint.clone().map(|settings| Minter::open(settings, clock.clone())).transpose()?;
    let (minter, mint_opened) = mint.map(|(minter, opened)| (Arc::new(minter), opened)).unzip();
    let (configured, upstreams) = parts(config, minter, listeners, listening, (&clock, &metrics));
    let upstreams = Upstreams::start(upstreams, lock_path, &state_dir, clock.clone(), told)?;
    let rooms = Rooms {
        configured,
        mint_opened,
        journal,
        keeper,
        retention,
        live: recovered.live,
        upstreams,
        notices,
        metrics,
        tracer,
        clock,
        reloader,
    };
    Ok(Opened { rooms, sinks, exporter })
}

/// Serves the sinks from here on; what they are told of comes from the journal alone.
fn sinks(config: &Config, journal: &Journal, metrics: &Arc<Metrics>, clock: &Clock) -> anyhow::Result<Sinks> {
    let source = sink::Source { dir: config.audit.dir.clone(), synced: journal.synced() };
    let metrics = Arc::clone(metrics);
    let tell = move |settings: &sink::Settings, figures: &sink::Figures| {
        let sink::Figures { delivered, behind, failures, missed, dead, trouble } = figures;
        metrics.sink(SinkFigures {
            name: settings.name.clone(),
            delivered: *delivered,
            behind: *behind,
            behind_max: settings.behind_max,
            failures: *failures,
            missed: *missed,
            dead: *dead,
            trouble: trouble.as_ref().map(|trouble| trouble.why.clone()),
            when_behind: match settings.need {
                sink::Need::Optional => WhenBehind::Finding,
                sink::Need::Required => WhenBehind::Unready,
            },
        });
    };
    let dir = config.state_dir.join("sinks");
    Ok(Sinks::start(&config.sinks, &source, &dir, clock, &(Arc::new(tell) as sink::Tell))?)
}

/// What traces calls, where that is configured.
fn tracer(
    config: &Config,
    metrics: &Arc<Metrics>,
    clock: &Clock,
) -> anyhow::Result<Option<(Tracer, Exporter)>> {
    let start = |settings| Tracer::start(settings, Arc::clone(metrics), clock.clone());
    config.traces.as_ref().map(start).transpose().context("the receiver of traces (`[telemetry]`)")
}

/// Takes a configuration apart, at the start and at each reload.
pub(super) fn parts(
    config: Config,
    minter: Option<Arc<Minter>>,
    listeners: &[ListenSettings],
    listening: Vec<(String, String)>,
    (clock, metrics): (&Clock, &Arc<Metrics>),
) -> Parts {
    for problem in config.warnings.iter() {
        let Problem { place, code, message, help, .. } = problem;
        tracing::warn!(%place, code = code.word(), help, "{message}");
    }
    let vouches = || listeners.iter().map(|listener| (listener.name.clone(), listener.vouches.clone()));
    let configured = Configured {
        config: config.digest,
        rules: config.rules,
        plans: config.plans,
        reviewer: config.reviewer.map(|settings| Arc::new(Reviewer::new(settings, clock.clone()))),
        notifiers: Arc::new(notifiers(config.notifiers, clock, metrics)),
        approvers: config.approvers,
        quorums: config.quorums,
        page_url: config.admin.url,
        entry_points: EntryPoints::of(&config.identity, listeners.iter().map(|listener| &listener.vouches)),
        authenticator: Authenticator::new(config.identity, clock.clone()),
        people: People::new(config.people, clock),
        webhooks: Webhooks::new(config.webhooks),
        minter,
        listeners: vouches().collect(),
        in_flight: config.in_flight,
        limits: TableLimits {
            runs_max: config.runs_max,
            sessions_max: config.limits.sessions_max,
            session_idle: config.limits.session_idle,
            ask_hold: config.limits.ask_hold,
            streams_max: config.limits.streams_max,
            resume_window: config.limits.resume_window,
        },
        findings: config.warnings.iter().map(finding).collect(),
        listening,
    };
    (configured, config.upstreams)
}

/// Everybody who is told of something, with what becomes of it in metrics.
fn notifiers(settings: Vec<notify::Settings>, clock: &Clock, metrics: &Arc<Metrics>) -> Notifiers {
    for (name, fate) in settings.iter().flat_map(|one| Fate::ALL.map(|fate| (&one.name, fate))) {
        metrics.notified(name, fate.as_str(), 0);
    }
    let metrics = Arc::clone(metrics);
    let count: notify::Count = Arc::new(move |name, fate: Fate| metrics.notified(name, fate.as_str(), 1));
    Notifiers::start(settings, clock, &count)
}

/// A warning of the configuration, as probes show it.
fn finding(problem: &Problem) -> Finding {
    Finding { code: problem.code.word().to_owned(), message: problem.message.clone() }
}
