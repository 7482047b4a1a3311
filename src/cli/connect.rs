//! `sluicegate connect`: stdio toward a client that can only start processes, Streamable HTTP toward a
//! gateway.
//!
//! Messages pass as the bytes they are; only line breaks between tokens become spaces. Must never write
//! anything but messages to standard output, never take a key from the command line (other users see it),
//! and never let a request end without an answer. Decides nothing: the gateway does.

mod answer;
mod bridge;
mod endpoint;
mod headers;
mod once;
pub(in crate::cli) mod probe;
mod reach;
#[cfg(test)]
mod tests;
mod tls;
mod trouble;

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::log;
use crate::telemetry::LogFormat;
use bridge::Bridge;

pub(super) use endpoint::{Endpoint, Place};
pub(super) use once::ask;
pub(super) use reach::Reach;
pub(super) use trouble::Trouble;

/// What the client's log shall hold of us: only what went wrong.
const LOG_FILTER: &str = "warn";

/// The arguments of `connect`.
#[derive(Debug, clap::Args)]
pub(super) struct Connect {
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(command: Connect) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(bridge(command));
    // Not waited for: a read of standard input that is under way ends only when the client writes.
    runtime.shutdown_background();
    done
}

async fn bridge(command: Connect) -> anyhow::Result<ExitCode> {
    log::start(LogFormat::Text, LOG_FILTER)?;
    let endpoint = command.reach.endpoint().await?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Bridge::new(endpoint).run(tokio::io::stdin(), tokio::io::stdout(), stop).await;
    Ok(ExitCode::SUCCESS)
}
