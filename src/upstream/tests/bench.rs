//! Upstreams that run `tests/fixtures/rogue_server.py`, and what tests ask of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::model::call::{ArgumentFacts, Call, Payload};
use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::name::{Subject, ToolId, UpstreamName};
use crate::model::pin::PinChange;
use crate::model::place::Place;
use crate::model::provenance::Provenance;
use crate::model::secret::Secret;
use crate::model::target::Target;
use crate::upstream::*;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Upstreams in a directory of their own.
pub(super) struct Bench {
    pub(super) upstreams: Upstreams,
    pub(super) notices: mpsc::Receiver<Notice>,
    pub(super) clock: Clock,
    pub(super) settings: Vec<Settings>,
    pub(super) directory: TempDir,
}

/// The result of a call and the progress that came before it.
pub(super) struct Told {
    pub(super) outcome: Result<Answer, Failure>,
    pub(super) progress: Vec<Bytes>,
}

impl Bench {
    pub(super) fn new(settings: Vec<Settings>) -> Self {
        Self::inside(tempfile::tempdir().unwrap(), settings)
    }

    /// Upstreams on the lock file and state of an earlier bench.
    pub(super) fn inside(directory: TempDir, mut settings: Vec<Settings>) -> Self {
        for settings in &mut settings {
            if let Launch::Process { env, .. } = &mut settings.launch {
                for name in ["LEDGER", "GRANDCHILD", "GENERATION"] {
                    let path = directory.path().join(format!("{}.{name}", settings.name));
                    env.insert(name.to_owned(), Secret::new(path.to_str().unwrap().to_owned()));
                }
            }
        }
        let (sender, notices) = mpsc::channel(NOTICES_MAX);
        let lock = directory.path().join("gateway.lock");
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let upstreams =
            Upstreams::start(settings.clone(), lock, directory.path(), clock.clone(), sender).unwrap();
        Self { upstreams, notices, clock, settings, directory }
    }

    /// Ends everything and gives the directory to the next bench.
    pub(super) async fn close(self) -> TempDir {
        self.upstreams.stop().await;
        self.directory
    }

    /// A bench whose upstreams are listed.
    pub(super) async fn listed(settings: Vec<Settings>) -> Self {
        let bench = Self::new(settings);
        bench.upstreams.list_ready().await;
        bench
    }

    /// A call to `wire_name` as the gateway would make it now.
    pub(super) fn call_of(&self, wire_name: &str, arguments: &str) -> Call {
        let catalogue = self.upstreams.catalogue();
        let tool = catalogue.find(wire_name).unwrap_or_else(|| panic!("{wire_name} is not listed"));
        let head = format!(
            "{{\"_meta\":{{\"progressToken\":\"client\"}},\"name\":\"{}\",\"arguments\":",
            tool.id.tool
        );
        let start = head.find("\"client\"").unwrap();
        Call {
            deadline: None,
            target: Target::Tool(tool.id.clone()),
            pin: Some(tool.pin),
            returns: Provenance::default(),
            stores: tool.stores,
            arguments: ArgumentFacts {
                sha256: Sha256::of(arguments.as_bytes()),
                bytes: arguments.len() as u64,
            },
            values: Bytes::copy_from_slice(arguments.as_bytes()),
            payload: Payload {
                method: "tools/call",
                bytes: Bytes::from(format!("{head}{arguments}}}")),
                progress_token: Some(start..start + "\"client\"".len()),
                trace: None,
            },
        }
    }

    pub(super) async fn call(&self, wire_name: &str, arguments: &str) -> Result<Answer, Failure> {
        self.call_as("user:1", wire_name, arguments).await
    }

    pub(super) async fn call_as(
        &self,
        subject: &str,
        wire_name: &str,
        arguments: &str,
    ) -> Result<Answer, Failure> {
        let call = self.call_of(wire_name, arguments);
        self.deliver(&call, subject, CancelSignal::never()).await.outcome
    }

    /// The way of [`Fleet::forward`] without the proofs.
    pub(super) async fn deliver(&self, call: &Call, subject: &str, cancel: CancelSignal) -> Told {
        self.deliver_to(&self.upstreams.fleet(), call, subject, cancel).await
    }

    pub(super) async fn deliver_to(
        &self,
        fleet: &Fleet,
        call: &Call,
        subject: &str,
        cancel: CancelSignal,
    ) -> Told {
        let (relay, mut progress) = mpsc::channel(8);
        let route = Route {
            subject: Subject::new(subject).unwrap(),
            run: RunId::of([1; 16]),
            asker: Asker::default(),
        };
        let (mut cancel, mut timings) = (cancel, Timings::default());
        let delivered = async {
            let ready = fleet.ready(call, &route, &mut cancel, &mut timings).await?;
            ready.send(call, &route.asker, relay, &mut cancel, &mut timings).await
        };
        let outcome = timeout(PATIENCE, delivered).await.expect("the call hangs");
        let asides = std::iter::from_fn(|| progress.try_recv().ok());
        let progress = asides.filter_map(|aside| match aside {
            Aside::Progress(params) => Some(params),
            _ => None,
        });
        let progress = progress.collect();
        Told { outcome, progress }
    }

