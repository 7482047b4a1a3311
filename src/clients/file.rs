//! Files of clients on disk: read within a limit, replaced as a whole with a backup beside them.
//!
//! Must never leave a file half written, nor follow a link that a project holds: whoever wrote the project would
//! choose what is read and replaced. Trusts the file system to rename at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{Folders, Place, Scope};

/// Largest file of a client, in bytes. `~/.claude.json` holds more than servers.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Most backups of one file.
const BACKUPS_MAX: u32 = 100;
/// The mode of a file that a client did not have yet.
const NEW_FILE_MODE: u32 = 0o600;
/// The bits of a mode that are permissions.
const PERMISSIONS: u32 = 0o7777;

/// Why a file of a client was not used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no regular file, or too large.
    #[error("`{}` is not a file of at most {FILE_BYTES_MAX} bytes in UTF-8", .0.display())]
    Unfit(PathBuf),
    /// A project leads elsewhere.
    #[error("`{}` leads to another file; name that one with --from if you trust it", .0.display())]
    Link(PathBuf),
    /// It is not what the client could read.
    #[error("`{}` cannot be read: line {line} is not what its client expects", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: usize,
    },
    /// Somebody else wrote it meanwhile.
    #[error("`{}` was changed by somebody else meanwhile; try again", .0.display())]
    Raced(PathBuf),
}

/// The text of the file of `place`; `None` where there is none.
pub(super) fn read(place: &Place, folders: &Folders) -> Result<Option<String>, FileError> {
    let path = &place.path;
    let target = match path.canonicalize() {
        Ok(target) => target,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(source) => return Err(FileError::Io { doing: "find", path: path.clone(), source }),
    };
    let project = folders.project.canonicalize();
    let is_in_project =
        project.is_ok_and(|project| path.starts_with(&folders.project) && target.starts_with(project));
    if place.scope == Scope::Project && path.starts_with(&folders.project) && !is_in_project {
        return Err(FileError::Link(path.clone()));
    }
    text(&target).map(Some)
}

fn text(path: &Path) -> Result<String, FileError> {
    let io = |source| FileError::Io { doing: "read", path: path.to_owned(), source };
    // A pipe would be waited for; nothing is waited for here.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(io)?;
    let facts = file.metadata().map_err(io)?;
    if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
        return Err(FileError::Unfit(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io)?;
    String::from_utf8(bytes).map_err(|_| FileError::Unfit(path.to_owned()))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Replaces the file at `path`, which held `before`, by `after`. Gives the backup, where there was a file.
pub(super) fn replace(path: &Path, before: Option<&str>, after: &str) -> Result<Option<PathBuf>, FileError> {
    let io = |doing| move |source| FileError::Io { doing, path: path.to_owned(), source };
    let Some(before) = before else {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io("make the folder of"))?;
        }
        put(path, after, NEW_FILE_MODE, Over::Nothing)?;
        return Ok(None);
    };
    // What stands behind a link is replaced, and the link stays.
    let target = path.canonicalize().map_err(io("find"))?;
    let mode = target.metadata().map_err(io("look at"))?.permissions().mode() & PERMISSIONS;
    let backup = back_up(&target, before, mode)?;
    if text(&target)? != before {
        return Err(FileError::Raced(path.to_owned()));
    }
    put(&target, after, mode, Over::TheOldOne)?;
    Ok(Some(backup))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Nothing,
    TheOldOne,
}

/// Writes `text` to `path` as a whole: another file, a sync, a rename.
fn put(path: &Path, text: &str, mode: u32, over: Over) -> Result<(), FileError> {
    let io = |doing| move |source| FileError::Io { doing, path: path.to_owned(), source };
    if over == Over::Nothing && path.symlink_metadata().is_ok() {
        return Err(FileError::Raced(path.to_owned()));
    }
    let temporary = beside(path, ".sluicegate-new");
    // One that a crash left behind is replaced.
    let _absent = fs::remove_file(&temporary);
    write_new(&temporary, text, mode).map_err(io("write beside"))?;
    fs::rename(&temporary, path).map_err(io("replace"))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("sync the folder of"))
}

/// Keeps `text` beside `path`, under a name that is not taken.
fn back_up(path: &Path, text: &str, mode: u32) -> Result<PathBuf, FileError> {
    let io = |source| FileError::Io { doing: "back up", path: path.to_owned(), source };
    for number in 0..BACKUPS_MAX {
        let end = if number == 0 { String::new() } else { format!(".{number}") };
        let backup = beside(path, &format!(".before-sluicegate{end}"));
        match write_new(&backup, text, mode) {
            Ok(()) => return Ok(backup),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
    }
    Err(io(io::Error::other("there are too many backups of it")))
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    // Readable by others only once it is whole, and only where the old one was.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(end);
    path.with_file_name(name)
}
