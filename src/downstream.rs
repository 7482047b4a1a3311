//! Sockets toward agents: Streamable HTTP on loopback and unix sockets, up to the face of the gateway.
//!
//! Guards what can be judged by a request's head alone, authenticates before it reads a body, and hands
//! on a principal, the protocol's own headers and one bounded body. Must never decide about a call, never
//! parse JSON, and never hand on a header that claims a label (invariant I3, CASES A26 to A28). Trusts
//! nothing that a request says.

mod challenge;
mod entrance;
mod events;
mod guards;
mod headers;
mod reply;
mod settings;
mod to_end;
mod token;

pub use events::KEEP_ALIVE_INTERVAL;
pub use reply::FIRST_EVENT_WAIT;
pub use settings::*;
pub use token::{TOKEN_BODY_BYTES_MAX, TOKEN_PATH};

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::gateway::Gateway;
use crate::socket::{self, BindError, ConnectionLimits, Drained, Listener, Place, Server};

use entrance::Entrance;

/// The one path that is served to agents.
pub const MCP_PATH: &str = "/mcp";

/// A listener that is bound and not served yet, so that nothing is half-started when another one fails.
#[derive(Debug)]
pub struct Bound {
    settings: ListenSettings,
    listener: Listener,
}

impl Bound {
    /// Binds one listener. Peers connect from now on, and wait until it is served.
    ///
    /// # Errors
    /// [`BindError`] says why it cannot, and what to do.
    pub async fn bind(settings: ListenSettings) -> Result<Self, BindError> {
        let listener = match &settings.bind {
            Bind::Tcp(address) => socket::bind_tcp(*address).await?,
            Bind::Unix { path, mode } => socket::bind_unix(path, *mode)?,
        };
        Ok(Self { settings, listener })
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &ListenSettings {
        &self.settings
    }

    /// Where it really listens: the port that the kernel chose where 0 was asked for.
    #[must_use]
    pub fn place(&self) -> &Place {
        self.listener.place()
    }
}

/// Every listener being served. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Downstream {
    servers: Vec<Server>,
}

impl Downstream {
    /// Serves `bound` until drained. Has to be called within a tokio runtime.
    #[must_use]
    pub fn serve(bound: Vec<Bound>, limits: &Limits, gateway: &Arc<Gateway>) -> Self {
        let connection_limits =
            ConnectionLimits { connections_max: limits.connections_max, head_timeout: limits.head_timeout };
        let servers = bound
            .into_iter()
            .map(|Bound { settings, listener }| {
                let entrance = Entrance::new(settings, listener.place(), limits, Arc::clone(gateway));
                Server::start(listener, connection_limits, Arc::new(entrance))
            })
            .collect();
        Self { servers }
    }

    /// Closes the listeners and what idles. The gateway ends its streams; then [`Self::drain`].
    pub fn stop_accepting(&self) {
        for server in &self.servers {
            server.stop_accepting();
        }
    }

    /// Stops accepting, lets answers in flight end within `deadline` and cuts the others.
    pub async fn drain(self, deadline: Duration) -> Drained {
        let mut draining = JoinSet::new();
        for server in self.servers {
            draining.spawn(server.drain(deadline));
        }
        let cut: usize = draining.join_all().await.iter().map(|drained| drained.cut()).sum();
        if cut == 0 { Drained::Whole } else { Drained::Cut(cut) }
    }
}
