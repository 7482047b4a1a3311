//! How much there may be: calls in flight, in the gateway, per principal or claimed run, per upstream; and
//! whatever budgets count.
//!
//! Must never evict what is live to make room, never wait, and never know what it admits: the proof it
//! wraps is generic. Trusts that what it admits is dropped when the call has ended, and that what it counted is
//! recorded in the order in which it was counted.
//!
//! The tables of calls in flight are bounded by construction: an entry exists only while a call of it is in
//! flight, so there are never more entries than `in_flight_max` and what each call holds. What budgets count
//! is bounded by `COUNTS_MAX`.

mod budget;
mod changes;
mod failures;
mod meter;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::model::budget::{Charge, Ledger, Spent, Window};
use crate::model::change::Changes;
use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, Subject, Txn, UpstreamName};
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::Target;

pub use budget::{BUDGETS_MAX, Budget, CHARGES_PER_CALL_MAX, Filter, Per};
pub use failures::{ADDRESSES_MAX, Failures};
pub use meter::Fullness;
pub use settings::*;

use budget::{Counted, Due, due_of};
use meter::{Meter, Spending};

/// Admits calls while there is room. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Shared>);

/// Who asks for something.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The caller; its calls in flight are counted per entry point and claimed run, where its credential names
    /// one: a family of agents has one count (DESIGN §5). Else per entry point and subject.
    pub principal: &'a Principal,
    /// Its run, where one is known.
    pub run: Option<&'a RunId>,
    /// What has influenced that run.
    pub sources: &'a Provenance,
}

/// Whose call it is and where it goes.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// Who calls.
    pub who: Who<'a>,
    /// What for. A question of an upstream counts for what was called when it asked.
    pub target: &'a Target,
}

/// Why there is no room, and which budget says so, if one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub reason: Reason,
    /// The budget, and when to try again.
    pub spent: Option<Spent>,
}

/// The proof that there was room for what it wraps. The room is free again when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Admission<P> {
    permit: P,
    place: InFlight,
    charges: Vec<Charge>,
    result_max: Option<u64>,
}

/// One place among the calls in flight, kept until it is dropped.
#[must_use]
pub struct InFlight {
    shared: Arc<Shared>,
    caller: Caller,
    upstream: UpstreamName,
    /// The counts of budgets that it is in flight for.
    held: Vec<Sha256>,
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
    /// A gate with room as `settings` say, where budgets have counted what `ledger` says.
    #[must_use]
    pub fn new(settings: Settings, ledger: Ledger) -> Self {
        let budgets = ArcSwap::from_pointee(counted(&settings));
        let meter = Meter::new(ledger);
        let table = Mutex::new(Table { settings, meter, ..Table::default() });
        Self(Arc::new(Shared { table, budgets, emptied: Notify::new() }))
    }

    /// From now on there is room as `settings` say. What is in flight stays, also where it is more, and so does
    /// what was counted.
    pub fn adjust(&self, settings: Settings) {
        let mut table = self.0.table();
        self.0.budgets.store(Arc::new(counted(&settings)));
        table.settings = settings;
    }

    /// What `next` changes in the budgets of now.
    #[must_use]
    pub fn changes_by(&self, next: &Settings) -> Changes {
        changes::of(&self.0.table().settings, next)
    }

    /// Takes a place for `permit` and counts what it costs, or hands it back with the reason why there is no room.
    /// What was counted is never given back, only the place is.
    ///
    /// # Errors
    /// `draining`, `gateway_busy`, `principal_busy` or `upstream_busy`, looked at in this order; then what budgets
    /// say, and of several the one that says so for the longest time.
    pub fn admit<P>(
        &self,
        permit: P,
        keys: Keys<'_>,
        cost: u64,
        now: Timestamp,
    ) -> Result<Admission<P>, (P, Refused)> {
        let caller = Caller::of(keys.who.principal);
        let budgets = self.0.budgets.load();
        let due = match keys.due(&budgets) {
            Ok(due) => due,
            Err(budget) => return Err((permit, too_many(budget))),
        };
        let upstream = keys.target.upstream();
        let taken = self.0.table().take(&caller, upstream, &due, Spending::Call { cost }, now);
        match taken {
            Ok((charges, held)) => {
                let (shared, upstream) = (Arc::clone(&self.0), upstream.clone());
                let place = InFlight { shared, caller, upstream, held };
                let result_max = due.iter().filter_map(|due| due.budget.result_max).min();
                Ok(Admission { permit, place, charges, result_max })
            }
            Err(refused) => Err((permit, refused)),
        }
    }

