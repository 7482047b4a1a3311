//! What tells one state of a file from another without reading it.
//!
//! Must be taken before the file is read: what is written meanwhile then shows the next time. It trusts
//! whoever looked: the facts are handed to it.

use std::os::unix::fs::MetadataExt;

/// Which file it is, and when it was last written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds. The time of the last status change beside that of the last write, because
    /// tools that copy a file set the latter back.
    written: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    /// The stamp of the file whose metadata these facts are.
    #[must_use]
    pub fn of(facts: &impl MetadataExt) -> Self {
        Self {
            device: facts.dev(),
            inode: facts.ino(),
            bytes: facts.size(),
            written: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        }
    }
}
