//! A directory of a command's own: a new one that nobody else can read, removed at the end unless kept.
//!
//! Must never be one that was there: what stands in it would be served, or removed at the end.

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::chance;

/// A directory, and what becomes of it.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    after: After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Keep,
    Remove,
}

impl Place {
    /// A new directory: `keep`, or one that is removed with this value.
    pub(super) fn new(keep: Option<PathBuf>) -> anyhow::Result<Self> {
        let (dir, after) = match keep {
            Some(dir) => (dir, After::Keep),
            None => {
                let name = data_encoding::HEXLOWER.encode(&chance::bytes::<8>()?);
                (std::env::temp_dir().join(format!("sluicegate-{name}")), After::Remove)
            }
        };
        // Never an existing directory: what stands in it would be served, or removed at the end.
        let made = std::fs::DirBuilder::new().mode(0o700).create(&dir);
        let named =
            || format!("cannot make the directory `{}`; --keep takes one that does not exist", dir.display());
        made.with_context(named)?;
        let dir = dir.canonicalize().with_context(|| format!("cannot resolve `{}`", dir.display()))?;
        Ok(Self { dir, after })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.dir
    }

    /// Writes a file that only this user can read.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.dir.join(name);
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let wrote = file.and_then(|mut file| file.write_all(text.as_bytes()));
        wrote.with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(path)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.after {
            After::Keep => "kept",
            After::Remove => "removed at the end; --keep DIR keeps it",
        };
        write!(out, "{} ({what})", self.dir.display())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.after == After::Remove {
            // What cannot be removed lies in the temporary directory, readable by this user alone.
            let _left = std::fs::remove_dir_all(&self.dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_temporary_place_is_private_and_goes_with_the_demo() {
        let place = Place::new(None).unwrap();
        let file = place.write("gateway.toml", "x").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(place.dir.clone()), mode(file)), (0o700, 0o600));
        let dir = place.dir.clone();
        drop(place);
        assert!(!dir.exists());
    }

    #[test]
    fn a_kept_place_stays_and_is_never_one_that_was_there() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("kept");
        drop(Place::new(Some(dir.clone())).unwrap());
        assert!(dir.exists());
        let error = Place::new(Some(dir)).unwrap_err();
        assert!(format!("{error:#}").contains("--keep takes one that does not exist"), "{error:#}");
    }
}
