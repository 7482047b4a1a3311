//! The set of sources that have influenced a run.
//!
//! Must never lose a member: the type has no way to remove one (invariant I4).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::name::SourceName;

/// Most sources that one provenance holds; configuration may not declare more.
pub const SOURCES_MAX: usize = 1024;

/// A set of sources that only grows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Provenance(BTreeSet<SourceName>);

impl Provenance {
    /// The provenance that holds exactly `sources`.
    pub fn of(sources: impl IntoIterator<Item = SourceName>) -> Self {
        Self(sources.into_iter().collect())
    }

    /// Adds every source of `other` and returns those that were new.
    pub fn join(&mut self, other: &Self) -> Self {
        let added = other.missing_from(self);
        self.0.extend(added.0.iter().cloned());
        added
    }

    /// The sources of `self` that `other` does not hold.
    #[must_use]
    pub fn missing_from(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// Whether `source` is in the set.
    #[must_use]
    pub fn contains(&self, source: &SourceName) -> bool {
        self.0.contains(source)
    }

    /// Whether no source is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many sources are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The sources, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &SourceName> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_reports_only_what_is_new() {
        let name = |text| SourceName::new(text).unwrap();
        let mut run = Provenance::of([name("chat")]);
        let added = run.join(&Provenance::of([name("chat"), name("web")]));
        assert_eq!(added, Provenance::of([name("web")]));
        assert_eq!(run.len(), 2);
    }
}
