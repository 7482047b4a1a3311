//! Proofs for others: that a record is in the journal that a checkpoint signs, and that one checkpoint is the beginning of
//! another.
//!
//! Must never prove from lines that do not fit the checkpoint: what cannot be proven is an error. Keeps a logarithm of
//! the lines in memory, however many there are.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Seq;
use super::directory::segment_name;
use super::head::read_head;
use super::line::Kind;
use super::note::{Checkpoint, NoteError};
use super::read::{LineReader, Read, Record};
use super::recover::READ_BYTES;
use super::stream::sound;
use super::tail::TailError;
use super::tree::{Frontier, Roots, consistency, inclusion};
use crate::model::digest::Sha256;

/// A record, and the proof that it is in the journal.
#[derive(Debug, Serialize)]
pub struct Inclusion {
    /// Its number.
    pub seq: Seq,
    /// Its place among the leaves of the tree.
    pub index: u64,
    /// The record, byte by byte: the leaf is SHA-256 over a zero byte and this (RFC 6962, 2.1).
    pub line: String,
    /// How many leaves the tree has.
    pub size: u64,
    /// Its root.
    pub root: Sha256,
    /// The audit path (RFC 6962, 2.1.1).
    pub path: Vec<Sha256>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

/// The proof that one checkpoint is the beginning of another.
#[derive(Debug, Serialize)]
pub struct Consistency {
    /// How many leaves the older tree has.
    pub old_size: u64,
    /// Its root.
    pub old_root: Sha256,
    /// How many the newer has.
    pub size: u64,
    /// Its root.
    pub root: Sha256,
    /// The proof (RFC 6962, 2.1.2).
    pub proof: Vec<Sha256>,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] TailError),
    /// No checkpoint signs the record yet.
    #[error("no checkpoint signs record {0} yet: the next one does")]
    NotSigned(Seq),
    /// A checkpoint cannot be read.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The lines that are needed are not here, or are damaged.
    #[error("the lines that the proof needs are not all here; run `sluicegate audit verify`")]
    Incomplete,
    /// The lines that are here have another root.
    #[error("the lines that are here are not those that the checkpoint signs; run `sluicegate audit verify`")]
    OtherTree,
}

/// The newest checkpoint of the journal in `dir`, as a signed note; none where there is none. Reads no older segment than
/// it has to.
///
/// # Errors
/// [`ProveError`].
pub fn newest_checkpoint(dir: &Path) -> Result<Option<String>, ProveError> {
    let parts = parts(dir)?;
    for part in parts.iter().rev() {
        let mut newest = None;
        part.each(|record, _| newest = note(record).or(newest.take()))?;
        if newest.is_some() {
            return Ok(newest);
        }
    }
    Ok(None)
}

/// Proves that the record `seq` is in the journal in `dir`, by its newest checkpoint, or by the note `by`.
///
/// # Errors
/// [`ProveError`].
pub fn prove_inclusion(dir: &Path, seq: Seq, by: Option<&str>) -> Result<Inclusion, ProveError> {
    let note = match by {
        Some(note) => note.to_owned(),
        None => newest_checkpoint(dir)?.ok_or(ProveError::NotSigned(seq))?,
    };
    let checkpoint = Checkpoint::read(&note, &[])?;
    let base = checkpoint.base();
    let index = seq.0.checked_sub(base).ok_or(ProveError::Incomplete)?;
    let ranges = inclusion(index, checkpoint.size).ok_or(ProveError::NotSigned(seq))?;
    let (mut roots, mut whole, mut line) = (Roots::of(ranges), Frontier::default(), None);
    leaves(dir, base, 0..checkpoint.size, |at, record, text| {
        roots.leaf(at, record.leaf);
        whole.append(record.seq, record.leaf);
        if record.seq == seq {
            line = Some(String::from_utf8_lossy(text).into_owned());
        }
    })?;
    if whole.root() != checkpoint.root {
        return Err(ProveError::OtherTree);
    }
    let (path, line) = roots.finish().zip(line).ok_or(ProveError::Incomplete)?;
    Ok(Inclusion { seq, index, line, size: checkpoint.size, root: checkpoint.root, path, checkpoint: note })
}

/// Proves that the tree of the note `old` is the beginning of that of the note `new`, from the journal in `dir`. Reads
/// no segment that ended before `old`: those that follow say what was in the tree.
///
/// # Errors
/// [`ProveError`].
pub fn prove_consistency(dir: &Path, old: &str, new: &str) -> Result<Consistency, ProveError> {
    let (old, new) = (Checkpoint::read(old, &[])?, Checkpoint::read(new, &[])?);
    if old.origin != new.origin {
        return Err(ProveError::OtherTree);
    }
    let proof = prove_growth(dir, old.size, &new)?;
    if proof.old_root == old.root { Ok(proof) } else { Err(ProveError::OtherTree) }
}

