//! From a TCP connection to an HTTP connection inside TLS.
//!
//! Must never hold up the listener, nor last longer than its limit: it runs in the connection's own task
//! and counts as a connection from its first byte on.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{Tls, der};
use crate::model::certificate::ClientCertificate;
use crate::model::reason::Reason;
use crate::socket::connection::{self, Respond, refusal_body};
use crate::socket::stream::Stream;
use crate::socket::{ConnectionLimits, HANDSHAKE_TIMEOUT, LINGER_BYTES_MAX, LINGER_TIMEOUT, Peer};

/// Serves one connection of a TLS listener: the handshake, and what comes after it.
pub(in crate::socket) async fn serve<R: Respond>(
    tcp: TcpStream,
    peer: Peer,
    tls: Tls,
    responder: Arc<R>,
    limits: ConnectionLimits,
    mut drain: watch::Receiver<bool>,
) {
    // From before the certificate is verified on, so that no change of authorities falls between.
    let trust = tls.trust();
    let shaken = tokio::select! {
        biased;
        _ = drain.wait_for(|drain| *drain) => return,
        shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, shake(tcp, &tls)) => shaken,
    };
    match shaken.unwrap_or(Err(Failure::Slow)) {
        Ok((stream, certificate)) => {
            let ends = Tls::ends(tls.0.clock.clone(), certificate.clone(), trust);
            let peer = Peer { certificate, ..peer };
            connection::serve(stream, peer, responder, limits, drain, ends).await;
        }
        Err(Failure::Gone) => {}
        Err(Failure::Slow) => responder.refused(Reason::TlsHandshakeFailed),
        Err(Failure::Tls(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            responder.refused(Reason::TlsHandshakeFailed);
        }
        Err(Failure::PlainHttp(tcp)) => {
            responder.refused(Reason::TlsHandshakeFailed);
            tell_plain(tcp).await;
        }
    }
}

enum Failure {
    /// The peer said nothing and went away.
    Gone,
    /// It took too long.
    Slow,
    /// There is no common version, a certificate does not verify, or the bytes are not TLS.
    Tls(io::Error),
    /// The peer speaks HTTP without TLS.
    PlainHttp(TcpStream),
}

async fn shake(tcp: TcpStream, tls: &Tls) -> Result<(Stream, Option<Arc<ClientCertificate>>), Failure> {
    let mut first = [0; 1];
    match tcp.peek(&mut first).await {
        Ok(0) | Err(_) => return Err(Failure::Gone),
        // Every method of HTTP begins with a letter, and no record of TLS does (RFC 8446, 5.1).
        Ok(_) if first.iter().all(u8::is_ascii_alphabetic) => return Err(Failure::PlainHttp(tcp)),
        Ok(_) => {}
    }
    let stream = TlsAcceptor::from(tls.config()).accept(tcp).await.map_err(Failure::Tls)?;
    let (_, session) = stream.get_ref();
    let certificate = match session.peer_certificates().and_then(|chain| chain.first()) {
        None => None,
        Some(shown) => {
            let unread = || Failure::Tls(io::Error::other("the client certificate cannot be read"));
            Some(Arc::new(der::client(shown).ok_or_else(unread)?))
        }
    };
    Ok((Stream::Tls(Box::new(stream)), certificate))
}

/// Tells a client that speaks plain HTTP what is wrong, without reading what it asks.
async fn tell_plain(mut tcp: TcpStream) {
    let body = refusal_body(Reason::TlsHandshakeFailed);
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let answer = [head.as_bytes(), &body].concat();
    // Whether the peer hears it is its own affair: in either case the connection ends within the limit.
    let _ = tokio::time::timeout(LINGER_TIMEOUT, async {
        tcp.write_all(&answer).await?;
        tcp.shutdown().await?;
        let mut rest = tcp.take(LINGER_BYTES_MAX as u64);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
        Ok::<_, io::Error>(())
    })
    .await;
}
