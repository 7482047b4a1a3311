//! What is kept of the arguments of a call beside their digest: parts by JSON Pointer, sealed or plain, and keyed
//! hashes.
//!
//! Must never give out a value that no operator asked for, nor a sealed one under a key that could not be destroyed:
//! each subject has its own. Decides nothing; a call of which nothing can be kept does not go on (I6).

mod hash;
mod pick;
mod seal;
mod vault;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::keyfile::KeyFileError;
use crate::model::digest::Sha256;
use crate::model::keep::{Keep, Kept, KeptForm, KeptPart, KeptText, KeptValue, Pointer, Whole};
use crate::model::name::Subject;
use pick::Arguments;

pub use hash::{HashKey, Hashed};
pub use seal::{Opened, open};
pub use vault::{ErasedKey, Vault};

/// What keeps values. Clones share its keys.
#[derive(Debug, Clone)]
pub struct Keeper {
    vault: Vault,
    hash: Arc<HashKey>,
}

/// A part that is kept, and its JSON text.
type Found<'k> = (&'k KeptPart, Bytes);

/// Why nothing could be kept of a call.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A value could not be sealed.
    #[error("a value could not be sealed")]
    Sealing,
}

impl Keeper {
    /// With the keys in `state_dir`, made where there are none.
    ///
    /// # Errors
    /// [`KeyFileError`] where one cannot be used.
    pub fn open(state_dir: &Path) -> Result<Self, KeyFileError> {
        let hash = HashKey::open_or_make(state_dir)?;
        Ok(Self { vault: Vault::open(state_dir)?, hash: Arc::new(hash) })
    }

    /// What `keep` asks for of `arguments`, which `subject` sends.
    ///
    /// # Errors
    /// [`KeepError`] where something that is asked for cannot be had.
    pub async fn keep(&self, keep: &Keep, subject: &Subject, arguments: &Bytes) -> Result<Kept, KeepError> {
        let (hashes, found) = self.find(keep, &Arguments::new(arguments));
        let key = match keep.form {
            KeptForm::Sealed if !found.is_empty() => Some(self.vault.key_of(subject).await?),
            KeptForm::Sealed | KeptForm::Plain => None,
        };
        let values = found.into_iter().map(|(part, value)| kept(part, &value, key.as_deref()));
        Ok(Kept {
            digest: keep.digest,
            values: values.collect::<Result<_, _>>()?,
            key: key.map(|key| key.id().into()),
            hash_key: (!hashes.is_empty()).then(|| self.hash.id().into()),
            hashes,
            whole: Whole::Yes,
        })
    }

    /// The hashes and the parts that `keep` asks for and that are there.
    fn find<'k>(
        &self,
        keep: &'k Keep,
        arguments: &Arguments<'_>,
    ) -> (Vec<(Pointer, Sha256)>, Vec<Found<'k>>) {
        let hash = |pointer: &Pointer| Some((pointer.clone(), self.hash.of_json(&arguments.pick(pointer)?)));
        let part = |part: &'k KeptPart| Some((part, arguments.pick(&part.pointer)?));
        (keep.hashed.iter().filter_map(hash).collect(), keep.parts.iter().filter_map(part).collect())
    }

    /// Destroys the key of `subject`: what was kept of its calls cannot be read any more.
    ///
    /// # Errors
    /// [`KeyFileError`] where it may be there still.
    pub async fn erase(&self, subject: &Subject) -> Result<ErasedKey, KeyFileError> {
        self.vault.erase(subject).await
    }
}

fn kept(part: &KeptPart, value: &[u8], key: Option<&seal::SealingKey>) -> Result<KeptValue, KeepError> {
    let (text, whole_bytes) = pick::cut(value, part.bytes_max);
    let value = match key {
        Some(key) => KeptText::Sealed(key.seal(&part.pointer, text).ok_or(KeepError::Sealing)?),
        None => KeptText::Json(text.to_owned()),
    };
    Ok(KeptValue { pointer: part.pointer.clone(), value, whole_bytes })
}

#[cfg(test)]
mod tests;
