//! Traces: a span for each call, sent to a receiver of OpenTelemetry, where one is configured.
//!
//! Must never make a call wait, nor keep more than its bounds of what a receiver does not take: what is too much is
//! dropped, and counted. Must never hold an argument, a result, a credential or the id of a session (I10). What a caller
//! says names a trace and a parent; how many it can have recorded has a limit.

mod counted;
mod export;
mod form;
mod reply;
mod sample;
mod span;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, Uri};
use tokio::sync::mpsc;

use super::metrics::Metrics;
use crate::chance;
use crate::clock::Clock;
use crate::model::secret::Secret;
use crate::model::trace::{Sampling, SpanId, Trace, TraceId, Traceparent, Tracestate};
use crate::outbound::{Client, Fault};
pub(super) use counted::Counted;
pub use export::Exporter;
use sample::Sampler;
pub use span::{Attribute, Sides, Span, Status};

/// `sample` where the configuration is silent: every call.
pub const SAMPLE_DEFAULT: f64 = 1.0;

/// Calls whose spans may wait to be sent; those of a further one are dropped.
const CALLS_QUEUED_MAX: usize = 1024;

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// Where spans are sent (`traces`, with `/v1/traces`).
    pub url: Uri,
    /// Headers that go along (`headers`).
    pub headers: Vec<(HeaderName, Secret)>,
    /// Certificates, in PEM, that are trusted there instead of the system's (`ca`).
    pub ca: Option<PathBuf>,
    /// Of the traces that begin here, how many are recorded, 0 to 1 (`sample`).
    pub sample: f64,
}

/// What a caller says of the trace that its call belongs to.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// `traceparent`.
    pub parent: String,
    /// `tracestate`.
    pub state: Option<String>,
}

impl Claim {
    /// What the headers of a request say: one `traceparent` (3.2.1: several are not valid), and every `tracestate`, which
    /// are one list (3.3.1.1).
    #[must_use]
    pub fn of_headers(parents: &[Bytes], states: &[Bytes]) -> Option<Self> {
        let [parent] = parents else { return None };
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).ok();
        let states: Option<Vec<String>> = states.iter().map(text).collect();
        let state = states.map(|states| states.join(",")).filter(|state| !state.is_empty());
        Some(Self { parent: text(parent)?, state })
    }
}

/// Says where calls stand in traces, and takes their spans.
#[derive(Debug)]
pub struct Tracer {
    queue: mpsc::Sender<Vec<Span>>,
    sampler: Sampler,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl Tracer {
    /// A tracer, and what sends its spans. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// Why no connection to the receiver can be set up. One that is not there is no error.
    pub fn start(
        settings: &TraceSettings,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<(Self, Exporter), Fault> {
        let client = Client::new(&settings.url, &settings.headers, settings.ca.as_deref())?;
        let (queue, spans) = mpsc::channel(CALLS_QUEUED_MAX);
        let exporter = Exporter::start(settings.url.clone(), client, spans, Arc::clone(&metrics));
        Ok((Self { queue, sampler: Sampler::new(settings.sample), metrics, clock }, exporter))
    }

    /// Where a call stands whose caller says the first of `claims` that is valid, or a trace of its own. None where the
    /// system gives no random ids: then the call goes untraced.
    pub fn begin(&self, claims: impl IntoIterator<Item = Claim>) -> Option<Trace> {
        let valid = |claim: Claim| Some((Traceparent::parse(&claim.parent)?, claim.state));
        let claimed = claims.into_iter().find_map(valid);
        let (span, exchange) = (SpanId::of(chance::bytes().ok()?)?, SpanId::of(chance::bytes().ok()?)?);
        let began = (self.clock.wall(), self.clock.monotonic());
        // Not from an id of the trace: a caller could choose one that is always recorded.
        let draw = u64::from_le_bytes(chance::bytes().ok()?);
        let said = claimed.as_ref().map(|(parent, _)| parent.sampling());
        let sampling = self.sampler.decide(said, draw, began.1);
        let (id, parent, state) = match claimed {
            Some((parent, state)) => {
                (parent.trace, Some(parent.span), state.as_deref().and_then(Tracestate::parse))
            }
            None => (TraceId::of(chance::bytes().ok()?)?, None, None),
        };
        Some(Trace { id, span, exchange, parent, state, sampling, began })
    }

    /// Takes the spans of a call that has ended, if there is room. `spans` is asked only where they are recorded.
    pub fn ended(&self, trace: &Trace, spans: impl FnOnce() -> Vec<Span>) {
        if trace.sampling == Sampling::Dropped {
            return;
        }
        if let Err(error) = self.queue.try_send(spans()) {
            self.metrics.traces.dropped(error.into_inner().len());
        }
    }
}
