//! Exit codes. Those beyond 2 are the words of `sysexits.h`.
//!
//! Must never be 0 where something was not done.

use std::io::Write as _;
use std::process::ExitCode;

use crate::config::Problems;

/// The command ran, and found something.
pub(super) const FINDINGS: u8 = 1;
/// The command was called with arguments that it does not take.
pub(super) const USAGE: u8 = 2;
/// What the command needs cannot be had now (`EX_UNAVAILABLE`).
pub(super) const UNAVAILABLE: u8 = 69;
/// The configuration is refused (`EX_CONFIG`).
pub(super) const CONFIGURATION: u8 = 78;

/// An error that says with which code the process ends.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Coded {
    code: u8,
    message: String,
}

/// The configuration is refused.
pub(super) fn configuration(problems: &Problems) -> anyhow::Error {
    let message = format!("the configuration is refused\n{problems}");
    anyhow::Error::new(Coded { code: CONFIGURATION, message: message.trim_end().to_owned() })
}

/// What the command was given to work with cannot be used: a key file, an environment variable.
pub(super) fn misconfigured(error: &anyhow::Error) -> anyhow::Error {
    anyhow::Error::new(Coded { code: CONFIGURATION, message: format!("{error:#}") })
}

/// What is needed cannot be had: a port, a directory, the journal.
pub(super) fn unavailable(error: &anyhow::Error) -> anyhow::Error {
    anyhow::Error::new(Coded { code: UNAVAILABLE, message: format!("{error:#}") })
}

/// A failure with a code of its own.
pub(super) fn coded(code: u8, message: String) -> anyhow::Error {
    anyhow::Error::new(Coded { code, message })
}

/// Says how a command is called. Help and version were asked for and are no mistake.
pub(super) fn usage(usage: &clap::Error) -> ExitCode {
    // Where nobody can read the help, the exit code still says it.
    let _unheard = usage.print();
    if usage.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Says why a command failed: the whole chain of causes, once.
pub(super) fn failed(error: &anyhow::Error) -> ExitCode {
    let _unheard = writeln!(std::io::stderr(), "sluicegate: error: {error:#}");
    let code = error.downcast_ref::<Coded>().map_or(FINDINGS, |coded| coded.code);
    ExitCode::from(code)
}
