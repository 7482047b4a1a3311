//! A connection over TCP, encrypted or not, to whoever the configuration names.
//!
//! Must never wait for ever: neither for the other side to take it, nor for its kernel to acknowledge what was sent.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Failure;
use super::settings::{Encryption, Host};
use crate::trust;

/// Longest time to reach the receiver.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what was sent may stay unacknowledged by the receiver's kernel before the connection counts as broken.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);

/// A connection that is encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> Stream for S {}

/// A connection to `host`, whose certificate, where there is one, has to be for its name.
pub(super) async fn open(host: &Host, encryption: &Encryption) -> Result<Box<dyn Stream>, Failure> {
    let too_slow = |_| Failure::TooSlow(CONNECT_TIMEOUT.as_secs());
    tokio::time::timeout(CONNECT_TIMEOUT, open_unlimited(host, encryption)).await.map_err(too_slow)?
}

async fn open_unlimited(host: &Host, encryption: &Encryption) -> Result<Box<dyn Stream>, Failure> {
    let Encryption::Tls { ca } = encryption else { return Ok(Box::new(tcp(host).await?)) };
    // The files are read each time, so that renewed certificates count without a restart.
    let config = trust::client(ca.as_deref()).map_err(Failure::Tls)?;
    let name = ServerName::try_from(host.name.clone()).map_err(|error| Failure::Tls(error.to_string()))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp(host).await?).await;
    Ok(Box::new(stream.map_err(|error| Failure::Tls(error.to_string()))?))
}

async fn tcp(host: &Host) -> Result<TcpStream, Failure> {
    let failed = Failure::doing("connecting");
    let stream = TcpStream::connect((host.name.as_str(), host.port)).await.map_err(&failed)?;
    let most = u32::try_from(UNACKNOWLEDGED_MAX.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&stream, most).map_err(|error| failed(error.into()))?;
    Ok(stream)
}
