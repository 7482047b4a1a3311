//! What the commands that talk to a running gateway share: where it is, and what went wrong.
//!
//! Must never let what a socket said steer the terminal.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;

use super::exit;
use crate::config::{self, Config};
use crate::console::{Client, ClientError};
use crate::model::reason::{Group, Reason, Retry};
use crate::model::text::{harmless_json, printable};

/// Which gateway is meant.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Target {
    /// The configuration of the running gateway; it says where the admin socket is
    #[arg(long, value_name = "FILE", default_value = "gateway.toml")]
    pub(super) config: PathBuf,
}

/// A client of the gateway that `config` configures. What is wrong with the file by now is no reason not
/// to talk to a gateway that runs: it matters only where there is none.
pub(super) fn client(config: &Path) -> anyhow::Result<Client> {
    let socket = config::admin_socket(config);
    if !socket.exists() {
        configuration(config)?;
    }
    Ok(Client::new(socket))
}

/// What `config` configures.
pub(super) fn configuration(config: &Path) -> anyhow::Result<Config> {
    config::load(config).map_err(|problems| exit::configuration(&problems))
}

/// What the running gateway of `config` answers to `ask`, from a command that is not asynchronous itself.
pub(super) fn asked<T>(
    config: &Path,
    ask: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ask(&client(config)?)).map_err(failed)
}

/// The error that a command ends with.
pub(super) fn failed(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Refused { reason, message } if is_about_the_request(&reason) => {
            anyhow::anyhow!("{}", printable(&message))
        }
        ClientError::Refused { message, .. } => {
            exit::unavailable(&anyhow::anyhow!("{}", printable(&message)))
        }
        error => exit::unavailable(&anyhow::Error::new(error)),
    }
}

/// Whether the gateway is well and only cannot do this.
fn is_about_the_request(reason: &str) -> bool {
    let known = Reason::ALL.iter().find(|known| known.code() == reason);
    matches!(reason, "missing" | "stale" | "impossible")
        || known.is_some_and(|known| known.retry() == Retry::Never && known.group() != Group::Ending)
}

/// Writes an answer as JSON.
pub(super) fn json<T: serde::Serialize>(value: &T, out: &mut impl Write) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(writeln!(out, "{}", harmless_json(&text))?)
}

/// When something was, for people.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// How a command ends. Whoever reads the answer and closes the pipe has what they wanted.
pub(super) fn conclude(done: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    match done {
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        done => done.map(|()| ExitCode::SUCCESS),
    }
}

/// Whether whoever read us has gone.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
