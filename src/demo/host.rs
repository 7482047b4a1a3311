//! Streamable HTTP for a demo server.
//!
//! Must never listen beyond loopback, nor hold more connections than its limit.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::Error;

/// Connections that one demo server holds at once; a further one waits to be accepted.
const CONNECTIONS_MAX: usize = 128;

/// A demo server that listens. It stops when this is dropped.
#[derive(Debug)]
pub struct Host {
    addr: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Host {
    pub(super) async fn bind<S>(addr: SocketAddr, server: S) -> Result<Self, Error>
    where
        S: ServerHandler + Clone + Send + Sync + 'static,
    {
        if !addr.ip().is_loopback() {
            return Err(Error::NotLoopback(addr));
        }
        let listener = TcpListener::bind(addr).await.map_err(|error| Error::Listen(addr, error))?;
        let addr = listener.local_addr().map_err(|error| Error::Listen(addr, error))?;
        // Sessions come and go, the mailbox stays: each gets a handle to the same content.
        let service = StreamableHttpService::new(
            move || Ok(server.clone()),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        Ok(Self { addr, accepting: tokio::spawn(accept(listener, service)) })
    }

    /// Where its MCP endpoint is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.addr)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<S>(listener: TcpListener, service: StreamableHttpService<S, LocalSessionManager>)
where
    S: ServerHandler + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        // An error here is of the one connection, or a shortage that passes.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let service = service.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let service = service.clone();
                async move { Ok::<_, std::convert::Infallible>(service.handle(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            let _ended = connection.serve_connection(TokioIo::new(stream), answer).await;
            drop(place);
        });
    }
}
