//! The journal: what happened, durable before it happens, chained, and readable by anyone.
//!
//! A call is recorded twice: its *intent* before a byte of it is forwarded, its *outcome* before a byte of
//! the answer leaves (invariant I6). One thread writes; [`Journal::reserve`] gives a call its place and its
//! disk space, [`Slot::intend`] puts its intent into the queue inside the run's critical section,
//! [`Pending::durable`] waits for the disk, and only then there is an [`Intent`] that can be forwarded.
//! `docs/AUDIT.md` specifies the bytes.
//!
//! Must never acknowledge what the disk does not have, lose an outcome, skip damage, or let a source or a
//! run be forgotten. Trusts the disk to keep what it said it synced, and the gateway's own uid. It does not
//! trust the file system to stay as it was: before each group it looks whether the file is still there.

mod asked;
mod begin;
mod checkpoint;
mod commit;
mod directory;
mod disk;
mod encode;
mod event;
#[cfg(test)]
mod faults;
mod figures;
mod head;
mod line;
mod live;
mod measure;
mod note;
mod proof;
mod prove;
mod query;
mod queue;
mod read;
mod recorded;
mod recover;
mod retire;
mod seal;
mod segment;
mod settings;
mod show;
mod state;
mod story;
mod stream;
mod summary;
mod tail;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trace;
mod tree;
mod verify;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use crate::chance;
use crate::clock::Clock;
use crate::keyfile::KeyFileError;
use crate::model::reason::Reason;
use crate::model::run::Actor;

pub use asked::{AskedRecord, asked};
pub use checkpoint::RotateError;
pub use directory::{DirectoryError, SegmentFile, SegmentState};
pub use encode::NAMES_MAX;
pub use event::{
    Claim, Consultation, ConsultedFacts, Contents, DETAIL_BYTES_MAX, Detail, Event, Executed, GrantChange,
    JsonRpc, KeyChange, Latency, MintAct, MintFacts, MintResult, MintedBy, OutcomeFacts, PlanFacts,
    PlanResult, ReloadResult, ResultFacts, StepFacts, Transport, UpstreamState, WIDENED_BYTES_MAX,
    WIDENED_MAX,
};
pub use figures::{Figures, Halt, HaltCause, Status};
pub use line::{FORMAT_VERSION, Kind, LINE_BYTES_MAX, RECORD_BYTES_MAX};
pub use live::{Live, LiveRun, OpenCall};
pub use measure::{Measure, Measured};
pub use note::{Checkpoint, NOTE_BYTES_MAX, NoteError, VerifyingKey, WitnessKey, read_note};
pub use proof::{Intent, OpenIntent, Pending, Slot};
pub use prove::{
    Consistency, Inclusion, ProveError, newest_checkpoint, prove_consistency, prove_growth, prove_inclusion,
};
pub use query::{End, Part, Query, Row, STEP, Verdict, query};
pub use queue::{CALL_BYTES, OUTCOME_BYTES_MAX};
pub use read::Flaw;
pub use recorded::{Recorded, Scan, Span, calls, recorded};
pub use recover::RecoverError;
pub use retire::{Retirable, retirable, retire};
pub use seal::{KEY_FILE, public_path};
pub use settings::*;
pub use show::{ShowError, Shown, show};
pub use story::{Story, StoryCounts, story};
pub use stream::oldest;
pub use stream::{Item, Position, Reach, Stream};
pub use summary::{Summary, pretty, target_of};
pub use tail::{Follower, From, POLL_BYTES_MAX, POLL_RECORDS_MAX, TailError};
pub use verify::{Against, Finding, Note, Progress, Report, VerifyError, verify};

