//! Where the gateway is, and one HTTP exchange with it.
//!
//! Must never send a key off this machine without TLS; must never send a message twice: each has a
//! connection of its own, so a stale one cannot lose it, and closing one cancels one call and no other.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::trouble::Trouble;
use crate::cli::credential::CredentialSource;
use crate::downstream::MCP_PATH;
use crate::model::reason::Reason;

/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time until an answer begins. The gateway begins a stream long before.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// Where the gateway listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Place {
    /// At this authority of this machine.
    Tcp { authority: String, target: Uri },
    /// At this host and port, with TLS. `host` is as `Host` says it: without the port of `https`.
    Tls { name: ServerName<'static>, address: String, host: String, target: Uri },
    /// On this unix socket.
    Unix(PathBuf),
}

impl Place {
    /// The place that `url` names.
    pub(in crate::cli) fn of_url(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("it is not a URL: {error}"))?;
        let authority = uri.authority().ok_or("it names no host")?;
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err("a key does not belong in a URL; use --key-file or --key-env".to_owned());
        }
        let target: Uri = uri.path().parse().map_err(|error| format!("its path is not one: {error}"))?;
        match uri.scheme_str() {
            Some("https") => {
                let name = ServerName::try_from(bare.to_owned()).map_err(|_| "its host is not a name")?;
                let port = authority.port_u16().unwrap_or(HTTPS_PORT);
                let shown = if port == HTTPS_PORT { host.to_owned() } else { format!("{host}:{port}") };
                return Ok(Self::Tls { name, address: format!("{host}:{port}"), host: shown, target });
            }
            Some("http") => {}
            _ => return Err("it has to begin with https://, or with http:// on this machine".to_owned()),
        }
        let is_loopback = bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !is_loopback && !host.eq_ignore_ascii_case("localhost") {
            return Err(
                "without https:// it has to name this machine (127.0.0.1, localhost, [::1]): a key must \
                 not travel without TLS"
                    .to_owned(),
            );
        }
        let port = authority.port_u16().unwrap_or(HTTP_PORT);
        Ok(Self::Tcp { authority: format!("{host}:{port}"), target })
    }
}

/// The gateway, as `connect` reaches it.
pub(in crate::cli) struct Endpoint {
    place: Place,
    credential: CredentialSource,
    tls: Option<TlsConnector>,
}

/// What the gateway says, while its connection lives. Dropping it closes the connection.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    _connection: Connection,
}

/// Drives a connection until it is dropped.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Endpoint {
    pub(in crate::cli) fn new(place: Place, credential: CredentialSource) -> Self {
        Self { place, credential, tls: None }
    }

    /// Whether the place is reached with TLS.
    pub(in crate::cli) fn needs_tls(&self) -> bool {
        matches!(self.place, Place::Tls { .. })
    }

    /// The same endpoint, which `connector` reaches where it needs TLS.
    pub(super) fn with_tls(self, connector: TlsConnector) -> Self {
        Self { tls: Some(connector), ..self }
    }

    /// Sends one request and waits for the beginning of its answer.
    pub(super) async fn send(
        &self,
        method: Method,
        accept: &'static str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Trouble> {
        let request = self.request(method, accept, headers, body).await?;
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.connect()).await;
        let (mut sender, connection) = connecting.unwrap_or(Err(Trouble::Unreachable))?;
        let sending = tokio::time::timeout(HEAD_TIMEOUT, sender.send_request(request)).await;
        match sending {
            Ok(Ok(response)) => Ok(Answer { response, _connection: connection }),
            // A refusal that came before the body was taken is still an answer; all else is none.
            Ok(Err(_)) | Err(_) => Err(Trouble::Lost),
        }
    }

    async fn request(
        &self,
        method: Method,
        accept: &'static str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Trouble> {
        let (target, host) = match &self.place {
            Place::Tcp { authority, target } => (target.clone(), authority.as_str()),
            Place::Tls { host, target, .. } => (target.clone(), host.as_str()),
            Place::Unix(_) => (Uri::from_static(MCP_PATH), "localhost"),
        };
        let credential = self.credential.read().await.map_err(|error| {
            tracing::error!("{error:#}");
            Trouble::Refused(Reason::CredentialMissing)
        })?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| Trouble::Unreachable)?);
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = concat!("sluicegate-connect/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        if let Some(credential) = credential {
            headers.insert(credential.name, credential.value);
        }
        Ok(request)
    }

    async fn connect(&self) -> Result<(SendRequest<Full<Bytes>>, Connection), Trouble> {
        match &self.place {
            Place::Tcp { authority, .. } => {
                handshake(TcpStream::connect(authority).await.map_err(unreachable)?).await
            }
            Place::Tls { name, address, .. } => {
                let connector = self.tls.as_ref().ok_or(Trouble::Unreachable)?;
                let stream = TcpStream::connect(address).await.map_err(unreachable)?;
                handshake(connector.connect(name.clone(), stream).await.map_err(unreachable)?).await
            }
            Place::Unix(path) => handshake(UnixStream::connect(path).await.map_err(unreachable)?).await,
        }
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
) -> Result<(SendRequest<Full<Bytes>>, Connection), Trouble> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| Trouble::Unreachable)?;
    // How the connection ends is told by the exchange on it.
    let driven = tokio::spawn(async move { drop(connection.await) });
    Ok((sender, Connection(driven)))
}

fn unreachable(error: std::io::Error) -> Trouble {
    tracing::warn!(%error, "the gateway cannot be reached");
    Trouble::Unreachable
}
