//! The connection to one receiver, with TLS where the URL says so.
//!
//! Must never follow a redirect, use a proxy of the environment, or keep more of an answer than its bound.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::fault::Fault;
use crate::model::secret::{self, Secret};
use crate::model::text::{Bounded, printable, with_causes};
use crate::trust;

/// Longest time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time for one request and its whole answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// An idle connection is closed after this long.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);
/// Most bytes that are read of the body of an answer, to understand it and so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// About the most bytes that are told of why a connection broke.
const CAUSES_BYTES_MAX: usize = 1024;
/// Longest time that a receiver may ask to be left alone for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5 * 60);

/// A connection to one receiver, made when it is needed.
#[derive(Debug)]
pub struct Client {
    pool: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// What the configuration sends along.
    headers: HeaderMap,
}

/// What counts of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Its headers.
    pub headers: HeaderMap,
    /// None where it broke off, or was too long.
    pub body: Option<Vec<u8>>,
}

/// Most bytes of what a receiver says that are shown.
pub const SAID_BYTES_MAX: usize = 256;

/// What a receiver says, as it may be shown: in bounds, in one line.
#[must_use]
pub fn said(text: &str) -> String {
    Bounded::<SAID_BYTES_MAX>::new(&printable(text)).as_str().to_owned()
}

impl Response {
    /// What the body says, where it is JSON of the form `T`.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(self.body.as_deref()?).ok()
    }
}

impl Client {
    /// To the receiver at `url`, to which `headers` go along and which shows a certificate of `ca`, or of the system's.
    ///
    /// # Errors
    /// Why no connection can be set up.
    pub fn new(url: &Uri, headers: &[(HeaderName, Secret)], ca: Option<&Path>) -> Result<Self, Fault> {
        let bad = |name| Fault::Request(format!("the value of `{name}` cannot stand in a header"));
        let headers = secret::headers(headers).map_err(bad)?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let trusted = trust::client(ca).map_err(Fault::Tls)?;
        let tls = HttpsConnectorBuilder::new().with_tls_config(trusted);
        let tls = if url.scheme_str() == Some("https") { tls.https_only() } else { tls.https_or_http() };
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_CONNECTION).pool_max_idle_per_host(1);
        // A batch that was sent half is sent again by us, after a wait, and not by the pool.
        builder.retry_canceled_requests(false);
        Ok(Self { pool: builder.build(tls.enable_http1().wrap_connector(connector)), headers })
    }

    /// Sends `request` once, and reads what is said to it.
    ///
    /// # Errors
    /// Why nothing came back.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response, Fault> {
        let too_slow = |_| Fault::TooSlow(REQUEST_TIMEOUT.as_secs());
        timeout(REQUEST_TIMEOUT, self.send_unlimited(request)).await.map_err(too_slow)?
    }

    async fn send_unlimited(&self, mut request: Request<Bytes>) -> Result<Response, Fault> {
        request.headers_mut().extend(self.headers.clone());
        let broken = |error| Fault::Connection(with_causes(&error, CAUSES_BYTES_MAX));
        let response = self.pool.request(request.map(Full::new)).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let (status, retry_after, headers) = (head.status, retry_after(&head.headers), head.headers);
        Ok(Response { status, retry_after, headers, body: read(body).await })
    }
}

/// The whole of it; of what is too long nothing, and its connection is closed.
async fn read(mut body: Incoming) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.ok()?;
        let data = frame.data_ref().map_or(&[][..], |data| data);
        if read.len().saturating_add(data.len()) > ANSWER_BYTES_MAX {
            return None;
        }
        read.extend_from_slice(data);
    }
    Some(read)
}

/// How long the receiver asks to be left alone (RFC 9110, 10.2.3), in seconds; a date is taken for silence.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_left_alone_as_long_as_it_asks_within_bounds() {
        let said = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(said("7"), Some(Duration::from_secs(7)));
        assert_eq!(said("18446744073709551615"), Some(RETRY_AFTER_MAX));
        assert_eq!((said("-1"), said("Wed, 21 Oct 2026 07:28:00 GMT")), (None, None));
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
