//! A token bucket: how often something may be told.
//!
//! Must never be used to suppress a record of a call: only chatter of upstreams goes through it.

use std::time::Duration;

use crate::clock::Clock;

/// Tokens that come back with time.
#[derive(Debug)]
pub(super) struct Bucket {
    clock: Clock,
    burst: u64,
    interval: Duration,
    tokens: u64,
    refilled: Duration,
}

impl Bucket {
    /// A full bucket of `burst` tokens, one of which comes back every `interval`.
    pub(super) fn full(clock: Clock, burst: u64, interval: Duration) -> Self {
        let refilled = clock.monotonic();
        Self { clock, burst, interval, tokens: burst, refilled }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self) -> Option<()> {
        let now = self.clock.monotonic();
        let passed = now.saturating_sub(self.refilled).as_nanos();
        let earned = u64::try_from(passed / self.interval.as_nanos().max(1)).unwrap_or(u64::MAX);
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(self.burst);
            self.refilled = now;
        }
        self.tokens = self.tokens.checked_sub(1)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_with_time_up_to_the_burst() {
        let clock = Clock::manual(jiff::Timestamp::UNIX_EPOCH);
        let mut bucket = Bucket::full(clock.clone(), 2, Duration::from_secs(1));
        let mut drain = || std::iter::from_fn(|| bucket.take()).count();
        assert_eq!(drain(), 2);
        assert_eq!(drain(), 0);
        clock.advance(Duration::from_secs(1));
        assert_eq!(drain(), 1);
        clock.advance(Duration::from_secs(60));
        assert_eq!(drain(), 2);
    }
}
