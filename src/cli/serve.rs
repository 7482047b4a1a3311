//! `sluicegate serve`: starts every room in order, heeds what it is told, and stops in the reverse order.
//!
//! Must never stop because of a configuration that was refused while it runs.

mod activation;
mod notify;
mod orders;
mod reload;
mod rooms;
mod running;
mod sockets;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use super::{exit, privileges};
use crate::telemetry::LogFormat;
pub(super) use activation::Activation;

pub(super) use orders::{OnHangUp, Signals};
pub(super) use running::{Running, start};

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "gateway.toml")]
    config: PathBuf,
    /// How log lines look on standard error: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = super::log::format)]
    log_format: LogFormat,
    /// Which log lines are written, for instance `debug` or `sluicegate::upstream=debug`
    #[arg(long, value_name = "FILTER", default_value = super::log::FILTER_DEFAULT, env = "SLUICEGATE_LOG")]
    log: String,
}

pub(super) fn run(command: Serve) -> anyhow::Result<ExitCode> {
    privileges::keep().map_err(|error| exit::unavailable(&error))?;
    let passed = Activation::of_this_process().map_err(|error| exit::unavailable(&error))?;
    run_with(command, passed)
}

#[tokio::main]
async fn run_with(command: Serve, passed: Activation) -> anyhow::Result<ExitCode> {
    super::log::start(command.log_format, &command.log)?;
    let mut signals = Signals::new(OnHangUp::Reload)?;
    let mut running = start(&command.config, passed).await?;
    running.announce()?;
    running.heed(&mut signals).await;
    tracing::info!("stopping: no new calls, those in flight end first");
    running.stop().await?;
    Ok(ExitCode::SUCCESS)
}
