//! The user's clients: do they reach the gateway, with which label, and what do they see there?
//!
//! Must never show a credential, and never send one to another place than the client itself would.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Finding, Reach};
use crate::cli::connect::probe::{self, Said};
use crate::cli::credential::{self, CredentialSource};
use crate::cli::way::{KEY_VARIABLE, Way};
use crate::clients::{self, Client, Folders, Found, Launch, Server, Unresolved, Value};
use crate::clock::Clock;
use crate::config::{Compiled, Config};
use crate::model::digest::Sha256;
use crate::model::principal::Principal;
use crate::upstream::{self, Catalogue};

/// What every look at a client needs.
struct Desk<'a> {
    config: &'a Config,
    url: Option<&'a str>,
    compiled: Compiled,
    catalogue: Catalogue,
    reach: Reach,
    findings: Vec<Finding>,
    good: Vec<String>,
}

/// Looks at every client that has a file.
pub(super) async fn look(
    config: &Config,
    way: Option<&Way>,
    folders: &Folders,
    reach: Reach,
) -> anyhow::Result<(Vec<Finding>, Vec<String>)> {
    let (compiled, catalogue) =
        (config.compile([])?, upstream::accepted(&config.upstreams, &config.lock_path)?);
    let url = way.and_then(Way::url);
    let mut desk = Desk { config, url, compiled, catalogue, reach, findings: Vec::new(), good: Vec::new() };
    for place in Client::ALL.into_iter().flat_map(|client| client.places(folders)) {
        match clients::read(&place, folders) {
            Ok(None) => {}
            Ok(Some(found)) => desk.client(&found).await,
            Err(error) => {
                let about = about(place.client, &place.path);
                let fix = "mend the file; the client cannot read it either";
                desk.findings.push(Finding::problem("unreadable", &about, error.to_string(), fix));
            }
        }
    }
    if reach == Reach::Everything {
        desk.address().await;
    }
    Ok((desk.findings, desk.good))
}

fn about(client: Client, path: &std::path::Path) -> String {
    format!("{} ({})", client.title(), path.display())
}

/// What a client would send.
enum Sent {
    /// This, to this URL.
    Credential(CredentialSource, String),
    /// Nothing: the socket says who it is.
    Socket,
    /// It cannot be told, or is wrong; that was said.
    Unknown,
}

