//! Problems of a configuration: where, what, and what to do.
//!
//! Must never hold a secret: messages name keys, not the values of secrets.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::model::place::Place;
use crate::model::text::printable;

use super::code::Code;
use super::mark::FileMark;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is loaded, and is likely not what was meant.
    Warning,
    /// It is loaded, and this should be known about it.
    Note,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where. A problem of a whole file stands at its first character.
    #[serde(flatten)]
    pub place: Place,
    /// How bad.
    pub severity: Severity,
    /// The stable word.
    pub code: Code,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Every problem of a configuration, in the order of files and lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// These problems, in the order of files and lines.
    #[must_use]
    pub fn of(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self(problems)
    }

    /// Whether any of them refuses the configuration.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many there are of one severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|problem| problem.severity == severity).count()
    }

    /// The problems.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// The problems as one JSON object: `{"ok":…,"errors":…,"warnings":…,"notes":…,"problems":[…]}`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "ok": !self.has_errors(),
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "notes": self.count(Severity::Note),
            "problems": self.0,
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, severity, code, message, help } = self;
        writeln!(out, "{place}: {severity}[{}]: {}", code.word(), printable(message))?;
        writeln!(out, "  help: {}", printable(help))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|problem| problem.fmt(out))
    }
}

impl std::error::Error for Problems {}

/// Where problems are gathered while a configuration is read.
#[derive(Debug, Default)]
pub(super) struct Sink {
    problems: RefCell<Vec<Problem>>,
    files: RefCell<Vec<FileMark>>,
    /// Keys that were written, rightly or not, each with the place of its table: what is there and
    /// wrong is not also missing.
    attempted: RefCell<BTreeSet<(Place, String)>>,
    /// Which keys each table could have had, by the table.
    #[cfg(test)]
    known: RefCell<Vec<(*const super::node::Entries, Vec<&'static str>)>>,
}

impl Sink {
    pub(super) fn error(
        &self,
        code: Code,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Error, code, place, message.into(), help.into());
    }

    pub(super) fn warn(
        &self,
        code: Code,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Warning, code, place, message.into(), help.into());
    }

    pub(super) fn note(
        &self,
        code: Code,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Note, code, place, message.into(), help.into());
    }

    /// Notes that the file at `path` is about to be read.
    pub(super) fn note_file(&self, path: &Path) {
        self.files.borrow_mut().push(FileMark::of(path));
    }

    pub(super) fn take_files(&self) -> Vec<FileMark> {
        self.files.take()
    }

    pub(super) fn has_errors(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(super) fn into_problems(self) -> Problems {
        Problems::of(self.problems.into_inner())
    }

    /// Remembers that `key` was written in the table at `table`.
    pub(super) fn attempt(&self, table: &Place, key: &str) {
        self.attempted.borrow_mut().insert((table.clone(), key.to_owned()));
    }

    /// Whether none of `keys` was even tried in the table at `table`.
    pub(super) fn lacks(&self, table: &Place, keys: &[&str]) -> bool {
        let attempted = self.attempted.borrow();
        !keys.iter().any(|key| attempted.contains(&(table.clone(), (*key).to_owned())))
    }

    /// Notes which keys `table` may have.
    #[cfg(test)]
    pub(super) fn note_known(&self, table: &super::node::Entries, keys: &[&'static str]) {
        self.known.borrow_mut().push((table, keys.to_vec()));
    }

    /// The keys that `table` may have; none where nobody read it as a table of ours.
    #[cfg(test)]
    pub(super) fn known(&self, table: &super::node::Entries) -> Option<Vec<&'static str>> {
        let known = self.known.borrow();
        known.iter().find(|(other, _)| std::ptr::eq(*other, table)).map(|(_, keys)| keys.clone())
    }

    fn add(&self, severity: Severity, code: Code, place: &Place, message: String, help: String) {
        self.problems.borrow_mut().push(Problem { place: place.clone(), severity, code, message, help });
    }
}
