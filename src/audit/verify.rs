//! `audit verify`: whether the journal is what was written, from its files alone.
//!
//! Reads every line of every segment and depends on nothing but docs/AUDIT.md. Must never change a file,
//! nor call something damage that a crash explains. What it cannot know it says as a note: a journal that
//! was cut at the end of a group, or sealed anew as a whole, looks whole until checkpoints are signed.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::Seq;
use super::directory::{DirectoryError, SegmentFile, SegmentState, segments};
use super::head::{Head, read_head};
use super::line::{Kind, leaf};
use super::read::{Flaw, LineReader, Read, Record};
use super::recover::READ_BYTES;
use crate::model::digest::Sha256;

mod report;
mod seals;

pub use report::{Finding, Note, Progress, Report};
pub use seals::Against;
use seals::Seals;

/// Why a journal could not be verified at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
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
    /// There is no journal.
    #[error("there is no journal in `{}`", .0.display())]
    Empty(PathBuf),
}

/// Verifies the journal in `dir`, by itself and `against` what others know of it. Calls `progress` now and then.
///
/// # Errors
/// [`VerifyError`] where it cannot be read. What is wrong with the journal itself is in the report.
pub fn verify(
    dir: &Path,
    against: Against,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, VerifyError> {
    let files = segments(dir)?;
    let (sound, damaged): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|segment| segment.state == SegmentState::Sound);
    let mut report = Report::default();
    report.notes.extend(damaged.into_iter().map(|segment| Note::DeclaredDamaged { file: segment.name }));
    let mut heads = Vec::with_capacity(sound.len());
    let mut bytes_total = 0;
    for segment in sound {
        let io = |source| VerifyError::Io { path: dir.join(&segment.name), source };
        let file = File::open(dir.join(&segment.name)).map_err(io)?;
        // What is appended while this runs is left for the next time.
        let size = file.metadata().map_err(io)?.len();
        bytes_total += size;
        let head = read_head(&file).map_err(io)?;
        heads.push(Part { segment, size, head });
    }
    if heads.is_empty() {
        return Err(VerifyError::Empty(dir.to_owned()));
    }
    let mut seals = Seals::new(against);
    if let Some(first) = heads.first() {
        seals.begin(first.head.tree.as_ref(), first.segment.first);
    }
    let (expected, suspect, mono) = (None, None, None);
    let mut verifier = Verifier { report, expected, suspect, mono, ends: Ends::Open, seals };
    let mut bytes = 0;
    let mut rest = heads.as_slice();
    while let Some((part, after)) = rest.split_first() {
        let path = dir.join(&part.segment.name);
        let mut tick = |offset: u64, lines: u64| {
            progress(Progress { bytes: bytes + offset, bytes_total, lines });
        };
        verifier
            .segment(&path, part, after.first(), &mut tick)
            .map_err(|source| VerifyError::Io { path, source })?;
        bytes += part.size;
        rest = after;
    }
    Ok(verifier.finish())
}

/// A segment with what its head says.
struct Part {
    segment: SegmentFile,
    size: u64,
    head: Head,
}

struct Verifier {
    report: Report,
    /// The place of the next line; none before the first.
    expected: Option<Expected>,
    /// A line that is chained to another one than stands before it: the line after it will tell which of
    /// the two is wrong.
    suspect: Option<Suspect>,
    mono: Option<u64>,
    ends: Ends,
    seals: Seals,
}

/// Where the next line should stand. After damage its `prev` cannot be known.
#[derive(Clone, Copy)]
struct Expected {
    next: Seq,
    prev: Option<Sha256>,
}

struct Suspect {
    file: String,
    seq: Seq,
    offset: u64,
}

/// What the last line says of the end.
#[derive(PartialEq, Eq)]
enum Ends {
    Open,
    Stopped,
}

