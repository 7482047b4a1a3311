//! The keys that sign checkpoints: a file that the gateway makes once for this journal alone, and, for a while after it
//! was replaced, the one before.
//!
//! Must never use a key file that others may read, nor make a new key where there was one: whoever checks knows the old
//! one, and gets to know a new one from the journal that the old one signed.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::note::{Checkpoint, Signer, VerifyingKey};
use crate::chance;
use crate::keyfile::{self, KeyFileError};

/// The file of the private key, in the state directory.
pub const KEY_FILE: &str = "audit-key";
/// What a private key file holds before its key.
const HEAD: &str = "sluicegate-audit-key-v1 ";

/// What signs checkpoints.
#[derive(Debug)]
pub(super) struct Signers {
    path: PathBuf,
    origin: String,
    now: Signer,
    /// The one before, and until when it signs too.
    before: Option<(Signer, Timestamp)>,
    /// Whether a checkpoint was written since the key of now came to sign: one that the key before signed too.
    is_announced: bool,
}

/// A key that signs nothing yet.
#[derive(Debug)]
pub(super) struct Fresh {
    seed: keyfile::Secret,
    signer: Signer,
}

impl Fresh {
    pub(super) fn key(&self) -> &VerifyingKey {
        self.signer.key()
    }
}

impl Signers {
    /// The keys at `path`, one made where there is none, for what is named `origin`. The public half stands beside it,
    /// in `path.pub`.
    pub(super) fn open(path: &Path, origin: &str) -> Result<Self, KeyFileError> {
        let malformed = |path: &Path| KeyFileError::Malformed(path.to_owned());
        let seed = keyfile::secret_or_make(path, HEAD)?;
        let now = Signer::new(origin, &seed).ok_or_else(|| malformed(path))?;
        publish(path, &now)?;
        let old = before_path(path);
        let before = match keyfile::read(&old)? {
            Some(text) => Some(retired(&text, origin).ok_or_else(|| malformed(&old))?),
            None => None,
        };
        // Where a crash came between the two files, the one before is still the one of now.
        let before = before.filter(|(signer, _)| signer.key() != now.key());
        // Nobody knows whether the last process came to write one.
        let is_announced = before.is_none();
        Ok(Self { path: path.to_owned(), origin: origin.to_owned(), now, before, is_announced })
    }

    /// The public key that signs now.
    pub(super) fn key(&self) -> &VerifyingKey {
        self.now.key()
    }

    /// Whether the key of now can be replaced: whoever trusts the one before it has what to trust it by.
    pub(super) fn is_announced(&self) -> bool {
        self.is_announced
    }

    /// What was signed last stands in the journal.
    pub(super) fn announced(&mut self) {
        self.is_announced = true;
    }

    /// `checkpoint` as a note of this moment. Forgets a key whose time is over.
    pub(super) fn sign(&mut self, checkpoint: &Checkpoint, at: Timestamp) -> String {
        if self.before.as_ref().is_some_and(|(_, until)| *until <= at) {
            self.before = None;
            if let Err(error) = keyfile::destroy(&before_path(&self.path)) {
                tracing::warn!(%error, "the audit key before the present one signs no more, and is there still");
            }
        }
        let before = self.before.iter().map(|(signer, _)| signer);
        checkpoint.signed_by(std::iter::once(&self.now).chain(before))
    }

    /// A key that can be put in the place of this one.
    pub(super) fn fresh(&self) -> Result<Fresh, KeyFileError> {
        let seed = chance::bytes().map_err(|_| KeyFileError::NotMade)?;
        let signer = Signer::new(&self.origin, &seed).ok_or(KeyFileError::NotMade)?;
        Ok(Fresh { seed, signer })
    }

    /// Signs with `fresh` from now on, and with the present key too `until` then. After an error the keys are as they
    /// were.
    pub(super) fn put(&mut self, fresh: Fresh, until: Timestamp) -> Result<(), KeyFileError> {
        let Fresh { seed, signer } = fresh;
        let present = keyfile::read(&self.path)?.ok_or_else(|| KeyFileError::Malformed(self.path.clone()))?;
        keyfile::write(&before_path(&self.path), &format!("{} {until}\n", present.trim_end()))?;
        keyfile::write_secret(&self.path, HEAD, &seed)?;
        let before = std::mem::replace(&mut self.now, signer);
        self.before = Some((before, until));
        self.is_announced = false;
        publish(&self.path, &self.now)
    }
}

fn publish(path: &Path, signer: &Signer) -> Result<(), KeyFileError> {
    let (public, text) = (public_path(path), format!("{}\n", signer.key()));
    if std::fs::read_to_string(&public).ok().as_deref() == Some(text.as_str()) {
        return Ok(());
    }
    keyfile::write(&public, &text)
}

/// Where the public half of the key at `path` stands.
#[must_use]
pub fn public_path(path: &Path) -> PathBuf {
    path.with_added_extension("pub")
}

/// Where the key before that at `path` stands.
fn before_path(path: &Path) -> PathBuf {
    path.with_added_extension("before")
}

/// A key that was replaced, and until when it signs too.
fn retired(text: &str, origin: &str) -> Option<(Signer, Timestamp)> {
    let (key, until) = text.trim_end().rsplit_once(' ')?;
    Some((Signer::new(origin, &keyfile::text_secret(key, HEAD)?)?, until.parse().ok()?))
}
