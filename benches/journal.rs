//! What the journal costs a call: CPU and latency of its two records at each level of durability, beside the disk's bare
//! `fdatasync` in the same run; and how long ten million records take to be written, verified, indexed and asked.
//!
//! `cargo bench --bench journal` prints Markdown (docs/PERFORMANCE.md); `-- --records 10000000` is the long run. The
//! journal is the gateway's own, without the gateway around it. Needs 12 GB of disk for the long run.

#[path = "path/cpu.rs"]
mod cpu;
#[path = "path/histogram.rs"]
mod histogram;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;

use cpu::cpu_us;
use histogram::Histogram;
use sluicegate::audit::{
    self, Against, Checkpoints, Contents, Durability, Executed, Journal, JsonRpc, Latency, OutcomeFacts,
    Query, ResultFacts, Settings, Transport,
};
use sluicegate::clock::Clock;
use sluicegate::index::{Index, IndexError};
use sluicegate::model::budget::Metered;
use sluicegate::model::call::{ArgumentFacts, Stores};
use sluicegate::model::decision::{Answer, Decision, Dimension, PolicyEpoch, Rule, Visibility};
use sluicegate::model::digest::Sha256;
use sluicegate::model::facts::{CallFacts, RunId};
use sluicegate::model::name::{
    EntryPointName, RoleName, SourceName, Subject, ToolId, ToolName, UpstreamName,
};
use sluicegate::model::place::Place;
use sluicegate::model::principal::{Label, Principal, RunRule};
use sluicegate::model::provenance::Provenance;
use sluicegate::model::reason::Reason;
use sluicegate::model::target::Target;

/// Measures what the journal costs a call.
#[derive(Debug, Parser)]
struct Options {
    /// How often each combination is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// How long each measurement lasts
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// Calls at once
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    calls: Vec<u16>,
    /// Writes so many records instead, and verifies, indexes and asks them
    #[arg(long)]
    records: Option<u64>,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Bytes that are appended before a bare sync: about an intent and an outcome.
const BARE_BYTES: usize = 1536;
/// Bare syncs in a round.
const BARE_SYNCS: u32 = 100;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match options.records {
        Some(records) => long(records).await,
        None => table(&options).await,
    }
}

/// What one combination took.
struct Measured {
    intent: Histogram,
    both: Histogram,
    cpu_us: f64,
}

impl Default for Measured {
    fn default() -> Self {
        Self { intent: Histogram::new(), both: Histogram::new(), cpu_us: 0.0 }
    }
}

async fn table(options: &Options) -> anyhow::Result<()> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let combinations: Vec<_> = Durability::ALL
        .iter()
        .flat_map(|level| options.calls.iter().map(move |calls| (*level, *calls)))
        .collect();
    let mut all: Vec<Measured> = combinations.iter().map(|_| Measured::default()).collect();
    let mut bare = Histogram::new();
    let patience = Duration::from_secs(options.seconds.into());
    for round in 0..options.rounds {
        for (at, (level, calls)) in combinations.iter().enumerate() {
            bare_syncs(dir.path(), &mut bare)?;
            let place = dir.path().join(format!("{round}-{at}"));
            let journal = open(&place, *level)?;
            let measured = all.get_mut(at).context("a combination")?;
            measure(&journal, *calls, patience, measured).await?;
            journal.close().await.map_err(|reason| anyhow::anyhow!("{reason}"))?;
            std::fs::remove_dir_all(place)?;
        }
    }
    let (sync, mut out) = (bare.quantile_us(0.5), std::io::stdout());
    writeln!(
        out,
        "Bare `fdatasync` of {BARE_BYTES} appended bytes: median {sync:.0} µs, p99 {:.0} µs.\n",
        bare.quantile_us(0.99)
    )?;
    writeln!(
        out,
        "| durability | calls at once | calls/s | CPU µs/call | intent p50 µs | × bare | intent p99 µs | both records p50 µs | p99 µs |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    for ((level, calls), measured) in combinations.iter().zip(&all) {
        let (count, seconds) = (measured.both.count() as f64, f64::from(options.rounds * options.seconds));
        writeln!(
            out,
            "| `{}` | {calls} | {:.0} | {:.1} | {:.0} | {:.2} | {:.0} | {:.0} | {:.0} |",
            level.as_str(),
            count / seconds,
            measured.cpu_us / count,
            measured.intent.quantile_us(0.5),
            measured.intent.quantile_us(0.5) / sync,
            measured.intent.quantile_us(0.99),
            measured.both.quantile_us(0.5),
            measured.both.quantile_us(0.99),
        )?;
    }
    Ok(())
}

