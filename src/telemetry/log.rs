//! The log on standard error: text for people, JSON for machines, one event one line.
//!
//! Must never write to standard output, which belongs to what a command answers (and, in `connect`, to the
//! protocol). Must never let a value end its line or steer a terminal (CASES A61, A69).

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// How log events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether lines for people have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Where standard error is a terminal.
    Terminal,
    /// Nowhere (`NO_COLOR`).
    Never,
}

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error("`{0}` is not a log filter; write a level such as `info`, or `sluicegate::upstream=debug`")]
    Filter(String, #[source] ParseError),
    /// It was started before.
    #[error("logging was started before")]
    Started,
}

/// Starts logging for the whole process. `filter` is a level, or directives as tracing's `EnvFilter` reads.
///
/// # Errors
/// [`LogError`] where the filter cannot be read, or logging was started before.
pub fn start_log(format: LogFormat, colour: Colour, filter: &str) -> Result<(), LogError> {
    let directives =
        EnvFilter::try_new(filter).map_err(|error| LogError::Filter(filter.to_owned(), error))?;
    let coloured = colour == Colour::Terminal && io::stderr().is_terminal();
    let started = match format {
        LogFormat::Text => {
            let escapes = if coloured { Escapes::Pass } else { Escapes::Write };
            let builder = tracing_subscriber::fmt().with_env_filter(directives).with_writer(Lines(escapes));
            builder.with_ansi(coloured).with_target(false).finish().try_init()
        }
        LogFormat::Json => {
            // JSON escapes what would end a line.
            let builder = tracing_subscriber::fmt().with_env_filter(directives).with_writer(io::stderr);
            builder.json().flatten_event(true).with_current_span(false).finish().try_init()
        }
    };
    started.map_err(|_| LogError::Started)
}

/// What happens to escape characters. The formatter writes some itself where there are colours, and has
/// made those in values harmless before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    Pass,
    Write,
}

/// Writes each event as one line.
#[derive(Debug, Clone, Copy)]
struct Lines(Escapes);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = OneLine<io::StderrLock<'static>>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLine { out: io::stderr().lock(), escapes: self.0 }
    }
}

/// The formatter hands over one event as one buffer that ends in a line feed.
#[derive(Debug)]
pub(super) struct OneLine<W> {
    pub(super) out: W,
    pub(super) escapes: Escapes,
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.trim_end_matches(['\n', '\r']);
        let mut safe = String::with_capacity(line.len() + 1);
        for part in line.split_inclusive('\u{1b}') {
            match part.strip_suffix('\u{1b}') {
                Some(before) if self.escapes == Escapes::Pass => {
                    safe.push_str(&crate::model::text::printable(before));
                    safe.push('\u{1b}');
                }
                _ => safe.push_str(&crate::model::text::printable(part)),
            }
        }
        safe.push('\n');
        self.out.write_all(safe.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
