//! What was stored at upstreams, and by whom it was influenced: stored injection (DESIGN §5, Taint).
//!
//! Must never forget a source: a full table widens what it holds, it does not drop it. A person clears.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::model::call::Stores;
use crate::model::name::{Subject, UpstreamName};
use crate::model::provenance::Provenance;

/// Most subjects that one upstream's store is told apart for. A further one is counted for all.
pub const STORED_SUBJECTS_MAX: usize = 100_000;

/// The sources that influenced what is stored at each upstream.
#[derive(Debug, Default)]
pub struct StoredSources(Mutex<BTreeMap<UpstreamName, Stored>>);

/// The sources that influenced what is stored at one upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// What every subject may read back.
    #[serde(default, skip_serializing_if = "Provenance::is_empty")]
    pub all: Provenance,
    /// What only the subject that wrote it reads back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
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
                    None if is_full => &mut self.all,
                    None => self.subjects.entry(subject.clone()).or_default(),
                };
                own.join(provenance);
            }
        }
    }
}

impl StoredSources {
    /// The table as the journal knows it.
    #[must_use]
    pub fn recover(stored: BTreeMap<UpstreamName, Stored>) -> Self {
        Self(Mutex::new(stored))
    }

    /// What a read by `subject` at `upstream` may bring back.
    #[must_use]
    pub fn read(&self, upstream: &UpstreamName, subject: &Subject) -> Provenance {
        let table = self.lock();
        let Some(stored) = table.get(upstream) else { return Provenance::default() };
        let mut found = stored.all.clone();
        if let Some(own) = stored.subjects.get(subject) {
            found.join(own);
        }
        found
    }

    pub(super) fn write(
        &self,
        upstream: &UpstreamName,
        subject: &Subject,
        stores: Stores,
        provenance: &Provenance,
    ) {
        if stores != Stores::Nothing {
            self.lock().entry(upstream.clone()).or_default().write(subject, stores, provenance);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<UpstreamName, Stored>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
