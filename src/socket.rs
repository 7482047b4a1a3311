//! Listening sockets and the HTTP/1.1 connections on them, for every room that listens.
//!
//! Must never know a path, a credential or what a request means; must never listen beyond loopback without
//! TLS or a declared proxy. Trusts the kernel's word on who is at the other end of a socket, and nothing
//! that a peer sends but a client certificate that verifies. Every wait and every buffer of a connection
//! has its limit here (invariant I11).

mod adopt;
mod bind;
mod body;
mod connection;
mod host;
mod proxies;
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod watched;

pub use adopt::Passed;
pub use bind::{BindError, Cover, Listener, Place, bind_covered, bind_tcp, bind_unix};
pub use body::{BodyLimits, Unread, read_body};
pub use connection::{Respond, refusal};
pub use host::{HostRule, Scheme};
pub use proxies::{Network, NetworkError};
pub use server::{Drained, Server};
pub use tls::{Refreshed, Tls, TlsError, TlsFiles, is_open_to_others};

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::certificate::ClientCertificate;

/// What is known of the other end before it says anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its uid as the kernel reports it; absent on TCP.
    pub uid: Option<u32>,
    /// Its address; absent on a unix socket. Nobody is known by it.
    pub address: Option<IpAddr>,
    /// The certificate that it showed in the TLS handshake, and that verified.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// What one listener grants its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once; one more is answered 503 and closed.
    pub connections_max: usize,
    /// Longest time from the first byte of a request to the end of its head.
    pub head_timeout: Duration,
}

/// Largest head of a request, request line and headers, in bytes.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most headers of one request.
pub const HEADERS_MAX: usize = 100;
/// Bytes that one connection buffers in either direction.
pub const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Longest time for a TLS handshake, from accept to its end.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long before its end a certificate is said to end soon, in hours.
pub const EXPIRES_SOON_HOURS: i64 = 14 * 24;
/// A kept-alive connection that sends no further request for this long is closed.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// A peer that reads nothing of what waits for it for this long loses the connection.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a closing connection still reads and throws away what the peer sends, so that the kernel does
/// not reset the connection before the peer has read its answer.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// How many bytes a closing connection throws away at most.
pub const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Connections beyond `connections_max` that are being told so; further ones are closed without a word.
pub const REFUSALS_MAX: usize = 64;
