//! What operators see of the journal.
//!
//! Must never say what a record holds: figures and times.

use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::figures::JournalFigures;
use super::metrics::{Metrics, registered, registered_times, set};

#[derive(Debug)]
pub(super) struct Journal {
    records: Counter,
    bytes: Counter,
    commits: Counter,
    halts: Counter,
    sync_failures: Counter,
    queued: Gauge,
    queue_max: Gauge,
    seq: Gauge,
    synced_seq: Gauge,
    sync_time: Histogram,
    wait_time: Histogram,
    group_records: Histogram,
}

impl Journal {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let help = "Records of one group";
        // 1 to 1024, the most that the writer takes at once.
        let group_records = Histogram::new(exponential_buckets(1.0, 2.0, 11));
        registry.register("journal_group_records", help, group_records.clone());
        let help = "What the first record of a group waited until it was as safe as it has to be";
        let wait_time = registered_times(registry, "journal_wait", help);
        let sync_time = registered_times(registry, "journal_sync", "What one sync of the journal took");
        let mut counter = |name: &str, help: &str| registered(registry, name, help);
        let records = counter("journal_records", "Records written to the journal");
        let bytes = counter("journal_written_bytes", "Bytes written to the journal");
        let commits = counter("journal_commits", "Groups committed to the journal");
        let halts = counter("journal_halts", "How often the journal stopped taking calls");
        let sync_failures = counter("journal_sync_failures", "Syncs of the journal that failed");
        let mut gauge = |name: &str, help: &str| registered(registry, name, help);
        Self {
            records,
            bytes,
            commits,
            halts,
            sync_failures,
            queued: gauge("journal_queued", "Records that wait for the writer of the journal"),
            queue_max: gauge("journal_queue_max", "Records that may wait for the writer of the journal"),
            seq: gauge("journal_seq", "The last sequence number in the journal"),
            synced_seq: gauge("journal_synced_seq", "The last sequence number that is known durable"),
            sync_time,
            wait_time,
            group_records,
        }
    }

    pub(super) fn set(&self, figures: &JournalFigures) {
        let counters = [
            (&self.records, figures.records),
            (&self.bytes, figures.bytes),
            (&self.commits, figures.commits),
            (&self.halts, figures.halts),
            (&self.sync_failures, figures.sync_failures),
        ];
        for (counter, value) in counters {
            counter.inner().store(value, Ordering::Relaxed);
        }
        set(&self.queued, figures.queued);
        set(&self.queue_max, figures.queue_max);
        set(&self.seq, figures.seq);
        set(&self.synced_seq, figures.synced_seq);
    }
}

impl Metrics {
    /// The journal was synced.
    pub fn journal_sync(&self, took: Duration) {
        self.journal.sync_time.observe(took.as_secs_f64());
    }

    /// A group of `records` is in the journal, and the first of them waited for `waited`.
    pub fn journal_group(&self, records: usize, waited: Duration) {
        self.journal.wait_time.observe(waited.as_secs_f64());
        self.journal.group_records.observe(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
    }
}
