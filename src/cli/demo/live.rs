//! Each call of the demo on one line as it is decided, with the reason.
//!
//! Reads the journal as anybody may: what is shown here is what is on disk. Must never show what a terminal
//! would obey, which the lines of `audit` see to.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::audit::{Follower, From, Item, Kind, Summary};

/// How often the journal is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Prints every call that the journal in `dir` holds since the gateway started, and goes on for ever.
pub(super) async fn follow(dir: &Path) -> anyhow::Result<()> {
    let paint = Paint::of_this_terminal();
    let mut follower = Follower::open(dir, From::LastStart)?;
    let mut summary = Summary::default();
    let mut polls = tokio::time::interval(POLL);
    loop {
        polls.tick().await;
        for item in follower.poll()? {
            // Every item passes the summary, because it joins the two records of a call.
            let line = summary.line(&item);
            if let (Some(line), Some(colour)) = (line, colour(&item)) {
                paint.print(&line, colour)?;
            }
        }
    }
}

/// An escape sequence that a terminal understands as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Colour(&'static str);

const GREEN: Colour = Colour("\x1b[32m");
const RED: Colour = Colour("\x1b[31m");
const PLAIN: Colour = Colour("\x1b[0m");

/// The colour of a record that is a call, a list, a refusal, a plan or a question; the rest is left to `audit tail`.
fn colour(item: &Item) -> Option<Colour> {
    match item.kind {
        Kind::Outcome => Some(GREEN),
        Kind::Denial | Kind::AuthFailures | Kind::Unknown => Some(RED),
        Kind::List | Kind::Plan | Kind::Approval => Some(PLAIN),
        _ => None,
    }
}

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paint {
    Coloured,
    Plain,
}

impl Paint {
    fn of_this_terminal() -> Self {
        // https://no-color.org: set and not empty means none, whatever its value.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !unwanted { Self::Coloured } else { Self::Plain }
    }

    fn print(self, line: &str, colour: Colour) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match self {
            Self::Coloured => writeln!(out, "{}{line}{}", colour.0, PLAIN.0),
            Self::Plain => writeln!(out, "{line}"),
        }
    }
}
