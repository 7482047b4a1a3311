//! Every socket that the gateway listens on, bound before anything else is opened.
//!
//! Must never answer on one before the gateway is whole.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::Activation;
use crate::clock::Clock;
use crate::config::Config;
use crate::console::{AdminSocket, Door, Page};
use crate::downstream::{self, Bind, Bound, Downstream, ListenSettings};
use crate::gateway::Gateway;
use crate::socket::{self, ConnectionLimits, Listener, Server};
use crate::telemetry::{AdminResponder, Metrics};

/// Connections of probes, scrapers and browsers at once.
const PROBE_CONNECTIONS_MAX: usize = 64;

/// The sockets, bound and not served.
pub(super) struct Sockets {
    bound: Vec<Bound>,
    probes: Option<Listener>,
    desk: PathBuf,
    clock: Clock,
}

impl Sockets {
    /// Binds `listeners`, or takes them from what was `passed`, and binds the others that `config` asks for.
    pub(super) async fn bind(
        listeners: Vec<ListenSettings>,
        config: &Config,
        mut passed: Activation,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let mut bound = Vec::new();
        for settings in listeners {
            let place = match &settings.bind {
                Bind::Tcp(address) => address.to_string(),
                Bind::Unix { path, .. } => path.display().to_string(),
            };
            let what = format!("cannot listen on {place} (listen.{})", settings.name);
            bound.push(match settings.systemd.clone() {
                None => Bound::bind(settings, clock).await.context(what)?,
                Some(name) => {
                    passed.claim(settings, &name, clock).with_context(|| format!("{what} as `{name}`"))?
                }
            });
        }
        passed.finish()?;
        let probes = match config.admin.address {
            None => None,
            Some(address) => {
                let what = format!("cannot listen on {address} (admin.address)");
                Some(socket::bind_tcp(address).await.context(what)?)
            }
        };
        Ok(Self { bound, probes, desk: config.admin.socket.clone(), clock: clock.clone() })
    }

    /// Binds the admin socket. The journal's lock has to be held: it says that no other gateway is here.
    pub(super) fn bind_desk(&self) -> anyhow::Result<Listener> {
        let what = || format!("cannot listen on {} (admin.socket)", self.desk.display());
        AdminSocket::bind(&self.desk).with_context(what)
    }

    /// Name and place of each: a URL, or the path of a socket.
    pub(super) fn listening(&self) -> Vec<(String, String)> {
        let bound = self.bound.iter().map(|bound| (bound.settings().name.clone(), bound.endpoint()));
        bound.chain(self.probes()).collect()
    }

    /// Name and place of the listener of probes, where there is one.
    pub(super) fn probes(&self) -> Option<(String, String)> {
        let place = self.probes.as_ref()?.place();
        Some(("admin".to_owned(), format!("http://{place}")))
    }

    /// The door of the page, where there is one; `url` is where people reach it, where that is not its address.
    pub(super) fn door(&self, url: Option<String>) -> Option<Arc<Door>> {
        let place = self.probes.as_ref()?.place();
        Some(Arc::new(Door::new(url.unwrap_or_else(|| format!("http://{place}")), self.clock.clone())))
    }

    /// Answers from now on.
    pub(super) fn serve(
        self,
        limits: &downstream::Limits,
        metrics: &Arc<Metrics>,
        gateway: &Arc<Gateway>,
        door: Option<Arc<Door>>,
    ) -> (Downstream, Option<Server>) {
        let connection_limits =
            ConnectionLimits { connections_max: PROBE_CONNECTIONS_MAX, head_timeout: limits.head_timeout };
        let probes = self.probes.zip(door).map(|(listener, door)| {
            let probes = AdminResponder::new(listener.place(), Arc::clone(metrics), Arc::clone(gateway));
            let page = Page::new(listener.place(), door, Arc::clone(gateway), probes);
            Server::start(listener, connection_limits, Arc::new(page))
        });
        (Downstream::serve(self.bound, limits, gateway, metrics, self.clock), probes)
    }
}
