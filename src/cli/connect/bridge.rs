//! From lines to exchanges and back.
//!
//! Requests go side by side; what is no request goes in its order, and `initialize` alone. Must never let
//! more than `IN_FLIGHT_MAX` of them pile up, nor answer a request that its client cancelled.

mod output;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method as Verb, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::answer::{self, Ended, Lines};
use super::endpoint::Endpoint;
use super::headers::{Era, Memory, SESSION_ID, era};
use super::trouble::Trouble;
use crate::model::reason::Reason;
use crate::wire::{Fault, Id, Message, Method, Notification, Outcome, Request, ScanLimits, line, parse};

/// Requests in flight at once; one more is refused.
pub(super) const IN_FLIGHT_MAX: usize = 64;
/// Longest line from the client, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Messages that wait for the client to read.
const LINES_MAX: usize = 64;
const CHUNK_BYTES: usize = 64 * 1024;
/// How long requests in flight may still take once the client sends no more.
pub(super) const FINISH_MAX: Duration = Duration::from_secs(30);
/// How long saying goodbye may take.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// Pauses before the stream of notifications is opened again: the first, and the longest.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(60);

const JSON_OR_EVENTS: &str = "application/json, text/event-stream";
const EVENTS: &str = "text/event-stream";

/// A client on one side, a gateway on the other.
pub(super) struct Bridge {
    endpoint: Endpoint,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    memory: Memory,
    in_flight: HashMap<Id, InFlight>,
    stream: Option<AbortHandle>,
}

struct InFlight {
    era: Era,
    lasts: bool,
    task: AbortHandle,
}

/// Why no more is read.
enum Over {
    /// The client sends no more.
    Input,
    /// The client does not read any more, or we were told to stop.
    AtOnce,
}

impl Bridge {
    pub(super) fn new(endpoint: Endpoint) -> Arc<Self> {
        Arc::new(Self { endpoint, state: Mutex::default() })
    }

    /// Passes messages on until `input` ends, `output` breaks or `stop` says so.
    pub(super) async fn run(
        self: Arc<Self>,
        input: impl AsyncRead + Unpin,
        output: impl AsyncWrite + Unpin + Send + 'static,
        stop: impl Future<Output = ()>,
    ) {
        let (lines, waiting) = mpsc::channel(LINES_MAX);
        let mut writer = tokio::spawn(output::write(waiting, output));
        let mut tasks = JoinSet::new();
        let over = tokio::select! {
            () = self.pump(input, &lines, &mut tasks) => Over::Input,
            () = stop => Over::AtOnce,
            _ = &mut writer => Over::AtOnce,
        };
        self.cut_what_lasts();
        if matches!(over, Over::Input) {
            let finish = async { while tasks.join_next().await.is_some() {} };
            // What is not finished by then is cut, which cancels it at the gateway.
            let _ = tokio::time::timeout(FINISH_MAX, finish).await;
        }
        tasks.shutdown().await;
        let _ = tokio::time::timeout(GOODBYE_MAX, self.close_session()).await;
        drop(lines);
        let _ = tokio::time::timeout(GOODBYE_MAX, writer).await;
    }

    async fn pump(
        self: &Arc<Self>,
        mut input: impl AsyncRead + Unpin,
        lines: &Lines,
        tasks: &mut JoinSet<()>,
    ) {
        let mut decoder = line::Decoder::new(LINE_BYTES_MAX);
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        loop {
            chunk.clear();
            match input.read_buf(&mut chunk).await {
                Ok(read) if read > 0 => {}
                // A client that breaks off has ended too.
                Ok(_) | Err(_) => return,
            }
            let mut read = Vec::new();
            decoder.push(&chunk, |line| read.push(line));
            for line in read {
                self.take(line, lines, tasks).await;
                while tasks.try_join_next().is_some() {}
            }
        }
    }

    async fn take(self: &Arc<Self>, line: Result<Bytes, Fault>, lines: &Lines, tasks: &mut JoinSet<()>) {
        let line = match line {
            Ok(line) => line,
            Err(fault) => {
                // Which request it was is not known, so the client cannot be told that either. If it does
                // not read any more, the writer ends everything.
                let _ = answer::say(Trouble::Refused(fault.reason()).answer(None), lines).await;
                return;
            }
        };
        match parse(line.clone(), &ScanLimits::default()) {
            Ok(Message::Request(request)) if request.method == Method::Initialize => {
                let bridge = Arc::clone(self);
                bridge.request(request, line, lines).await;
            }
            Ok(Message::Request(request)) => self.begin(request, line, lines, tasks).await,
            Ok(Message::Notification(note)) if note.method == Method::Cancelled => {
                if !self.cancel(&note) {
                    self.other(&Message::Notification(note), line, lines).await;
                }
            }
            Ok(Message::Notification(note)) => {
                let opens = note.method == Method::Initialized;
                self.other(&Message::Notification(note), line, lines).await;
                if opens {
                    self.open_stream(lines, tasks);
                }
            }
            Ok(message @ Message::Response(_)) => self.other(&message, line, lines).await,
            // The gateway says what is wrong with it, and records that.
            Err(malformed) => self.unreadable(malformed.id.as_ref(), line, lines).await,
        }
    }

