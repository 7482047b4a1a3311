//! Which calls are recorded in traces.
//!
//! Must never let callers decide how much: a parent that is not sampled is followed, since who looks at that trace sees
//! nothing of it anyway, and one that is counts only so often in a second. Beyond that, our own ratio decides.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::trace::Sampling;

/// Calls in a second that are recorded because their callers say that they record the trace.
pub(super) const FOLLOWED_PER_SECOND_MAX: u32 = 100;

#[derive(Debug)]
pub(super) struct Sampler {
    /// Of 2^64 draws, how many are recorded; none stands for all of them.
    below: Option<u64>,
    /// The second of now, on the monotonic clock, and how many callers were followed in it.
    followed: Mutex<(u64, u32)>,
}

impl Sampler {
    /// One that records `ratio` of the traces that begin here.
    pub(super) fn new(ratio: f64) -> Self {
        Self { below: below(ratio), followed: Mutex::default() }
    }

    /// Whether a call is recorded whose caller says `parent` of its own span, if it names one. `draw` is random.
    pub(super) fn decide(&self, parent: Option<Sampling>, draw: u64, now: Duration) -> Sampling {
        let by_ratio = || {
            if self.below.is_none_or(|below| draw < below) { Sampling::Recorded } else { Sampling::Dropped }
        };
        match parent {
            Some(Sampling::Dropped) => Sampling::Dropped,
            Some(Sampling::Recorded) if self.may_follow(now) => Sampling::Recorded,
            Some(Sampling::Recorded) | None => by_ratio(),
        }
    }

    fn may_follow(&self, now: Duration) -> bool {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, count) = &mut *followed;
        if *second != now.as_secs() {
            (*second, *count) = (now.as_secs(), 0);
        }
        let may = *count < FOLLOWED_PER_SECOND_MAX;
        *count += u32::from(may);
        may
    }
}

/// `ratio` of all draws.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a ratio needs no more than what a float holds, and casts from floats end at the bounds"
)]
fn below(ratio: f64) -> Option<u64> {
    (ratio < 1.0).then_some((ratio * u64::MAX as f64) as u64)
}
