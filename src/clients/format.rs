//! What differs between clients: where their files are, how they write a server, and how they name its tools.
//!
//! Must never hold what two clients share: that is read by `server`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{Bridge, Folders, OWN_NAME, Scope};

/// Whose servers stand in which file, and the keys that lead to their table.
pub(super) type Where = (Scope, PathBuf, Vec<String>);

/// One kind of client.
pub(super) struct Format {
    /// Its name on the command line.
    pub(super) word: &'static str,
    /// Its name, for people.
    pub(super) title: &'static str,
    /// Where its servers may stand: whose they are, the file, and the keys that lead to their table.
    pub(super) places: fn(&Folders) -> Vec<Where>,
    /// Where it keeps which servers of a project are switched off, and under which key.
    pub(super) switched_off: Option<SwitchedOff>,
    /// How its files are written.
    pub(super) syntax: Syntax,
    /// How its values refer to variables.
    pub(super) references: References,
    /// The keys that may hold a URL, and whether such a one is HTTP+SSE.
    pub(super) urls: &'static [(&'static str, Transport)],
    /// The key of headers.
    pub(super) headers: &'static str,
    /// The value of `type` of a server that is started, where the client wants it said.
    pub(super) started_type: Option<&'static str>,
    /// What to write for a gateway at this URL, with the key in this environment variable.
    pub(super) by_url: Option<fn(&str, &str) -> String>,
    /// What stands before the name of a tool when the model sees it; `{server}` is the server's name.
    pub(super) name_before: &'static str,
    /// Longest name of a tool that the model may see.
    pub(super) name_max: usize,
}

/// Files that name servers which are switched off.
pub(super) struct SwitchedOff {
    pub(super) files: fn(&Folders) -> Vec<(Scope, PathBuf)>,
    pub(super) key: &'static str,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// JSON; comments and trailing commas are read, because several clients take them.
    Json,
    /// TOML.
    Toml,
}

/// How a value refers to a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum References {
    /// It does not.
    None,
    /// `${NAME}` and `${NAME:-default}`.
    Shell,
    /// `$NAME` and `${NAME}`.
    Dollar,
    /// `${env:NAME}`, `${input:ID}`, `${userHome}`, `${workspaceFolder}`.
    Named,
}

/// How an endpoint is spoken to, by the key or the type that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// The file does not say.
    Unsaid,
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE.
    Sse,
}

impl Format {
    /// The entry that starts `bridge`.
    pub(super) fn entry(&self, bridge: &Bridge) -> Value {
        let mut entry = Map::new();
        if let Some(started) = self.started_type {
            entry.insert("type".to_owned(), json!(started));
        }
        entry.insert("command".to_owned(), json!(bridge.program.to_string_lossy()));
        entry.insert("args".to_owned(), json!(bridge.arguments));
        Value::Object(entry)
    }

    /// What to write for `bridge`, as it stands in a file that holds nothing else.
    pub(super) fn snippet(&self, bridge: &Bridge) -> String {
        let entry = self.entry(bridge);
        match self.syntax {
            Syntax::Toml => super::edit::toml_entry(OWN_NAME, &entry),
            Syntax::Json => {
                let key = (self.places)(&nowhere()).into_iter().next();
                let key = key.and_then(|(_, _, section)| section.last().cloned()).unwrap_or_default();
                pretty(&json!({ key: { OWN_NAME: entry } }))
            }
        }
    }
}

/// JSON for people, ending with a line break.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn nowhere() -> Folders {
    let here = PathBuf::from(".");
    Folders { home: here.clone(), settings: here.clone(), project: here.clone(), codex: here }
}

/// `keys` as the way to a table.
pub(super) fn section(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}
