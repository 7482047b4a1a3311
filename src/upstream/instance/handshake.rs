//! How an instance starts: connect, agree on a revision, read the first list.
//!
//! Must never leave a half-started instance behind, nor begin a second attempt before the first is gone.
//! Speaks the revisions with a handshake, 2024-11-05 to 2025-11-25 (basic/lifecycle, "Initialization");
//! `discover` meets servers without one, and `opening` says what is tried in which order.

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout_at};

use super::opening::Said;
use super::{Attendance, Instance, Link, Opening, PING_TIMEOUT_MAX, Parts, deadline_in, discover, listen};
use crate::task::Task;
use crate::upstream::entries::Shelf;
use crate::upstream::exchange::Exchange;
use crate::upstream::failure::{AnswerKind, Detail, Failure};
use crate::upstream::features::Features;
use crate::upstream::http::{self, Http};
use crate::upstream::listing::{DEFINITION_BYTES_MAX, Offered};
use crate::upstream::lock::Definition;
use crate::upstream::process::{self, Plan, Process};
use crate::upstream::settings::{Large, Launch, MayAsk, Speaks};
use crate::upstream::stdio;
use crate::wire::{Method, Object, Revision};

/// What we are.
const INTRODUCTION: &str =
    concat!("\"clientInfo\":{\"name\":\"sluicegate\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");

/// Why an instance did not start.
#[derive(Debug, thiserror::Error)]
pub(in crate::upstream) enum StartError {
    #[error("cannot start `{program}`; is it installed and on the PATH of the gateway?")]
    Spawn { program: String, source: std::io::Error },
    #[error("no HTTP client was made for this upstream")]
    NoClient,
    #[error("it did not finish its start within `start_timeout`")]
    Timeout,
    #[error("it ended during its start: {0}")]
    Ended(Detail),
    #[error("`initialize` failed: {0}")]
    Initialize(Failure),
    #[error("it answers `initialize` with an error: {0}")]
    Refused(Detail),
    #[error("it speaks none of the protocol revisions that it may be spoken to in, but `{0}`")]
    Revision(Detail),
    #[error("it does not speak 2026-07-28")]
    NotStateless,
    #[error("it offers neither Streamable HTTP nor HTTP+SSE: {0}")]
    Stream(Failure),
    #[error("its answer to `initialize` is not valid: {0}")]
    Malformed(&'static str),
    #[error("its tools cannot be listed: {0}")]
    List(Failure),
}

/// What a server said of itself.
pub(super) struct Introduced {
    revision: Revision,
    features: Features,
    instructions: Option<Definition>,
}

/// An instance that was opened, with what has to be ended with it.
type Started = (Instance, Attendance, Offered);

/// Why an attempt failed, and what that says of the way it went.
struct Failed {
    error: StartError,
    said: Said,
}

impl Parts {
    /// Starts an instance and reads what it offers, in the way that is known or in the first that works.
    pub(in crate::upstream) async fn start(&self) -> Result<Started, StartError> {
        // The whole start has one deadline, however many ways are tried.
        let deadline = deadline_in(self.settings.start_timeout);
        let mut opening = self.known.get().unwrap_or_else(|| Opening::first(&self.settings));
        let mut first_error = None;
        loop {
            let Failed { error, said } = match self.attempt(opening, deadline).await {
                Ok(started) => {
                    self.known.set(Some(opening.led_to(started.0.revision)));
                    return Ok(started);
                }
                Err(failed) => failed,
            };
            // What was known no longer holds, or was not the reason: look again next time.
            self.known.set(opening.next_time(said));
            // A server that turns out not to be old either is explained by what it said first.
            let is_stream = matches!(error, StartError::Stream(_));
            let told = first_error.take().filter(|_| is_stream).unwrap_or(error);
            match opening.after(said, &self.settings) {
                Some(next) => (opening, first_error) = (next, Some(told)),
                None => return Err(told),
            }
        }
    }

