//! The one thread that writes the journal: takes groups, tends the segment, halts and goes again.
//!
//! Must never acknowledge what is not where the acknowledgement says it is. The durable path itself is
//! [`Writer::commit`] (commit.rs); beginning a segment is [`Writer::begin`] (begin.rs).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::begin::{Named, Preamble, Previous, Why};
use super::directory::Directory;
use super::disk::{Access, Disk};
use super::event::Detail;
use super::figures::{Halt, HaltCause, Status};
use super::line::{Lines, Stamp};
use super::live::Live;
use super::measure::Measured;
use super::queue::{Body, CALL_BYTES, Entry, Reply, Shared, Wake};
use super::seal::Signers;
use super::segment::{Segment, is_same};
use super::tree::Frontier;
use super::{Seq, Settings};
use crate::model::reason::Reason;

/// Most records in one group.
pub(super) const GROUP_RECORDS_MAX: usize = 1024;
/// How often a halted journal is tried again, at most.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(250);
/// How often a halted journal is tried again where no call asks for it.
pub(super) const PROBE_IDLE: Duration = Duration::from_secs(1);

/// The state of the writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) settings: Settings,
    pub(super) shared: Arc<Shared>,
    pub(super) directory: Directory,
    pub(super) disk: Disk,
    pub(super) lines: Lines,
    pub(super) live: Live,
    pub(super) journal: String,
    /// The segment that is written to; none before the first.
    pub(super) segment: Option<Segment>,
    pub(super) standby: Option<Standby>,
    /// The lines that are written and not known durable, whole, so that they can be stated again.
    pub(super) unsynced: Unsynced,
    /// The last line that is known durable.
    pub(super) synced: Seq,
    /// What is wrong with the segment; nothing is written until a new one is begun.
    pub(super) trouble: Option<Trouble>,
    /// Outcomes that could not be written yet: they are owed, their calls are over.
    pub(super) held: VecDeque<Entry>,
    /// Records that the next group begins with.
    pub(super) preamble: Vec<Preamble>,
    pub(super) named: Named,
    /// What recovery read last; the first segment of this process continues it.
    pub(super) recovered_previous: Option<Previous>,
    /// Why there is no standby, where there could be none.
    pub(super) short: Option<String>,
    /// When the disk last failed us.
    pub(super) failed: Option<Duration>,
    /// The tree over all lines that are in the journal.
    pub(super) tree: Frontier,
    pub(super) signers: Option<Signers>,
    pub(super) checkpointed: Checkpointed,
}

/// What the last checkpoint of this process holds, and when it was written; before the first, nothing, and when the
/// journal was opened.
#[derive(Debug)]
pub(super) struct Checkpointed {
    /// The line behind its group.
    pub(super) end: u64,
    pub(super) at: Duration,
}

/// The file that becomes the next segment, its space reserved.
#[derive(Debug)]
pub(super) struct Standby {
    pub(super) file: std::fs::File,
    pub(super) allocated: u64,
}

/// Lines that are written and not known durable.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    pub(super) bytes: Vec<u8>,
    pub(super) since: Option<Duration>,
    /// Those of them that were refused because their durability is not known, and do not count.
    pub(super) refused: Vec<Seq>,
}

/// Why the segment cannot be written to any more.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) cause: HaltCause,
    pub(super) detail: String,
    pub(super) since: Stamp,
    /// Lines that are no longer in the journal because somebody took their file away.
    pub(super) lost: Option<&'static str>,
}

impl Writer {
    /// Writes until it is told to close or nobody is left.
    pub(super) fn run(&mut self) {
        let mut group = Vec::new();
        let mut closing = None;
        loop {
            self.tend();
            match self.shared.take(&mut group, GROUP_RECORDS_MAX, self.patience()) {
                Wake::Group => {
                    let close = group.iter().position(|entry| matches!(entry.body, Body::Close));
                    closing = closing.or(close.map(|at| group.remove(at)));
                    self.settle(&mut group);
                    // What a dropped intent owes is queued while its group is answered, so the end comes
                    // only after everything else.
                    if let Some(close) = closing.take_if(|_| self.shared.is_idle()) {
                        self.finish(close);
                        return;
                    }
                }
                Wake::Timeout | Wake::Probe => {}
                Wake::Rotation => {
                    if let Some(rotation) = self.shared.take_rotation() {
                        self.rotate_key(rotation);
                    }
                }
                Wake::Left => {
                    self.sync_leftover();
                    return;
                }
            }
        }
    }

