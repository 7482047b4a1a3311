//! Which state of a file was read, to tell later whether it is another one.
//!
//! Must be taken before the file is read: what changes between the two then shows as a change.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file as it was found: which one it is, and when it was last written or replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMark {
    path: PathBuf,
    found: Option<Found>,
}

/// Links are followed: a link that names another file is a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds. The time of the last status change beside that of the last write, because
    /// tools that copy a file set the latter back.
    written: (i64, i64),
    changed: (i64, i64),
}

impl FileMark {
    /// The file at `path` as it is now. One that is not there can appear.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let found = path.metadata().ok().map(|facts| Found {
            device: facts.dev(),
            inode: facts.ino(),
            length: facts.len(),
            written: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        });
        Self { path: path.to_owned(), found }
    }

    /// The same file as it is now.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::of(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_happens_to_a_file_shows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.toml");
        let mut marks = vec![FileMark::of(&path)];
        assert_eq!(marks[0].again(), marks[0]);
        std::fs::write(&path, "one").unwrap();
        marks.push(marks[0].again());
        std::fs::write(&path, "three").unwrap();
        marks.push(marks[0].again());
        // Of the same length and age: only that it is another file tells it.
        let other = dir.path().join("other");
        std::fs::write(&other, "three").unwrap();
        let age = path.metadata().unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(age).unwrap();
        std::fs::rename(&other, &path).unwrap();
        marks.push(marks[0].again());
        for (at, mark) in marks.iter().enumerate() {
            assert_eq!(marks.iter().filter(|other| *other == mark).count(), 1, "{at}: {marks:?}");
        }
        assert_eq!(marks[3].again(), marks[3]);
    }
}