    /// Starts a request beside the others.
    async fn begin(self: &Arc<Self>, request: Request, line: Bytes, lines: &Lines, tasks: &mut JoinSet<()>) {
        let id = request.id.clone();
        let refused = {
            let mut state = self.state();
            if state.in_flight.contains_key(&id) {
                Some(Reason::IdInUse)
            } else if state.in_flight.len() >= IN_FLIGHT_MAX {
                Some(Reason::PrincipalBusy)
            } else {
                let era = era(request.params.as_ref());
                let lasts = request.method == Method::SubscriptionsListen;
                let (bridge, lines) = (Arc::clone(self), lines.clone());
                // The lock is held, so the task cannot end before it stands in the table.
                let task = tasks.spawn(async move { bridge.request(request, line, &lines).await });
                state.in_flight.insert(id.clone(), InFlight { era, lasts, task });
                None
            }
        };
        if let Some(reason) = refused {
            let _ = answer::say(Trouble::Refused(reason).answer(Some(&id)), lines).await;
        }
    }

    /// One request from its first byte to its answer.
    async fn request(self: Arc<Self>, request: Request, line: Bytes, lines: &Lines) {
        let (id, method) = (request.id.clone(), request.method.clone());
        let modern = era(request.params.as_ref()) == Era::Modern;
        let exchanged = self.exchange(&Message::Request(request), line, &id, lines).await;
        self.state().in_flight.remove(&id);
        match exchanged {
            Ok((Ended::Answered(Outcome::Result(result)), session)) => match method {
                Method::Initialize => self.state().memory.initialized(session, &result),
                Method::ToolsList if modern => self.state().memory.listed(&result),
                _ => {}
            },
            Ok(_) => {}
            Err(trouble) => {
                let _ = answer::say(trouble.answer(Some(&id)), lines).await;
            }
        }
    }

    async fn exchange(
        &self,
        message: &Message,
        line: Bytes,
        id: &Id,
        lines: &Lines,
    ) -> Result<(Ended, Option<http::HeaderValue>), Trouble> {
        let headers = self.state().memory.headers(Some(message));
        let answer = self.endpoint.send(Verb::POST, JSON_OR_EVENTS, headers, line).await?;
        let session = answer.response.headers().get(SESSION_ID).cloned();
        // The answer holds the connection, which is closed when this ends.
        let ended = answer::of_request(answer.response, id, lines).await?;
        Ok((ended, session))
    }

    /// One message that wants no answer. Its order among the others is kept.
    async fn other(&self, message: &Message, line: Bytes, lines: &Lines) {
        let headers = self.state().memory.headers(Some(message));
        if let Err(trouble) = self.post_other(headers, line, lines).await {
            tracing::warn!(
                reason = trouble.code(),
                "the gateway did not take a message that wants no answer"
            );
        }
    }

    async fn unreadable(&self, id: Option<&Id>, line: Bytes, lines: &Lines) {
        let headers = self.state().memory.headers(None);
        if let Err(trouble) = self.post_other(headers, line, lines).await {
            let _ = answer::say(trouble.answer(id), lines).await;
        }
    }

    async fn post_other(
        &self,
        headers: http::HeaderMap,
        line: Bytes,
        lines: &Lines,
    ) -> Result<Ended, Trouble> {
        let answer = self.endpoint.send(Verb::POST, JSON_OR_EVENTS, headers, line).await?;
        answer::of_other(answer.response, lines).await
    }

    /// Whether the cancellation is done with. In 2026-07-28 over HTTP, closing the stream of a request
    /// cancels it, and nothing more is sent for it.
    fn cancel(&self, note: &Notification) -> bool {
        let raw = note.params.as_ref().and_then(|params| params.get("requestId"));
        let id = raw.and_then(|raw| Id::parse(std::str::from_utf8(&raw).ok()?).ok());
        let mut state = self.state();
        let Some(id) = id else { return !state.memory.has_session() };
        match state.in_flight.get(&id) {
            Some(InFlight { era: Era::Modern, task, .. }) => {
                task.abort();
                state.in_flight.remove(&id);
                true
            }
            Some(InFlight { era: Era::Handshake, .. }) => false,
            None => !state.memory.has_session(),
        }
    }

    /// Opens the stream on which a session's notifications come.
    fn open_stream(self: &Arc<Self>, lines: &Lines, tasks: &mut JoinSet<()>) {
        let mut state = self.state();
        if state.stream.is_none() && state.memory.has_session() {
            let (bridge, lines) = (Arc::clone(self), lines.clone());
            state.stream = Some(tasks.spawn(async move { bridge.follow_stream(&lines).await }));
        }
    }

    async fn follow_stream(&self, lines: &Lines) {
        let mut pause = REOPEN_PAUSE;
        loop {
            let headers = self.state().memory.of_session();
            match self.endpoint.send(Verb::GET, EVENTS, headers, Bytes::new()).await {
                Ok(answer) if answer.response.status() == StatusCode::OK => {
                    pause = REOPEN_PAUSE;
                    if matches!(answer::of_stream(answer.response, lines).await, Ok(Ended::Deaf)) {
                        return;
                    }
                }
                // 405: there is no such stream. 404: the session has ended. Both are final.
                Ok(answer) if answer.response.status().is_client_error() => return,
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(REOPEN_PAUSE_MAX);
        }
    }

    /// Ends what would never end by itself.
    fn cut_what_lasts(&self) {
        let state = self.state();
        state.stream.iter().for_each(AbortHandle::abort);
        state.in_flight.values().filter(|request| request.lasts).for_each(|request| request.task.abort());
    }

    /// 2025-11-25, basic/transports, "Session Management": a client that no longer needs a session SHOULD
    /// end it by DELETE.
    async fn close_session(&self) {
        let headers = {
            let state = self.state();
            if !state.memory.has_session() {
                return;
            }
            state.memory.of_session()
        };
        if self.endpoint.send(Verb::DELETE, JSON_OR_EVENTS, headers, Bytes::new()).await.is_err() {
            tracing::warn!("the session could not be ended; the gateway ends it when it was idle for long");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
