//! A set of keys in a file.
//!
//! Must never read more than a set may hold, nor wait for what is no file. It trusts whoever can write the
//! file: its keys are the issuer's.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::SET_BYTES_MAX;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(facts: &Metadata) -> Self {
        Self {
            device: facts.dev(),
            inode: facts.ino(),
            bytes: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        }
    }
}

/// The stamp of the file, and its bytes unless it is still as `known` says.
pub(super) fn look(path: &Path, known: Option<Stamp>) -> io::Result<(Stamp, Option<Vec<u8>>)> {
    // The stamp is taken before the bytes: what is written meanwhile shows the next time.
    let stamp = Stamp::of(&path.metadata()?);
    if known == Some(stamp) {
        return Ok((stamp, None));
    }
    read(path).map(|bytes| (stamp, Some(bytes)))
}

/// The bytes of the file.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let limit = u64::try_from(SET_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > SET_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {SET_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}