/// The number of a line: the id by which a record is shown, and its index as a leaf of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What is there cannot be used.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The first segment could not be begun.
    #[error(
        "cannot begin a segment of the audit journal in `{}` (it needs {bytes} bytes of reserved space on a file \
         system that can reserve, such as ext4, xfs, btrfs or tmpfs)",
        dir.display()
    )]
    Begin {
        /// The journal's folder.
        dir: std::path::PathBuf,
        /// The space that a segment needs.
        bytes: u64,
        /// What the system says.
        source: std::io::Error,
    },
    /// The writer could not be started.
    #[error("cannot start the writer of the audit journal")]
    Thread(#[source] std::io::Error),
    /// There is no key to sign checkpoints with.
    #[error(transparent)]
    Seal(#[from] KeyFileError),
    /// A fresh journal could not be given an id.
    #[error(transparent)]
    Entropy(#[from] chance::NoEntropy),
}

/// The journal. Clones share one writer, which ends when the last of them is gone and nothing is owed.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<queue::Shared>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

/// What was found when the journal was opened.
#[derive(Debug)]
pub struct Recovered {
    /// The runs, what is stored, and no open calls: those are `unknown` now.
    pub live: Live,
    /// Calls that were open when the last process died. Nobody knows whether they were executed.
    pub unknown: u64,
    /// Bytes of an unfinished tail that were cut off.
    pub torn_bytes: Option<u64>,
    /// Segments that a person declared damaged and whose runs are closed now. Runs that only they knew
    /// of are not known any more.
    pub lost_segments: u64,
}

impl Journal {
    /// Opens the journal: takes the lock, recovers the live state, closes what the last process left open
    /// as `unknown`, and records the start. When it returns, all of that is durable.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub fn open(settings: Settings, clock: Clock) -> Result<(Self, Recovered), OpenError> {
        Self::open_on(settings, clock, disk::Disk::default())
    }

    fn open_on(settings: Settings, clock: Clock, disk: disk::Disk) -> Result<(Self, Recovered), OpenError> {
        let directory = directory::Directory::open_to_write(&settings.dir).map_err(RecoverError::from)?;
        let found = recover::recover(&directory, &disk)?;
        let journal = match found.journal {
            Some(journal) => journal,
            None => data_encoding::HEXLOWER.encode(&chance::bytes::<16>()?),
        };
        let count =
            |test: fn(&begin::Preamble) -> bool| found.preamble.iter().filter(|r| test(r)).count() as u64;
        let unknown = count(|record| matches!(record, begin::Preamble::Unknown(_)));
        let lost_segments = count(|record| matches!(record, begin::Preamble::Lost { .. }));
        let torn_bytes = found.preamble.iter().find_map(|record| match record {
            begin::Preamble::Torn { bytes, .. } => Some(*bytes),
            _ => None,
        });
        let shared = Arc::new(queue::Shared::new(clock, settings.queue_max, settings.queue_wait));
        let origin = note::origin(&journal, 0);
        let keys = settings.checkpoints.as_ref();
        let signers = keys.map(|checkpoints| seal::Signers::open(&checkpoints.key, &origin)).transpose()?;
        let mut writer = writer::Writer {
            signers,
            tree: found.tree,
            checkpointed: writer::Checkpointed { end: 0, at: shared.clock.monotonic() },
            shared: Arc::clone(&shared),
            directory,
            disk,
            lines: line::Lines::new(found.chain),
            live: found.live,
            journal,
            segment: None,
            standby: None,
            short: None,
            unsynced: writer::Unsynced::default(),
            synced: found.chain.last(),
            trouble: None,
            held: std::collections::VecDeque::new(),
            preamble: Vec::new(),
            named: begin::Named::Surely,
            recovered_previous: found.previous,
            failed: None,
            settings,
        };
        let started = begin::Preamble::Start(writer.settings.durability);
        let preamble = found.preamble.into_iter().chain([started]).collect();
        if let Err(source) = writer.begin(begin::Why::Started, preamble) {
            let (dir, bytes) = (writer.settings.dir.clone(), writer.body_bytes());
            return Err(OpenError::Begin { dir, bytes, source });
        }
        // The record says what was cut, so it may be cut now. A crash before this cuts it next time.
        writer.close_recovered();
        writer.publish();
        let recovered = Recovered { live: writer.live.clone(), unknown, torn_bytes, lost_segments };
        let ended = start(writer).map_err(OpenError::Thread)?;
        let handle = Handle { shared, ended: Mutex::new(Some(ended)) };
        Ok((Self(Arc::new(handle)), recovered))
    }

    /// Waits for a place in the queue and for disk space for one call, intent and outcome.
    ///
    /// # Errors
    /// [`Reason::JournalHalted`] where nothing can be written now, [`Reason::JournalOverloaded`] where no
    /// place became free in time.
    pub async fn reserve(&self) -> Result<Slot, Reason> {
        let place = self.0.shared.reserve().await?;
        Ok(Slot { shared: Arc::clone(&self.0.shared), place })
    }

    /// Records an event. Returns once it is written, or durable where its kind counts only then.
    ///
    /// # Errors
    /// As [`Journal::reserve`]. Where the disk is only too slow, the record may stand later although this
    /// was refused. What is refused while the journal is halted is counted, and the count is
    /// recorded when it goes again.
    pub async fn record(&self, event: Event) -> Result<Seq, Reason> {
        let permit = self.0.shared.permit().await?;
        let (sender, receiver) = oneshot::channel();
        let body = queue::Body::Event { event: Box::new(event), _permit: permit };
        self.0.shared.push(body, queue::Reply::Record(sender));
        self.0.shared.answer(receiver).await
    }

    /// Replaces the key that signs checkpoints, on the record; the old one signs too for `overlap`. Gives the new one.
    ///
    /// # Errors
    /// [`RotateError`] where the old one goes on alone.
    pub async fn rotate_key(&self, by: Actor, overlap: Duration) -> Result<VerifyingKey, RotateError> {
        let permit = self.0.shared.permit().await.map_err(RotateError::Journal)?;
        let (done, receiver) = oneshot::channel();
        let rotation = queue::Rotation { by, overlap, permit, done };
        self.0.shared.ask_for_rotation(rotation);
        receiver.await.unwrap_or(Err(RotateError::Journal(Reason::JournalHalted)))
    }

    /// Whether calls can be recorded.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.shared.status.borrow().clone()
    }

    /// The last line that is known durable, whenever that changes.
    #[must_use]
    pub fn synced(&self) -> watch::Receiver<Seq> {
        self.0.shared.synced.subscribe()
    }

    /// Tells `measure` from now on what the writer does; whoever was named first stays.
    pub fn measured_by(&self, measure: Measure) {
        _ = self.0.shared.measure.set(measure);
    }

    /// Tells every change between going and halted.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Status> {
        self.0.shared.status.subscribe()
    }

    /// How the journal does.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut figures = self.0.shared.counters.figures();
        figures.queued = self.0.shared.depth() as u64;
        figures.queue_max = self.0.shared.queue_max as u64;
        figures.calls = self.0.shared.space.calls();
        figures
    }

    /// Writes what is queued and a `stop` record, syncs, and ends the writer. Other handles are refused
    /// from then on.
    ///
    /// # Errors
    /// [`Reason::JournalHalted`] where the `stop` record could not be made durable.
    pub async fn close(self) -> Result<Seq, Reason> {
        let (sender, receiver) = oneshot::channel();
        self.0.shared.push(queue::Body::Close, queue::Reply::Record(sender));
        let stopped = receiver.await.unwrap_or(Err(Reason::JournalHalted));
        let ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            // Resolves either way once the writer has let go of the folder.
            let _ = ended.await;
        }
        stopped
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

/// Starts the writing thread. What comes back resolves when it has ended and let go of the folder.
fn start(writer: writer::Writer) -> std::io::Result<oneshot::Receiver<()>> {
    let (ended, receiver) = oneshot::channel();
    std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
        let mut writer = writer;
        writer.run();
        drop(writer);
        // Nobody has to wait for the end.
        let _ = ended.send(());
    })?;
    Ok(receiver)
}
