//! What is counted of each upstream, for metrics and tests.
//!
//! Must never hold anything but numbers: nothing an upstream wrote.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! figures {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {
        /// Counts of one upstream since the gateway started.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Figures {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Figures {
            /// Every figure with its name.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),+]
            }
        }

        /// The counters behind [`Figures`].
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)+
        }

        impl Counters {
            pub(super) fn read(&self) -> Figures {
                Figures { $($name: self.$name.0.load(Ordering::Relaxed)),+ }
            }
        }
    };
}

figures! {
    /// Messages that are not valid JSON-RPC: log text on stdout, invalid UTF-8, broken JSON.
    garbage;
    /// Messages longer than `result_max`.
    oversize;
    /// Responses to no pending request: unknown, late or repeated.
    unmatched_responses;
    /// Progress that a slow client had no room for, or that belongs to no call.
    progress_dropped;
    /// Notifications that belong to no run.
    notifications_dropped;
    /// Requests of the upstream that were refused.
    requests_refused;
    /// Answers and cancellations for the upstream that it did not take in time.
    replies_dropped;
    /// Announced changes of the tool list.
    list_changes;
    /// Times the tool list was read anew because of them.
    refreshes;
    /// Instances that were started.
    starts;
    /// Starts that failed.
    start_failures;
    /// Instances that ended without being asked to.
    exits;
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
