//! What is listed: a snapshot of the accepted tools of all upstreams.
//!
//! Must never hold a definition that was not accepted, so that lists never taint (DESIGN §5). A
//! snapshot never changes; a new one replaces it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::lock::Definition;
use super::settings::{COST_DEFAULT, Finer, Listing, Prefix, Settings, Share, Showing};
use crate::model::call::{Pin, Stores};
use crate::model::digest::Sha256;
use crate::model::keep::Keep;
use crate::model::label::{Labels, ToolClass};
use crate::model::name::{ToolId, ToolName, UpstreamName};
use crate::model::preset::Presets;
use crate::model::provenance::Provenance;
use crate::model::target::Target;
use crate::wire::{self, Fault, ListKind};

/// The tools that exist, in the order of their wire names, and whose they are.
#[derive(Debug, Default)]
pub struct Catalogue {
    version: u64,
    tools: Vec<Tool>,
    servers: Vec<Server>,
    shadowed: Vec<Shadowed>,
    by_wire_name: HashMap<String, usize>,
    by_id: HashMap<ToolId, usize>,
}

/// An accepted tool that nobody can call, because another one has its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadowed {
    /// The name.
    pub wire_name: String,
    /// The tool that is not listed.
    pub tool: ToolId,
    /// The one that is.
    pub by: ToolId,
}

/// One upstream, as far as its prompts and resources need to be told apart from those of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name in permissions.
    pub name: UpstreamName,
    /// Whether the names of its prompts are `upstream__prompt` or bare.
    pub prefix: Prefix,
    /// Who shares an instance.
    pub share: Share,
    returns: Provenance,
    resources: Vec<Finer>,
    prompts: Vec<Finer>,
}

impl Server {
    pub(super) fn of(settings: &Settings) -> Self {
        let Settings { name, prefix, returns, resources, prompts, share, .. } = settings;
        Self {
            name: name.clone(),
            prefix: *prefix,
            share: *share,
            returns: returns.clone(),
            resources: resources.clone(),
            prompts: prompts.clone(),
        }
    }

    /// The sources of what `target` returns, and of what is said of it in a list; empty for `trusted`.
    #[must_use]
    pub fn returns(&self, target: &Target) -> &Provenance {
        let (finer, name) = match target {
            Target::Resource(id) => (&self.resources, id.uri.as_str()),
            Target::Prompt(id) => (&self.prompts, id.prompt.as_str()),
            _ => return &self.returns,
        };
        let said = finer.iter().find(|finer| finer.glob.matches(name));
        said.map_or(&self.returns, |finer| &finer.returns)
    }

    /// The sources of what it returns where nothing is said more finely.
    #[must_use]
    pub fn returns_otherwise(&self) -> &Provenance {
        &self.returns
    }

    /// Whether it may have entries of `kind` that hold no word of a source beside `known`.
    #[must_use]
    pub fn may_list(&self, kind: ListKind, known: &Provenance) -> bool {
        let finer: &[Finer] = match kind {
            ListKind::Tools | ListKind::ResourceTemplates => &[],
            ListKind::Prompts => &self.prompts,
            ListKind::Resources => &self.resources,
        };
        let mut all = std::iter::once(&self.returns).chain(finer.iter().map(|finer| &finer.returns));
        all.any(|returns| returns.missing_from(known).is_empty())
    }

    /// The name of its prompt `prompt` toward the agent.
    #[must_use]
    pub fn wire_name(&self, prompt: &str) -> String {
        prefixed(self.prefix, &self.name, prompt)
    }

    /// Its own name of the prompt that agents know as `wire_name`; `None` where that is another's.
    #[must_use]
    pub fn own_name<'w>(&self, wire_name: &'w str) -> Option<&'w str> {
        match self.prefix {
            Prefix::Upstream => wire_name.strip_prefix(self.name.as_str())?.strip_prefix(SEPARATOR),
            Prefix::Bare => Some(wire_name),
        }
    }
}

/// One tool as it is listed and called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// What a permission speaks of.
    pub id: ToolId,
    /// Its name toward the agent: `upstream__tool`, or bare.
    pub wire_name: String,
    /// The accepted definition as agents are shown it.
    pub listed: Bytes,
    /// Its digest.
    pub listed_digest: Sha256,
    /// The accepted definition against what the upstream offers now.
    pub pin: Pin,
    /// The sources of what it returns; empty for `trusted`.
    pub returns: Provenance,
    /// Whether it writes where a later read will find it.
    pub stores: Stores,
    /// The accepted input schema, raw.
    pub input_schema: Bytes,
    /// What the operator declared of it.
    pub labels: Arc<Labels>,
    /// What it does, for flows: everything where nobody said what.
    pub classes: Arc<BTreeSet<ToolClass>>,
    /// What a call of it costs, for budgets.
    pub cost: u64,
    /// The arguments that an operator settled.
    pub presets: Presets,
    /// Deadline of a call, where it is not that of its upstream.
    pub call_timeout: Option<Duration>,
    /// Largest answer in bytes, where it is not that of its upstream.
    pub result_max: Option<u64>,
    /// What is recorded of the arguments of its calls, where that is not their digest alone.
    pub keep: Option<Arc<Keep>>,
    /// Whether an `outputSchema` is listed: official clients validate against it even on errors.
    pub has_output_schema: bool,
    /// The arguments that travel as headers as well (2026-07-28, `x-mcp-header`).
    pub param_headers: Vec<wire::tool::ParamHeader>,
}

