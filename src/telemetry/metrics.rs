//! Counters and histograms, and their text form (OpenMetrics 1.0).
//!
//! Must never take a label from a caller: each label is a name of the configuration or a word of ours.
//! What each metric means stands in docs/OPERATIONS.md; a test compares the two.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry, Unit};

use super::budgets::Budgets;
use super::certificates::Certificates;
use super::figures::{Breaker, Figures, ReloadFigures};
use super::health::Readiness;
use super::journal::Journal;
use super::notifiers::Notifiers;
use super::reviewer::{Reviewer, ReviewerAnswer};
use super::sinks::Sinks;
use super::traces::Counted;
use crate::model::approval::{ApprovalChange, Asked};
use crate::model::decision::Answer;
use crate::model::reason::Reason;

/// Every counter and histogram of the gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    gateway_time: Histogram,
    upstream_time: Family<UpstreamLabels, Histogram>,
    approvals: Family<ApprovalLabels, Counter>,
    approval_time: Histogram,
    gauges: Gauges,
    pub(super) journal: Journal,
    budgets: Budgets,
    pub(super) certificates: Certificates,
    pub(super) sinks: Sinks,
    pub(super) traces: Counted,
    reviewer: Reviewer,
    notifiers: Notifiers,
}

/// How long the parts of one call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTimes<'a> {
    /// What the gateway itself took, the journal included.
    pub gateway: Duration,
    /// The upstream that was called, and what it took; absent where the call was refused.
    pub upstream: Option<(&'a str, Duration)>,
}

impl Metrics {
    /// Metrics that all stand at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("sluicegate");
        let calls = registered(&mut registry, "calls", "Calls by verdict and by the reason they ended with");
        let refusals = registered(&mut registry, "refusals", "Requests refused before authentication");
        let help = "What the gateway itself took of a call";
        let gateway_time = registered_times(&mut registry, "call_gateway", help);
        let upstream_time = Family::new_with_constructor(times as fn() -> Histogram);
        let help = "What the upstream took of a call";
        registry.register_with_unit("call_upstream", help, Unit::Seconds, upstream_time.clone());
        let approvals: Family<ApprovalLabels, Counter> =
            registered(&mut registry, "approvals", "Questions to people by what became of them");
        // None of them stays out because it has not come yet.
        ApprovalChange::ALL.iter().for_each(|change| drop(approvals.get_or_create(&ApprovalLabels(*change))));
        let approval_time = Histogram::new(exponential_buckets(1.0, 2.0, 13));
        let help = "How long a question waited for the answer of a person";
        registry.register_with_unit("approval_wait", help, Unit::Seconds, approval_time.clone());
        let gauges = Gauges::register(&mut registry);
        let journal = Journal::register(&mut registry);
        let budgets = Budgets::register(&mut registry);
        let certificates = Certificates::register(&mut registry);
        let sinks = Sinks::register(&mut registry);
        let traces = Counted::register(&mut registry);
        let reviewer = Reviewer::register(&mut registry);
        let notifiers = Notifiers::register(&mut registry);
        Self {
            registry,
            calls,
            refusals,
            gateway_time,
            upstream_time,
            approvals,
            approval_time,
            gauges,
            journal,
            budgets,
            certificates,
            sinks,
            traces,
            reviewer,
            notifiers,
        }
    }

    /// A call ended: with what verdict, for what reason, and how long it took.
    ///
    /// A call that was allowed ends with the reason of its outcome, for instance `answered`; one that was
    /// refused, before a decision or by it, with the reason of the refusal.
    pub fn call(&self, verdict: Option<Answer>, reason: Reason, times: CallTimes<'_>) {
        self.calls.get_or_create(&CallLabels { verdict, reason }).inc();
        self.gateway_time.observe(times.gateway.as_secs_f64());
        if let Some((upstream, took)) = times.upstream {
            let labels = UpstreamLabels(upstream.to_owned());
            self.upstream_time.get_or_create(&labels).observe(took.as_secs_f64());
        }
    }

    /// A request was refused before there was a principal. `listener` is its name in the configuration.
    pub fn refusal(&self, listener: &str, reason: Reason) {
        self.refusals.get_or_create(&RefusalLabels { listener: listener.to_owned(), reason }).inc();
    }

    /// Something became of a question to a person. `answered` is the question that they answered, and when.
    pub fn approval(&self, change: ApprovalChange, answered: Option<(&Asked, Timestamp)>) {
        self.approvals.get_or_create(&ApprovalLabels(change)).inc();
        if let Some((asked, now)) = answered {
            self.approval_time.observe(now.duration_since(asked.at).as_secs_f64().max(0.0));
        }
    }

    /// A budget refused something. `budget` is its name in the configuration.
    pub fn budget_refusal(&self, budget: &str, reason: Reason) {
        self.budgets.refused(budget, reason);
    }

    /// A reviewer outside was asked about a plan, and took this long.
    pub fn reviewer_asked(&self, answer: ReviewerAnswer, took: Duration) {
        self.reviewer.asked(answer, took);
    }

    /// As many messages of the notifier `notify` came to this end. Of none it stands at zero, so that a rise shows.
    pub fn notified(&self, notify: &str, result: &'static str, messages: u64) {
        self.notifiers.count(notify, result, messages);
    }

    /// The text of all metrics together with the figures of this moment.
    #[must_use]
    pub fn text(&self, figures: &Figures, readiness: &Readiness) -> String {
        self.gauges.set(figures, readiness);
        self.journal.set(&figures.journal);
        self.budgets.set(&figures.budgets);
        let mut text = String::new();
        // Writing to a string cannot fail; an incomplete text lacks its `# EOF` and is refused by scrapers.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A new metric, which is shown from now on.
pub(super) fn registered<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// A new histogram of times, which is shown from now on, in seconds.
pub(super) fn registered_times(registry: &mut Registry, name: &str, help: &str) -> Histogram {
    let histogram = times();
    registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
    histogram
}

/// 50 µs to about 26 s, doubling.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 2.0, 20))
}

