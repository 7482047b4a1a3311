//! Keeps what is accepted against what is offered, and publishes the catalogue that follows.
//!
//! Must never list, let alone call, a definition that is not accepted and on disk (DESIGN §4.6, CASES
//! A55, A56). Every change goes through one lock, one after the other; readers take a snapshot.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{Mutex, watch};

use super::catalogue::{Catalogue, SEPARATOR, Server, Tool, wire_name};
use super::failure::Detail;
use super::listing::{Offered, TOOLS_MAX};
use super::lock::{self, Accepted, Definition, LockError};
use super::notice::{Notice, Notices, Quarantine, claimed};
use super::settings::{Pins, Prefix, Settings};
use crate::model::call::Pin;
use crate::model::digest::Sha256;
use crate::model::name::{TOOL_NAME_BYTES_MAX, ToolId, ToolName, UpstreamName};

/// Most accepted tools of one upstream, those that it no longer offers included.
pub const ACCEPTED_MAX: usize = 2 * TOOLS_MAX;
/// The wire prefix of the gateway's own tools, which no upstream may use.
pub const OWN_PREFIX: &str = "sluicegate";

/// The accepted and the offered definitions, and the catalogue.
#[derive(Debug)]
pub(super) struct Keeper {
    lock_path: PathBuf,
    notices: Notices,
    state: Mutex<State>,
    snapshot: ArcSwap<Catalogue>,
    version: watch::Sender<u64>,
}

/// Whose definitions are kept.
#[derive(Debug, Clone)]
pub(super) struct Roster {
    /// Every upstream of the configuration.
    pub(super) settings: Arc<[Settings]>,
    /// What their instances are started from. What an instance of another launch offers does not count.
    pub(super) launches: Vec<Arc<Settings>>,
}

#[derive(Debug)]
struct State {
    roster: Roster,
    accepted: Accepted,
    offered: HashMap<UpstreamName, Offered>,
}

/// A tool whose accepted definition is not what its upstream offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinChange {
    /// The tool.
    pub tool: ToolId,
    /// The digest of the accepted definition.
    pub accepted: Sha256,
    /// The accepted definition.
    pub accepted_definition: Bytes,
    /// What is offered instead; absent where the upstream no longer offers the tool.
    pub offered: Option<(Sha256, Bytes)>,
}

/// What a person accepts: exactly what they were shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The tool.
    pub tool: ToolId,
    /// The digest of the offered definition they saw; none to forget a tool that is no longer offered.
    pub offered: Option<Sha256>,
}

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// What is offered now is not what was shown.
    #[error("`{0}` is no longer offered as it was shown; look at `pins` again")]
    Stale(ToolId),
    /// The lock file could not be written.
    #[error("the accepted definitions could not be stored")]
    Lock(#[from] LockError),
}

impl Keeper {
    /// Reads the lock file and publishes what it holds.
    pub(super) fn open(roster: Roster, lock_path: PathBuf, notices: Notices) -> Result<Self, LockError> {
        let state = State { roster, accepted: lock::read(&lock_path)?, offered: HashMap::new() };
        let catalogue = catalogue(0, &state.roster.settings, &state.accepted, &state.offered);
        let (state, snapshot) = (Mutex::new(state), ArcSwap::from_pointee(catalogue));
        Ok(Self { lock_path, notices, state, snapshot, version: watch::Sender::new(0) })
    }

    /// The catalogue that [`Keeper::replace`] would publish now.
    pub(super) async fn draft(&self, roster: &Roster) -> Catalogue {
        let state = self.state.lock().await;
        let version = self.snapshot.load().version() + 1;
        catalogue(version, &roster.settings, &state.accepted, &state.still_offered(roster))
    }

    /// Keeps the definitions of `roster` from now on. What was accepted stays accepted, also of an
    /// upstream that is no longer there; what was offered stays known of the launches that go on.
    pub(super) async fn replace(&self, roster: Roster) {
        let mut state = self.state.lock().await;
        state.offered = state.still_offered(&roster);
        state.roster = roster;
        self.publish(&state);
    }

    /// The catalogue as it is now.
    pub(super) fn catalogue(&self) -> Arc<Catalogue> {
        self.snapshot.load_full()
    }

    /// Tells the version of every catalogue from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The settings in force.
    pub(super) async fn settings(&self) -> Arc<[Settings]> {
        Arc::clone(&self.state.lock().await.roster.settings)
    }

    /// Whether the upstream was ever listed, by this gateway or one before it.
    pub(super) async fn has_seen(&self, upstream: &UpstreamName) -> bool {
        self.state.lock().await.accepted.contains_key(upstream)
    }

