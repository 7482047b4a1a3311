//! What was written → what it means: `gateway.toml` and its includes, checked as a whole.
//!
//! Must never let a room see what was written: it fills each room's own settings, and only once nothing
//! is wrong. Must never print a secret. Trusts the operator's files, and the environment for `{ env = }`.
//!
//! Three steps, each of which gathers every problem before it gives up: `file` reads texts and follows
//! includes, `raw` says what each table may hold, `check` says what it means and whether names that are
//! used were declared. `sluicegate check` and `sluicegate serve` run this same code.

mod check;
mod code;
mod file;
mod fixed;
mod json;
mod machine;
mod mark;
mod node;
mod problem;
mod raw;
mod rehearsal;
mod system;
mod units;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::approver::Approver;
use crate::model::digest::Sha256;
use crate::model::name::ToolId;
use crate::model::place::Place;
use crate::model::quorum::Quorum;
use crate::model::trigger::Declarations;
use crate::upstream::LockError;
use crate::{audit, downstream, identity, limit, notify, plan, policy, reviewer, sink, telemetry, upstream};

pub use check::Compiled;
pub use code::Code;
pub use fixed::{Fixed, restart_needed};
pub use machine::Machine;
pub use mark::FileMark;
pub use problem::{Problem, Problems, Severity};
pub use rehearsal::Rehearsal;
pub use system::{Switching, System};

/// A checked configuration: the settings of every room.
#[derive(Debug)]
pub struct Config {
    /// Where the gateway keeps what it must not lose (`gateway.state_dir`); absolute, mode 0700.
    pub state_dir: PathBuf,
    /// The accepted tool definitions (`gateway.lock_file`); absolute.
    pub lock_path: PathBuf,
    /// `[admin]`.
    pub admin: Admin,
    /// `[listen.*]`.
    pub listeners: Vec<downstream::ListenSettings>,
    /// The limits at the sockets.
    pub limits: downstream::Limits,
    /// The limits of calls in flight.
    pub in_flight: limit::Settings,
    /// The journal.
    pub audit: audit::Settings,
    /// `[[audit.sinks]]`.
    pub sinks: Vec<sink::Settings>,
    /// `[telemetry]`, where it asks for traces.
    pub traces: Option<telemetry::TraceSettings>,
    /// What identity vouches for by configuration.
    pub identity: identity::Settings,
    /// `[auth.people.*]`.
    pub people: Vec<identity::PeopleSettings>,
    /// `[auth.webhooks.*]`.
    pub webhooks: Vec<identity::WebhookSettings>,
    /// `[auth.mint]`, `[auth.dispatchers.*]`.
    pub mint: Option<identity::MintSettings>,
    /// Most runs at once (`limits.runs_max`).
    pub runs_max: usize,
    /// `[upstreams.*]`.
    pub upstreams: Vec<upstream::Settings>,
    /// `[sources.*]`, `[roles.*]`, `[agents.*]`.
    pub rules: policy::Rules,
    /// `[[flows]]`, `[[requests]]`.
    pub plans: plan::Rules,
    /// `[reviewer]`.
    pub reviewer: Option<reviewer::Settings>,
    /// `[[notify]]`.
    pub notifiers: Vec<notify::Settings>,
    /// `[[approvers]]`; where there is none, only the uid that owns the gateway is one.
    pub approvers: Vec<Approver>,
    /// `[[quorums]]`: how many people have to say yes; one where there is none.
    pub quorums: Vec<Quorum>,
    /// What its `[[tests]]` exercise.
    pub coverage: Coverage,
    /// What makes the gateway read its configuration anew by itself (`[reload] watch`).
    pub watch: Watch,
    /// What cannot change while the gateway runs.
    pub fixed: Vec<Fixed>,
    /// What is allowed and should be known: warnings and notes.
    pub warnings: Problems,
    /// Over every file that was read, in the order of reading.
    pub digest: Sha256,
}

