//! One segment: a file that only grows, and whether it is still the file that we think it is.
//!
//! Must never be written where it was deleted, replaced, or changed by somebody else: what is written
//! there would not be in the journal (CASES F60).

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{self, AtFlags, Stat};

use super::Seq;
use super::disk::Disk;

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    pub(super) name: String,
    pub(super) first: Seq,
    /// Bytes that are written whole. What may stand behind them does not count.
    pub(super) len: u64,
    /// How much of that is the head: the live state that it opened with.
    pub(super) head: u64,
    /// Bytes that are reserved, from the start of the file.
    pub(super) allocated: u64,
}

/// What somebody did to the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Tampering {
    /// There is no such name any more.
    #[error("was deleted or moved away")]
    Deleted,
    /// The name is another file now.
    #[error("was replaced by another file")]
    Replaced,
    /// It is shorter or longer than what was written.
    #[error("has {found} bytes where {expected} were written")]
    Resized {
        /// What it has.
        found: u64,
        /// What was written.
        expected: u64,
    },
}

impl Tampering {
    /// The word in the record.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Replaced => "replaced",
            Self::Resized { .. } => "resized",
        }
    }
}

impl Segment {
    /// Bytes that can still be written into reserved space.
    pub(super) fn left(&self) -> u64 {
        self.allocated.saturating_sub(self.len)
    }

    /// Bytes written after the head.
    pub(super) fn body(&self) -> u64 {
        self.len.saturating_sub(self.head)
    }

    /// Whether the name in `directory` still is this file, and as long as it was left.
    pub(super) fn check(&self, directory: &Path) -> Result<(), Tampering> {
        let ours = Disk::look(&self.file).map_err(|_| Tampering::Deleted)?;
        let path = directory.join(&self.name);
        let named = fs::statat(fs::CWD, &path, AtFlags::SYMLINK_NOFOLLOW).map_err(|_| Tampering::Deleted)?;
        if !is_same(&ours, &named) {
            return Err(Tampering::Replaced);
        }
        let found = u64::try_from(ours.st_size).unwrap_or_default();
        if found != self.len {
            return Err(Tampering::Resized { found, expected: self.len });
        }
        Ok(())
    }

    /// Gives back the space that was reserved and not used, and marks the segment closed by making it
    /// read-only: a closed segment that is the last one says that its successor is missing.
    pub(super) fn close(&self, disk: &Disk) -> io::Result<()> {
        disk.close(&self.file, self.len)
    }
}

/// Whether two looks were at one file.
pub(super) fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}
