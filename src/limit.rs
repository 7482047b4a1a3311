//! How many calls may be in flight: in the gateway, per principal or claimed run, per upstream.
//!
//! Must never evict a live call to make room, never wait, and never know what it admits: the proof it
//! wraps is generic. Trusts that what it admits is dropped when the call has ended.
//!
//! Every table is bounded by construction: an entry exists only while a call of it is in flight, so
//! there are never more entries than `in_flight_max`.

mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::name::{EntryPointName, Subject, Txn, UpstreamName};
use crate::model::principal::Principal;
use crate::model::reason::Reason;

pub use settings::*;

/// Admits calls while there is room. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Shared>);

/// Whose call it is and where it goes.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// The caller; its calls are counted per entry point and claimed run, where its credential names one:
    /// a family of agents has one count (DESIGN §5). Else per entry point and subject.
    pub principal: &'a Principal,
    /// The upstream.
    pub upstream: &'a UpstreamName,
}

/// The proof that there was room for what it wraps. The room is free again when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Admission<P> {
    permit: P,
    place: InFlight,
}

/// One place among the calls in flight, kept until it is dropped.
#[must_use]
pub struct InFlight {
    shared: Arc<Shared>,
    caller: Caller,
    upstream: UpstreamName,
}

/// How many calls are in flight now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// In the whole gateway.
    pub in_flight: usize,
    /// Principals that have any.
    pub principals: usize,
    /// Per upstream that has any.
    pub per_upstream: BTreeMap<UpstreamName, usize>,
}

impl Gate {
    /// A gate with room as `settings` say.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let table = Mutex::new(Table { settings, ..Table::default() });
        Self(Arc::new(Shared { table, emptied: Notify::new() }))
    }

    /// From now on there is room as `settings` say. What is in flight stays, also where it is more.
    pub fn adjust(&self, settings: Settings) {
        self.0.table().settings = settings;
    }

    /// Takes a place for `permit`, or hands it back with the reason why there is none.
    ///
    /// # Errors
    /// `draining`, `gateway_busy`, `principal_busy` or `upstream_busy`, looked at in this order.
    pub fn admit<P>(&self, permit: P, keys: Keys<'_>) -> Result<Admission<P>, (P, Reason)> {
        let caller = Caller::of(keys.principal);
        let taken = self.0.table().take(&caller, keys.upstream);
        match taken {
            Ok(()) => {
                let upstream = keys.upstream.clone();
                let place = InFlight { shared: Arc::clone(&self.0), caller, upstream };
                Ok(Admission { permit, place })
            }
            Err(reason) => Err((permit, reason)),
        }
    }

    /// From now on every call is refused with `draining`; those in flight go on.
    pub fn drain(&self) {
        self.0.table().intake = Intake::Closed;
        self.0.emptied.notify_waiters();
    }

    /// Whether calls are refused with `draining`.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.table().intake == Intake::Closed
    }

    /// Returns once the gate is draining and the last call in flight has ended.
    pub async fn drained(&self) {
        loop {
            let changed = self.0.emptied.notified();
            // The state is read after the subscription, so that no change between the two is missed.
            let done = self.0.table().is_drained();
            if done {
                return;
            }
            changed.await;
        }
    }

    /// How many calls are in flight now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let table = self.0.table();
        Figures {
            in_flight: table.in_flight,
            principals: table.callers.len(),
            per_upstream: table.upstreams.iter().map(|(name, count)| (name.clone(), *count)).collect(),
        }
    }
}

impl<P> Admission<P> {
    /// What was admitted.
    pub fn permit(&self) -> &P {
        &self.permit
    }

    /// What was admitted, and its place, to be kept until the outcome is recorded.
    pub fn into_parts(self) -> (P, InFlight) {
        (self.permit, self.place)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let emptied = {
            let mut table = self.shared.table();
            table.give_back(&self.caller, &self.upstream);
            table.is_drained()
        };
        if emptied {
            self.shared.emptied.notify_waiters();
        }
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InFlight").field("caller", &self.caller).field("upstream", &self.upstream).finish()
    }
}

/// What calls are counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Caller {
    entry_point: EntryPointName,
    unit: Unit,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Unit {
    Subject(Subject),
    Claim(Txn),
}

impl Caller {
    fn of(principal: &Principal) -> Self {
        let unit = match principal.claimed() {
            Some(txn) => Unit::Claim(txn.clone()),
            None => Unit::Subject(principal.subject.clone()),
        };
        Self { entry_point: principal.entry_point.clone(), unit }
    }
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    /// Told when the last call in flight of a draining gate has ended.
    emptied: Notify,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        // No code that holds the lock can panic; were it poisoned, the counts would still be whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Table {
    settings: Settings,
    intake: Intake,
    in_flight: usize,
    callers: HashMap<Caller, usize>,
    upstreams: HashMap<UpstreamName, usize>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Intake {
    #[default]
    Open,
    Closed,
}

impl Table {
    fn take(&mut self, caller: &Caller, upstream: &UpstreamName) -> Result<(), Reason> {
        let settings = &self.settings;
        if self.intake == Intake::Closed {
            return Err(Reason::Draining);
        }
        // An upstream without a limit was never checked by `config`: it gets nothing.
        let upstream_max = settings.in_flight_per_upstream_max.get(upstream).copied().unwrap_or_default();
        let of_caller = self.callers.get(caller).copied().unwrap_or_default();
        let of_upstream = self.upstreams.get(upstream).copied().unwrap_or_default();
        let refusals = [
            (self.in_flight >= settings.in_flight_max, Reason::GatewayBusy),
            (of_caller >= settings.in_flight_per_principal_max, Reason::PrincipalBusy),
            (of_upstream >= upstream_max, Reason::UpstreamBusy),
        ];
        if let Some((_, reason)) = refusals.into_iter().find(|(is_full, _)| *is_full) {
            return Err(reason);
        }
        self.in_flight += 1;
        self.callers.insert(caller.clone(), of_caller + 1);
        self.upstreams.insert(upstream.clone(), of_upstream + 1);
        Ok(())
    }

    fn give_back(&mut self, caller: &Caller, upstream: &UpstreamName) {
        self.in_flight = self.in_flight.saturating_sub(1);
        count_down(&mut self.callers, caller);
        count_down(&mut self.upstreams, upstream);
    }

    fn is_drained(&self) -> bool {
        self.intake == Intake::Closed && self.in_flight == 0
    }
}

/// An entry that reaches zero goes, so that the table holds live keys alone.
fn count_down<Key: std::hash::Hash + Eq>(counts: &mut HashMap<Key, usize>, key: &Key) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
