//! One HTTP/1.1 connection, from accept to close.
//!
//! Must never let a phase last longer than its limit, nor hand on a request whose framing two parsers
//! could read in two ways (CASES A15).

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use super::stream::Stream;
use super::watched::{Framing, Phase, Watch, Watched};
use super::{
    BUFFER_BYTES_MAX, ConnectionLimits, HEAD_BYTES_MAX, HEADERS_MAX, IDLE_TIMEOUT, LINGER_TIMEOUT, Peer,
    STALL_TIMEOUT,
};
use crate::model::reason::Reason;

/// What answers the requests of a listener.
pub trait Respond: Send + Sync + 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error = Infallible> + From<Bytes> + Send + Unpin + 'static;

    /// Answers one request. Dropped where the peer hangs up first.
    fn respond(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The connection was refused, or a request that could not be read was.
    fn refused(&self, reason: Reason);
}

/// The answer that refuses: a small fixed body with the reason.
pub fn refusal<B: From<Bytes>>(status: StatusCode, reason: Reason) -> Response<B> {
    let mut response = Response::new(B::from(refusal_body(reason)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The body of [`refusal`]. Codes and sentences of reasons hold nothing that JSON escapes.
pub(super) fn refusal_body(reason: Reason) -> Bytes {
    format!("{{\"reason\":\"{}\",\"message\":\"{}\"}}\n", reason.code(), reason.sentence()).into()
}

/// Serves a connection until either side closes it, a limit ends it, or `drain` or `ends` says to finish.
pub(super) async fn serve<R: Respond>(
    stream: Stream,
    peer: Peer,
    responder: Arc<R>,
    limits: ConnectionLimits,
    mut drain: watch::Receiver<bool>,
    ends: impl Future<Output = ()>,
) {
    let watch = Arc::new(Watch::new());
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&watch)));
    let service = service_fn(|request| {
        let responder = Arc::clone(&responder);
        let watch = Arc::clone(&watch);
        let peer = peer.clone();
        async move { Ok::<_, Infallible>(respond(&*responder, request, peer, watch).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .max_header_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .header_read_timeout(None)
            .serve_connection(io, service)
    );
    let mut clock = pin!(PhaseClock::new(&watch, limits));
    let mut ends = pin!(ends);
    let mut draining = false;
    loop {
        let ended = tokio::select! {
            biased;
            ended = poll_fn(|context| match connection.as_mut().poll(context) {
                Poll::Ready(result) => Poll::Ready(Ok(result)),
                Poll::Pending => clock.as_mut().poll(context).map(Err),
            }) => ended,
            () = async {
                tokio::select! {
                    _ = drain.wait_for(|drain| *drain) => {}
                    () = &mut ends => {}
                }
            }, if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
                continue;
            }
        };
        match ended {
            Ok(Ok(())) | Err(Phase::Idle | Phase::Busy | Phase::Stalled | Phase::Closing) => {}
            Ok(Err(error)) if error.is_parse_too_large() => responder.refused(Reason::HeadTooLarge),
            Ok(Err(error)) if error.is_parse() => responder.refused(Reason::HttpInvalid),
            // The peer went away.
            Ok(Err(_)) => {}
            Err(Phase::Head) => responder.refused(Reason::HeadTimeout),
        }
        return;
    }
}

async fn respond<R: Respond>(
    responder: &R,
    request: Request<Incoming>,
    peer: Peer,
    watch: Arc<Watch>,
) -> Response<Tracked<R::Body>> {
    watch.begin();
    let response = if framing_is_ambiguous(&request, &watch) {
        responder.refused(Reason::HttpInvalid);
        let mut response = refusal(StatusCode::BAD_REQUEST, Reason::HttpInvalid);
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    } else {
        responder.respond(request, peer).await
    };
    response.map(|body| Tracked { body, watch })
}

/// RFC 9112, 6.1: "A server MAY reject a request that contains both Content-Length and
/// Transfer-Encoding." One that does so behind another request, where its head was not seen, is refused
/// too, and so is every coding but `chunked` alone, because nothing here decodes another.
fn framing_is_ambiguous(request: &Request<Incoming>, watch: &Watch) -> bool {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            watch.framing() != Framing::NoLength
        }
        _ => true,
    }
}

/// Ends when a phase of the connection has lasted longer than it may.
struct PhaseClock<'a> {
    watch: &'a Watch,
    limits: ConnectionLimits,
    armed_for: (Phase, u64),
    alarm: Pin<Box<tokio::time::Sleep>>,
}

impl<'a> PhaseClock<'a> {
    fn new(watch: &'a Watch, limits: ConnectionLimits) -> Self {
        let alarm = Box::pin(tokio::time::sleep(limits.head_timeout));
        Self { watch, limits, armed_for: watch.phase(), alarm }
    }
}

impl Future for PhaseClock<'_> {
    type Output = Phase;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Phase> {
        let now = self.watch.phase();
        let changed = std::mem::replace(&mut self.armed_for, now) != now;
        let Some(limit) = limit_of(now.0, self.limits) else {
            // What is done while busy has limits of its own: the body's, the call's, the stream's.
            return Poll::Pending;
        };
        if changed {
            self.alarm.set(tokio::time::sleep(limit));
        }
        self.alarm.as_mut().poll(context).map(|()| now.0)
    }
}

fn limit_of(phase: Phase, limits: ConnectionLimits) -> Option<Duration> {
    match phase {
        Phase::Idle => Some(IDLE_TIMEOUT),
        Phase::Head => Some(limits.head_timeout),
        Phase::Busy => None,
        Phase::Stalled => Some(STALL_TIMEOUT),
        Phase::Closing => Some(LINGER_TIMEOUT),
    }
}

/// A body that tells its connection when it was handed over whole.
struct Tracked<B> {
    body: B,
    watch: Arc<Watch>,
}

impl<B> Drop for Tracked<B> {
    fn drop(&mut self) {
        self.watch.end();
    }
}

impl<B: Body<Data = Bytes, Error = Infallible> + Unpin> Body for Tracked<B> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