    /// A call with nobody there who could be told or asked anything.
    pub(super) async fn call_unheard(&self, wire_name: &str) -> Result<Answer, Failure> {
        let call = self.call_of(wire_name, "{}");
        let (relay, heard) = mpsc::channel(1);
        drop(heard);
        let route = Route {
            subject: Subject::new("user:1").unwrap(),
            run: RunId::of([1; 16]),
            asker: Asker::default(),
        };
        let (mut cancel, mut timings) = (CancelSignal::never(), Timings::default());
        let ready = self.upstreams.fleet().ready(&call, &route, &mut cancel, &mut timings).await?;
        ready.send(&call, &route.asker, relay, &mut cancel, &mut timings).await
    }

    /// Waits for the first notice that `wanted` wants.
    pub(super) async fn notice<T>(&mut self, mut wanted: impl FnMut(&Notice) -> Option<T>) -> T {
        let find = async {
            loop {
                let notice = self.notices.recv().await.expect("the notices ended");
                if let Some(found) = wanted(&notice) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, find).await.expect("the notice does not come")
    }

    /// All notices that were told so far.
    pub(super) fn told(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.notices.try_recv().ok()).collect()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What the server wrote down of what it executed.
    pub(super) fn ledger(&self, upstream: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.file(&format!("{upstream}.LEDGER"))).unwrap_or_default();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    pub(super) fn figures(&self, upstream: &str) -> Figures {
        let figures = self.upstreams.figures();
        figures.into_iter().find(|(name, _)| name.as_str() == upstream).unwrap().1
    }
}

fn script() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rogue_server.py").to_owned()
}

/// An upstream that is a child process.
pub(in crate::upstream) fn child(name: &str, behaviours: &[&str]) -> Settings {
    let mut command = vec!["python3".to_owned(), "-B".to_owned(), script(), "stdio".to_owned()];
    command.extend(behaviours.iter().map(|word| (*word).to_owned()));
    with(name, Launch::Process { command, env: BTreeMap::new(), cwd: None, user: None })
}

/// An upstream at `url`.
pub(in crate::upstream) fn at(name: &str, url: &str) -> Settings {
    let url = url.parse().unwrap();
    with(name, Launch::Http { url, transport: Transport::Detected, headers: Vec::new() })
}

fn with(name: &str, launch: Launch) -> Settings {
    Settings {
        accept_stored: None,
        name: UpstreamName::new(name).unwrap(),
        place: Place { file: "gateway.toml".into(), line: 1, column: 1 },
        launch,
        revision: Speaks::Newest,
        prefix: Prefix::Upstream,
        returns: Provenance::default(),
        tools: Vec::new(),
        resources: Vec::new(),
        prompts: Vec::new(),
        share: Share::All,
        may_ask: MayAsk::default(),
        pins: Pins::FirstUse,
        instances_max: 4,
        instance_idle: Duration::from_secs(600),
        start_timeout: Duration::from_secs(30),
        call_timeout: Duration::from_secs(30),
        list_wait: Duration::from_secs(30),
        result_max: 1 << 20,
        calls_in_flight_max: 64,
    }
}

/// A server on a port of its own. Ends with its handle.
pub(super) struct Web {
    pub(super) url: String,
    pub(super) process: Child,
    ledger: TempDir,
}

impl Web {
    pub(super) async fn serve(behaviours: &[&str]) -> Self {
        let ledger = tempfile::tempdir().unwrap();
        let mut command = Command::new("python3");
        command.args(["-B", &script(), "http"]).args(behaviours).kill_on_drop(true);
        command.env("LEDGER", ledger.path().join("ledger"));
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).await.unwrap();
        Self { url: format!("http://127.0.0.1:{}/mcp", port.trim()), process, ledger }
    }

    /// The upstream that this server is.
    pub(super) fn upstream(&self, name: &str) -> Settings {
        at(name, &self.url)
    }

    pub(super) fn ledger(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.ledger.path().join("ledger")).unwrap_or_default();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

/// The tool of the first pin to which one of `changes` happened.
pub(super) fn moved(notice: &Notice, changes: &[PinChange]) -> Option<ToolId> {
    let Notice::Pins(moves) = notice else { return None };
    moves.iter().find(|moved| changes.contains(&moved.change)).and_then(|moved| moved.id.tool())
}

/// The first text of a result.
pub(super) fn text_of(answer: &Answer) -> String {
    assert_eq!(answer.kind, AnswerKind::Result, "{answer:?}");
    let value: serde_json::Value = serde_json::from_slice(&answer.raw).unwrap();
    value["content"][0]["text"].as_str().unwrap().to_owned()
}

/// Waits until a process that was killed is gone: the kernel takes its moment.
pub(super) async fn gone(pid: i32) {
    let wait = async {
        while is_alive(pid) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the process lives on");
}

/// Whether the process is there and no zombie.
pub(super) fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
