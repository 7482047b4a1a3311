//! The configuration that an MCP client needs to reach the gateway with the run's token.
//!
//! Every client gets the bridge: a stdio server that reads the token anew for each message, so that a
//! renewal needs nothing of the client, and that reaches unix sockets too. Must never write the token
//! into a configuration or an argument.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::{Context as _, bail};

use super::handout::{Handout, Via};
use super::place::PrivateDir;
use crate::cli::connect;
use crate::cli::credential::{CredentialSource, SOCKET_VARIABLE, URL_VARIABLE};
use crate::console::ListenerEntry;

/// The name of the gateway in a client's configuration.
const SERVER: &str = "sluicegate";
const CONFIG_FILE: &str = "mcp.json";
/// Stands for the path of the generated configuration.
/// The line that starts the bridge, for clients that start servers.
pub(super) const CONNECT_VARIABLE: &str = "SLUICEGATE_CONNECT";
/// Where a `.mcp.json` for the run is.
pub(super) const MCP_CONFIG_VARIABLE: &str = "SLUICEGATE_MCP_CONFIG";
const CONFIG_MARK: &str = "{MCP_CONFIG}";
/// Stands for all arguments that the client needs; otherwise they come last.
const ARGUMENTS_MARK: &str = "{CLIENT_ARGS}";

/// The clients that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ClientKind {
    /// Claude Code: `--strict-mcp-config --mcp-config FILE`
    Claude,
    /// Codex: `-c mcp_servers.sluicegate.…`
    Codex,
    /// Any client that reads `.mcp.json`: its path is SLUICEGATE_MCP_CONFIG, and `{MCP_CONFIG}` in the command
    McpJson,
    /// Any client that starts servers: the line to start is SLUICEGATE_CONNECT
    Connect,
}

impl ClientKind {
    /// Node closes every descriptor that it inherited, so a server it starts would find none.
    pub(super) fn check(self, via: Via) -> anyhow::Result<()> {
        if via == Via::Fd && self == Self::Claude {
            bail!(
                "Claude Code passes no descriptor on to what it starts: use `--via file` or `--via socket`"
            );
        }
        Ok(())
    }
}

/// Where the command finds the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    Url(String),
    Socket(String),
}

impl Endpoint {
    /// The listener `name`; without a name the only one, or the only one on TCP.
    pub(super) fn choose(listeners: &[ListenerEntry], name: Option<&str>) -> anyhow::Result<Self> {
        let agents: Vec<&ListenerEntry> =
            listeners.iter().filter(|listener| listener.name != "admin").collect();
        let is_tcp = |listener: &&&ListenerEntry| listener.place.starts_with("http");
        let chosen = match (name, agents.as_slice()) {
            (Some(name), _) => {
                let found = agents.iter().find(|listener| listener.name == name);
                Some(*found.with_context(|| format!("the gateway has no listener `{name}`"))?)
            }
            (None, [only]) => Some(*only),
            (None, _) => {
                let mut tcp = agents.iter().filter(is_tcp);
                tcp.next().copied().filter(|_| tcp.next().is_none())
            }
        };
        let chosen = chosen.context("the gateway has several listeners: name one with --listener")?;
        let place = chosen.place.clone();
        Ok(if is_tcp(&&chosen) { Self::Url(place) } else { Self::Socket(place) })
    }

    pub(super) fn variables(&self) -> Vec<(&'static str, OsString)> {
        match self {
            Self::Url(url) => vec![(URL_VARIABLE, url.into())],
            Self::Socket(path) => vec![(SOCKET_VARIABLE, path.into())],
        }
    }

    /// The same, as a client reaches it that presents `credential`.
    pub(super) fn of_client(&self, credential: CredentialSource) -> anyhow::Result<connect::Endpoint> {
        let place = match self {
            Self::Url(url) => connect::Place::of_url(url).map_err(anyhow::Error::msg)?,
            Self::Socket(path) => connect::Place::Unix(path.into()),
        };
        let endpoint = connect::Endpoint::new(place, credential);
        // Which authorities to believe nobody said here.
        if endpoint.needs_tls() {
            bail!("`--plan` reaches the gateway on this machine: name a listener without TLS by --listener");
        }
        Ok(endpoint)
    }

