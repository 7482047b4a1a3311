//! When denials of one source are so many that people are told.
//!
//! Must never keep more moments of a source than make a spike, nor tell of one source twice within the time of one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Spike;
use crate::model::name::SourceName;

/// The denials of each source that may yet be part of a spike. Sources are those of the configuration.
#[derive(Debug)]
pub(super) struct Spikes {
    spike: Spike,
    of: Mutex<HashMap<SourceName, Denials>>,
}

#[derive(Debug, Default)]
struct Denials {
    /// The last ones, on the monotonic clock.
    at: VecDeque<Duration>,
    told: Option<Duration>,
}

impl Spikes {
    pub(super) fn of(spike: Spike) -> Self {
        Self { spike, of: Mutex::default() }
    }

    pub(super) fn spike(&self) -> Spike {
        self.spike
    }

    /// Notes a denial of `source` at `now`. Whether people are to be told.
    pub(super) fn add(&self, source: &SourceName, now: Duration) -> bool {
        let Spike { count, within } = self.spike;
        let mut all = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let denials = all.entry(source.clone()).or_default();
        let is_within = |then: Duration| now.saturating_sub(then) < within;
        while denials.at.len() >= count || denials.at.front().is_some_and(|then| !is_within(*then)) {
            denials.at.pop_front();
        }
        denials.at.push_back(now);
        let is_spike = denials.at.len() >= count && !denials.told.is_some_and(is_within);
        if is_spike {
            denials.told = Some(now);
        }
        is_spike
    }
}