impl Catalogue {
    pub(super) fn new(
        version: u64,
        mut tools: Vec<Tool>,
        shadowed: Vec<Shadowed>,
        servers: Vec<Server>,
    ) -> Self {
        tools.sort_by(|a, b| a.wire_name.cmp(&b.wire_name));
        let by_wire_name = tools.iter().enumerate().map(|(at, tool)| (tool.wire_name.clone(), at)).collect();
        let by_id = tools.iter().enumerate().map(|(at, tool)| (tool.id.clone(), at)).collect();
        Self { version, tools, servers, shadowed, by_wire_name, by_id }
    }

    /// Counts the catalogues since the gateway started.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Every tool, in the order of their wire names.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Every upstream, in the order of the configuration.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The accepted tools whose names others have.
    #[must_use]
    pub fn shadowed(&self) -> &[Shadowed] {
        &self.shadowed
    }

    /// The upstream of this name.
    #[must_use]
    pub fn server(&self, name: &UpstreamName) -> Option<&Server> {
        self.servers.iter().find(|server| server.name == *name)
    }

    /// Whether both show the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.tools, &self.servers, &self.shadowed) == (&other.tools, &other.servers, &other.shadowed)
    }

    /// The tool that a permission calls `id`.
    #[must_use]
    pub fn tool(&self, id: &ToolId) -> Option<&Tool> {
        self.by_id.get(id).and_then(|at| self.tools.get(*at))
    }

    /// The tool of exactly this wire name.
    #[must_use]
    pub fn find(&self, wire_name: &str) -> Option<&Tool> {
        self.by_wire_name.get(wire_name).and_then(|at| self.tools.get(*at))
    }
}

impl Tool {
    /// The tool as it is listed; `None` where it is hidden, or its definition has no name, which [`Definition`]
    /// excludes.
    pub(super) fn new(settings: &Settings, tool: &ToolName, accepted: &Definition, pin: Pin) -> Option<Self> {
        if settings.said(tool, |entry| entry.showing) == Some(Showing::Hidden) {
            return None;
        }
        let wire_name = settings.wire_name(tool);
        let presets = settings.said(tool, |entry| entry.arguments.clone()).unwrap_or_default();
        let listed = listed(settings, tool, &presets, &wire_name, accepted).ok()?;
        let returns = settings.said(tool, |entry| entry.returns.as_ref()).unwrap_or(&settings.returns);
        let labels = settings.labels(tool);
        Some(Self {
            classes: Arc::new(labels.effective_classes()),
            labels: Arc::new(labels),
            input_schema: wire::tool::input_schema(&accepted.raw),
            has_output_schema: wire::tool::has_output_schema(&listed),
            listed_digest: Sha256::of(&listed),
            listed,
            param_headers: wire::tool::param_headers(&accepted.raw).ok()?,
            id: ToolId { upstream: settings.name.clone(), tool: tool.clone() },
            wire_name,
            pin,
            returns: returns.clone(),
            stores: settings.said(tool, |entry| entry.stores).unwrap_or_default(),
            cost: settings.said(tool, |entry| entry.cost).unwrap_or(COST_DEFAULT),
            presets,
            call_timeout: settings.said(tool, |entry| entry.call_timeout),
            result_max: settings.said(tool, |entry| entry.result_max),
            keep: settings.said(tool, |entry| entry.keep.clone()).filter(|keep| !keep.is_plain_digest()),
        })
    }
}

/// The definition as agents are shown it: what was accepted, and what the operator says in its place.
fn listed(
    settings: &Settings,
    tool: &ToolName,
    presets: &Presets,
    wire_name: &str,
    accepted: &Definition,
) -> Result<Bytes, Fault> {
    let mut listed = wire::tool::rename(&accepted.raw, wire_name)?;
    if !presets.is_empty() {
        listed = wire::preset::show(&listed, presets)?;
    }
    if settings.said(tool, |entry| entry.listing) == Some(Listing::Short) {
        listed = wire::short::shorten(&listed)?;
    }
    match settings.said(tool, |entry| entry.description.as_deref()) {
        Some(text) => wire::tool::describe(&listed, text),
        None => Ok(listed),
    }
}

/// What separates upstream and tool in a wire name.
pub(super) const SEPARATOR: &str = "__";

impl Settings {
    /// What the operator declared of `tool`.
    #[must_use]
    pub fn labels(&self, tool: &ToolName) -> Labels {
        Labels {
            classes: self.said(tool, |entry| entry.classes.clone()),
            destinations: self.said(tool, |entry| entry.destinations.clone()),
            content: self.said(tool, |entry| entry.content.clone()).unwrap_or_default(),
            review_line: self.said(tool, |entry| entry.review_line.clone()),
        }
    }

    /// The name of `tool` toward the agent: its own or the one that an operator gave it, behind that of its
    /// upstream.
    #[must_use]
    pub fn wire_name(&self, tool: &ToolName) -> String {
        let name = self.said(tool, |entry| entry.name.as_ref()).unwrap_or(tool);
        prefixed(self.prefix, &self.name, name.as_str())
    }
}

fn prefixed(prefix: Prefix, upstream: &UpstreamName, own_name: &str) -> String {
    match prefix {
        Prefix::Upstream => format!("{upstream}{SEPARATOR}{own_name}"),
        Prefix::Bare => own_name.to_owned(),
    }
}