    /// One attempt. What it began is gone when it failed.
    async fn attempt(&self, opening: Opening, deadline: Instant) -> Result<Started, Failed> {
        let (upstream, notices) = (self.settings.name.clone(), self.notices.clone());
        let exchange = Exchange::new(
            upstream,
            notices,
            Arc::clone(&self.counters),
            self.clock.clone(),
            self.settings.share,
        );
        let nothing = |error| Failed { error, said: Said::Nothing };
        let connected = timeout_at(deadline, self.connect(opening, &exchange)).await;
        let (link, mut attendance) = connected.unwrap_or(Err(StartError::Timeout)).map_err(nothing)?;
        let begun = tokio::select! {
            biased;
            begun = timeout_at(deadline, self.begin(opening, &exchange, link.clone())) => match begun {
                Ok(begun) => begun,
                Err(_) => Err(StartError::Timeout),
            },
            why = attendance.ended() => Err(StartError::Ended(why)),
        };
        match begun {
            Ok((instance, offered)) => {
                self.known.set_features(instance.features);
                attendance.listen(&instance, link, exchange);
                Ok((instance, attendance, offered))
            }
            Err(error) => {
                exchange.close(&Detail::new("it did not start"));
                attendance.stop().await;
                let said = error.says(&link);
                Err(Failed { error, said })
            }
        }
    }

    async fn connect(
        &self,
        opening: Opening,
        exchange: &Arc<Exchange>,
    ) -> Result<(Link, Attendance), StartError> {
        let (bytes_max, folder) = (self.settings.result_max, Arc::clone(&self.spool));
        let large = Large { bytes_max, folder };
        match &self.settings.launch {
            Launch::Process { command, env, cwd, user } => {
                let plan = Plan { command, env, cwd: cwd.as_deref(), user: user.as_ref() };
                let (process, pipes) = Process::spawn(plan, &self.leftovers).map_err(|source| {
                    StartError::Spawn { program: command.first().cloned().unwrap_or_default(), source }
                })?;
                let (upstream, clock) = (self.settings.name.clone(), self.clock.clone());
                let notices = self.notices.clone();
                let drain = |stderr| Task::spawn(process::drain_stderr(stderr, upstream, clock, notices));
                let (stdio, attended) = stdio::attend(process, pipes, exchange, large, drain);
                Ok((Link::Stdio(stdio), Attendance::Child { attended: Box::new(attended), listener: None }))
            }
            Launch::Http { url, .. } => {
                let client = self.client.clone().ok_or(StartError::NoClient)?;
                let (headers, exchange) = (self.headers.clone(), Arc::clone(exchange));
                let http = Http::new(client, url.clone(), headers, exchange, large);
                let attendance = match opening {
                    Opening::EventStream => {
                        let stream = http::open(&http).await.map_err(StartError::Stream)?;
                        let reader = Task::spawn(stream.read());
                        Attendance::Stream { reader }
                    }
                    _ => Attendance::Session { http: http.clone(), listener: None },
                };
                Ok((Link::Http(http), attendance))
            }
        }
    }

    async fn begin(
        &self,
        opening: Opening,
        exchange: &Arc<Exchange>,
        link: Link,
    ) -> Result<(Instance, Offered), StartError> {
        let mut instance = Instance {
            exchange: Arc::clone(exchange),
            link,
            revision: Revision::V2025_11_25,
            features: Features::default(),
            instructions: None,
            shelf: Shelf::default(),
            level: Mutex::default(),
            clock: self.clock.clone(),
            may_ask: self.settings.may_ask,
            told: tokio::sync::Mutex::default(),
            offered: arc_swap::ArcSwap::default(),
            declared: arc_swap::ArcSwap::default(),
            uses: watch::Sender::new(0),
            ping_timeout: self.settings.call_timeout.min(PING_TIMEOUT_MAX),
        };
        // The whole start has one deadline, which the caller holds; those of its parts never come first.
        let within = self.settings.start_timeout.saturating_mul(2);
        let deadline = deadline_in(within);
        let wanted = match self.settings.revision {
            Speaks::Newest => Revision::V2025_11_25,
            Speaks::Only(revision) => revision,
        };
        let introduced = match opening {
            Opening::Probe => {
                let wait = discover::probe_wait(self.settings.start_timeout);
                instance.detect(wait, deadline).await?
            }
            Opening::Stateless => instance.discover(deadline).await?,
            Opening::Handshake | Opening::EventStream => instance.initialize(wanted, deadline).await?,
        };
        if matches!(self.settings.revision, Speaks::Only(only) if only != introduced.revision) {
            return Err(StartError::Revision(Detail::new(introduced.revision.as_str())));
        }
        instance.take_up(&introduced).await?;
        let offered = instance.list(within).await.map_err(StartError::List)?;
        Ok((instance, offered))
    }
}

impl Instance {
    /// Offers a handshake in `revision`.
    pub(super) async fn initialize(
        &self,
        revision: Revision,
        deadline: Instant,
    ) -> Result<Introduced, StartError> {
        let capabilities = capabilities(self.may_ask, revision);
        let introduction = format!(
            "{{\"protocolVersion\":\"{revision}\",\"capabilities\":{{{capabilities}}},{INTRODUCTION}}}"
        );
        let answer = self.request(&Method::Initialize, Some(introduction.as_bytes()), deadline).await;
        let answer = answer.map_err(StartError::Initialize)?;
        if answer.kind == AnswerKind::Error {
            return Err(StartError::Refused(Detail::new(&String::from_utf8_lossy(&answer.raw))));
        }
        introduced(&answer.raw)
    }

