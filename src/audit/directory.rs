//! The journal's folder: who may touch it, what stands in it, and that only one process writes there.
//!
//! Must never accept a folder or a file that another user could read or change, nor follow a link
//! (CASES F60, A80). Trusts the kernel's word on owner, mode and locks.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, FileType, FlockOperation, Mode, OFlags, Stat};

use super::Seq;

/// The extension of a segment. Its name is its first sequence number in 20 digits.
pub(super) const SEGMENT_SUFFIX: &str = ".jsonl";
/// The extension by which a person declares a segment unreadable (docs/AUDIT.md §7).
pub(super) const DAMAGED_SUFFIX: &str = ".damaged";
/// The next segment before it is one: space is reserved in it, nothing in it counts.
pub(super) const STANDBY_NAME: &str = "standby";

/// Why the journal's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Somebody else writes the journal.
    #[error(
        "another process writes the journal in `{}`: stop it, or give this gateway a `state_dir` of its own",
        .0.display()
    )]
    Locked(PathBuf),
    /// Other users may reach it.
    #[error("`{}` has mode {mode:04o}, so other users can reach the audit journal: run `chmod {remedy:o} {}`", path.display(), path.display())]
    Mode {
        /// What.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it has to be.
        remedy: u32,
    },
    /// It belongs to another user.
    #[error("`{}` belongs to uid {uid}, and the gateway runs as uid {own}: give it to that user", path.display())]
    Owner {
        /// What.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Who we are.
        own: u32,
    },
    /// A link, a file where a folder has to be, or a folder where a file has to be.
    #[error("`{}` is not {expected}: remove it, or point `state_dir` elsewhere", path.display())]
    WrongType {
        /// What.
        path: PathBuf,
        /// What it has to be.
        expected: &'static str,
    },
    /// The system refused.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The journal's folder, open.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

/// A file that holds a part of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFile {
    /// The sequence number of its first line, as its name says.
    pub first: Seq,
    /// Its name inside the journal's folder.
    pub name: String,
    /// Whether a person declared it unreadable.
    pub state: SegmentState,
}

/// Whether a segment counts as readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentState {
    /// It does.
    Sound,
    /// A person renamed it to `.damaged`.
    Damaged,
}

impl Directory {
    /// Opens the folder, makes it where it is missing, and locks it for this process.
    pub(super) fn open_to_write(path: &Path) -> Result<Self, DirectoryError> {
        if let Some(state_dir) = path.parent() {
            make(state_dir)?;
            keep_name(state_dir);
            let fd = open(state_dir)?;
            guard(state_dir, &stat(state_dir, &fd)?, &[0o700])?;
            make(path)?;
            // Also where it was there: nobody knows whether the process that made it came to this.
            fs::fsync(&fd).map_err(|error| failed("sync", state_dir, error))?;
        }
        let fd = open(path)?;
        guard(path, &stat(path, &fd)?, &[0o700])?;
        // The lock is on the folder itself: a lock file could be deleted and made anew by a second process.
        match fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { fd, path: path.to_owned() }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(DirectoryError::Locked(path.to_owned())),
            Err(error) => Err(failed("lock", path, error)),
        }
    }

    /// The segments in the order of their sequence numbers; checks owner, mode and type of each.
    pub(super) fn segments(&self) -> Result<Vec<SegmentFile>, DirectoryError> {
        let segments = segments(&self.path)?;
        for segment in &segments {
            let path = self.path.join(&segment.name);
            let stat = fs::statat(&self.fd, &segment.name, fs::AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| failed("look at", &path, error))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(DirectoryError::WrongType { path, expected: "a regular file" });
            }
            guard(&path, &stat, &[0o600, 0o400])?;
        }
        Ok(segments)
    }
}

/// The segments in the folder at `path`, in the order of their sequence numbers.
pub(super) fn segments(path: &Path) -> Result<Vec<SegmentFile>, DirectoryError> {
    let io = |source| DirectoryError::Io { what: "list", path: path.to_owned(), source };
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        segments.extend(name.to_str().and_then(segment_file));
    }
    segments.sort_by_key(|segment: &SegmentFile| segment.first);
    Ok(segments)
}

/// The name of the segment whose first line is `first`.
pub(super) fn segment_name(first: Seq) -> String {
    format!("{:020}{SEGMENT_SUFFIX}", first.0)
}

fn segment_file(name: &str) -> Option<SegmentFile> {
    let (digits, state) = match (name.strip_suffix(SEGMENT_SUFFIX), name.strip_suffix(DAMAGED_SUFFIX)) {
        (Some(digits), _) => (digits, SegmentState::Sound),
        (None, Some(digits)) => (digits.trim_end_matches(SEGMENT_SUFFIX), SegmentState::Damaged),
        (None, None) => return None,
    };
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let first = Seq(is_number.then(|| digits.parse().ok()).flatten()?);
    Some(SegmentFile { first, name: name.to_owned(), state })
}

fn make(path: &Path) -> Result<(), DirectoryError> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(DirectoryError::Io { what: "make", path: path.to_owned(), source }),
    }
    Ok(())
}

/// Makes the name of the state directory survive the loss of power, where this process may look into what it stands in:
/// mostly an operator made it long ago.
fn keep_name(state_dir: &Path) {
    let parent = state_dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if let Err(error) = std::fs::File::open(parent).and_then(|parent| parent.sync_all()) {
        tracing::debug!(%error, parent = %parent.display(), "the folder of the state directory cannot be synced");
    }
}

fn open(path: &Path) -> Result<OwnedFd, DirectoryError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match fs::open(path, flags, Mode::empty()) {
        Ok(fd) => Ok(fd),
        Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
            Err(DirectoryError::WrongType { path: path.to_owned(), expected: "a folder" })
        }
        Err(error) => Err(failed("open", path, error)),
    }
}

fn stat(path: &Path, fd: &OwnedFd) -> Result<Stat, DirectoryError> {
    fs::fstat(fd).map_err(|error| failed("look at", path, error))
}

fn guard(path: &Path, stat: &Stat, modes: &[u32]) -> Result<(), DirectoryError> {
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != own {
        return Err(DirectoryError::Owner { path: path.to_owned(), uid: stat.st_uid, own });
    }
    let mode = stat.st_mode & 0o7777;
    match modes.first() {
        Some(remedy) if !modes.contains(&mode) => {
            Err(DirectoryError::Mode { path: path.to_owned(), mode, remedy: *remedy })
        }
        _ => Ok(()),
    }
}

fn failed(what: &'static str, path: &Path, error: rustix::io::Errno) -> DirectoryError {
    DirectoryError::Io { what, path: path.to_owned(), source: error.into() }
}
