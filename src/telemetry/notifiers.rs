//! The metrics of what people are told: what became of the messages of each notifier.
//!
//! Must never say what a message was about: labels are names of the configuration and words of ours.

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::metrics::{encode_labels, registered};

/// What is counted of messages.
#[derive(Debug)]
pub(super) struct Notifiers(Family<Labels, Counter>);

impl Notifiers {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self(registered(registry, "notifications", "What became of messages to people"))
    }

    pub(super) fn count(&self, notify: &str, result: &'static str, messages: u64) {
        self.0.get_or_create(&Labels { notify: notify.to_owned(), result }).inc_by(messages);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Labels {
    notify: String,
    result: &'static str,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("notify", &self.notify), ("result", self.result)])
    }
}
