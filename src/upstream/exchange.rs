//! One JSON-RPC session with one instance: our requests that wait, and what to do with what comes in.
//!
//! Requests carry our own numbers, never a client's (CASES F27, F28), and a number is never used
//! twice, so that a late answer cannot be taken for another call's (F31). Must never wait, so that one
//! call cannot hold up the others of its instance, and never trust that an answer was asked for.

mod inbound;
mod watched;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::aside::Aside;
use super::failure::{Answer, Detail, Failure};
use super::figures::Counters;
use super::notice::Notices;
use super::rate::Bucket;
use super::settings::Share;
use crate::clock::Clock;
use crate::model::name::UpstreamName;
use crate::wire::input::Asked;
use crate::wire::{Id, ListKind};

pub(super) use inbound::{Gathered, Received, Scope};
pub(super) use watched::Watched;
use watched::Watchers;

/// Most requests of ours that wait on one instance. `limit` refuses calls long before.
const PENDING_MAX: usize = 4096;
/// Refused requests of one instance that are told at once after a quiet time.
const REFUSALS_BURST: u64 = 16;
/// Time after which one more refused request may be told.
const REFUSALS_INTERVAL: Duration = Duration::from_secs(1);

/// The requests that wait, and what the instance said beside answering them.
#[derive(Debug)]
pub(super) struct Exchange {
    upstream: UpstreamName,
    notices: Notices,
    counters: Arc<Counters>,
    table: Mutex<Table>,
    refusals: Mutex<Bucket>,
    next: AtomicU64,
    answered: AtomicBool,
    watchers: Mutex<Watchers>,
    /// Whether the instance speaks a revision in which it asks nothing.
    stateless: AtomicBool,
    /// Whether others than one caller use the instance: then nobody could be asked for whom it asks.
    shared: bool,
    /// How often the instance said that its tools changed.
    list_changes: watch::Sender<u64>,
    /// The same of what else it lists.
    entry_changes: watch::Sender<EntryChanges>,
    /// Set once: no new calls for this instance; those that run may end.
    retired: watch::Sender<bool>,
    /// Told when a call got no answer in time.
    suspect: Notify,
}

#[derive(Debug, Default)]
struct Table {
    waiting: HashMap<u64, Entry>,
    closed: Option<Detail>,
}

#[derive(Debug)]
struct Entry {
    reply: oneshot::Sender<Result<Answer, Failure>>,
    relay: Option<Relay>,
    lasts: Lasts,
}

/// How long a request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasts {
    /// Until it is answered.
    ForAnswer,
    /// For as long as somebody listens: its answer is its end.
    Open,
}

/// Where what an instance says to a call goes.
#[derive(Debug, Clone)]
pub(super) struct Relay {
    /// What needs no answer. What finds it full is dropped.
    pub(super) asides: mpsc::Sender<Aside>,
    /// What does.
    pub(super) posed: mpsc::Sender<Posed>,
}

/// A question of an instance that has requests of its own, up to 2025-11-25.
#[derive(Debug)]
pub(super) struct Posed {
    /// What the instance calls it.
    pub(super) id: Id,
    /// What it asks.
    pub(super) asked: Asked,
}

/// How often an instance said that something else than its tools changed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryChanges {
    prompts: u64,
    resources: u64,
}

impl EntryChanges {
    /// How often that of `kind` did. Templates change with the resources.
    pub(super) fn of(self, kind: ListKind) -> u64 {
        match kind {
            ListKind::Prompts => self.prompts,
            ListKind::Resources | ListKind::ResourceTemplates | ListKind::Tools => self.resources,
        }
    }

    fn count(&mut self, kind: ListKind) {
        let counter = match kind {
            ListKind::Prompts => &mut self.prompts,
            ListKind::Resources | ListKind::ResourceTemplates | ListKind::Tools => &mut self.resources,
        };
        *counter = counter.wrapping_add(1);
    }
}

/// One request of ours that waits. Forgotten when dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    exchange: Arc<Exchange>,
    id: u64,
    reply: oneshot::Receiver<Result<Answer, Failure>>,
}

