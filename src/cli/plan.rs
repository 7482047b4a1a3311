//! `sluicegate plan`: what would come of a plan, and having one reviewed by a running gateway.
//!
//! Must never grant anything: that is the gateway's.

mod file;
mod review;
pub(super) mod submit;

use std::process::ExitCode;

/// The arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Plan {
    #[command(subcommand)]
    command: PlanCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PlanCommand {
    /// Review a plan as a gateway of this configuration would: each step, what comes of it, and by which rule
    Review(Box<review::Review>),
    /// Submit a plan in the run of a token, without a model: what is granted, what needs a person, what is refused
    Submit(Box<submit::Submit>),
}

/// Runs the command.
pub(super) fn run(command: &Plan) -> anyhow::Result<ExitCode> {
    match &command.command {
        PlanCommand::Review(command) => review::run(command),
        PlanCommand::Submit(command) => submit::run(command),
    }
}
