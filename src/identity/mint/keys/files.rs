//! The folder of the token keys: modes and owners that are checked, files that are replaced whole.
//!
//! Must never follow a link, nor use a file of another owner or one that others may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _};

use super::{Jwk, Jwks, KeysError, pair};
use crate::identity::mint::settings::JWKS_FILE;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Entries of the folder that are looked at.
const ENTRIES_MAX: usize = 1024;
/// What group and others may do.
const OTHERS_MODE: u32 = 0o077;
const PRIVATE_PREFIX: &str = "token.";
const PRIVATE_SUFFIX: &str = ".pkcs8";

#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(path: PathBuf) -> Result<Self, KeysError> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(KeysError::Io { doing: "make the folder", path, source });
            }
            Ok(()) | Err(_) => {}
        }
        let facts = path.symlink_metadata();
        let facts = facts.map_err(|source| KeysError::Io { doing: "look at", path: path.clone(), source })?;
        if !facts.is_dir() {
            let (what, remedy) = ("is not a folder".to_owned(), "remove it".to_owned());
            return Err(KeysError::Open { path, what, remedy });
        }
        check(&path, &facts, "700")?;
        Ok(Self(path))
    }

    pub(super) fn jwks_path(&self) -> PathBuf {
        self.0.join(JWKS_FILE)
    }

    /// The public keys; none where the file is not there.
    pub(super) fn read_jwks(&self) -> Result<Vec<Jwk>, KeysError> {
        let path = self.jwks_path();
        let Some(text) = read(&path)? else { return Ok(Vec::new()) };
        let found: Result<Jwks, _> = serde_json::from_slice(&text);
        found.map(|jwks| jwks.keys).map_err(|error| KeysError::Malformed { path, what: error.to_string() })
    }

    pub(super) fn write_jwks(&self, keys: &[Jwk]) -> Result<(), KeysError> {
        let path = self.jwks_path();
        let text = serde_json::to_vec(&Jwks { keys: keys.to_vec() });
        let malformed =
            |error: serde_json::Error| KeysError::Malformed { path: path.clone(), what: error.to_string() };
        self.replace(&path, &text.map_err(malformed)?)
    }

    /// The private half of `key`.
    pub(super) fn read_pair(&self, key: &Jwk) -> Result<EcdsaKeyPair, KeysError> {
        let path = self.private_path(&key.kid);
        let malformed = |what: &str| KeysError::Malformed { path: path.clone(), what: what.to_owned() };
        let private = read(&path)?.ok_or_else(|| malformed("it is missing"))?;
        let pair = pair(&private).ok_or_else(|| malformed("it holds no private key"))?;
        if key.public().as_deref() == Some(pair.public_key().as_ref()) {
            Ok(pair)
        } else {
            Err(malformed("it holds the private half of another key"))
        }
    }

    pub(super) fn write_private(&self, kid: &str, private: &[u8]) -> Result<(), KeysError> {
        self.replace(&self.private_path(kid), private)
    }

    /// Removes every private key but that of `kid`, and what a crash left half-written. What cannot be
    /// removed is said: it stands where nobody else can read it, and nothing uses it.
    pub(super) fn remove_private_but(&self, kid: &str) {
        let kept = self.private_path(kid);
        let Ok(entries) = fs::read_dir(&self.0) else { return };
        for path in entries.take(ENTRIES_MAX).flatten().map(|entry| entry.path()).filter(|path| *path != kept)
        {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_private = name.starts_with(PRIVATE_PREFIX) && name.ends_with(PRIVATE_SUFFIX);
            let is_rest = name.starts_with(PRIVATE_PREFIX) && name.ends_with(".new");
            if (is_private || is_rest)
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(%error, path = %path.display(), "cannot remove a key that signs no more");
            }
        }
    }

    fn private_path(&self, kid: &str) -> PathBuf {
        self.0.join(format!("{PRIVATE_PREFIX}{kid}{PRIVATE_SUFFIX}"))
    }

    /// Replaces the file whole. Returns once it is on disk.
    fn replace(&self, path: &Path, text: &[u8]) -> Result<(), KeysError> {
        let io = |doing| move |source| KeysError::Io { doing, path: path.to_owned(), source };
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let temporary = path.with_file_name(name);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io("replace")(error)),
            Ok(()) | Err(_) => {}
        }
        // `create_new` follows no link and takes no file that somebody else put there.
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let mut file = opened.map_err(io("create"))?;
        file.write_all(text).map_err(io("write"))?;
        file.sync_all().map_err(io("sync"))?;
        fs::rename(&temporary, path).map_err(io("replace"))?;
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(io("sync the folder of"))
    }
}

/// The whole file, if it is there and nobody else can read it.
fn read(path: &Path) -> Result<Option<Vec<u8>>, KeysError> {
    let io = |doing| move |source| KeysError::Io { doing, path: path.to_owned(), source };
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read")(error)),
    };
    let facts = file.metadata().map_err(io("look at"))?;
    if !facts.is_file() {
        let (what, remedy) = ("is not a file".to_owned(), "remove it".to_owned());
        return Err(KeysError::Open { path: path.to_owned(), what, remedy });
    }
    check(path, &facts, "600")?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(io("read"))?;
    Ok(Some(text))
}

fn check(path: &Path, facts: &fs::Metadata, mode: &str) -> Result<(), KeysError> {
    let own = rustix::process::geteuid().as_raw();
    if facts.uid() != own {
        let what = format!("belongs to uid {}, and the gateway runs as {own}", facts.uid());
        let remedy = format!("run `chown {own} {}`", path.display());
        return Err(KeysError::Open { path: path.to_owned(), what, remedy });
    }
    if facts.mode() & OTHERS_MODE != 0 {
        let what = "may be used by others".to_owned();
        let remedy = format!("run `chmod {mode} {}`; if others could read it, make new keys", path.display());
        return Err(KeysError::Open { path: path.to_owned(), what, remedy });
    }
    Ok(())
}