    /// Takes in what an instance of `launch` offers now.
    pub(super) async fn offer(&self, launch: &Arc<Settings>, mut offered: Offered) {
        let mut state = self.state.lock().await;
        let (upstream, all) = (&launch.name, Arc::clone(&state.roster.settings));
        let is_current = state.roster.launches.iter().any(|current| Arc::ptr_eq(current, launch));
        let settings = all.iter().find(|settings| settings.name == *upstream);
        let Some(settings) = settings.filter(|_| is_current) else { return };
        sift(&state.accepted, &all, settings, &mut offered);
        let fresh = first_seen(&state.accepted, settings, &mut offered);
        if !fresh.is_empty() || !state.accepted.contains_key(upstream) {
            let mut accepted = state.accepted.clone();
            accepted.entry(upstream.clone()).or_default().extend(fresh.clone());
            match self.store(accepted).await {
                Ok(accepted) => {
                    state.accepted = accepted;
                    let tools: Vec<_> =
                        fresh.into_iter().map(|(tool, definition)| (tool, definition.digest)).collect();
                    if !tools.is_empty() {
                        self.notices.tell(Notice::PinsAccepted { upstream: upstream.clone(), tools });
                    }
                }
                // What is not on disk is not accepted: after a crash another definition could take
                // its place as the first one seen.
                Err(error) => self.notices.tell(Notice::LockUnwritable { why: Detail::of_error(&error) }),
            }
        }
        let before = state.offered.insert(upstream.clone(), offered);
        self.tell(&state, upstream, before.as_ref());
        self.publish(&state);
    }

    /// Every tool whose accepted definition is not what its upstream offers now.
    pub(super) async fn pins(&self) -> Vec<PinChange> {
        let state = self.state.lock().await;
        let mut changes = Vec::new();
        for (upstream, tools) in &state.accepted {
            let Some(offered) = state.offered.get(upstream) else { continue };
            for (tool, accepted) in tools {
                let now = offered.tools.get(tool);
                if now.is_some_and(|now| now.digest == accepted.digest) {
                    continue;
                }
                changes.push(PinChange {
                    tool: ToolId { upstream: upstream.clone(), tool: tool.clone() },
                    accepted: accepted.digest,
                    accepted_definition: accepted.raw.clone(),
                    offered: now.map(|now| (now.digest, now.raw.clone())),
                });
            }
        }
        changes
    }

    /// Accepts what a person accepted: all of it, or nothing where one of it is no longer as shown.
    pub(super) async fn accept(&self, acceptances: &[Acceptance]) -> Result<(), AcceptError> {
        let mut state = self.state.lock().await;
        let mut accepted = state.accepted.clone();
        for Acceptance { tool: id, offered: shown } in acceptances {
            let stale = || AcceptError::Stale(id.clone());
            let offered = state.offered.get(&id.upstream).ok_or_else(stale)?;
            let tools = accepted.get_mut(&id.upstream).ok_or_else(stale)?;
            let now = offered.tools.get(&id.tool);
            match (now, tools.contains_key(&id.tool)) {
                (Some(now), true) if Some(now.digest) == *shown => {
                    tools.insert(id.tool.clone(), now.clone());
                }
                (None, true) if shown.is_none() => {
                    tools.remove(&id.tool);
                }
                _ => return Err(stale()),
            }
        }
        state.accepted = self.store(accepted).await?;
        self.publish(&state);
        Ok(())
    }

    async fn store(&self, accepted: Accepted) -> Result<Accepted, LockError> {
        let path = self.lock_path.clone();
        let written = tokio::task::spawn_blocking(move || lock::write(&path, &accepted).map(|()| accepted));
        written.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(LockError::Io { doing: "write", path: self.lock_path.clone(), source })
        })
    }

    /// Tells what is different from what was offered before.
    fn tell(&self, state: &State, upstream: &UpstreamName, before: Option<&Offered>) {
        let (Some(now), Some(accepted)) = (state.offered.get(upstream), state.accepted.get(upstream)) else {
            return;
        };
        for (name, why) in &now.quarantined {
            if before.and_then(|before| before.quarantined.get(name)) != Some(why) {
                let (upstream, name) = (upstream.clone(), claimed(name));
                self.notices.tell(Notice::Quarantined { upstream, name, why: *why });
            }
        }
        for (tool, accepted) in accepted {
            let digest = |offered: &Offered| offered.tools.get(tool).map(|offered| offered.digest);
            let earlier = before.and_then(digest).unwrap_or(accepted.digest);
            let Some(offered) = digest(now).filter(|digest| *digest != earlier) else { continue };
            let tool = ToolId { upstream: upstream.clone(), tool: tool.clone() };
            let accepted = accepted.digest;
            self.notices.tell(if offered == accepted {
                Notice::PinRestored { tool, digest: accepted }
            } else {
                Notice::PinChanged { tool, accepted, offered }
            });
        }
    }

    fn publish(&self, state: &State) {
        let before = self.snapshot.load();
        let version = before.version() + 1;
        let catalogue = catalogue(version, &state.roster.settings, &state.accepted, &state.offered);
        if catalogue.is_same(&before) {
            return;
        }
        self.snapshot.store(Arc::new(catalogue));
        self.version.send_replace(version);
        self.notices.tell(Notice::ToolsChanged { version });
    }
}

