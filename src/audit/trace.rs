//! Under test, what the disk was asked to do, in order: from it follows what a loss of power could leave.
//!
//! Must never change what is done.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex};

/// What was done since [`Trace::begin`]. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Option<Vec<Did>>>>);

/// One thing that was done. A file is told by its inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Did {
    /// An empty file has this name.
    Made { name: String, file: u64 },
    /// These bytes stand in the file for every process.
    Wrote { file: u64, at: usize, bytes: Vec<u8> },
    /// All that was written to it survives the loss of power.
    Synced { file: u64 },
    /// The sync failed: what was written is there for every process, and the kernel will not write it back again.
    Forgot { file: u64 },
    /// Another name.
    Renamed { from: String, to: String },
    /// Names survive the loss of power.
    SyncedFolder,
    /// The file was cut to these bytes and made read-only.
    Closed { file: u64, bytes: usize },
}

impl Trace {
    /// Notes what is done from here on.
    pub(super) fn begin(&self) {
        *self.0.lock().unwrap() = Some(Vec::new());
    }

    /// How much was done.
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// All of it.
    pub(super) fn all(&self) -> Vec<Did> {
        self.0.lock().unwrap().clone().unwrap_or_default()
    }

    pub(super) fn made(&self, name: &str, file: &File) {
        self.push(Did::Made { name: name.to_owned(), file: inode(file) });
    }

    pub(super) fn wrote(&self, file: &File, offset: u64, bytes: &[u8]) {
        let at = usize::try_from(offset).unwrap();
        self.push(Did::Wrote { file: inode(file), at, bytes: bytes.to_vec() });
    }

    pub(super) fn synced(&self, file: &File) {
        self.push(Did::Synced { file: inode(file) });
    }

    pub(super) fn forgot(&self, file: &File) {
        self.push(Did::Forgot { file: inode(file) });
    }

    pub(super) fn renamed(&self, from: &str, to: &str) {
        self.push(Did::Renamed { from: from.to_owned(), to: to.to_owned() });
    }

    pub(super) fn synced_folder(&self) {
        self.push(Did::SyncedFolder);
    }

    pub(super) fn closed(&self, file: &File, bytes: u64) {
        self.push(Did::Closed { file: inode(file), bytes: usize::try_from(bytes).unwrap() });
    }

    fn push(&self, did: Did) {
        if let Some(done) = self.0.lock().unwrap().as_mut() {
            done.push(did);
        }
    }
}

fn inode(file: &File) -> u64 {
    file.metadata().unwrap().ino()
}
