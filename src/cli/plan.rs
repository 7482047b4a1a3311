//! `sluicegate plan`: what would come of a plan.
//!
//! Must never grant anything: it reviews without a gateway.

mod review;

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
}

/// Runs the command.
pub(super) fn run(command: &Plan) -> anyhow::Result<ExitCode> {
    match &command.command {
        PlanCommand::Review(command) => review::run(command),
    }
}