    /// Writes the `stop` record, and one more commit line that says that it is durable: damage in front of
    /// that is never taken for a torn tail.
    fn finish(&mut self, close: Entry) {
        let Entry { stamp, body, reply } = close;
        // The last chance of what is owed, whenever the disk was tried last.
        self.heal();
        self.checkpoint();
        // Where the disk failed under it, the segment that was begun since takes it.
        let stopped = self.settle_alone(stamp, body).or_else(|_| self.settle_alone(stamp, Body::Close));
        let Ok(stop) = stopped else { return reply.refuse(Reason::JournalHalted) };
        match self.seal(&stamp) {
            Ok(()) => reply.confirm(stop),
            Err(error) => {
                tracing::error!(%error, "the end of the audit journal could not be sealed");
                reply.refuse(Reason::JournalHalted);
            }
        }
    }

    /// Commits a record of the writer itself; gives it where it is as durable as its kind has to be.
    pub(super) fn settle_alone(&mut self, stamp: Stamp, body: Body) -> Result<Seq, Reason> {
        let (sender, mut answer) = oneshot::channel();
        self.settle(&mut vec![Entry { stamp, body, reply: Reply::Record(sender) }]);
        answer.try_recv().unwrap_or(Err(Reason::JournalHalted))
    }

    /// Commits a group, or answers it where the journal is halted.
    pub(super) fn settle(&mut self, group: &mut Vec<Entry>) {
        if group.is_empty() {
            return;
        }
        if self.trouble.is_some() {
            self.refuse(std::mem::take(group));
            return;
        }
        self.commit(group);
        if self.trouble.is_some() {
            // One new segment is tried at once; if that fails too, the journal stays halted and is tried
            // again at a bounded rate.
            self.heal();
        }
    }

    /// What is due between groups: leftovers, a new segment where this one is full, a standby, a probe.
    fn tend(&mut self) {
        let now = self.shared.clock.monotonic();
        if self.trouble.is_some() {
            if self.may_probe(now) {
                self.heal();
            }
            self.publish();
            return;
        }
        if self.checkpoint_due().is_some_and(|due| now >= due) {
            self.checkpoint();
        }
        if self.unsynced.is_due(now, self.settings.sync_delay_max) {
            self.sync_leftover();
        }
        let is_full =
            self.segment.as_ref().is_some_and(|segment| segment.body() >= self.settings.segment_bytes);
        if is_full && self.standby.is_some() && self.trouble.is_none() {
            self.rotate();
        }
        if self.standby.is_none() && self.trouble.is_none() && self.may_probe(now) {
            self.prepare_standby();
        }
        self.publish();
    }

    /// How long to wait for the next entry at most.
    fn patience(&self) -> Option<Duration> {
        if self.trouble.is_some() || self.standby.is_none() {
            return Some(PROBE_IDLE);
        }
        let now = self.shared.clock.monotonic();
        let sync = self.unsynced.due(self.settings.sync_delay_max);
        let next = sync.into_iter().chain(self.checkpoint_due()).min();
        next.map(|due| due.saturating_sub(now))
    }

    /// Whether what failed last may be tried again: calls cannot trigger more probes than this.
    fn may_probe(&self, now: Duration) -> bool {
        self.failed.is_none_or(|last| now.saturating_sub(last) >= PROBE_EVERY)
    }

    /// Syncs what was written without waiting for a sync.
    pub(super) fn sync_leftover(&mut self) {
        if self.unsynced.bytes.is_empty() || self.trouble.is_some() {
            return;
        }
        if let Err(error) = self.sync() {
            self.fail(HaltCause::Sync, format!("syncing failed: {error}"), None);
            self.heal();
        }
    }

    /// One `fdatasync`. What was written before it is durable when it returns.
    pub(super) fn sync(&mut self) -> std::io::Result<()> {
        let Some(segment) = &self.segment else { return Ok(()) };
        let before = self.shared.clock.monotonic();
        let counters = &self.shared.counters;
        self.disk.sync(&segment.file).inspect_err(|_| add(&counters.sync_failures, 1))?;
        let took = self.shared.clock.monotonic().saturating_sub(before);
        self.synced = self.lines.chain.last();
        counters.synced_seq.store(self.synced.0, Ordering::Relaxed);
        self.shared.synced.send_replace(self.synced);
        self.unsynced.clear();
        self.tell(Measured::Sync { took });
        Ok(())
    }