impl Desk<'_> {
    async fn client(&mut self, found: &Found) {
        let about = about(found.place.client, &found.place.path);
        let (ours, beside): (Vec<&Server>, Vec<&Server>) =
            found.servers.iter().partition(|server| self.is_ours(server));
        if !beside.is_empty() {
            let names: Vec<&str> = beside.iter().map(|server| server.name.as_str()).collect();
            let message = format!("it reaches these servers without the gateway: {}", names.join(", "));
            let fix = format!(
                "run `sluicegate init --from {} --apply` in a folder for their configuration, or take them out",
                found.place.path.display()
            );
            self.findings.push(Finding::problem("beside", &about, message, fix));
        }
        if ours.is_empty() && beside.is_empty() {
            return;
        }
        let Some(ours) = ours.first() else {
            let fix =
                format!("`sluicegate clients --client {}` prints what it needs", found.place.client.word());
            self.findings.push(Finding::problem(
                "not_connected",
                &about,
                "it does not know the gateway",
                fix,
            ));
            return;
        };
        let Sent::Credential(source, url) = self.sent(ours, &about) else { return };
        let Some(principal) = self.label(&source, &about).await else { return };
        self.visible(found.place.client, &ours.name, &principal, &about);
        if self.reach == Reach::Everything {
            self.listed(&url, source, &about).await;
        }
    }

    fn is_ours(&self, server: &Server) -> bool {
        server.name == clients::OWN_NAME || server.is_gateway(self.url)
    }

    /// What the client sends with each request, and where.
    fn sent(&mut self, server: &Server, about: &str) -> Sent {
        match &server.launch {
            Launch::Process { command, env, .. } => {
                let known = |name: &str| std::env::var(name).ok();
                let words: Vec<String> = command.iter().filter_map(|word| word.resolve(known).ok()).collect();
                let after = |option: &str| {
                    let at = words.iter().position(|word| word == option)?;
                    words.get(at + 1).cloned()
                };
                if after("--socket").is_some() {
                    return Sent::Socket;
                }
                let Some(url) = after("--url") else {
                    let fix = "add `--url` and the address of the gateway to its arguments";
                    let message = "the bridge is not told where the gateway is";
                    self.findings.push(Finding::problem("wrong_place", about, message, fix));
                    return Sent::Unknown;
                };
                self.place(&url, about);
                if let Some(path) = after("--key-file").or_else(|| after("--token-file")) {
                    return Sent::Credential(CredentialSource::File(PathBuf::from(path)), url);
                }
                match after("--key-env").and_then(|name| env.get(&name).cloned()) {
                    Some(value) => self.of_value(&value, about, url),
                    None => self.missing(about),
                }
            }
            Launch::Http { url, headers, .. } => {
                let url = url.resolve(|name| std::env::var(name).ok()).unwrap_or_default();
                self.place(&url, about);
                let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
                match header {
                    Some((_, value)) => self.of_value(&value.clone(), about, url),
                    None => self.missing(about),
                }
            }
        }
    }

    fn missing(&mut self, about: &str) -> Sent {
        let fix = format!(
            "give it `Authorization: Bearer` and a key, or the bridge with `--key-file` (`sluicegate clients`); \
             Codex reads `http_headers` or `bearer_token_env_var`, not `headers`; the snippets use ${KEY_VARIABLE}"
        );
        let message = "it sends no credential, so that every request is refused";
        self.findings.push(Finding::problem("header_lost", about, message, fix));
        Sent::Unknown
    }

    /// The credential in the value of a header, or of an environment variable.
    fn of_value(&mut self, value: &Value, about: &str, url: String) -> Sent {
        let known = |name: &str| std::env::var(name).ok();
        match value.resolve(known) {
            Ok(text) => {
                let text = text.strip_prefix("Bearer ").unwrap_or(&text);
                match credential::of_text(text) {
                    Ok(credential) => Sent::Credential(CredentialSource::Known(credential), url),
                    Err(error) => {
                        let fix = "send `Bearer` and one key or token";
                        self.findings.push(Finding::problem("credential", about, format!("{error:#}"), fix));
                        Sent::Unknown
                    }
                }
            }
            Err(Unresolved::Unset(name)) => {
                let message =
                    format!("its key is in the environment variable `{name}`, which is not set here");
                let fix =
                    "set it where the client is started; a client sends the reference itself, or no header";
                self.findings.push(Finding::problem("header_lost", about, message, fix));
                Sent::Unknown
            }
            Err(Unresolved::Asked(id)) => {
                let message =
                    format!("it asks its user for the key (`{id}`), which cannot be looked at from here");
                self.findings.push(Finding::note("credential", about, message, "nothing, if it works"));
                Sent::Unknown
            }
        }
    }

    /// Whether the client looks where the gateway listens.
    fn place(&mut self, at: &str, about: &str) {
        let Some(url) =
            self.url.filter(|url| at.trim_end_matches('/').replace("//localhost:", "//127.0.0.1:") != *url)
        else {
            return;
        };
        let message = format!("it looks for the gateway at {at}, and that is at {url}");
        self.findings.push(Finding::problem("wrong_place", about, message, format!("write {url} there")));
    }

    /// Who the holder of the credential is.
    async fn label(&mut self, source: &CredentialSource, about: &str) -> Option<Arc<Principal>> {
        let credential = match source.read().await {
            Ok(credential) => credential?,
            Err(error) => {
                let fix = "put the key there, with mode 0600; `sluicegate key new` makes one";
                self.findings.push(Finding::problem("credential", about, format!("{error:#}"), fix));
                return None;
            }
        };
        let text = credential.value.to_str().unwrap_or_default();
        let text = text.strip_prefix("Bearer ").unwrap_or(text);
        if !text.starts_with(crate::identity::KEY_PREFIX) {
            let message = "it presents a token, which only the running gateway can look at";
            let fix = "`sluicegate token inspect` says what it says";
            self.findings.push(Finding::note("credential", about, message, fix));
            return None;
        }
        let hash = Sha256::of(text.as_bytes());
        let key = self.config.identity.keys.iter().find(|key| key.hash == hash);
        if key.is_none() {
            let message = "no key of the configuration is the one that it presents";
            let fix = "put the hash of its key into `[auth.keys.NAME]`, or give it a key that is there";
            self.findings.push(Finding::problem("credential", about, message, fix));
        }
        key.map(|key| Arc::clone(&key.principal))
    }

    /// What the label lets it see, and what the client makes of the names.
    fn visible(&mut self, client: Client, server: &str, principal: &Principal, about: &str) {
        let visible: Vec<_> =
            self.compiled.policy.visible(principal, Clock::system().wall()).cloned().collect();
        let visible: Vec<_> = visible.iter().filter_map(|id| self.catalogue.tool(id)).collect();
        let sources: Vec<&str> = principal.sources.iter().map(|source| source.as_str()).collect();
        let label = format!("{} for {}", sources.join(", "), principal.subject);
        if visible.is_empty() {
            let message = format!("as {label} it sees no tool");
            let fix = "look at the lists of its source, its roles and, where there are any, its agent: \
                       `sluicegate matrix`; `gateway.lock` has to hold the tools";
            self.findings.push(Finding::problem("label", about, message, fix));
            return;
        }
        let long = visible.iter().filter_map(|tool| {
            let (shown, max) = client.shown_name(server, &tool.wire_name);
            (shown.chars().count() > max).then(|| tool.id.to_string())
        });
        let long: Vec<String> = long.collect();
        if !long.is_empty() {
            let message = format!("the names of these tools are too long for it: {}", long.join(", "));
            let fix = "give them a `name` in `tools`, their upstream a shorter one, or the gateway one in the client's file";
            self.findings.push(Finding::problem("name_too_long", about, message, fix));
        }
        self.good.push(format!("{about}: {} tools, as {label}", visible.len()));
    }

    /// What a running gateway lists for it.
    async fn listed(&mut self, url: &str, source: CredentialSource, about: &str) {
        match probe::tools(url, source).await {
            Said::Nothing => {
                let message = format!("no gateway answers at {url}");
                self.findings.push(Finding::problem("not_running", about, message, "run `sluicegate serve`"));
            }
            Said::Refused(reason) => {
                let message = format!("the running gateway refuses it ({reason})");
                let fix =
                    "docs/REASONS.md says why; after a change of the configuration: `sluicegate reload`";
                self.findings.push(Finding::problem("refused", about, message, fix));
            }
            Said::Strange => {
                let message = format!("what answers at {url} is no gateway");
                let fix = "look at what else listens there, or choose another port";
                self.findings.push(Finding::problem("wrong_place", about, message, fix));
            }
            Said::Tools(0) => {
                let message = "the running gateway lists no tool to it";
                let fix = "`sluicegate audit tail` shows the list that it asked for; `sluicegate reload` takes up changes";
                self.findings.push(Finding::problem("label", about, message, fix));
            }
            Said::Tools(count) => {
                self.good.push(format!("{about}: the running gateway lists {count} tools to it"))
            }
        }
    }

    /// Some clients drop the headers that they were given once a server says that it wants a login.
    async fn address(&mut self) {
        let Some(url) = self.url else { return };
        let root = url.trim_end_matches("/mcp");
        for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server"] {
            let Some(status) = probe::status(&format!("{root}{path}")).await else { return };
            if status.is_success() {
                let message = format!("{root}{path} answers, so that some clients log in and drop the key");
                let fix =
                    "a proxy or another program answers there: let only the gateway answer at this address";
                self.findings.push(Finding::problem("discovery", root, message, fix));
            }
        }
    }
}
