//! How long to leave something alone that keeps failing: exponential backoff and a circuit breaker.
//!
//! Pure: time is handed in. Must never count a failed tool as a failed upstream (CASES F48): only
//! starts that failed and instances that died are told to it.

use std::time::Duration;

/// Failures in a row after which the breaker opens.
pub const BREAKER_FAILURES_MAX: u32 = 5;
/// How long an open breaker lets nothing through; then one trial passes.
pub const BREAKER_OPEN: Duration = Duration::from_secs(30);
/// Pause after the second failure in a row; it doubles with each further one. After the first
/// failure there is none: a server that crashed once is wanted back at once.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// The longest pause.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Failures in a row and when the next attempt may begin.
#[derive(Debug, Clone, Default)]
pub(super) struct Breaker {
    failures: u32,
    not_before: Duration,
}

/// Why an attempt may not begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// A short pause after a failure.
    BackingOff,
    /// The breaker is open.
    Open,
}

/// What a failure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The next attempt is delayed, if at all.
    Delayed,
    /// The breaker opened with this failure.
    Opened,
}

impl Breaker {
    /// Whether an attempt may begin at `now`.
    pub(super) fn check(&self, now: Duration) -> Result<(), Closed> {
        if now >= self.not_before {
            return Ok(());
        }
        Err(if self.failures >= BREAKER_FAILURES_MAX { Closed::Open } else { Closed::BackingOff })
    }

    /// An attempt failed, or what it had started died.
    pub(super) fn failed(&mut self, now: Duration) -> Effect {
        self.failures = self.failures.saturating_add(1);
        let pause = match self.failures {
            0 | 1 => Duration::ZERO,
            failures if failures >= BREAKER_FAILURES_MAX => BREAKER_OPEN,
            failures => BACKOFF_FIRST.saturating_mul(1 << (failures - 2)).min(BACKOFF_MAX),
        };
        self.not_before = now.saturating_add(pause);
        // Half open, one trial failing opens it again; that is told again, once for each trial.
        if self.failures >= BREAKER_FAILURES_MAX { Effect::Opened } else { Effect::Delayed }
    }

    /// It did what it is for.
    pub(super) fn worked(&mut self) {
        *self = Self::default();
    }

    /// Whether it remembers nothing that still matters at `now`.
    pub(super) fn is_calm(&self, now: Duration) -> bool {
        self.failures == 0 || now >= self.not_before.saturating_add(BREAKER_OPEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn pauses_double_until_the_breaker_opens_and_one_trial_passes() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.failed(START), Effect::Delayed);
        assert_eq!(breaker.check(START), Ok(()), "one crash does not delay the restart");
        let mut now = START;
        for pause_ms in [250, 500, 1000] {
            assert_eq!(breaker.failed(now), Effect::Delayed);
            let pause = Duration::from_millis(pause_ms);
            assert_eq!(breaker.check(now + pause - Duration::from_nanos(1)), Err(Closed::BackingOff));
            now += pause;
            assert_eq!(breaker.check(now), Ok(()));
        }
        assert_eq!(breaker.failed(now), Effect::Opened);
        assert_eq!(breaker.check(now + BREAKER_OPEN / 2), Err(Closed::Open));
        now += BREAKER_OPEN;
        assert_eq!(breaker.check(now), Ok(()), "half open");
        assert_eq!(breaker.failed(now), Effect::Opened);
        assert_eq!(breaker.check(now), Err(Closed::Open));
    }

    #[test]
    fn work_closes_it() {
        let mut breaker = Breaker::default();
        for _ in 0..BREAKER_FAILURES_MAX {
            breaker.failed(START);
        }
        assert!(!breaker.is_calm(START));
        breaker.worked();
        assert_eq!(breaker.check(START), Ok(()));
        assert!(breaker.is_calm(START));
    }
}
