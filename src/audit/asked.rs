//! The questions to people that a journal holds: which were asked, by which rules, and what became of each.
//!
//! Must never change a file. Trusts no record: what a member does not say is empty.

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use super::Seq;
use super::line::Kind;
use super::query::{STEP, begin};
use super::recorded::Rule;
use super::stream::{Item, Stream};
use super::tail::TailError;
use crate::model::approval::{ApprovalChange, Asked, QuestionId};

/// What one record says of a question.
#[derive(Debug, Clone)]
pub struct AskedRecord {
    /// When it was written.
    pub at: Timestamp,
    /// The question.
    pub id: QuestionId,
    /// What became of it.
    pub change: ApprovalChange,
    /// The rules that ask, in words with their places, where it was asked.
    pub rules: Vec<String>,
}

#[derive(Deserialize)]
struct Written {
    t: Timestamp,
    change: String,
    asked: Asked,
    #[serde(default)]
    rules: Vec<Rule>,
}

impl AskedRecord {
    fn of(item: &Item) -> Option<Self> {
        if item.kind != Kind::Approval {
            return None;
        }
        let Written { t: at, change, asked, rules } = serde_json::from_str(&item.line).ok()?;
        let change = ApprovalChange::parse(&change)?;
        Some(Self { at, id: asked.id, change, rules: rules.into_iter().map(Rule::words).collect() })
    }
}

/// Hands what the journal in `dir` says of questions since that moment to `visit`, in its order. `progress` is told the
/// number of the last record that was read.
///
/// # Errors
/// [`TailError`] where the journal cannot be read, or is damaged.
pub fn asked(
    dir: &Path,
    since: Option<Timestamp>,
    mut visit: impl FnMut(AskedRecord),
    mut progress: impl FnMut(Seq),
) -> Result<(), TailError> {
    let mut stream = Stream::new(dir, begin(dir, since)?);
    loop {
        let items = stream.read(STEP)?;
        let Some(last) = items.last() else { return Ok(()) };
        progress(last.seq);
        let records = items.iter().filter_map(AskedRecord::of);
        records.filter(|record| since.is_none_or(|since| since <= record.at)).for_each(&mut visit);
    }
}
