//! What `sluicegate demo` writes down: the configuration that it runs with, and the commands to paste.
//!
//! The configuration is the text that a person would write, and the gateway reads it from the file like
//! any other. Must never hold a key in the configuration, only its digest.

use std::net::SocketAddr;
use std::path::Path;

use crate::model::text::toml_string;

/// One key of the demo: the entry point of agents that one source starts.
#[derive(Debug)]
pub struct Key<'a> {
    /// The source it vouches for; also its name.
    pub source: &'a str,
    /// Its digest, as the configuration holds it.
    pub hash: &'a str,
}

/// Everything that the demo's configuration is made of.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Where the gateway listens.
    pub addr: SocketAddr,
    /// This program, which the tool servers are processes of.
    pub program: &'a Path,
    /// Where the demo browser listens.
    pub browser_url: &'a str,
    /// The keys.
    pub keys: &'a [Key<'a>],
}

impl Setup<'_> {
    /// `gateway.toml`.
    #[must_use]
    pub fn configuration(&self) -> String {
        let program = toml_string(&self.program.to_string_lossy());
        let (addr, browser_url) = (self.addr, toml_string(self.browser_url));
        let keys: String = self.keys.iter().map(Self::key).collect();
        format!(
            r#"# Written by `sluicegate demo`. Yours can look just like it; `gateway.toml` in the repository says more.

[gateway]
state_dir = "state"              # the journal, and what the gateway remembers of runs

[listen.main]                    # needs a key
address = "{addr}"

# Agents that were started by … hold the key that says so. The agent cannot change it.
{keys}
# The tool servers, and who can write what they return.
[upstreams.mail]
command = [{program}, "demo-upstream", "mail"]
returns = "email"                # mail is written by whoever sends it
tools = [                        # except what the server itself says when it has done something
  {{ tool = "send", returns = "trusted" }},
  {{ tool = "reply", returns = "trusted" }},
  {{ tool = "delete", returns = "trusted" }},
]

[upstreams.calendar]
command = [{program}, "demo-upstream", "calendar"]
returns = "email"                # invitations are written by whoever sends them
tools = [{{ tool = "create_event", returns = "trusted", stores = "subject" }}]   # what it writes is listed later

[upstreams.browser]
# A process of the demo. Later: sluicegate demo-upstream browser --http ADDRESS
url = {browser_url}
returns = "web"                  # pages are written by strangers

# What a run may do that was influenced by … Of several sources, the strictest answer counts.
[sources.chat]                   # the user typed it
allow = ["*"]

[sources.cron]                   # a timer of the user's went off
allow = ["mail.read_*", "mail.search", "mail.send", "calendar.*", "browser.fetch"]

[sources.email]                  # anyone can write an email
allow = ["mail.read_*", "mail.search", "calendar.list_*"]
plan  = ["calendar.create_event"]
ask   = ["mail.send", "mail.reply"]

[sources.web]                    # a page that the agent has read
allow = ["mail.read_*", "mail.search", "calendar.list_*", "browser.*"]
plan  = ["mail.send"]

[roles.assistant]
allow = ["mail.*", "calendar.*", "browser.*"]
"#
        )
    }

    fn key(key: &Key<'_>) -> String {
        let Key { source, hash } = key;
        format!(
            "[auth.keys.{source}]\nhash = \"{hash}\"\nvouches = {{ source = \"{source}\", subject = \"user:sam\", \
             roles = [\"assistant\"] }}\n\n"
        )
    }
}

/// A key that was just made, for a person to paste.
#[derive(Debug)]
pub struct Paste<'a> {
    /// The source it vouches for.
    pub source: &'a str,
    /// The key itself.
    pub key: &'a str,
}

/// What to paste into clients of the gateway at `url`.
#[must_use]
pub fn snippets(url: &str, keys: &[Paste<'_>]) -> String {
    let claude: String = keys.iter().map(|Paste { source, key }| {
        format!("claude mcp add --transport http demo-{source} {url} --header \"Authorization: Bearer {key}\"\n")
    }).collect();
    let servers: Vec<_> = keys.iter().map(|Paste { source, key }| {
        format!(
            r#"  "demo-{source}": {{"type": "http", "url": "{url}", "headers": {{"Authorization": "Bearer {key}"}}}}"#
        )
    }).collect();
    let servers = servers.join(",\n");
    let key = keys.first().map_or("", |paste| paste.key);
    format!(
        r#"# Claude Code
{claude}
# .mcp.json, for Claude Code and others
{{"mcpServers": {{
{servers}
}}}}

# MCP Inspector: what may this key see? Try another key.
npx @modelcontextprotocol/inspector --cli --server-url {url} --transport http \
  --header "Authorization: Bearer {key}" --method tools/list

# curl: one call
curl -sS {url} -H "Authorization: Bearer {key}" \
  -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
  -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: mail__read_inbox' \
  -d '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"mail__read_inbox","arguments":{{}},
       "_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}'
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml_whatever_the_path_of_the_program() {
        let keys = [Key { source: "chat", hash: "sha256:00" }];
        let setup = Setup {
            addr: "127.0.0.1:7400".parse().unwrap(),
            program: Path::new("/odd \"place\"\\\n/sluicegate"),
            browser_url: "http://127.0.0.1:1/mcp",
            keys: &keys,
        };
        let text = setup.configuration();
        let table = toml::de::DeTable::parse(&text).unwrap();
        let table = table.get_ref();
        let command = table["upstreams"].get_ref()["mail"].get_ref()["command"].get_ref();
        assert_eq!(command[0].get_ref().as_str(), setup.program.to_str());
        let key = table["auth"].get_ref()["keys"].get_ref()["chat"].get_ref();
        assert_eq!(key["hash"].get_ref().as_str(), Some("sha256:00"));
    }
}
