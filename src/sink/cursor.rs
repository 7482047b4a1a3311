//! Where a sink is in the journal, kept in a file of its own.
//!
//! Must never say more than what the sink acknowledged: a place that is lost or old means records that come twice, one
//! that is too new means records that never come.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::audit::Position;
use crate::whole;

/// Why the place of a sink cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// The system refused.
    #[error("cannot {doing} `{}`, where the place of a sink is kept", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not what this program writes.
    #[error("`{}` does not say where the sink is; remove it, and the sink begins anew", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Kept {
    v: u32,
    position: Position,
}

/// The file.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    path: PathBuf,
}

impl Cursor {
    /// That of the sink `name` in `dir`, and what it says.
    pub(super) fn open(dir: &Path, name: &str) -> Result<(Self, Option<Position>), CursorError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| CursorError::Io { doing: "make", path: dir.to_owned(), source })?;
        let path = dir.join(format!("{name}.json"));
        let position = match fs::read(&path) {
            Ok(bytes) => {
                let kept: Result<Kept, _> = serde_json::from_slice(&bytes);
                let malformed = |source| CursorError::Malformed { path: path.clone(), source };
                Some(kept.map_err(malformed)?.position)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(CursorError::Io { doing: "read", path, source }),
        };
        Ok((Self { path }, position))
    }

    /// Keeps `position`. Survives the death of the process; after a loss of power an older one may be found.
    pub(super) fn keep(&self, position: Position) -> Result<(), CursorError> {
        let io = |doing, source| CursorError::Io { doing, path: self.path.clone(), source };
        let text = serde_json::to_vec(&Kept { v: 1, position }).unwrap_or_default();
        let new = self.path.with_extension("json.new");
        let mut file = create(&new).map_err(|source| io("write", source))?;
        file.write_all(&text).map_err(|source| io("write", source))?;
        fs::rename(&new, &self.path).map_err(|source| io("replace", source))
    }

    /// Returns once what was kept survives a loss of power.
    pub(super) fn sync(&self) -> Result<(), CursorError> {
        let synced = File::open(&self.path).and_then(|file| file.sync_all());
        synced.and_then(|()| whole::sync_folder(&self.path)).map_err(|source| CursorError::Io {
            doing: "sync",
            path: self.path.clone(),
            source,
        })
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}
