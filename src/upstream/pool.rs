//! The instances of one upstream: who shares which, how many there are, when they start and end.
//!
//! Must never let two subjects (or runs) share an instance unless `share` says so (I9), evict an
//! instance that is in use, or start more than `instances_max`. A full table refuses the new (I11).

mod supervise;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::Entries;
use super::breaker::{Breaker, Closed, Effect};
use super::browse::Audience;
use super::failure::{Detail, Failure};
use super::instance::{Instance, Parts};
use super::keeper::Keeper;
use super::notice::Notice;
use super::settings::Share;
use crate::model::facts::RunId;
use crate::model::name::Subject;
use crate::wire::ListKind;

/// Keys that are remembered beyond the instances that may run, for their breakers.
const REMEMBERED_MAX: usize = 256;
/// How often one call may find that the instance it waited for is gone again.
const ATTEMPTS_MAX: usize = 3;

/// Who shares an instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    All,
    Subject(Subject),
    Run(RunId),
    /// Nobody yet: it was started for the catalogue, and goes to the first who needs one. It has been
    /// told nothing but a handshake, so there is nothing in it of anybody.
    Unclaimed,
}

/// The instances of one upstream. Clones are the same pool.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    parts: Parts,
    keeper: Arc<Keeper>,
    /// One permit for each instance that runs, starts or is being ended.
    places: Arc<Semaphore>,
    table: Mutex<Table>,
    /// Whoever refreshes the list holds it, and a moment longer: at most one refresh a second (F42).
    refreshing: tokio::sync::Mutex<()>,
    duty: watch::Sender<Duty>,
}

/// What the instances of a pool are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    /// To serve calls.
    Serve,
    /// To end: no call can come any more, because what they were started from is no longer configured.
    Retire,
    /// To end: the gateway does.
    Stop,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<Key, Slot>,
    /// Failed starts, whoever wanted them. What ended after a start is its key's own fault.
    starts: Breaker,
    attempts: Attempts,
}

/// Whether an instance was ever wanted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempts {
    #[default]
    None,
    Some,
}

#[derive(Debug, Default)]
struct Slot {
    state: State,
    breaker: Breaker,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Down,
    /// Since when, by the monotonic clock; the receiver tells how it ended.
    Starting(Duration, watch::Receiver<Option<Result<(), Failure>>>),
    Up(Arc<Instance>),
}

/// How a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Instances that are up.
    pub instances: usize,
    /// Whether its starts, or the instance of at least one key, are left alone after repeated failures.
    pub is_left_alone: bool,
}

/// A pool that is no longer configured. Does not keep it alive.
#[derive(Debug)]
pub(super) struct Remembered(Weak<Shared>);

impl Remembered {
    /// The pool, if something of it still runs.
    pub(super) fn pool(&self) -> Option<Pool> {
        self.0.upgrade().map(Pool)
    }
}

/// An instance in use. While it lives the instance is not reaped.
#[derive(Debug)]
pub(super) struct Lease(Arc<Instance>);

