//! Keyed hashes of values: whoever has the key can check a guess, and nobody else can.
//!
//! Must never tell two spellings of one value apart, so that a value can be checked however a client wrote it.

use std::path::Path;

use aws_lc_rs::hmac;
use bytes::Bytes;
use data_encoding::HEXLOWER;

use crate::keyfile::{self, KeyFileError};
use crate::model::digest::Sha256;
use crate::wire;

/// The file of the key, in the state directory.
const KEY_FILE: &str = "kept-hash-key";
const HEAD: &str = "sluicegate-kept-hash-key-v1 ";
/// Length of the id of a key, in bytes.
const ID_BYTES: usize = 4;

/// The key of the hashes (HMAC-SHA-256, RFC 2104).
pub struct HashKey {
    key: hmac::Key,
    id: String,
}

/// The hash of a value, and of which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// The hash, as records have it.
    pub hmac_sha256: Sha256,
    /// Id of the key.
    pub hash_key: String,
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "HashKey({})", self.id)
    }
}

impl HashKey {
    /// The key in `state_dir`.
    ///
    /// # Errors
    /// [`KeyFileError`] where it cannot be used.
    pub fn open(state_dir: &Path) -> Result<Option<Self>, KeyFileError> {
        let secret = keyfile::secret(&state_dir.join(KEY_FILE), HEAD)?;
        Ok(secret.map(|secret| Self::of(&secret)))
    }

    pub(super) fn open_or_make(state_dir: &Path) -> Result<Self, KeyFileError> {
        keyfile::secret_or_make(&state_dir.join(KEY_FILE), HEAD).map(|secret| Self::of(&secret))
    }

    fn of(secret: &keyfile::Secret) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        // What is told of the key is made by it, and tells nothing of it.
        let tag = hmac::sign(&key, b"sluicegate kept-hash-key id");
        let id = HEXLOWER.encode(tag.as_ref().get(..ID_BYTES).unwrap_or_default());
        Self { key, id }
    }

    /// By which records name it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The hash of the value whose JSON text is `json`.
    #[must_use]
    pub fn of_json(&self, json: &Bytes) -> Sha256 {
        // One spelling for a value; what is no JSON is hashed as it stands.
        let canonical = wire::tool::canonical(json).unwrap_or_else(|_| json.to_vec());
        let tag = hmac::sign(&self.key, &canonical);
        Sha256::from_bytes(tag.as_ref().try_into().unwrap_or_default())
    }

    /// The hash of the value whose JSON text is `json`, to be compared with records.
    #[must_use]
    pub fn hash(&self, json: &Bytes) -> Hashed {
        Hashed { hmac_sha256: self.of_json(json), hash_key: self.id.clone() }
    }
}
