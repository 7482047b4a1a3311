//! What a running gateway cannot change: where it keeps its state, and where people reach it.
//!
//! Must never be passed over in silence: whoever wrote another value believes that it counts.

use std::fmt;

use super::code::Code;
use super::problem::{Problem, Problems, Severity};
use crate::model::place::Place;

/// One setting that stays as it was when the gateway started.
#[derive(Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Its key.
    pub key: &'static str,
    /// What it was set to, in words.
    pub value: String,
    /// Where it is written; the beginning of the configuration where it is not.
    pub place: Place,
}

impl fmt::Debug for Fixed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} = {} at {}", self.key, self.value, self.place)
    }
}

/// A problem for each setting that is not what it was when the gateway started.
#[must_use]
pub fn restart_needed(started_with: &[Fixed], now: &[Fixed]) -> Problems {
    let changed = now.iter().filter_map(|new| {
        let old = started_with.iter().find(|old| old.key == new.key && old.value != new.value)?;
        Some(Problem {
            place: new.place.clone(),
            severity: Severity::Error,
            code: Code::RestartNeeded,
            message: format!("`{}` cannot change while the gateway runs", new.key),
            help: format!("restart the gateway, or leave it at `{}`", old.value),
        })
    });
    Problems::of(changed.collect())
}
