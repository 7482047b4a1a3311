//! Where the keys of an issuer come from, and one load of them.
//!
//! Must never take longer than its limit, whatever is at the other end.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use tokio::time::timeout;

use super::file;
use super::{NotASet, SET_BYTES_MAX};
use crate::identity::fetch::{self, FetchError, Outgoing};
use crate::model::file_stamp::FileStamp;

/// Longest time for one load: name, connection, TLS and body together.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the keys of an issuer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysFrom {
    /// In a file, which is looked at again when it changes.
    File(PathBuf),
    /// At a URL: `https`, or `http` on loopback.
    Url {
        /// The URL.
        url: Uri,
        /// Certificates, in PEM, that are trusted there instead of the system's.
        ca: Option<PathBuf>,
    },
}

/// What a load gave.
#[derive(Debug)]
pub(super) enum Loaded {
    /// What was known is still right.
    Unchanged,
    /// The bytes of a set, with the stamp of their file.
    Bytes(Bytes, Option<FileStamp>),
}

/// Why a load gave nothing. The text is for the operator's log.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("the file cannot be read: {0}")]
    File(#[from] io::Error),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{0}")]
    NotASet(#[from] NotASet),
    #[error("it took longer than {}s", LOAD_TIMEOUT.as_secs())]
    TooSlow,
}

impl KeysFrom {
    /// Loads once.
    pub(super) async fn load(&self, known: Option<FileStamp>) -> Result<Loaded, LoadError> {
        timeout(LOAD_TIMEOUT, self.load_unlimited(known)).await.unwrap_or(Err(LoadError::TooSlow))
    }

    async fn load_unlimited(&self, known: Option<FileStamp>) -> Result<Loaded, LoadError> {
        match self {
            Self::File(path) => {
                let path = path.clone();
                // A file can lie on a disk that does not answer.
                let looked = tokio::task::spawn_blocking(move || file::look(&path, known)).await;
                match looked.map_err(io::Error::other)?? {
                    (_, None) => Ok(Loaded::Unchanged),
                    (stamp, Some(bytes)) => Ok(Loaded::Bytes(bytes.into(), Some(stamp))),
                }
            }
            Self::Url { url, ca } => {
                let bytes = fetch::fetch(url, ca.as_deref(), Outgoing::Get, SET_BYTES_MAX).await?;
                Ok(Loaded::Bytes(bytes, None))
            }
        }
    }
}
