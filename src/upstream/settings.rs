//! The settings of upstreams, checked.
//!
//! Must never be built from anything that came over a network (CASES A51). Secrets in it are redacted
//! when printed (I10).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::account::Account;
use crate::model::call::Stores;
use crate::model::glob::Glob;
use crate::model::keep::Keep;
use crate::model::label::ToolClass;
use crate::model::name::{ToolName, UpstreamName};
use crate::model::place::Place;
use crate::model::preset::Presets;
use crate::model::provenance::Provenance;
use crate::model::secret::Secret;
use crate::wire::{self, Fault, Revision};

/// One upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name in permissions, and the default of its wire prefix.
    pub name: UpstreamName,
    /// Where `[upstreams.X]` stands.
    pub place: Place,
    /// How it is reached.
    pub launch: Launch,
    /// Which revision it is spoken to in.
    pub revision: Speaks,
    /// Whether wire names are `X__tool` or bare (`prefix = ""`).
    pub prefix: Prefix,
    /// The sources of what it returns; empty for `returns = "trusted"`.
    pub returns: Provenance,
    /// Why it may return `trusted` although sources write through it (`accept_stored`).
    pub accept_stored: Option<String>,
    /// What single tools say more finely. For each key the first entry counts that matches and writes it.
    pub tools: Vec<ToolSettings>,
    /// What single resources say more finely, by the normal form of their URIs; the first that matches counts.
    pub resources: Vec<Finer>,
    /// The same of prompts, by their own names.
    pub prompts: Vec<Finer>,
    /// Who shares an instance.
    pub share: Share,
    /// What it may ever ask of a client, whoever calls.
    pub may_ask: MayAsk,
    /// Which definitions are accepted.
    pub pins: Pins,
    /// Most instances at once (`instances_max`).
    pub instances_max: usize,
    /// An instance that was not used for this long is stopped (`instance_idle`).
    pub instance_idle: Duration,
    /// Longest time to start and finish the handshake (`start_timeout`).
    pub start_timeout: Duration,
    /// Deadline of one call from forwarding to its whole answer (`call_timeout`).
    pub call_timeout: Duration,
    /// Longest wait of a list for an upstream that was never seen (`list_wait`).
    pub list_wait: Duration,
    /// Largest answer or message in bytes (`result_max`).
    pub result_max: usize,
    /// Most calls in flight (`calls_in_flight_max`); enforced by `limit`.
    pub calls_in_flight_max: usize,
}

impl Settings {
    /// What is said of `tool` under one key: by the first entry that matches and says it.
    #[must_use]
    pub fn said<'a, T>(
        &'a self,
        tool: &ToolName,
        key: impl Fn(&'a ToolSettings) -> Option<T> + 'a,
    ) -> Option<T> {
        self.tools.iter().filter(|entry| entry.glob.matches(tool.as_str())).find_map(key)
    }

    /// The `values` that a call of `tool` with these arguments is decided on and sends, and whether it says something
    /// of an argument that no caller may send.
    ///
    /// # Errors
    /// A fault where `values` is neither an object nor nothing.
    pub fn settle(&self, tool: &ToolName, values: &Bytes) -> Result<(Bytes, Settled), Fault> {
        let Some(presets) = self.said(tool, |entry| entry.arguments.as_ref()) else {
            return Ok((values.clone(), Settled::Agreed));
        };
        Ok((wire::preset::fill(values, presets)?, Settled::of(values, presets)))
    }

    /// Whether instances that were launched by `other` can go on under these settings. What only the
    /// catalogue or the limits look at may differ: it counts at once, and costs nobody a session.
    #[must_use]
    pub fn is_same_launch(&self, other: &Self) -> bool {
        let Self {
            name,
            place: _,
            launch,
            revision,
            prefix: _,
            returns: _,
            accept_stored: _,
            tools: _,
            resources: _,
            prompts: _,
            share,
            may_ask,
            pins: _,
            instances_max,
            instance_idle,
            start_timeout,
            call_timeout,
            list_wait,
            result_max,
            calls_in_flight_max: _,
        } = self;
        (name, launch, share) == (&other.name, &other.launch, &other.share)
            && (revision, may_ask) == (&other.revision, &other.may_ask)
            && (instances_max, result_max) == (&other.instances_max, &other.result_max)
            && (instance_idle, start_timeout) == (&other.instance_idle, &other.start_timeout)
            && (call_timeout, list_wait) == (&other.call_timeout, &other.list_wait)
    }
}

/// How an upstream is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// A child process that speaks over stdio.
    Process {
        /// Program and arguments.
        command: Vec<String>,
        /// Its environment beside `PATH`, `HOME`, `LANG`, `TMPDIR` and `USER` of the gateway.
        env: BTreeMap<String, Secret>,
        /// Its working directory.
        cwd: Option<PathBuf>,
        /// The user under whom it runs; the gateway's own where there is none.
        user: Option<Account>,
    },
    /// An HTTP endpoint.
    Http {
        /// `http` or `https`.
        url: http::Uri,
        /// Which of the transports over HTTP it has.
        transport: Transport,
        /// Static headers.
        headers: Vec<(http::HeaderName, Secret)>,
    },
}

