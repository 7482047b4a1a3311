//! Standard output: a record a line, for whoever collects what containers print.
//!
//! Must never mix a record with another line: each batch is one write behind whole lines.

use tokio::io::AsyncWriteExt as _;

use super::failure::Failure;
use super::target::Sure;
use crate::audit::Item;

#[derive(Debug)]
pub(super) struct StdoutTarget;

impl StdoutTarget {
    pub(super) async fn deliver(&mut self, items: &[Item]) -> Result<Sure, Failure> {
        let mut out = tokio::io::stdout();
        let failed = Failure::doing("writing to standard output");
        out.write_all(&lines(items)).await.map_err(&failed)?;
        out.flush().await.map_err(&failed)?;
        Ok(Sure::Arrived)
    }
}

/// The records, one a line.
pub(super) fn lines(items: &[Item]) -> Vec<u8> {
    let mut text = Vec::with_capacity(items.iter().map(|item| item.line.len() + 1).sum());
    for item in items {
        text.extend_from_slice(item.line.as_bytes());
        text.push(b'\n');
    }
    text
}
