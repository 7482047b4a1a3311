//! The certificates of the listeners: taken up anew when their files change, and shown to operators.
//!
//! Must never let a bad pair end what serves: it is said, counted and left. Looks at files at a fixed
//! interval; no peer can make it look.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::socket::{EXPIRES_SOON_HOURS, Refreshed, Tls};
use crate::telemetry::{CertificateState, Metrics};

/// How often the files of certificates are looked at. A change is taken up at the second look that finds it.
pub const CERTIFICATE_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The certificates of all listeners.
#[derive(Debug, Clone)]
pub struct Certificates {
    listeners: Vec<(String, Tls)>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// When files are taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Where they have changed.
    Changed,
    /// In any case.
    Now,
}

impl Certificates {
    pub(super) fn new(listeners: Vec<(String, Tls)>, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let certificates = Self { listeners, clock, metrics };
        for (listener, tls) in &certificates.listeners {
            certificates.show(listener, tls);
        }
        certificates
    }

    /// The same for other listeners.
    pub(super) fn of(&self, listeners: Vec<(String, Tls)>) -> Self {
        Self::new(listeners, self.clock.clone(), Arc::clone(&self.metrics))
    }

    /// Takes up every certificate from its files, changed or not. What cannot serve is said, counted, and
    /// leaves the one that served before; says how many were left so. Reads files: not for an async task.
    #[must_use]
    pub fn reload(&self) -> usize {
        self.look(When::Now)
    }

    /// Looks at the files from time to time, until it is dropped.
    pub(super) async fn watch(self) {
        if self.listeners.is_empty() {
            return;
        }
        let certificates = Arc::new(self);
        let mut looks = tokio::time::interval(CERTIFICATE_POLL_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let certificates = Arc::clone(&certificates);
            if tokio::task::spawn_blocking(move || certificates.look(When::Changed)).await.is_err() {
                // The runtime is going down, or the look panicked, which is logged as the fault that it is.
                return;
            }
        }
    }

    fn look(&self, when: When) -> usize {
        let mut kept = 0;
        for (listener, tls) in &self.listeners {
            let refreshed = match when {
                When::Changed => tls.refresh(),
                When::Now => tls.reload(),
            };
            match refreshed {
                Refreshed::Unchanged => {}
                Refreshed::Taken => {
                    tracing::info!(listener, until = %tls.until(), "a new certificate serves");
                    self.metrics.certificate_taken(listener);
                }
                Refreshed::Kept(error) => {
                    kept += 1;
                    tracing::error!(listener, %error, "a new certificate cannot serve; the one before goes on");
                    self.metrics.certificate_kept(listener);
                }
            }
            self.show(listener, tls);
        }
        kept
    }

    fn show(&self, listener: &str, tls: &Tls) {
        let until = tls.until();
        let left = until.duration_since(self.clock.wall());
        let state = if left.is_negative() {
            CertificateState::Ended
        } else if left.as_hours() < EXPIRES_SOON_HOURS {
            CertificateState::EndsSoon
        } else {
            CertificateState::Good
        };
        self.metrics.certificate(listener, until, state);
    }
}
