//! Which state of a file was read, to tell later whether it is another one.
//!
//! Must be taken before the file is read: what changes between the two then shows as a change.

use std::path::{Path, PathBuf};

use crate::model::file_stamp::FileStamp;

/// A file as it was found. Links are followed: a link that names another file is a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMark {
    path: PathBuf,
    found: Option<FileStamp>,
}

impl FileMark {
    /// The file at `path` as it is now. One that is not there can appear.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let found = path.metadata().ok().map(|facts| FileStamp::of(&facts));
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
