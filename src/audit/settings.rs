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
    /// Longest time that a written outcome stays unsynced.
    pub sync_delay_max: Duration,
}

/// `audit.segment_bytes` where the configuration is silent.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Smallest `audit.segment_bytes`: a segment has to hold its live state and the outcomes reserved in it.
pub const SEGMENT_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// `audit.queue_max` where the configuration is silent.
pub const QUEUE_MAX_DEFAULT: usize = 8192;
/// `audit.queue_wait` where the configuration is silent.
pub const QUEUE_WAIT_DEFAULT: Duration = Duration::from_secs(5);
/// Longest time that a written outcome stays unsynced under `durability = "intent"`.
pub const SYNC_DELAY_MAX: Duration = Duration::from_millis(50);
