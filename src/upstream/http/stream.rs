//! The stream that a GET opens, where the server offers one: announcements outside of any call.
//!
//! Must never deliver an answer, end a call, or matter to one: a server without it (405) works as well
//! ("Listening for Messages from the Server").

use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::sleep;

use super::events::Cursor;
use super::{Http, LAST_EVENT_ID, answer};
use crate::upstream::exchange::{Received, Scope};

/// Pause before the stream is opened again; it doubles while the stream brings nothing.
const REOPEN_FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const REOPEN_MAX: Duration = Duration::from_secs(60);

/// How one stream ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// There is none.
    NotOffered,
    /// It brought something.
    AfterEvents,
    /// It brought nothing.
    Empty,
}

/// Listens until the instance is gone or the server offers no stream.
pub(in crate::upstream) async fn listen(http: Http) {
    let mut pause = REOPEN_FIRST;
    let mut cursor = Cursor::default();
    loop {
        match once(&http, &mut cursor).await {
            // What it no longer knows is the place to go on from, not yet the stream.
            Ended::NotOffered if cursor.last().is_some() => cursor = Cursor::default(),
            Ended::NotOffered => return,
            Ended::AfterEvents => pause = REOPEN_FIRST,
            Ended::Empty => pause = pause.saturating_mul(2).min(REOPEN_MAX),
        }
        sleep(cursor.pause(pause).max(pause)).await;
        // What was announced while nobody listened is not known: look at the list again.
        http.0.exchange.everything_changed();
    }
}

async fn once(http: &Http, cursor: &mut Cursor) -> Ended {
    let mut request = http.request(Method::GET, bytes::Bytes::new());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(last) = cursor.last() {
        request.headers_mut().insert(LAST_EVENT_ID, last.clone());
    }
    let Ok(response) = http.0.client.send(request).await else { return Ended::Empty };
    let kind = answer::kind(response.headers());
    if !response.status().is_success() || kind != Ok(Some(answer::Kind::Events)) {
        return Ended::NotOffered;
    }
    read(http, response.into_body(), cursor).await
}

async fn read(http: &Http, mut body: Incoming, cursor: &mut Cursor) -> Ended {
    let mut decoder = http.decoder();
    let mut ended = Ended::Empty;
    while let Some(Ok(frame)) = body.frame().await {
        let mut replies = Vec::new();
        let pushed = decoder.push(frame.data_ref().map_or(&[], |data| data), |event| {
            ended = Ended::AfterEvents;
            if let Received::Reply(reply) = http.0.exchange.receive(event.data, Scope::Unasked) {
                replies.push(reply);
            }
        });
        replies.into_iter().for_each(|reply| http.reply(reply));
        if pushed.is_err() {
            http.0.exchange.counters().oversize.count();
            // It would come again.
            *cursor = Cursor::default();
            return ended;
        }
        tokio::task::coop::consume_budget().await;
    }
    let _ = cursor.advance(&decoder);
    ended
}
