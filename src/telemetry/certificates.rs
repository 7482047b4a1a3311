//! What operators see of the certificates of listeners.
//!
//! Must never name a file or a subject: listeners, times and counts alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::health::Finding;
use super::metrics::{Metrics, encode_labels, registered};

/// How long a certificate still serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateState {
    /// Long enough.
    Good,
    /// It ends within days.
    EndsSoon,
    /// It has ended: clients refuse it.
    Ended,
}

/// The certificates, by listener.
#[derive(Debug)]
pub(super) struct Certificates {
    until: Family<ListenerLabels, Gauge>,
    reloads: Family<ReloadLabels, Counter>,
    shown: Mutex<BTreeMap<String, Shown>>,
}

#[derive(Debug)]
struct Shown {
    until: Timestamp,
    state: CertificateState,
    last: Last,
}

/// How the last attempt to take up new files ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Last {
    Taken,
    Kept,
}

impl Certificates {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let help = "When the certificate of a listener ends, in seconds since 1970";
        let until = registered(registry, "certificate_end_timestamp_seconds", help);
        let help = "Attempts to take up new certificate files of a listener";
        let reloads = registered(registry, "certificate_reloads", help);
        Self { until, reloads, shown: Mutex::default() }
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<String, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reloaded(&self, listener: &str, last: Last) {
        self.reloads.get_or_create(&ReloadLabels { listener: listener.to_owned(), last }).inc();
        if let Some(shown) = self.shown().get_mut(listener) {
            shown.last = last;
        }
    }
}

impl Metrics {
    /// The certificate of `listener` serves until then. `listener` is its name in the configuration.
    pub fn certificate(&self, listener: &str, until: Timestamp, state: CertificateState) {
        let certificates = &self.certificates;
        let labels = ListenerLabels(listener.to_owned());
        certificates.until.get_or_create(&labels).set(until.as_second());
        for last in [Last::Taken, Last::Kept] {
            // Stands at zero from the start: whoever watches a rise would not see the first one otherwise.
            certificates.reloads.get_or_create_owned(&ReloadLabels { listener: listener.to_owned(), last });
        }
        let mut table = certificates.shown();
        let shown = table.entry(listener.to_owned()).or_insert(Shown { until, state, last: Last::Taken });
        (shown.until, shown.state) = (until, state);
    }

    /// New files of `listener` serve from now on.
    pub fn certificate_taken(&self, listener: &str) {
        self.certificates.reloaded(listener, Last::Taken);
    }

    /// New files of `listener` cannot serve; what served before goes on.
    pub fn certificate_kept(&self, listener: &str) {
        self.certificates.reloaded(listener, Last::Kept);
    }

    /// What an operator should know of the certificates.
    #[must_use]
    pub fn certificate_findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (listener, shown) in self.certificates.shown().iter() {
            let mut add = |code: &str, message: String| {
                findings.push(Finding { code: code.to_owned(), message });
            };
            let until = shown.until;
            match shown.state {
                CertificateState::Good => {}
                CertificateState::EndsSoon => {
                    add(
                        "certificate_expires",
                        format!("the certificate of `[listen.{listener}]` ends at {until}"),
                    );
                }
                CertificateState::Ended => {
                    add(
                        "certificate_expired",
                        format!("the certificate of `[listen.{listener}]` ended at {until}"),
                    );
                }
            }
            if shown.last == Last::Kept {
                let message = format!(
                    "the new certificate files of `[listen.{listener}]` cannot serve, and the ones before go on; \
                     the log says why"
                );
                add("certificate_kept", message);
            }
        }
        findings
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ListenerLabels(String);

impl EncodeLabelSet for ListenerLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("listener", &self.0)])
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ReloadLabels {
    listener: String,
    last: Last,
}

impl Last {
    const fn word(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Kept => "kept",
        }
    }
}

impl EncodeLabelSet for ReloadLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("listener", &self.listener), ("result", self.last.word())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Figures, Readiness};

    #[test]
    fn an_end_that_comes_and_files_that_cannot_serve_are_findings_and_metrics() {
        let metrics = Metrics::new();
        let until: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let codes =
            || metrics.certificate_findings().into_iter().map(|finding| finding.code).collect::<Vec<_>>();
        metrics.certificate("main", until, CertificateState::Good);
        assert!(codes().is_empty());
        metrics.certificate_kept("main");
        metrics.certificate("main", until, CertificateState::EndsSoon);
        assert_eq!(codes(), ["certificate_expires", "certificate_kept"]);
        metrics.certificate_taken("main");
        metrics.certificate("main", until, CertificateState::Ended);
        assert_eq!(codes(), ["certificate_expired"]);
        let text = metrics.text(&Figures::default(), &Readiness::default());
        for line in [
            "sluicegate_certificate_end_timestamp_seconds{listener=\"main\"} 1893456000",
            "sluicegate_certificate_reloads_total{listener=\"main\",result=\"kept\"} 1",
            "sluicegate_certificate_reloads_total{listener=\"main\",result=\"taken\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
