//! What the head of a segment says, read ahead: how far the segment before it counts, and what it states
//! again because the disk failed there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::PermissionsExt as _;

use super::Seq;
use super::line::Kind;
use super::read::{LineReader, PreviousRead, Read, Record, TreeRead};
use super::recover::READ_BYTES;
use super::tree::Frontier;

/// The head of one segment, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) previous: Option<PreviousRead>,
    /// Lines of the segment before that were not known durable there.
    pub(super) restated: BTreeMap<Seq, String>,
    /// Whether a process began with it, and with that monotonic time.
    pub(super) begins_process: bool,
    /// Whether it says that lines before it are lost.
    pub(super) explains_missing: bool,
    pub(super) mode: u32,
    /// The tree over the lines before it.
    pub(super) tree: Option<Frontier>,
}

impl Head {
    pub(super) fn restates(&self, seq: Seq) -> bool {
        self.restated.contains_key(&seq)
    }
}

/// Reads up to the first commit line, or to what cannot be read.
pub(super) fn read_head(file: &File) -> io::Result<Head> {
    let mode = file.metadata()?.permissions().mode();
    let mut head = Head { mode, ..Head::default() };
    let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, file), 0);
    while let Read::Line(line, _) = reader.read()? {
        let Ok(record) = Record::read(line) else { break };
        match record.kind {
            Kind::Commit => break,
            Kind::Segment => {
                head.begins_process = record.members.why.as_deref() == Some("started");
                head.tree = record.members.tree.as_ref().and_then(TreeRead::frontier);
                head.previous = record.members.previous;
            }
            Kind::Gap => head.explains_missing = true,
            Kind::Restated => {
                let Some(line) = record.members.line else { continue };
                // Damage in a line that is stated again is found when it is checked.
                if let Ok(original) = Record::read(line.get().as_bytes()) {
                    head.restated.insert(original.seq, line.get().to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(head)
}
