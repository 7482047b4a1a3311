//! The gateway itself, as its users start it: the binary, with a key, sources, roles, an agent, pins, and
//! the journal on the disk that the build is on.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sluicegate::identity;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::load::Load;

const START_WAIT: Duration = Duration::from_secs(20);
const OUTPUT_BYTES_MAX: u64 = 4096;

/// A gateway. It ends with this value, as does its directory.
pub(crate) struct Gateway {
    addr: SocketAddr,
    key: identity::MintedKey,
    pid: u32,
    _child: Child,
    dir: tempfile::TempDir,
}

impl Gateway {
    pub(crate) async fn start(upstream: SocketAddr) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let key = identity::mint()?;
        let config = dir.path().join("gateway.toml");
        std::fs::write(&config, configuration(upstream, &identity::hash_text(key.hash)))?;
        let log = std::fs::File::create(dir.path().join("log"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        command.arg("serve").arg("--config").arg(config).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn()?;
        let (Some(pid), Some(said)) = (child.id(), child.stdout.take()) else { bail!("it ended at once") };
        let listens = tokio::time::timeout(START_WAIT, address(said)).await.context("it says nothing")?;
        let addr =
            listens.with_context(|| std::fs::read_to_string(dir.path().join("log")).unwrap_or_default())?;
        Ok(Self { addr, key, pid, _child: child, dir })
    }

    /// Returns once a call has passed.
    pub(crate) async fn ready(&self, load: &Load) -> anyhow::Result<()> {
        let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        load.once(self.addr).await.with_context(|| format!("it does not let the call pass\n{}", log()))
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn key(&self) -> &str {
        self.key.reveal()
    }
}

/// Where the gateway listens, once it has said that it is ready.
async fn address(said: impl AsyncRead + Unpin) -> anyhow::Result<SocketAddr> {
    let mut lines = BufReader::new(said.take(OUTPUT_BYTES_MAX)).lines();
    let mut addr = None;
    while let Some(line) = lines.next_line().await? {
        if let Some(url) = line.strip_prefix("listening main http://") {
            addr = Some(url.trim_end_matches("/mcp").parse()?);
        } else if line == "ready" {
            return addr.context("it is ready and has not said where");
        }
    }
    bail!("it ended before it was ready")
}

fn configuration(upstream: SocketAddr, hash: &str) -> String {
    format!(
        r#"
[gateway]
state_dir = "state"

[listen.main]
address = "127.0.0.1:0"

[auth.keys.bench]
hash = "{hash}"
vouches = {{ source = "chat", subject = "user:bench", roles = ["assistant", "reader"], agent = "bench" }}

[upstreams.bench]
url = "http://{upstream}/mcp"
returns = "web"

[sources.chat]
allow = ["*"]

[sources.email]
allow = ["bench.read_*"]
ask = ["bench.*"]

[sources.web]
allow = ["bench.*"]
deny = ["bench.delete_*"]

[roles.assistant]
allow = ["bench.*"]

[roles.reader]
allow = ["bench.read_*"]

[agents.bench]
allow = ["bench.*"]
"#
    )
}
