//! Listeners come and go while others are served: bound before anything is changed, drained after.
//!
//! Must never close a listener that both configurations have, nor one that is not replaced yet: whoever is
//! connected to it keeps the connection, and what comes next is judged by the new settings.

use std::sync::Arc;
use std::time::Duration;

use super::{Bind, Bound, Downstream, Limits, ListenSettings, MCP_PATH, Served};
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::model::change::{Changes, listed};
use crate::model::place;
use crate::socket::{BindError, Place, Scheme, Tls};

/// How long a listener that is no longer configured may take for the answers that it owes; then its
/// connections, streams among them, are cut.
pub const LEAVE_MAX: Duration = Duration::from_secs(5 * 60);

/// The listeners of another configuration: everything that may fail was done. Dropped, it leaves nothing
/// behind.
#[derive(Debug)]
pub struct Plan {
    listeners: Vec<Planned>,
}

#[derive(Debug)]
enum Planned {
    /// The listener at this place among those that are served goes on.
    Kept(usize, ListenSettings),
    /// It is bound now.
    Fresh(Bound),
}

/// A listener that cannot be had.
#[derive(Debug)]
pub struct Unready {
    /// Which one.
    pub name: String,
    /// Where it is written.
    pub place: place::Place,
    /// Why.
    pub why: Why,
}

/// Why a listener cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// Its place cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The socket has another mode, and is served.
    #[error("the mode of a socket cannot change while it is served")]
    Mode,
    /// It comes from the service manager, or came from there.
    #[error("what a service manager passes comes and goes with a start alone")]
    Passed,
    /// The address is served, with other TLS files or other proxies.
    #[error("`tls` and `behind_proxy` of an address cannot change while it is served")]
    Cover,
}

impl Plan {
    /// Name and place of each listener: a URL, or the path of a socket.
    #[must_use]
    pub fn listening(&self, served: &Downstream) -> Vec<(String, String)> {
        let place = |planned: &Planned| match planned {
            Planned::Kept(at, settings) => {
                let kept = served.served.get(*at)?;
                Some((settings.name.clone(), endpoint(spoken(kept.tls.as_ref()), kept.server.place())))
            }
            Planned::Fresh(bound) => Some((bound.settings.name.clone(), bound.endpoint())),
        };
        self.listeners.iter().filter_map(place).collect()
    }
}

/// What is really spoken at a listener: behind a proxy that is plain HTTP.
pub(super) fn spoken(tls: Option<&Tls>) -> Scheme {
    if tls.is_some() { Scheme::Https } else { Scheme::Http }
}

/// Where a listener is reached: a URL, or the path of a socket.
pub(super) fn endpoint(scheme: Scheme, place: &Place) -> String {
    match place {
        Place::Tcp(address) => format!("{}://{address}{MCP_PATH}", scheme.word()),
        Place::Unix(path) => path.display().to_string(),
    }
}

impl Downstream {
    /// Makes ready to serve `settings`: binds what is not bound yet. Nothing that is served changes.
    ///
    /// # Errors
    /// Every listener that cannot be had; nothing stays bound then.
    pub async fn prepare(&self, settings: Vec<ListenSettings>, clock: &Clock) -> Result<Plan, Vec<Unready>> {
        let (mut listeners, mut unready): (Vec<Planned>, Vec<Unready>) = (Vec::new(), Vec::new());
        for settings in settings {
            let (name, place) = (settings.name.clone(), settings.place.clone());
            let refuse = |why| Unready { name, place, why };
            match self.place_of(&settings) {
                Spot::Served(at) => listeners.push(Planned::Kept(at, settings)),
                Spot::OtherMode => unready.push(refuse(Why::Mode)),
                Spot::OtherCover => unready.push(refuse(Why::Cover)),
                Spot::Passed => unready.push(refuse(Why::Passed)),
                Spot::Free => match Bound::bind(settings, clock).await {
                    Ok(bound) => listeners.push(Planned::Fresh(bound)),
                    Err(error) => unready.push(refuse(error.into())),
                },
            }
        }
        unready.extend(self.left_by(&listeners));
        if unready.is_empty() { Ok(Plan { listeners }) } else { Err(unready) }
    }

