//! Records that a receiver cannot take, each in a line of a file of its own beside the sink's place.
//!
//! Must never lose one, nor let a sink go on where one cannot be kept. The journal has them too; here stands which they
//! are, and why.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::file::{open_whole, write_at_end};
use super::parcel::Parcel;
use super::target::Refused;

/// Most bytes of them. Beyond that somebody has to look before the sink goes on.
const DEAD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The file.
#[derive(Debug, Clone)]
pub(super) struct DeadLetters {
    path: PathBuf,
}

/// One of them.
#[derive(Serialize)]
struct Letter<'a> {
    seq: u64,
    digest: &'a str,
    why: &'a str,
    /// What was refused, as it was sent.
    text: &'a str,
}

impl DeadLetters {
    /// Those of the sink `name` in `dir`, and how many there are.
    pub(super) fn open(dir: &Path, name: &str) -> io::Result<(Self, u64)> {
        let path = dir.join(format!("{name}.dead.jsonl"));
        let count = match File::open(&path) {
            Ok(file) => count(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok((Self { path }, count))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps `lines`; they are on the disk when this returns.
    pub(super) fn keep(&self, lines: &[u8]) -> io::Result<()> {
        let mut file = open_whole(&self.path)?;
        let len = file.metadata()?.len();
        if len.saturating_add(lines.len() as u64) > DEAD_BYTES_MAX {
            return Err(io::Error::other("it is full: move it away once its records have been looked at"));
        }
        write_at_end(&mut file, len, lines)
    }
}

/// Those of `parcels` that were refused, a line each.
pub(super) fn letters(parcels: &[Parcel], refused: &[Refused]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for Refused { at, why } in refused {
        let Some(parcel) = parcels.get(*at) else { continue };
        let Parcel { seq, digest, text, .. } = parcel;
        serde_json::to_writer(&mut lines, &Letter { seq: seq.0, digest, why, text })?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn count(file: File) -> io::Result<u64> {
    let (mut lines, mut file) = (0, BufReader::new(file.take(DEAD_BYTES_MAX)));
    loop {
        let read = file.fill_buf()?;
        if read.is_empty() {
            return Ok(lines);
        }
        let (ends, length) = (memchr::memchr_iter(b'\n', read).count(), read.len());
        lines += u64::try_from(ends).unwrap_or(u64::MAX);
        file.consume(length);
    }
}
