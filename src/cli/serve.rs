//! `sluicegate serve`. (Being written: this is the face that `demo` starts the gateway through.)

use std::path::{Path, PathBuf};

/// A gateway that serves in this process.
#[derive(Debug)]
pub(super) struct Running {
    /// Its journal.
    pub(super) journal_dir: PathBuf,
}

/// Starts the gateway of the configuration at `config`.
pub(super) async fn start(config: &Path) -> anyhow::Result<Running> {
    let dir = config.parent().unwrap_or(Path::new("."));
    Ok(Running { journal_dir: dir.join("state/journal") })
}

impl Running {
    /// Stops: no new calls, those in flight end or are recorded, the last sync.
    pub(super) async fn stop(self) {}
}
