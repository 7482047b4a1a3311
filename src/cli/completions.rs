//! `sluicegate completions SHELL`: what the shell needs to complete this command line.
//!
//! Must never touch the shell's own files: it writes to standard output.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

/// The arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell, for instance: source <(sluicegate completions bash)
    shell: Shell,
}

pub(super) fn run(command: &Completions) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut super::Cli::command(), "sluicegate", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
