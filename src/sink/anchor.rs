//! A file that always holds the newest signed checkpoint: kept elsewhere, it shows when the journal was cut or made anew.
//!
//! Must never leave half a checkpoint, nor one in the place of a newer one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::failure::Failure;
use super::parcel::Parcel;
use super::target::Sure;
use crate::audit::Kind;

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
        let put = tokio::task::spawn_blocking(move || put(&path, &note)).await;
        let put = put.map_err(io::Error::other).and_then(|put| put);
        put.map_err(Failure::doing("writing the checkpoint")).map(|()| Sure::Arrived)
    }
}

/// Whole or not at all. Whoever verifies may read it.
fn put(path: &Path, note: &str) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
    file.write_all(note.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
