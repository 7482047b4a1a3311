//! The recorded calls that `diff` and `learn` look at: which journal, since when, and how far the reading is.
//!
//! Must never change the journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};

use super::progress::Watcher;
use super::{admin, exit};
use crate::audit::{self, Recorded, Scan, Span};
use crate::clock::Clock;
use crate::config;

/// Which recorded calls are looked at.
#[derive(Debug, clap::Args)]
pub(super) struct Past {
    /// The state directory whose journal is read, or its folder `journal`; where absent, that of the configuration
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Only what was recorded since: a duration before now (7d, 12h), or a moment (2026-11-01T00:00:00Z)
    #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = moment)]
    since: Moment,
    /// Only what was recorded before: a duration before now, or a moment
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<Moment>,
}

/// A point in time as a person writes it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    Ago(Duration),
    At(Timestamp),
}

pub(super) fn moment(text: &str) -> Result<Moment, String> {
    if let Some(ago) = config::duration(text) {
        return Ok(Moment::Ago(ago));
    }
    let at = text.parse().map(Moment::At);
    at.map_err(|_| "write a duration like 7d, or a moment like 2026-11-01T00:00:00Z".to_owned())
}

impl Moment {
    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => {
                let ago = SignedDuration::try_from(ago).unwrap_or(SignedDuration::MAX);
                now.checked_sub(ago).unwrap_or(Timestamp::MIN)
            }
        }
    }
}

/// The recorded calls of one span of time: the same however often they are read.
pub(super) struct History {
    dir: PathBuf,
    span: Span,
}

impl Past {
    /// What is looked at; `state_dir` is that of the configuration.
    pub(super) fn history(&self, state_dir: &Path) -> History {
        let dir = self.against.clone().unwrap_or_else(|| state_dir.to_owned());
        // The folder itself may be named, as whoever copied it away has it.
        let inside = dir.join("journal");
        let dir = if inside.is_dir() { inside } else { dir };
        let now = Clock::system().wall();
        let until = self.until.map_or(now, |until| until.before(now));
        History { dir, span: Span { since: Some(self.since.before(now)), until: Some(until) } }
    }
}

impl History {
    /// What whoever reads the result should know of what was read.
    pub(super) fn caveats(&self, scan: Scan) -> Vec<String> {
        let mut caveats = Vec::new();
        if scan.damaged > 0 {
            caveats.push(format!("{} damaged lines were left out: `sluicegate audit verify`", scan.damaged));
        }
        if scan.left_out > 0 {
            caveats.push(format!("{} segments that were declared damaged were left out", scan.left_out));
        }
        if let Some(begins) =
            scan.begins.filter(|begins| self.span.since.is_some_and(|since| since < *begins))
        {
            caveats.push(format!("the journal begins at {}", admin::time(begins)));
        }
        caveats
    }

    /// Hands every call to `visit`.
    pub(super) fn visit(&self, visit: impl FnMut(Recorded)) -> anyhow::Result<Scan> {
        let Self { dir, span } = self;
        let watcher = Watcher::new();
        let progress = |done: u64, total: u64| {
            if let Some(percent) = done.saturating_mul(100).checked_div(total) {
                watcher.tell(format_args!("read {percent}% of {total} bytes"));
            }
        };
        audit::calls(dir, *span, visit, progress)
            .with_context(|| format!("the journal in `{}` cannot be read", dir.display()))
            .map_err(|error| exit::misconfigured(&error))
    }
}
