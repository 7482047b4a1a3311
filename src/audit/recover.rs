//! How the journal is found again at start: from the last segment, by the fold of the live path.
//!
//! Must never skip damage: a tail that was not known durable is torn, is cut and recorded; anything else
//! stops the start with an error that names the record. Only a person can declare history lost.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use super::Seq;
use super::begin::{Preamble, Previous};
use super::directory::{
    DAMAGED_SUFFIX, Directory, DirectoryError, STANDBY_NAME, SegmentFile, SegmentState, segment_name,
};
use super::disk::{Access, Disk};
use super::line::{Chain, Kind};
use super::live::Live;
use super::read::{Flaw, LineReader, Read, Record, TreeRead};
use super::tree::Frontier;
use crate::model::digest::Sha256;

/// Numbers that are left out after a segment that cannot be read, so that none is used twice.
pub(super) const LOST_SEQS: u64 = 1_000_000;

/// Why the journal cannot be recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The folder cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The system refused to read or cut a segment.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A segment is damaged where it is known to have been whole.
    #[error(
        "the audit journal is damaged: `{}`, record {seq} (byte {offset}): {flaw}. It was on the disk before, so \
         this is no unfinished tail. Find out who changed it; `sluicegate audit verify` shows all damage. Then \
         restore the file from a copy, or accept the loss: rename it to `{}` and start again, which closes \
         every run in it until a person ends it",
        path.display(),
        damaged_name(path)
    )]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// The first record that is damaged.
        seq: Seq,
        /// Where it begins in the file.
        offset: u64,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The last segment was closed by one that is not there.
    #[error(
        "the audit journal is not whole: `{}` was closed by a later segment, and there is none. Restore `{next}`, \
         or accept the loss: make an empty file `{}` (mode 0600) and start again, which closes every run \
         until a person ends it",
        path.display(),
        damaged_name(std::path::Path::new(next))
    )]
    SuccessorMissing {
        /// The segment that was closed.
        path: PathBuf,
        /// The segment that should follow.
        next: String,
    },
}

fn damaged_name(path: &std::path::Path) -> String {
    path.with_extension(DAMAGED_SUFFIX.trim_start_matches('.')).display().to_string()
}

/// What was found of the journal.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) live: Live,
    pub(super) chain: Chain,
    /// The id of the journal; none where this is a fresh one.
    pub(super) journal: Option<String>,
    pub(super) previous: Option<Previous>,
    /// What the first segment of this process has to say about what was found.
    pub(super) preamble: Vec<Preamble>,
    /// The tree over all lines, or over those since it had to begin anew.
    pub(super) tree: Frontier,
}

/// Reads the journal in `directory`. Changes nothing but an old `standby`, which is no segment; what was not known
/// durable is written again as it is.
pub(super) fn recover(directory: &Directory, disk: &Disk) -> Result<Found, RecoverError> {
    // What an unfinished beginning left behind was never part of the journal.
    match rustix::fs::unlinkat(&directory.fd, STANDBY_NAME, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(failed("remove", directory, STANDBY_NAME, error.into())),
    }
    let segments = directory.segments()?;
    let last_sound = segments.iter().rev().find(|segment| segment.state == SegmentState::Sound);
    let mut found = match last_sound {
        Some(segment) => read_last(directory, disk, segment)?,
        None => Found {
            live: Live::default(),
            chain: Chain::genesis(),
            journal: None,
            previous: None,
            preamble: Vec::new(),
            tree: Frontier::default(),
        },
    };
    let after = last_sound.map(|segment| segment.first);
    let damaged: Vec<_> = segments.iter().filter(|segment| Some(segment.first) > after).collect();
    if let (Some(last), true) = (last_sound, damaged.is_empty()) {
        demand_open(directory, disk, last, &found)?;
    }
    for segment in damaged {
        salvage(directory, disk, segment, &mut found)?;
    }
    let open = found.live.open.values().cloned();
    found.preamble.extend(open.map(Preamble::Unknown));
    Ok(found)
}

