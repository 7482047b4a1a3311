//! How the user's own clients reach the gateway of a configuration, and where clients keep their files.
//!
//! Must never guess an address that the configuration does not say.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::clients::{Bridge, Client, Folders};
use crate::config::Config;
use crate::downstream::{Bind, ListenSettings, MCP_PATH};
use crate::identity::ListenerVouches;
use crate::socket::Scheme;

/// The environment variable that holds the key where a client reaches the gateway by itself.
pub(super) const KEY_VARIABLE: &str = "SLUICEGATE_KEY";
/// Where `init` puts the key of the user's clients, beside the configuration.
pub(super) const KEY_FILE: &str = "secrets/clients.key";

/// A way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// By HTTP.
    Url(String),
    /// By a unix socket, where the kernel says who calls.
    Socket(PathBuf),
}

impl Way {
    /// The best way into a gateway of `config`: an address before a socket, because every client can use one.
    pub(super) fn into(config: &Config) -> Option<Self> {
        if let Some(url) = &config.identity.url {
            return Some(Self::Url(url.as_str().to_owned()));
        }
        let by_url = config.listeners.iter().find_map(url);
        by_url.map(Self::Url).or_else(|| config.listeners.iter().find_map(socket))
    }

    /// What a client starts that leads this way.
    pub(super) fn bridge(&self, key_file: &Path) -> anyhow::Result<Bridge> {
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let arguments = match self {
            Self::Url(url) => {
                vec!["--url".to_owned(), url.clone(), "--key-file".to_owned(), text(key_file)]
            }
            Self::Socket(path) => vec!["--socket".to_owned(), text(path)],
        };
        let arguments = std::iter::once("connect".to_owned()).chain(arguments).collect();
        Ok(Bridge { program, arguments })
    }

    /// The URL, where there is one.
    pub(super) fn url(&self) -> Option<&str> {
        match self {
            Self::Url(url) => Some(url),
            Self::Socket(_) => None,
        }
    }
}

fn url(listener: &ListenSettings) -> Option<String> {
    let Bind::Tcp(address) = listener.bind else { return None };
    let name = listener.reach.hosts.first();
    match (listener.reach.scheme(), name) {
        _ if address.port() == 0 => None,
        (Scheme::Https, Some(name)) if name.contains(':') => Some(format!("https://{name}{MCP_PATH}")),
        (Scheme::Https, Some(name)) => Some(format!("https://{name}:{}{MCP_PATH}", address.port())),
        (Scheme::Https, None) => Some(format!("https://{address}{MCP_PATH}")),
        (Scheme::Http, _) => Some(format!("http://{address}{MCP_PATH}")),
    }
}

fn socket(listener: &ListenSettings) -> Option<Way> {
    match (&listener.bind, &listener.vouches) {
        (Bind::Unix { path, .. }, ListenerVouches::Peers(_)) => Some(Way::Socket(path.clone())),
        _ => None,
    }
}

/// Where the clients of this user, in this project, keep their files.
pub(super) fn folders() -> anyhow::Result<Folders> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("HOME").context("HOME is not set, so that no client's files can be found")?;
    let settings = if cfg!(target_os = "macos") {
        home.join("Library/Application Support")
    } else {
        set("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"))
    };
    let project = std::env::current_dir().context("cannot tell where this is")?;
    let codex = set("CODEX_HOME").unwrap_or_else(|| home.join(".codex"));
    Ok(Folders { home, settings, project, codex })
}

/// The client of this name.
pub(super) fn client(word: &str) -> Result<Client, String> {
    let known = Client::ALL.map(Client::word).join("`, `");
    let client = Client::ALL.into_iter().find(|client| client.word() == word);
    client.ok_or_else(|| format!("there are `{known}`"))
}
