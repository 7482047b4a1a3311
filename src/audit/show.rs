//! `audit show SEQ`: one record as it stands, and its counterpart where it is half of a call.
//!
//! Must never change a file. Reads only the segments that can hold what it looks for.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use memchr::memmem::Finder;

use super::Seq;
use super::directory::{DirectoryError, SegmentFile, segments};
use super::line::Kind;
use super::read::{LineReader, Read, Record};
use super::recover::READ_BYTES;

/// A record as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The segment that holds it.
    pub file: String,
    /// The line.
    pub line: String,
    /// What is wrong with it, if something is.
    pub flaw: Option<super::Flaw>,
}

/// Why a record cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The folder cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no such record.
    #[error("there is no record {0} in the journal")]
    Missing(Seq),
}

/// The record `seq` of the journal in `dir`; after the intent of a call its outcome, and before an outcome
/// its intent.
///
/// # Errors
/// [`ShowError`] where it is not there or cannot be read.
pub fn show(dir: &Path, seq: Seq) -> Result<Vec<Shown>, ShowError> {
    let segments = segments(dir)?;
    let at = find(dir, &segments, seq)?.ok_or(ShowError::Missing(seq))?;
    let Ok(record) = Record::read(at.line.as_bytes()) else { return Ok(vec![at]) };
    match (record.kind, record.members.intent) {
        (Kind::Intent, _) => {
            let mut shown = vec![at];
            shown.extend(find_end(dir, &segments, seq)?);
            Ok(shown)
        }
        (Kind::Outcome | Kind::Unknown, Some(intent)) => {
            let mut shown = Vec::from_iter(find(dir, &segments, intent)?);
            shown.push(at);
            Ok(shown)
        }
        _ => Ok(vec![at]),
    }
}

fn find(dir: &Path, segments: &[SegmentFile], seq: Seq) -> Result<Option<Shown>, ShowError> {
    // A later segment cannot hold it, unless it states it again.
    let candidates = segments.iter().rev().filter(|segment| segment.first <= seq).take(1);
    let needle = format!("\"seq\":{},", seq.0);
    for segment in candidates {
        let found = scan(dir, segment, |line| {
            line.get(..64).unwrap_or(line).windows(needle.len()).any(|window| window == needle.as_bytes())
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The end of a call stands behind its intent, at the latest behind the next start.
fn find_end(dir: &Path, segments: &[SegmentFile], intent: Seq) -> Result<Option<Shown>, ShowError> {
    let begin = segments.iter().rposition(|segment| segment.first <= intent).unwrap_or_default();
    let finder = Finder::new("\"intent\":").into_owned();
    for segment in segments.get(begin..).unwrap_or_default() {
        let found = scan(dir, segment, |line| {
            finder.find(line).is_some()
                && Record::read(line).is_ok_and(|record| {
                    matches!(record.kind, Kind::Outcome | Kind::Unknown)
                        && record.members.intent == Some(intent)
                })
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn scan(
    dir: &Path,
    segment: &SegmentFile,
    is_it: impl Fn(&[u8]) -> bool,
) -> Result<Option<Shown>, ShowError> {
    let path = dir.join(&segment.name);
    let io = |source| ShowError::Io { path: path.clone(), source };
    let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, File::open(&path).map_err(io)?), 0);
    loop {
        match reader.read().map_err(io)? {
            Read::End => return Ok(None),
            Read::Flawed(..) => {}
            Read::Line(line, _) if is_it(line) => {
                let flaw = Record::read(line).err();
                let line = String::from_utf8_lossy(line).into_owned();
                return Ok(Some(Shown { file: segment.name.clone(), line, flaw }));
            }
            Read::Line(..) => {}
        }
    }
}
