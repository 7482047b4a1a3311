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
pub(in crate::cli) mod probe;
#[cfg(test)]
mod tests;
mod tls;
mod trouble;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::credential::{CredentialSource, SOCKET_VARIABLE, URL_VARIABLE, descriptor};
use super::{exit, log};
use crate::telemetry::LogFormat;
use bridge::Bridge;
use endpoint::{Endpoint, Place};
use tls::Tls;

/// What the client's log shall hold of us: only what went wrong.
const LOG_FILTER: &str = "warn";

/// The arguments of `connect`.
#[derive(Debug, clap::Args)]
pub(super) struct Connect {
    /// The gateway's endpoint: http://127.0.0.1:7400/mcp on this machine, https://… anywhere
    #[arg(long, value_name = "URL", group = "place", value_parser = Place::of_url)]
    url: Option<Place>,
    /// The gateway's unix socket
    #[arg(long, value_name = "PATH", group = "place")]
    socket: Option<PathBuf>,
    /// A file that holds the key and that nobody else can read; it is read anew for each message
    #[arg(long, value_name = "FILE", group = "key")]
    key_file: Option<PathBuf>,
    /// The environment variable that holds the key
    #[arg(long, value_name = "NAME", group = "key")]
    key_env: Option<String>,
    /// A file that holds a run token and that nobody else can read; it is read anew for each message
    #[arg(long, value_name = "FILE", group = "key")]
    token_file: Option<PathBuf>,
    /// An inherited descriptor from which a run token is read anew for each message
    #[arg(long, value_name = "NUMBER", group = "key", value_parser = descriptor)]
    token_fd: Option<u32>,
    /// A unix socket that hands out a run token; it is asked anew for each message
    #[arg(long, value_name = "PATH", group = "key")]
    token_socket: Option<PathBuf>,
    #[command(flatten)]
    tls: Tls,
}

impl Connect {
    /// Where the gateway is; without a word, where `sluicegate run` says, if it started the client.
    fn place(&self) -> anyhow::Result<Place> {
        if let Some(place) = &self.url {
            return Ok(place.clone());
        }
        if let Some(path) = &self.socket {
            return Ok(Place::Unix(path.clone()));
        }
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = set(SOCKET_VARIABLE) {
            return Ok(Place::Unix(path.into()));
        }
        let usage = |what: &str| exit::coded(exit::USAGE, what.to_owned());
        let url =
            set(URL_VARIABLE).ok_or_else(|| usage("either --url or --socket says where the gateway is"))?;
        let url = url.to_str().map(Place::of_url).and_then(Result::ok);
        url.ok_or_else(|| usage("SLUICEGATE_URL is not the URL of a gateway"))
    }

    /// Where the credential is: one way at most, and without any what `sluicegate run` says, if it started
    /// the client.
    fn credential(&self) -> anyhow::Result<CredentialSource> {
        if let Some(path) = self.key_file.as_ref().or(self.token_file.as_ref()) {
            return Ok(CredentialSource::File(path.clone()));
        }
        if let Some(number) = self.token_fd {
            return Ok(CredentialSource::Descriptor(number));
        }
        if let Some(path) = &self.token_socket {
            return Ok(CredentialSource::Socket(path.clone()));
        }
        match &self.key_env {
            Some(name) => CredentialSource::of_environment(name),
            None => CredentialSource::of_run(),
        }
    }
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
    let place = command.place()?;
    let source = command.credential().map_err(|error| exit::misconfigured(&error))?;
    // A key that cannot be used is said at once, to the person who configures the client.
    source.read().await.map_err(|error| exit::misconfigured(&error))?;
    let mut endpoint = Endpoint::new(place, source);
    if endpoint.needs_tls() {
        endpoint = endpoint.with_tls(command.tls.connector().map_err(|error| exit::misconfigured(&error))?);
    } else if command.tls.is_used() {
        let error = anyhow::anyhow!("--ca-file, --client-cert and --client-key are for an https:// URL");
        return Err(exit::misconfigured(&error));
    }
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
