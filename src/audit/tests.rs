//! What the journal must hold: nothing acknowledged is lost, nothing lost is passed over, nothing halts for
//! good. Each test ends with a look at the whole journal from outside ([`Room::verified`]).

mod budgets;
mod checkpoints;
mod claims;
mod damage;
mod faults;
mod keys;
mod levels;
mod path;
mod plans;
mod proofs;
mod property;
mod readers;
mod recovery;
mod schema;
mod stream;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::disk::Disk;
use super::*;
use crate::model::budget::Metered;
use crate::model::call::{ArgumentFacts, Stores};
use crate::model::decision::{Answer, Decision, Dimension, PolicyEpoch, Rule, Visibility};
use crate::model::digest::Sha256;
use crate::model::facts::{CallFacts, RunId};
use crate::model::name::{EntryPointName, RoleName, SourceName, Subject, ToolId, ToolName, UpstreamName};
use crate::model::place::Place;
use crate::model::principal::{Label, Origin, Principal, RunRule, RunScope};
use crate::model::provenance::Provenance;
use crate::model::run::{Actor, RunEnding, RunHistory};
use crate::model::target::Target;
use crate::model::text::Bounded;

/// A state directory and what opens journals in it.
struct Room {
    _home: tempfile::TempDir,
    dir: PathBuf,
    disk: Disk,
    segment_bytes: u64,
    queue_max: usize,
    durability: Durability,
}

