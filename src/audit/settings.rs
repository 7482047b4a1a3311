//! The settings of the journal, checked.
//!
//! Must never point outside the state directory.

use std::path::PathBuf;
use std::time::Duration;

/// Where the journal stands and how it grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The journal's own folder, `<state_dir>/journal`, mode 0700.
    pub dir: PathBuf,
    /// Size at which a segment is closed and the next begun (`audit.segment_bytes`).
    pub segment_bytes: u64,
    /// Records that may wait for the writer (`audit.queue_max`); a call that finds no place within
    /// `queue_wait` is refused with `journal_overloaded`.
    pub queue_max: usize,
    /// How long a call waits for a place in the queue.
    pub queue_wait: Duration,
    /// What a call waits for (`audit.durability`).
    pub durability: Durability,
    /// Longest time that a written record stays unsynced.
    pub sync_delay_max: Duration,
    /// How long segments are kept after they were last written; for ever where there is nothing (`audit.retention`).
    pub retention: Option<Duration>,
    /// How checkpoints are signed; none are where there is nothing.
    pub checkpoints: Option<Checkpoints>,
}

/// How checkpoints are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    /// The file of the private key, made where there is none.
    pub key: PathBuf,
    /// How often, where there is something new (`audit.checkpoint_every`).
    pub every: Duration,
}

/// What a call waits for. A record that is *written* survives the death of the process, one that is *synced* the loss
/// of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// For its intent to be synced before it is forwarded, and for everything else before the answer leaves.
    Full,
    /// For its intent to be synced before it is forwarded, and for its outcome to be written.
    #[default]
    Intent,
    /// For both to be written. What adds a source to a run, or writes where others will read, is synced as under
    /// `Intent`: the provenance of a run is never less than what its agent read (I3).
    Relaxed,
}

impl Durability {
    /// Every level, the strictest first.
    pub const ALL: [Self; 3] = [Self::Full, Self::Intent, Self::Relaxed];

    /// The word for it, in the configuration and in the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Intent => "intent",
            Self::Relaxed => "relaxed",
        }
    }

    /// Longest time that a written record stays unsynced.
    #[must_use]
    pub const fn sync_delay_max(self) -> Duration {
        match self {
            Self::Full | Self::Intent => SYNC_DELAY_MAX,
            Self::Relaxed => SYNC_DELAY_RELAXED_MAX,
        }
    }
}

/// `audit.segment_bytes` where the configuration is silent.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Smallest `audit.segment_bytes`: a segment has to hold its live state and the outcomes reserved in it.
pub const SEGMENT_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// `audit.queue_max` where the configuration is silent.
pub const QUEUE_MAX_DEFAULT: usize = 8192;
/// `audit.queue_wait` where the configuration is silent.
pub const QUEUE_WAIT_DEFAULT: Duration = Duration::from_secs(5);
/// `audit.checkpoint_every` where the configuration is silent.
pub const CHECKPOINT_EVERY_DEFAULT: Duration = Duration::from_secs(60);
/// Longest time that a written outcome stays unsynced under `durability = "intent"`.
pub const SYNC_DELAY_MAX: Duration = Duration::from_millis(50);
/// Longest time that a written record stays unsynced under `durability = "relaxed"`.
pub const SYNC_DELAY_RELAXED_MAX: Duration = Duration::from_secs(1);