    fn arguments(&self) -> [String; 2] {
        match self {
            Self::Url(url) => ["--url".to_owned(), url.clone()],
            Self::Socket(path) => ["--socket".to_owned(), path.clone()],
        }
    }
}

/// What is started.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) command: Vec<OsString>,
    pub(super) variables: Vec<(&'static str, OsString)>,
}

/// `command` as it is started for this client.
pub(super) fn plan(
    kind: Option<ClientKind>,
    command: &[OsString],
    endpoint: &Endpoint,
    handout: &Handout<'_>,
    dir: &PrivateDir,
) -> anyhow::Result<Plan> {
    let Some(kind) = kind else { return Ok(Plan { command: command.to_vec(), variables: Vec::new() }) };
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let bridge = Bridge { own: &own, arguments: bridge_arguments(endpoint, handout) };
    Ok(match kind {
        ClientKind::Codex => Plan { command: with(command, &bridge.codex()?, None), variables: Vec::new() },
        ClientKind::Connect => {
            let line = (CONNECT_VARIABLE, bridge.shell()?.into());
            Plan { command: command.to_vec(), variables: vec![line] }
        }
        ClientKind::Claude | ClientKind::McpJson => {
            dir.write(CONFIG_FILE, bridge.mcp_json()?.as_bytes())?;
            let path = dir.file(CONFIG_FILE);
            let arguments = match kind {
                ClientKind::Claude => {
                    let [strict, config] = ["--strict-mcp-config", "--mcp-config"].map(OsString::from);
                    vec![strict, config, path.clone().into()]
                }
                _ => Vec::new(),
            };
            let command = with(command, &arguments, Some(&path));
            Plan { command, variables: vec![(MCP_CONFIG_VARIABLE, path.into())] }
        }
    })
}

fn bridge_arguments(endpoint: &Endpoint, handout: &Handout<'_>) -> Vec<String> {
    let place = endpoint.arguments();
    std::iter::once("connect".to_owned()).chain(place).chain(handout.arguments()).collect()
}

/// The bridge as a stdio server.
struct Bridge<'a> {
    own: &'a Path,
    arguments: Vec<String>,
}

impl Bridge<'_> {
    fn own(&self) -> anyhow::Result<&str> {
        self.own.to_str().context("the path of this program is not UTF-8")
    }

    /// `.mcp.json`, as Claude Code and many others read it.
    fn mcp_json(&self) -> anyhow::Result<String> {
        let server = serde_json::json!({ "type": "stdio", "command": self.own()?, "args": self.arguments });
        Ok(serde_json::json!({ "mcpServers": { SERVER: server } }).to_string())
    }

    /// Overrides of Codex's `config.toml`, each with a value in TOML. JSON strings are TOML strings.
    fn codex(&self) -> anyhow::Result<Vec<OsString>> {
        let command = serde_json::to_string(self.own()?)?;
        let arguments = serde_json::to_string(&self.arguments)?;
        let settings = [
            format!("mcp_servers.{SERVER}.command={command}"),
            format!("mcp_servers.{SERVER}.args={arguments}"),
        ];
        Ok(settings.into_iter().flat_map(|setting| [OsString::from("-c"), setting.into()]).collect())
    }

    /// One line for a shell.
    fn shell(&self) -> anyhow::Result<String> {
        let words = std::iter::once(self.own()?).chain(self.arguments.iter().map(String::as_str));
        let quoted: Vec<String> = words.map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        Ok(quoted.join(" "))
    }
}

/// The command with `arguments` where it says, or at its end, and the configuration where it says.
fn with(command: &[OsString], arguments: &[OsString], config: Option<&Path>) -> Vec<OsString> {
    let has = |mark: &str| command.iter().any(|word| word.to_str().is_some_and(|word| word.contains(mark)));
    let places_config = config.is_some() && has(CONFIG_MARK);
    let places_arguments = command.iter().any(|word| word == ARGUMENTS_MARK);
    let mut out = Vec::with_capacity(command.len() + arguments.len());
    for word in command {
        match (word.to_str(), config) {
            (Some(ARGUMENTS_MARK), _) => out.extend_from_slice(arguments),
            (Some(text), Some(path)) if text.contains(CONFIG_MARK) => out.push(replaced(text, path)),
            _ => out.push(word.clone()),
        }
    }
    if !places_config && !places_arguments {
        out.extend_from_slice(arguments);
    }
    out
}

