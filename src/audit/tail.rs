//! `audit tail`: follows the journal while it is written, over the ends of segments.
//!
//! Polls, because that works on every file system. Shows a record only once its group is committed: before
//! that it is not in the journal. Must never change a file, nor hold a writer up.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::Seq;
use super::directory::{DirectoryError, SegmentState, segment_name, segments};
use super::line::Kind;
use super::read::{LineReader, Read, Record};
use super::recover::READ_BYTES;

/// Most records that one poll gives.
pub const POLL_RECORDS_MAX: usize = 4096;

/// Where following begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With what is written from now on.
    Now,
    /// With the last start of the gateway.
    LastStart,
    /// With the segment before the last: enough to look back from the end.
    Recent,
}

/// One committed record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it records.
    pub kind: Kind,
    /// The line.
    pub line: String,
}

/// Why a journal cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
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
    /// A line of it is damaged.
    #[error("`{}` is damaged at byte {offset}: {flaw}; run `sluicegate audit verify`", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        flaw: super::Flaw,
    },
}

/// A place in the journal that moves on.
#[derive(Debug)]
pub struct Follower {
    dir: PathBuf,
    /// The segment that is read; none while there is no journal yet.
    first: Option<Seq>,
    /// As far as committed records were given.
    offset: u64,
}

impl Follower {
    /// Begins at `from` in the journal in `dir`.
    ///
    /// # Errors
    /// [`TailError`] where the folder cannot be read.
    pub fn open(dir: &Path, from: From) -> Result<Self, TailError> {
        let names = sound(dir)?;
        let mut follower = Self { dir: dir.to_owned(), first: names.last().copied(), offset: 0 };
        match from {
            From::Now => while follower.poll()?.len() == POLL_RECORDS_MAX {},
            From::Recent => follower.first = names.iter().rev().nth(1).or(names.last()).copied(),
            From::LastStart => {
                for first in names.iter().rev() {
                    follower.first = Some(*first);
                    if begins_process(&dir.join(segment_name(*first))) {
                        break;
                    }
                }
            }
        }
        Ok(follower)
    }

    /// The records that were committed since the last poll, at most [`POLL_RECORDS_MAX`] and a group.
    /// Lines that only hold the journal together (commits, states) are left out.
    ///
    /// # Errors
    /// [`TailError`] where the journal cannot be read or is damaged.
    pub fn poll(&mut self) -> Result<Vec<Item>, TailError> {
        let mut items = Vec::new();
        loop {
            // The successor is looked for first: if it is there, what is read then is all that its
            // predecessor will ever hold.
            let successor = sound(&self.dir)?.into_iter().find(|first| Some(*first) > self.first);
            if let Some(first) = self.first {
                self.read(first, successor, &mut items)?;
            }
            if items.len() >= POLL_RECORDS_MAX {
                return Ok(items);
            }
            let Some(successor) = successor else { return Ok(items) };
            self.first = Some(successor);
            self.offset = 0;
        }
    }

    fn read(&mut self, first: Seq, successor: Option<Seq>, items: &mut Vec<Item>) -> Result<(), TailError> {
        let path = self.dir.join(segment_name(first));
        let io = |source| TailError::Io { path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            // Somebody removed it. What follows is shown; `verify` tells what is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io(error)),
        };
        file.seek(SeekFrom::Start(self.offset)).map_err(io)?;
        let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, file), self.offset);
        let mut group = Vec::new();
        while items.len() < POLL_RECORDS_MAX {
            let (line, offset) = match reader.read().map_err(io)? {
                Read::Line(line, offset) => (line, offset),
                // The rest of the line is on its way, or will be cut off.
                Read::End | Read::Flawed(super::Flaw::Unfinished, _) => break,
                Read::Flawed(flaw, offset) => return Err(TailError::Damaged { path, offset, flaw }),
            };
            let record = match Record::read(line) {
                Ok(record) => record,
                // A tail that does not count ends what is shown of a closed segment.
                Err(_) if successor.is_some() => break,
                Err(flaw) => return Err(TailError::Damaged { path, offset, flaw }),
            };
            match record.kind {
                Kind::Commit => {
                    self.offset = offset + line.len() as u64 + 1;
                    items.append(&mut group);
                }
                Kind::State | Kind::Restated => {}
                kind => {
                    let line = String::from_utf8_lossy(line).into_owned();
                    group.push(Item { kind, line });
                }
            }
        }
        Ok(())
    }
}

fn sound(dir: &Path) -> Result<Vec<Seq>, DirectoryError> {
    let segments = segments(dir)?.into_iter();
    Ok(segments.filter(|segment| segment.state == SegmentState::Sound).map(|segment| segment.first).collect())
}

/// Whether the segment was begun because the gateway started. Where that cannot be read, it was.
fn begins_process(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return true };
    let mut reader = LineReader::new(BufReader::new(file), 0);
    match reader.read() {
        Ok(Read::Line(line, _)) => {
            Record::read(line).map_or(true, |record| record.members.why.as_deref() == Some("started"))
        }
        _ => true,
    }
}
