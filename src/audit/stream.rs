//! The records of the journal one after the other, from a place that can be kept: over the ends of segments, each once.
//!
//! Gives a record only once its group is committed: before that it is not in the journal. Must never change a file,
//! nor hold a writer up. What was stated once more after the disk had failed is given where it was not given before.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Seq;
use super::directory::{DirectoryError, SegmentState, segment_name, segments};
use super::head::read_head;
use super::line::Kind;
use super::read::{Flaw, LineReader, Read, Record};
use super::recover::READ_BYTES;
use super::tail::TailError;

/// One committed record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number.
    pub seq: Seq,
    /// What it records.
    pub kind: Kind,
    /// The line.
    pub line: String,
}

/// A place between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The segment that is read; none before the first.
    pub segment: Option<Seq>,
    /// Bytes of it that lie behind.
    pub offset: u64,
    /// The number of the first record that lies ahead.
    pub next: Seq,
}

/// How far one read goes.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// The last record that may be given: as far as somebody knows that the journal is durable.
    pub until: Option<Seq>,
    /// No further group is begun once so many records were read.
    pub records_max: usize,
    /// Nor once so many bytes were.
    pub bytes_max: usize,
}

/// A reader that moves on.
#[derive(Debug)]
pub struct Stream {
    dir: PathBuf,
    at: Position,
    missed: u64,
}

/// What one group or more gave.
#[derive(Debug, Default)]
struct Given {
    items: Vec<Item>,
    bytes: usize,
}

impl Position {
    /// Behind the record `last` of the journal in `dir`.
    #[must_use]
    pub fn behind(dir: &Path, last: Seq) -> Self {
        let segment = sound(dir).ok().and_then(|all| all.into_iter().rfind(|first| *first <= last));
        Self { segment, offset: 0, next: Seq(last.0.saturating_add(1)) }
    }
}

impl Stream {
    /// Begins at `at` in the journal in `dir`. Opens nothing yet.
    #[must_use]
    pub fn new(dir: &Path, at: Position) -> Self {
        Self { dir: dir.to_owned(), at, missed: 0 }
    }

    /// Where it is: behind everything that was given.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// Segments that were gone, or declared damaged, before they were read to their end.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The records that are ahead, as far as `reach` goes; none where there are none yet. Lines that only hold the
    /// journal together (commits, states) are left out.
    ///
    /// # Errors
    /// [`TailError`] where the journal cannot be read or is damaged.
    pub fn read(&mut self, reach: Reach) -> Result<Vec<Item>, TailError> {
        let mut given = Given::default();
        loop {
            // The successor is looked for first: if it is there, what is read then is all that its predecessor
            // will ever hold.
            let successor = sound(&self.dir)?.into_iter().find(|first| Some(*first) > self.at.segment);
            if let Some(first) = self.at.segment {
                match self.segment(first, successor, reach, &mut given) {
                    // What was given is given; whoever reads on meets it again.
                    Err(error) if given.items.is_empty() => return Err(error),
                    Err(_) | Ok(End::Ahead) => return Ok(given.items),
                    Ok(_) if given.is_enough(reach) => return Ok(given.items),
                    Ok(End::Gone) => self.missed += 1,
                    Ok(End::Read) => {}
                }
            }
            let Some(successor) = successor else { return Ok(given.items) };
            self.at = Position { segment: Some(successor), offset: 0, ..self.at };
        }
    }

    /// Whether the segment that `successor` follows counts beyond `offset`, as that one says, and that one does not
    /// state the rest once more. What counts is never passed over, however damaged it is.
    fn counts(&self, successor: Option<Seq>, offset: u64) -> bool {
        let head = successor.and_then(|first| File::open(self.dir.join(segment_name(first))).ok());
        let Some(head) = head.and_then(|file| read_head(&file).ok()) else { return false };
        match head.restated.keys().next() {
            // It states everything once more from there on.
            Some(first) => *first > self.at.next,
            None => head.previous.is_some_and(|previous| offset < previous.bytes),
        }
    }

    fn segment(
        &mut self,
        first: Seq,
        successor: Option<Seq>,
        reach: Reach,
        given: &mut Given,
    ) -> Result<End, TailError> {
        let path = self.dir.join(segment_name(first));
        let io = |source| TailError::Io { path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            // Somebody removed it. What follows is given; `verify` tells what is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(End::Gone),
            Err(error) => return Err(io(error)),
        };
        file.seek(SeekFrom::Start(self.at.offset)).map_err(io)?;
        let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, file), self.at.offset);
        let mut group = Vec::new();
        while !given.is_enough(reach) {
            let (line, offset) = match reader.read().map_err(io)? {
                Read::Line(line, offset) => (line, offset),
                // The rest of the line is on its way, or will be cut off.
                Read::End if !self.counts(successor, self.at.offset) => break,
                Read::End => {
                    return Err(TailError::Damaged { path, offset: self.at.offset, flaw: Flaw::Unfinished });
                }
                Read::Flawed(Flaw::Unfinished, offset) if !self.counts(successor, offset) => break,
                Read::Flawed(flaw, offset) => return Err(TailError::Damaged { path, offset, flaw }),
            };
            let record = match Record::read(line) {
                Ok(record) => record,
                // A tail that does not count ends what is given of a closed segment.
                Err(_) if successor.is_some() && !self.counts(successor, offset) => break,
                Err(flaw) => return Err(TailError::Damaged { path, offset, flaw }),
            };
            if record.kind != Kind::Commit {
                group.extend(item(&record, line));
                continue;
            }
            if reach.until.is_some_and(|until| until < record.seq) {
                return Ok(End::Ahead);
            }
            self.at.offset = offset + line.len() as u64 + 1;
            // What is stated once more has an older number than the lines around it.
            group.sort_by_key(|item: &Item| item.seq);
            for item in group.drain(..).filter(|item| item.seq >= self.at.next) {
                given.bytes += item.line.len();
                given.items.push(item);
            }
            self.at.next = Seq(record.seq.0 + 1);
        }
        Ok(End::Read)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As far as there is something, or as far as is wanted.
    Read,
    /// What follows is beyond what may be given.
    Ahead,
    /// The segment is not there any more.
    Gone,
}

impl Given {
    fn is_enough(&self, reach: Reach) -> bool {
        self.items.len() >= reach.records_max || self.bytes >= reach.bytes_max
    }
}

/// What `line` is given as.
fn item(record: &Record, line: &[u8]) -> Option<Item> {
    match record.kind {
        Kind::State => None,
        Kind::Restated => {
            let inner = record.members.line.as_ref()?.get();
            let Record { seq, kind, .. } = Record::read(inner.as_bytes()).ok()?;
            let counts = !matches!(kind, Kind::State | Kind::Commit | Kind::Restated);
            counts.then(|| Item { seq, kind, line: inner.to_owned() })
        }
        kind => Some(Item { seq: record.seq, kind, line: String::from_utf8_lossy(line).into_owned() }),
    }
}

/// The first record of the journal in `dir` that is there; none where it is empty.
///
/// # Errors
/// [`TailError`] where the folder cannot be read.
pub fn oldest(dir: &Path) -> Result<Option<Seq>, TailError> {
    Ok(sound(dir)?.into_iter().min())
}

/// The first records of the segments that can be read, in order.
pub(super) fn sound(dir: &Path) -> Result<Vec<Seq>, DirectoryError> {
    let segments = segments(dir)?.into_iter();
    Ok(segments.filter(|segment| segment.state == SegmentState::Sound).map(|segment| segment.first).collect())
}