impl Room {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("state").join("journal");
        let durability = Durability::default();
        Self { _home: home, dir, disk: Disk::default(), segment_bytes: 64 * 1024, queue_max: 16, durability }
    }

    fn settings(&self) -> Settings {
        Settings {
            dir: self.dir.clone(),
            segment_bytes: self.segment_bytes,
            queue_max: self.queue_max,
            queue_wait: Duration::from_secs(2),
            durability: self.durability,
            checkpoints: None,
            sync_delay_max: Duration::from_millis(5),
            retention: None,
        }
    }

    fn open(&self) -> (Journal, Recovered) {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<(Journal, Recovered), OpenError> {
        Journal::open_on(self.settings(), Clock::system(), self.disk.clone())
    }

    /// The files as they are now, as a process that was killed now would leave them.
    fn killed(&self) -> Self {
        let room = Self::new();
        copy(&self.dir, &room.dir);
        Self { segment_bytes: self.segment_bytes, queue_max: self.queue_max, ..room }
    }

    fn segments(&self) -> Vec<PathBuf> {
        directory::segments(&self.dir).unwrap().into_iter().map(|file| self.dir.join(file.name)).collect()
    }

    fn last(&self) -> PathBuf {
        self.segments().pop().unwrap()
    }

    /// Every line of every segment.
    fn lines(&self) -> Vec<serde_json::Value> {
        let text: String =
            self.segments().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        // A test may have damaged some; `verify` is there to tell.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn of_kind(&self, kind: Kind) -> Vec<serde_json::Value> {
        self.lines().into_iter().filter(|line| line["kind"] == kind.as_str()).collect()
    }

    fn verify(&self) -> Report {
        verify(&self.dir, Against::default(), &mut |_| ()).unwrap()
    }

    fn verified(&self) -> Report {
        let report = self.verify();
        let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{findings:#?}");
        report
    }

    fn findings(&self) -> Vec<String> {
        self.verify().findings.iter().map(ToString::to_string).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Makes a closed segment writable, as whoever tampers would.
fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    use std::os::unix::fs::PermissionsExt;
    let before = std::fs::metadata(path).unwrap().permissions();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, before).unwrap();
}

fn sources<const N: usize>(names: [&str; N]) -> Provenance {
    Provenance::of(names.map(|name| SourceName::new(name).unwrap()))
}

fn run(number: u8) -> RunId {
    RunId::of([number; 16])
}

fn principal(subject: &str) -> Arc<Principal> {
    Arc::new(Principal::configured(
        Label {
            entry_point: EntryPointName::new("keys.test").unwrap(),
            subject: Subject::new(subject).unwrap(),
            roles: [RoleName::new("assistant").unwrap()].into(),
            agents: vec![],
            sources: sources(["chat"]),
        },
        RunRule {
            scope: RunScope::Subject,
            idle: Duration::MAX,
            max: Duration::MAX,
            token_ttl_max: Duration::MAX,
        },
    ))
}

fn tool() -> ToolId {
    ToolId { upstream: UpstreamName::new("mail").unwrap(), tool: ToolName::new("send").unwrap() }
}

fn decision(verdict: Answer, reason: Reason) -> Decision {
    let place = Place { file: "gateway.toml".into(), line: 31, column: 5 };
    let dimension = Dimension::Source(SourceName::new("chat").unwrap());
    let rule = Rule {
        dimension,
        answer: verdict,
        permission: Some("mail.*".to_owned()),
        when: None,
        place: Some(place),
    };
    let visibility = Visibility::Visible;
    Decision { verdict, reason, rules: vec![rule], epoch: PolicyEpoch(1), visibility, would_be: None }
}

fn facts(run: &RunId) -> CallFacts {
    CallFacts {
        principal: principal("user:1"),
        run: Some(run.clone()),
        trigger: None,
        provenance: sources(["chat"]),
        adds: Provenance::default(),
        stores: Stores::Nothing,
        method: "tools/call",
        named: Some(Bounded::new("mail__send")),
        target: Some(Target::Tool(tool())),
        definition: Some(Sha256::of(b"definition")),
        arguments: Some(ArgumentFacts { sha256: Sha256::of(b"{}"), bytes: 2 }),
        kept: None,
        decision: Some(decision(Answer::Allow, Reason::Allowed)),
        step: None,
        like: None,
        past: None,
        approval: None,
        metered: Metered::default(),
        revision: Some("2025-11-25"),
        request_id: Some(Bounded::new("7")),
        trace: None,
        traceparent: None,
        client: Some(Bounded::new("test/1")),
    }
}

fn answered() -> OutcomeFacts {
    OutcomeFacts {
        reason: Reason::Answered,
        executed: Executed::Yes,
        transport: Transport::Answered,
        jsonrpc: Some(JsonRpc::Result),
        is_error: Some(false),
        result: Some(ResultFacts { sha256: Sha256::of(b"{}"), bytes: 2 }),
        contents: crate::audit::Contents::Same,
        latency: Latency { total: Duration::from_millis(3), ..Latency::default() },
    }
}

fn denial(facts: CallFacts) -> Event {
    Event::Denial { facts: Box::new(facts), reason: Reason::SourceDenies, latency: Latency::default() }
}

async fn start_run(journal: &Journal, id: &RunId) -> Result<Seq, Reason> {
    let principal = principal("user:1");
    // Each run of these tests is a session of its own.
    let session = Some(id.as_str().into());
    journal
        .record(Event::RunStart {
            run: id.clone(),
            principal,
            session,
            origin: None,
            history: RunHistory::Whole,
        })
        .await
}

/// A durable intent that nothing was sent on yet.
async fn intend(journal: &Journal, facts: CallFacts) -> Result<Intent<()>, Reason> {
    journal.reserve().await?.intend((), facts).durable().await.map_err(|((), reason)| reason)
}

/// A whole call.
async fn call(journal: &Journal, facts: CallFacts) -> Result<(Seq, Seq), Reason> {
    let ((), open) = intend(journal, facts).await?.begin();
    let intent = open.seq();
    Ok((intent, open.conclude(answered()).await?))
}

/// Waits until the journal goes again. A call that asks makes it try at once.
async fn until_going(journal: &Journal) {
    let mut changes = journal.changes();
    drop(journal.reserve().await);
    changes.wait_for(|status| *status == Status::Going).await.unwrap();
}

/// Waits for what has no event of its own.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}