    pub(super) fn tell(&self, measured: Measured) {
        if let Some(measure) = self.shared.measure.get() {
            measure.tell(measured);
        }
    }

    /// Notes that the segment cannot be written to any more.
    pub(super) fn fail(&mut self, cause: HaltCause, detail: String, lost: Option<&'static str>) {
        let since = Stamp::now(&self.shared.clock);
        tracing::error!(cause = cause.as_str(), detail, "the audit journal is halted");
        add(&self.shared.counters.halts, 1);
        self.trouble = Some(Trouble { cause, detail, since, lost });
        self.publish();
    }

    /// Begins a new segment after trouble, and writes what is owed. Does nothing where that fails.
    pub(super) fn heal(&mut self) {
        let Some(trouble) = &self.trouble else { return };
        let mut preamble = Vec::new();
        if let (Some(cause), Some(segment)) = (trouble.lost, &self.segment) {
            let (file, first) = (segment.name.clone(), segment.first);
            preamble.push(Preamble::Gap { file, first, last: Some(self.lines.chain.last()), cause });
        }
        let refused = self.shared.counters.refused_while_halted.swap(0, Ordering::Relaxed);
        preamble.push(Preamble::Halted {
            cause: trouble.cause,
            detail: Detail::new(&trouble.detail),
            since: trouble.since.wall,
            refused,
        });
        if let Err(error) = self.reopen_directory().and_then(|()| self.begin(Why::Mended, preamble)) {
            tracing::warn!(%error, "the audit journal cannot go on yet");
            // The record that would have said how many is not written: the next one says it.
            add(&self.shared.counters.refused_while_halted, refused);
            self.failed = Some(self.shared.clock.monotonic());
            return;
        }
        self.failed = None;
        let ended = self.trouble.take();
        tracing::info!("the audit journal goes on");
        self.publish();
        // Who was refused while the new segment was begun is counted by the next group.
        let late = self.shared.counters.refused_while_halted.swap(0, Ordering::Relaxed);
        if let Some(trouble) = ended.filter(|_| late > 0) {
            self.preamble.push(Preamble::Halted {
                cause: trouble.cause,
                detail: Detail::new(&trouble.detail),
                since: trouble.since.wall,
                refused: late,
            });
        }
        let mut owed: Vec<_> = self.held.drain(..).collect();
        if !owed.is_empty() {
            self.commit(&mut owed);
        }
    }

