//! Puts files in place, all of them or none.
//!
//! Must never overwrite a file without a copy beside it, nor leave one half written; what was put in place is taken
//! out again where a later one fails.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Most copies of one file.
const COPIES_MAX: u32 = 100;

/// Files that were put in place, and what undoes that.
#[derive(Debug, Default)]
pub(super) struct Placed {
    undo: Vec<Undo>,
}

#[derive(Debug)]
enum Undo {
    Remove(PathBuf),
    RemoveFolder(PathBuf),
    Restore { from: PathBuf, to: PathBuf },
}

impl Placed {
    /// Makes the folder `path`, for this user alone, where there is none.
    pub(super) fn folder(&mut self, path: &Path) -> anyhow::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let made = fs::DirBuilder::new().mode(0o700).create(path);
        made.with_context(|| format!("cannot make the folder `{}`", path.display()))?;
        self.undo.push(Undo::RemoveFolder(path.to_owned()));
        Ok(())
    }

    /// Puts `text` at `path`. What was there stays beside it; its path is given.
    pub(super) fn file(&mut self, path: &Path, text: &[u8], mode: u32) -> anyhow::Result<Option<PathBuf>> {
        let cannot = || format!("cannot write `{}`", path.display());
        let temporary = beside(path, ".sluicegate-new");
        // One that a crash left behind.
        let _absent = fs::remove_file(&temporary);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary);
        let wrote = file.and_then(|mut file| file.write_all(text).and_then(|()| file.sync_all()));
        wrote.with_context(cannot)?;
        let copy = self.keep_old(path)?;
        if copy.is_none() {
            self.undo.push(Undo::Remove(path.to_owned()));
        }
        fs::rename(&temporary, path).with_context(cannot)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(cannot)?;
        Ok(copy)
    }

    fn keep_old(&mut self, path: &Path) -> anyhow::Result<Option<PathBuf>> {
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let ends = std::iter::once(".old".to_owned()).chain((2..COPIES_MAX).map(|n| format!(".old-{n}")));
        for copy in ends.map(|end| beside(path, &end)) {
            // A link fails where the name is taken; a rename would not.
            match fs::hard_link(path, &copy) {
                Ok(()) => {
                    self.undo.push(Undo::Restore { from: copy.clone(), to: path.to_owned() });
                    return Ok(Some(copy));
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("cannot keep `{}`", path.display())),
            }
        }
        anyhow::bail!("there are too many copies of `{}`", path.display())
    }

    /// All of it stays.
    pub(super) fn keep(mut self) {
        self.undo.clear();
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        for undo in self.undo.drain(..).rev() {
            // What cannot be undone stays, and is seen.
            let _done = match undo {
                Undo::Remove(path) => fs::remove_file(path),
                Undo::RemoveFolder(path) => fs::remove_dir(path),
                Undo::Restore { from, to } => fs::rename(from, to),
            };
        }
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(end);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_stays_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("folder/new"));
        std::fs::write(&old, "before").unwrap();
        let place = |placed: &mut Placed| {
            placed.folder(&dir.path().join("folder")).unwrap();
            placed.file(&new, b"new", 0o600).unwrap();
            placed.file(&old, b"after", 0o600).unwrap()
        };
        let mut placed = Placed::default();
        place(&mut placed);
        drop(placed);
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "before");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let mut placed = Placed::default();
        let copy = place(&mut placed).unwrap();
        placed.keep();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "after");
        assert_eq!(std::fs::read_to_string(copy).unwrap(), "before");
        assert_eq!(std::fs::read_to_string(&new).unwrap(), "new");
    }
}