impl Pool {
    pub(super) fn new(parts: Parts, keeper: Arc<Keeper>) -> Self {
        let places = Arc::new(Semaphore::new(parts.settings.instances_max));
        Self(Arc::new(Shared {
            parts,
            keeper,
            places,
            table: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
            duty: watch::Sender::new(Duty::Serve),
        }))
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// The key of a call.
    pub(super) fn key(&self, subject: &Subject, run: &RunId) -> Key {
        match self.0.parts.settings.share {
            Share::All => Key::All,
            Share::Subject => Key::Subject(subject.clone()),
            Share::Run => Key::Run(run.clone()),
        }
    }

    /// The key of an instance that is only asked for its tools.
    pub(super) fn key_for_listing(&self) -> Key {
        match self.0.parts.settings.share {
            Share::All => Key::All,
            Share::Subject | Share::Run => Key::Unclaimed,
        }
    }

    /// Whether anybody ever wanted an instance.
    pub(super) fn attempts(&self) -> Attempts {
        self.0.table().attempts
    }

    /// The instance of `key`, started if it does not run. The start goes on if the caller goes away.
    pub(super) async fn acquire(&self, key: &Key) -> Result<Lease, Failure> {
        for _ in 0..ATTEMPTS_MAX {
            let mut starting = match self.0.find(key) {
                Found::Up(lease) => return Ok(lease),
                Found::Starting(_, starting) => starting,
                Found::Down => self.begin(key)?,
            };
            let ended = starting.wait_for(Option::is_some).await;
            match ended.map(|outcome| outcome.clone()) {
                Ok(Some(Err(failure))) => return Err(failure),
                Ok(_) => {}
                Err(_) => return Err(Failure::Unavailable(Detail::new("its start was given up"))),
            }
        }
        Err(Failure::Unavailable(Detail::new("it ends as soon as it has started")))
    }

    /// What the instance of `lease` lists of `kind`, as far as it is accepted.
    pub(super) async fn entries(
        &self,
        lease: &Lease,
        kind: ListKind,
        deadline: Instant,
    ) -> Result<Entries, Failure> {
        let kept = lease.entries(kind, deadline).await?;
        Ok(self.0.keeper.admit(&self.0.parts.settings, kept, lease.revision()).await)
    }

    /// How long the start that is under way for a list has been going on, if one is.
    pub(super) fn listing_for(&self) -> Option<Duration> {
        let now = self.0.parts.clock.monotonic();
        match self.0.find(&self.key_for_listing()) {
            Found::Starting(since, _) => Some(now.saturating_sub(since)),
            Found::Up(_) | Found::Down => None,
        }
    }

    /// How the pool is at `now`.
    pub(super) fn condition(&self) -> Condition {
        let now = self.0.parts.clock.monotonic();
        let table = self.0.table();
        let is_up = |slot: &&Slot| matches!(slot.state, State::Up(_));
        let open = Some(Closed::Open);
        let is_left_alone = table.starts.check(now).err() == open
            || table.slots.values().any(|slot| slot.breaker.check(now).err() == open);
        Condition { instances: table.slots.values().filter(is_up).count(), is_left_alone }
    }

    /// Ends all instances and takes no new calls. Returns when every child is gone.
    pub(super) async fn stop(&self) {
        self.0.duty.send_replace(Duty::Stop);
        let all = u32::try_from(self.0.parts.settings.instances_max).unwrap_or(u32::MAX);
        // Every supervisor holds a permit until what it supervised is gone.
        let _ = self.0.places.acquire_many(all).await;
    }

    /// Ends all instances: nobody holds the pool any more who could send a call.
    pub(super) fn retire(&self) {
        self.0.duty.send_if_modified(|duty| {
            let serves = *duty == Duty::Serve;
            if serves {
                *duty = Duty::Retire;
            }
            serves
        });
    }

    /// The pool, for as long as something of it runs.
    pub(super) fn remember(&self) -> Remembered {
        Remembered(Arc::downgrade(&self.0))
    }

    /// Starts an instance for `key` in a task of its own, or says why not now.
    fn begin(&self, key: &Key) -> Result<watch::Receiver<Option<Result<(), Failure>>>, Failure> {
        if *self.0.duty.borrow() != Duty::Serve {
            return Err(Failure::Draining);
        }
        let now = self.0.parts.clock.monotonic();
        let mut table = self.0.table();
        table.attempts = Attempts::Some;
        let slots_max = self.0.parts.settings.instances_max.saturating_add(REMEMBERED_MAX);
        if table.slots.len() >= slots_max {
            table.slots.retain(|_, slot| !matches!(slot.state, State::Down) || !slot.breaker.is_calm(now));
        }
        if table.slots.len() >= slots_max && !table.slots.contains_key(key) {
            return Err(Failure::InstancesFull);
        }
        table.starts.check(now).map_err(refused)?;
        let slot = table.slots.entry(key.clone()).or_default();
        // Somebody else may have begun since this caller looked.
        if let State::Starting(_, starting) = &slot.state {
            return Ok(starting.clone());
        }
        slot.breaker.check(now).map_err(refused)?;
        let place = Arc::clone(&self.0.places).try_acquire_owned().map_err(|_| Failure::InstancesFull)?;
        let (told, starting) = watch::channel(None);
        slot.state = State::Starting(now, starting.clone());
        drop(table);
        tokio::spawn(run(Arc::clone(&self.0), key.clone(), place, told));
        Ok(starting)
    }
}

enum Found {
    Up(Lease),
    Starting(Duration, watch::Receiver<Option<Result<(), Failure>>>),
    Down,
}

impl Shared {
    fn find(&self, key: &Key) -> Found {
        let mut table = self.table();
        if *key != Key::Unclaimed {
            table.claim(key);
        }
        match table.slots.get(key).map(|slot| &slot.state) {
            Some(State::Up(instance)) if !instance.exchange().is_retired() => Found::Up(Lease::of(instance)),
            Some(State::Starting(since, starting)) => Found::Starting(*since, starting.clone()),
            Some(State::Up(_) | State::Down) | None => Found::Down,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No code that holds the lock can panic; were it poisoned, the table would still be whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_started(&self, key: &Key, instance: &Arc<Instance>) {
        let mut table = self.table();
        table.starts.worked();
        table.slots.entry(key.clone()).or_default().state = State::Up(Arc::clone(instance));
    }

    fn note_start_failed(&self, key: &Key) {
        let now = self.parts.clock.monotonic();
        let effect = {
            let mut table = self.table();
            if let Some(slot) = table.slots.get_mut(key) {
                slot.state = State::Down;
            }
            table.starts.failed(now)
        };
        self.tell_opened(effect);
    }

    /// Takes `instance` out of the table, so that the next call starts another.
    fn note_leaving(&self, instance: &Arc<Instance>) {
        if let Some(slot) = self.table().slot_of(instance) {
            slot.state = State::Down;
        }
    }

    /// Takes `instance` out of the table unless it is in use. Under the lock that hands it out.
    fn note_leaving_if_unused(&self, instance: &Arc<Instance>) -> Option<()> {
        let mut table = self.table();
        let is_unused = *instance.uses().borrow() == 0;
        let slot = table.slot_of(instance).filter(|_| is_unused)?;
        slot.state = State::Down;
        Some(())
    }

    /// Notes that `instance` died. One that had answered since its start begins a new row of failures.
    fn note_died(&self, instance: &Arc<Instance>) {
        let now = self.parts.clock.monotonic();
        let effect = self.table().slot_of(instance).map(|slot| {
            slot.state = State::Down;
            if instance.exchange().has_answered() {
                slot.breaker.worked();
            }
            slot.breaker.failed(now)
        });
        self.tell_opened(effect.unwrap_or(Effect::Delayed));
    }

    /// Who shares `instance`; nobody yet where it is unclaimed or gone.
    fn audience(&self, instance: &Arc<Instance>) -> Option<Audience> {
        let table = self.table();
        let is_it = |slot: &Slot| matches!(&slot.state, State::Up(up) if Arc::ptr_eq(up, instance));
        match table.slots.iter().find(|(_, slot)| is_it(slot))?.0 {
            Key::All => Some(Audience::All),
            Key::Subject(subject) => Some(Audience::Subject(subject.clone())),
            Key::Run(run) => Some(Audience::Run(run.clone())),
            Key::Unclaimed => None,
        }
    }

    fn tell_opened(&self, effect: Effect) {
        if effect == Effect::Opened {
            let upstream = self.parts.settings.name.clone();
            self.parts.notices.tell(Notice::BreakerOpen { upstream });
        }
    }
}

impl Table {
    /// Gives the unclaimed instance to `key`, if `key` has none and is not left alone.
    fn claim(&mut self, key: &Key) {
        if self.slots.get(key).is_some_and(|slot| !matches!(slot.state, State::Down)) {
            return;
        }
        let Some(unclaimed) = self.slots.get_mut(&Key::Unclaimed) else { return };
        if matches!(&unclaimed.state, State::Up(instance) if !instance.exchange().is_retired()) {
            let state = std::mem::take(&mut unclaimed.state);
            self.slots.entry(key.clone()).or_default().state = state;
        }
    }

    fn slot_of(&mut self, instance: &Arc<Instance>) -> Option<&mut Slot> {
        let is_it = |slot: &&mut Slot| matches!(&slot.state, State::Up(up) if Arc::ptr_eq(up, instance));
        self.slots.values_mut().find(is_it)
    }
}

impl Lease {
    fn of(instance: &Arc<Instance>) -> Self {
        instance.uses().send_modify(|uses| *uses += 1);
        Self(Arc::clone(instance))
    }

    /// The same instance, in use once more.
    pub(super) fn again(&self) -> Self {
        Self::of(&self.0)
    }
}

impl std::ops::Deref for Lease {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.uses().send_modify(|uses| *uses = uses.saturating_sub(1));
    }
}

fn refused(closed: Closed) -> Failure {
    match closed {
        Closed::BackingOff => Failure::Unavailable(Detail::new("it failed a moment ago")),
        Closed::Open => Failure::Broken,
    }
}

/// Starts one instance and stays with it until it is gone.
async fn run(
    shared: Arc<Shared>,
    key: Key,
    place: OwnedSemaphorePermit,
    told: watch::Sender<Option<Result<(), Failure>>>,
) {
    let mut duty = shared.duty.subscribe();
    let started = tokio::select! {
        biased;
        started = shared.parts.start() => started,
        _ = duty.wait_for(|duty| *duty != Duty::Serve) => {
            // Dropping the start kills the child's group.
            shared.note_start_failed(&key);
            told.send_replace(Some(Err(Failure::Draining)));
            return;
        }
    };
    let upstream = shared.parts.settings.name.clone();
    match started {
        Ok((instance, attendance, offered)) => {
            let instance = Arc::new(instance);
            shared.parts.counters.starts.count();
            // What it offers is known before anybody can call it.
            shared.keeper.offer(&shared.parts.settings, offered, instance.revision()).await;
            shared.note_started(&key, &instance);
            let revision = instance.revision().as_str();
            shared.parts.notices.tell(Notice::Started { upstream, revision });
            told.send_replace(Some(Ok(())));
            drop(told);
            supervise::supervise(&shared, &instance, attendance).await;
        }
        Err(error) => {
            let why = Detail::of_error(&error);
            shared.parts.counters.start_failures.count();
            shared.note_start_failed(&key);
            shared.parts.notices.tell(Notice::StartFailed { upstream, why: why.clone() });
            told.send_replace(Some(Err(Failure::Unavailable(why))));
        }
    }
    drop(place);
}
