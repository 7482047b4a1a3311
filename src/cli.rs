//! The commands, one file each: argv in, text and an exit code out.
//!
//! Must never decide anything that a room decides.

mod demo;
mod demo_upstream;
mod serve;

use std::process::ExitCode;

use clap::Parser;

/// An MCP gateway that decides by where a prompt came from.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Try the gateway on demo tool servers, with a key for each source, and watch each call being decided
    Demo(demo::Demo),
    #[command(hide = true)]
    DemoUpstream(demo_upstream::DemoUpstream),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(command) => demo::run(command),
        Command::DemoUpstream(command) => demo_upstream::run(command),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            use std::io::Write as _;
            let _unheard = writeln!(std::io::stderr(), "sluicegate: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