/// Reads the last segment: folds what counts, tells a torn tail from corruption.
fn read_last(directory: &Directory, disk: &Disk, segment: &SegmentFile) -> Result<Found, RecoverError> {
    let io = |source| failed("read", directory, &segment.name, source);
    let file = disk.open(&directory.fd, &segment.name, Access::Read).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut fold = Fold::default();
    let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, &file), 0);
    let damage = loop {
        match reader.read().map_err(io)? {
            Read::End => break None,
            Read::Flawed(flaw, offset) => break Some((flaw, offset)),
            Read::Line(line, offset) => {
                let end = offset + line.len() as u64 + 1;
                if let Err(flaw) = fold.line(line, end) {
                    break Some((flaw, offset));
                }
            }
        }
    };
    let Fold { live, committed, next, journal, group, tree, leaves: _, durable } = fold;
    let Some(committed) = committed else {
        // A segment gets its name after its head is durable: one without a whole head was damaged since.
        let (flaw, offset) = damage.unwrap_or((Flaw::Unfinished, size));
        return Err(corrupt(directory, segment, segment.first, offset, flaw));
    };
    let seq = next.map_or(segment.first, |chain| chain.next);
    if let Some((flaw, offset)) = damage
        && (matches!(flaw, Flaw::Foreign { .. }) || was_durable(&mut reader, seq).map_err(io)?)
    {
        return Err(corrupt(directory, segment, seq, offset, flaw));
    }
    drop(group);
    // What the last process wrote and did not sync is made durable before anything is built on it. Where
    // that fails, nothing that follows could be trusted.
    let unsynced = durable.bytes..committed.bytes;
    harden(directory, disk, segment, &file, unsynced)
        .map_err(|source| failed("make durable", directory, &segment.name, source))?;
    let mut found = Found {
        live,
        chain: committed.chain,
        journal,
        previous: Some(Previous { file: segment.name.clone(), bytes: committed.bytes }),
        preamble: Vec::new(),
        tree,
    };
    if committed.bytes < size {
        let sha256 = digest_from(&file, committed.bytes).map_err(io)?;
        let (file_name, offset, bytes) = (segment.name.clone(), committed.bytes, size - committed.bytes);
        found.preamble.push(Preamble::Torn { file: file_name, offset, bytes, sha256 });
    }
    Ok(found)
}

/// The state of reading one segment from its head on.
#[derive(Default)]
struct Fold {
    live: Live,
    /// As far as the segment counts.
    committed: Option<Committed>,
    /// The place of the next line, committed or not.
    next: Option<Chain>,
    journal: Option<String>,
    /// The lines since the last commit. They count once it is there.
    group: Vec<Record>,
    tree: Frontier,
    /// Their leaf hashes, and those of the lines before them that count with them.
    leaves: Vec<(Seq, Sha256)>,
    durable: Durable,
}

/// As far as the process that wrote the segment knew it to be durable.
#[derive(Default)]
struct Durable {
    bytes: u64,
    /// Lines behind that, and where they end: never more than a writer keeps unsynced.
    ends: VecDeque<(Seq, u64)>,
}

impl Durable {
    /// A commit line ends at `end` and says that all up to `synced` was durable.
    fn commit(&mut self, synced: Option<Seq>, end: u64) {
        // A segment gets its name once its head, which is its first group, is durable.
        if self.bytes == 0 {
            *self = Self { bytes: end, ends: VecDeque::new() };
        }
        while let Some((_, end)) = self.ends.pop_front_if(|(seq, _)| Some(*seq) <= synced) {
            self.bytes = end;
        }
    }
}

struct Committed {
    chain: Chain,
    bytes: u64,
}

impl Fold {
    /// Takes one line, which ends at byte `end`.
    fn line(&mut self, line: &[u8], end: u64) -> Result<(), Flaw> {
        let record = Record::read(line)?;
        match &self.next {
            Some(chain) => record.continues(chain)?,
            None if record.kind == Kind::Segment => {
                self.journal = record.members.journal.clone();
                // A segment that says nothing of it was begun before there was a tree: it begins here.
                let before = record.members.tree.as_ref().and_then(TreeRead::frontier);
                self.tree = before.unwrap_or_default();
            }
            None => return Err(Flaw::NoHead),
        }
        let chain = record.after();
        self.leaves.push((record.seq, record.leaf));
        self.durable.ends.push_back((record.seq, end));
        if record.kind == Kind::Commit {
            let (said, found) = (record.members.count.unwrap_or_default(), self.group.len() as u64);
            if said != found {
                return Err(Flaw::Count { said, found });
            }
            for record in self.group.drain(..) {
                apply(&mut self.live, &record);
            }
            self.leaves.drain(..).for_each(|(seq, leaf)| self.tree.append(seq, leaf));
            self.durable.commit(record.members.synced, end);
            self.committed = Some(Committed { chain, bytes: end });
        } else {
            self.group.push(record);
        }
        self.next = Some(chain);
        Ok(())
    }
}

