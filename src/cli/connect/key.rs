//! The key of a client, from a file or an environment variable.
//!
//! Must never come from the command line, nor be printed. A file that others can read is refused, because
//! whoever reads it is the client.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use http::HeaderValue;
use tokio::io::AsyncReadExt as _;

/// Longest key, in bytes.
const KEY_BYTES_MAX: u64 = 16 * 1024;
/// The permissions of group and others.
const OTHERS: u32 = 0o077;

/// Where the key is.
pub(super) enum KeySource {
    /// Nowhere: the gateway knows the peer by its socket.
    None,
    /// In this file, read anew each time, so that it can be renewed.
    File(PathBuf),
    /// Here, as the environment had it at the start.
    Known(HeaderValue),
}

impl KeySource {
    /// The key that the environment variable `name` holds.
    pub(super) fn of_environment(name: &str) -> anyhow::Result<Self> {
        let Some(value) = std::env::var_os(name) else {
            bail!("the environment variable `{name}` that --key-env names is not set");
        };
        let value = value.into_string().ok().with_context(|| format!("`{name}` does not hold a key"))?;
        Ok(Self::Known(bearer(&value).with_context(|| format!("`{name}` does not hold a key"))?))
    }

    /// The value of the `Authorization` header.
    pub(super) async fn read(&self) -> anyhow::Result<Option<HeaderValue>> {
        match self {
            Self::None => Ok(None),
            Self::Known(value) => Ok(Some(value.clone())),
            Self::File(path) => Ok(Some(read_file(path).await?)),
        }
    }
}

async fn read_file(path: &Path) -> anyhow::Result<HeaderValue> {
    let cannot = || format!("cannot read the key file `{}`", path.display());
    let file = tokio::fs::File::open(path).await.with_context(cannot)?;
    let mode = file.metadata().await.with_context(cannot)?.mode();
    if mode & OTHERS != 0 {
        let path = path.display();
        bail!("others can read the key file `{path}`; run `chmod 600 {path}`");
    }
    let mut text = String::new();
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).await.with_context(cannot)?;
    bearer(&text).with_context(|| format!("the key file `{}` does not hold a key", path.display()))
}

/// `key` as a credential (RFC 6750, 2.1). The error does not repeat what was found.
fn bearer(key: &str) -> anyhow::Result<HeaderValue> {
    let key = key.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("a key is one word of visible ASCII characters, as `sluicegate key new` prints it");
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}"))?;
    value.set_sensitive(true);
    Ok(value)
}
