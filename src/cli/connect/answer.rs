//! Reading what the gateway answers to one message, as messages for the client.
//!
//! Must never hold back an event until its stream ends (CASES F03, F04), never pass on half an event
//! (CASES F05), and never wait for a stream that has fallen silent: the gateway keeps a live one alive.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::trouble::Trouble;
use crate::socket::{BodyLimits, read_body};
use crate::wire::{Id, Message, Outcome, ScanLimits, encode, parse, sse};

/// Largest message from the gateway, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest time for a whole body that is no stream.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest silence of a stream. The gateway sends a comment every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What the client is told through.
pub(super) type Lines = mpsc::Sender<Bytes>;

/// The client does not read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deaf;

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The request was answered, with this outcome.
    Answered(Outcome),
    /// The message was taken, and nothing is to be said.
    Taken,
    /// The client has gone.
    Deaf,
}

/// Passes on the answer to the request `id`.
pub(super) async fn of_request(
    response: Response<Incoming>,
    id: &Id,
    lines: &Lines,
) -> Result<Ended, Trouble> {
    if is(response.headers(), "text/event-stream") && response.status() == StatusCode::OK {
        return Events::new(response.into_body()).until_answered(id, lines).await;
    }
    let (status, body) = whole(response).await?;
    let Ok(Message::Response(answer)) = parse(body.clone(), &ScanLimits::default()) else {
        return Err(if status.is_success() { Trouble::Invalid } else { Trouble::of_refusal(&body) });
    };
    let line = match (&answer.id, &answer.outcome) {
        (Some(answered), _) if answered == id => body,
        // An error about a message that could not be read names none. It can only be this one.
        (None, Outcome::Error(error)) => encode::raw_error(id, error),
        _ => return Err(Trouble::Invalid),
    };
    Ok(say(line, lines).await.map_or(Ended::Deaf, |()| Ended::Answered(answer.outcome)))
}

/// Takes note of the answer to a message that is no request. Only one that could not be read is answered.
pub(super) async fn of_other(response: Response<Incoming>, lines: &Lines) -> Result<Ended, Trouble> {
    let (status, body) = whole(response).await?;
    if status.is_success() {
        return Ok(Ended::Taken);
    }
    match parse(body.clone(), &ScanLimits::default()) {
        Ok(Message::Response(_)) => Ok(say(body, lines).await.map_or(Ended::Deaf, |()| Ended::Taken)),
        _ => Err(Trouble::of_refusal(&body)),
    }
}

/// Passes on a stream of notifications until it ends.
pub(super) async fn of_stream(response: Response<Incoming>, lines: &Lines) -> Result<Ended, Trouble> {
    let mut events = Events::new(response.into_body());
    while let Some(message) = events.next().await? {
        if say(message, lines).await.is_err() {
            return Ok(Ended::Deaf);
        }
    }
    Ok(Ended::Taken)
}

/// Hands one message to the client.
pub(super) async fn say(message: Bytes, lines: &Lines) -> Result<(), Deaf> {
    lines.send(message).await.map_err(|_| Deaf)
}

pub(super) fn is(headers: &HeaderMap, kind: &str) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().is_some_and(|declared| declared.trim().eq_ignore_ascii_case(kind))
}

async fn whole(response: Response<Incoming>) -> Result<(StatusCode, Bytes), Trouble> {
    let status = response.status();
    let limits = BodyLimits { bytes_max: MESSAGE_BYTES_MAX, timeout: BODY_TIMEOUT };
    let body = read_body(response.into_body(), limits).await.map_err(|_| Trouble::Lost)?;
    Ok((status, body))
}

/// The messages of a stream of events.
struct Events {
    body: Incoming,
    decoder: sse::Decoder,
    ready: std::collections::VecDeque<Bytes>,
}

impl Events {
    fn new(body: Incoming) -> Self {
        Self { body, decoder: sse::Decoder::new(MESSAGE_BYTES_MAX), ready: std::collections::VecDeque::new() }
    }

    async fn until_answered(mut self, id: &Id, lines: &Lines) -> Result<Ended, Trouble> {
        while let Some(message) = self.next().await? {
            let read = parse(message.clone(), &ScanLimits::default()).map_err(|_| Trouble::Invalid)?;
            if say(message, lines).await.is_err() {
                return Ok(Ended::Deaf);
            }
            match read {
                Message::Response(answer) if answer.id.as_ref() == Some(id) => {
                    return Ok(Ended::Answered(answer.outcome));
                }
                _ => {}
            }
        }
        Err(Trouble::Lost)
    }

    /// The next message; `None` at the end of the stream.
    async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            let frame = tokio::time::timeout(SILENCE_MAX, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| Trouble::Lost)? else {
                return Ok(None);
            };
            let Ok(chunk) = frame.map_err(|_| Trouble::Lost)?.into_data() else {
                continue;
            };
            // One chunk is at most what the connection buffers, so few events are ready at once.
            let ready = &mut self.ready;
            self.decoder.push(&chunk, |event| ready.push_back(event.data)).map_err(|_| Trouble::Invalid)?;
        }
    }
}
