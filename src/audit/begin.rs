//! How a segment is begun: at start, when one is full, and after trouble. One function for all three, so
//! that what happens on a bad day is what happens every day.
//!
//! Must never let a segment be visible before its head is durable: a visible segment always opens with
//! the whole live state.

use std::io;

use super::Durability;
use super::Seq;
use super::directory::{STANDBY_NAME, segment_name};
use super::encode;
use super::event::Detail;
use super::figures::HaltCause;
use super::line::{Kind, Lines, Object, Stamp};
use super::live::{Change, Live, OpenCall};
use super::segment::Segment;
use super::state;
use super::writer::{Standby, Writer, add};
use crate::model::digest::Sha256;

/// Why a segment is begun. The word stands in its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The gateway started.
    Started,
    /// The segment before is full.
    Full,
    /// The segment before cannot be written to any more.
    Mended,
}

impl Why {
    fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Full => "full",
            Self::Mended => "mended",
        }
    }
}

/// The segment before the one that is begun: as far as it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Previous {
    pub(super) file: String,
    /// Bytes of it that count; what may stand behind them does not.
    pub(super) bytes: u64,
}

/// Whether the name of the newest segment is known to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// It is.
    Surely,
    /// Nobody knows: nothing may be written to the segment before it.
    Perhaps,
}

