//! What `audit verify` found, in words for people.

use std::fmt;

use serde::Serialize;

use crate::audit::Seq;
use crate::audit::read::Flaw;
use crate::model::text::printable;

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes that there are.
    pub bytes_total: u64,
    /// Lines that were read.
    pub lines: u64,
}

/// What a journal is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments.
    pub segments: u64,
    /// Lines, commits included.
    pub lines: u64,
    /// Groups that were committed.
    pub groups: u64,
    /// Calls that were about to be forwarded.
    pub intents: u64,
    /// Calls whose end is recorded.
    pub outcomes: u64,
    /// Calls of which nobody knows the end.
    pub unknown: u64,
    /// Requests that were refused.
    pub denials: u64,
    /// Checkpoints that sign the lines before them.
    pub checkpoints: u64,
    /// The last of them.
    pub signed: Option<Seq>,
    /// The first line.
    pub first: Seq,
    /// The last line.
    pub last: Seq,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Further findings that are not listed.
    pub findings_more: u64,
    /// What is not wrong and should be known.
    pub notes: Vec<Note>,
}

/// One thing that is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A line is not what was written there.
    Line {
        /// The segment.
        file: String,
        /// The record.
        seq: Seq,
        /// Where the trouble was met.
        offset: u64,
        /// What is wrong.
        flaw: Flaw,
    },
    /// Lines before `seq` belong to no commit, in a segment that was closed.
    Uncommitted {
        /// The segment.
        file: String,
        /// The record after them.
        seq: Seq,
    },
    /// The segment was closed by one that is not there.
    SuccessorMissing {
        /// The segment.
        file: String,
        /// The first record that is missing.
        seq: Seq,
    },
    /// What was signed is not what stands there.
    Checkpoint {
        /// The segment; empty where it is about the whole journal.
        file: String,
        /// The record that shows it.
        seq: Seq,
        /// What is wrong.
        why: String,
    },
    /// The gateway itself noticed and recorded that lines were lost.
    Gap {
        /// The segment that says so.
        file: String,
        /// The record that says so.
        seq: Seq,
        /// The segment that was lost.
        lost: String,
        /// The first lost record.
        first: Seq,
        /// The last lost record, where it is known.
        last: Option<Seq>,
        /// How it was lost.
        cause: String,
    },
}

impl Finding {
    /// The record that the finding is about.
    #[must_use]
    pub fn seq(&self) -> Seq {
        match self {
            Self::Line { seq, .. }
            | Self::Uncommitted { seq, .. }
            | Self::SuccessorMissing { seq, .. }
            | Self::Checkpoint { seq, .. } => *seq,
            Self::Gap { first, .. } => *first,
        }
    }

    /// The finding as JSON, for `--json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(&Plain { finding: Some(self.to_string()), note: None, seq: Some(self.seq()) })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, seq, offset, flaw } => {
                write!(out, "{}: record {seq} (byte {offset}): ", printable(file))?;
                out.write_str(&printable(&flaw.to_string()))
            }
            Self::Uncommitted { file, seq } => {
                write!(out, "{}: the records before {seq} belong to no commit line", printable(file))
            }
            Self::Checkpoint { file, why, .. } if file.is_empty() => {
                write!(out, "the journal as a whole: {}", printable(why))
            }
            Self::Checkpoint { file, seq, why } => {
                write!(out, "{}: record {seq}: {}", printable(file), printable(why))
            }
            Self::SuccessorMissing { file, seq } => {
                write!(out, "{}: the segment that follows is missing, from record {seq} on", printable(file))
            }
            Self::Gap { file, seq, lost, first, last, cause } => {
                let (file, lost, cause) = (printable(file), printable(lost), printable(cause));
                write!(out, "{lost}: records from {first}")?;
                match last {
                    Some(last) => write!(out, " to {last}")?,
                    None => out.write_str(" on")?,
                }
                write!(
                    out,
                    " are lost ({cause}); the gateway noticed and recorded it in {file}, record {seq}"
                )
            }
        }
    }
}

/// Something that is not wrong and should be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The journal begins later than with record 0: older segments are not here.
    BeginsLater {
        /// The first record.
        seq: Seq,
    },
    /// Checkpoints are signed by other keys than those that are known, before the first that a known one signed: that
    /// one speaks for their lines too.
    OtherKeys {
        /// How many.
        count: u64,
        /// The last of them.
        last: Seq,
    },
    /// The last group is not whole: it is being written, or the next start will cut it off.
    Unfinished {
        /// The segment.
        file: String,
        /// Where it begins.
        offset: u64,
        /// How long it is.
        bytes: u64,
    },
    /// Bytes stand behind the end that the next segment names. They do not count.
    BehindTheEnd {
        /// The segment.
        file: String,
        /// How many.
        bytes: u64,
    },
    /// An unfinished tail was cut off and recorded.
    Torn {
        /// The record.
        seq: Seq,
        /// The segment that was cut.
        file: String,
    },
    /// The disk failed, and these lines are taken from where they were stated again.
    Restated {
        /// The first.
        first: Seq,
        /// The last.
        last: Seq,
        /// The segment that states them again.
        file: String,
    },
    /// A person declared a segment damaged; it was not verified.
    DeclaredDamaged {
        /// The segment.
        file: String,
    },
    /// The last line is no `stop` record.
    NoStop {
        /// The last line.
        seq: Seq,
    },
}

impl Note {
    /// The note as JSON, for `--json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(&Plain { finding: None, note: Some(self.to_string()), seq: None })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeginsLater { seq } => {
                write!(out, "the journal begins with record {seq}: older segments are not here")
            }
            Self::OtherKeys { count, last } => {
                write!(
                    out,
                    "{count} checkpoints up to record {last} are signed by keys that are not known; a "
                )?;
                out.write_str("later one that is signed by a known key speaks for their lines")
            }
            Self::Unfinished { file, offset, bytes } => {
                let file = printable(file);
                write!(
                    out,
                    "{file}: {bytes} bytes from byte {offset} on are not committed: they are being "
                )?;
                out.write_str("written, or the next start cuts them off")
            }
            Self::BehindTheEnd { file, bytes } => {
                write!(out, "{}: {bytes} bytes behind its end do not count", printable(file))
            }
            Self::Torn { seq, file } => {
                write!(out, "{}: an unfinished tail was cut off (record {seq})", printable(file))
            }
            Self::Restated { first, last, file } => {
                let file = printable(file);
                write!(out, "records {first} to {last} were verified where {file} states them again")
            }
            Self::DeclaredDamaged { file } => {
                write!(out, "{}: declared damaged by a person, not verified", printable(file))
            }
            Self::NoStop { seq } => {
                write!(
                    out,
                    "record {seq} is the last and is no `stop`: the gateway is running, or it died, or "
                )?;
                out.write_str("what followed was removed; only checkpoints kept elsewhere could tell")
            }
        }
    }
}

#[derive(Serialize)]
struct Plain {
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<Seq>,
}

fn json(plain: &Plain) -> String {
    // Text and a number always have a JSON form.
    serde_json::to_string(plain).unwrap_or_default()
}
