//! What operators see of the sinks of the audit trail.
//!
//! Must never name a receiver or a record: sinks by their names, figures, and what went wrong in the system's words.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::health::Finding;
use super::metrics::{Metrics, encode_labels, registered};

/// How one sink does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkFigures {
    /// Its name in the configuration.
    pub name: String,
    /// Records that it took.
    pub delivered: u64,
    /// Durable lines of the journal that it does not have yet.
    pub behind: u64,
    /// How many of those are too many.
    pub behind_max: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Segments of the journal that were gone before it had them.
    pub missed: u64,
    /// Records that it cannot take, which were set aside.
    pub dead: u64,
    /// Why it takes nothing.
    pub trouble: Option<String>,
    /// What it means that it is too far behind.
    pub when_behind: WhenBehind,
}

/// What it means that a sink is too far behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBehind {
    /// A finding.
    Finding,
    /// The gateway is not ready.
    Unready,
}

#[derive(Debug)]
pub(super) struct Sinks {
    delivered: Family<SinkLabels, Counter>,
    behind: Family<SinkLabels, Gauge>,
    failures: Family<SinkLabels, Counter>,
    missed: Family<SinkLabels, Counter>,
    dead: Family<SinkLabels, Counter>,
    up: Family<SinkLabels, Gauge>,
    shown: Mutex<BTreeMap<String, SinkFigures>>,
}

impl Sinks {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mut counter = |name: &str, help: &str| registered(registry, name, help);
        let delivered = counter("sink_records", "Records that a sink took");
        let failures = counter("sink_failures", "Attempts to give a sink something that failed");
        let help = "Segments of the journal that were gone before a sink had them";
        let missed = counter("sink_missed_segments", help);
        let dead = counter("sink_dead_letters", "Records that a sink cannot take");
        let help = "Durable lines of the journal that a sink does not have yet";
        let behind = registered(registry, "sink_behind_lines", help);
        let up = registered(registry, "sink_up", "Whether a sink takes records");
        Self { delivered, behind, failures, missed, dead, up, shown: Mutex::default() }
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<String, SinkFigures>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics {
    /// A sink does as `figures` say from now on.
    pub fn sink(&self, figures: SinkFigures) {
        let sinks = &self.sinks;
        let labels = SinkLabels(figures.name.clone());
        let counted = |family: &Family<SinkLabels, Counter>, value: u64| {
            family.get_or_create(&labels).inner().store(value, Ordering::Relaxed);
        };
        counted(&sinks.delivered, figures.delivered);
        counted(&sinks.failures, figures.failures);
        counted(&sinks.missed, figures.missed);
        counted(&sinks.dead, figures.dead);
        sinks.behind.get_or_create(&labels).set(i64::try_from(figures.behind).unwrap_or(i64::MAX));
        sinks.up.get_or_create(&labels).set(i64::from(figures.trouble.is_none()));
        sinks.shown().insert(figures.name.clone(), figures);
    }

    /// What makes the gateway unready: required sinks that are too far behind.
    #[must_use]
    pub fn sinks_unready(&self) -> Vec<Finding> {
        self.behind(WhenBehind::Unready)
    }

    /// What an operator should know of the sinks.
    #[must_use]
    pub fn sink_findings(&self) -> Vec<Finding> {
        let mut findings = self.behind(WhenBehind::Finding);
        for figures in self.sinks.shown().values() {
            if let Some(why) = &figures.trouble {
                let message = format!("the sink `{}` takes nothing: {why}", figures.name);
                findings.push(Finding { code: "sink_failing".to_owned(), message });
            }
            if figures.missed > 0 {
                let message = format!(
                    "the sink `{}` lacks {} segments of the journal, which were gone before it had them",
                    figures.name, figures.missed
                );
                findings.push(Finding { code: "sink_missed".to_owned(), message });
            }
            if figures.dead > 0 {
                let message = format!(
                    "the sink `{}` cannot take {} records; they stand in `sinks/{}.dead.jsonl` of the state directory",
                    figures.name, figures.dead, figures.name
                );
                findings.push(Finding { code: "sink_dead_letters".to_owned(), message });
            }
        }
        findings
    }

    fn behind(&self, when: WhenBehind) -> Vec<Finding> {
        let shown = self.sinks.shown();
        let late = shown.values().filter(|sink| sink.when_behind == when && sink.behind > sink.behind_max);
        let finding = |sink: &SinkFigures| {
            let message = format!("the sink `{}` is {} lines of the journal behind", sink.name, sink.behind);
            Finding { code: "sink_behind".to_owned(), message }
        };
        late.map(finding).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SinkLabels(String);

impl EncodeLabelSet for SinkLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("sink", &self.0)])
    }
}
