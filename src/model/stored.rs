//! What is stored at one upstream, and by whom it was influenced (DESIGN §5, Taint).
//!
//! The run table and the journal's fold note writes by this one rule, so that what a restart rebuilds is
//! what was decided under. Must never forget a source: a full table widens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::call::Stores;
use super::name::Subject;
use super::provenance::Provenance;

/// Most subjects that one upstream's store is told apart for. A further one is counted for all.
pub const STORED_SUBJECTS_MAX: usize = 100_000;

/// The sources that influenced what is stored at one upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// What every subject may read back.
    #[serde(default)]
    pub all: Provenance,
    /// What only the subject that wrote it reads back.
    #[serde(default)]
    pub subjects: BTreeMap<Subject, Provenance>,
}

impl Stored {
    /// Notes a write by `subject` under `provenance`.
    pub fn write(&mut self, subject: &Subject, stores: Stores, provenance: &Provenance) {
        match stores {
            Stores::Nothing => {}
            Stores::All => {
                self.all.join(provenance);
            }
            Stores::Subject => {
                let is_full = self.subjects.len() >= STORED_SUBJECTS_MAX;
                let own = match self.subjects.get_mut(subject) {
                    Some(own) => own,
                    // A store that knows too many subjects widens: the source is not forgotten.
                    None if is_full => &mut self.all,
                    None => self.subjects.entry(subject.clone()).or_default(),
                };
                own.join(provenance);
            }
        }
    }
}