impl State {
    /// What is offered by the launches that are in `roster` too.
    fn still_offered(&self, roster: &Roster) -> HashMap<UpstreamName, Offered> {
        let mut offered = self.offered.clone();
        offered.retain(|upstream, _| {
            let launch = |roster: &Roster| {
                roster.launches.iter().find(|launch| launch.name == *upstream).map(Arc::as_ptr)
            };
            launch(&self.roster) == launch(roster)
        });
        offered
    }
}

/// Moves to quarantine what cannot be listed under its wire name.
fn sift(accepted: &Accepted, all: &[Settings], settings: &Settings, offered: &mut Offered) {
    let owners = owners(all, accepted);
    let problem = |tool: &ToolName| {
        let name = wire_name(settings, tool);
        let owner = owners.get(&name).is_some_and(|owner| *owner != settings.name);
        if name.len() > TOOL_NAME_BYTES_MAX {
            Some(Quarantine::WireNameTooLong)
        } else if owner || shadows(all, settings, &name) {
            Some(Quarantine::Collision)
        } else {
            None
        }
    };
    let problems = offered.tools.keys().filter_map(|tool| Some((tool.clone(), problem(tool)?)));
    for (tool, why) in problems.collect::<Vec<_>>() {
        offered.tools.remove(&tool);
        offered.quarantined.insert(tool.as_str().to_owned(), why);
    }
}

/// Whether a bare name could be taken for a tool of another upstream, seen or not yet, or for one of the
/// gateway's own (CASES A57, A58).
fn shadows(all: &[Settings], settings: &Settings, wire_name: &str) -> bool {
    let Some((prefix, _)) = wire_name.split_once(SEPARATOR) else { return false };
    let is_taken = prefix == OWN_PREFIX || all.iter().any(|other| other.name.as_str() == prefix);
    settings.prefix == Prefix::Bare && is_taken
}

/// What is offered and may be accepted because nothing of that name ever was; what is over the limit
/// goes to quarantine.
fn first_seen(
    accepted: &Accepted,
    settings: &Settings,
    offered: &mut Offered,
) -> BTreeMap<ToolName, Definition> {
    let Pins::FirstUse = settings.pins;
    let none = BTreeMap::new();
    let known = accepted.get(&settings.name).unwrap_or(&none);
    let fresh = offered.tools.iter().filter(|(tool, _)| !known.contains_key(*tool));
    let fresh: Vec<_> = fresh.map(|(tool, definition)| (tool.clone(), definition.clone())).collect();
    let room = ACCEPTED_MAX.saturating_sub(known.len());
    for (tool, _) in fresh.iter().skip(room) {
        offered.tools.remove(tool);
        offered.quarantined.insert(tool.as_str().to_owned(), Quarantine::TooMany);
    }
    fresh.into_iter().take(room).collect()
}

/// Who owns each wire name: of two upstreams that were both accepted under one, the first configured.
fn owners(settings: &[Settings], accepted: &Accepted) -> HashMap<String, UpstreamName> {
    let mut owners = HashMap::new();
    for settings in settings {
        for tool in accepted.get(&settings.name).into_iter().flat_map(BTreeMap::keys) {
            owners.entry(wire_name(settings, tool)).or_insert_with(|| settings.name.clone());
        }
    }
    owners
}

/// What is listed of what is `accepted`, as far as `offered` is known.
pub(super) fn catalogue(
    version: u64,
    settings: &[Settings],
    accepted: &Accepted,
    offered: &HashMap<UpstreamName, Offered>,
) -> Catalogue {
    let servers = settings.iter().map(Server::of).collect();
    Catalogue::new(version, tools(settings, accepted, offered), servers)
}

fn tools(settings: &[Settings], accepted: &Accepted, offered: &HashMap<UpstreamName, Offered>) -> Vec<Tool> {
    let owners = owners(settings, accepted);
    let mut tools = Vec::new();
    for settings in settings {
        let offered = offered.get(&settings.name);
        for (tool, accepted) in accepted.get(&settings.name).into_iter().flatten() {
            if owners.get(&wire_name(settings, tool)) != Some(&settings.name) {
                continue;
            }
            let pin = match offered.map(|offered| offered.tools.get(tool)) {
                // Until an instance has listed, what was accepted last time is served (DESIGN §7).
                None => Pin::Accepted(accepted.digest),
                // The upstream no longer offers it: accepted still, but not listed (CASES F43).
                Some(None) => continue,
                Some(Some(now)) if now.digest == accepted.digest => Pin::Accepted(accepted.digest),
                Some(Some(now)) => Pin::Changed { accepted: accepted.digest, offered: now.digest },
            };
            tools.extend(Tool::new(settings, tool, accepted, pin));
        }
    }
    tools
}
