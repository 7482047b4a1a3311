//! `runs show`: what the journal tells of one run, whether it is open or has ended.
//!
//! Must never change a file, nor keep more of a run than it is asked for: the newest records, and how many
//! there are before them. Reads backwards from the newest segment to the one in which the run started.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use memchr::memmem::Finder;
use serde::Serialize;

use super::directory::{SegmentFile, SegmentState, segments};
use super::line::Kind;
use super::read::{LineReader, Read, Record};
use super::recover::READ_BYTES;
use super::stream::Item;
use super::tail::TailError;
use crate::model::facts::RunId;
use crate::model::provenance::SOURCES_MAX;

/// Most records of a run by which its provenance grew that are kept: each adds a source that was not there.
const GROWTH_MAX: usize = SOURCES_MAX;

/// What the journal tells of one run.
#[derive(Debug, Default)]
pub struct Story {
    /// Its start; absent where the segment that holds it is no longer in the folder.
    pub start: Option<Item>,
    /// The records by which its provenance grew, oldest first.
    pub growth: VecDeque<Item>,
    /// Its end.
    pub end: Option<Item>,
    /// Its newest records, oldest first.
    pub records: VecDeque<Item>,
    /// How many there are.
    pub counts: StoryCounts,
}

/// How many records a run has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StoryCounts {
    /// Calls that were forwarded, or were about to be.
    pub calls: u64,
    /// Requests that were refused.
    pub refusals: u64,
    /// Records older than those that are told.
    pub earlier: u64,
    /// Lines that name the run and are damaged: `audit verify` tells which.
    pub damaged: u64,
}

/// Tells the story of `run` from the journal in `dir`, with its newest `records_max` records.
///
/// # Errors
/// [`TailError`] where the journal cannot be read.
pub fn story(dir: &Path, run: &RunId, records_max: usize) -> Result<Story, TailError> {
    let mut story = Story::default();
    let segments = segments(dir)?;
    let sound = segments.iter().rev().filter(|segment| segment.state == SegmentState::Sound);
    for segment in sound {
        let chapter = Chapter::read(dir, segment, run, records_max)?;
        story.prepend(chapter, records_max);
        if story.start.is_some() {
            break;
        }
    }
    Ok(story)
}

impl Story {
    /// Whether the journal knows nothing of the run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start.is_none() && self.end.is_none() && self.records.is_empty()
    }

    fn prepend(&mut self, chapter: Chapter, records_max: usize) {
        let Chapter { start, mut growth, end, mut records, counts } = chapter;
        self.start = start;
        self.end = self.end.take().or(end);
        while let Some(item) = growth.pop_back().filter(|_| self.growth.len() < GROWTH_MAX) {
            self.growth.push_front(item);
        }
        while self.records.len() < records_max {
            let Some(item) = records.pop_back() else { break };
            self.records.push_front(item);
        }
        self.counts.earlier += counts.earlier + records.len() as u64;
        self.counts.calls += counts.calls;
        self.counts.refusals += counts.refusals;
        self.counts.damaged += counts.damaged;
    }
}

/// What one segment tells.
#[derive(Debug, Default)]
struct Chapter {
    start: Option<Item>,
    growth: VecDeque<Item>,
    end: Option<Item>,
    records: VecDeque<Item>,
    counts: StoryCounts,
}

impl Chapter {
    fn read(dir: &Path, segment: &SegmentFile, run: &RunId, records_max: usize) -> Result<Self, TailError> {
        let path = dir.join(&segment.name);
        let io = |source| TailError::Io { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            // Somebody archived it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(io(error)),
        };
        let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, file), 0);
        let (mut chapter, mut group) = (Self::default(), Vec::new());
        let (names_it, commits) = (Finder::new(run.as_str()), Finder::new("\"kind\":\"commit\""));
        let is_either = |line: &[u8]| commits.find(line).is_some() || names_it.find(line).is_some();
        loop {
            match reader.read().map_err(io)? {
                // A group without its commit line is not in the journal.
                Read::End => return Ok(chapter),
                Read::Flawed(..) => {}
                Read::Line(line, _) if is_either(line) => match Record::read(line) {
                    Ok(record) if record.kind == Kind::Commit => {
                        group.drain(..).for_each(|(record, line)| chapter.take(&record, line, records_max));
                    }
                    Ok(record) if record.members.run.as_ref() == Some(run) => {
                        group.push((record, String::from_utf8_lossy(line).into_owned()));
                    }
                    // A part of the live state, or somebody else's words.
                    Ok(_) => {}
                    Err(_) => chapter.counts.damaged += 1,
                },
                Read::Line(..) => {}
            }
        }
    }

    fn take(&mut self, record: &Record, line: String, records_max: usize) {
        let item = Item { seq: record.seq, kind: record.kind, line };
        match record.kind {
            Kind::RunStart => {
                self.growth.push_back(item.clone());
                self.start = Some(item);
                return;
            }
            Kind::RunEnd => {
                self.end = Some(item);
                return;
            }
            Kind::Intent => self.counts.calls += 1,
            Kind::Denial => self.counts.refusals += 1,
            _ => {}
        }
        if record.adds_sources() && self.growth.len() < GROWTH_MAX {
            self.growth.push_back(item.clone());
        }
        self.records.push_back(item);
        if self.records.len() > records_max {
            self.records.pop_front();
            self.counts.earlier += 1;
        }
    }
}
