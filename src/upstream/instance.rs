//! One running instance of an upstream: a child process or a session, its handshake done.
//!
//! Must never serve a call before it has said what it offers, so that a definition that changed is
//! refused by the instance that changed it (CASES A29, A56). It trusts nothing of what it is answered.

mod asking;
mod discover;
mod handshake;
mod listen;
mod opening;
mod watching;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::aside::Aside;
use super::cancel::CancelSignal;
use super::entries::{self, Kept, Shelf};
use super::era::{Asker, Era, Takes};
use super::exchange::Exchange;
use super::failure::{Answer, AnswerKind, Detail, Executed, Failure};
use super::features::{Feature, Features};
use super::handover::Handover;
use super::http::{Client, Http};
use super::listing::{Gathering, Next, Offered, Pages};
use super::lock::Definition;
use super::notice::Notices;
use super::process::Leftovers;
use super::settings::{MayAsk, Settings};
use super::stdio::{Attended, Stdio};
use crate::clock::Clock;
use crate::model::call::Payload;
use crate::model::digest::Sha256;
use crate::model::name::ToolName;
use crate::task::Task;
use crate::wire::result::ResultType;
use crate::wire::tool::ParamHeader;
use crate::wire::{self, ListKind, LogLevel, Method, Revision, encode};

use asking::{Asking, GivingUp};
use opening::{Known, Opening};

/// Longest time for the round trip that finds out whether an instance still talks (CASES F26); less where
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
    /// Where large answers are kept while they are on their way.
    pub(super) spool: Arc<Path>,
    /// How its last instance was opened.
    pub(super) known: Arc<Known>,
}

/// A running instance.
#[derive(Debug)]
pub(super) struct Instance {
    exchange: Arc<Exchange>,
    link: Link,
    revision: Revision,
    features: Features,
    /// What it said of itself.
    instructions: Option<Definition>,
    offered: ArcSwap<BTreeMap<ToolName, Sha256>>,
    /// The arguments that tools want in headers too; of those that want any.
    declared: ArcSwap<BTreeMap<String, Vec<ParamHeader>>>,
    /// What it lists beside tools.
    shelf: Shelf,
    /// The least severe message that it was told to send; none while it was told nothing.
    level: Mutex<Option<LogLevel>>,
    uses: watch::Sender<usize>,
    ping_timeout: Duration,
    clock: Clock,
    /// What it was told that it may ask.
    may_ask: MayAsk,
    /// What it was told to announce.
    told: watching::Told,
}

/// The way to an instance.
#[derive(Debug, Clone)]
enum Link {
    Stdio(Stdio),
    Http(Http),
}

/// What has to be ended with an instance; its supervisor holds it.
#[derive(Debug)]
pub(super) enum Attendance {
    Child {
        attended: Box<Attended>,
        listener: Option<Task>,
    },
    Session {
        http: Http,
        listener: Option<Task>,
    },
    /// One stream brings everything, and its end is the instance's.
    Stream {
        reader: Task,
    },
}

