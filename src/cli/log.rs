//! The log of the commands that run for long: format and filter from the command line.
//!
//! Must never write to standard output.

use crate::telemetry::{Colour, LogError, LogFormat, start_log};

/// The filter where nobody says another.
pub(super) const FILTER_DEFAULT: &str = "info";

/// Reads `--log-format`.
pub(super) fn format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("there are `text` and `json`".to_owned()),
    }
}

/// Starts logging. Colour only on a terminal, and nowhere under `NO_COLOR`.
pub(super) fn start(format: LogFormat, filter: &str) -> Result<(), LogError> {
    let colour = match std::env::var_os("NO_COLOR") {
        Some(value) if !value.is_empty() => Colour::Never,
        Some(_) | None => Colour::Terminal,
    };
    start_log(format, colour, filter)
}
