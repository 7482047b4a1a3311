//! A file that always holds the newest signed checkpoint: kept elsewhere, it shows when the journal was cut or made anew.
//!
//! Must never leave half a checkpoint, nor one in the place of a newer one.

use std::io;
use std::path::{Path, PathBuf};

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

/// The member of a `checkpoint` record that counts.
#[derive(Deserialize)]
struct Signed {
    note: String,
}

/// The newest checkpoint among `parcels`, as a signed note.
pub(super) fn newest(parcels: &[Parcel]) -> Option<String> {
    let newest = parcels.iter().rev().find(|parcel| parcel.kind == Kind::Checkpoint)?;
    serde_json::from_str::<Signed>(&newest.text).ok().map(|signed| signed.note)
}

/// Keeps `note` in the file `path`, whole.
pub(super) async fn keep(path: &Path, note: String) -> Result<Sure, Failure> {
    let path = path.to_owned();
    let kept = blocking(move || whole::replace(&path, note.as_bytes(), MODE)).await;
    kept.map_err(Failure::doing("writing the checkpoint")).map(|()| Sure::Arrived)
}

/// Another file system may not answer.
pub(super) async fn blocking<T: Send + 'static>(
    doing: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(doing).await.map_err(io::Error::other).and_then(|done| done)
}

impl AnchorTarget {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Sure, Failure> {
        let Some(note) = newest(parcels) else { return Ok(Sure::Arrived) };
        keep(&self.path, note).await
    }
}
