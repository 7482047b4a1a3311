//! A file of the journal, line by line.
//!
//! Must never hold more of a line than a line may have, nor pass over one silently.

use std::io::{self, BufRead};

use super::Flaw;
use crate::audit::line::LINE_BYTES_MAX;

/// Reads a file line by line, never more of a line than a line may have.
#[derive(Debug)]
pub(in crate::audit) struct LineReader<R> {
    reader: R,
    /// Where the next line begins.
    pub(in crate::audit) offset: u64,
    line: Vec<u8>,
}

/// One line of a file, as far as it is one.
#[derive(Debug)]
pub(in crate::audit) enum Read<'a> {
    /// A whole line without its line break, and where it begins.
    Line(&'a [u8], u64),
    /// Something that begins here and is no line; the reader stands behind it.
    Flawed(Flaw, u64),
    /// Nothing more.
    End,
}

impl<R: BufRead> LineReader<R> {
    pub(in crate::audit) fn new(reader: R, offset: u64) -> Self {
        Self { reader, offset, line: Vec::new() }
    }

    pub(in crate::audit) fn read(&mut self) -> io::Result<Read<'_>> {
        self.line.clear();
        let start = self.offset;
        loop {
            let available = self.reader.fill_buf()?;
            if available.is_empty() {
                self.offset += self.line.len() as u64;
                return Ok(if self.line.is_empty() {
                    Read::End
                } else {
                    Read::Flawed(Flaw::Unfinished, start)
                });
            }
            let end = memchr::memchr(b'\n', available);
            let taken = end.map_or(available.len(), |end| end + 1);
            let too_long = self.line.len() + taken > LINE_BYTES_MAX;
            if too_long {
                self.reader.consume(taken);
                self.offset += self.line.len() as u64 + taken as u64;
                self.line.clear();
                return Ok(Read::Flawed(Flaw::TooLong, start));
            }
            self.line.extend_from_slice(available.get(..taken).unwrap_or_default());
            self.reader.consume(taken);
            if end.is_some() {
                self.offset += self.line.len() as u64;
                self.line.pop();
                return Ok(Read::Line(&self.line, start));
            }
        }
    }
}
