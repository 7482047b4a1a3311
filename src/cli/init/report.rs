//! What `init` found, did, and leaves to do.
//!
//! Must never show a value of a client's file: names, counts and reasons alone. Progress goes to standard error, the
//! answer to standard output.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::find::Finds;
use crate::cli::form::Form;
use crate::clients::{Client, EditError, Written};
use crate::model::text::printable;
use crate::proposal::Server;

/// What was found, before anything is started.
pub(super) fn found(finds: &Finds) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for error in &finds.unreadable {
        writeln!(err, "warning: {}", printable(&error.to_string()))?;
    }
    for candidate in &finds.candidates {
        let origins: Vec<String> =
            candidate.origins.iter().map(|(place, _)| file(place.client, &place.path)).collect();
        writeln!(err, "{}  {}  from {}", candidate.name, how(&candidate.server.launch), origins.join("; "))?;
    }
    for (place, skipped) in &finds.skipped {
        let (name, file) = (printable(&skipped.name), file(place.client, &place.path));
        writeln!(err, "left out: {name} of {file}: {}", skipped.why)?;
    }
    Ok(())
}

/// How a server is started, without its arguments, which may hold secrets.
fn how(launch: &crate::clients::Launch) -> String {
    use crate::clients::Launch;
    let written = |value: &crate::clients::Value| value.resolve(|_| None).unwrap_or_default();
    match launch {
        Launch::Process { command, .. } => {
            let program = command.first().map(written).unwrap_or_default();
            let package = command
                .iter()
                .skip(1)
                .map(written)
                .find(|word| !word.starts_with('-') && !crate::proposal::is_secret_argument("", word));
            printable(&format!("`{program} {}…`", package.map(|word| format!("{word} ")).unwrap_or_default()))
        }
        Launch::Http { url, .. } => {
            let url = written(url);
            let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            printable(&format!("at {host}"))
        }
    }
}

fn file(client: Client, path: &Path) -> String {
    printable(&format!("{} ({})", client.title(), path.display()))
}

/// Why nothing is written.
pub(super) fn failed(servers: &[Server]) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for server in servers {
        let why = server.failed.as_deref().unwrap_or_default();
        writeln!(err, "{}: {}", server.name, printable(why))?;
    }
    Ok(())
}

/// The answer.
#[derive(Debug)]
pub(super) struct Report {
    configuration: PathBuf,
    servers: Vec<(String, String, usize, Option<String>)>,
    old: Vec<PathBuf>,
    clients: Vec<Done>,
}

/// What became of a client's file.
#[derive(Debug)]
struct Done {
    client: Client,
    path: PathBuf,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Written(Option<PathBuf>),
    Left { why: Option<String>, snippet: String },
}

impl Report {
    pub(super) fn new(configuration: &Path, servers: &[Server]) -> Self {
        let one = |server: &Server| {
            (server.name.clone(), server.returns.0.clone(), server.tools.len(), server.failed.clone())
        };
        Self {
            configuration: configuration.to_owned(),
            servers: servers.iter().map(one).collect(),
            old: Vec::new(),
            clients: Vec::new(),
        }
    }

    /// Whether the server of this name is taken over.
    pub(super) fn is_live(&self, name: &str) -> bool {
        self.servers.iter().any(|(known, _, _, failed)| known == name && failed.is_none())
    }

    /// What was there before.
    pub(super) fn old(&mut self, copy: Option<PathBuf>) {
        self.old.extend(copy);
    }

    pub(super) fn snippet(&mut self, client: Client, path: &Path, snippet: String) {
        let outcome = Outcome::Left { why: None, snippet };
        self.clients.push(Done { client, path: path.to_owned(), outcome });
    }

    pub(super) fn applied(&mut self, client: Client, written: Written) {
        let outcome = Outcome::Written(written.backup);
        self.clients.push(Done { client, path: written.path, outcome });
    }

    pub(super) fn not_applied(&mut self, client: Client, path: &Path, error: &EditError, snippet: String) {
        let outcome = Outcome::Left { why: Some(error.to_string()), snippet };
        self.clients.push(Done { client, path: path.to_owned(), outcome });
    }

    /// Writes the answer, as JSON where `form` says so.
    pub(super) fn write(&self, form: impl Into<Form>) -> anyhow::Result<()> {
        match form.into() {
            Form::Json => super::json(&self.to_json()),
            Form::Text => Ok(self.text(&mut io::stdout().lock())?),
        }
    }

    fn to_json(&self) -> Value {
        let upstreams = self.servers.iter().map(|(name, returns, tools, failed)| {
            json!({ "name": name, "returns": returns, "tools": tools, "failed": failed })
        });
        let clients = self.clients.iter().map(|Done { client, path, outcome }| match outcome {
            Outcome::Written(backup) => {
                json!({ "client": client.word(), "file": path, "written": true, "backup": backup })
            }
            Outcome::Left { why, snippet } => json!({
                "client": client.word(), "file": path, "written": false, "why": why, "snippet": snippet,
            }),
        });
        json!({
            "configuration": self.configuration,
            "upstreams": upstreams.collect::<Vec<_>>(),
            "clients": clients.collect::<Vec<_>>(),
            "old": self.old,
        })
    }

    fn text(&self, out: &mut impl Write) -> io::Result<()> {
        let path = |path: &Path| printable(&path.to_string_lossy());
        writeln!(out, "\nwritten: {}, with gateway.lock and secrets/ beside it", path(&self.configuration))?;
        for (name, returns, tools, failed) in &self.servers {
            match failed {
                None => writeln!(out, "  {name}: {tools} tools; what they return counts as `{returns}`")?,
                Some(why) => writeln!(out, "  {name}: a comment for now: {}", printable(why))?,
            }
        }
        for old in &self.old {
            writeln!(out, "what was there before: {}", path(old))?;
        }
        for Done { client, path: file, outcome } in &self.clients {
            let (title, file) = (client.title(), path(file));
            match outcome {
                Outcome::Written(Some(backup)) => {
                    writeln!(
                        out,
                        "{title} now asks the gateway: {file} (before, secrets included: {})",
                        path(backup)
                    )?;
                }
                Outcome::Written(None) => writeln!(out, "{title} now asks the gateway: {file}")?,
                Outcome::Left { why, snippet } => {
                    if let Some(why) = why {
                        writeln!(out, "\n{title}: {}", printable(why))?;
                    }
                    writeln!(
                        out,
                        "\n# {title}: put this into {file}, in the place of the servers above\n{snippet}"
                    )?;
                }
            }
        }
        let config = path(&self.configuration);
        writeln!(out, "\nNext: read {config}; then\n  sluicegate check --config {config}")?;
        writeln!(out, "  sluicegate serve --config {config}\n  sluicegate doctor --config {config}")
    }
}