    /// Counts that an upstream asks the agent's model for at most `tokens`.
    ///
    /// # Errors
    /// What budgets say against it.
    pub fn ask(&self, keys: Keys<'_>, tokens: u64, now: Timestamp) -> Result<Vec<Charge>, Refused> {
        let budgets = self.0.budgets.load();
        let due = keys.due(&budgets).map_err(too_many)?;
        self.0.table().meter.reserve(&due, Spending::Sampling { tokens }, now)
    }

    /// Counts that something was refused that would be refused again. What it was for makes no difference: of what
    /// is hidden that would say that it is there (I5).
    #[must_use]
    pub fn denied(&self, who: Who<'_>, now: Timestamp) -> Vec<Charge> {
        let budgets = self.0.budgets.load();
        if budgets.is_empty() {
            return Vec::new();
        }
        let due = due_of(&budgets, &who, None).unwrap_or_default();
        self.0.table().meter.denied(&due, now)
    }

    /// Forgets what budgets counted in windows that are over.
    pub fn sweep(&self, now: Timestamp) {
        self.0.table().meter.sweep(now);
    }

    /// How much of each limit of each budget is used.
    #[must_use]
    pub fn fullest(&self, now: Timestamp) -> Vec<Fullness> {
        let budgets = self.0.budgets.load();
        if budgets.is_empty() { Vec::new() } else { self.0.table().meter.fullest(&budgets, now) }
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

    /// What it counts for budgets: its record has to say it.
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// The largest answer that budgets let it have, in bytes.
    pub fn result_max(&self) -> Option<u64> {
        self.result_max
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
            table.give_back(&self.caller, &self.upstream, &self.held);
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
    /// The budgets of now.
    budgets: ArcSwap<Vec<Counted>>,
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
    meter: Meter,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Intake {
    #[default]
    Open,
    Closed,
}

impl Table {
    fn take(
        &mut self,
        caller: &Caller,
        upstream: &UpstreamName,
        due: &[Due<'_>],
        spending: Spending,
        now: Timestamp,
    ) -> Result<(Vec<Charge>, Vec<Sha256>), Refused> {
        let refused = |reason| Refused { reason, spent: None };
        let settings = &self.settings;
        if self.intake == Intake::Closed {
            return Err(refused(Reason::Draining));
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
            return Err(refused(reason));
        }
        let charges = self.meter.reserve(due, spending, now)?;
        self.in_flight += 1;
        self.callers.insert(caller.clone(), of_caller + 1);
        self.upstreams.insert(upstream.clone(), of_upstream + 1);
        Ok((charges, self.meter.hold(due)))
    }

    fn give_back(&mut self, caller: &Caller, upstream: &UpstreamName, held: &[Sha256]) {
        self.meter.give_back(held);
        self.in_flight = self.in_flight.saturating_sub(1);
        count_down(&mut self.callers, caller);
        count_down(&mut self.upstreams, upstream);
    }

    fn is_drained(&self) -> bool {
        self.intake == Intake::Closed && self.in_flight == 0
    }
}

fn counted(settings: &Settings) -> Vec<Counted> {
    settings.budgets.iter().cloned().map(Counted::new).collect()
}

/// A call that counts for more than its record can hold. Retrying helps where its run has fewer sources by then.
fn too_many(budget: &Budget) -> Refused {
    meter::refused(Reason::BudgetsFull, budget, "charges", Window::Minute.seconds().unsigned_abs())
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
