//! One running instance of an upstream: a child process or a session, its handshake done.
//!
//! Must never serve a call before it has said what it offers, so that a definition that changed is
//! refused by the instance that changed it (CASES A29, A56). It trusts nothing of what it is answered.

mod handshake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::cancel::CancelSignal;
use super::exchange::{Exchange, Waiting};
use super::failure::{Answer, AnswerKind, Detail, Executed, Failure};
use super::handover::Handover;
use super::http::{self, Client, Http};
use super::listing::{Gathering, Next, Offered};
use super::notice::Notices;
use super::process::{self, Leftovers, Plan, Process};
use super::settings::{Launch, Settings};
use super::stdio::{self, Attended, Stdio};
use super::task::Task;
use crate::clock::Clock;
use crate::model::call::Payload;
use crate::model::digest::Sha256;
use crate::model::name::ToolName;
use crate::wire::{self, Method, Revision, encode};

pub(super) use handshake::StartError;

/// Longest time for a `ping` that finds out whether an instance still talks (CASES F26); less where
/// `call_timeout` is less.
const PING_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// What every instance of an upstream is made of.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) settings: Arc<Settings>,
    pub(super) client: Option<Client>,
    pub(super) headers: ::http::HeaderMap,
    pub(super) leftovers: Leftovers,
    pub(super) counters: Arc<super::figures::Counters>,
    pub(super) notices: Notices,
    pub(super) clock: Clock,
}

/// A running instance.
#[derive(Debug)]
pub(super) struct Instance {
    exchange: Arc<Exchange>,
    link: Link,
    revision: Revision,
    tools: Tools,
    offered: ArcSwap<BTreeMap<ToolName, Sha256>>,
    uses: watch::Sender<usize>,
    ping_timeout: Duration,
}

/// The way to an instance.
#[derive(Debug)]
enum Link {
    Stdio(Stdio),
    Http(Http),
}

/// What has to be ended with an instance; its supervisor holds it.
#[derive(Debug)]
pub(super) enum Attendance {
    Child(Box<Attended>),
    Session { http: Http, listener: Option<Task> },
}

/// Whether the instance said that it has tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tools {
    Some,
    None,
}

/// A request of ours: what to send and who hears of its progress.
struct Asking<'a> {
    message: Box<dyn FnOnce(u64) -> Bytes + Send + 'a>,
    relay: Option<mpsc::Sender<Bytes>>,
    deadline: Instant,
    giving_up: GivingUp,
}

/// What to do about a request that is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivingUp {
    /// Tell the upstream.
    Tell,
    /// "The `initialize` request MUST NOT be cancelled by clients" (basic/utilities/cancellation).
    Silently,
}

impl Instance {
    /// Forwards a tool call: `payload`, with our own number for its id and its progress token.
    pub(super) async fn call(
        &self,
        payload: &Payload,
        relay: mpsc::Sender<Bytes>,
        deadline: Instant,
        cancel: &mut CancelSignal,
    ) -> Result<Answer, Failure> {
        let asking = Asking {
            message: Box::new(|id| encode::forward(id, payload)),
            relay: Some(relay),
            deadline,
            giving_up: GivingUp::Tell,
        };
        let outcome = self.ask(asking, cancel).await;
        match &outcome {
            Ok(answer) => {
                self.exchange.note_answered();
                check_result(answer)?;
            }
            Err(Failure::TooLarge | Failure::Cancelled(_)) => {}
            // A child that answers badly still talks.
            Err(Failure::Invalid(_)) if matches!(self.link, Link::Stdio(_)) => {}
            // Whether it is the instance that failed, or only this call, a `ping` will tell.
            Err(_) => self.exchange.suspect(),
        }
        outcome
    }

    /// Reads the list of tools, all pages of it.
    pub(super) async fn list(&self, within: Duration) -> Result<Offered, Failure> {
        if self.tools == Tools::None {
            return Ok(Offered::default());
        }
        let deadline = deadline_in(within);
        let mut gathering = Gathering::default();
        let mut cursor = None;
        loop {
            let params = cursor
                .map(|cursor: String| [b"{\"cursor\":".as_slice(), &encode::quoted(&cursor), b"}"].concat());
            let answer = self.request(&Method::ToolsList, params.as_deref(), deadline).await?;
            let page = wire::tool::split(&expect_result(answer)?)
                .map_err(|fault| Failure::Invalid(Detail::new(&fault.to_string())))?;
            match gathering.page(page.tools, page.next_cursor) {
                Next::Page(next) => cursor = Some(next),
                Next::End => break,
            }
        }
        let offered = gathering.finish();
        let digests = offered.tools.iter().map(|(tool, definition)| (tool.clone(), definition.digest));
        self.offered.store(Arc::new(digests.collect()));
        Ok(offered)
    }

    /// Whether what this instance offers as `tool` is what was decided on.
    pub(super) fn check(&self, tool: &ToolName, decided: Sha256) -> Result<(), Failure> {
        match self.offered.load().get(tool) {
            Some(offered) if *offered == decided => Ok(()),
            Some(_) => Err(Failure::PinChanged),
            None => Err(Failure::Vanished),
        }
    }

    /// Asks whether it still talks. Any answer says that it does.
    pub(super) async fn ping(&self) -> Result<(), Failure> {
        let deadline = deadline_in(self.ping_timeout);
        self.request(&Method::Ping, None, deadline).await.map(drop)
    }

    pub(super) fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    /// How many calls use it now.
    pub(super) fn uses(&self) -> &watch::Sender<usize> {
        &self.uses
    }

