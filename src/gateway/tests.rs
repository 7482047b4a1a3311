//! What must hold of the rooms together: the run table over a real journal, through restarts.

mod model;
mod sequences;

use std::time::Duration;

use crate::model::name::{EntryPointName, Subject};
use crate::model::principal::{Label, Principal, RunRule, RunScope};

/// Somebody, told apart by the subject alone.
pub(super) fn principal_of(subject: &str) -> Principal {
    let label = Label {
        entry_point: EntryPointName::new("keys.test").unwrap(),
        subject: Subject::new(subject).unwrap(),
        roles: Default::default(),
        agents: Vec::new(),
        sources: Default::default(),
    };
    let day = Duration::from_secs(24 * 3600);
    let runs = RunRule { scope: RunScope::Subject, idle: day, max: day, token_ttl_max: day };
    Principal::configured(label, runs)
}
