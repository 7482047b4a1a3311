//! `may_assert` as it was written: what an entry point may vouch for.
//!
//! Must never add a name that was not written.

use crate::config::node::{Fields, Located};
use crate::model::place::Place;

/// `may_assert = { sources = ["email"], subjects = ["user:*"], roles = ["assistant"] }`.
#[derive(Debug)]
pub(in crate::config) struct MayAssert {
    pub(in crate::config) place: Place,
    pub(in crate::config) sources: Vec<Located<String>>,
    pub(in crate::config) subjects: Vec<Located<String>>,
    pub(in crate::config) roles: Vec<Located<String>>,
    pub(in crate::config) agents: Vec<Located<String>>,
    pub(in crate::config) goals: Vec<Located<String>>,
}

impl MayAssert {
    /// `may_assert` in `fields`, if it was written.
    pub(in crate::config) fn read(fields: &Fields<'_>) -> Option<Self> {
        let entry = fields.node("may_assert")?;
        let title = format!("`may_assert` of {}", fields.title());
        let inner = Fields::of(&entry.value, title, fields.found())?;
        let texts = |key| inner.texts(key).unwrap_or_default();
        let may = Self {
            place: inner.place().clone(),
            sources: texts("sources"),
            subjects: texts("subjects"),
            roles: texts("roles"),
            agents: texts("agents"),
            goals: texts("goals"),
        };
        inner.finish(&[]);
        Some(may)
    }
}