    async fn request(
        &self,
        method: &Method,
        params: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let giving_up = if *method == Method::Initialize { GivingUp::Silently } else { GivingUp::Tell };
        let message = Box::new(move |id| encode::request(id, method, params));
        self.ask(Asking { message, relay: None, deadline, giving_up }, &mut CancelSignal::never()).await
    }

    async fn ask(&self, asking: Asking<'_>, cancel: &mut CancelSignal) -> Result<Answer, Failure> {
        let mut given = Given {
            waiting: self.exchange.expect(asking.relay)?,
            handover: Handover::default(),
            link: &self.link,
            giving_up: asking.giving_up,
        };
        let message = (asking.message)(given.waiting.id());
        let answered = async {
            match self.link {
                Link::Stdio(ref stdio) => stdio.send(&message, &given.handover).await?,
                Link::Http(ref http) => http.send(&message, &given.waiting, &given.handover).await?,
            }
            given.waiting.answer().await
        };
        let outcome = tokio::select! {
            biased;
            outcome = timeout_at(asking.deadline, answered) => match outcome {
                Ok(outcome) => outcome,
                Err(_) => Err(Failure::Timeout(given.handover.withdraw())),
            },
            () = cancel.given_up() => Err(Failure::Cancelled(given.handover.withdraw())),
        };
        // What was never handed over was never executed, whatever ended the session.
        match outcome {
            Err(Failure::Closed(why)) if given.handover.withdraw() == Executed::No => {
                Err(Failure::Unavailable(why))
            }
            other => other,
        }
    }

    /// Sends a message that is not answered.
    async fn notify(&self, method: &Method) -> Result<(), Failure> {
        let message = encode::notification(method, None);
        match &self.link {
            Link::Stdio(stdio) => stdio.send(&message, &Handover::default()).await,
            Link::Http(http) => http.deliver(message).await,
        }
    }
}

/// A request on its way. Dropped before it is answered, in whatever way its caller went, it tells the
/// upstream to stop (2025-11-25, basic/utilities/cancellation).
struct Given<'a> {
    waiting: Waiting,
    handover: Handover,
    link: &'a Link,
    giving_up: GivingUp,
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        let is_out = self.handover.withdraw() == Executed::Unknown;
        if self.giving_up == GivingUp::Silently || !is_out || self.waiting.is_settled() {
            return;
        }
        let params = format!("{{\"requestId\":{},\"reason\":\"given up\"}}", self.waiting.id());
        let message = encode::notification(&Method::Cancelled, Some(params.as_bytes()));
        match self.link {
            Link::Stdio(stdio) => stdio.tell(&message, self.waiting.exchange()),
            Link::Http(http) => http.tell(message),
        }
    }
}

impl Parts {
    fn connect(&self, exchange: &Arc<Exchange>) -> Result<(Link, Attendance), StartError> {
        let bytes_max = self.settings.result_max;
        match &self.settings.launch {
            Launch::Process { command, env, cwd, user } => {
                let plan = Plan { command, env, cwd: cwd.as_deref(), user: user.as_ref() };
                let (process, pipes) = Process::spawn(plan, &self.leftovers).map_err(|source| {
                    StartError::Spawn { program: command.first().cloned().unwrap_or_default(), source }
                })?;
                let (upstream, clock) = (self.settings.name.clone(), self.clock.clone());
                let notices = self.notices.clone();
                let drain = |stderr| Task::spawn(process::drain_stderr(stderr, upstream, clock, notices));
                let (stdio, attended) = stdio::attend(process, pipes, exchange, bytes_max, drain);
                Ok((Link::Stdio(stdio), Attendance::Child(Box::new(attended))))
            }
            Launch::Http { url, .. } => {
                let client = self.client.clone().ok_or(StartError::NoClient)?;
                let (headers, exchange) = (self.headers.clone(), Arc::clone(exchange));
                let http = Http::new(client, url.clone(), headers, exchange, bytes_max);
                let attendance = Attendance::Session { http: http.clone(), listener: None };
                Ok((Link::Http(http), attendance))
            }
        }
    }
}

impl Attendance {
    /// Waits until the instance is gone. Cancel safe. A session never says so by itself.
    pub(super) async fn ended(&mut self) -> Detail {
        match self {
            Self::Child(attended) => attended.ended().await,
            Self::Session { .. } => std::future::pending().await,
        }
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        match self {
            Self::Child(attended) => attended.stop().await,
            Self::Session { http, listener } => {
                drop(listener);
                http.end().await;
            }
        }
    }

    fn listen(&mut self) {
        if let Self::Session { http, listener } = self {
            *listener = Some(Task::spawn(http::listen(http.clone())));
        }
    }
}

/// The moment `within` from now by the clock of the timers, which tests can pause.
pub(super) fn deadline_in(within: Duration) -> Instant {
    sleep(within).deadline()
}

/// A result without content is what a server says that has lost the session (CASES F14): no answer.
fn check_result(answer: &Answer) -> Result<(), Failure> {
    if answer.kind == AnswerKind::Error {
        return Ok(());
    }
    let invalid = |why: &str| Failure::Invalid(Detail::new(why));
    let facts = wire::result::inspect(&answer.raw).map_err(|fault| invalid(&fault.to_string()))?;
    match facts.has_content || facts.has_structured_content {
        true => Ok(()),
        false => Err(invalid("a result of a tool has no content")),
    }
}

fn expect_result(answer: Answer) -> Result<Bytes, Failure> {
    match answer.kind {
        AnswerKind::Result => Ok(answer.raw),
        AnswerKind::Error => {
            let text = String::from_utf8_lossy(&answer.raw);
            Err(Failure::Invalid(Detail::new(&format!("an error: {text}"))))
        }
    }
}
