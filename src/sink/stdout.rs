//! Standard output: a record a line, for whoever collects what containers print.
//!
//! Must never mix a record with another line: each batch is one write behind whole lines.

use tokio::io::AsyncWriteExt as _;

use super::failure::Failure;
use super::parcel::{Parcel, lines};
use super::target::Sure;

#[derive(Debug)]
pub(super) struct StdoutTarget;

impl StdoutTarget {
    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Sure, Failure> {
        let mut out = tokio::io::stdout();
        let failed = Failure::doing("writing to standard output");
        out.write_all(&lines(parcels)).await.map_err(&failed)?;
        out.flush().await.map_err(&failed)?;
        Ok(Sure::Arrived)
    }
}
