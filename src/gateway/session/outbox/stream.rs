//! One stream of a session: what it told, what nobody has read yet, and who reads it.
//!
//! Must never take away what its reader is about to read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::run::Run;
use crate::spool::Body;

/// What a stream is for.
#[derive(Debug, Clone)]
pub(in crate::gateway::session) enum Purpose {
    /// The answers to a POST, for these runs.
    Call(Vec<Arc<Run>>),
    /// What belongs to no call (GET).
    Listening,
}

/// Whether a message is the last of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway::session) enum Place {
    /// A courtesy: dropped where the client does not keep up.
    Passing,
    /// It has to arrive, and more may follow.
    Between,
    /// It has to arrive, and nothing follows.
    Last,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) purpose: Purpose,
    /// What was told and may be told again, and what nobody has read yet.
    pub(super) events: VecDeque<(u64, Body)>,
    /// The number of the next event.
    pub(super) next: u64,
    pub(super) ended: bool,
    /// Whoever reads is to go and come back.
    pub(super) paused: bool,
    pub(super) reader: Reader,
    /// Told whenever a reader comes or goes; dropped with the stream.
    pub(super) changed: watch::Sender<()>,
}

#[derive(Debug)]
pub(super) enum Reader {
    /// Its number, what it reads next, and how to wake it.
    There { number: u64, next: u64, waker: Option<Waker> },
    /// Nobody reads, since then.
    Left(Instant),
}

impl Stream {
    pub(super) fn unread(&self) -> usize {
        match self.reader {
            Reader::There { next, .. } => {
                usize::try_from(self.next.saturating_sub(next)).unwrap_or(usize::MAX)
            }
            Reader::Left(_) => self.events.len(),
        }
    }

    /// The number of the first event that is still here, or of the next where none is.
    pub(super) fn first(&self) -> u64 {
        self.events.front().map_or(self.next, |(number, _)| *number)
    }

    pub(super) fn wake(&mut self) {
        if let Reader::There { waker, .. } = &mut self.reader
            && let Some(waker) = waker.take()
        {
            waker.wake();
        }
    }

    pub(super) fn is_read(&self) -> bool {
        matches!(self.reader, Reader::There { .. })
    }

    /// Whether nobody came back for longer than `window`.
    pub(super) fn is_stale(&self, window: Duration) -> bool {
        matches!(self.reader, Reader::Left(since) if since.elapsed() >= window)
    }

    /// Takes the oldest event out, if nobody is about to read it. Gives its size.
    pub(super) fn pop_spare(&mut self) -> Option<usize> {
        let (number, _) = self.events.front()?;
        if matches!(self.reader, Reader::There { next, .. } if *number >= next) {
            return None;
        }
        self.events.pop_front().map(|(_, message)| message.held_bytes())
    }

    pub(super) fn is_listening(&self) -> bool {
        matches!(self.purpose, Purpose::Listening)
    }
}
