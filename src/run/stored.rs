//! What was stored at upstreams, and by whom it was influenced: stored injection (DESIGN §5, Taint).
//!
//! Must never forget a source: a full table widens what it holds, it does not drop it. A person clears.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::call::Stores;
use crate::model::name::{Subject, UpstreamName};
use crate::model::provenance::Provenance;
use crate::model::stored::Stored;

/// The sources that influenced what is stored at each upstream.
#[derive(Debug, Default)]
pub struct StoredSources(Mutex<BTreeMap<UpstreamName, Stored>>);

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