impl Instance {
    /// Forwards a call: `payload`, with our own number for its id and its progress token, on behalf of
    /// `asker`. What the instance says and asks meanwhile goes to `relay`.
    pub(super) async fn call(
        &self,
        payload: &Payload,
        asker: &Asker,
        relay: mpsc::Sender<Aside>,
        deadline: Instant,
        cancel: &mut CancelSignal,
    ) -> Result<Answer, Failure> {
        let era = Era::of(self.revision);
        self.speak_up(era, asker.level, deadline).await;
        let declared = self.declared_by(payload);
        let asking = Asking {
            message: Box::new(|id| era.forward(id, payload, &declared, asker)),
            relay: Some(relay),
            deadline,
            giving_up: self.giving_up(era),
        };
        let mut outcome = self.ask(asking, cancel).await;
        match &mut outcome {
            Ok(answer) => {
                self.exchange.note_answered();
                answer.kind = self.check_result(answer, payload, asker.takes)?;
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
        let instructions = self.instructions.clone();
        if !self.features.has(Feature::Tools) {
            return Ok(Offered { instructions, ..Offered::default() });
        }
        let deadline = deadline_in(within);
        let (mut gathering, mut pages) = (Gathering::default(), Pages::default());
        let mut next = Next::Page(None);
        while let Next::Page(cursor) = next {
            let page = self.page(ListKind::Tools, cursor, deadline).await?;
            gathering.page(page.entries);
            next = pages.after(page.next_cursor);
        }
        let offered = Offered { instructions, ..gathering.finish() };
        let declared = offered.tools.iter().filter_map(|(tool, definition)| {
            let headers = wire::tool::param_headers(&definition.raw).ok()?;
            (!headers.is_empty()).then(|| (tool.as_str().to_owned(), headers))
        });
        self.declared.store(Arc::new(declared.collect()));
        let digests = offered.tools.iter().map(|(tool, definition)| (tool.clone(), definition.digest));
        self.offered.store(Arc::new(digests.collect()));
        Ok(offered)
    }

    /// What it lists of `kind`, as far as it is known to be what it lists now.
    pub(super) async fn entries(&self, kind: ListKind, deadline: Instant) -> Result<Kept, Failure> {
        let Some(shelf) = self.shelf.of(kind) else { return Ok(Kept::default()) };
        if !self.features.has(Feature::listing(kind)) {
            return Ok(Kept::default());
        }
        let within = |_| Failure::Timeout(Executed::Unknown);
        let mut kept = timeout_at(deadline, shelf.lock()).await.map_err(within)?;
        // Looked at before the list is asked for: what changes meanwhile is asked for again.
        let changes = self.exchange.entry_changes().borrow().of(kind);
        let now = self.clock.monotonic();
        if let Some(kept) = kept.as_ref().filter(|kept| self.is_fresh(kept, kind, changes, now)) {
            return Ok(kept.clone());
        }
        let mut gathering = entries::Gathering::new(kind);
        let mut next = Next::Page(None);
        while let Next::Page(cursor) = next {
            next = gathering.page(self.page(kind, cursor, deadline).await?);
        }
        let gathered = gathering.finish(changes, now);
        *kept = Some(gathered.clone());
        Ok(gathered)
    }

    fn is_fresh(&self, kept: &Kept, kind: ListKind, changes: u64, now: Duration) -> bool {
        let is_announced = self.features.has(Feature::changes(kind));
        let age = now.saturating_sub(kept.at);
        kept.changes == changes && (is_announced || age < entries::UNANNOUNCED_AGE_MAX)
    }

    async fn page(
        &self,
        kind: ListKind,
        cursor: Option<String>,
        deadline: Instant,
    ) -> Result<wire::list::Page, Failure> {
        let params =
            cursor.map(|cursor| [b"{\"cursor\":".as_slice(), &encode::quoted(&cursor), b"}"].concat());
        let answer = self.request(&kind.method(), params.as_deref(), deadline).await?;
        wire::list::split(&expect_result(answer)?, kind)
            .map_err(|fault| Failure::Invalid(Detail::new(&fault.to_string())))
    }

    /// Asks for log messages down to `level`, where it was not asked for them before (2025-11-25,
    /// server/utilities/logging). Others who share it may want fewer; the gateway hands each what it wants.
    /// In 2026-07-28 each request says it itself.
    async fn speak_up(&self, era: Era, level: Option<LogLevel>, deadline: Instant) {
        let Some(level) = level.filter(|_| era == Era::Handshake && self.features.has(Feature::Logging))
        else {
            return;
        };
        let Ok(mut told) = timeout_at(deadline, self.level.lock()).await else { return };
        if told.is_some_and(|told| told <= level) {
            return;
        }
        let params = format!("{{\"level\":\"{}\"}}", level.as_str());
        // A server that will not be told still answers calls.
        let _unheard = self.request(&Method::LoggingSetLevel, Some(params.as_bytes()), deadline).await;
        *told = Some(level);
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
        let method = match Era::of(self.revision) {
            Era::Handshake => Method::Ping,
            // 2026-07-28 has no `ping`; this asks as little.
            Era::Stateless => Method::Discover,
        };
        self.request(&method, None, deadline).await.map(drop)
    }

    /// Says something that is answered and needs no answer.
    pub(super) async fn tell(&self, method: &Method, params: &[u8]) {
        let _heard = self.request(method, Some(params), deadline_in(self.ping_timeout)).await;
    }

    /// The headers that the tool which `payload` names wants beside its arguments.
    fn declared_by(&self, payload: &Payload) -> Vec<ParamHeader> {
        let declared = self.declared.load();
        if declared.is_empty() {
            return Vec::new();
        }
        let name = wire::Object::of(&payload.bytes).ok().and_then(|params| params.text("name")?.ok());
        name.and_then(|name| declared.get(&name).cloned()).unwrap_or_default()
    }

    /// What kind of answer a result is. One of a tool without content is what a server says that has lost the
    /// session (CASES F14): no answer. Other kinds than a complete one are only known since 2026-07-28; but for
    /// the task that a server up to 2025-11-25 makes where it was asked to.
    fn check_result(&self, answer: &Answer, payload: &Payload, takes: Takes) -> Result<AnswerKind, Failure> {
        if answer.kind == AnswerKind::Error {
            // Errors are read where they are handed on.
            return if answer.rest.is_nothing() { Ok(AnswerKind::Error) } else { Err(Failure::TooLarge) };
        }
        let invalid = |why: &str| Failure::Invalid(Detail::new(why));
        let is_tool = payload.method == Method::ToolsCall.code();
        let facts = wire::result::inspect(&answer.raw).map_err(|fault| invalid(&fault.to_string()))?;
        let has_answer = !is_tool || facts.has_content || facts.has_structured_content;
        let task = || wire::task::made(&answer.raw).ok_or_else(|| invalid("a task has no name"));
        match (facts.result_type, Era::of(self.revision)) {
            (ResultType::Complete, _) if has_answer => Ok(AnswerKind::Result),
            (ResultType::Complete, Era::Handshake) if takes == Takes::TasksAsked && task().is_ok() => {
                Ok(AnswerKind::Task)
            }
            (ResultType::Complete, _) => Err(invalid("a result of a tool has no content")),
            (ResultType::InputRequired, Era::Stateless) if answer.rest.is_nothing() => {
                Ok(AnswerKind::InputRequired)
            }
            (ResultType::Other(other), Era::Stateless) if other.as_str() == "task" && is_tool => {
                match takes {
                    Takes::TaskExtension => task().map(|_| AnswerKind::Task),
                    Takes::Answers | Takes::TasksAsked => Err(Failure::TaskMade),
                }
            }
            // "A `resultType` of any value unrecognized by the client MUST be considered invalid."
            _ => Err(invalid("a result is of a type that was not agreed on")),
        }
    }

    fn giving_up(&self, era: Era) -> GivingUp {
        match (&self.link, era) {
            (Link::Http(_), Era::Stateless) => GivingUp::Silently,
            (Link::Stdio(_), _) | (Link::Http(_), Era::Handshake) => GivingUp::Tell,
        }
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
        let era = Era::of(self.revision);
        let giving_up = if *method == Method::Initialize { GivingUp::Silently } else { self.giving_up(era) };
        let message = Box::new(move |id| era.request(id, method, params));
        let asking = Asking { message, relay: None, deadline, giving_up };
        let answer = self.ask(asking, &mut CancelSignal::never()).await?;
        // What the gateway asks for itself it reads itself, and in memory.
        if answer.rest.is_nothing() { Ok(answer) } else { Err(Failure::TooLarge) }
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

impl Attendance {
    /// Waits until the instance is gone. Cancel safe. A session never says so by itself.
    pub(super) async fn ended(&mut self) -> Detail {
        match self {
            Self::Child { attended, .. } => attended.ended().await,
            Self::Session { .. } => std::future::pending().await,
            Self::Stream { reader } => {
                reader.finished().await;
                Detail::new("its stream ended")
            }
        }
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        match self {
            Self::Child { attended, listener } => {
                drop(listener);
                attended.stop().await;
            }
            Self::Session { http, listener } => {
                drop(listener);
                http.end().await;
            }
            Self::Stream { reader } => drop(reader),
        }
    }
}

/// The moment `within` from now by the clock of the timers, which tests can pause.
pub(super) fn deadline_in(within: Duration) -> Instant {
    sleep(within).deadline()
}

fn expect_result(answer: Answer) -> Result<Bytes, Failure> {
    match answer.kind {
        AnswerKind::Result | AnswerKind::InputRequired | AnswerKind::Task => Ok(answer.raw),
        AnswerKind::Error => {
            let text = String::from_utf8_lossy(&answer.raw);
            Err(Failure::Invalid(Detail::new(&format!("an error: {text}"))))
        }
    }
}
