//! `sluicegate init`: takes over the tool servers of the user's clients, and writes a first configuration.
//!
//! Must never start anything that was not shown and agreed to, overwrite a configuration that is there, show or leave
//! in `gateway.toml` what looks like a secret (I10), nor change a client's file unless it is told to. What it writes
//! has passed the check of the reader, its tests included; where that fails nothing of it stays.

mod agree;
mod ask;
mod find;
mod put;
mod report;
mod secrets;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::schema::{SCHEMA, SCHEMA_FILE};
use super::way::{self, KEY_FILE, Way};
use super::{admin, exit};
use crate::clients::{self, Change, Folders};
use crate::proposal::{Configuration, Server};
use crate::{config, identity};

use agree::Agree;
use find::Finds;
use put::Placed;
use report::Report;
use secrets::FOLDER;

const CONFIGURATION: &str = "gateway.toml";
const LOCK: &str = "gateway.lock";
const SECRET_MODE: u32 = 0o600;
const PLAIN_MODE: u32 = 0o644;

/// The arguments of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// A client's file to take servers from, instead of looking for those of every client; may be repeated
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// The folder for gateway.toml, gateway.lock and secrets/
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where the gateway will listen; a loopback address
    #[arg(long, default_value = "127.0.0.1:7400", value_parser = loopback)]
    address: SocketAddr,
    /// Do not ask before the servers are started to list their tools
    #[arg(long)]
    yes: bool,
    /// Put the gateway into the clients' files in the place of the servers, each with a copy of what it was
    #[arg(long)]
    apply: bool,
    /// Start no server: tools and what they may do are left for later
    #[arg(long)]
    offline: bool,
    /// Replace a configuration that is there; the old files stay beside it
    #[arg(long)]
    force: bool,
    /// Longest time for one server to start and list its tools
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "write an address and a port: 127.0.0.1:7400")?;
    let fits = address.ip().is_loopback() && address.port() != 0;
    if fits {
        Ok(address)
    } else {
        Err("it has to be a port of this machine alone: 127.0.0.1:7400".to_owned())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "write a number and a unit: 60s".to_owned())
}

#[tokio::main]
pub(super) async fn run(command: Init) -> anyhow::Result<ExitCode> {
    tokio::select! {
        done = init(&command) => done,
        _ = tokio::signal::ctrl_c() => bail!("stopped; nothing was written"),
    }
}