/// What is set from [`Figures`] at each look.
#[derive(Debug)]
struct Gauges {
    calls_in_flight: Gauge,
    sessions: Gauge,
    runs: Gauge,
    streams: Gauge,
    ready: Gauge,
    halted: Gauge,
    upstream_instances: Family<UpstreamLabels, Gauge>,
    upstream_tools: Family<UpstreamLabels, Gauge>,
    upstream_breaker: Family<UpstreamLabels, Gauge>,
    upstream_pins: Family<UpstreamLabels, Gauge>,
    upstream_waiting: Family<UpstreamLabels, Gauge>,
    upstream_suspicious: Family<UpstreamLabels, Gauge>,
    config: Family<ConfigLabels, Gauge>,
    config_epoch: Gauge,
    reloads: Family<ReloadLabels, Counter>,
}

impl Gauges {
    fn register(registry: &mut Registry) -> Self {
        let mut upstream = |name: &str, help: &str| registered(registry, name, help);
        let upstream_instances = upstream("upstream_instances", "Processes or connections of an upstream");
        let upstream_tools = upstream("upstream_tools", "Tools of an upstream's accepted catalogue");
        let upstream_breaker =
            upstream("upstream_breaker_open", "1 if the upstream is left alone for a while");
        let upstream_pins = upstream("upstream_pins_changed", "Definitions that wait to be accepted again");
        let upstream_waiting = upstream("upstream_pins_waiting", "New definitions that wait to be accepted");
        let upstream_suspicious = upstream("upstream_pins_suspicious", "Definitions that look suspicious");
        let mut gauge = |name: &str, help: &str| registered(registry, name, help);
        Self {
            calls_in_flight: gauge("calls_in_flight", "Calls that were admitted and have not ended"),
            sessions: gauge("sessions", "Open sessions of the 2025 revisions"),
            runs: gauge("runs", "Open runs"),
            streams: gauge("streams", "Open streams"),
            ready: gauge("ready", "1 if the readiness probe succeeds"),
            halted: gauge("halted", "1 if nothing is forwarded because the journal cannot be written"),
            config_epoch: gauge("config_epoch", "The number of the configuration that is in force"),
            upstream_instances,
            upstream_tools,
            upstream_breaker,
            upstream_pins,
            upstream_waiting,
            upstream_suspicious,
            config: registered(
                registry,
                "config",
                "1 for the configuration that is in force, by the digest of its files",
            ),
            reloads: registered(
                registry,
                "reloads",
                "Configurations that were put in force or refused since the start",
            ),
        }
    }