impl Exchange {
    /// A session on which nothing was said yet.
    pub(super) fn new(
        upstream: UpstreamName,
        notices: Notices,
        counters: Arc<Counters>,
        clock: Clock,
        share: Share,
    ) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            notices,
            counters,
            table: Mutex::default(),
            refusals: Mutex::new(Bucket::full(clock, REFUSALS_BURST, REFUSALS_INTERVAL)),
            next: AtomicU64::new(1),
            answered: AtomicBool::new(false),
            watchers: Mutex::default(),
            stateless: AtomicBool::new(false),
            shared: share == Share::All,
            list_changes: watch::Sender::new(0),
            entry_changes: watch::Sender::default(),
            retired: watch::Sender::new(false),
            suspect: Notify::new(),
        })
    }

    /// Makes room for one request. Progress of it goes to `relay`.
    pub(super) fn expect(self: &Arc<Self>, relay: Option<Relay>) -> Result<Waiting, Failure> {
        self.enter(relay, Lasts::ForAnswer)
    }

    /// Makes room for a subscription, which stays open: its answer is its end.
    pub(super) fn expect_standing(self: &Arc<Self>) -> Result<Waiting, Failure> {
        self.enter(None, Lasts::Open)
    }

    fn enter(self: &Arc<Self>, relay: Option<Relay>, lasts: Lasts) -> Result<Waiting, Failure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, reply) = oneshot::channel();
        let mut table = self.table();
        if let Some(why) = &table.closed {
            return Err(Failure::Unavailable(why.clone()));
        }
        if table.waiting.len() >= PENDING_MAX {
            return Err(Failure::Unavailable(Detail::new("too many requests wait on this instance")));
        }
        table.waiting.insert(id, Entry { reply: sender, relay, lasts });
        Ok(Waiting { exchange: Arc::clone(self), id, reply })
    }

    /// Says that the instance speaks a revision in which it asks nothing and is answered nothing.
    pub(super) fn note_stateless(&self) {
        self.stateless.store(true, Ordering::Relaxed);
    }

    /// Ends the session: everything that waits fails now (CASES F24), and nothing new may wait.
    pub(super) fn close(&self, why: &Detail) {
        let waiting = {
            let mut table = self.table();
            table.closed.get_or_insert_with(|| why.clone());
            std::mem::take(&mut table.waiting)
        };
        self.forget_watchers();
        for (_, entry) in waiting {
            // Whoever waited may have gone; then there is nobody to tell.
            let _ = entry.reply.send(Err(Failure::Closed(why.clone())));
        }
    }

    /// Takes no new calls from now on; those that run may end.
    pub(super) fn retire(&self) {
        self.retired.send_replace(true);
        self.forget_watchers();
    }

    /// Whether new calls must go elsewhere.
    pub(super) fn is_retired(&self) -> bool {
        self.has_expired() || self.table().closed.is_some()
    }

    /// Whether the other side no longer knows the session.
    pub(super) fn has_expired(&self) -> bool {
        *self.retired.borrow()
    }

    /// Waits until [`Exchange::retire`].
    pub(super) async fn retired(&self) {
        // The sender lives as long as `self`, so this ends only when the value is set.
        let _ = self.retired.subscribe().wait_for(|retired| *retired).await;
    }

    /// Says that a call got no answer in time.
    pub(super) fn suspect(&self) {
        self.suspect.notify_one();
    }

    /// Waits until a call got no answer in time.
    pub(super) async fn suspected(&self) {
        self.suspect.notified().await;
    }

    /// Tells how often the instance said that its tools changed.
    pub(super) fn list_changes(&self) -> watch::Receiver<u64> {
        self.list_changes.subscribe()
    }

    /// Tells how often the instance said that its prompts or its resources changed.
    pub(super) fn entry_changes(&self) -> watch::Receiver<EntryChanges> {
        self.entry_changes.subscribe()
    }

    /// Acts as if the instance had said that its list of `kind` changed.
    pub(super) fn list_changed(&self, kind: ListKind) {
        match kind {
            ListKind::Tools => self.list_changes.send_modify(|count| *count = count.wrapping_add(1)),
            _ => self.entry_changes.send_modify(|changes| changes.count(kind)),
        }
    }

    /// Acts as if the instance had said that everything it lists changed.
    pub(super) fn everything_changed(&self) {
        for kind in [ListKind::Tools, ListKind::Prompts, ListKind::Resources] {
            self.list_changed(kind);
        }
    }

    /// Whether the instance ever answered a call.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Says that the instance answered a call.
    pub(super) fn note_answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// The counters of the upstream.
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Ends the wait of `id` with `outcome`; counted where nothing waits under it (CASES F30, F31).
    fn settle(&self, id: u64, outcome: Result<Answer, Failure>) -> Received {
        let entry = self.table().waiting.remove(&id);
        let settled = entry.is_some_and(|entry| entry.reply.send(outcome).is_ok());
        if !settled {
            self.counters.unmatched_responses.count();
            return Received::Nothing;
        }
        Received::Settled
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No code that holds the lock can panic; were it poisoned, the table would still be whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// The number of the request.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The session it waits on.
    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Whether the answer is there already.
    pub(super) fn is_settled(&self) -> bool {
        !self.exchange.table().waiting.contains_key(&self.id)
    }

    /// Waits for the answer. Cancel safe.
    pub(super) async fn answer(&mut self) -> Result<Answer, Failure> {
        let lost = || Failure::Closed(Detail::new("the session ended"));
        (&mut self.reply).await.unwrap_or_else(|_| Err(lost()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.exchange.table().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests;