/// Proves that the first `old_size` leaves are the beginning of the tree of `new`, for somebody who knows their root.
///
/// # Errors
/// [`ProveError`].
pub fn prove_growth(dir: &Path, old_size: u64, new: &Checkpoint) -> Result<Consistency, ProveError> {
    let ranges = consistency(old_size, new.size).ok_or(ProveError::OtherTree)?;
    let (mut roots, mut old_root) = (Roots::of(ranges), None);
    let mut whole = grown_to(dir, new.base(), old_size)?;
    leaves(dir, new.base(), whole.size..new.size, |at, record, _| {
        if at == old_size {
            roots.known_from(&whole);
            old_root = Some(whole.root());
        }
        roots.leaf(at, record.leaf);
        whole.append(record.seq, record.leaf);
    })?;
    let root = whole.root();
    if root != new.root {
        return Err(ProveError::OtherTree);
    }
    let proof = roots.finish().ok_or(ProveError::Incomplete)?;
    Ok(Consistency { old_size, old_root: old_root.unwrap_or(root), size: new.size, root, proof })
}

/// The tree from `base` on with at most `size` leaves, where the newest segment begins that knows one.
fn grown_to(dir: &Path, base: u64, size: u64) -> Result<Frontier, ProveError> {
    for part in parts(dir)?.iter().rev() {
        let io = |source| TailError::Io { path: part.path.clone(), source };
        let head = read_head(&File::open(&part.path).map_err(io)?).map_err(io)?;
        if let Some(tree) = head.tree.filter(|tree| tree.base == base && tree.size <= size) {
            return Ok(tree);
        }
    }
    Ok(Frontier::default())
}

/// The note of the checkpoint that `record` is.
fn note(record: &Record) -> Option<String> {
    record.members.note.clone().filter(|_| record.kind == Kind::Checkpoint)
}

/// Hands on the lines at `places` among those from number `base` on, each with its place.
fn leaves(
    dir: &Path,
    base: u64,
    places: Range<u64>,
    mut visit: impl FnMut(u64, &Record, &[u8]),
) -> Result<(), ProveError> {
    let Range { start: mut next, end } = places;
    let parts = parts(dir)?;
    // What ended before the first of them is not read.
    let holds = |part: &Part| part.first.0 <= base.saturating_add(next);
    let skipped = parts.iter().rposition(holds).unwrap_or_default();
    for part in parts.iter().skip(skipped) {
        part.each(|record, line| {
            if record.seq.0 == base.saturating_add(next) && next < end {
                visit(next, record, line);
                next += 1;
            }
        })?;
    }
    if next == end { Ok(()) } else { Err(ProveError::Incomplete) }
}

/// One segment, as far as it counts.
struct Part {
    /// The number of its first line.
    first: Seq,
    path: PathBuf,
    bytes: u64,
}

/// The segments that can be read, in order.
fn parts(dir: &Path) -> Result<Vec<Part>, ProveError> {
    let named = |first: Seq| (first, dir.join(segment_name(first)));
    let paths: Vec<(Seq, PathBuf)> = sound(dir).map_err(TailError::from)?.into_iter().map(named).collect();
    let successors = paths.iter().skip(1).map(|(_, next)| counted(next)).chain([None]);
    let part = |((first, path), counted): (&(Seq, PathBuf), Option<u64>)| Part {
        first: *first,
        path: path.clone(),
        bytes: counted.unwrap_or(u64::MAX),
    };
    Ok(paths.iter().zip(successors).map(part).collect())
}

impl Part {
    /// Hands on every line that counts and can be read.
    fn each(&self, mut visit: impl FnMut(&Record, &[u8])) -> Result<(), ProveError> {
        let io = |source| TailError::Io { path: self.path.clone(), source };
        let file = File::open(&self.path).map_err(io)?.take(self.bytes);
        let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, file), 0);
        loop {
            match reader.read().map_err(io)? {
                Read::End => return Ok(()),
                Read::Flawed(..) => {}
                Read::Line(line, _) => {
                    if let Ok(record) = Record::read(line) {
                        visit(&record, line);
                    }
                }
            }
        }
    }
}

/// How many bytes of the segment before the one at `path` count, as that one says.
fn counted(path: &Path) -> Option<u64> {
    Some(read_head(&File::open(path).ok()?).ok()?.previous?.bytes)
}
