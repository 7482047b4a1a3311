//! Sealing a value under the key of its subject, and opening it again (AES-256-GCM, NIST SP 800-38D).
//!
//! Must never seal two values under one nonce: nonces are drawn anew, which is good for 2^32 values a key. A sealed
//! value cannot be taken for that of another part: its pointer is bound to it.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use data_encoding::BASE64;

use super::vault;
use crate::keyfile::KeyFileError;
use crate::model::keep::Pointer;
use crate::model::name::Subject;

/// What precedes the pointer in what is bound to a sealed value.
const CONTEXT: &str = "sluicegate kept value v1 ";

/// The key of one subject.
pub(super) struct SealingKey {
    id: String,
    key: RandomizedNonceKey,
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SealingKey({})", self.id)
    }
}

impl SealingKey {
    pub(super) fn new(id: &str, secret: &[u8]) -> Option<Self> {
        Some(Self { id: id.to_owned(), key: RandomizedNonceKey::new(&AES_256_GCM, secret).ok()? })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// `text` sealed: base64 of nonce, ciphertext and tag.
    pub(super) fn seal(&self, pointer: &Pointer, text: &str) -> Option<String> {
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self.key.seal_in_place_append_tag(bound(pointer), &mut bytes).ok()?;
        Some(BASE64.encode(&[nonce.as_ref().as_slice(), &bytes].concat()))
    }

    fn open(&self, pointer: &Pointer, sealed: &str) -> Option<String> {
        let bytes = BASE64.decode(sealed.as_bytes()).ok()?;
        let (nonce, ciphertext) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = ciphertext.to_vec();
        let opened = self.key.open_in_place(nonce, bound(pointer), &mut opened).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}

fn bound(pointer: &Pointer) -> Aad<String> {
    Aad::from(format!("{CONTEXT}{}", pointer.as_str()))
}

/// What became of opening a sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// Its JSON text.
    Json(String),
    /// The key under which it was sealed was destroyed.
    Erased,
    /// It is not what was sealed.
    Damaged,
}

/// Opens what was `sealed` of `subject` under the key `key` of the gateway with `state_dir`.
///
/// # Errors
/// [`KeyFileError`] where there is a key that cannot be used.
pub fn open(
    state_dir: &Path,
    subject: &Subject,
    key: &str,
    pointer: &Pointer,
    sealed: &str,
) -> Result<Opened, KeyFileError> {
    let found = vault::read(state_dir, subject)?.filter(|found| found.id() == key);
    let Some(found) = found else { return Ok(Opened::Erased) };
    Ok(found.open(pointer, sealed).map_or(Opened::Damaged, Opened::Json))
}
