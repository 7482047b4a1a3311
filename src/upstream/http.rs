//! The Streamable HTTP transport (2025-11-25, basic/transports, "Streamable HTTP").
//!
//! Must never follow a redirect (CASES A53), send a request twice (F12, F13), read without a cap (F11),
//! or send a header that is not from the configuration or the protocol: a client's credential never
//! gets here (A43). It trusts no answer: status, headers, framing and body are the upstream's choice.

mod answer;
mod client;
mod events;
mod old;
mod stream;

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::era::{Dressed, PROTOCOL_VERSION};
use super::exchange::{Exchange, Waiting};
use super::failure::{Detail, Executed, Failure};
use super::handover::Handover;
use super::settings::Large;
use crate::spool::Gatherer;
use crate::wire::Revision;
use crate::wire::sse;

pub(super) use client::{Client, ClientError};
pub(super) use old::open;
pub(super) use stream::listen;

/// Answers and notifications that may be on their way to one instance beside its calls.
const SIDE_POSTS_MAX: usize = 8;
/// Longest time that one of them may take.
const SIDE_POST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for the DELETE that ends a session.
const DELETE_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest session id that is taken, in bytes.
const SESSION_ID_BYTES_MAX: usize = 1024;

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const BOTH_KINDS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("sluicegate/", env!("CARGO_PKG_VERSION")));

/// The way to a session at an HTTP endpoint. Clones are the same session.
#[derive(Debug, Clone)]
pub(super) struct Http(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    url: Uri,
    headers: HeaderMap,
    exchange: Arc<Exchange>,
    large: Large,
    session: OnceLock<HeaderValue>,
    revision: OnceLock<Revision>,
    /// Where the HTTP+SSE transport of 2024-11-05 takes messages; unset in Streamable HTTP.
    endpoint: OnceLock<Uri>,
    /// The status of the last response that held no message; 0 for none.
    declined: AtomicU16,
    side: Arc<Semaphore>,
}

impl Http {
    /// The way to `url` for one session that has not begun.
    pub(super) fn new(
        client: Client,
        url: Uri,
        headers: HeaderMap,
        exchange: Arc<Exchange>,
        large: Large,
    ) -> Self {
        Self(Arc::new(Shared {
            client,
            url,
            headers,
            exchange,
            large,
            session: OnceLock::new(),
            revision: OnceLock::new(),
            endpoint: OnceLock::new(),
            declined: AtomicU16::new(0),
            side: Arc::new(Semaphore::new(SIDE_POSTS_MAX)),
        }))
    }

    /// Posts a request and takes in what comes back, until `waiting` is answered.
    pub(super) async fn send(
        &self,
        message: Dressed,
        waiting: &Waiting,
        handover: &Handover,
    ) -> Result<(), Failure> {
        let is_stateless = message.headers.contains_key(PROTOCOL_VERSION);
        let mut request = self.post(message.body);
        request.headers_mut().extend(message.headers);
        if handover.take().is_none() {
            return Err(Failure::Unavailable(Detail::new("given up")));
        }
        // Not sent twice, whatever happens: only the upstream knows whether it executed the first one.
        let response = match self.0.client.send(request).await {
            Ok(response) => response,
            Err(ClientError::Connect(why)) => return Err(Failure::Unavailable(why)),
            Err(ClientError::Broken(why)) => return Err(Failure::Closed(why)),
        };
        if self.is_expired(response.status()) {
            // "MUST start a new session by sending a new InitializeRequest" (Session Management): for
            // the next call. This one was sent, and is not sent again.
            self.0.exchange.retire();
            return Err(Failure::Closed(Detail::new("it no longer knows the session")));
        }
        if self.0.endpoint.get().is_some() {
            return answer::taken(response).await;
        }
        if !is_stateless {
            self.note_session(response.headers());
        }
        answer::take(self, response, waiting).await
    }

    /// Posts an answer to a request of the upstream, where its revision has such requests: in 2026-07-28
    /// "the client MUST NOT send JSON-RPC responses".
    fn reply(&self, message: Bytes) {
        match self.0.revision.get() {
            Some(revision) if revision.is_modern() => {}
            _ => self.tell(message),
        }
    }

    /// What cuts a stream of events.
    fn decoder(&self) -> sse::Decoder<Gatherer> {
        sse::Decoder::gathering(self.0.large.bytes_max, self.gatherer())
    }

    fn gatherer(&self) -> Gatherer {
        Gatherer::new(Arc::clone(&self.0.large.folder))
    }

    /// The status of the last response that held no message.
    pub(super) fn declined(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.0.declined.load(Ordering::Relaxed)).ok()
    }

    /// Posts a notification or an answer and waits until it was taken.
    pub(super) async fn deliver(&self, message: Bytes) -> Result<(), Failure> {
        let refused = |status: StatusCode| Failure::Invalid(Detail::new(&format!("it answered {status}")));
        let post = async {
            let response = self.0.client.send(self.post(message)).await.map_err(ClientError::into_failure)?;
            let status = response.status();
            answer::discard(response.into_body()).await;
            if status.is_success() { Ok(()) } else { Err(refused(status)) }
        };
        timeout(SIDE_POST_TIMEOUT, post).await.unwrap_or(Err(Failure::Timeout(Executed::Unknown)))
    }

    /// Posts a notification or an answer in the background, if there is room.
    pub(super) fn tell(&self, message: Bytes) {
        let place = Arc::clone(&self.0.side).try_acquire_owned();
        let runtime = tokio::runtime::Handle::try_current();
        let (Ok(place), Ok(runtime)) = (place, runtime) else {
            return self.0.exchange.counters().replies_dropped.count();
        };
        let http = self.clone();
        runtime.spawn(async move {
            if http.deliver(message).await.is_err() {
                http.0.exchange.counters().replies_dropped.count();
            }
            drop(place);
        });
    }

    /// The revision that was negotiated, named in every request from now on.
    pub(super) fn note_revision(&self, revision: Revision) {
        self.0.revision.get_or_init(|| revision);
    }

    /// Ends the session, politely and briefly.
    pub(super) async fn end(&self) {
        if self.0.session.get().is_none() || self.0.exchange.has_expired() {
            return;
        }
        let request = self.request(Method::DELETE, Bytes::new());
        let _ = timeout(DELETE_TIMEOUT, self.0.client.send(request)).await;
    }

    fn is_expired(&self, status: StatusCode) -> bool {
        status == StatusCode::NOT_FOUND && self.0.session.get().is_some()
    }

    /// Only the answer to the first request with a handshake, which is `initialize`, names the session.
    fn note_session(&self, headers: &HeaderMap) {
        let is_first = self.0.revision.get().is_none();
        let id = headers.get(SESSION_ID).filter(|id| id.len() <= SESSION_ID_BYTES_MAX && is_first);
        if let Some(id) = id {
            let mut id = id.clone();
            id.set_sensitive(true);
            self.0.session.get_or_init(|| id);
        }
    }

    fn post(&self, message: Bytes) -> Request<Full<Bytes>> {
        let mut request = self.request(Method::POST, message);
        if let Some(endpoint) = self.0.endpoint.get() {
            *request.uri_mut() = endpoint.clone();
        }
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, BOTH_KINDS);
        request
    }

    fn request(&self, method: Method, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.0.url.clone();
        let headers = request.headers_mut();
        *headers = self.0.headers.clone();
        headers.entry(USER_AGENT).or_insert(AGENT);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(session) = self.0.session.get() {
            headers.insert(SESSION_ID, session.clone());
        }
        if let Some(revision) = self.0.revision.get() {
            headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.as_str()));
        }
        request
    }
}