fn replaced(text: &str, path: &Path) -> OsString {
    let mut out = OsString::new();
    for (index, part) in text.split(CONFIG_MARK).enumerate() {
        if index > 0 {
            out.push(path);
        }
        out.push(OsStr::new(part));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<OsString> {
        list.iter().map(OsString::from).collect()
    }

    fn listener(name: &str, place: &str) -> ListenerEntry {
        ListenerEntry { name: name.into(), place: place.into() }
    }

    #[test]
    fn a_listener_is_chosen_by_name_or_where_there_is_no_doubt() {
        let (main, other) =
            (listener("main", "http://127.0.0.1:1/mcp"), listener("b", "http://127.0.0.1:2/mcp"));
        let (unix, admin) = (listener("agents", "/run/agents.sock"), listener("admin", "http://127.0.0.1:3"));
        let url = |n: u8| Endpoint::Url(format!("http://127.0.0.1:{n}/mcp"));
        let choose = |list: &[&ListenerEntry], name| {
            let list: Vec<_> = list.iter().copied().cloned().collect();
            Endpoint::choose(&list, name).ok()
        };
        assert_eq!(choose(&[&main, &admin], None), Some(url(1)));
        assert_eq!(choose(&[&unix, &main, &admin], None), Some(url(1)));
        assert_eq!(choose(&[&unix], None), Some(Endpoint::Socket("/run/agents.sock".into())));
        assert_eq!(choose(&[&main, &other], None), None);
        assert_eq!(choose(&[&main, &other], Some("b")), Some(url(2)));
        assert_eq!(choose(&[&main], Some("c")), None);
        assert_eq!(choose(&[&admin], None), None);
    }

    #[test]
    fn arguments_stand_where_the_command_says_or_last() {
        let (added, config) = (words(&["--mcp-config", "/d/mcp.json"]), Some(Path::new("/d/mcp.json")));
        assert_eq!(
            with(&words(&["a", "b"]), &added, config),
            words(&["a", "b", "--mcp-config", "/d/mcp.json"])
        );
        assert_eq!(
            with(&words(&["a", "{CLIENT_ARGS}", "b"]), &added, config),
            words(&["a", "--mcp-config", "/d/mcp.json", "b"])
        );
        assert_eq!(
            with(&words(&["a", "-f={MCP_CONFIG}", "b"]), &added, config),
            words(&["a", "-f=/d/mcp.json", "b"])
        );
        assert_eq!(with(&words(&["a"]), &added, None), words(&["a", "--mcp-config", "/d/mcp.json"]));
    }

    #[test]
    fn each_client_is_told_in_its_own_words() {
        let arguments =
            ["connect", "--url", "http://127.0.0.1:1/mcp", "--token-file", "/d/it's"].map(String::from);
        let bridge = Bridge { own: Path::new("/usr/bin/sluicegate"), arguments: arguments.to_vec() };
        let json: serde_json::Value = serde_json::from_str(&bridge.mcp_json().unwrap()).unwrap();
        assert_eq!(json["mcpServers"]["sluicegate"]["command"], "/usr/bin/sluicegate");
        assert_eq!(json["mcpServers"]["sluicegate"]["args"][4], "/d/it's");
        let codex = bridge.codex().unwrap();
        assert_eq!(codex[0], "-c");
        assert_eq!(codex[1], "mcp_servers.sluicegate.command=\"/usr/bin/sluicegate\"");
        let value = codex[3].to_str().unwrap().split_once('=').unwrap().1;
        let expected = r#"["connect","--url","http://127.0.0.1:1/mcp","--token-file","/d/it's"]"#;
        assert_eq!(value, expected, "an array of basic strings in TOML as in JSON");
        assert!(bridge.shell().unwrap().ends_with("'/d/it'\\''s'"));
        assert!(ClientKind::Claude.check(Via::Fd).is_err() && ClientKind::Codex.check(Via::Fd).is_ok());
    }
}
