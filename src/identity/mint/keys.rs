//! The gateway's own token keys: one that signs, and the public halves of those that signed before it.
//!
//! Must never sign with a key whose public half is not on disk, nor keep the private half of a key that
//! signs no more, nor use a file that others may read. A public half stays in the JWKS until the last
//! token that its key can have signed has expired. Trusts that no other gateway holds the state directory.

mod files;

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::chance;
use crate::model::digest::Sha256;
use crate::model::reason::Reason;

use files::Folder;

/// Keys in the JWKS, the one that signs included. Who rotates more often within one overlap is refused.
pub const TOKEN_KEYS_MAX: usize = 16;
/// How long beyond the longest lifetime of a token the key that signed it is still accepted: more than
/// the clocks of its users may differ.
const OVERLAP_MARGIN: Duration = Duration::from_secs(5 * 60);

/// Why the token keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The system refused.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others could read or replace a key.
    #[error("`{}` {what}; {remedy}", path.display())]
    Open {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A file is not what the gateway wrote.
    #[error(
        "`{}` is not what the gateway wrote there: {what}. Restore it, or remove `{}` to have a new key made: \
         run tokens that were signed until now are refused then",
        path.display(),
        path.with_file_name(super::settings::JWKS_FILE).display()
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Too many keys are in their overlap.
    #[error("{TOKEN_KEYS_MAX} keys are still accepted; wait until the tokens of the oldest have expired")]
    Full,
    /// No key could be made.
    #[error("the system made no key")]
    NotMade,
}

/// A public key as the JWKS holds it (RFC 7517). `iat` says since when it signs, `exp` until when it is
/// accepted; the key that signs has no `exp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
    kid: String,
    #[serde(rename = "use")]
    usage: String,
    alg: String,
    iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwks {
    keys: Vec<Jwk>,
}

impl Jwk {
    /// `public` is an uncompressed point: 4, then 32 bytes each (SEC 1, 2.3.3).
    fn new(public: &[u8], iat: i64) -> Option<Self> {
        let (x, y) = public.strip_prefix(&[4])?.split_at_checked(32).filter(|(_, y)| y.len() == 32)?;
        let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
        // RFC 7638: the required members in lexical order, without blanks.
        let thumbprint = format!("{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"{x}\",\"y\":\"{y}\"}}");
        let kid = BASE64URL_NOPAD.encode(Sha256::of(thumbprint.as_bytes()).as_bytes());
        let text = str::to_owned;
        let (kty, crv, usage, alg) = (text("EC"), text("P-256"), text("sig"), text("ES256"));
        Some(Self { kty, crv, x, y, kid, usage, alg, iat, exp: None })
    }

    fn public(&self) -> Option<Vec<u8>> {
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        Some([vec![4], decode(&self.x)?, decode(&self.y)?].concat())
    }

    fn is_whole(&self) -> bool {
        let same = self.public().and_then(|public| Self::new(&public, self.iat));
        same.is_some_and(|same| same == Self { exp: None, ..self.clone() })
    }
}

/// A key that was made and is nowhere yet.
pub struct NewKey {
    private: Vec<u8>,
    public: Jwk,
    pair: EcdsaKeyPair,
    replaces: Option<String>,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NewKey").field("kid", &self.public.kid).finish_non_exhaustive()
    }
}

impl NewKey {
    /// Its id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.public.kid
    }

    fn make(now: i64, replaces: Option<String>) -> Result<Self, KeysError> {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &chance::generator());
        let private = made.map_err(|_| KeysError::NotMade)?.as_ref().to_vec();
        let pair = pair(&private).ok_or(KeysError::NotMade)?;
        let public = Jwk::new(pair.public_key().as_ref(), now).ok_or(KeysError::NotMade)?;
        Ok(Self { private, public, pair, replaces })
    }
}

fn pair(private: &[u8]) -> Option<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).ok()
}

/// Whether opening the keys made the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It was there.
    Found,
    /// It was made: its id.
    Made(String),
}

/// The keys, in memory and on disk.
#[derive(Debug)]
pub(super) struct KeyStore {
    folder: Folder,
    ring: Mutex<Ring>,
}

struct Ring {
    pair: EcdsaKeyPair,
    /// The one that signs is last.
    keys: Vec<Jwk>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.keys.iter().map(|key| &key.kid)).finish()
    }
}

