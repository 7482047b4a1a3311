//! Latencies in buckets that grow with them: 64 to each power of two, so within two percent.

use std::time::Duration;

const STEPS_LOG2: u32 = 6;
const STEPS: u64 = 1 << STEPS_LOG2;
const BUCKETS: usize = (64 << STEPS_LOG2) as usize;

/// How many calls took how long.
#[derive(Clone)]
pub(crate) struct Histogram(Vec<u64>);

impl Histogram {
    pub(crate) fn new() -> Self {
        Self(vec![0; BUCKETS])
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.0.get_mut(bucket(ns)) {
            *count += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count += more;
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The latency in microseconds that `share` of the calls did not exceed.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        let rank = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= rank.max(1)
        };
        self.0.iter().position(reached).map_or(f64::NAN, |index| floor_ns(index) as f64 / 1000.0)
    }
}

fn bucket(ns: u64) -> usize {
    if ns < STEPS {
        return ns as usize;
    }
    let shift = ns.ilog2() - STEPS_LOG2;
    ((u64::from(shift) + 1) * STEPS + (ns >> shift) - STEPS) as usize
}

fn floor_ns(index: usize) -> u64 {
    let (power, step) = (index as u64 / STEPS, index as u64 % STEPS);
    match power {
        0 => step,
        power => (STEPS + step) << (power - 1),
    }
}
