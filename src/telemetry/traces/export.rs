//! Sends spans in batches, in a task of its own.
//!
//! Must never be waited for by a call, nor hold on to a batch for longer than its attempts: then it is dropped, and
//! counted. At the end it sends what is left, once, for as long as it is given.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::form;
use super::reply::{Taken, taken};
use super::span::Span;
use crate::outbound::otlp::MEDIA;
use crate::outbound::{Client, Compression, post};
use crate::telemetry::metrics::Metrics;

/// About how many spans are sent at once (OpenTelemetry SDK, "Batching processor", `maxExportBatchSize`).
pub(super) const BATCH_SPANS_MAX: usize = 512;
/// How long the first span of a batch waits for others.
const BATCH_WAIT: Duration = Duration::from_secs(1);
/// How often a batch is sent at most.
const ATTEMPTS_MAX: u32 = 4;
/// How long the second attempt waits at least; each further one twice as long as the one before.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// How long an attempt waits at most, whatever the receiver asks for.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The task that sends spans.
#[derive(Debug)]
pub struct Exporter {
    ends: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Exporter {
    pub(super) fn start(
        url: Uri,
        client: Client,
        spans: mpsc::Receiver<Vec<Span>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (ends, end) = watch::channel(false);
        let courier = Courier { url, client, spans, metrics, end, is_failing: false };
        Self { ends, task: tokio::spawn(courier.run()) }
    }

    /// Sends what is left, for at most `within`.
    pub async fn finish(mut self, within: Duration) {
        self.ends.send_replace(true);
        if timeout(within, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("the receiver of traces did not take the last spans in time");
        }
    }
}

struct Courier {
    url: Uri,
    client: Client,
    spans: mpsc::Receiver<Vec<Span>>,
    metrics: Arc<Metrics>,
    end: watch::Receiver<bool>,
    /// Whether that has been said.
    is_failing: bool,
}

impl Courier {
    async fn run(mut self) {
        while let Some(batch) = self.next().await {
            self.deliver(&batch).await;
        }
    }

    /// The next batch: what came within [`BATCH_WAIT`] of its first span. None at the end.
    async fn next(&mut self) -> Option<Vec<Span>> {
        let mut batch = tokio::select! {
            biased;
            first = self.spans.recv() => first?,
            // Whoever dropped the other side wants the end too.
            _ = self.end.wait_for(|ends| *ends) => self.spans.try_recv().ok()?,
        };
        let full = Instant::now() + BATCH_WAIT;
        while batch.len() < BATCH_SPANS_MAX {
            let more = tokio::select! {
                biased;
                more = timeout_at(full, self.spans.recv()) => more.ok().flatten(),
                _ = self.end.wait_for(|ends| *ends) => self.spans.try_recv().ok(),
            };
            let Some(more) = more else { break };
            batch.extend(more);
        }
        Some(batch)
    }

    async fn deliver(&mut self, batch: &[Span]) {
        let mut pause = PAUSE_MIN;
        for attempt in 1..=ATTEMPTS_MAX {
            let (why, after) = match self.attempt(batch).await {
                Taken::All => {
                    self.metrics.traces.sent(batch.len());
                    return self.well();
                }
                Taken::But(rejected, why) => {
                    self.metrics.traces.sent(batch.len().saturating_sub(rejected));
                    self.metrics.traces.dropped(rejected);
                    return self.failing(&format!("{rejected} spans were rejected: {why}"));
                }
                Taken::Never(why) => {
                    self.metrics.traces.failed();
                    self.failing(&why);
                    break;
                }
                Taken::Later(why, after) => (why, after),
            };
            self.metrics.traces.failed();
            self.failing(&why);
            if attempt == ATTEMPTS_MAX || !self.waits(pause.max(after).min(PAUSE_MAX)).await {
                break;
            }
            pause = pause.saturating_mul(2);
        }
        self.metrics.traces.dropped(batch.len());
    }

    async fn attempt(&self, batch: &[Span]) -> Taken {
        let text = match form::request(batch) {
            Ok(text) => text,
            Err(error) => return Taken::Never(error.to_string()),
        };
        let request = match post(&self.url, MEDIA, Compression::None, text).await {
            Ok(request) => request,
            Err(fault) => return Taken::Never(fault.to_string()),
        };
        match self.client.send(request).await {
            Ok(response) => taken(&response, batch.len()),
            Err(fault) => Taken::Later(fault.to_string(), Duration::ZERO),
        }
    }

    /// Waits for the next attempt; at the end there is none.
    async fn waits(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = sleep(pause) => true,
            _ = self.end.wait_for(|ends| *ends) => false,
        }
    }

    /// Says it once, until it is well again: a receiver that is gone must not fill the log.
    fn failing(&mut self, why: &str) {
        if !self.is_failing {
            tracing::warn!(why, "the receiver of traces does not take every span");
        }
        self.is_failing = true;
    }

    fn well(&mut self) {
        if self.is_failing {
            tracing::info!("the receiver of traces takes spans again");
        }
        self.is_failing = false;
    }
}
