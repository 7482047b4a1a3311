//! A secret that the gateway made and keeps in one small file of its own.
//!
//! Must never use a file that others may read, nor leave one half-written. Trusts whoever may write in the state
//! directory, which is the gateway's own uid.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;

use crate::{chance, whole};

/// A key, or what one is made of.
pub type Secret = [u8; 32];

/// What others may do with such a file.
const OTHERS_MODE: u32 = 0o077;
/// What its owner may do with what stands in the state directory.
const OWNER_MODE: u32 = 0o600;
/// Largest such file, in bytes.
const BYTES_MAX: u64 = 1024;

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refused.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read it.
    #[error("`{}` may be read by others: chmod 600", .0.display())]
    Open(PathBuf),
    /// It is not what the gateway wrote.
    #[error("`{}` does not hold what the gateway wrote: restore it, or move it away to have a new one made", .0.display())]
    Malformed(PathBuf),
    /// No secret could be made.
    #[error("the system gave no random bytes")]
    NotMade,
}

impl KeyFileError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// What the file at `path` holds; nothing where there is none.
///
/// # Errors
/// [`KeyFileError`] where it cannot be read, or others can.
pub fn read(path: &Path) -> Result<Option<String>, KeyFileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeyFileError::io("open", path)(error)),
    };
    if file.metadata().map_err(KeyFileError::io("look at", path))?.mode() & OTHERS_MODE != 0 {
        return Err(KeyFileError::Open(path.to_owned()));
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(KeyFileError::io("read", path))?;
    Ok(Some(text))
}

/// Puts `text` in the place of what is at `path`: whole or not at all, and there after a loss of power.
///
/// # Errors
/// [`KeyFileError`] where the system refuses.
pub fn write(path: &Path, text: &str) -> Result<(), KeyFileError> {
    whole::replace(path, text.as_bytes(), OWNER_MODE).map_err(KeyFileError::io("write", path))
}

/// The secret at `path`, behind `head`; made where there is none.
///
/// # Errors
/// [`KeyFileError`] where it cannot be used, or none can be made.
pub fn secret_or_make(path: &Path, head: &str) -> Result<Secret, KeyFileError> {
    if let Some(secret) = secret(path, head)? {
        return Ok(secret);
    }
    let secret = chance::bytes().map_err(|_| KeyFileError::NotMade)?;
    write_secret(path, head, &secret)?;
    Ok(secret)
}

/// The secret at `path`, behind `head`; nothing where there is none.
///
/// # Errors
/// [`KeyFileError`] where it cannot be used.
pub fn secret(path: &Path, head: &str) -> Result<Option<Secret>, KeyFileError> {
    let Some(text) = read(path)? else { return Ok(None) };
    text_secret(&text, head).map(Some).ok_or_else(|| KeyFileError::Malformed(path.to_owned()))
}

/// Puts `secret` behind `head` in the place of what is at `path`.
///
/// # Errors
/// [`KeyFileError`] where the system refuses.
pub fn write_secret(path: &Path, head: &str, secret: &Secret) -> Result<(), KeyFileError> {
    write(path, &format!("{head}{}\n", BASE64.encode(secret)))
}

/// The secret that `text` holds behind `head`.
#[must_use]
pub fn text_secret(text: &str, head: &str) -> Option<Secret> {
    BASE64.decode(text.strip_prefix(head)?.trim_end().as_bytes()).ok()?.try_into().ok()
}

/// Whether there was anything to destroy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destroyed {
    /// It is gone for good.
    Now,
    /// It was not there.
    Before,
}

/// Destroys what is at `path`: overwritten where the file system lets anybody, and gone after a loss of power.
///
/// # Errors
/// [`KeyFileError`] where the system refuses; it may be there still.
pub fn destroy(path: &Path) -> Result<Destroyed, KeyFileError> {
    match scrub(path) {
        Ok(()) => Ok(Destroyed::Now),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Destroyed::Before),
        Err(error) => Err(KeyFileError::io("destroy", path)(error)),
    }
}

fn scrub(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let length = usize::try_from(file.metadata()?.len().min(BYTES_MAX)).unwrap_or_default();
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    fs::remove_file(path)?;
    whole::sync_folder(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_its_owners_alone_and_gone_when_it_is_destroyed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, "first").unwrap();
        write(&path, "second").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("second"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, OWNER_MODE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Open(_))));
        assert_eq!(destroy(&path).unwrap(), Destroyed::Now);
        assert_eq!(destroy(&path).unwrap(), Destroyed::Before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
