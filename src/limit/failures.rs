//! How many credentials from one address were refused in this minute.
//!
//! Must never grow beyond its bound, nor forget a count before its minute is over: what has no place is counted
//! together. An address says nothing about who is there, so nothing but this is decided by it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::model::budget::{Start, Window};

/// Most addresses that are counted apart in one minute. Those beyond share one count.
pub const ADDRESSES_MAX: usize = 16_384;

/// Counts refused credentials.
#[derive(Debug, Default)]
pub struct Failures(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    per_minute: Option<u64>,
    minute: Option<Start>,
    counts: HashMap<IpAddr, u64>,
    /// Of every address that found no place.
    others: u64,
}

impl Failures {
    /// Lets so many be refused in a minute; any number where `per_minute` is absent.
    #[must_use]
    pub fn new(per_minute: Option<u64>) -> Self {
        Self(Mutex::new(Table { per_minute, ..Table::default() }))
    }

    /// From now on so many. What was counted stays.
    pub fn adjust(&self, per_minute: Option<u64>) {
        self.table().per_minute = per_minute;
    }

    /// Whether a credential from `address` is looked at.
    ///
    /// # Errors
    /// In how many seconds it will be.
    pub fn check(&self, address: IpAddr, now: Timestamp) -> Result<(), u64> {
        let mut table = self.table();
        let Some(per_minute) = table.per_minute else { return Ok(()) };
        table.turn(now);
        let counted = table.counts.get(&network(address)).copied();
        let is_full = table.counts.len() >= ADDRESSES_MAX;
        let refused = counted.unwrap_or(if is_full { table.others } else { 0 });
        if refused < per_minute { Ok(()) } else { Err(Window::Minute.left_s(now)) }
    }

    /// One from `address` was refused.
    pub fn count(&self, address: IpAddr, now: Timestamp) {
        let mut table = self.table();
        if table.per_minute.is_none() {
            return;
        }
        table.turn(now);
        if table.counts.len() < ADDRESSES_MAX {
            table.counts.entry(network(address)).or_default();
        }
        let Table { counts, others, .. } = &mut *table;
        let count = counts.get_mut(&network(address)).unwrap_or(others);
        *count = count.saturating_add(1);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Begins a new minute, where it is one.
    fn turn(&mut self, now: Timestamp) {
        let minute = Window::Minute.start(now);
        // A clock that was set back begins none.
        if self.minute.is_none_or(|current| minute > current) {
            self.counts.clear();
            self.others = 0;
        }
        self.minute = Some(minute);
    }
}

/// What one holder of addresses has as a rule: one of version 4, a /64 of version 6 (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        four => four,
    }
}
