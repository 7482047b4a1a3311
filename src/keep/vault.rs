//! The keys of the subjects: a file each, so that one can be destroyed without the others.
//!
//! Must never give out a key that is not on the disk, nor make one while it is being destroyed.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER};
use tokio::sync::Mutex;

use super::seal::SealingKey;
use crate::chance;
use crate::keyfile::{self, KeyFileError};
use crate::model::digest::Sha256;
use crate::model::name::Subject;

/// The folder of the keys, in the state directory.
const FOLDER: &str = "kept-keys";
const HEAD: &str = "sluicegate-kept-key-v1 ";
/// Length of the id of a key, in bytes.
const ID_BYTES: usize = 8;
/// Keys that are held in memory; beyond that they are read again.
const CACHED_MAX: usize = 4096;

/// The keys of the subjects. Clones share them.
#[derive(Debug, Clone)]
pub struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state_dir: PathBuf,
    /// Held while a key is made or destroyed, so that the two never cross.
    cached: Mutex<HashMap<Subject, Arc<SealingKey>>>,
}

/// What was destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasedKey {
    /// The key that the subject had.
    Destroyed,
    /// It had none: nothing of it is kept.
    None,
}

impl Vault {
    pub(super) fn open(state_dir: &Path) -> Result<Self, KeyFileError> {
        let path = state_dir.join(FOLDER);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| KeyFileError::Io { doing: "make the folder", path, source })?;
        let inner = Inner { state_dir: state_dir.to_owned(), cached: Mutex::default() };
        Ok(Self(Arc::new(inner)))
    }

    /// The key of `subject`, made and on the disk where it has none.
    pub(super) async fn key_of(&self, subject: &Subject) -> Result<Arc<SealingKey>, KeyFileError> {
        let mut cached = self.0.cached.lock().await;
        if let Some(key) = cached.get(subject) {
            return Ok(Arc::clone(key));
        }
        let key = self.blocking(subject, read_or_make).await?;
        if cached.len() >= CACHED_MAX {
            cached.clear();
        }
        let key = Arc::new(key);
        cached.insert(subject.clone(), Arc::clone(&key));
        Ok(key)
    }

    pub(super) async fn erase(&self, subject: &Subject) -> Result<ErasedKey, KeyFileError> {
        let mut cached = self.0.cached.lock().await;
        cached.remove(subject);
        let destroyed =
            self.blocking(subject, |state_dir, subject| keyfile::destroy(&path(state_dir, subject))).await?;
        Ok(match destroyed {
            keyfile::Destroyed::Now => ErasedKey::Destroyed,
            keyfile::Destroyed::Before => ErasedKey::None,
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        subject: &Subject,
        work: fn(&Path, &Subject) -> Result<T, KeyFileError>,
    ) -> Result<T, KeyFileError> {
        let (inner, subject) = (Arc::clone(&self.0), subject.clone());
        let done = tokio::task::spawn_blocking(move || work(&inner.state_dir, &subject)).await;
        done.map_err(|error| KeyFileError::Io {
            doing: "use",
            path: self.0.state_dir.join(FOLDER),
            source: io::Error::other(error),
        })?
    }
}

fn read_or_make(state_dir: &Path, subject: &Subject) -> Result<SealingKey, KeyFileError> {
    if let Some(key) = read(state_dir, subject)? {
        return Ok(key);
    }
    let secret = chance::bytes::<32>().map_err(|_| KeyFileError::NotMade)?;
    let id = HEXLOWER.encode(&chance::bytes::<ID_BYTES>().map_err(|_| KeyFileError::NotMade)?);
    let path = path(state_dir, subject);
    keyfile::write(&path, &format!("{HEAD}{id} {}\n", BASE64.encode(&secret)))?;
    SealingKey::new(&id, &secret).ok_or(KeyFileError::Malformed(path))
}

/// The key of `subject` as it stands on the disk; none where it never had one, or it was destroyed.
pub(super) fn read(state_dir: &Path, subject: &Subject) -> Result<Option<SealingKey>, KeyFileError> {
    let path = path(state_dir, subject);
    let Some(text) = keyfile::read(&path)? else { return Ok(None) };
    key(&text).map(Some).ok_or(KeyFileError::Malformed(path))
}

fn key(text: &str) -> Option<SealingKey> {
    let (id, secret) = text.strip_prefix(HEAD)?.trim_end().split_once(' ')?;
    SealingKey::new(id, &BASE64.decode(secret.as_bytes()).ok()?)
}

/// A subject is no file name: its digest is one.
fn path(state_dir: &Path, subject: &Subject) -> PathBuf {
    state_dir.join(FOLDER).join(Sha256::of(subject.as_str().as_bytes()).to_string())
}
