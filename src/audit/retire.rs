//! Removing what is older than it has to be kept: whole segments, from the oldest on, on the record first.
//!
//! Must never remove what a sink has not had, the newest two segments, or anything behind a segment that stays: what is
//! left is the end of the journal, and verifies. A start reads the last segment alone, so no state is lost.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;

use super::Seq;
use super::directory::{SegmentState, segments};
use super::tail::TailError;

/// Segments that always stay: the one that is written to, and the one before it.
const KEPT_SEGMENTS: usize = 2;
/// Most segments that are removed at once.
const RETIRED_MAX: usize = 1024;

/// Segments that may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirable {
    /// Their first record.
    pub first: Seq,
    /// Their last record.
    pub last: Seq,
    /// Their size together, in bytes.
    pub bytes: u64,
    names: Vec<String>,
}

impl Retirable {
    /// How many there are.
    #[must_use]
    pub fn segments(&self) -> u64 {
        self.names.len() as u64
    }
}

/// The segments of the journal in `dir` that were last written before `before`, and of which `needed`, the first record
/// that somebody has not had, has nothing.
///
/// # Errors
/// [`TailError`] where the folder cannot be read.
pub fn retirable(dir: &Path, before: Timestamp, needed: Seq) -> Result<Option<Retirable>, TailError> {
    let all = segments(dir)?;
    let (before, mut bytes, mut names) = (SystemTime::from(before), 0_u64, Vec::new());
    let mut last = Seq(0);
    let candidates = all.len().saturating_sub(KEPT_SEGMENTS).min(RETIRED_MAX);
    for (segment, next) in all.iter().zip(all.iter().skip(1)).take(candidates) {
        let path = dir.join(&segment.name);
        let facts = path.metadata().map_err(|source| TailError::Io { path, source })?;
        let written = facts.modified().unwrap_or(before);
        // What a person declared damaged is theirs to remove.
        let may_go = segment.state == SegmentState::Sound && written < before && next.first <= needed;
        if !may_go {
            break;
        }
        bytes = bytes.saturating_add(facts.len());
        last = Seq(next.first.0.saturating_sub(1));
        names.push(segment.name.clone());
    }
    let first = all.first().map(|segment| segment.first).unwrap_or_default();
    Ok((!names.is_empty()).then_some(Retirable { first, last, bytes, names }))
}

/// Removes them, the oldest first: whatever a crash leaves is a journal that begins later.
///
/// # Errors
/// What the system says; those before are gone.
pub fn retire(dir: &Path, retired: &Retirable) -> io::Result<()> {
    for name in &retired.names {
        match fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    File::open(dir)?.sync_all()
}