/// Which revision of the protocol an upstream is spoken to in (`revision`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Speaks {
    /// The newest that both speak.
    #[default]
    Newest,
    /// This one and no other.
    Only(Revision),
}

/// Which transport an HTTP endpoint has (`transport`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Streamable HTTP, and where there is none HTTP+SSE.
    #[default]
    Detected,
    /// Streamable HTTP.
    Streamable,
    /// HTTP+SSE of 2024-11-05: one stream that brings everything.
    EventStream,
}

/// What one tool or glob of tools says more finely than its upstream. What is absent is not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolSettings {
    /// Over the tool's own name.
    pub glob: Glob,
    /// The sources of what it returns.
    pub returns: Option<Provenance>,
    /// Whether it writes where a later read will find it.
    pub stores: Option<Stores>,
    /// What it does.
    pub classes: Option<BTreeSet<ToolClass>>,
    /// The arguments that say who, where, which or how much.
    pub destinations: Option<BTreeSet<String>>,
    /// The arguments that hold what is told.
    pub content: Option<BTreeSet<String>>,
    /// What a reviewer of plans is told that it does.
    pub review_line: Option<String>,
    /// What a call costs, for budgets.
    pub cost: Option<u64>,
    /// Whether it is listed and called.
    pub showing: Option<Showing>,
    /// What agents know it as, in the place of its upstream's name.
    pub name: Option<ToolName>,
    /// What it is described as, in the place of what its upstream says.
    pub description: Option<String>,
    /// Which arguments are settled.
    pub arguments: Option<Presets>,
    /// Deadline of one call of it.
    pub call_timeout: Option<Duration>,
    /// Largest answer of it, in bytes.
    pub result_max: Option<u64>,
    /// How much of its definition is listed.
    pub listing: Option<Listing>,
    /// What is recorded of the arguments of its calls.
    pub keep: Option<Arc<Keep>>,
}

/// How much of a definition is listed (`list`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listing {
    /// All of it.
    #[default]
    Full,
    /// First sentences, and nothing of results.
    Short,
}

/// How what a caller sends stands to what an operator settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It says nothing of what is fixed.
    Agreed,
    /// It does.
    Contradicted,
}

impl Settled {
    /// How `values` stand to `presets`.
    #[must_use]
    pub fn of(values: &Bytes, presets: &Presets) -> Self {
        if wire::preset::speaks_of_fixed(values, presets) { Self::Contradicted } else { Self::Agreed }
    }
}

/// Whether agents may know of a tool at all, whatever the policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Showing {
    /// They may.
    Shown,
    /// It is as if it did not exist (`hide`).
    Hidden,
}

impl ToolSettings {
    /// An entry that says nothing yet.
    #[must_use]
    pub fn of(glob: Glob) -> Self {
        Self {
            glob,
            returns: None,
            stores: None,
            classes: None,
            destinations: None,
            content: None,
            review_line: None,
            cost: None,
            showing: None,
            name: None,
            description: None,
            arguments: None,
            call_timeout: None,
            result_max: None,
            listing: None,
            keep: None,
        }
    }
}

/// What resources or prompts say more finely than their upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finer {
    /// Over the URI of a resource, or the own name of a prompt.
    pub glob: Glob,
    /// The sources of what it returns; empty for `trusted`.
    pub returns: Provenance,
}

/// How wire names are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// `upstream__tool`.
    Upstream,
    /// `tool`.
    Bare,
}

/// Who shares an upstream session or child process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Everybody. Forbids requests of the upstream.
    All,
    /// The runs of one subject.
    Subject,
    /// One run.
    Run,
}

/// What an upstream may ever ask, by the policy: a server with a handshake is told it at the handshake. What
/// each call may be asked is decided when it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MayAsk {
    /// For a completion of the agent's model.
    pub sampling: bool,
    /// For an answer of the user.
    pub elicitation: bool,
    /// For the directories that the client works in.
    pub roots: bool,
}

/// Which tool definitions are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pins {
    /// Those that a person accepted. What is new is not listed, and a change is refused.
    Lock,
    /// The first that is seen as well; a later change is refused until a person accepts it.
    FirstUse,
    /// Whatever is offered, on the record.
    Trust,
}

/// `instances_max` where the configuration is silent.
pub const INSTANCES_MAX_DEFAULT: usize = 64;
/// `instance_idle` where the configuration is silent.
pub const INSTANCE_IDLE_DEFAULT: Duration = Duration::from_secs(10 * 60);
/// `start_timeout` where the configuration is silent.
pub const START_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// `call_timeout` where the configuration is silent.
pub const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// `list_wait` where the configuration is silent.
pub const LIST_WAIT_DEFAULT: Duration = Duration::from_secs(5);
/// `upstreams.X.tools.cost` where the configuration is silent: what a call costs, for budgets.
pub const COST_DEFAULT: u64 = 1;
/// `result_max` where the configuration is silent.
pub const RESULT_MAX_DEFAULT: usize = 16 * 1024 * 1024;

/// What becomes of large messages.
#[derive(Debug, Clone)]
pub(super) struct Large {
    /// Largest message, in bytes.
    pub(super) bytes_max: usize,
    /// Where what is too large for memory is kept.
    pub(super) folder: std::sync::Arc<std::path::Path>,
}
