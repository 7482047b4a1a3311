//! The metrics of the reviewer of plans outside of the gateway: how often it was asked, and how long it took.
//!
//! Must never say what a plan was, nor whose.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::metrics::{encode_labels, registered, registered_times};

/// What came of asking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReviewerAnswer {
    /// It agrees with all of a plan.
    Agreed,
    /// It wants a person to look at some of it, or refuses some.
    Objected,
    /// It said nothing that counts.
    Silent,
}

impl ReviewerAnswer {
    const ALL: [Self; 3] = [Self::Agreed, Self::Objected, Self::Silent];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Objected => "objected",
            Self::Silent => "silent",
        }
    }
}

/// What is counted of it.
#[derive(Debug)]
pub(super) struct Reviewer {
    answers: Family<AnswerLabels, Counter>,
    time: Histogram,
}

impl Reviewer {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let help = "What the reviewer of plans said to those that it was asked about";
        let answers: Family<AnswerLabels, Counter> = registered(registry, "reviewer_answers", help);
        for answer in ReviewerAnswer::ALL {
            // Stands at zero from the start: whoever watches a rise would not see the first one otherwise.
            answers.get_or_create_owned(&AnswerLabels(answer));
        }
        let time = registered_times(registry, "reviewer", "What the reviewer of plans took to answer");
        Self { answers, time }
    }

    pub(super) fn asked(&self, answer: ReviewerAnswer, took: Duration) {
        self.answers.get_or_create(&AnswerLabels(answer)).inc();
        self.time.observe(took.as_secs_f64());
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AnswerLabels(ReviewerAnswer);

impl EncodeLabelSet for AnswerLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("answer", self.0.as_str())])
    }
}