    /// Opens the journal's folder anew where it is not the one that we hold.
    fn reopen_directory(&mut self) -> std::io::Result<()> {
        let ours = Disk::look(&self.directory.fd)?;
        match rustix::fs::lstat(&self.directory.path) {
            Ok(named) if is_same(&ours, &named) => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let path = self.directory.path.clone();
        self.directory = Directory::open_to_write(&path).map_err(std::io::Error::other)?;
        self.standby = None;
        Ok(())
    }

    /// Cuts the tail that does not count off the segment of the process before, and closes it.
    pub(super) fn close_recovered(&self) {
        let Some(previous) = &self.recovered_previous else { return };
        let file = self.disk.open(&self.directory.fd, &previous.file, Access::Cut);
        // What stands behind the end that the new segment names does not count, cut or not.
        if let Err(error) = file.and_then(|file| self.disk.close(&file, previous.bytes)) {
            tracing::warn!(%error, "the tail of the segment before could not be cut off");
        }
    }

    /// Begins the next segment because this one is full.
    pub(super) fn rotate(&mut self) {
        // A segment is whole on the disk before its successor exists: damage in it is then corruption,
        // never a torn tail.
        if !self.unsynced.bytes.is_empty()
            && let Err(error) = self.sync()
        {
            self.fail(HaltCause::Sync, format!("syncing failed: {error}"), None);
            return;
        }
        let Err(error) = self.begin(Why::Full, Vec::new()) else { return };
        if self.named == Named::Perhaps {
            self.fail(HaltCause::Sync, format!("syncing the folder failed: {error}"), None);
        } else {
            // The segment goes on growing into the space that is left in it.
            tracing::warn!(%error, "the next segment of the audit journal cannot be begun yet");
            self.failed = Some(self.shared.clock.monotonic());
            self.standby = None;
        }
    }

    /// Answers entries that cannot be written. Outcomes are kept: their calls are over.
    pub(super) fn refuse(&mut self, group: Vec<Entry>) {
        for Entry { stamp, body, reply } in group {
            match body {
                Body::Outcome { .. } => self.held.push_back(Entry { stamp, body, reply }),
                Body::Intent(..) | Body::Event { .. } => {
                    add(&self.shared.counters.refused_while_halted, 1);
                    reply.refuse(Reason::JournalHalted);
                }
                Body::Close => reply.refuse(Reason::JournalHalted),
            }
        }
    }

    /// Reserves the space of the next segment.
    fn prepare_standby(&mut self) {
        let head = self.segment.as_ref().map_or(0, |segment| segment.head);
        let bytes =
            self.body_bytes().saturating_add(head.saturating_mul(2)).saturating_add(STANDBY_HEAD_BYTES);
        match self.create_standby(bytes) {
            Ok(standby) => {
                self.standby = Some(standby);
                self.failed = None;
                self.short = None;
            }
            Err(error) => {
                self.failed = Some(self.shared.clock.monotonic());
                tracing::warn!(%error, bytes, "no space can be reserved for the next segment of the journal");
                self.short = Some(format!("no space can be reserved for further calls: {error}"));
            }
        }
    }

    /// Space of a segment behind its head: never less than what all places in the queue may need.
    pub(super) fn body_bytes(&self) -> u64 {
        let calls = u64::try_from(self.settings.queue_max).unwrap_or(u64::MAX);
        self.settings.segment_bytes.max(calls.saturating_add(1).saturating_mul(CALL_BYTES))
    }

    /// Tells the handles how much room there is and whether the journal goes.
    pub(super) fn publish(&mut self) {
        self.shared.space.set_left(self.left_bytes());
        let status = self.shared.status.borrow().clone();
        match (&self.trouble, status) {
            (Some(trouble), Status::Going | Status::Halted(Halt { cause: HaltCause::Space, .. })) => {
                self.shared.status.send_replace(Status::Halted(Halt {
                    cause: trouble.cause,
                    detail: trouble.detail.clone(),
                    dir: self.settings.dir.clone(),
                    since: trouble.since.wall,
                }));
            }
            (None, Status::Halted(halt)) if self.shared.space.has_room() => {
                if halt.cause == HaltCause::Space {
                    self.preamble.push(Preamble::Halted {
                        cause: halt.cause,
                        detail: Detail::new(&halt.detail),
                        since: halt.since,
                        refused: self.shared.counters.refused_while_halted.swap(0, Ordering::Relaxed),
                    });
                }
                self.shared.status.send_replace(Status::Going);
            }
            // As soon as no further call finds space, and not only when more of it is looked for again.
            (None, Status::Going) if !self.shared.space.has_room() => {
                let Some(detail) = self.short.clone() else { return };
                add(&self.shared.counters.halts, 1);
                tracing::error!(detail, "the audit journal is halted: no space for further calls");
                self.shared.status.send_replace(Status::Halted(Halt {
                    cause: HaltCause::Space,
                    detail,
                    dir: self.settings.dir.clone(),
                    since: Stamp::now(&self.shared.clock).wall,
                }));
            }
            (Some(_), Status::Halted(_)) | (None, _) => {}
        }
    }

    fn left_bytes(&self) -> u64 {
        let current = self.segment.as_ref().map_or(0, Segment::left);
        let head = self.segment.as_ref().map_or(0, |segment| segment.head);
        let next = self.standby.as_ref().map_or(0, |standby| standby.allocated.saturating_sub(head));
        current.saturating_add(next)
    }
}

impl Unsynced {
    fn due(&self, delay: Duration) -> Option<Duration> {
        self.since.map(|since| since.saturating_add(delay))
    }

    fn is_due(&self, now: Duration, delay: Duration) -> bool {
        self.due(delay).is_some_and(|due| now >= due)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.refused.clear();
        self.since = None;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Also after a panic: whoever waits is told, and nothing more is taken.
        if std::thread::panicking() {
            self.fail(HaltCause::Fault, "the writer has a fault".to_owned(), None);
        }
        self.shared.end();
        for entry in self.held.drain(..) {
            match entry.reply {
                Reply::Nobody => {}
                reply => reply.refuse(Reason::JournalHalted),
            }
        }
    }
}

/// Room for a live state that grows while the segment before it is written.
const STANDBY_HEAD_BYTES: u64 = 256 * 1024;

pub(super) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
