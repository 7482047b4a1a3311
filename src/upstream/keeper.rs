//! Keeps what is accepted against what is offered, and publishes the catalogue that follows.
//!
//! Must never list, let alone call, a definition that is not accepted and on disk (DESIGN §4.6, CASES
//! A55, A56). Every change goes through one lock, one after the other; readers take a snapshot.

mod acceptance;
mod entered;
mod moves;
mod shown;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, watch};

use super::catalogue::Catalogue;
use super::failure::Detail;
use super::listing::{Offered, TOOLS_MAX};
use super::lock::{self, Accepted, Definition, LockError};
use super::notice::{Notice, Notices, Quarantine, claimed};
use super::settings::{Pins, Settings};
use crate::model::name::UpstreamName;
use crate::model::pin::{PinChange, Pinned};
use crate::wire::Revision;
use entered::Entered;
use moves::{Moves, Sights};

pub(super) use shown::catalogue;
pub use shown::is_own_name;

pub use acceptance::{AcceptError, Acceptance, PinReport, PinState, PinnedDefinition};

/// Most accepted definitions of one kind of one upstream, those that it no longer offers included.
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
    entered: ArcSwap<Entered>,
    counts: ArcSwap<HashMap<UpstreamName, PinCounts>>,
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

/// What counts of the pins of one upstream, beside what the catalogue says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PinCounts {
    /// Definitions that are not offered as they were accepted.
    pub changed: usize,
    /// Definitions that are offered and were never accepted.
    pub waiting: usize,
    /// Definitions, accepted or offered, in which something looks suspicious.
    pub suspicious: usize,
}

#[derive(Debug)]
struct State {
    roster: Roster,
    accepted: Accepted,
    offered: HashMap<UpstreamName, Offer>,
    sights: Sights,
}

/// What an upstream offers, as far as it was ever asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Offer {
    /// Its tools and instructions as its last list had them; of prompts and templates what any list had last.
    pinned: BTreeMap<Pinned, Definition>,
    /// Tools that may not be listed, and why: by name, bounded and printable.
    quarantined: BTreeMap<String, Quarantine>,
}

impl Keeper {
    /// Reads the lock file and publishes what it holds.
    pub(super) fn open(roster: Roster, lock_path: PathBuf, notices: Notices) -> Result<Self, LockError> {
        let accepted = lock::read(&lock_path)?;
        let mut state = State { roster, accepted, offered: HashMap::new(), sights: Sights::default() };
        let catalogue = shown::catalogue(0, &state.roster.settings, &state.accepted, &state.offered);
        let (entered, counts) = (Entered::of(&state.accepted, &state.offered), state.counts());
        Ok(Self {
            lock_path,
            notices,
            state: Mutex::new(state),
            snapshot: ArcSwap::from_pointee(catalogue),
            entered: ArcSwap::from_pointee(entered),
            counts: ArcSwap::from_pointee(counts),
            version: watch::Sender::new(0),
        })
    }

    /// The catalogue that [`Keeper::replace`] would publish now.
    pub(super) async fn draft(&self, roster: &Roster) -> Catalogue {
        let state = self.state.lock().await;
        let version = self.snapshot.load().version() + 1;
        catalogue(version, &roster.settings, &state.accepted, &state.still_offered(roster))
    }

    /// Keeps the definitions of `roster` from now on. What was accepted stays accepted, also of an
    /// upstream that is no longer there; what was offered stays known of the launches that go on. Where
    /// `pins` asks for less than before, what waits is accepted as if it were offered now.
    pub(super) async fn replace(&self, roster: Roster) {
        let mut state = self.state.lock().await;
        state.offered = state.still_offered(&roster);
        state.roster = roster;
        for settings in Arc::clone(&state.roster.settings).iter() {
            if let Some(offer) = state.offered.get(&settings.name).cloned() {
                self.settle(&mut state, settings, offer).await;
            }
        }
        self.publish(&mut state);
    }

    /// The catalogue as it is now.
    pub(super) fn catalogue(&self) -> Arc<Catalogue> {
        self.snapshot.load_full()
    }

