//! One request to an issuer, by hand: name, address, connection, TLS, head, body, each judged.
//!
//! Must never follow a redirect, use a proxy of the environment, send a credential but the one that it is handed for
//! this one URL, or connect to an address that was not judged (CASES A44). One connection for one answer: this happens
//! every few minutes, and when a person signs in.

mod address;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::model::secret::Secret;
use crate::trust;

use address::Reach;

/// Most addresses of a name that are looked at.
const ADDRESSES_MAX: usize = 16;
/// Most headers of the answer.
const HEADERS_MAX: usize = 64;
/// Largest head of the answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("sluicegate/", env!("CARGO_PKG_VERSION")));
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const KINDS: HeaderValue = HeaderValue::from_static("application/jwk-set+json, application/json");

/// Why there is no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the URL has no host")]
    Url,
    #[error("the credential cannot stand in a header")]
    Credential,
    #[error("the name cannot be resolved: {0}")]
    Name(String),
    #[error("it is at {0}, where no issuer's keys may be fetched from")]
    Address(IpAddr),
    #[error("no connection: {0}")]
    Connection(String),
    #[error("no TLS: {0}")]
    Tls(String),
    #[error("the answer broke off: {0}")]
    Broken(String),
    #[error("it redirects ({0}), which is not followed: name the final URL")]
    Redirect(StatusCode),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("its answer is not declared as plain JSON")]
    ContentType,
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// What is sent.
#[derive(Clone, Copy)]
pub(super) enum Outgoing<'a> {
    /// Nothing: what is there is asked for.
    Get,
    /// A form, with a credential for its receiver where there is one.
    Form {
        /// As `application/x-www-form-urlencoded`.
        body: &'a Secret,
        /// The value of `Authorization`.
        authorization: Option<&'a Secret>,
    },
}

impl Outgoing<'_> {
    fn request(self, head: http::request::Builder) -> Result<Request<Full<Bytes>>, FetchError> {
        let request = match self {
            Self::Get => head.body(Full::default()),
            Self::Form { body, authorization } => {
                let head = head.method(Method::POST).header(CONTENT_TYPE, FORM);
                let head = match authorization {
                    Some(secret) => {
                        let value = HeaderValue::from_str(secret.reveal());
                        let mut value = value.map_err(|_| FetchError::Credential)?;
                        value.set_sensitive(true);
                        head.header(AUTHORIZATION, value)
                    }
                    None => head,
                };
                head.body(Full::from(body.reveal().to_owned()))
            }
        };
        request.map_err(|_| FetchError::Url)
    }
}

impl FetchError {
    /// Whether whoever was asked understood and will not: asking again is of no use.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Status(status) if status.is_client_error())
    }
}

/// The body at `url`, of at most `bytes_max` bytes. The caller limits the time.
pub(super) async fn fetch(
    url: &Uri,
    ca: Option<&Path>,
    outgoing: Outgoing<'_>,
    bytes_max: usize,
) -> Result<Bytes, FetchError> {
    let host = url.host().ok_or(FetchError::Url)?.trim_start_matches('[').trim_end_matches(']');
    let is_tls = url.scheme() == Some(&http::uri::Scheme::HTTPS);
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let tcp = connect(&resolve(host, port).await?).await?;
    if !is_tls {
        return exchange(tcp, url, outgoing, bytes_max).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::Url)?;
    // The files are read at each fetch, so that renewed certificates count without a restart.
    let connector =
        TlsConnector::from(Arc::new(trust::client(ca).map_err(|why| FetchError::Tls(said(&why)))?));
    let stream = connector.connect(name, tcp).await.map_err(|error| FetchError::Tls(said(&error)))?;
    exchange(stream, url, outgoing, bytes_max).await
}

/// The addresses of `host`. One that may not be connected to refuses all of them: an honest name has none.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
    let reach = Reach::of(host);
    let found = lookup_host((host, port)).await.map_err(|error| FetchError::Name(said(&error)))?;
    let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
    match addresses.iter().find(|address| !reach.permits(address.ip())) {
        Some(forbidden) => Err(FetchError::Address(forbidden.ip())),
        None => Ok(addresses),
    }
}

/// A connection to the first address that takes one.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    let mut why = FetchError::Name("it has no address".to_owned());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => why = FetchError::Connection(said(&error)),
        }
    }
    Err(why)
}

async fn exchange<Stream>(
    stream: Stream,
    url: &Uri,
    outgoing: Outgoing<'_>,
    bytes_max: usize,
) -> Result<Bytes, FetchError>
where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| FetchError::Broken(said(&error));
    let handshake = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await;
    let (mut sender, connection) = handshake.map_err(broken)?;
    // Ends with this function, however that ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let host = url.authority().map_or("", |authority| authority.as_str());
    let head = Request::builder()
        .uri(target)
        .header(HOST, host)
        .header(ACCEPT, KINDS)
        .header(USER_AGENT, AGENT)
        .header(CONNECTION, "close");
    let request = outgoing.request(head)?;
    let response = sender.send_request(request).await.map_err(broken)?;
    check_head(&response)?;
    body(response.into_body(), bytes_max).await
}

fn check_head(response: &Response<Incoming>) -> Result<(), FetchError> {
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(FetchError::Redirect(status)),
        status => return Err(FetchError::Status(status)),
    }
    if is_json(response.headers()) { Ok(()) } else { Err(FetchError::ContentType) }
}

/// `application/json` or `application/jwk-set+json` (RFC 7517 §8.5.2), declared once and not compressed.
fn is_json(headers: &HeaderMap) -> bool {
    let mut declared = headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (declared.next(), declared.next()) else { return false };
    let Ok(kind) = kind.to_str() else { return false };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let is_known = ["application/json", "application/jwk-set+json"]
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known));
    is_known && !headers.contains_key(CONTENT_ENCODING)
}

async fn body(mut body: Incoming, bytes_max: usize) -> Result<Bytes, FetchError> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(FetchError::TooLarge(bytes_max));
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| FetchError::Broken(said(&error)))?.into_data() else { continue };
        if whole.len().saturating_add(data.len()) > bytes_max {
            return Err(FetchError::TooLarge(bytes_max));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn said(error: &impl Display) -> String {
    crate::model::text::printable(&error.to_string())
}
