//! The only place that reads the clocks of the machine.
//!
//! Everything else is handed a [`Clock`], so that tests own time. Must never decide anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// What the machine's monotonic clock shows (`CLOCK_MONOTONIC`), for other processes that read it too.
#[must_use]
pub fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // The kernel's clock never shows a time before it started.
    Duration::try_from(now).unwrap_or_default()
}

/// A source of wall time and of monotonic time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    System { started: Instant },
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    /// Wall time when nothing had elapsed.
    wall_start: Mutex<Timestamp>,
    elapsed_ns: AtomicU64,
}

impl Clock {
    /// The clocks of the machine.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads them")]
    pub fn system() -> Self {
        Self(Kind::System { started: Instant::now() })
    }

    /// A clock that stands at `wall` until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(wall: Timestamp) -> Self {
        Self(Kind::Manual(Arc::new(Manual { wall_start: Mutex::new(wall), elapsed_ns: AtomicU64::new(0) })))
    }

    /// Wall time, UTC. May jump in either direction.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads them")]
    pub fn wall(&self) -> Timestamp {
        match &self.0 {
            Kind::System { .. } => Timestamp::now(),
            Kind::Manual(manual) => {
                let wall_start = *manual.wall_start.lock().unwrap_or_else(PoisonError::into_inner);
                wall_start.checked_add(manual.elapsed()).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Time since this clock was made. Never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Kind::System { started } => started.elapsed(),
            Kind::Manual(manual) => manual.elapsed(),
        }
    }

    /// Moves a manual clock forward. A system clock does not move.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual(manual) = &self.0 {
            let by_ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            manual.elapsed_ns.fetch_add(by_ns, Ordering::AcqRel);
        }
    }

    /// Sets the wall time of a manual clock, in either direction, as whoever sets the clock of a machine does. Its
    /// monotonic time goes on from where it is. A system clock is not set.
    pub fn set_wall(&self, wall: Timestamp) {
        if let Kind::Manual(manual) = &self.0 {
            let start = wall.checked_sub(manual.elapsed()).unwrap_or(Timestamp::MIN);
            *manual.wall_start.lock().unwrap_or_else(PoisonError::into_inner) = start;
        }
    }
}

impl Manual {
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed_ns.load(Ordering::Acquire))
    }
}