    /// What counts of the pins of `upstream`.
    pub(super) fn counts(&self, upstream: &UpstreamName) -> PinCounts {
        self.counts.load().get(upstream).copied().unwrap_or_default()
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
        let state = self.state.lock().await;
        state.accepted.contains_key(upstream) || state.offered.contains_key(upstream)
    }

    /// Takes in what an instance of `launch` offers now, in `revision`.
    pub(super) async fn offer(&self, launch: &Arc<Settings>, offered: Offered, revision: Revision) {
        let mut state = self.state.lock().await;
        let Some((all, settings)) = state.settings_of(launch) else { return };
        let mut offered = offered;
        shown::sift(&state.accepted, &all, &settings, &mut offered);
        let tools = offered.tools.into_iter().map(|(tool, definition)| (Pinned::Tool(tool), definition));
        let instructions = offered.instructions.map(|definition| (Pinned::Instructions, definition));
        let pinned = tools.chain(instructions);
        let mut offer = Offer {
            pinned: pinned.map(|(pinned, definition)| (pinned, definition.offered_in(revision))).collect(),
            quarantined: offered.quarantined,
        };
        let before = state.offered.get(&launch.name);
        let entries =
            before.into_iter().flat_map(|before| &before.pinned).filter(|(pinned, _)| is_entry(pinned));
        offer.pinned.extend(entries.map(|(pinned, definition)| (pinned.clone(), definition.clone())));
        self.settle(&mut state, &settings, offer).await;
        self.publish(&mut state);
    }

    /// Takes in the prompts or templates that an instance of `launch` lists now, in `revision`. What it does
    /// not list may be listed by the instance of somebody else.
    pub(super) async fn offer_entries(
        &self,
        launch: &Arc<Settings>,
        entries: &[(Pinned, Definition)],
        revision: Revision,
    ) {
        let mut state = self.state.lock().await;
        let Some((_, settings)) = state.settings_of(launch) else { return };
        // An instance that lists anything has listed its tools.
        let Some(mut offer) = state.offered.get(&launch.name).cloned() else { return };
        let entries = entries.iter().cloned();
        offer.pinned.extend(entries.map(|(pinned, definition)| (pinned, definition.offered_in(revision))));
        self.settle(&mut state, &settings, offer).await;
        self.publish(&mut state);
    }

    /// Makes `offer` what is offered, accepts of it what `pins` accepts, and tells what is different.
    async fn settle(&self, state: &mut State, settings: &Settings, mut offer: Offer) {
        let upstream = &settings.name;
        let none = BTreeMap::new();
        let known = state.accepted.get(upstream).unwrap_or(&none);
        let before = state.offered.get(upstream).cloned();
        shed(known, &mut offer);
        let mut moves = Moves::of(settings, known, before.as_ref(), &offer);
        let is_new = settings.pins != Pins::Lock && !state.accepted.contains_key(upstream);
        if is_new || moves.takes_any() {
            let mut accepted = state.accepted.clone();
            accepted.entry(upstream.clone()).or_default().extend(moves.taken(&offer));
            match self.store(accepted).await {
                Ok(accepted) => state.accepted = accepted,
                // What is not on disk is not accepted: after a crash another definition could take
                // its place as the first one seen.
                Err(error) => {
                    moves.take_nothing();
                    self.notices.tell(Notice::LockUnwritable { why: Detail::of_error(&error) });
                }
            }
        }
        let told = moves.told(&mut state.sights, &offer);
        if !told.is_empty() {
            self.notices.tell(Notice::Pins(told));
        }
        self.tell_quarantined(upstream, before.as_ref(), &offer);
        state.offered.insert(upstream.clone(), offer);
    }

