//! A set of keys in a file.
//!
//! Must never read more than a set may hold, nor wait for what is no file. It trusts whoever can write the
//! file: its keys are the issuer's.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::SET_BYTES_MAX;
use crate::model::file_stamp::FileStamp;

/// The stamp of the file, and its bytes unless it is still as `known` says.
pub(super) fn look(path: &Path, known: Option<FileStamp>) -> io::Result<(FileStamp, Option<Vec<u8>>)> {
    // The stamp is taken before the bytes: what is written meanwhile shows the next time.
    let stamp = FileStamp::of(&path.metadata()?);
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
