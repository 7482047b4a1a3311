//! API keys: `sg_` and 256 random bits. The configuration holds their digests alone.
//!
//! Must never hold, print or compare a key's text. A key is looked up by its digest: whoever probes
//! cannot steer a digest toward a stored one byte by byte, and the last comparison takes constant time.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::BASE64URL_NOPAD;

use crate::chance::{self, NoEntropy};
use crate::model::digest::Sha256;
use crate::model::principal::Principal;
use crate::model::reason::Reason;

use super::bearer::{Bearer, Scheme};
use super::{KeySettings, Outcome};

/// What every key begins with, so that scanners for leaked secrets can find one.
pub const KEY_PREFIX: &str = "sg_";
/// What the written form of a key's digest begins with.
pub const HASH_PREFIX: &str = "sha256:";

/// A key that was just made. Its text is shown once and stored nowhere.
pub struct MintedKey {
    text: String,
    /// What the configuration holds.
    pub hash: Sha256,
}

impl MintedKey {
    /// The key itself, for the one place that shows it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for MintedKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MintedKey").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// Makes a key of 32 random bytes.
///
/// # Errors
/// [`NoEntropy`] where the system gives no random bytes.
pub fn mint() -> Result<MintedKey, NoEntropy> {
    let text = format!("{KEY_PREFIX}{}", BASE64URL_NOPAD.encode(&chance::bytes::<SECRET_BYTES>()?));
    let hash = Sha256::of(text.as_bytes());
    Ok(MintedKey { text, hash })
}

/// The written form of a key's digest: `sha256:` and lower-case hexadecimal.
#[must_use]
pub fn hash_text(hash: Sha256) -> String {
    format!("{HASH_PREFIX}{hash}")
}

/// The digest that `text` writes, if it writes one.
#[must_use]
pub fn parse_hash(text: &str) -> Option<Sha256> {
    Sha256::from_hex(text.strip_prefix(HASH_PREFIX)?)
}

/// The keys of the configuration, by digest.
#[derive(Debug)]
pub(super) struct Keys(HashMap<Sha256, Arc<Principal>>);

impl Keys {
    pub(super) fn new(settings: Vec<KeySettings>) -> Self {
        Self(settings.into_iter().map(|key| (key.hash, key.principal)).collect())
    }

    /// Who holds the key that `bearer` presents. A token of another form is not for this authenticator.
    pub(super) fn authenticate(&self, bearer: &Bearer<'_>) -> Outcome {
        if !bearer.reveal().starts_with(KEY_PREFIX) {
            return Outcome::NotMine;
        }
        if bearer.scheme != Scheme::Bearer {
            return Outcome::Refused(Reason::CredentialUnknown);
        }
        let presented = Sha256::of(bearer.reveal().as_bytes());
        let found = self.0.get_key_value(&presented);
        match found {
            Some((hash, principal))
                if verify_slices_are_equal(hash.as_bytes(), presented.as_bytes()).is_ok() =>
            {
                Outcome::Known(Arc::clone(principal))
            }
            _ => Outcome::Refused(Reason::CredentialUnknown),
        }
    }
}

const SECRET_BYTES: usize = 32;
