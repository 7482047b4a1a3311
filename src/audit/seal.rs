//! The key that signs checkpoints: a file that the gateway makes once, for this journal alone.
//!
//! Must never use a key file that others may read, nor make a new key where there was one: whoever checks knows the old
//! one.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;

use super::note::Signer;
use crate::chance;

/// The file of the private key, in the state directory.
pub const KEY_FILE: &str = "audit-key";
/// What a private key file holds before its key.
const HEAD: &str = "sluicegate-audit-key-v1 ";
/// What others may do with the file of a private key.
const OTHERS_MODE: u32 = 0o077;
/// What its owner may do with what stands in the state directory.
const OWNER_MODE: u32 = 0o600;
/// Largest key file, in bytes.
const KEY_BYTES_MAX: u64 = 1024;

/// Why there is no key to sign checkpoints with.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The system refused.
    #[error("cannot {doing} `{}`, the key of the audit trail", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read the private key.
    #[error("`{}` may be read by others: chmod 600", .0.display())]
    Open(PathBuf),
    /// The file is not what the gateway wrote.
    #[error("`{}` holds no key of the audit trail: restore it, or move it away to have a new key made", .0.display())]
    Malformed(PathBuf),
    /// No key could be made.
    #[error("the system made no key")]
    NotMade,
}

/// The key at `path`, made where there is none, for what is named `origin`. Its public half stands beside it, in
/// `path.pub`.
pub(super) fn open(path: &Path, origin: &str) -> Result<Signer, SealError> {
    let io = |doing| move |source| SealError::Io { doing, path: path.to_owned(), source };
    let seed = match OpenOptions::new().read(true).open(path) {
        Ok(file) => {
            if file.metadata().map_err(io("look at"))?.mode() & OTHERS_MODE != 0 {
                return Err(SealError::Open(path.to_owned()));
            }
            let mut text = String::new();
            file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(io("read"))?;
            seed(&text).ok_or_else(|| SealError::Malformed(path.to_owned()))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let seed = chance::bytes::<32>().map_err(|_| SealError::NotMade)?;
            let text = format!("{HEAD}{}\n", BASE64.encode(&seed));
            write(path, &text).map_err(io("make"))?;
            seed
        }
        Err(error) => return Err(io("open")(error)),
    };
    let signer = Signer::new(origin, &seed).ok_or_else(|| SealError::Malformed(path.to_owned()))?;
    let public = public_path(path);
    let text = format!("{}\n", signer.key());
    if fs::read_to_string(&public).ok().as_deref() != Some(text.as_str()) {
        let doing = "write the public half of";
        write(&public, &text).map_err(|source| SealError::Io { doing, path: public, source })?;
    }
    Ok(signer)
}

/// Where the public half of the key at `path` stands.
#[must_use]
pub fn public_path(path: &Path) -> PathBuf {
    path.with_added_extension("pub")
}

fn seed(text: &str) -> Option<[u8; 32]> {
    BASE64.decode(text.strip_prefix(HEAD)?.trim_end().as_bytes()).ok()?.try_into().ok()
}

/// Whole or not at all, and there after a loss of power.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(OWNER_MODE).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent().map(fs::File::open) {
        Some(folder) => folder?.sync_all(),
        None => Ok(()),
    }
}
