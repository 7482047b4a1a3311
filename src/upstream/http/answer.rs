//! What comes back to a POST: one JSON message, or a stream of events with the answer among them.
//!
//! Must never hold more than `result_max` of it (CASES F11, A67), decode a content coding (F20), or take
//! an event that was cut off (F05). Deadlines are the caller's: one for the whole, so that a slow drip
//! does not outlast it (F02).

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::timeout;

use super::{Http, events};
use crate::upstream::exchange::{Gathered, Received, Scope, Waiting};
use crate::upstream::failure::{Detail, Failure};
use crate::wire::gather::Gather;

/// What is read of a body that nobody wants, to use its connection again, in bytes.
const DISCARD_BYTES_MAX: usize = 64 * 1024;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// The two kinds of answers (2025-11-25, "Sending Messages to the Server", 5).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Events,
}

/// Takes in `response` until `waiting` is answered.
pub(super) async fn take(
    http: &Http,
    response: Response<Incoming>,
    waiting: &Waiting,
) -> Result<(), Failure> {
    let status = response.status();
    http.0.declined.store(0, Ordering::Relaxed);
    let kind = kind(response.headers()).map_err(|why| explain(status, &why))?;
    if !(status.is_success() || status.is_client_error() || status.is_server_error()) {
        // Redirects above all: not followed, wherever they lead.
        return Err(explain(status, "it is not followed"));
    }
    match kind {
        Some(Kind::Json) => json(http, response, waiting).await,
        Some(Kind::Events) if status.is_success() => events::take(http, response.into_body(), waiting).await,
        _ => {
            http.0.declined.store(status.as_u16(), Ordering::Relaxed);
            Err(explain(status, "without an answer"))
        }
    }
}

/// Takes in that a message was accepted whose answer comes elsewhere (2024-11-05, "HTTP with SSE").
pub(super) async fn taken(response: Response<Incoming>) -> Result<(), Failure> {
    let status = response.status();
    discard(response.into_body()).await;
    if status.is_success() { Ok(()) } else { Err(explain(status, "without taking the message")) }
}

/// Which kind of answer the headers announce; an error where they announce what is not taken.
pub(super) fn kind(headers: &HeaderMap) -> Result<Option<Kind>, String> {
    if let Some(coding) = headers.get(CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        return Err(format!("content coding {coding:?}, which was not accepted"));
    }
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        // RFC 9112 §6.3: "ought to be handled as an error".
        return Err("two lengths".to_owned());
    }
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    Ok(match essence {
        _ if essence.eq_ignore_ascii_case("application/json") => Some(Kind::Json),
        _ if essence.eq_ignore_ascii_case("text/event-stream") => Some(Kind::Events),
        _ => None,
    })
}

/// Reads a body that nobody wants to its end, if that is near.
pub(super) async fn discard(mut body: Incoming) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARD_BYTES_MAX {
                break;
            }
        }
    };
    let _ = timeout(DISCARD_TIMEOUT, reading).await;
}

async fn json(http: &Http, response: Response<Incoming>, waiting: &Waiting) -> Result<(), Failure> {
    let status = response.status();
    let body = whole(http, response.into_body()).await?;
    match http.0.exchange.receive(body, Scope::Of(waiting.id())) {
        Received::Settled => Ok(()),
        Received::Garbage(why) => {
            http.0.declined.store(status.as_u16(), Ordering::Relaxed);
            Err(explain(status, why.as_str()))
        }
        Received::Nothing | Received::Reply(_) => Err(explain(status, "which answers something else")),
    }
}

async fn whole(http: &Http, mut body: Incoming) -> Result<Gathered, Failure> {
    let mut read = http.gatherer();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Closed(Detail::of_error(&error)))?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        if data.len() > http.0.large.bytes_max.saturating_sub(read.bytes()) {
            http.0.exchange.counters().oversize.count();
            return Err(Failure::TooLarge);
        }
        read.put(data);
    }
    Ok(read.take())
}

fn explain(status: StatusCode, what: &str) -> Failure {
    Failure::Invalid(Detail::new(&format!("it answered {status}: {what}")))
}
