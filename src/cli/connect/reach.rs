//! Where a gateway is and who calls it, on the command line of whatever is its client.
//!
//! Must never take a key from the command line: other users see it.

use std::path::PathBuf;

use super::endpoint::{Endpoint, Place};
use super::tls::Tls;
use crate::cli::credential::{CredentialSource, SOCKET_VARIABLE, URL_VARIABLE, descriptor};
use crate::cli::exit;

/// Where the gateway is, and the credential.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Reach {
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

impl Reach {
    /// The gateway, as it is reached. A key that cannot be used is said at once, to the person who configures the
    /// client.
    pub(in crate::cli) async fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let place = self.place()?;
        let source = self.credential().map_err(|error| exit::misconfigured(&error))?;
        source.read().await.map_err(|error| exit::misconfigured(&error))?;
        let endpoint = Endpoint::new(place, source);
        if endpoint.needs_tls() {
            let connector = self.tls.connector().map_err(|error| exit::misconfigured(&error))?;
            return Ok(endpoint.with_tls(connector));
        }
        if self.tls.is_used() {
            let error = anyhow::anyhow!("--ca-file, --client-cert and --client-key are for an https:// URL");
            return Err(exit::misconfigured(&error));
        }
        Ok(endpoint)
    }

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
