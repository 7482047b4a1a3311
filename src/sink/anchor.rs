//! A file that always holds the newest signed checkpoint: kept elsewhere, it shows when the journal was cut or made anew.
//!
//! Must never leave half a checkpoint, nor one in the place of a newer one.

use std::io;
use std::path::PathBuf;

use serde::Deserialize;

use super::failure::Failure;
use super::parcel::Parcel;
use super::target::Sure;
use crate::audit::Kind;
use crate::whole;

/// Whoever verifies may read it.
const MODE: u32 = 0o644;

#[derive(Debug)]
pub(super) struct AnchorTarget {
    path: PathBuf,
}

/// The member of a `checkpoint` record that is kept.
#[derive(Deserialize)]
struct Signed {
    note: String,
}

impl AnchorTarget {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Sure, Failure> {
        let newest = parcels.iter().rev().find(|parcel| parcel.kind == Kind::Checkpoint);
        let signed = newest.and_then(|parcel| serde_json::from_str::<Signed>(&parcel.text).ok());
        let Some(Signed { note }) = signed else { return Ok(Sure::Arrived) };
        let path = self.path.clone();
        // Another file system, which may not answer.
        let put = tokio::task::spawn_blocking(move || whole::replace(&path, note.as_bytes(), MODE)).await;
        let put = put.map_err(io::Error::other).and_then(|put| put);
        put.map_err(Failure::doing("writing the checkpoint")).map(|()| Sure::Arrived)
    }
}
