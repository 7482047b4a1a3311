//! An index of the calls in the journal, in SQLite, so that a question about years is answered in a moment.
//!
//! Is made by whoever asks, from the journal, and made anew where it is missing, damaged, of another journal or of
//! another version: it holds nothing that the journal does not. Must never be taken for evidence: that is the journal
//! alone. Must never change the journal, nor say of a call what its records do not.

mod schema;
mod search;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::audit::{self, Part, STEP, Seq, Stream, TailError};
use crate::model::digest::Sha256;
use schema::{Known, Place};

/// The folder of the index, in the state directory.
const FOLDER: &str = "index";
/// The file of the index.
const FILE: &str = "calls.sqlite";
/// Longest wait for somebody else who brings the index up to date.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// The index.
#[derive(Debug)]
pub struct Index {
    journal: PathBuf,
    connection: Connection,
}

/// Why there is no index to ask.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The folder or the file cannot be made.
    #[error("cannot make `{}`", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// SQLite refused.
    #[error("the index: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] TailError),
}

impl Index {
    /// The index of the gateway with `state_dir`, brought up to date with its journal. `progress` is told the last record
    /// that it knows.
    ///
    /// # Errors
    /// [`IndexError`] where there is none and none can be made.
    pub fn open(state_dir: &Path, mut progress: impl FnMut(Seq)) -> Result<Self, IndexError> {
        let path = path_of(state_dir)?;
        let journal = state_dir.join("journal");
        match Self::opened(&path, &journal)
            .and_then(|mut index| index.catch_up(&mut progress).map(|()| index))
        {
            // Whatever stands there is of no use, and nothing of it is missed.
            Err(IndexError::Sqlite(error)) if is_damage(&error) => {
                remove(&path)?;
                let mut index = Self::opened(&path_of(state_dir)?, &journal)?;
                index.catch_up(&mut progress)?;
                Ok(index)
            }
            opened => opened,
        }
    }

    fn opened(path: &Path, journal: &Path) -> Result<Self, IndexError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        schema::prepare(&mut connection)?;
        Ok(Self { journal: journal.to_owned(), connection })
    }

    /// Takes in what the journal has and the index has not, in steps that each are whole or not at all.
    fn catch_up(&mut self, progress: &mut impl FnMut(Seq)) -> Result<(), IndexError> {
        let oldest = audit::oldest(&self.journal)?;
        self.forget_another_journal(oldest)?;
        let mut known = Known::default();
        loop {
            // Two may do this at once: each step goes on from where the last one ended, whoever made it.
            let step = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut stream = Stream::new(&self.journal, schema::place(&step)?.at);
            let items = stream.read(STEP)?;
            let Some(last) = items.last() else {
                schema::forget_before(&step, oldest.unwrap_or_default())?;
                return Ok(step.commit()?);
            };
            for part in items.iter().filter_map(Part::of) {
                known.take(&step, part)?;
            }
            known.settle(&step)?;
            let digest = Some(Sha256::of(last.line.as_bytes()));
            schema::keep_place(&step, &Place { at: stream.position(), last: last.seq, digest })?;
            step.commit()?;
            progress(last.seq);
        }
    }

    /// Empties the index where the last record that it knows is not in the journal, and was not archived.
    fn forget_another_journal(&mut self, oldest: Option<Seq>) -> Result<(), IndexError> {
        let step = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Place { last, digest, .. } = schema::place(&step)?;
        let Some(digest) = digest else { return Ok(()) };
        let is_archived = oldest.is_some_and(|oldest| last < oldest);
        let shown = audit::show(&self.journal, last).unwrap_or_default();
        let is_there = shown.iter().any(|shown| Sha256::of(shown.line.as_bytes()) == digest);
        if !is_there && !is_archived {
            schema::clear(&step)?;
        }
        Ok(step.commit()?)
    }
}

/// Where the index stands, its folder and its file made with nobody else's eyes on them.
fn path_of(state_dir: &Path) -> Result<PathBuf, IndexError> {
    let folder = state_dir.join(FOLDER);
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| IndexError::Io { path, source }
    };
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(&folder)(error)),
        Ok(()) | Err(_) => {}
    }
    let path = folder.join(FILE);
    // SQLite gives its other files the mode of this one.
    OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(io(&path))?;
    Ok(path)
}

/// Whether the file is no index, or not whole.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, TypeMismatch, Unknown};
    let is_foreign = matches!(
        error,
        rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
    );
    let code = error.sqlite_error_code();
    is_foreign || matches!(code, Some(DatabaseCorrupt | NotADatabase | TypeMismatch | Unknown))
}

fn remove(path: &Path) -> Result<(), IndexError> {
    for ending in ["", "-wal", "-shm"] {
        let mut path = path.as_os_str().to_owned();
        path.push(ending);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(IndexError::Io { path: path.into(), source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}
