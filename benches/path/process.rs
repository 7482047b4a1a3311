//! Processes beside this one.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// What a process says on standard output once it listens, before its address.
pub(crate) const LISTENING: &str = "listening on ";
const START_WAIT: Duration = Duration::from_secs(10);
const LINE_BYTES_MAX: u64 = 128;

/// This program again, as something that listens. It ends with this value, or with this process.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) pid: u32,
    _child: Child,
}

impl Server {
    pub(crate) async fn again(role: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(role).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let (Some(pid), Some(said)) = (child.id(), child.stdout.take()) else { bail!("it ended at once") };
        let mut line = String::new();
        let mut said = BufReader::new(said.take(LINE_BYTES_MAX));
        tokio::time::timeout(START_WAIT, said.read_line(&mut line)).await.context("it says nothing")??;
        let addr = line.trim_end().strip_prefix(LISTENING).context("it does not listen")?.parse()?;
        Ok(Self { addr, pid, _child: child })
    }
}
