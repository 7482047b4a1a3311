//! The system calls of this room, each in one place, with the durability that each one gives.
//!
//! Must never retry a failed sync: the kernel reports a lost write once and then calls the page clean, so
//! that the second sync of the same file says nothing (the "fsyncgate" of 2018). Under `cfg(test)` a plan
//! can make the same calls fail as a real disk does; there is no other disk.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{self, FallocateFlags, Mode, OFlags, Stat};

/// The disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: super::faults::Faults,
    #[cfg(test)]
    pub(super) trace: super::trace::Trace,
}

/// The calls that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Create,
    Allocate,
    Write,
    Sync,
    Rename,
    SyncDirectory,
}

impl Disk {
    /// Makes the empty file `name`, or empties it where it exists. Never follows a link.
    pub(super) fn create(&self, directory: &OwnedFd, name: &str) -> io::Result<File> {
        self.pass(Op::Create)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?);
        #[cfg(test)]
        self.trace.made(name, &file);
        Ok(file)
    }

    /// Opens a file that exists to read it, or to cut it. Never follows a link.
    pub(super) fn open(&self, directory: &OwnedFd, name: &str, access: Access) -> io::Result<File> {
        let access = match access {
            Access::Read => OFlags::RDONLY,
            Access::Cut => OFlags::RDWR,
        };
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(fs::openat(directory, name, flags, Mode::empty())?))
    }

    /// Reserves the first `bytes` of a file without changing its size: writes within them find space.
    pub(super) fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        self.pass(Op::Allocate)?;
        Ok(fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes)?)
    }

    /// Writes all of `bytes` at `offset`. After an error any part of them may stand there.
    pub(super) fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        let bytes = self.faults.shorten(bytes);
        file.write_all_at(bytes, offset)?;
        #[cfg(test)]
        self.trace.wrote(file, offset, bytes);
        self.pass(Op::Write)
    }

    /// Returns once what was written to `file` survives the loss of power.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        self.pass(Op::Sync).inspect_err(|_| self.forgot(file))?;
        file.sync_data()?;
        #[cfg(test)]
        self.trace.synced(file);
        Ok(())
    }

    /// Gives a file another name, in one step.
    pub(super) fn rename(&self, directory: &OwnedFd, from: &str, to: &str) -> io::Result<()> {
        self.pass(Op::Rename)?;
        fs::renameat(directory, from, directory, to)?;
        #[cfg(test)]
        self.trace.renamed(from, to);
        Ok(())
    }

    /// Returns once the names in `directory` survive the loss of power.
    pub(super) fn sync_directory(&self, directory: &OwnedFd) -> io::Result<()> {
        self.pass(Op::SyncDirectory)?;
        fs::fsync(directory)?;
        #[cfg(test)]
        self.trace.synced_folder();
        Ok(())
    }

    /// Cuts a segment to the `bytes` that count, gives back what was reserved behind them, and makes it
    /// read-only.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "every change to the disk stands here"))]
    pub(super) fn close(&self, file: &File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)?;
        // Most file systems give the space back with the cut. Those that do not, do so here or never.
        let hole = FallocateFlags::KEEP_SIZE | FallocateFlags::PUNCH_HOLE;
        let _ = fs::fallocate(file, hole, bytes, i64::MAX as u64 - bytes);
        fs::fchmod(file, Mode::RUSR)?;
        #[cfg(test)]
        self.trace.closed(file, bytes);
        Ok(())
    }

    /// What the system says of an open file.
    pub(super) fn look(file: impl AsFd) -> io::Result<Stat> {
        Ok(fs::fstat(file)?)
    }

    #[cfg(test)]
    fn pass(&self, op: Op) -> io::Result<()> {
        self.faults.pass(op)
    }

    #[cfg(test)]
    fn forgot(&self, file: &File) {
        self.trace.forgot(file);
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "a test sees here what a failed sync may have lost")]
    fn forgot(&self, _file: &File) {}

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a test can make the call fail here")]
    fn pass(&self, _op: Op) -> io::Result<()> {
        Ok(())
    }
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Cut,
}
