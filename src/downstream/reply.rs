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
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::events::Events;
#[cfg(test)]
use super::events::KEEP_ALIVE_INTERVAL;
use crate::gateway::port::{CallEvent, Reply};
use crate::model::reason::Reason;
use crate::socket::refusal;

/// How long the final message of a call is waited for before the answer becomes a stream, so that a quick
/// call is one JSON body and a slow one does not look dead.
pub const FIRST_EVENT_WAIT: Duration = Duration::from_secs(5);

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Tells reverse proxies that buffer by default to pass events on as they come.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The response that carries `reply`.
pub(super) async fn render(reply: Reply) -> Response<ReplyBody> {
    match reply {
        Reply::Json { status, body, session } => json(status, body, session.as_deref()),
        Reply::Empty(status) => empty(status),
        Reply::Call(receiver) => call(receiver).await,
        Reply::Stream(receiver) => event_stream(Events::of_stream(receiver)),
    }
}

async fn call(mut receiver: mpsc::Receiver<CallEvent>) -> Response<ReplyBody> {
    match tokio::time::timeout(FIRST_EVENT_WAIT, receiver.recv()).await {
        Ok(Some(CallEvent::Final { status, body })) => json(status, body, None),
        Ok(Some(CallEvent::Notification(message))) => event_stream(Events::of_call(receiver, Some(&message))),
        Err(_) => event_stream(Events::of_call(receiver, None)),
        // The gateway owes a final message and lost track of the call.
        Ok(None) => refusal(StatusCode::INTERNAL_SERVER_ERROR, Reason::Fault),
    }
}

fn json(status: StatusCode, body: Bytes, session: Option<&str>) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    allow_post(&mut response);
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
    Whole(Bytes),
    Events(Events),
}

impl From<Bytes> for ReplyBody {
    fn from(whole: Bytes) -> Self {
        Self(Kind::Whole(whole))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.get_mut().0 {
            Kind::Whole(whole) if whole.is_empty() => Poll::Ready(None),
            Kind::Whole(whole) => Poll::Ready(Some(std::mem::take(whole))),
            Kind::Events(events) => events.poll_next(context),
        };
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Whole(whole) if whole.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(whole) => SizeHint::with_exact(whole.len() as u64),
            Kind::Events(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests;
