//! `audit tail`: follows the journal while it is written, from now, from the last start, or from a little before.
//!
//! Polls, because that works on every file system. Must never change a file, nor hold a writer up.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::directory::{DirectoryError, segment_name};
use super::read::{LineReader, Read, Record};
use super::stream::{Item, Position, Reach, Stream, sound};

/// Most records that one poll gives.
pub const POLL_RECORDS_MAX: usize = 4096;
/// Most bytes of them, before a group that begins within.
pub const POLL_BYTES_MAX: usize = 16 * 1024 * 1024;

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
pub struct Follower(Stream);

impl Follower {
    /// Begins at `from` in the journal in `dir`.
    ///
    /// # Errors
    /// [`TailError`] where the folder cannot be read.
    pub fn open(dir: &Path, from: From) -> Result<Self, TailError> {
        let names = sound(dir)?;
        let mut segment = names.last().copied();
        match from {
            From::Now => {}
            From::Recent => segment = names.iter().rev().nth(1).or(names.last()).copied(),
            From::LastStart => {
                for first in names.iter().rev() {
                    segment = Some(*first);
                    if begins_process(&dir.join(segment_name(*first))) {
                        break;
                    }
                }
            }
        }
        let mut follower = Self(Stream::new(dir, Position { segment, ..Position::default() }));
        if from == From::Now {
            while !follower.poll()?.is_empty() {}
        }
        Ok(follower)
    }

    /// The records that were committed since the last poll, at most [`POLL_RECORDS_MAX`] and a group.
    /// Lines that only hold the journal together (commits, states) are left out.
    ///
    /// # Errors
    /// [`TailError`] where the journal cannot be read or is damaged.
    pub fn poll(&mut self) -> Result<Vec<Item>, TailError> {
        self.0.read(Reach { until: None, records_max: POLL_RECORDS_MAX, bytes_max: POLL_BYTES_MAX })
    }
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
