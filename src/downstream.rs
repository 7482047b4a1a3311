//! Sockets toward agents: Streamable HTTP over TCP and unix sockets, up to the face of the gateway.
//!
//! Guards what can be judged by a request's head alone, authenticates before it reads a body, and hands
//! on a principal, the protocol's own headers and one bounded body. Must never decide about a call, never
//! parse JSON, and never hand on a header that claims a label (invariant I3, CASES A26 to A28). Trusts
//! nothing that a request says.

mod certificates;
mod challenge;
mod change;
mod entrance;
mod events;
mod guards;
mod headers;
mod reply;
mod settings;
mod to_end;
mod token;

pub use certificates::{CERTIFICATE_POLL_INTERVAL, Certificates};
pub use change::{LEAVE_MAX, Plan, Unready, Why};
pub use events::KEEP_ALIVE_INTERVAL;
pub use reply::FIRST_EVENT_WAIT;
pub use settings::*;
pub use token::{TOKEN_BODY_BYTES_MAX, TOKEN_PATH};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::socket::{self, BindError, Cover, Drained, Listener, Passed, Place, Server, Tls};
use crate::telemetry::Metrics;

use entrance::Entrance;

/// The one path that is served to agents.
pub const MCP_PATH: &str = "/mcp";

/// A listener that is bound and not served yet, so that nothing is half-started when another one fails.
#[derive(Debug)]
pub struct Bound {
    settings: ListenSettings,
    listener: Listener,
    tls: Option<Tls>,
}

impl Bound {
    /// Binds one listener. Peers connect from now on, and wait until it is served.
    ///
    /// # Errors
    /// [`BindError`] says why it cannot, and what to do.
    pub async fn bind(settings: ListenSettings, clock: &Clock) -> Result<Self, BindError> {
        let tls = tls(&settings, clock)?;
        let listener = match &settings.bind {
            Bind::Tcp(address) => socket::bind_covered(*address, cover(&settings, tls.as_ref())).await?,
            Bind::Unix { path, mode } => socket::bind_unix(path, *mode)?,
        };
        Ok(Self { settings, listener, tls })
    }

    /// Takes over a socket that the service manager bound and passed, under the rules for one's own.
    ///
    /// # Errors
    /// [`BindError`] says why it is not served.
    pub fn adopt(settings: ListenSettings, passed: Passed, clock: &Clock) -> Result<Self, BindError> {
        let tls = tls(&settings, clock)?;
        let listener = match &settings.bind {
            Bind::Tcp(_) => passed.adopt_tcp(cover(&settings, tls.as_ref()))?,
            Bind::Unix { mode, .. } => passed.adopt_unix(*mode)?,
        };
        Ok(Self { settings, listener, tls })
    }

    fn serve(self, limits: &Limits, gateway: &Arc<Gateway>) -> Served {
        let Self { settings, listener, tls } = self;
        let entrance = Arc::new(Entrance::new(settings, listener.place(), limits, Arc::clone(gateway)));
        let server = Server::start(listener, limits.of_connections(), Arc::clone(&entrance));
        Served { server, entrance, tls }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &ListenSettings {
        &self.settings
    }

    /// Where it is reached: a URL, or the path of a socket.
    #[must_use]
    pub fn endpoint(&self) -> String {
        change::endpoint(change::spoken(self.tls.as_ref()), self.place())
    }

    /// Where it really listens: the port that the kernel chose where 0 was asked for.
    #[must_use]
    pub fn place(&self) -> &Place {
        self.listener.place()
    }
}

/// The certificate of a listener, if it has one.
fn tls(settings: &ListenSettings, clock: &Clock) -> Result<Option<Tls>, BindError> {
    let uid = rustix::process::geteuid().as_raw();
    let load = |files| Tls::load(files, uid, clock.clone());
    Ok(settings.reach.tls.clone().map(load).transpose()?)
}

fn cover(settings: &ListenSettings, tls: Option<&Tls>) -> Cover {
    Cover { tls: tls.cloned(), proxies: settings.reach.proxies.clone() }
}

/// Every listener being served. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Downstream {
    served: Vec<Served>,
    /// Listeners that are no longer configured, until their last answer has left or [`LEAVE_MAX`].
    leaving: JoinSet<Drained>,
    certificates: Certificates,
    /// Looks at the files of the certificates. Ends with this value.
    _watch: JoinSet<()>,
}

/// One listener being served.
struct Served {
    server: Server,
    entrance: Arc<Entrance>,
    tls: Option<Tls>,
}

impl fmt::Debug for Served {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Served").field(&self.server).finish()
    }
}

impl Downstream {
    /// Serves `bound` until drained. Has to be called within a tokio runtime.
    #[must_use]
    pub fn serve(
        bound: Vec<Bound>,
        limits: &Limits,
        gateway: &Arc<Gateway>,
        metrics: &Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let served = bound.into_iter().map(|bound| bound.serve(limits, gateway)).collect();
        let certificates = Certificates::new(Vec::new(), clock, Arc::clone(metrics));
        let mut downstream = Self { served, leaving: JoinSet::new(), certificates, _watch: JoinSet::new() };
        downstream.watch_certificates();
        downstream
    }

    /// The certificates of the listeners, to take them up anew when somebody asks.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Looks from now on at the certificates of the listeners that are served now.
    fn watch_certificates(&mut self) {
        let with_tls = self.served.iter().filter_map(|served| {
            let name = served.entrance.settings().name;
            Some((name, served.tls.clone()?))
        });
        self.certificates = self.certificates.of(with_tls.collect());
        let mut watch = JoinSet::new();
        watch.spawn(self.certificates.clone().watch());
        self._watch = watch;
    }

    /// Closes the listeners and what idles. The gateway ends its streams; then [`Self::drain`].
    pub fn stop_accepting(&self) {
        for served in &self.served {
            served.server.stop_accepting();
        }
    }

    /// Stops accepting, lets answers in flight end within `deadline` and cuts the others.
    pub async fn drain(self, deadline: Duration) -> Drained {
        let Self { served, mut leaving, .. } = self;
        let mut draining = JoinSet::new();
        draining.spawn(async move {
            let left = async { while leaving.join_next().await.is_some() {} };
            match tokio::time::timeout(deadline, left).await {
                Ok(()) => Drained::Whole,
                Err(_) => Drained::Cut(leaving.len()),
            }
        });
        for served in served {
            draining.spawn(served.server.drain(deadline));
        }
        let cut: usize = draining.join_all().await.iter().map(|drained| drained.cut()).sum();
        if cut == 0 { Drained::Whole } else { Drained::Cut(cut) }
    }
}