    /// What `plan` changes at the sockets, and which of it lets somebody in who was not.
    #[must_use]
    pub fn changes(&self, plan: &Plan) -> Changes {
        let mut changes = Changes::default();
        for (at, served) in self.served.iter().enumerate() {
            if !plan.listeners.iter().any(|planned| matches!(planned, Planned::Kept(kept, _) if *kept == at))
            {
                changes.change(format!("listener {} is gone", served.entrance.settings().name));
            }
        }
        for planned in &plan.listeners {
            match planned {
                Planned::Fresh(bound) => {
                    let place = bound.endpoint();
                    changes.widen(format!("listener {} is new at {place}", bound.settings.name));
                }
                Planned::Kept(at, new) => {
                    let Some(old) = self.served.get(*at).map(|served| served.entrance.settings()) else {
                        continue;
                    };
                    if old.name != new.name {
                        changes.change(format!("listener {} is called {} now", old.name, new.name));
                    }
                    let names: Vec<_> =
                        new.reach.hosts.iter().filter(|host| !old.reach.hosts.contains(host)).collect();
                    if !names.is_empty() {
                        changes.widen(format!("listener {}: answers to {}", new.name, listed(&names)));
                    } else if new.reach.hosts != old.reach.hosts {
                        changes.change(format!("listener {}: answers to fewer names", new.name));
                    }
                    let more: Vec<_> =
                        new.origins.iter().filter(|origin| !old.origins.contains(origin)).collect();
                    if !more.is_empty() {
                        changes.widen(format!(
                            "listener {}: pages of {} may use it",
                            new.name,
                            listed(&more)
                        ));
                    } else if new.origins != old.origins {
                        changes.change(format!("listener {}: fewer pages may use it", new.name));
                    }
                }
            }
        }
        changes
    }

    /// Serves what `plan` says from now on. What is not in it stops accepting at once and is drained.
    pub fn follow(&mut self, plan: Plan, limits: &Limits, gateway: &Arc<Gateway>) {
        let mut before: Vec<Option<Served>> =
            std::mem::take(&mut self.served).into_iter().map(Some).collect();
        for planned in plan.listeners {
            let served = match planned {
                Planned::Fresh(bound) => Some(bound.serve(limits, gateway)),
                Planned::Kept(at, settings) => before.get_mut(at).and_then(Option::take).inspect(|kept| {
                    kept.server.limit(limits.of_connections());
                    kept.entrance.follow(settings, limits);
                }),
            };
            self.served.extend(served);
        }
        for gone in before.into_iter().flatten() {
            gone.server.stop_accepting();
            self.leaving.spawn(gone.server.drain(LEAVE_MAX));
        }
        self.watch_certificates();
        // Those that have left are forgotten, so that the set holds live ones alone.
        while self.leaving.try_join_next().is_some() {}
    }

    /// Passed sockets that nobody would serve any more: their maker still listens, and whoever connects
    /// would wait without end.
    fn left_by(&self, planned: &[Planned]) -> Vec<Unready> {
        let is_kept =
            |at| planned.iter().any(|planned| matches!(planned, Planned::Kept(kept, _) if *kept == at));
        let left = self.served.iter().enumerate().filter(|(at, _)| !is_kept(*at));
        let passed = left.map(|(_, served)| served.entrance.settings()).filter(|old| old.systemd.is_some());
        passed
            .map(|old| Unready { name: old.name.clone(), place: old.place.clone(), why: Why::Passed })
            .collect()
    }

    /// Whether something is served already where `settings` want to listen.
    fn place_of(&self, settings: &ListenSettings) -> Spot {
        for (at, served) in self.served.iter().enumerate() {
            let known = served.entrance.settings();
            let spot = |otherwise: Option<Spot>| match otherwise {
                Some(spot) => spot,
                None if known.systemd != settings.systemd => Spot::Passed,
                None => Spot::Served(at),
            };
            match (&known.bind, &settings.bind) {
                // The system chose the port for the listener of this name.
                (Bind::Tcp(_), Bind::Tcp(new)) if new.port() == 0 && known.name != settings.name => {}
                (Bind::Tcp(old), Bind::Tcp(new)) if old == new => {
                    let is_covered_alike = known.reach.tls == settings.reach.tls
                        && known.reach.proxies == settings.reach.proxies;
                    return spot((!is_covered_alike).then_some(Spot::OtherCover));
                }
                (Bind::Unix { path: old, mode }, Bind::Unix { path: new, mode: wanted }) if old == new => {
                    return spot((mode != wanted).then_some(Spot::OtherMode));
                }
                _ => {}
            }
        }
        if settings.systemd.is_some() { Spot::Passed } else { Spot::Free }
    }
}

/// What is where a listener wants to be.
enum Spot {
    Served(usize),
    OtherMode,
    OtherCover,
    Passed,
    Free,
}