/// Records of the writer itself.
#[derive(Debug, Clone)]
pub(super) enum Preamble {
    /// An unfinished tail was cut off.
    Torn { file: String, offset: u64, bytes: u64, sha256: Sha256 },
    /// Lines that cannot be read, and what that does to the runs.
    Gap { file: String, first: Seq, last: Option<Seq>, cause: &'static str },
    /// History is lost, so every run is closed.
    Lost { file: String, first: Seq, last: Option<Seq>, cause: &'static str, read: u64, runs: u64 },
    /// The journal was halted.
    Halted { cause: HaltCause, detail: Detail, since: jiff::Timestamp, refused: u64 },
    /// Nobody knows how this call ended.
    Unknown(OpenCall),
    /// The gateway started.
    Start(Durability),
}

impl Writer {
    /// Begins the next segment with the live state, what is not known durable, and `preamble`.
    ///
    /// After an error the journal is as it was before: the segment that is written to has not changed.
    pub(super) fn begin(&mut self, why: Why, preamble: Vec<Preamble>) -> io::Result<()> {
        // The head is built in memory. A crash here loses nothing: the segment before is complete.
        let before = self.lines.chain;
        self.lines.clear();
        let made = self.stand_by().and_then(|standby| self.write_head(why, &preamble, standby));
        let segment = match made {
            Ok(segment) => segment,
            Err(error) => {
                // A line that is not in the journal must not be in the chain.
                self.lines.chain = before;
                self.lines.clear();
                return Err(error);
            }
        };
        // The new segment is durable, and so is its name. A crash from here on starts from it.
        let closed = self.segment.replace(segment);
        self.grow_tree();
        let at = Stamp::now(&self.shared.clock).wall;
        preamble.iter().for_each(|record| fold(&mut self.live, self.lines.chain.last(), at, record));
        self.unsynced.clear();
        self.synced = self.lines.chain.last();
        self.shared.synced.send_replace(self.synced);
        self.count_group();
        add(&self.shared.counters.segments, 1);
        // Harmless if it fails or a crash skips it: the space stays reserved for nothing.
        if let Some(closed) = closed
            && let Err(error) = closed.close(&self.disk)
        {
            tracing::debug!(%error, segment = closed.name, "the space of a closed segment stays reserved");
        }
        Ok(())
    }

    /// Builds the head, makes it durable in the standby file, then gives that file its name.
    fn write_head(&mut self, why: Why, preamble: &[Preamble], standby: Standby) -> io::Result<Segment> {
        let first = self.lines.chain.next;
        let stamp = Stamp::now(&self.shared.clock);
        self.live.forget_dead(stamp.wall);
        self.build_head(&stamp, why, preamble);
        let head = self.lines.bytes.len() as u64;
        let Standby { file, mut allocated } = standby;
        let wanted = head.saturating_add(self.body_bytes());
        if allocated < wanted {
            self.disk.allocate(&file, wanted)?;
            allocated = wanted;
        }
        // A crash until the rename leaves a file `standby`, which is no segment: the next start empties it.
        self.disk.write_at(&file, &self.lines.bytes, 0)?;
        self.disk.sync(&file)?;
        let name = segment_name(first);
        self.disk.rename(&self.directory.fd, STANDBY_NAME, &name)?;
        // A crash here, or a failure of the next call: the name may or may not be there after the loss of
        // power. Either is right as long as nothing more is written to the segment before, so a failure
        // here halts. The next try has the same first line and the same name, and replaces this file.
        self.named = Named::Perhaps;
        self.disk.sync_directory(&self.directory.fd)?;
        self.named = Named::Surely;
        Ok(Segment { file, name, first, len: head, head, allocated })
    }

    fn build_head(&mut self, stamp: &Stamp, why: Why, preamble: &[Preamble]) {
        let previous = self
            .segment
            .as_ref()
            .map(|segment| Previous { file: segment.name.clone(), bytes: segment.len })
            .or_else(|| self.recovered_previous.clone());
        let (journal, tree, lines) = (&self.journal, &self.tree, &mut self.lines);
        lines.push(stamp, Kind::Segment, |object| {
            object.text("journal", journal);
            object.text("why", why.as_str());
            if let Some(previous) = previous {
                object.object("previous", |object| {
                    object.text("file", &previous.file);
                    object.number("bytes", previous.bytes);
                });
            }
            if tree.size > 0 {
                object.object("tree", |object| {
                    object.number("base", tree.base);
                    object.number("size", tree.size);
                    object.digests("peaks", tree.peaks.iter());
                });
            }
        });
        state::write(lines, stamp, &self.live);
        for line in self.unsynced.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let refused = self.unsynced.refused.iter().any(|seq| is_line(line, *seq));
            lines.push(stamp, Kind::Restated, |object| {
                object.line("line", line);
                if refused {
                    object.flag("refused", super::line::Flag::True);
                }
            });
        }
        preamble.iter().for_each(|record| push_preamble(lines, stamp, record));
        commit_line(lines, stamp, self.synced);
    }

    fn stand_by(&mut self) -> io::Result<Standby> {
        match self.standby.take() {
            Some(standby) => Ok(standby),
            None => self.create_standby(self.body_bytes()),
        }
    }

    /// Makes the file `standby` and reserves its space.
    pub(super) fn create_standby(&mut self, bytes: u64) -> io::Result<Standby> {
        let file = self.disk.create(&self.directory.fd, STANDBY_NAME)?;
        self.disk.allocate(&file, bytes)?;
        Ok(Standby { file, allocated: bytes })
    }
}

/// The line that ends a group: how many lines it has, and what was known durable when it was written. A
/// reader that finds damage behind `synced` knows that it may be a torn tail; before it, that it is none.
pub(super) fn commit_line(lines: &mut Lines, stamp: &Stamp, synced: Seq) {
    let count = lines.count;
    lines.push(stamp, Kind::Commit, |object| {
        object.number("count", count);
        object.number("synced", synced.0);
    });
}

/// The records of the writer itself, wherever they stand.
pub(super) fn push_preamble(lines: &mut Lines, stamp: &Stamp, record: &Preamble) {
    match record {
        Preamble::Torn { file, offset, bytes, sha256 } => lines.push(stamp, Kind::Torn, |object| {
            object.text("file", file);
            object.number("offset", *offset);
            object.number("bytes", *bytes);
            object.digest("sha256", sha256);
        }),
        Preamble::Gap { file, first, last, cause } => lines.push(stamp, Kind::Gap, |object| {
            gap(object, file, *first, *last, cause);
            object.text("effect", "none");
        }),
        Preamble::Lost { file, first, last, cause, read, runs } => lines.push(stamp, Kind::Gap, |object| {
            gap(object, file, *first, *last, cause);
            object.text("effect", "runs_closed");
            object.number("runs_closed", *runs);
            object.number("lines_read", *read);
        }),
        Preamble::Halted { cause, detail, since, refused } => lines.push(stamp, Kind::Halted, |object| {
            object.text("cause", cause.as_str());
            object.text("detail", detail.as_str());
            object.time("since", *since);
            object.number("refused", *refused);
        }),
        Preamble::Unknown(call) => lines.push(stamp, Kind::Unknown, |object| encode::unknown(object, call)),
        Preamble::Start(durability) => lines.push(stamp, Kind::Start, |object| {
            object.text("version", env!("CARGO_PKG_VERSION"));
            object.number("pid", u64::from(std::process::id()));
            object.text("durability", durability.as_str());
        }),
    };
}

fn gap(object: &mut Object<'_>, file: &str, first: Seq, last: Option<Seq>, cause: &str) {
    object.text("file", file);
    object.number("first", first.0);
    if let Some(last) = last {
        object.number("last", last.0);
    }
    object.text("cause", cause);
}

fn fold(live: &mut Live, seq: Seq, at: jiff::Timestamp, record: &Preamble) {
    match record {
        Preamble::Unknown(call) => live.apply(seq, at, Change::Ended(call.intent)),
        Preamble::Lost { .. } => live.apply(seq, at, Change::HistoryLost),
        Preamble::Torn { .. } | Preamble::Gap { .. } | Preamble::Halted { .. } | Preamble::Start(_) => {}
    }
}

/// Whether `line` is the line `seq`: its first members are always `v` and `seq`.
fn is_line(line: &[u8], seq: Seq) -> bool {
    line.starts_with(format!("{{\"v\":1,\"seq\":{},", seq.0).as_bytes())
}
