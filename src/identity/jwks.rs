//! The keys of an issuer: a set that is read, kept, and looked up by `kid`.
//!
//! Must never take a key from a token (CASES A40), nor look a `kid` up anywhere but in the set (A39). What
//! cannot be used in a set is left out of it; what is no set at all changes nothing.

mod file;
mod keeper;
mod source;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::model::digest::Sha256;
use crate::trust;

use super::algorithm::{Algorithm, VerifyingKey};
use super::json;

pub use keeper::{KEYS_AGE_MAX, KEYS_FRESH, KEYS_UNCONFIRMED_MAX, LOAD_INTERVAL};
pub use source::KeysFrom;

pub(super) use keeper::Keeper;

/// Largest key set, in bytes.
pub const SET_BYTES_MAX: usize = 256 * 1024;
/// Most keys in a set, usable or not.
pub const SET_KEYS_MAX: usize = 64;
/// Keys and elements in the JSON of a set.
const SET_MEMBERS_MAX: usize = 8192;
/// Longest `kid`, in bytes.
const KID_BYTES_MAX: usize = 256;

/// The usable keys of a set (RFC 7517 §5).
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// Of the bytes that it was read from: the same set is not read twice.
    digest: Sha256,
}

#[derive(Debug)]
struct Key {
    kid: Option<String>,
    key: Arc<VerifyingKey>,
}

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// No key has this `kid`; or the token names none, or an ambiguous one, and several would do.
    Unknown,
    /// The key is for another algorithm.
    OtherAlgorithm,
}

/// Why bytes are no set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotASet {
    /// They are not one strict JSON object.
    #[error("it is not one JSON object, or an object in it holds a key twice")]
    NotJson,
    /// The object has no array `keys`, or something else than objects in it.
    #[error("it has no array `keys` of objects (RFC 7517 §5)")]
    NoKeys,
    /// There are more keys than any issuer needs.
    #[error("it holds more than {SET_KEYS_MAX} keys")]
    TooManyKeys,
}

impl KeySet {
    /// The keys in `document` that are for one of the algorithms in `allowed`.
    pub(super) fn read(document: &[u8], allowed: &BTreeSet<Algorithm>) -> Result<Self, NotASet> {
        let set = json::object(document, SET_MEMBERS_MAX).ok_or(NotASet::NotJson)?;
        let listed = json::list(&set, "keys").ok().flatten().ok_or(NotASet::NoKeys)?;
        if listed.len() > SET_KEYS_MAX {
            return Err(NotASet::TooManyKeys);
        }
        let mut keys = Vec::new();
        for jwk in listed {
            let jwk = jwk.as_object().ok_or(NotASet::NoKeys)?;
            let Ok(kid) = json::text(jwk, "kid") else { continue };
            if kid.is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
                continue;
            }
            let Some(key) = VerifyingKey::of_jwk(jwk, allowed) else { continue };
            keys.push(Key { kid: kid.map(str::to_owned), key: Arc::new(key) });
        }
        Ok(Self { keys, digest: Sha256::of(document) })
    }

    /// The key of a token: the one with its `kid`; without one, the only key of its algorithm.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Arc<VerifyingKey>, NoKey> {
        let named: Vec<&Key> =
            self.keys.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid).collect();
        if named.is_empty() {
            return Err(NoKey::Unknown);
        }
        let mut fitting = named.iter().filter(|key| key.key.algorithm == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(Arc::clone(&only.key)),
            (Some(_), Some(_)) => Err(NoKey::Unknown),
            (None, _) => Err(NoKey::OtherAlgorithm),
        }
    }
}

/// How many keys of the file at `path` could be used, for whoever checks a configuration.
///
/// # Errors
/// Why it gives no set of keys now.
pub fn count_keys(path: &Path, allowed: &BTreeSet<Algorithm>) -> Result<usize, String> {
    let bytes = file::read(path).map_err(|error| error.to_string())?;
    KeySet::read(&bytes, allowed).map(|set| set.keys.len()).map_err(|error| error.to_string())
}

/// How many certificates the PEM file at `path` holds, for whoever checks a configuration.
///
/// # Errors
/// Why it gives none now.
pub fn check_ca(path: &Path) -> Result<usize, String> {
    trust::roots(path).map(|roots| roots.len())
}

#[cfg(test)]
mod tests;