async fn init(command: &Init) -> anyhow::Result<ExitCode> {
    let folders = way::folders()?;
    let dir = folder(&command.dir)?;
    let target = dir.join(CONFIGURATION);
    if target.symlink_metadata().is_ok() && !command.force {
        let help = "--force replaces it and keeps the old one beside it, --dir takes another folder";
        bail!("there is a configuration in `{}`: {help}", target.display());
    }
    let finds = find::look(&command.from, &folders)?;
    report::found(&finds)?;
    if finds.candidates.is_empty() {
        let help = "name a client's file with --from, or write gateway.toml by hand (docs/CONFIGURATION.md)";
        bail!("no client has a tool server that could be taken over: {help}");
    }
    let agree = Agree::of(command.yes);
    if !command.offline && !agree.to("Start these servers to list their tools?", "--yes, or --offline")? {
        bail!("nothing was started and nothing was written");
    }
    let mut placed = Placed::default();
    let key = identity::mint()?;
    let hash = identity::hash_text(key.hash);
    let mut servers = put_secrets(&finds, &dir, key.reveal(), &mut placed)?;
    let address = command.address.to_string();
    let mut draft = Draft { dir: &dir, address: &address, hash: &hash };
    let lock = ask::all(command, &finds, &mut servers, &mut draft).await?;
    if servers.iter().all(|server| server.failed.is_some()) {
        report::failed(&servers)?;
        bail!("none of the servers can be taken over; nothing was written");
    }
    let mut report = Report::new(&target, &servers);
    if let Some(lock) = lock {
        report.old(placed.file(&dir.join(LOCK), &lock, PLAIN_MODE)?);
    }
    let text = draft.text(&servers);
    draft.check(&text).map_err(|problems| exit::configuration(&problems))?;
    placed.file(&dir.join(SCHEMA_FILE), SCHEMA.as_bytes(), PLAIN_MODE)?;
    report.old(placed.file(&target, text.as_bytes(), PLAIN_MODE)?);
    placed.keep();
    apply(command, &agree, &finds, (&dir, &folders), &mut report)?;
    report.write(command.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Puts the secrets of every server, and the key of the clients, into files of their own.
fn put_secrets(finds: &Finds, dir: &Path, key: &str, placed: &mut Placed) -> anyhow::Result<Vec<Server>> {
    let environment = |name: &str| std::env::var(name).ok();
    placed.folder(&dir.join(FOLDER))?;
    let taken = std::fs::read_dir(dir.join(FOLDER))?;
    let names = taken.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut taken: BTreeSet<String> = names.map(|name| format!("{FOLDER}/{name}")).collect();
    // A repository that the folder lies in shall never hold what is in it.
    let ignore = dir.join(FOLDER).join(".gitignore");
    if !ignore.exists() {
        placed.file(&ignore, b"*\n", PLAIN_MODE)?;
    }
    placed.file(&dir.join(KEY_FILE), format!("{key}\n").as_bytes(), SECRET_MODE)?;
    taken.insert(KEY_FILE.to_owned());
    let mut servers = Vec::new();
    for candidate in &finds.candidates {
        let secrets::Taken { server, secrets } = secrets::take(candidate, &environment, &mut taken, dir);
        for secret in secrets {
            placed.file(&dir.join(&secret.path), format!("{}\n", secret.value).as_bytes(), SECRET_MODE)?;
        }
        servers.push(server);
    }
    Ok(servers)
}

/// Puts the gateway into the clients' files, where that is wanted.
fn apply(
    command: &Init,
    agree: &Agree,
    finds: &Finds,
    (dir, folders): (&Path, &Folders),
    report: &mut Report,
) -> anyhow::Result<()> {
    let way = Way::Url(format!("http://{}/mcp", command.address));
    let bridge = way.bridge(&dir.join(KEY_FILE))?;
    let is_live = |name: &str| report.is_live(name);
    let removals = finds.removals(is_live);
    let wanted = command.apply
        || (!command.json
            && agree.is_asked()
            && agree
                .to("Put the gateway into the clients' files in the place of these servers?", "--apply")?);
    for (place, remove) in removals {
        if !wanted {
            report.snippet(place.client, &place.path, place.client.snippet(&bridge));
            continue;
        }
        match clients::write(&Change { place: &place, bridge: &bridge, remove: &remove }, folders) {
            Ok(written) => report.applied(place.client, written),
            Err(error) => {
                report.not_applied(place.client, &place.path, &error, place.client.snippet(&bridge))
            }
        }
    }
    Ok(())
}

/// The folder for the configuration, made where there is none.
fn folder(dir: &Path) -> anyhow::Result<PathBuf> {
    let cannot = || format!("cannot use the folder `{}`", dir.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(cannot)?;
    dir.canonicalize().with_context(cannot)
}

/// A configuration that is not in place yet.
struct Draft<'a> {
    dir: &'a Path,
    address: &'a str,
    hash: &'a str,
}

impl Draft<'_> {
    fn text(&self, servers: &[Server]) -> String {
        Configuration { address: self.address, hash: self.hash, servers }.text()
    }

    /// What the reader says of `text`, as if it were in place.
    fn check(&self, text: &str) -> Result<config::Config, config::Problems> {
        let path = self.dir.join(format!(".{CONFIGURATION}.draft"));
        let unwritten = |_| config::Problems::of(Vec::new());
        std::fs::write(&path, text).map_err(unwritten)?;
        let loaded = config::load(&path);
        let _gone = std::fs::remove_file(&path);
        loaded
    }

    /// The settings of the servers that can be taken over; those that cannot are marked with the reason.
    fn settings(&self, servers: &mut [Server]) -> anyhow::Result<Vec<crate::upstream::Settings>> {
        // Each round marks at least one.
        for _ in 0..=servers.len() {
            let all = Configuration { address: self.address, hash: self.hash, servers };
            let (text, lines) = (all.text(), all.lines());
            let problems = match self.check(&text) {
                Ok(config) => return Ok(config.upstreams),
                Err(problems) => problems,
            };
            let mut marked = 0;
            for problem in problems.iter().filter(|problem| problem.severity == config::Severity::Error) {
                let at = lines.iter().find(|(_, lines)| lines.contains(&problem.place.line));
                let server = at.and_then(|(name, _)| servers.iter_mut().find(|server| server.name == *name));
                if let Some(server) = server.filter(|server| server.failed.is_none()) {
                    server.failed = Some(format!("{} ({})", problem.message, problem.help));
                    marked += 1;
                }
            }
            if marked == 0 {
                return Err(exit::configuration(&problems));
            }
        }
        Ok(Vec::new())
    }
}

/// Writes `value` to standard output as JSON.
fn json(value: &serde_json::Value) -> anyhow::Result<()> {
    admin::json(value, &mut std::io::stdout().lock())
}