/// Where people and probes find the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The admin socket (`admin.socket`); absolute, by default `admin.sock` in the state directory.
    pub socket: PathBuf,
    /// Where probes and metrics are served, and the page on which people answer questions (`admin.address`); loopback.
    pub address: Option<SocketAddr>,
    /// Where people reach that page beside its address (`admin.url`), without a path.
    pub url: Option<String>,
}

impl Config {
    /// Its policy over the tools that can be known without asking anybody: those whose definitions are accepted,
    /// those that an entry names, and `also`.
    ///
    /// # Errors
    /// Why the lock file cannot be used.
    pub fn compile(&self, also: impl IntoIterator<Item = ToolId>) -> Result<Compiled, LockError> {
        check::compile(&self.rules, &self.upstreams, &self.lock_path, also)
    }
}

/// What the tests of a configuration exercise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// How many tests there are.
    pub tests: usize,
    /// How many calls they decided.
    pub calls: usize,
    /// The entries for tools that no test exercises: where each stands, and what it says.
    pub unexercised: Vec<(Place, String)>,
}

/// Whether a change of its files is a reason to reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    /// Only a signal or a person is.
    #[default]
    Off,
    /// It is.
    On,
}

/// What was read, whether or not it can be used.
#[derive(Debug)]
pub struct Reading {
    /// Over every file of it that could be read.
    pub digest: Sha256,
    /// Every file that was looked at, those of secrets included, as it was then.
    pub files: Vec<FileMark>,
    /// The configuration, or every problem that was found.
    pub outcome: Result<Config, Problems>,
}

/// The duration that `text` writes, as durations are written here: `"15m"`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    units::duration(text)
}

/// Loads the configuration at `path` on this machine.
///
/// # Errors
/// Every problem that was found, with the warnings among them.
pub fn load(path: &Path) -> Result<Config, Problems> {
    load_on(path, &Machine::this())
}

/// Loads the configuration at `path` as if on `machine`.
///
/// # Errors
/// Every problem that was found, with the warnings among them.
pub fn load_on(path: &Path, machine: &Machine) -> Result<Config, Problems> {
    read_on(path, machine).outcome
}

/// Reads the configuration at `path` on this machine.
#[must_use]
pub fn read(path: &Path) -> Reading {
    read_on(path, &Machine::this())
}

fn read_on(path: &Path, machine: &Machine) -> Reading {
    let found = problem::Sink::default();
    let loaded = file::load(path, &found);
    let digest = loaded.digest;
    // After a syntax error most of what follows would be noise.
    if found.has_errors() {
        let files = found.take_files();
        return Reading { digest, files, outcome: Err(found.into_problems()) };
    }
    let document = raw::Document::read(&loaded, &found);
    let config = check::check(&document, &loaded, machine, &found);
    let files = found.take_files();
    let problems = found.into_problems();
    let is_refused = problems.has_errors();
    let outcome = if is_refused { Err(problems) } else { Ok(Config { warnings: problems, ..config }) };
    Reading { digest, files, outcome }
}

/// What the triggers of its sources hold, as far as it can be told. Root starts runs of a gateway that has
/// another uid, other secrets in its environment and another idea of what is wrong with the file.
#[must_use]
pub fn declarations(path: &Path) -> Declarations {
    let found = problem::Sink::default();
    let loaded = file::load(path, &found);
    let document = raw::Document::read(&loaded, &found);
    check::declarations(&document, &loaded, &Machine::this(), &found)
}

/// Where the admin socket of a gateway of this configuration is, as far as it can be told. The
/// configuration may be wrong otherwise: whoever asks wants to hear of it from the gateway.
#[must_use]
pub fn admin_socket(path: &Path) -> PathBuf {
    let found = problem::Sink::default();
    let loaded = file::load(path, &found);
    let document = raw::Document::read(&loaded, &found);
    check::admin_socket(&document, &loaded, &Machine::this(), &found)
}
