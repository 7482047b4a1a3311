//! Connections to one upstream: a bounded keep-alive pool, with TLS where the URL says so.
//!
//! Must never be shared between upstreams, follow a redirect or use a proxy of the environment. It
//! trusts the system's certificate roots for `https`.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Builder};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::upstream::failure::{Detail, Failure};

/// Most idle connections that are kept for one upstream. Those in use are bounded by its calls.
const IDLE_CONNECTIONS_MAX: usize = 16;
/// An idle connection is closed after this long.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);
/// Longest time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Most headers of an answer.
const ANSWER_HEADERS_MAX: usize = 64;
/// Largest head of an answer, in bytes.
const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;

/// A pool of connections. Clones share it.
#[derive(Debug, Clone)]
pub(in crate::upstream) enum Client {
    Plain(legacy::Client<HttpConnector, Full<Bytes>>),
    Tls(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::upstream) enum ClientError {
    /// There was no connection: nothing was sent.
    Connect(Detail),
    /// It broke after the request was, or may have been, sent.
    Broken(Detail),
}

impl Client {
    /// A pool for `url`, whose scheme is `http` or `https`.
    pub(in crate::upstream) fn new(url: &http::Uri) -> std::io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        if url.scheme() != Some(&http::uri::Scheme::HTTPS) {
            return Ok(Self::Plain(builder().build(connector)));
        }
        let tls = HttpsConnectorBuilder::new().with_native_roots()?;
        Ok(Self::Tls(builder().build(tls.https_only().enable_http1().wrap_connector(connector))))
    }

    /// Sends `request`, once. (The pool takes another connection where the one it had was closed before
    /// it took the request; a request of which a byte was written comes back as an error.)
    pub(in crate::upstream) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let sent = match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        };
        sent.map_err(|error| {
            let why = Detail::of_error(&error);
            if error.is_connect() { ClientError::Connect(why) } else { ClientError::Broken(why) }
        })
    }
}

impl ClientError {
    /// The failure of what was to be sent.
    pub(in crate::upstream) fn into_failure(self) -> Failure {
        match self {
            Self::Connect(why) => Failure::Unavailable(why),
            Self::Broken(why) => Failure::Closed(why),
        }
    }
}

fn builder() -> Builder {
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .http1_max_headers(ANSWER_HEADERS_MAX)
        .http1_max_buf_size(ANSWER_HEAD_BYTES_MAX);
    builder
}