    async fn store(&self, accepted: Accepted) -> Result<Accepted, LockError> {
        let path = self.lock_path.clone();
        let written = tokio::task::spawn_blocking(move || lock::write(&path, &accepted).map(|()| accepted));
        written.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(LockError::Io { doing: "write", path: self.lock_path.clone(), source })
        })
    }

    fn tell_quarantined(&self, upstream: &UpstreamName, before: Option<&Offer>, now: &Offer) {
        for (name, why) in &now.quarantined {
            if before.and_then(|before| before.quarantined.get(name)) != Some(why) {
                let (upstream, name) = (upstream.clone(), claimed(name));
                self.notices.tell(Notice::Quarantined { upstream, name, why: *why });
            }
        }
    }

    fn publish(&self, state: &mut State) {
        self.counts.store(Arc::new(state.counts()));
        self.entered.store(Arc::new(Entered::of(&state.accepted, &state.offered)));
        let before = self.snapshot.load();
        let version = before.version() + 1;
        let catalogue = shown::catalogue(version, &state.roster.settings, &state.accepted, &state.offered);
        if catalogue.is_same(&before) {
            return;
        }
        self.snapshot.store(Arc::new(catalogue));
        self.version.send_replace(version);
        self.notices.tell(Notice::ToolsChanged { version });
    }
}

impl State {
    /// The settings of all and of the upstream that `launch` was started for; none where another launch of
    /// it is in force.
    fn settings_of(&self, launch: &Arc<Settings>) -> Option<(Arc<[Settings]>, Settings)> {
        let all = Arc::clone(&self.roster.settings);
        let is_current = self.roster.launches.iter().any(|current| Arc::ptr_eq(current, launch));
        let settings =
            all.iter().find(|settings| settings.name == launch.name).filter(|_| is_current)?.clone();
        Some((all, settings))
    }

    /// What is offered by the launches that are in `roster` too.
    fn still_offered(&self, roster: &Roster) -> HashMap<UpstreamName, Offer> {
        let mut offered = self.offered.clone();
        offered.retain(|upstream, _| {
            let launch = |roster: &Roster| {
                roster.launches.iter().find(|launch| launch.name == *upstream).map(Arc::as_ptr)
            };
            launch(&self.roster) == launch(roster)
        });
        offered
    }

    /// What counts of the pins of every upstream.
    fn counts(&mut self) -> HashMap<UpstreamName, PinCounts> {
        let mut counts = HashMap::new();
        let none = (BTreeMap::new(), Offer::default());
        for settings in self.roster.settings.iter() {
            let accepted = self.accepted.get(&settings.name).unwrap_or(&none.0);
            let offered = &self.offered.get(&settings.name).unwrap_or(&none.1).pinned;
            let waiting = offered.keys().filter(|pinned| !accepted.contains_key(*pinned)).count();
            let is_other = |(pinned, now): &(&Pinned, &Definition)| {
                accepted.get(*pinned).is_none_or(|accepted| accepted.digest != now.digest)
            };
            let others: Vec<_> = offered.iter().filter(is_other).map(|(_, definition)| definition).collect();
            let changed = others.len() - waiting;
            let all = accepted.values().chain(others);
            let suspicious = all.filter(|definition| !self.sights.of(definition).is_empty()).count();
            counts.insert(settings.name.clone(), PinCounts { changed, waiting, suspicious });
        }
        self.sights.forget_all_but(&self.accepted, &self.offered);
        counts
    }
}

/// Whether it is listed by instances, each its own, and not by the catalogue.
fn is_entry(pinned: &Pinned) -> bool {
    matches!(pinned, Pinned::Prompt(_) | Pinned::Template(_))
}

/// Leaves out of `offer` what there is no room for beside what is `known`: tools go to quarantine, what an
/// instance lists for itself is not listed.
fn shed(known: &BTreeMap<Pinned, Definition>, offer: &mut Offer) {
    let mut room = HashMap::new();
    for pinned in known.keys() {
        *room.entry(pinned.kind()).or_insert(0_usize) += 1;
    }
    let quarantined = &mut offer.quarantined;
    offer.pinned.retain(|pinned, _| {
        if known.contains_key(pinned) {
            return true;
        }
        let count = room.entry(pinned.kind()).or_insert(0);
        *count += 1;
        if *count > ACCEPTED_MAX
            && let Pinned::Tool(tool) = pinned
        {
            quarantined.insert(tool.as_str().to_owned(), Quarantine::TooMany);
        }
        *count <= ACCEPTED_MAX
    });
}

/// Whether a definition of which this happened is the accepted one from now on.
const fn is_taken(change: PinChange) -> bool {
    matches!(change, PinChange::First | PinChange::Taken)
}
