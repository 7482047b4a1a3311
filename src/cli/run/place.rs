//! A folder for one run, which nobody but the command's user can enter.
//!
//! Must never follow what the command may have put there: the folder is its own once it is given away, so
//! files are made new and moved into place by the folder's descriptor, never opened by a path.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::user::User;
use crate::chance;

/// The folder. Removed by [`PrivateDir::remove`], or when dropped.
#[derive(Debug)]
pub(super) struct PrivateDir {
    path: PathBuf,
    folder: OwnedFd,
    owner: Option<User>,
}

impl PrivateDir {
    /// Makes the folder, still our own.
    pub(super) fn make(owner: Option<&User>) -> anyhow::Result<Self> {
        let name = format!("sluicegate-run-{}", HEXLOWER.encode(&chance::bytes::<16>()?));
        let path = base(owner).join(name);
        let cannot = || format!("cannot make the folder `{}`", path.display());
        // `mkdir` takes no folder and no link that is there already.
        rustix::fs::mkdir(&path, Mode::RWXU).with_context(cannot)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let folder = rustix::fs::open(&path, flags, Mode::empty()).with_context(cannot)?;
        Ok(Self { path: path.clone(), folder, owner: owner.cloned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file whole, for the command's user alone. Whoever has the older one open keeps it.
    pub(super) fn write(&self, name: &str, text: &[u8]) -> anyhow::Result<()> {
        let temporary = format!(".{name}.new");
        let cannot = || format!("cannot write `{}`", self.file(name).display());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(&self.folder, &*temporary, flags, Mode::RUSR | Mode::WUSR);
        let file = match open() {
            // The command may have put something there: it is taken away, not opened.
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(&self.folder, &*temporary, AtFlags::empty()).with_context(cannot)?;
                open()
            }
            opened => opened,
        };
        let file = file.with_context(cannot)?;
        self.hand_over(&file).with_context(cannot)?;
        let mut file = File::from(file);
        file.write_all(text).with_context(cannot)?;
        rustix::fs::renameat(&self.folder, &*temporary, &self.folder, name).with_context(cannot)
    }

    /// Makes a socket that was bound in the folder the command's user's. Only before [`PrivateDir::give`].
    pub(super) fn hand_over_socket(&self, name: &str) -> anyhow::Result<()> {
        let cannot = || format!("cannot give away `{}`", self.file(name).display());
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::chmodat(&self.folder, name, mode, AtFlags::empty()).with_context(cannot)?;
        if let Some((uid, gid)) = self.owner.as_ref().map(User::ids) {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(&self.folder, name, Some(uid), Some(gid), flags).with_context(cannot)?;
        }
        Ok(())
    }

    /// Gives the folder to the command's user.
    pub(super) fn give(&self) -> anyhow::Result<()> {
        let cannot = || format!("cannot give away the folder `{}`", self.path.display());
        self.hand_over(&self.folder).with_context(cannot)
    }

    fn hand_over(&self, file: &OwnedFd) -> rustix::io::Result<()> {
        match self.owner.as_ref().map(User::ids) {
            Some((uid, gid)) => rustix::fs::fchown(file, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }

    /// Removes the folder with everything in it.
    pub(super) fn remove(self) {
        drop(self);
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes a folder of this kind; links are removed, not followed.
pub(super) fn remove(path: &Path) {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "cannot remove the folder of the run");
        }
        Ok(()) | Err(_) => {}
    }
}

/// Where the folder is made: in memory, where the system offers a place that is ours alone.
fn base(owner: Option<&User>) -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match runtime.filter(|path| owner.is_none() && path.is_absolute() && path.is_dir()) {
        Some(path) => path,
        None => std::env::temp_dir(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn files_are_private_replaced_whole_and_gone_with_the_folder() {
        let dir = PrivateDir::make(None).unwrap();
        dir.write("token", b"one\n").unwrap();
        let path = dir.file("token");
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(dir.path()), mode(&path)), (0o700, 0o600));
        let before = path.metadata().unwrap().ino();
        dir.write("token", b"two\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two\n");
        assert_ne!(path.metadata().unwrap().ino(), before, "whoever reads has a whole one");
        let folder = dir.path().to_owned();
        dir.remove();
        assert!(!folder.exists());
    }

    #[test]
    fn what_the_command_put_there_is_not_written_through() {
        let dir = PrivateDir::make(None).unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        for planted in ["token", ".token.new"] {
            symlink(outside.path(), dir.file(planted)).unwrap();
        }
        dir.write("token", b"secret").unwrap();
        assert_eq!(std::fs::read(outside.path()).unwrap(), b"");
        assert!(!dir.file("token").symlink_metadata().unwrap().is_symlink());
        symlink(outside.path(), dir.file("link")).unwrap();
        dir.remove();
        assert!(outside.path().exists());
    }
}