/// How long the disk takes to append as much and make it durable, where the journal stands.
fn bare_syncs(dir: &Path, into: &mut Histogram) -> anyhow::Result<()> {
    let mut file = std::fs::File::create(dir.join("bare"))?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, 1 << 20)?;
    let clock = Clock::system();
    for _ in 0..BARE_SYNCS {
        let start = clock.monotonic();
        file.write_all(&[b'x'; BARE_BYTES])?;
        file.sync_data()?;
        into.add(clock.monotonic() - start);
    }
    Ok(())
}

fn open(place: &Path, durability: Durability) -> anyhow::Result<Journal> {
    let settings = Settings {
        dir: place.join("journal"),
        segment_bytes: audit::SEGMENT_BYTES_DEFAULT,
        queue_max: audit::QUEUE_MAX_DEFAULT,
        queue_wait: audit::QUEUE_WAIT_DEFAULT,
        durability,
        sync_delay_max: durability.sync_delay_max(),
        retention: None,
        checkpoints: Some(Checkpoints {
            key: place.join(audit::KEY_FILE),
            every: audit::CHECKPOINT_EVERY_DEFAULT,
        }),
    };
    std::fs::create_dir_all(place)?;
    std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(Journal::open(settings, Clock::system())?.0)
}

/// `calls` tasks that record one call after the other.
async fn measure(
    journal: &Journal,
    calls: u16,
    patience: Duration,
    into: &mut Measured,
) -> anyhow::Result<()> {
    let (cpu, clock) = (cpu_us(std::process::id())?, Clock::system());
    let end = clock.monotonic() + patience;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..calls {
        let (journal, clock, facts) = (journal.clone(), clock.clone(), facts(caller)?);
        tasks.spawn(async move {
            let (mut intent, mut both) = (Histogram::new(), Histogram::new());
            while clock.monotonic() < end {
                let start = clock.monotonic();
                let begun = call(&journal, &facts, &clock).await?;
                intent.add(begun - start);
                both.add(clock.monotonic() - start);
            }
            Ok::<_, anyhow::Error>((intent, both))
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (intent, both) = done??;
        into.intent.merge(&intent);
        into.both.merge(&both);
    }
    into.cpu_us += cpu_us(std::process::id())? - cpu;
    Ok(())
}

/// Records one call; gives the moment in which its intent was there.
async fn call(journal: &Journal, facts: &CallFacts, clock: &Clock) -> anyhow::Result<Duration> {
    let refused = |reason: Reason| anyhow::anyhow!("{reason}");
    let slot = journal.reserve().await.map_err(refused)?;
    let intent = slot.intend((), facts.clone()).durable().await.map_err(|((), reason)| refused(reason))?;
    let there = clock.monotonic();
    let ((), open) = intent.begin();
    open.conclude(outcome()).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    Ok(there)
}

fn outcome() -> OutcomeFacts {
    OutcomeFacts {
        reason: Reason::Answered,
        executed: Executed::Yes,
        transport: Transport::Answered,
        jsonrpc: Some(JsonRpc::Result),
        is_error: Some(false),
        result: Some(ResultFacts { sha256: Sha256::of(b"result"), bytes: 1024 }),
        contents: Contents::Same,
        latency: Latency::default(),
    }
}

fn facts(caller: u16) -> anyhow::Result<CallFacts> {
    let chat = SourceName::new("chat")?;
    let label = Label {
        entry_point: EntryPointName::new("keys.bench")?,
        subject: Subject::new(&format!("user:{caller}"))?,
        roles: [RoleName::new("assistant")?].into(),
        agents: Vec::new(),
        sources: Provenance::of([chat.clone()]),
    };
    let rule = Rule {
        dimension: Dimension::Source(chat.clone()),
        answer: Answer::Allow,
        permission: Some("mail.*".to_owned()),
        when: None,
        place: Some(Place { file: "gateway.toml".into(), line: 31, column: 5 }),
    };
    let (verdict, reason) = (Answer::Allow, Reason::Allowed);
    let decision = Decision {
        verdict,
        reason,
        rules: vec![rule],
        epoch: PolicyEpoch(1),
        visibility: Visibility::Visible,
        would_be: None,
    };
    let tool = ToolName::new(&format!("tool{}", caller % 50))?;
    Ok(CallFacts {
        principal: Arc::new(Principal::configured(label, RunRule::DEFAULT)),
        run: Some(RunId::of([u8::try_from(caller % 256)?; 16])),
        trigger: None,
        provenance: Provenance::of([chat]),
        adds: Provenance::default(),
        stores: Stores::Nothing,
        method: "tools/call",
        named: None,
        target: Some(Target::Tool(ToolId { upstream: UpstreamName::new("mail")?, tool })),
        definition: Some(Sha256::of(b"definition")),
        arguments: Some(ArgumentFacts::of(b"{}")),
        kept: None,
        decision: Some(decision),
        step: None,
        like: None,
        past: None,
        approval: None,
        metered: Metered::default(),
        revision: Some("2026-07-28"),
        request_id: None,
        traceparent: None,
        trace: None,
        client: None,
    })
}

/// Writes so many records, and says how long that takes, and everything that reads them.
async fn long(records: u64) -> anyhow::Result<()> {
    const AT_ONCE: u16 = 256;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (place, clock) = (dir.path().join("state"), Clock::system());
    let journal = open(&place, Durability::Intent)?;
    let left = Arc::new(std::sync::atomic::AtomicI64::new(i64::try_from(records / 2)?));
    let start = clock.monotonic();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..AT_ONCE {
        let (journal, clock, facts, left) =
            (journal.clone(), clock.clone(), facts(caller)?, Arc::clone(&left));
        tasks.spawn(async move {
            while left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) > 0 {
                call(&journal, &facts, &clock).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    journal.close().await.map_err(|reason| anyhow::anyhow!("{reason}"))?;
    let mut out = std::io::stdout();
    let mut said = |what: &str, start: Duration| {
        writeln!(out, "| {what} | {:.1} s |", (clock.monotonic() - start).as_secs_f64())
    };
    said(&format!("{records} records written, every intent synced, 256 calls at once"), start)?;
    let start = clock.monotonic();
    let report = audit::verify(&place.join("journal"), Against::default(), &mut |_| ())?;
    if !report.findings.is_empty() {
        bail!("{:?}", report.findings.first());
    }
    said("verified", start)?;
    let start = clock.monotonic();
    _ = open(&place, Durability::Intent)?.close().await;
    said("a start with this history", start)?;
    let start = clock.monotonic();
    let index = Index::open(&place, |_| ())?;
    said("indexed", start)?;
    let mut count = 0_u64;
    for (what, query) in [
        (
            "asked by subject, from the index",
            Query { subject: Some("user:7".to_owned()), ..Query::default() },
        ),
        (
            "asked by a reason that no call has",
            Query { reason: Some("source_denies".to_owned()), ..Query::default() },
        ),
    ] {
        let start = clock.monotonic();
        index.query(&query, |_| -> Result<(), IndexError> {
            count += 1;
            Ok(())
        })?;
        said(&format!("{what}: {count} calls"), start)?;
        count = 0;
    }
    Ok(())
}