impl Verifier {
    fn segment(
        &mut self,
        path: &Path,
        part: &Part,
        successor: Option<&Part>,
        tick: &mut dyn FnMut(u64, u64),
    ) -> io::Result<()> {
        let name = &part.segment.name;
        self.report.segments += 1;
        // The successor says how much of this segment counts; without one, all of it that is committed.
        let said = successor.and_then(|next| next.head.previous.as_ref()).filter(|said| said.file == *name);
        let limit = said.map_or(part.size, |said| said.bytes.min(part.size));
        if limit < part.size {
            let bytes = part.size - limit;
            self.report.notes.push(Note::BehindTheEnd { file: name.clone(), bytes });
        }
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(0))?;
        let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, file.take(limit)), 0);
        let mut group = Group { committed: 0, lines: 0 };
        self.enter(part);
        loop {
            let (flaw, offset) = match reader.read()? {
                Read::End => break,
                Read::Flawed(flaw, offset) => (flaw, offset),
                Read::Line(line, offset) => match Record::read(line) {
                    Ok(record) => {
                        let end = offset + line.len() as u64 + 1;
                        self.record(part, record, offset, end, &mut group);
                        if self.report.lines.is_multiple_of(TICK_LINES) {
                            tick(offset, self.report.lines);
                        }
                        continue;
                    }
                    Err(flaw) => (flaw, offset),
                },
            };
            let seq = self.next_seq(part);
            if let Some(next) = successor.filter(|next| next.head.restates(seq)) {
                // The disk failed here, and what it may have lost stands in the next segment again.
                return self.restated(next, seq);
            }
            if successor.is_none() && !later_says_durable(path, reader.offset, limit, seq)? {
                let bytes = limit - group.committed;
                self.report.notes.push(Note::Unfinished {
                    file: name.clone(),
                    offset: group.committed,
                    bytes,
                });
                self.ends = Ends::Stopped;
                return Ok(());
            }
            self.flaw(name, seq, offset, flaw);
            self.expected = Some(Expected { next: seq.next(), prev: None });
        }
        tick(limit, self.report.lines);
        self.end_of_segment(path, part, successor, &group, limit)
    }

    fn end_of_segment(
        &mut self,
        path: &Path,
        part: &Part,
        successor: Option<&Part>,
        group: &Group,
        limit: u64,
    ) -> io::Result<()> {
        let name = &part.segment.name;
        let seq = self.next_seq(part);
        // Where it is too short, the lines that are missing are found when the next segment begins.
        let said = successor.and_then(|next| next.head.previous.as_ref());
        let is_long_enough = said.is_none_or(|said| said.bytes <= part.size);
        match successor {
            Some(next) if next.head.restates(seq) => return self.restated(next, seq),
            Some(_) if group.lines > 0 && is_long_enough => {
                self.find(Finding::Uncommitted { file: name.clone(), seq })
            }
            None if group.lines > 0 => {
                let bytes = limit - group.committed;
                self.report.notes.push(Note::Unfinished {
                    file: name.clone(),
                    offset: group.committed,
                    bytes,
                });
                self.ends = Ends::Stopped;
            }
            Some(_) | None => {}
        }
        if successor.is_none() && part.head.mode & 0o200 == 0 && !has_later(path, part.segment.first) {
            self.find(Finding::SuccessorMissing { file: name.clone(), seq });
        }
        Ok(())
    }

    /// Looks at where a segment begins, before its lines.
    fn enter(&mut self, part: &Part) {
        if self.expected.is_none() && part.segment.first > Seq(0) {
            self.report.notes.push(Note::BeginsLater { seq: part.segment.first });
        }
        if part.head.begins_process {
            self.mono = None;
        }
    }

    fn record(&mut self, part: &Part, record: Record, offset: u64, end: u64, group: &mut Group) {
        let name = &part.segment.name;
        self.report.lines += 1;
        if offset == 0 && record.kind != Kind::Segment {
            self.flaw(name, record.seq, 0, Flaw::NoHead);
        }
        self.sealed(part, &record);
        self.chain(part, &record, offset);
        // The time of a line that may come from elsewhere says nothing.
        if self.suspect.is_none() {
            if self.mono.is_some_and(|mono| record.mono_ns < mono) {
                self.flaw(name, record.seq, offset, Flaw::TimeGoesBack);
            }
            self.mono = Some(record.mono_ns);
        }
        self.report.last = self.report.last.max(record.seq);
        match record.kind {
            Kind::Stop => self.ends = Ends::Stopped,
            Kind::Commit => {}
            _ => self.ends = Ends::Open,
        }
        match record.kind {
            Kind::Commit => {
                let (said, found) = (record.members.count.unwrap_or_default(), group.lines);
                if said != found {
                    self.flaw(name, record.seq, offset, Flaw::Count { said, found });
                }
                *group = Group { committed: end, lines: 0 };
                self.report.groups += 1;
                return;
            }
            Kind::Gap => self.gap(&record, name),
            Kind::Torn => self
                .report
                .notes
                .push(Note::Torn { seq: record.seq, file: record.members.file.clone().unwrap_or_default() }),
            Kind::Unknown => self.report.unknown += 1,
            Kind::Intent => self.report.intents += 1,
            Kind::Outcome => self.report.outcomes += 1,
            Kind::Denial => self.report.denials += 1,
            _ => {}
        }
        group.lines += 1;
    }

    /// Compares what is signed with the lines before it.
    fn sealed(&mut self, part: &Part, record: &Record) {
        let wrong = match record.kind {
            Kind::Segment => self.seals.segment(record).map(str::to_owned),
            Kind::Checkpoint => self.seals.checkpoint(record),
            Kind::AuditKey => {
                self.seals.introduce(record);
                None
            }
            _ => None,
        };
        if let Some(why) = wrong {
            self.find(Finding::Checkpoint { file: part.segment.name.clone(), seq: record.seq, why });
        }
    }

    /// Compares a line with the place where it stands.
    fn chain(&mut self, part: &Part, record: &Record, offset: u64) {
        let file = part.segment.name.clone();
        if let Some(why) = self.seals.line(record.seq, record.leaf) {
            self.find(Finding::Checkpoint { file: file.clone(), seq: record.seq, why });
        }
        let here = Expected { next: record.seq.next(), prev: Some(record.leaf) };
        let Some(expected) = self.expected.replace(here) else {
            self.report.first = record.seq;
            return;
        };
        let (wanted, found) = (expected.next.0, record.seq.0);
        if found > wanted {
            // A gap that is on the record is a finding of its own.
            if offset > 0 || !part.head.explains_missing {
                self.flaw(&file, expected.next, offset, Flaw::Missing { expected: wanted, found });
            }
        } else if found < wanted {
            self.flaw(&file, record.seq, offset, Flaw::Reordered { expected: wanted, found });
            self.expected = Some(Expected { next: expected.next, prev: None });
        } else if let Some(suspect) = self.suspect.take() {
            // If this line is chained to the suspect, the one before the suspect was exchanged; if not,
            // the suspect itself was.
            let is_sound = expected.prev == Some(record.prev);
            let culprit = if is_sound { Seq(suspect.seq.0.saturating_sub(1)) } else { suspect.seq };
            self.flaw(&suspect.file, culprit, suspect.offset, Flaw::Unchained);
        } else if expected.prev.is_some_and(|prev| prev != record.prev) {
            self.suspect = Some(Suspect { file, seq: record.seq, offset });
        }
    }

    /// Goes on over lines that stand again in the next segment, from `from` on.
    fn restated(&mut self, next: &Part, from: Seq) -> io::Result<()> {
        let file = &next.segment.name;
        let mut last = from;
        for (seq, line) in next.head.restated.range(from..) {
            last = *seq;
            match Record::read(line.as_bytes()) {
                Ok(record) => {
                    // What the disk lost may be the record of a new key, or what signed it.
                    self.sealed(next, &record);
                    self.chain(next, &record, 1);
                    self.report.lines += 1;
                }
                Err(flaw) => {
                    self.flaw(file, *seq, 0, flaw);
                    self.expected = Some(Expected { next: seq.next(), prev: Some(leaf(line.as_bytes())) });
                }
            }
        }
        self.report.notes.push(Note::Restated { first: from, last, file: file.clone() });
        Ok(())
    }

    fn gap(&mut self, record: &Record, file: &str) {
        let members = &record.members;
        self.find(Finding::Gap {
            file: file.to_owned(),
            seq: record.seq,
            lost: members.file.clone().unwrap_or_default(),
            first: members.first.unwrap_or_default(),
            last: members.last,
            cause: members.cause.clone().unwrap_or_default(),
        });
    }

    fn next_seq(&self, part: &Part) -> Seq {
        self.expected.map_or(part.segment.first, |expected| expected.next)
    }

    fn flaw(&mut self, file: &str, seq: Seq, offset: u64, flaw: Flaw) {
        self.seals.broken();
        self.find(Finding::Line { file: file.to_owned(), seq, offset, flaw });
    }

    fn find(&mut self, finding: Finding) {
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(finding);
        } else {
            self.report.findings_more += 1;
        }
    }

    fn finish(mut self) -> Report {
        if let Some(suspect) = self.suspect.take() {
            self.flaw(&suspect.file, suspect.seq, suspect.offset, Flaw::Unchained);
        }
        if self.ends == Ends::Open {
            self.report.notes.push(Note::NoStop { seq: self.report.last });
        }
        if let Some((count, last)) = self.seals.foreign() {
            self.report.notes.push(Note::OtherKeys { count, last });
        }
        for why in self.seals.missing() {
            let (file, seq) = (String::new(), self.report.last);
            self.find(Finding::Checkpoint { file, seq, why });
        }
        self.report.checkpoints = self.seals.count;
        self.report.signed = self.seals.last;
        self.report
    }
}

/// Whether a segment was begun behind this one since the folder was listed.
fn has_later(path: &Path, first: Seq) -> bool {
    let files = path.parent().and_then(|dir| segments(dir).ok()).unwrap_or_default();
    files.iter().any(|file| file.first > first)
}

/// Where the lines since the last commit stand.
struct Group {
    committed: u64,
    lines: u64,
}

/// Whether a line behind the damage says that `seq` was durable when it was written.
fn later_says_durable(path: &Path, from: u64, limit: u64, seq: Seq) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let rest = file.take(limit.saturating_sub(from));
    let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, rest), from);
    super::recover::was_durable(&mut reader, seq)
}

/// Most findings that are kept; further ones are counted.
const FINDINGS_MAX: usize = 1000;
/// How often progress is told.
const TICK_LINES: u64 = 8192;
