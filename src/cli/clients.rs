//! `sluicegate clients`: what each client needs to reach the gateway of a configuration.
//!
//! Must never show a key: a snippet says where it is kept. Writes nothing but its answer.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::admin::{conclude, configuration};
use super::way::{KEY_FILE, KEY_VARIABLE, Way, client, folders};
use crate::clients::{Client, Folders};
use crate::model::text::printable;

/// The arguments of `clients`.
#[derive(Debug, clap::Args)]
pub(super) struct Clients {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "gateway.toml", env = "SLUICEGATE_CONFIG")]
    config: PathBuf,
    /// Only this client; may be repeated
    #[arg(long = "client", value_name = "NAME", value_parser = client)]
    only: Vec<Client>,
    /// Where clients reach the gateway, where the configuration does not say it
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The file with the key; by default secrets/clients.key beside the configuration
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Write one JSON array instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Clients) -> anyhow::Result<ExitCode> {
    conclude(answer(command, &mut std::io::stdout().lock()))
}

fn answer(command: &Clients, out: &mut impl Write) -> anyhow::Result<()> {
    let config = configuration(&command.config)?;
    let way = command.url.clone().map(Way::Url).or_else(|| Way::into(&config));
    let way = way.context("the configuration names no address that clients could use; say it with --url")?;
    let key_file = match &command.key_file {
        Some(path) => path.clone(),
        None => beside(&command.config, KEY_FILE),
    };
    let key_file = std::path::absolute(key_file)?;
    let folders = folders()?;
    let wanted = Client::ALL.into_iter().filter(|one| command.only.is_empty() || command.only.contains(one));
    let all: Vec<Needs> =
        wanted.map(|one| needs(one, &way, &key_file, &folders)).collect::<Result<_, _>>()?;
    if command.json {
        return super::admin::json(&all, out);
    }
    for one in &all {
        text(one, out)?;
    }
    if !key_file.exists() && way.url().is_some() {
        writeln!(
            out,
            "# There is no key in {} yet: `sluicegate key new --name clients > {0}` makes one (chmod 600), and \
             prints the table for the configuration.",
            printable(&key_file.to_string_lossy())
        )?;
    }
    Ok(())
}

/// What one client needs.
#[derive(serde::Serialize)]
struct Needs {
    client: &'static str,
    title: &'static str,
    files: Vec<PathBuf>,
    /// Where it starts the bridge.
    snippet: String,
    /// Where it reaches the gateway by itself.
    snippet_by_url: Option<String>,
}

fn needs(client: Client, way: &Way, key_file: &Path, folders: &Folders) -> anyhow::Result<Needs> {
    let mut files: Vec<PathBuf> = client.places(folders).into_iter().map(|place| place.path).collect();
    files.dedup();
    Ok(Needs {
        client: client.word(),
        title: client.title(),
        files,
        snippet: client.snippet(&way.bridge(key_file)?),
        snippet_by_url: way.url().and_then(|url| client.snippet_by_url(url, KEY_VARIABLE)),
    })
}

fn text(needs: &Needs, out: &mut impl Write) -> std::io::Result<()> {
    let Needs { title, files, snippet, snippet_by_url, .. } = needs;
    let files: Vec<String> = files.iter().map(|path| printable(&path.to_string_lossy())).collect();
    writeln!(out, "# {title}: {}\n\n{snippet}", files.join(", "))?;
    if let Some(by_url) = snippet_by_url {
        writeln!(out, "# or, with the key in ${KEY_VARIABLE} or asked of you:\n\n{by_url}")?;
    }
    Ok(())
}

/// The file `name` in the folder of the configuration.
pub(super) fn beside(config: &Path, name: &str) -> PathBuf {
    config.with_file_name("").join(name)
}
