//! How the journal does, for readiness and metrics.
//!
//! Must never be used to decide about a call: that is what the proofs are for.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

/// Whether the journal takes calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Going,
    /// It does not: nothing is forwarded until this is mended, and then it goes on by itself.
    Halted(Halt),
}

/// Why the journal is halted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// The kind of trouble.
    pub cause: HaltCause,
    /// What exactly, with what the system says.
    pub detail: String,
    /// The journal's folder.
    pub dir: PathBuf,
    /// Since when.
    pub since: Timestamp,
}

/// The kinds of trouble that halt the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HaltCause {
    /// The disk has no room for the records of further calls.
    Space,
    /// A write failed.
    Write,
    /// A sync failed: nobody knows what of the last group is on the disk.
    Sync,
    /// The current segment was deleted, replaced, or changed by somebody else.
    Changed,
    /// The writer has stopped because of a fault of its own.
    Fault,
}

impl HaltCause {
    /// The word in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Space => "space",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Changed => "changed",
            Self::Fault => "fault",
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Space => "free some space",
            Self::Write => "make the folder writable",
            Self::Sync => "look at the disk",
            Self::Changed => "put the folder back, and find out who touched it",
            Self::Fault => "restart the gateway, and report this",
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = self.dir.display();
        write!(out, "the journal in `{dir}` is halted since {}: {}", self.since, self.detail)?;
        write!(out, "; {} (calls go on by themselves then)", self.cause.remedy())
    }
}

/// What the journal has done since the gateway started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Lines written, commits included.
    pub lines: u64,
    /// Groups written.
    pub groups: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Syncs that failed.
    pub sync_failures: u64,
    /// Segments begun.
    pub segments: u64,
    /// How often the journal was halted.
    pub halts: u64,
    /// The last line that is written.
    pub written_seq: u64,
    /// The last line that is known durable.
    pub synced_seq: u64,
    /// Records that wait for the writer.
    pub queued: u64,
    /// Records that may.
    pub queue_max: u64,
    /// Calls that hold a reservation.
    pub calls: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) lines: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) sync_failures: AtomicU64,
    pub(super) segments: AtomicU64,
    pub(super) halts: AtomicU64,
    pub(super) written_seq: AtomicU64,
    pub(super) synced_seq: AtomicU64,
    /// Records and reservations refused since the journal was halted, for the `halted` record.
    pub(super) refused_while_halted: AtomicU64,
}

impl Counters {
    pub(super) fn figures(&self) -> Figures {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            lines: load(&self.lines),
            groups: load(&self.groups),
            bytes: load(&self.bytes),
            sync_failures: load(&self.sync_failures),
            segments: load(&self.segments),
            halts: load(&self.halts),
            written_seq: load(&self.written_seq),
            synced_seq: load(&self.synced_seq),
            queued: 0,
            queue_max: 0,
            calls: 0,
        }
    }
}
