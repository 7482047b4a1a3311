//! What upstreams do beside answering calls, told to whoever records and logs it.
//!
//! Must never make an upstream's task wait: the queue is bounded, and what did not fit is counted and
//! reported with the next notice that fits (I11, I12). Must never log: whoever reads the notices does.
//! Text of upstreams in them is bounded and printable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::browse::Audience;
use super::failure::Detail;
use crate::model::name::UpstreamName;
use crate::model::pin::PinMove;
use crate::model::text::{Bounded, printable};
use crate::wire::ListKind;

/// Notices that may wait for their reader; what comes on top is counted as lost.
pub const NOTICES_MAX: usize = 1024;
/// Bound of a line that an upstream wrote to stderr, in bytes.
pub const STDERR_LINE_BYTES_MAX: usize = 1024;
/// Bound of a tool name in a notice; it may be no legal name.
pub const NOTICE_NAME_BYTES_MAX: usize = 128;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The catalogue is another one from now on.
    ToolsChanged {
        /// The catalogue's version.
        version: u64,
    },
    /// An instance said that its prompts or its resources changed. Told at most once a second of each.
    EntriesChanged {
        /// Of which upstream.
        upstream: UpstreamName,
        /// Who shares the instance.
        audience: Audience,
        /// What changed.
        kind: ListKind,
    },
    /// Definitions were accepted by themselves, changed, changed back, or wait to be accepted (§4.6). At most
    /// as many as one upstream may have.
    Pins(Vec<PinMove>),
    /// A tool that the upstream offers is not listed and cannot be called.
    Quarantined {
        /// Whose tool.
        upstream: UpstreamName,
        /// The name as offered: maybe none that is legal.
        name: Bounded<NOTICE_NAME_BYTES_MAX>,
        /// Why.
        why: Quarantine,
    },
    /// `gateway.lock` could not be written, so what is new was not accepted.
    LockUnwritable {
        /// What the system said.
        why: Detail,
    },
    /// An upstream asked for something that is always refused in this version.
    RequestRefused {
        /// Who asked.
        upstream: UpstreamName,
        /// For what.
        method: Bounded<NOTICE_NAME_BYTES_MAX>,
    },
    /// An instance is up.
    Started {
        /// Of which upstream.
        upstream: UpstreamName,
        /// The protocol revision that was negotiated.
        revision: &'static str,
    },
    /// An instance could not be started.
    StartFailed {
        /// Of which upstream.
        upstream: UpstreamName,
        /// Why.
        why: Detail,
    },
    /// An instance ended.
    Exited {
        /// Of which upstream.
        upstream: UpstreamName,
        /// How.
        why: Detail,
    },
    /// The upstream failed so often that it is left alone for a while.
    BreakerOpen {
        /// Which upstream.
        upstream: UpstreamName,
    },
    /// A list went out without this upstream, which has not been seen yet.
    ListWaitExceeded {
        /// Which upstream.
        upstream: UpstreamName,
    },
    /// A line on the stderr of a child process.
    Stderr {
        /// Of which upstream.
        upstream: UpstreamName,
        /// The line, printable.
        line: Bounded<STDERR_LINE_BYTES_MAX>,
    },
    /// Lines on stderr that were over the rate and are not shown.
    StderrSuppressed {
        /// Of which upstream.
        upstream: UpstreamName,
        /// How many.
        lines: u64,
    },
    /// A child process that an earlier gateway left behind was killed.
    LeftoverKilled {
        /// Its process group.
        pid: i32,
    },
    /// Notices that found the queue full since the last one that did not.
    Lost {
        /// How many.
        count: u64,
    },
}

/// Why a tool is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Quarantine {
    /// The name is outside the specification's alphabet or length.
    #[error("its name is outside the alphabet or length of the specification")]
    IllegalName,
    /// The name on the wire would be longer than the specification allows.
    #[error("its name on the wire would be longer than the specification allows")]
    WireNameTooLong,
    /// The name on the wire belongs to another tool, or could be taken for another upstream's.
    #[error("its name on the wire belongs to another upstream's tool")]
    Collision,
    /// The upstream offers the same name twice.
    #[error("it is offered twice in one list")]
    Duplicate,
    /// The definition is longer than `DEFINITION_BYTES_MAX`.
    #[error("its definition is too long")]
    DefinitionTooLong,
    /// The upstream offers more than `TOOLS_MAX` tools; this one and those after it are left out.
    #[error("its upstream offers too many tools")]
    TooMany,
    /// The entry is no tool definition.
    #[error("it is no tool definition")]
    Malformed,
}

/// The sending half for the rooms' own tasks: never waits.
#[derive(Debug, Clone)]
pub(super) struct Notices {
    sender: mpsc::Sender<Notice>,
    lost: Arc<AtomicU64>,
}

impl Notices {
    /// Sends into `sender`.
    pub(super) fn new(sender: mpsc::Sender<Notice>) -> Self {
        Self { sender, lost: Arc::new(AtomicU64::new(0)) }
    }

    /// Tells `notice`, or counts it as lost where the queue is full.
    pub(super) fn tell(&self, notice: Notice) {
        let lost = self.lost.swap(0, Ordering::AcqRel);
        if lost > 0 && self.sender.try_send(Notice::Lost { count: lost }).is_err() {
            self.lost.fetch_add(lost, Ordering::AcqRel);
        }
        if self.sender.try_send(notice).is_err() {
            self.lost.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// A name for a notice: bounded and printable.
pub(super) fn claimed(name: &str) -> Bounded<NOTICE_NAME_BYTES_MAX> {
    let head = Bounded::<NOTICE_NAME_BYTES_MAX>::new(name);
    Bounded::new(&printable(head.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_told_later() {
        let (sender, mut receiver) = mpsc::channel(2);
        let notices = Notices::new(sender);
        for pid in 1..=4 {
            notices.tell(Notice::LeftoverKilled { pid });
        }
        assert_eq!(receiver.try_recv(), Ok(Notice::LeftoverKilled { pid: 1 }));
        assert_eq!(receiver.try_recv(), Ok(Notice::LeftoverKilled { pid: 2 }));
        notices.tell(Notice::LeftoverKilled { pid: 5 });
        assert_eq!(receiver.try_recv(), Ok(Notice::Lost { count: 2 }));
        assert_eq!(receiver.try_recv(), Ok(Notice::LeftoverKilled { pid: 5 }));
    }
}
