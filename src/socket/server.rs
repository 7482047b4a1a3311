//! The accept loop of one listener and the connections it holds.
//!
//! Must never hold more connections than its limit, nor outlive the value that stands for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::bind::Accepted;
use super::connection::{self, Respond, refusal_body};
use super::stream::Stream;
use super::{ConnectionLimits, LINGER_TIMEOUT, Listener, Place, REFUSALS_MAX, tls};
use crate::model::reason::Reason;

/// How long accepting pauses after the system refused, for instance because no descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener being served. Dropping it closes the listener and every connection at once.
#[derive(Debug)]
pub struct Server {
    place: Place,
    drain: watch::Sender<bool>,
    limits: watch::Sender<ConnectionLimits>,
    task: JoinHandle<JoinSet<()>>,
}

/// How draining ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every answer was given whole.
    Whole,
    /// So many connections were cut at the deadline.
    Cut(usize),
}

impl Drained {
    /// How many connections were cut.
    #[must_use]
    pub const fn cut(self) -> usize {
        match self {
            Self::Whole => 0,
            Self::Cut(connections) => connections,
        }
    }
}

impl Server {
    /// Serves `listener` until it is drained or dropped. Has to be called within a tokio runtime.
    #[must_use]
    pub fn start<R: Respond>(listener: Listener, limits: ConnectionLimits, responder: Arc<R>) -> Self {
        let place = listener.place().clone();
        let (drain, draining) = watch::channel(false);
        let (limits, granted) = watch::channel(limits);
        let task = tokio::spawn(accept(listener, granted, responder, draining));
        Self { place, drain, limits, task }
    }

    /// From now on connections are granted this. Those that are open keep what they were granted.
    pub fn limit(&self, limits: ConnectionLimits) {
        self.limits.send_replace(limits);
    }

    /// Where it listens.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Stops accepting and closes idle connections at once. Those that are answering go on.
    pub fn stop_accepting(&self) {
        self.drain.send_replace(true);
    }

    /// Stops accepting, lets answers in flight end within `deadline`, and cuts the others.
    pub async fn drain(mut self, deadline: Duration) -> Drained {
        self.stop_accepting();
        let finish = async {
            let Ok(mut connections) = (&mut self.task).await else {
                return Drained::Whole;
            };
            let waited =
                tokio::time::timeout(deadline, async { while connections.join_next().await.is_some() {} });
            match waited.await {
                Ok(()) => Drained::Whole,
                Err(_) => Drained::Cut(connections.len()),
            }
        };
        finish.await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<R: Respond>(
    listener: Listener,
    granted: watch::Receiver<ConnectionLimits>,
    responder: Arc<R>,
    mut draining: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let mut refusals = JoinSet::new();
    let connection_drain = draining.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = draining.wait_for(|drain| *drain) => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                report_panic(ended);
                continue;
            }
            Some(_) = refusals.join_next(), if !refusals.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let limits = *granted.borrow();
        match accepted {
            Ok(Accepted::Undeclared) => responder.refused(Reason::ProxyUndeclared),
            Ok(accepted) if connections.len() < limits.connections_max => {
                let (responder, drain) = (Arc::clone(&responder), connection_drain.clone());
                connections.spawn(welcome(accepted, responder, limits, drain));
            }
            Ok(accepted) => {
                responder.refused(Reason::ConnectionsFull);
                // To say it inside TLS would cost the handshake that there is no room for.
                if let Accepted::Open(stream, _) = accepted
                    && refusals.len() < REFUSALS_MAX
                {
                    refusals.spawn(turn_away(stream));
                }
            }
            Err(error) => {
                tracing::warn!(listener = %listener.place(), %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections
}

async fn welcome<R: Respond>(
    accepted: Accepted,
    responder: Arc<R>,
    limits: ConnectionLimits,
    drain: watch::Receiver<bool>,
) {
    match accepted {
        Accepted::Open(stream, peer) => {
            connection::serve(stream, peer, responder, limits, drain, std::future::pending()).await;
        }
        Accepted::Tls(stream, peer, tls) => tls::serve(stream, peer, tls, responder, limits, drain).await,
        Accepted::Undeclared => {}
    }
}

/// A panic ends one connection and is a fault of ours; the gateway goes on.
fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection panicked");
    }
}

/// Tells a connection that there is no room, without reading what it asks.
async fn turn_away(mut stream: Stream) {
    let body = refusal_body(Reason::ConnectionsFull);
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = [head.as_bytes(), &body].concat();
    // Whether the peer hears it is its own affair: in either case the connection ends within the limit.
    let _ = tokio::time::timeout(LINGER_TIMEOUT, async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        let mut thrown_away = [0; 1024];
        while stream.read(&mut thrown_away).await? > 0 {}
        Ok::<_, std::io::Error>(())
    })
    .await;
}