    /// Goes on in the revision that was agreed on.
    async fn take_up(&mut self, introduced: &Introduced) -> Result<(), StartError> {
        (self.revision, self.features) = (introduced.revision, introduced.features);
        self.instructions.clone_from(&introduced.instructions);
        if let Link::Http(http) = &self.link {
            http.note_revision(introduced.revision);
        }
        if introduced.revision.is_modern() {
            self.exchange.note_stateless();
            return Ok(());
        }
        self.notify(&Method::Initialized).await.map_err(StartError::Initialize)
    }
}

impl Attendance {
    /// Listens for what the instance announces.
    fn listen(&mut self, instance: &Instance, link: Link, exchange: Arc<Exchange>) {
        match self {
            Self::Child { listener, .. } | Self::Session { listener, .. }
                if instance.revision.is_modern() =>
            {
                // Without anything to announce there is nothing to ask for.
                if instance.features.announces_changes() {
                    *listener = Some(Task::spawn(listen::listen(link, exchange, instance.features)));
                }
            }
            // What it asks and tells beside its answers may come here, whatever it announces.
            Self::Session { http, listener } => *listener = Some(Task::spawn(http::listen(http.clone()))),
            // The one pipe or stream brings everything.
            Self::Child { .. } | Self::Stream { .. } => {}
        }
    }
}

impl StartError {
    /// What the error says of the way in which the instance was opened.
    fn says(&self, link: &Link) -> Said {
        match (self, link) {
            (Self::Ended(_), Link::Stdio(_)) => Said::Ended,
            (Self::Timeout, _) => Said::Late,
            (Self::Initialize(_), Link::Http(http)) => http.declined().map_or(Said::Nothing, Said::Declined),
            _ => Said::Nothing,
        }
    }
}

fn introduced(raw: &bytes::Bytes) -> Result<Introduced, StartError> {
    let result = Object::of(raw).map_err(|_| StartError::Malformed("it is no object"))?;
    let version = match result.text("protocolVersion") {
        Some(Ok(version)) => version,
        Some(Err(_)) | None => return Err(StartError::Malformed("`protocolVersion` is no text")),
    };
    let revision = Revision::parse(&version).filter(|revision| !revision.is_modern());
    let revision = revision.ok_or_else(|| StartError::Revision(Detail::new(&version)))?;
    let capabilities = result.get("capabilities").and_then(|raw| Object::of(&raw).ok());
    let capabilities = capabilities.ok_or(StartError::Malformed("`capabilities` is no object"))?;
    Ok(capable_of(revision, &capabilities, result.get("instructions").as_ref()))
}

/// What the server may ask, as far as the policy opens it to anybody and `revision` knows it.
fn capabilities(may_ask: MayAsk, revision: Revision) -> String {
    let elicitation = if revision >= Revision::V2025_11_25 {
        "\"elicitation\":{\"form\":{},\"url\":{}}"
    } else {
        "\"elicitation\":{}"
    };
    let said = [
        (may_ask.sampling, "\"sampling\":{}"),
        (may_ask.elicitation && revision >= Revision::V2025_06_18, elicitation),
        (may_ask.roots, "\"roots\":{}"),
    ];
    let said: Vec<_> = said.into_iter().filter(|(may, _)| *may).map(|(_, member)| member).collect();
    said.join(",")
}

/// What a server of `revision` with `capabilities` is good for, and what it says of itself.
pub(super) fn capable_of(
    revision: Revision,
    capabilities: &Object,
    instructions: Option<&bytes::Bytes>,
) -> Introduced {
    let instructions = instructions.and_then(said);
    Introduced { revision, features: Features::of(capabilities), instructions }
}

/// The instructions `raw`, to be pinned. What is no text, or too long for one, is shown to nobody anyway.
fn said(raw: &bytes::Bytes) -> Option<Definition> {
    let is_text = raw.first() == Some(&b'"') && raw.len() <= DEFINITION_BYTES_MAX;
    Definition::of_any(raw).ok().filter(|_| is_text)
}
