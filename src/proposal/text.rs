//! The text of a first `gateway.toml`: what it says, why, and the tests that prove it.
//!
//! The policy: what the user types may use what the user had before. What came from somebody else may only read on;
//! what writes, sends, executes or loads then asks a person. Must never hold a secret: it says where one is kept.

mod policy;
mod server;

use std::collections::{BTreeMap, BTreeSet};

use super::{Labels, OWN_ROLE, OWN_SOURCE, OWN_SUBJECT};

/// Which definitions count: those that `gateway.lock` holds.
const PINS: &str = "lock";

/// Everything that the text is made of.
#[derive(Debug)]
pub struct Configuration<'a> {
    /// Where the gateway listens.
    pub address: &'a str,
    /// The digest of the key of the user's clients, as it is written.
    pub hash: &'a str,
    /// The servers, in the order in which they stand.
    pub servers: &'a [Server],
}

/// One server that is taken over.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its name as an upstream.
    pub name: String,
    /// Where it was found, for people.
    pub found_in: Vec<String>,
    /// How it is started or reached.
    pub launch: Launch,
    /// The source of what it returns, and why.
    pub returns: (String, String),
    /// What it offers.
    pub tools: Vec<Tool>,
    /// Tools that were switched off in the client.
    pub off: Vec<String>,
    /// Why it is not taken over yet.
    pub failed: Option<String>,
}

/// One tool of a server.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its own name.
    pub name: String,
    /// What is proposed of it.
    pub labels: Labels,
}

/// How a server is started or reached, as it is written.
#[derive(Debug, Clone)]
pub enum Launch {
    /// A process.
    Process {
        /// Program and arguments.
        command: Vec<String>,
        /// Its environment.
        env: BTreeMap<String, Written>,
        /// Where it runs; beside the configuration where nothing is said.
        cwd: Option<String>,
    },
    /// An endpoint.
    Http {
        /// Where.
        url: String,
        /// Sent with each request.
        headers: BTreeMap<String, Written>,
        /// Whether it speaks HTTP+SSE alone.
        is_event_stream: bool,
    },
}

/// A value, or where it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// As it is.
    Text(String),
    /// In an environment variable.
    Env(String),
    /// In a file.
    File(String),
}

impl Configuration<'_> {
    /// `gateway.toml`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = self.head();
        for server in self.servers {
            out.push_str(&server::section(server));
        }
        out.push_str(&policy::sections(self));
        out.push_str(&policy::tests(self));
        out
    }

    /// On which lines the section of each server stands, with its name.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, std::ops::RangeInclusive<u32>)> {
        let mut line = count(&self.head()) + 1;
        let mut lines = Vec::new();
        for server in self.servers {
            let length = count(&server::section(server));
            lines.push((server.name.clone(), line..=line + length.saturating_sub(1)));
            line += length;
        }
        lines
    }

    fn head(&self) -> String {
        let Self { address, hash, .. } = self;
        format!(
            r#"#:schema ./gateway.schema.json
# Written by `sluicegate init`. It is yours now: read it, and change what is not right.
#   sluicegate check     says everything that is wrong with it, and runs the tests at its end
#   sluicegate doctor    says what is wrong with clients and tool servers
#   sluicegate serve     serves it

[gateway]
state_dir = "state"              # the journal, and what the gateway remembers of runs

[listen.main]                    # http://{address}/mcp; each request needs the key
address = "{address}"

# Your own clients hold this key. Whatever starts agents by itself (mail, a timer, a webhook) gets a credential of
# its own, which says so: `sluicegate key new --source email`, or docs/TRIGGERS.md.
[auth.keys.clients]
hash = "{hash}"
vouches = {{ source = "{OWN_SOURCE}", subject = "{OWN_SUBJECT}", roles = ["{OWN_ROLE}"] }}
run = "session"                  # a new session begins without what an earlier one has read: you sit in front of it

# The tool servers, and who can write what each returns. `classes` and the rest were proposed from names and
# schemas, in doubt too much: a tool that really only reads may say so. One that only tells that it has done
# something may say `returns = "trusted"`; until you say it, its answer narrows the run like everything else.

"#
        )
    }

    /// The servers that are taken over.
    fn live(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(|server| server.failed.is_none())
    }

    /// The sources of what they return.
    fn sources(&self) -> BTreeSet<&str> {
        self.live().map(|server| server.returns.0.as_str()).collect()
    }
}

fn count(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX)
}

/// An array of strings, on one line or on several.
fn array(items: &[String]) -> String {
    use crate::model::text::toml_string;
    let quoted: Vec<String> = items.iter().map(|item| toml_string(item)).collect();
    let line = format!("[{}]", quoted.join(", "));
    if line.len() <= LINE_CHARS_WIDE {
        return line;
    }
    let lines: String = quoted.iter().map(|item| format!("    {item},\n")).collect();
    format!("[\n{lines}]")
}

/// From this length on an array stands on several lines.
const LINE_CHARS_WIDE: usize = 90;

#[cfg(test)]
mod tests;
