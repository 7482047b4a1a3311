//! What became of spans, in figures.
//!
//! Must never have a label: there is one receiver.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::telemetry::metrics::registered;

/// The counters of traces.
#[derive(Debug)]
pub(in crate::telemetry) struct Counted {
    sent: Counter,
    dropped: Counter,
    failures: Counter,
}

impl Counted {
    pub(in crate::telemetry) fn register(registry: &mut Registry) -> Self {
        let mut counter = |name: &str, help: &str| registered(registry, name, help);
        Self {
            sent: counter("traces_sent", "Spans that the receiver of traces took"),
            dropped: counter("traces_dropped", "Spans that the receiver of traces did not get or rejected"),
            failures: counter("traces_failures", "Attempts to send spans that failed"),
        }
    }

    pub(super) fn sent(&self, spans: usize) {
        self.sent.inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
    }

    pub(super) fn dropped(&self, spans: usize) {
        self.dropped.inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }
}
