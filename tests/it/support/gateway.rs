//! A gateway process in a folder of its own, and the oracle's ledger beside it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::Client;

/// Longest wait for an entry of the ledger, and how often it is looked at.
const LEDGER_WAIT_MAX: Duration = Duration::from_secs(30);
const LEDGER_LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A folder with a configuration; gateways are started in it, one after the other.
pub struct Site {
    dir: TempDir,
}

/// The keys of [`Site::with_oracle`]: what a client presents, by source.
pub const CHAT_KEY: &str = "sg_Y2hhdC1jaGF0LWNoYXQtY2hhdC1jaGF0LWNoYXQtY2g";
pub const EMAIL_KEY: &str = "sg_ZW1haWwtZW1haWwtZW1haWwtZW1haWwtZW1haWwtZW0";
pub const OTHER_KEY: &str = "sg_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Q";

impl Site {
    /// A site with this configuration.
    pub fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Self { dir };
        site.configure(config);
        site
    }

    /// The site that most tests use: an oracle twice, once trusted and once as the web's, keys of a
    /// person (`chat`), of incoming mail (`email`) and of another person; `extra` is added at the end.
    pub fn with_oracle(extra: &str) -> Self {
        Self::with_oracle_at("", extra)
    }

    /// The same site, with `listen` as further lines of its listener.
    pub fn with_oracle_at(listen: &str, extra: &str) -> Self {
        let site = Self::new("");
        site.configure(&oracle_config(&site, listen, extra));
        site
    }

    /// Changes the configuration.
    pub fn edit(&self, change: impl FnOnce(String) -> String) {
        let config = std::fs::read_to_string(self.path("gateway.toml")).unwrap();
        self.configure(&change(config));
    }

    /// Writes the configuration anew.
    pub fn configure(&self, config: &str) {
        std::fs::write(self.path("gateway.toml"), config).unwrap();
    }

    /// A file of the site.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a gateway and waits until it says that it listens.
    pub fn start(&self) -> Gateway {
        self.try_start().unwrap_or_else(|said| panic!("the gateway did not start: {said}"))
    }

    /// Starts a gateway; gives what it said if it ended instead of listening.
    pub fn try_start(&self) -> Result<Gateway, String> {
        self.try_start_with(&[])
    }

    /// The same, with more in its environment.
    pub fn try_start_with(&self, env: &[(&str, &std::ffi::OsStr)]) -> Result<Gateway, String> {
        let mut command = self.command(&["serve", "--config", "gateway.toml"]);
        command.envs(env.iter().copied());
        self.try_start_by(command)
    }

    /// The same by another command, which becomes the gateway.
    pub fn try_start_by(&self, mut command: Command) -> Result<Gateway, String> {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut places = std::collections::HashMap::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            let line = line.unwrap();
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["listening", name, place] => drop(places.insert((*name).to_owned(), (*place).to_owned())),
                ["ready"] => {
                    let place = |name: &str| places.get(name).cloned().unwrap_or_default();
                    let (url, admin) = (place("main"), place("admin"));
                    return Ok(Gateway { child, url, admin, places, _stdout: Box::new(lines) });
                }
                _ => {}
            }
        }
        let status = child.wait().unwrap();
        let said = std::fs::read_to_string(self.path("log")).unwrap();
        Err(format!("{status}: {said}"))
    }

    /// The command line of the gateway, in the site's folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        command.args(args).current_dir(self.dir.path());
        command
    }

    /// Runs a command to its end: exit code, standard output, standard error.
    pub fn run(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.command(args).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// What the oracle executed: one JSON object a line.
    pub fn ledger(&self) -> Vec<serde_json::Value> {
        let Ok(text) = std::fs::read_to_string(self.path("ledger")) else { return Vec::new() };
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until the oracle's ledger holds an entry that `wanted` accepts.
    pub async fn wait_for_ledger(&self, wanted: impl Fn(&serde_json::Value) -> bool) {
        // The ledger is another process's file: there is no event to wait on but its growth.
        let deadline = tokio::time::Instant::now() + LEDGER_WAIT_MAX;
        let mut looks = tokio::time::interval(LEDGER_LOOK_INTERVAL);
        while !self.ledger().iter().any(&wanted) {
            assert!(tokio::time::Instant::now() < deadline, "not in the ledger: {:?}", self.ledger());
            looks.tick().await;
        }
    }

    /// The ids of the calls that the oracle executed.
    pub fn executed(&self) -> Vec<String> {
        self.ledger().iter().filter_map(|entry| Some(entry.get("id")?.as_str()?.to_owned())).collect()
    }
}

/// The path of the oracle server.
pub fn oracle() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/oracle_server.py")
}

fn oracle_config(site: &Site, listen: &str, extra: &str) -> String {
    let (oracle, ledger) = (oracle(), site.path("ledger"));
    let hash = |key: &str| sluicegate::model::digest::Sha256::of(key.as_bytes());
    format!(
        r#"
[gateway]
state_dir = "./state"

[listen.main]
address = "127.0.0.1:0"
{listen}

[auth.keys.person]
hash = "sha256:{chat}"
vouches = {{ source = "chat", subject = "user:1", roles = ["assistant"] }}

[auth.keys.mail]
hash = "sha256:{email}"
vouches = {{ source = "email", subject = "user:1", roles = ["assistant"] }}

[auth.keys.other]
hash = "sha256:{other}"
vouches = {{ source = "chat", subject = "user:2", roles = ["assistant"] }}

[upstreams.tools]
command = ["python3", {oracle:?}, {ledger:?}]
returns = "trusted"
call_timeout = "5s"

[upstreams.browser]
command = ["python3", {oracle:?}, {ledger:?}]
returns = "web"

[sources.chat]
allow = ["*"]
ask = ["tools.write"]
deny = ["tools.refuse"]

[sources.email]
allow = ["tools.read", "tools.count", "browser.*"]
plan = ["tools.send"]

[sources.web]
allow = ["tools.read", "browser.read"]

[roles.assistant]
allow = ["*"]
{extra}
"#,
        chat = hash(CHAT_KEY),
        email = hash(EMAIL_KEY),
        other = hash(OTHER_KEY),
    )
}

/// A running gateway. Killed when dropped.
pub struct Gateway {
    child: Child,
    /// The endpoint of `listen.main`.
    pub url: String,
    /// Where probes and metrics are, if they are configured.
    pub admin: String,
    places: std::collections::HashMap<String, String>,
    _stdout: Box<dyn Iterator<Item = std::io::Result<String>> + Send>,
}

impl Gateway {
    /// Where the listener `name` is: a URL, or the path of a socket.
    pub fn place(&self, name: &str) -> String {
        self.places[name].clone()
    }

    /// What a page of the admin listener shows, whatever its status.
    pub async fn shows(&self, path: &str) -> String {
        let answer = Client::anonymous(&format!("{}{path}", self.admin)).send(http::Method::GET, "").await;
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(self) -> std::process::ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.ended()
    }

    /// Waits until it has ended.
    pub fn ended(mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
    }
}
