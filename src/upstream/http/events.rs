//! The stream of events that answers a POST, and its resumption where the server can (2025-11-25,
//! "Resumability and Redelivery").
//!
//! Must never post again: a stream that broke is picked up by a GET after the last event that came whole,
//! or its call fails (CASES F05 to F07, F12). Bounded by the call's deadline, which the caller holds, and
//! by tries that bring nothing. It trusts neither ids nor times: both are capped where they are read.

use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::sleep;

use super::{Http, LAST_EVENT_ID, answer};
use crate::spool::Gatherer;
use crate::upstream::exchange::{Received, Scope, Waiting};
use crate::upstream::failure::{Detail, Failure};
use crate::wire::sse;

/// Resumptions in a row that bring no new event id; after them the call fails.
const BARREN_RESUMES_MAX: u32 = 4;
/// Pause before a resumption where the server names none.
const RESUME_PAUSE: Duration = Duration::from_secs(1);
/// Shortest pause before a resumption, whatever the server names.
const RESUME_PAUSE_MIN: Duration = Duration::from_millis(100);

/// Where a stream is to be picked up.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Kept if a resumed stream breaks before it brings another (CASES F06).
    last: Option<HeaderValue>,
    retry: Option<Duration>,
}

/// How one connection of a stream ended.
enum Broke {
    /// By the server, in order.
    Closed,
    /// Underneath.
    Cut(Detail),
}

impl Cursor {
    /// Takes over what the connection that `decoder` read told. Whether it brought another id.
    pub(super) fn advance(&mut self, decoder: &sse::Decoder<Gatherer>) -> Advanced {
        self.retry = decoder.retry_ms().map(Duration::from_millis).or(self.retry);
        let Some(id) = decoder.last_id() else { return Advanced::Nowhere };
        // An empty id takes the last one back (WHATWG HTML §9.2.6); what no header can hold is none.
        let id = HeaderValue::from_bytes(id).ok().filter(|id| !id.is_empty());
        let advanced = if id == self.last { Advanced::Nowhere } else { Advanced::Further };
        self.last = id;
        advanced
    }

    /// The pause that the server asked for; `otherwise` where it asked for none.
    pub(super) fn pause(&self, otherwise: Duration) -> Duration {
        self.retry.unwrap_or(otherwise).max(RESUME_PAUSE_MIN)
    }

    /// The id to resume after.
    pub(super) fn last(&self) -> Option<&HeaderValue> {
        self.last.as_ref()
    }
}

/// Whether a connection brought an event id that was not known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advanced {
    Further,
    Nowhere,
}

/// Takes in the stream `body` until `waiting` is answered, resumed as often as that gets further.
pub(super) async fn take(http: &Http, body: Incoming, waiting: &Waiting) -> Result<(), Failure> {
    let mut cursor = Cursor::default();
    let mut barren = 0;
    let mut body = Some(body);
    loop {
        let mut decoder = http.decoder();
        let mut broke = Broke::Cut(Detail::new("it cannot be reached"));
        if let Some(body) = body.take() {
            match read(http, body, waiting, &mut decoder).await? {
                None => return Ok(()),
                Some(how) => broke = how,
            }
        }
        barren = match cursor.advance(&decoder) {
            Advanced::Further => 0,
            Advanced::Nowhere => barren + 1,
        };
        let is_stateless = http.0.revision.get().is_some_and(|revision| revision.is_modern());
        if is_stateless || cursor.last().is_none() || barren > BARREN_RESUMES_MAX {
            return Err(Failure::Closed(broke.describe()));
        }
        if matches!(broke, Broke::Closed) {
            http.0.exchange.paused(waiting.id());
        }
        sleep(cursor.pause(RESUME_PAUSE)).await;
        body = resume(http, &cursor).await?;
    }
}

impl Broke {
    fn describe(self) -> Detail {
        match self {
            Self::Closed => Detail::new("the stream ended before the answer"),
            Self::Cut(why) => why,
        }
    }
}

/// Reads one connection of the stream; `None` where `waiting` was answered on it.
async fn read(
    http: &Http,
    mut body: Incoming,
    waiting: &Waiting,
    decoder: &mut sse::Decoder<Gatherer>,
) -> Result<Option<Broke>, Failure> {
    loop {
        let frame = match body.frame().await {
            None => return Ok(Some(Broke::Closed)),
            Some(Err(error)) => return Ok(Some(Broke::Cut(Detail::of_error(&error)))),
            Some(Ok(frame)) => frame,
        };
        let mut replies = Vec::new();
        let pushed = decoder.push(frame.data_ref().map_or(&[], |data| data), |event| {
            if let Received::Reply(reply) = http.0.exchange.receive(event.data, Scope::Of(waiting.id())) {
                replies.push(reply);
            }
        });
        replies.into_iter().for_each(|reply| http.reply(reply));
        if waiting.is_settled() {
            // The stream should end now ("SHOULD close the SSE stream"); then its connection is of use.
            tokio::spawn(answer::discard(body));
            return Ok(None);
        }
        if pushed.is_err() {
            http.0.exchange.counters().oversize.count();
            return Err(Failure::TooLarge);
        }
    }
}

/// Opens the stream again after the last event; `None` where the server was not reached this time.
async fn resume(http: &Http, cursor: &Cursor) -> Result<Option<Incoming>, Failure> {
    let mut request = http.request(Method::GET, bytes::Bytes::new());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(last) = cursor.last() {
        request.headers_mut().insert(LAST_EVENT_ID, last.clone());
    }
    let Ok(response) = http.0.client.send(request).await else { return Ok(None) };
    let status = response.status();
    if http.is_expired(status) {
        http.0.exchange.retire();
        return Err(Failure::Closed(Detail::new("it no longer knows the session")));
    }
    if status.is_success() && answer::kind(response.headers()) == Ok(Some(answer::Kind::Events)) {
        return Ok(Some(response.into_body()));
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Ok(None);
    }
    Err(Failure::Closed(Detail::new(&format!("the stream broke, and resuming it was answered {status}"))))
}
