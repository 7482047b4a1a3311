//! `sluicegate demo`: the gateway on loopback before demo tool servers, with keys to paste, each call live.
//!
//! It writes a `gateway.toml` and serves it as `serve` would, so that what is seen here is what a person
//! gets with their own. Must never show more of a key than the person at this terminal is meant to paste,
//! nor leave a process or, without `--keep`, a file behind.

mod live;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::place::Place;
use super::{demo_upstream, serve};
use crate::demo::{Key, Kind, Paste, Setup, snippets};
use crate::identity;

/// The arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Where the gateway listens; a loopback address
    #[arg(long, default_value = "127.0.0.1:7400")]
    address: SocketAddr,
    /// Keep configuration, state and journal in this new directory, to go on from with `sluicegate serve`
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// What starts agents in the demo, each with its key.
const SOURCES: [(&str, &str); 3] =
    [("chat", "the user typed to the agent"), ("email", "a mail came in"), ("cron", "a timer went off")];

/// Longest wait for the demo browser to say where it listens.
const BROWSER_WAIT: Duration = Duration::from_secs(10);
/// Longest first line of the demo browser, in bytes.
const BROWSER_LINE_BYTES_MAX: u64 = 256;

#[tokio::main]
pub(super) async fn run(command: Demo) -> anyhow::Result<ExitCode> {
    let place = Place::new(command.keep)?;
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    // Ends when this process does, however it does: its standard input is a pipe that we hold.
    let (_browser, browser_url) = browser(&program).await.context("cannot start the demo browser")?;

    let mut keys = Vec::new();
    for (source, meaning) in SOURCES {
        keys.push((source, meaning, identity::mint()?));
    }
    let hashes: Vec<_> =
        keys.iter().map(|(source, _, key)| (*source, identity::hash_text(key.hash))).collect();
    let hashed: Vec<_> = hashes.iter().map(|(source, hash)| Key { source, hash }).collect();
    let (addr, browser_url) = (command.address, browser_url.as_str());
    let setup = Setup { addr, program: &program, browser_url, keys: &hashed };
    let config = place.write("gateway.toml", &setup.configuration())?;

    let mut signals = serve::Signals::new(serve::OnHangUp::Stop)?;
    let mut running = serve::start(&config, serve::Activation::default()).await?;
    introduce(&place, &running, &keys)?;
    let journal_dir = running.journal_dir.clone();
    tokio::select! {
        seen = live::follow(&journal_dir) => seen?,
        () = running.heed(&mut signals) => (),
    }
    running.stop().await?;
    Ok(ExitCode::SUCCESS)
}

fn introduce(
    place: &Place,
    running: &serve::Running,
    keys: &[(&str, &str, identity::MintedKey)],
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let url = running.listening.first().map_or("", |(_, url)| url);
    writeln!(out, "The gateway listens on {url}, before a mailbox, a calendar and a browser.")?;
    writeln!(out, "Its configuration and journal are in {place}.\n")?;
    writeln!(out, "A key says what started the agent that holds it, and the agent cannot change that:\n")?;
    for (source, meaning, key) in keys {
        writeln!(out, "  {source:6} {}  {meaning}", key.reveal())?;
    }
    let pastes: Vec<_> = keys.iter().map(|(source, _, key)| Paste { source, key: key.reveal() }).collect();
    writeln!(out, "\n{}", snippets(url, &pastes))?;
    writeln!(
        out,
        "# To see what it is for: list the tools with the chat key and with the email key. Then, with the"
    )?;
    writeln!(
        out,
        "# chat key, fetch https://pasta.example/ and try to send mail: the page has joined the run.\n"
    )?;
    writeln!(out, "Each call as it is decided (Ctrl-C ends the demo):")?;
    Ok(())
}

/// Starts the demo browser, and waits until it says where it listens.
async fn browser(program: &Path) -> anyhow::Result<(Child, String)> {
    let mut command = Command::new(program);
    command.args(["demo-upstream", Kind::Browser.name(), "--http", "127.0.0.1:0"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let Some(said) = child.stdout.take() else { bail!("it has no standard output") };
    let mut line = String::new();
    let mut said = BufReader::new(said.take(BROWSER_LINE_BYTES_MAX));
    tokio::time::timeout(BROWSER_WAIT, said.read_line(&mut line)).await.context("it says nothing")??;
    match line.trim_end().strip_prefix(demo_upstream::LISTENING) {
        Some(url) => Ok((child, url.to_owned())),
        None => bail!("it says `{}`", crate::model::text::printable(line.trim_end())),
    }
}