/// Makes the bytes of `file` durable of which the process before did not know whether they are.
///
/// They are written once more, as they are: where a sync of that process failed, the kernel may hold pages that it calls
/// clean and never wrote, and a sync alone would say nothing of them.
fn harden(
    directory: &Directory,
    disk: &Disk,
    segment: &SegmentFile,
    file: &File,
    unsynced: Range<u64>,
) -> io::Result<()> {
    // A segment that was closed has a successor, which states again what was not durable.
    let is_closed = Disk::look(file)?.st_mode & 0o200 == 0;
    if is_closed {
        return disk.sync(file);
    }
    let again = disk.open(&directory.fd, &segment.name, Access::Cut)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut at = unsynced.start;
    while at < unsynced.end {
        let rest = usize::try_from(unsynced.end - at).unwrap_or(READ_BYTES);
        let Some(part) = buffer.get_mut(..rest.min(READ_BYTES)) else { break };
        file.read_exact_at(part, at)?;
        disk.write_at(&again, part, at)?;
        at += part.len() as u64;
    }
    disk.sync(&again)
}

fn apply(live: &mut Live, record: &Record) {
    // A record without its members is not read at all: `Record::read` refuses it.
    if let Some(change) = record.change() {
        live.apply(record.seq, record.at, change);
    }
    live.charge(record.at, record.charges());
}

/// Whether something behind the damage says that `seq` was durable when it was written. Then the damage
/// is no torn tail, whatever order the disk wrote in.
pub(super) fn was_durable<R: io::BufRead>(reader: &mut LineReader<R>, seq: Seq) -> io::Result<bool> {
    loop {
        match reader.read()? {
            Read::End => return Ok(false),
            Read::Flawed(..) => {}
            Read::Line(line, _) => {
                let record = Record::read(line).ok();
                if record.is_some_and(|record| record.members.synced.is_some_and(|synced| synced >= seq)) {
                    return Ok(true);
                }
            }
        }
    }
}

/// A closed segment is read-only. Where the last one is, the one that closed it is missing.
fn demand_open(
    directory: &Directory,
    disk: &Disk,
    last: &SegmentFile,
    found: &Found,
) -> Result<(), RecoverError> {
    let io = |source| failed("look at", directory, &last.name, source);
    let file = disk.open(&directory.fd, &last.name, Access::Read).map_err(io)?;
    if Disk::look(&file).map_err(io)?.st_mode & 0o200 != 0 {
        return Ok(());
    }
    let path = directory.path.join(&last.name);
    let next = directory.path.join(segment_name(found.chain.next)).display().to_string();
    Err(RecoverError::SuccessorMissing { path, next })
}

/// Reads what can be read of a segment that a person declared damaged, and closes every run.
fn salvage(
    directory: &Directory,
    disk: &Disk,
    segment: &SegmentFile,
    found: &mut Found,
) -> Result<(), RecoverError> {
    let io = |source| failed("read", directory, &segment.name, source);
    let file = disk.open(&directory.fd, &segment.name, Access::Read).map_err(io)?;
    let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, file), 0);
    let (mut read, mut last) = (0, None);
    loop {
        match reader.read().map_err(io)? {
            Read::End => break,
            Read::Flawed(..) => {}
            Read::Line(line, _) => {
                let Ok(record) = Record::read(line) else { continue };
                apply(&mut found.live, &record);
                read += 1;
                last = last.max(Some(record.seq));
            }
        }
    }
    let reached = last.unwrap_or(segment.first).max(found.chain.next).max(segment.first);
    found.chain.next = Seq(reached.0.saturating_add(LOST_SEQS));
    let runs = found.live.runs.len() as u64;
    let (file, first) = (segment.name.clone(), segment.first);
    found.preamble.push(Preamble::Lost { file, first, last, cause: "damaged", read, runs });
    Ok(())
}

fn digest_from(mut file: &File, offset: u64) -> io::Result<Sha256> {
    file.seek(SeekFrom::Start(offset))?;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        context.update(buffer.get(..count).unwrap_or_default());
    }
    let hex = data_encoding::HEXLOWER.encode(context.finish().as_ref());
    Sha256::from_hex(&hex).ok_or_else(|| io::Error::other("SHA-256 has 32 bytes"))
}

fn corrupt(directory: &Directory, segment: &SegmentFile, seq: Seq, offset: u64, flaw: Flaw) -> RecoverError {
    RecoverError::Corrupt { path: directory.path.join(&segment.name), seq, offset, flaw }
}

fn failed(what: &'static str, directory: &Directory, name: &str, source: io::Error) -> RecoverError {
    RecoverError::Io { what, path: directory.path.join(name), source }
}

/// How much of a file is read at once.
pub(super) const READ_BYTES: usize = 256 * 1024;
