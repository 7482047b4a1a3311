//! The gateway's reply as an HTTP response.
//!
//! Must never hold a reply back until it is whole (CASES F03, F04), nor change a byte of a message.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};

use super::events::Events;
#[cfg(test)]
use super::events::KEEP_ALIVE_INTERVAL;
use crate::gateway::port::{Accepts, CallEvent, Ongoing, Reply, Shape};
use crate::model::reason::Reason;
use crate::socket::refusal;
use crate::spool::{Body, Drained};

/// How long the final message of a call is waited for before the answer becomes a stream, so that a quick
/// call is one JSON body and a slow one does not look dead.
pub const FIRST_EVENT_WAIT: Duration = Duration::from_secs(5);

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Tells reverse proxies that buffer by default to pass events on as they come.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The response that carries `reply` to a client that takes `accepts`. A connection of a stream that the
/// client can come back to lives for at most `age_max`.
pub(super) async fn render(reply: Reply, accepts: Accepts, age_max: Duration) -> Response<ReplyBody> {
    match reply {
        Reply::Json { status, body, session } if accepts == Accepts::Events && status.is_success() => {
            with_session(event_stream(Events::of_one(body)), session.as_deref())
        }
        Reply::Json { status, body, session } => json(status, body.into(), session.as_deref()),
        Reply::Empty(status) => empty(status),
        Reply::Call(ongoing) => call(ongoing, accepts, age_max).await,
        Reply::Stream(listening) => event_stream(Events::of_stream(listening)),
        Reply::Resumable(tap) => event_stream(Events::of_tap(tap, age_max)),
    }
}

async fn call(mut ongoing: Ongoing, accepts: Accepts, age_max: Duration) -> Response<ReplyBody> {
    match gather(&mut ongoing, accepts).await {
        Gathered::Whole { status, body } => json(status, body, None),
        Gathered::Told(first) => {
            let Ongoing { events, resumable, .. } = ongoing;
            let Some(resumable) = resumable else {
                return event_stream(Events::of_call(events, first));
            };
            match resumable.begin(first, events) {
                Ok(tap) => event_stream(Events::of_tap(tap, age_max)),
                // The session ended meanwhile, and what was called in it with it.
                Err(reason) => refusal(StatusCode::NOT_FOUND, reason),
            }
        }
        // The gateway owes a final message and lost track of the call.
        Gathered::Lost => refusal(StatusCode::INTERNAL_SERVER_ERROR, Reason::Fault),
    }
}

/// What came before the kind of the answer was settled.
enum Gathered {
    /// All of it.
    Whole { status: StatusCode, body: Body },
    /// The beginning of a stream.
    Told(Vec<CallEvent>),
    /// It ended without its final message.
    Lost,
}

async fn gather(ongoing: &mut Ongoing, accepts: Accepts) -> Gathered {
    let mut answers = Vec::new();
    if accepts == Accepts::Events {
        return Gathered::Told(answers);
    }
    let mut patience = std::pin::pin!(tokio::time::sleep(FIRST_EVENT_WAIT));
    loop {
        let event = tokio::select! {
            biased;
            event = ongoing.events.recv() => event,
            () = &mut patience, if accepts == Accepts::Both => return Gathered::Told(answers),
        };
        match event {
            Some(CallEvent::Final { status, body }) => {
                let body = match ongoing.shape {
                    Shape::Single => body,
                    Shape::Batch => array(answers, body),
                };
                return Gathered::Whole { status, body };
            }
            Some(answer @ CallEvent::Answer(_)) => answers.push(answer),
            // Whoever takes no stream is told nothing before the answer.
            Some(CallEvent::Notification(_) | CallEvent::Request(_)) if accepts == Accepts::Json => {}
            Some(CallEvent::Pause) if accepts == Accepts::Json || ongoing.resumable.is_none() => {}
            Some(told @ (CallEvent::Notification(_) | CallEvent::Request(_) | CallEvent::Pause)) => {
                answers.push(told);
                return Gathered::Told(answers);
            }
            None => return Gathered::Lost,
        }
    }
}

/// The answers of a batch as one JSON array (JSON-RPC 2.0, section 6).
fn array(answers: Vec<CallEvent>, last: Body) -> Body {
    let mut out = Body::from(Bytes::from_static(b"["));
    for answer in answers {
        if let CallEvent::Answer(body) = answer {
            out = out.then(body).then(Bytes::from_static(b",").into());
        }
    }
    out.then(last).then(Bytes::from_static(b"]").into()).joined()
}

fn json(status: StatusCode, body: Body, session: Option<&str>) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody(Kind::Whole(body.drain())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    allow_post(&mut response);
    with_session(response, session)
}

fn with_session(mut response: Response<ReplyBody>, session: Option<&str>) -> Response<ReplyBody> {
    match session.map(HeaderValue::from_str) {
        None => response,
        Some(Ok(session)) => {
            response.headers_mut().insert(SESSION_ID, session);
            response
        }
        Some(Err(_)) => refusal(StatusCode::INTERNAL_SERVER_ERROR, Reason::Fault),
    }
}

fn empty(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::from(Bytes::new()));
    *response.status_mut() = status;
    allow_post(&mut response);
    response
}

/// What the gateway answers 405 would have been served had it been a POST (RFC 9110, 15.5.6).
fn allow_post(response: &mut Response<ReplyBody>) {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
}

fn event_stream(events: Events) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody(Kind::Events(events)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// The body of a response.
pub(super) struct ReplyBody(Kind);

enum Kind {
    Whole(Drained),
    Events(Events),
}

impl From<Bytes> for ReplyBody {
    fn from(whole: Bytes) -> Self {
        Self(Kind::Whole(Body::from(whole).drain()))
    }
}

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.get_mut().0 {
            Kind::Whole(whole) => whole.poll_next(context),
            Kind::Events(events) => events.poll_next(context),
        };
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Whole(whole) if whole.is_ended())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(whole) => SizeHint::with_exact(whole.bytes()),
            Kind::Events(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests;
