//! Watches the files of the configuration where `[reload] watch = true`.
//!
//! Looks at them once a second instead of asking the kernel for events: at most 64 files and the secrets
//! they name, so a look costs less than one event of a watched folder would, and it sees what events of a
//! file do not: a file that was replaced by a rename, a link in front of it that moved, a network file
//! system. Must never reload in the middle of an edit if it can be told, nor wait for its end for ever.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::config::{FileMark, Watch};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// After so many looks that each found something else the files are read as they are.
const RESTLESS_LOOKS_MAX: u32 = 10;

/// What was read, and what is seen of it since.
pub(super) struct Watcher {
    /// The files as they were when they were read.
    files: Vec<FileMark>,
    watch: Watch,
    looks: Interval,
    /// The files as the last look found them, if that is not how they were read, and how many looks in a
    /// row found them otherwise.
    seen: Option<(Vec<FileMark>, u32)>,
}

impl Watcher {
    /// Watches `files` if `watch` says so. Has to be called within a tokio runtime.
    pub(super) fn new(files: Vec<FileMark>, watch: Watch) -> Self {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { files, watch, looks, seen: None }
    }

    /// The files were read again, whatever became of it.
    pub(super) fn follow(&mut self, files: Vec<FileMark>) {
        self.files = files;
        self.seen = None;
    }

    /// Goes on watching, or not.
    pub(super) fn set(&mut self, watch: Watch) {
        self.watch = watch;
    }

    /// Returns when the files are others than were read, and have come to rest. Cancel safe.
    pub(super) async fn changed(&mut self) {
        match self.watch {
            Watch::Off => std::future::pending().await,
            Watch::On => while !self.look().await {},
        }
    }

    /// One look, and whether it is time to read.
    async fn look(&mut self) -> bool {
        self.looks.tick().await;
        let files = self.files.clone();
        let look = move || files.iter().map(FileMark::again).collect::<Vec<_>>();
        // Only where the runtime ends is there no answer; then nobody waits for this.
        let Ok(now) = tokio::task::spawn_blocking(look).await else { return false };
        if now == self.files {
            self.seen = None;
            return false;
        }
        match self.seen.take() {
            Some((seen, looks)) if seen == now || looks >= RESTLESS_LOOKS_MAX => true,
            before => {
                let looks = before.map_or(0, |(_, looks)| looks);
                self.seen = Some((now, looks + 1));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that changes at each look of `restless`, and how many looks it took until it was to be read.
    async fn looks_until_read(restless: u32) -> u32 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.toml");
        std::fs::write(&path, "").unwrap();
        let mut watcher = Watcher::new(vec![FileMark::of(&path)], Watch::On);
        assert!(!watcher.look().await, "nothing changed yet");
        let mut looks = 0;
        loop {
            looks += 1;
            if looks <= restless {
                std::fs::write(&path, "x".repeat(usize::try_from(looks).unwrap())).unwrap();
            }
            if watcher.look().await {
                return looks;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_is_read_once_it_has_come_to_rest_and_a_restless_file_in_the_end() {
        assert_eq!(looks_until_read(1).await, 2);
        assert_eq!(looks_until_read(4).await, 5);
        assert_eq!(looks_until_read(1000).await, RESTLESS_LOOKS_MAX + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_again_is_no_change_and_what_is_not_watched_never_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.toml");
        let mut watcher = Watcher::new(vec![FileMark::of(&path)], Watch::On);
        std::fs::write(&path, "new").unwrap();
        assert!(!watcher.look().await);
        watcher.follow(vec![FileMark::of(&path)]);
        assert!(!watcher.look().await && !watcher.look().await);
        std::fs::write(&path, "newer").unwrap();
        watcher.set(Watch::Off);
        let waited = tokio::time::timeout(Duration::from_secs(60), watcher.changed()).await;
        assert!(waited.is_err());
        watcher.set(Watch::On);
        watcher.changed().await;
    }
}
