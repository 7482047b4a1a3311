//! A second process that cleans up where `run` cannot: it ends the command's group and removes its folder
//! when `run` is gone without a word, however it went.
//!
//! It sees the end by the pipe that both hold. (The kernel's parent-death signal reaches one process and
//! not what it started.) The command is started in the guard's own group, so the group is known before
//! there is a command: no death of `run` comes too early. Must never act while `run` lives, nor after it
//! said goodbye.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitCode, Stdio};

use anyhow::Context as _;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::AsyncBufReadExt as _;

use super::child::{Reach, Running, Signals, TERM_GRACE};
use super::place;

/// Lines that one run says to its guard; more say that it is not one.
const LINES_MAX: usize = 16;
/// What a guard says once no signal can end it any more.
const READY: &str = "ready";

/// Waits for the end of another `run`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RunGuard {}

/// The guard, as `run` holds it.
pub(super) struct Guard {
    process: Child,
    pipe: Option<ChildStdin>,
    group: Pid,
}

impl Guard {
    /// Starts it, in a group of its own, and waits until it hears.
    pub(super) fn start() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot tell where this program is")?;
        let mut command = std::process::Command::new(own);
        command.arg("run-guard").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let cannot = "cannot start the guard of the run";
        let mut process = command.spawn().context(cannot)?;
        let group = Pid::from_child(&process);
        let pipe = process.stdin.take();
        let mut word = String::new();
        BufReader::new(process.stdout.take().context(cannot)?).read_line(&mut word).context(cannot)?;
        anyhow::ensure!(word.trim() == READY, cannot);
        Ok(Self { process, pipe, group })
    }

    /// The group that the command is started in.
    pub(super) fn group(&self) -> Pid {
        self.group
    }

    /// From now on this folder is removed.
    pub(super) fn clean(&mut self, dir: &Path) -> anyhow::Result<()> {
        self.say(&format!("dir {}", dir.to_str().context("the folder of the run is not UTF-8")?))
    }

    /// From now on this command is ended too, where it is not in the guard's group.
    pub(super) fn watch(&mut self, child: &Running) -> anyhow::Result<()> {
        match child.reach() {
            Reach::Group(_) => Ok(()),
            Reach::Process(pid) | Reach::Session(pid) => {
                self.say(&format!("process {}", pid.as_raw_nonzero()))
            }
        }
    }

    /// Ends what the command left running; then nothing is left for the guard.
    pub(super) async fn dismiss(mut self) {
        // Until it is waited for, its group's number is its own. Where force was needed it is gone with the
        // rest, and hears nothing any more.
        Reach::Group(self.group).end(|| ()).await;
        let _heard = self.say("done");
        self.pipe = None;
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
    /// Held by a descriptor: its number cannot become another's.
    process: Option<std::os::fd::OwnedFd>,
}

/// The guard itself.
#[tokio::main(flavor = "current_thread")]
pub(in crate::cli) async fn run(_: RunGuard) -> anyhow::Result<ExitCode> {
    // What is passed on to the group is for the command, and a terminal that goes away takes `run` with
    // it, which is what a guard is for.
    let _deaf = Signals::hear()?;
    let mut out = std::io::stdout();
    writeln!(out, "{READY}").and_then(|()| out.flush())?;
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    let mut told = Told::default();
    for _ in 0..LINES_MAX {
        let Some(line) = lines.next_line().await? else { break };
        match line.split_once(' ') {
            Some(("dir", path)) => told.dir = Some(path.into()),
            Some(("process", number)) => {
                let pid = number.parse().ok().and_then(Pid::from_raw);
                told.process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            }
            _ if line == "done" => return Ok(ExitCode::SUCCESS),
            _ => break,
        }
    }
    if let Some(process) = told.process {
        // One that is gone already is no error.
        let _gone = pidfd_send_signal(&process, Signal::TERM);
        tokio::time::sleep(TERM_GRACE).await;
        let _gone = pidfd_send_signal(&process, Signal::KILL);
    }
    let remove = || {
        if let Some(dir) = &told.dir {
            place::remove(dir);
        }
    };
    Reach::Group(rustix::process::getpgrp()).end(remove).await;
    Ok(ExitCode::SUCCESS)
}
