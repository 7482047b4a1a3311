//! How far long work is, where somebody watches.
//!
//! Must never stand in the way of the work: progress that cannot be shown is no reason to stop. Leaves the line as it was.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};

/// A line on standard error that is written over; nothing where that is no terminal.
pub(super) struct Watcher {
    is_watched: bool,
}

impl Watcher {
    pub(super) fn new() -> Self {
        Self { is_watched: std::io::stderr().is_terminal() }
    }

    /// Shows `text` in the place of what was shown before.
    pub(super) fn tell(&self, text: fmt::Arguments<'_>) {
        if self.is_watched {
            let _unseen = write!(std::io::stderr(), "\r{text}");
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tell(format_args!("\x1b[K"));
    }
}
