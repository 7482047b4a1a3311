//! A second process that cleans up where `run` cannot: it ends the command's group and removes its folder
//! when `run` is gone without a word, however it went.
//!
//! It sees the end by the pipe that both hold. (The kernel's parent-death signal reaches one process and
//! not what it started.) Must never act while `run` lives, nor after it said goodbye.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitCode, Stdio};

use anyhow::Context as _;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::signal::unix::{SignalKind, signal};

use super::child::{Reach, Running};
use super::place;

/// Lines that one run says to its guard; more say that it is not one.
const LINES_MAX: usize = 16;

/// Waits for the end of another `run`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RunGuard {}

/// The guard, as `run` holds it.
pub(super) struct Guard {
    process: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    pub(super) fn start() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot tell where this program is")?;
        let mut command = std::process::Command::new(own);
        // A group of its own: what ends ours does not end it.
        command.arg("run-guard").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().context("cannot start the guard of the run")?;
        let pipe = process.stdin.take();
        Ok(Self { process, pipe })
    }

    /// From now on this folder is removed.
    pub(super) async fn clean(&mut self, dir: &Path) -> anyhow::Result<()> {
        self.say(&format!("dir {}", dir.to_str().context("the folder of the run is not UTF-8")?))
    }

    /// From now on this command is ended.
    pub(super) async fn watch(&mut self, child: &Running) -> anyhow::Result<()> {
        self.say(&match child.reach() {
            Reach::Group(pid) => format!("group {}", pid.as_raw_nonzero()),
            Reach::Process(pid) => format!("process {}", pid.as_raw_nonzero()),
        })
    }

    /// Nothing is left to be cleaned up.
    pub(super) async fn dismiss(mut self) {
        if self.say("done").is_err() {
            tracing::warn!("the guard of the run is gone");
        }
        self.pipe = None;
        // It ends at once: it has heard the word.
        let _ended = self.process.wait();
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let pipe = self.pipe.as_mut().context("the guard of the run is gone")?;
        pipe.write_all(format!("{line}\n").as_bytes()).context("the guard of the run is gone")
    }
}

/// What a guard was told.
#[derive(Default)]
struct Told {
    dir: Option<PathBuf>,
    command: Option<Watched>,
}

enum Watched {
    Group(Pid),
    /// Held by a descriptor: its number cannot become another's.
    Process(std::os::fd::OwnedFd),
}

/// The guard itself.
#[tokio::main(flavor = "current_thread")]
pub(in crate::cli) async fn run(_: RunGuard) -> anyhow::Result<ExitCode> {
    // A terminal that goes away takes `run` with it, and this is what is then needed.
    let _deaf = (signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut told = Told::default();
    for _ in 0..LINES_MAX {
        let Some(line) = lines.next_line().await? else { break };
        match line.split_once(' ') {
            Some(("dir", path)) => told.dir = Some(path.into()),
            Some(("group", number)) => told.command = pid(number).map(Watched::Group),
            Some(("process", number)) => {
                let opened = pid(number).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
                told.command = opened.map(Watched::Process);
            }
            _ if line == "done" => return Ok(ExitCode::SUCCESS),
            _ => break,
        }
    }
    match told.command {
        Some(Watched::Group(pid)) => Reach::Group(pid).end().await,
        Some(Watched::Process(process)) => {
            // One that is gone already is no error.
            let _gone = pidfd_send_signal(&process, Signal::TERM);
            tokio::time::sleep(super::child::TERM_GRACE).await;
            let _gone = pidfd_send_signal(&process, Signal::KILL);
        }
        None => {}
    }
    if let Some(dir) = told.dir {
        place::remove(&dir);
    }
    Ok(ExitCode::SUCCESS)
}

fn pid(number: &str) -> Option<Pid> {
    Pid::from_raw(number.parse().ok()?)
}