impl KeyStore {
    /// Opens the keys in `dir`; makes folder and first key where there is none.
    ///
    /// # Errors
    /// [`KeysError`] says what is wrong with which file, and what to do.
    pub(super) fn open(dir: PathBuf, now: i64) -> Result<(Self, Opened), KeysError> {
        let folder = Folder::open(dir)?;
        let mut keys = folder.read_jwks()?;
        let malformed = |what: &str| KeysError::Malformed { path: folder.jwks_path(), what: what.to_owned() };
        if keys.len() > TOKEN_KEYS_MAX || !keys.iter().all(Jwk::is_whole) {
            return Err(malformed("it holds what is no public key of this gateway"));
        }
        keys.sort_by_key(|key| key.exp.is_none());
        let signing: Vec<&Jwk> = keys.iter().filter(|key| key.exp.is_none()).collect();
        let (pair, opened) = match signing.as_slice() {
            [] => {
                let NewKey { private, public, pair, .. } = NewKey::make(now, None)?;
                let kid = public.kid.clone();
                folder.write_private(&kid, &private)?;
                keys.push(public);
                folder.write_jwks(&keys)?;
                (pair, Opened::Made(kid))
            }
            [key] => (folder.read_pair(key)?, Opened::Found),
            _ => return Err(malformed("more than one key in it has no `exp`")),
        };
        let ring = Ring { pair, keys };
        folder.remove_private_but(ring.kid());
        let store = Self { folder, ring: Mutex::new(ring) };
        store.prune(now)?;
        Ok((store, opened))
    }

    /// The signature of what `input` makes of the id of the key that signs, and that id.
    pub(super) fn sign(
        &self,
        input: impl FnOnce(&str) -> String,
    ) -> Result<(String, Vec<u8>, String), Reason> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let input = input(ring.kid());
        let signature = ring.pair.sign(&chance::generator(), input.as_bytes()).map_err(|_| Reason::Fault)?;
        Ok((input, signature.as_ref().to_vec(), ring.kid().to_owned()))
    }

    /// The public keys that are accepted at `now`, by id.
    pub(super) fn accepted(&self, now: i64) -> Vec<(String, Vec<u8>)> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let accepted = ring.keys.iter().filter(|key| key.exp.is_none_or(|exp| exp > now));
        accepted.filter_map(|key| Some((key.kid.clone(), key.public()?))).collect()
    }

    /// Takes public halves out of the file whose last token has expired: nothing of theirs can count.
    pub(super) fn prune(&self, now: i64) -> Result<(), KeysError> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |key: &Jwk| key.exp.is_none_or(|exp| exp > now);
        if ring.keys.iter().all(counts) {
            return Ok(());
        }
        let kept: Vec<Jwk> = ring.keys.iter().filter(|key| counts(key)).cloned().collect();
        self.folder.write_jwks(&kept)?;
        ring.keys = kept;
        Ok(())
    }

    /// Whether the key that signs is older than `max_age`.
    pub(super) fn is_due(&self, now: i64, max_age: Duration) -> bool {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let age = ring.keys.last().map_or(0, |key| now.saturating_sub(key.iat));
        u64::try_from(age).is_ok_and(|age| age >= max_age.as_secs())
    }

    /// Makes a key to replace the one that signs now. It is nowhere until it is installed.
    pub(super) fn prepare(&self, now: i64) -> Result<NewKey, KeysError> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = ring.keys.iter().filter(|key| key.exp.is_none_or(|exp| exp > now)).count();
        if kept >= TOKEN_KEYS_MAX {
            return Err(KeysError::Full);
        }
        NewKey::make(now, Some(ring.kid().to_owned()))
    }

    /// Signs with `new` from now on. The key before it is accepted for `overlap` and a margin; its private
    /// half is gone. Where another key was installed meanwhile, nothing happens.
    pub(super) fn install(&self, new: NewKey, now: i64, overlap: Duration) -> Result<(), KeysError> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if new.replaces.as_deref() != Some(ring.kid()) {
            return Ok(());
        }
        let overlap = overlap.saturating_add(OVERLAP_MARGIN).as_secs();
        let until = now.saturating_add(i64::try_from(overlap).unwrap_or(i64::MAX));
        let mut keys = ring.keys.clone();
        keys.retain(|key| key.exp.is_none_or(|exp| exp > now));
        for key in &mut keys {
            key.exp.get_or_insert(until);
        }
        let NewKey { private, public, pair, .. } = new;
        self.folder.write_private(&public.kid, &private)?;
        keys.push(public);
        self.folder.write_jwks(&keys)?;
        *ring = Ring { pair, keys };
        self.folder.remove_private_but(ring.kid());
        Ok(())
    }
}

impl Ring {
    fn kid(&self) -> &str {
        self.keys.last().map_or("", |key| &key.kid)
    }
}
