//! What `downstream` hands to the gateway and what it gets back: the face between sockets and path.
//!
//! Must never know a socket, nor decide anything.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::mpsc;

pub use super::session::{Next, RETRY, Resumable, Sent, Tap};
use crate::model::decision::PolicyEpoch;
use crate::model::principal::{Origin, Principal};
use crate::spool::Body;
use crate::task::Task;

/// A caller whose credential was accepted, and by which configuration.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Who calls.
    pub(super) principal: Arc<Principal>,
    /// Who it was for that accepted the credential: a later configuration may see it otherwise.
    pub(super) under: PolicyEpoch,
}

/// One request without its body, its credential already a principal.
#[derive(Debug)]
pub struct Arrival {
    /// Who calls.
    pub accepted: Accepted,
    /// Where it came in.
    pub origin: Origin,
    /// The protocol's headers.
    pub headers: ProtocolHeaders,
    /// What it can be answered with.
    pub accepts: Accepts,
}

/// The types of an answer that a client takes.
///
/// 2025-11-25, basic/transports: it MUST list both, and the gateway answers with either. One that lists one
/// of them is answered with that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// `application/json` and `text/event-stream`.
    Both,
    /// `application/json` alone: nothing can be told before the answer.
    Json,
    /// `text/event-stream` alone.
    Events,
}

/// The headers that MCP gives a meaning, every occurrence of each, raw.
///
/// Never holds a credential, nor any header that claims a label (invariant I3, CASES A26, A27).
#[derive(Debug, Clone, Default)]
pub struct ProtocolHeaders {
    /// `MCP-Protocol-Version`.
    pub protocol_version: Vec<Bytes>,
    /// `Mcp-Session-Id`.
    pub session_id: Vec<Bytes>,
    /// `Mcp-Method` (2026-07-28).
    pub method: Vec<Bytes>,
    /// `Mcp-Name` (2026-07-28).
    pub name: Vec<Bytes>,
    /// `Mcp-Param-*` (2026-07-28): what follows the prefix in lower case, and the value.
    pub params: Vec<(String, Bytes)>,
    /// `Last-Event-ID` of a GET.
    pub last_event_id: Vec<Bytes>,
    /// `traceparent` (W3C Trace Context, 3.2). Names a trace and a parent, and decides nothing.
    pub traceparent: Vec<Bytes>,
    /// `tracestate` (W3C Trace Context, 3.3), passed on where the gateway traces.
    pub tracestate: Vec<Bytes>,
    /// `User-Agent`, for the record.
    pub user_agent: Option<Bytes>,
}

/// What goes back downstream.
#[derive(Debug)]
pub enum Reply {
    /// One JSON body.
    Json {
        /// The HTTP status.
        status: StatusCode,
        /// One JSON-RPC message.
        body: Bytes,
        /// `Mcp-Session-Id` of the answer to `initialize`.
        session: Option<String>,
    },
    /// A status and nothing else: 202 for notifications, 405, 204.
    Empty(StatusCode),
    /// What is in flight. `downstream` answers with JSON if nothing else is told before it has ended, else
    /// with SSE.
    Call(Ongoing),
    /// A stream of notifications that lasts until either side ends it (`subscriptions/listen`).
    Stream(Listening),
    /// A stream of a session (GET), whose connection may be lost and come back.
    Resumable(Tap),
}

/// A stream of notifications, and those who look for what is told on it. They end with it.
#[derive(Debug)]
pub struct Listening {
    /// The notifications.
    pub events: mpsc::Receiver<Bytes>,
    /// Who looks.
    _tellers: Vec<Task>,
}

impl Listening {
    /// What comes in `events`, where `tellers` put it.
    #[must_use]
    pub fn new(events: mpsc::Receiver<Bytes>, tellers: Vec<Task>) -> Self {
        Self { events, _tellers: tellers }
    }
}

/// A call in flight, or the calls of a batch.
#[derive(Debug)]
pub struct Ongoing {
    /// Notifications and answers, then exactly one final message. Dropping it cancels what is in flight.
    pub events: mpsc::Receiver<CallEvent>,
    /// Whether it answers one message or an array of them.
    pub shape: Shape,
    /// Where its messages are kept, in a session: its stream may be lost and come back.
    pub resumable: Option<Resumable>,
}

/// What a POST was, and so what answers it where the answer is one JSON body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One message.
    Single,
    /// An array (2025-03-26, basic, "Batching").
    Batch,
}

/// One message of a call in flight.
#[derive(Debug)]
pub enum CallEvent {
    /// A JSON-RPC notification, for instance progress.
    Notification(Bytes),
    /// A JSON-RPC request, for instance what an upstream asks of the user.
    Request(Bytes),
    /// Nothing: the connection may be closed where its client can come back to the stream (SEP-1699).
    Pause,
    /// The JSON-RPC response to one message of a batch; others follow.
    Answer(Body),
    /// The JSON-RPC response. Nothing follows.
    Final {
        /// The HTTP status where the response is the whole body; SSE has 200 already.
        status: StatusCode,
        /// The JSON-RPC message.
        body: Body,
    },
}

/// Events of one call that may wait for a slow client before the upstream is slowed down.
pub const CALL_EVENTS_MAX: usize = 64;
/// Notifications that may wait on one stream; a client that does not read loses the stream.
pub const STREAM_EVENTS_MAX: usize = 256;
