//! How long to wait before a sink is tried again.
//!
//! Must never wait longer than its bound, nor not at all.

use std::time::Duration;

use crate::chance;

/// The first wait.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// Doubles with each failure, less up to a half by chance, so that gateways do not come back in step.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    pub(super) fn next(&mut self) -> Duration {
        let whole = self.0;
        self.0 = whole.saturating_mul(2).min(LONGEST);
        let [byte] = chance::bytes::<1>().unwrap_or_default();
        whole - whole.mul_f64(f64::from(byte) / 512.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_within_bounds() {
        let mut backoff = Backoff::new();
        let mut whole = FIRST;
        for _ in 0..20 {
            let wait = backoff.next();
            assert!(wait > whole / 2 - Duration::from_millis(1) && wait <= whole, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
    }
}