    fn set(&self, figures: &Figures, readiness: &Readiness) {
        set(&self.calls_in_flight, figures.calls_in_flight);
        set(&self.sessions, figures.sessions);
        set(&self.runs, figures.runs);
        set(&self.streams, figures.streams);
        set(&self.ready, u64::from(readiness.is_ready()));
        set(&self.halted, u64::from(readiness.halted.is_some()));
        self.set_config(&figures.reloads);
        // What is no longer configured must not stand at its last value.
        self.upstream_instances.clear();
        self.upstream_tools.clear();
        self.upstream_breaker.clear();
        self.upstream_pins.clear();
        self.upstream_waiting.clear();
        self.upstream_suspicious.clear();
        for upstream in &figures.upstreams {
            let labels = UpstreamLabels(upstream.name.clone());
            set(&self.upstream_instances.get_or_create(&labels), upstream.instances);
            set(&self.upstream_tools.get_or_create(&labels), upstream.tools);
            let open = u64::from(upstream.breaker == Breaker::Open);
            set(&self.upstream_breaker.get_or_create(&labels), open);
            set(&self.upstream_pins.get_or_create(&labels), upstream.pins_changed);
            set(&self.upstream_waiting.get_or_create(&labels), upstream.pins_waiting);
            set(&self.upstream_suspicious.get_or_create(&labels), upstream.pins_suspicious);
        }
    }

    fn set_config(&self, reloads: &ReloadFigures) {
        set(&self.config_epoch, reloads.epoch);
        // Only one is in force.
        self.config.clear();
        set(&self.config.get_or_create(&ConfigLabels(reloads.config.clone())), 1);
        for (result, count) in [("in_force", reloads.in_force), ("refused", reloads.refused)] {
            self.reloads.get_or_create(&ReloadLabels(result)).inner().store(count, Ordering::Relaxed);
        }
    }
}

pub(super) fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CallLabels {
    verdict: Option<Answer>,
    reason: Reason,
}

impl EncodeLabelSet for CallLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        let verdict = match self.verdict {
            Some(Answer::Allow) => "allow",
            Some(Answer::Plan) => "plan",
            Some(Answer::Ask) => "ask",
            Some(Answer::Deny) => "deny",
            None => "none",
        };
        encode_labels(encoder, &[("verdict", verdict), ("reason", self.reason.code())])
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ApprovalLabels(ApprovalChange);

impl EncodeLabelSet for ApprovalLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("change", self.0.as_str())])
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RefusalLabels {
    listener: String,
    reason: Reason,
}

impl EncodeLabelSet for RefusalLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("listener", &self.listener), ("reason", self.reason.code())])
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct UpstreamLabels(String);

impl EncodeLabelSet for UpstreamLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("upstream", &self.0)])
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ConfigLabels(String);

impl EncodeLabelSet for ConfigLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("digest", &self.0)])
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ReloadLabels(&'static str);

impl EncodeLabelSet for ReloadLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("result", self.0)])
    }
}

pub(super) fn encode_labels(
    encoder: &mut LabelSetEncoder<'_>,
    labels: &[(&str, &str)],
) -> Result<(), std::fmt::Error> {
    use prometheus_client::encoding::EncodeLabel;
    labels.iter().try_for_each(|label| label.encode(encoder.encode_label()))
}
