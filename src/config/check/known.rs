//! The policy against the tools that are known: those whose definitions are accepted, and those that an entry names.
//!
//! Must never start or reach a tool server, and never let a condition stand that does not fit (DESIGN §4.3).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;

use crate::config::code::Code;
use crate::config::raw::Document;
use crate::model::call::Stores;
use crate::model::decision::PolicyEpoch;
use crate::model::glob::Glob;
use crate::model::label::ToolClass;
use crate::model::name::ToolId;
use crate::model::place::Place;
use crate::model::target::Class;
use crate::policy::{KnownTool, Lists, Permission, Policy, RowLists, Rules};
use crate::upstream::{self, Catalogue, LockError, Settings, Tool, ToolSettings};

use super::Scope;

/// Everything that is known of the tools.
pub(super) struct Known<'a> {
    pub(super) policy: Policy,
    /// The tools whose definitions are accepted.
    pub(super) accepted: BTreeSet<ToolId>,
    /// The same, as they are listed.
    pub(super) catalogue: Catalogue,
    pub(super) upstreams: &'a [Settings],
    pub(super) rules: &'a Rules,
}

impl Known<'_> {
    /// The settings of the upstream of `tool`.
    pub(super) fn upstream(&self, tool: &ToolId) -> Option<&Settings> {
        self.upstreams.iter().find(|settings| settings.name == tool.upstream)
    }
}

/// What the rules say of the tools that are known, with what is wrong. Nothing where something was wrong before:
/// it would be told in other words.
pub(super) fn check<'a>(
    rules: &'a Rules,
    upstreams: &'a [Settings],
    lock_path: &Path,
    document: &Document,
    scope: Scope<'_>,
) -> Option<Known<'a>> {
    if scope.found.has_errors() {
        return None;
    }
    let tried = document.trials.iter().flat_map(super::trial::tools).filter_map(|text| literal(&text));
    let compiled = match compile(rules, upstreams, lock_path, tried) {
        Ok(compiled) => compiled,
        Err(error) => {
            let at = document.gateway.lock_file.as_ref().map(|written| &written.place);
            let at = at.or_else(|| document.upstreams.first().map(|upstream| &upstream.name.place))?;
            let help = "restore it, or move it away to accept every definition anew";
            scope.found.error(Code::LockUnreadable, at, error.to_string(), help);
            return None;
        }
    };
    let Compiled { policy, accepted: ids, all, catalogue } = compiled;
    super::rename::check(document, upstreams, catalogue.shadowed(), scope);
    super::preset::against_schemas(document, catalogue.tools(), scope);
    for misfit in policy.misfits().filter(|misfit| ids.contains(&misfit.tool)) {
        let help = "mend the condition, or narrow the entry to the tools that it fits; `gateway.lock` holds their \
                    accepted schemas";
        scope.found.error(Code::ConditionInvalid, &misfit.place, misfit.message.clone(), help);
    }
    let known = Known { policy, accepted: ids, catalogue, upstreams, rules };
    open_destinations(rules, &known, &all, scope);
    labels(rules, &known, scope);
    stored_trust(rules, &known, &all, document, scope);
    Some(known)
}

/// The policy of `rules` over the tools whose definitions are accepted, those that an entry names, and `also`.
///
/// # Errors
/// Why the lock file cannot be used.
pub(in crate::config) fn compile(
    rules: &Rules,
    upstreams: &[Settings],
    lock_path: &Path,
    also: impl IntoIterator<Item = ToolId>,
) -> Result<Compiled, LockError> {
    let catalogue = upstream::accepted(upstreams, lock_path)?;
    let known = |tool: &Tool| KnownTool { id: tool.id.clone(), schema: tool.input_schema.clone() };
    let known: Vec<_> = catalogue.tools().iter().map(known).collect();
    let accepted: BTreeSet<_> = known.iter().map(|tool| tool.id.clone()).collect();
    let named = entries(rules).filter_map(|(_, _, entry)| literal(entry.glob.as_str()));
    let all: BTreeSet<_> = accepted.iter().cloned().chain(named).chain(also).collect();
    let unknown = all.iter().filter(|id| !accepted.contains(*id));
    let unknown = unknown.map(|id| KnownTool { id: id.clone(), schema: Bytes::new() });
    let tools: Vec<_> = known.into_iter().chain(unknown).collect();
    let policy = Policy::compile(rules.clone(), &tools, PolicyEpoch::default());
    Ok(Compiled { policy, accepted, all, catalogue })
}

/// A policy over the tools that can be known without asking anybody.
#[derive(Debug)]
pub struct Compiled {
    /// The policy.
    pub policy: Policy,
    /// The tools whose definitions are accepted: conditions see the arguments of no others.
    pub accepted: BTreeSet<ToolId>,
    /// Every tool that it knows.
    pub all: BTreeSet<ToolId>,
    /// What is listed before any tool server is up.
    pub catalogue: Catalogue,
}

/// Every entry for tools, with its list and its row's name.
fn entries(rules: &Rules) -> impl Iterator<Item = (String, &'static str, &Permission)> {
    let rows = rules.sources.iter().map(|(name, row)| (format!("source `{name}`"), row));
    let rows = rows.chain(rules.roles.iter().map(|(name, row)| (format!("role `{name}`"), row)));
    let rows = rows.chain(rules.agents.iter().map(|(name, row)| (format!("agent `{name}`"), row)));
    rows.flat_map(|(name, row)| of_row(row).map(move |(word, entry)| (name.clone(), word, entry)))
}

fn of_row(row: &RowLists) -> impl Iterator<Item = (&'static str, &Permission)> {
    let Lists { allow, plan, ask, deny } = row.of(Class::Tool);
    let all = [("allow", allow), ("plan", plan), ("ask", ask), ("deny", deny)];
    all.into_iter().flat_map(|(word, list)| list.iter().map(move |entry| (word, entry)))
}

/// The tool that a permission without `*` names.
fn literal(text: &str) -> Option<ToolId> {
    Some(text).filter(|text| !text.contains('*'))?.parse().ok()
}

/// A condition that says nothing about a destination leaves it to whoever writes the arguments (DESIGN §4.3).
fn open_destinations(rules: &Rules, known: &Known<'_>, tools: &BTreeSet<ToolId>, scope: Scope<'_>) {
    for (_, _, entry) in entries(rules).filter(|(_, word, _)| *word != "deny") {
        let Some(condition) = &entry.condition else { continue };
        let mut open: BTreeMap<String, &ToolId> = BTreeMap::new();
        for tool in tools.iter().filter(|tool| entry.glob.matches(&tool.to_string())) {
            let said =
                |entry: &'_ ToolSettings| entry.destinations.clone().map(|all| (all, entry.glob.clone()));
            let labelled = known.upstream(tool).and_then(|settings| settings.said(&tool.tool, said));
            // A label on a pattern may be for another tool of it: where the schema is known it says so.
            let is_there = |name: &str, glob: &Glob| match known.accepted.contains(tool) {
                true => known.policy.has_argument(tool, name),
                false => !glob.as_str().contains('*'),
            };
            let is_open = |(name, glob): &(String, Glob)| {
                is_there(name, glob) && !condition.speaks_of(name) && !entry.unconstrained.contains(name)
            };
            let names = labelled
                .into_iter()
                .flat_map(|(names, glob)| names.into_iter().map(move |name| (name, glob.clone())));
            for (name, _) in names.filter(is_open) {
                open.entry(name).or_insert(tool);
            }
        }
        for (name, tool) in open {
            let message = format!("this condition says nothing about `{name}`, a destination of `{tool}`");
            let help = format!("constrain `args.{name}`, or write `unconstrained = [\"{name}\"]` beside it");
            scope.found.error(Code::DestinationOpen, &entry.place, message, help);
        }
    }
}

/// The tools that something opens and whose classes nobody declared, by upstream.
fn labels(rules: &Rules, known: &Known<'_>, scope: Scope<'_>) {
    for upstream in known.upstreams {
        let is_meant = |tool: &&ToolId| {
            tool.upstream == upstream.name
                && upstream.said(&tool.tool, |entry| entry.classes.as_ref()).is_none()
                && rules.may_ever(Class::Tool, &tool.to_string())
        };
        let missing: Vec<_> = known.accepted.iter().filter(is_meant).map(|id| id.tool.to_string()).collect();
        if missing.is_empty() {
            continue;
        }
        let shown: Vec<_> = missing.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
        let more = missing.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!("nobody said what these tools do: {}{more}", shown.join(", "));
        let help = "add `classes = [\"reads\"]` and the like to their entries in `tools`; until then each counts as \
                    reading, writing, sending, executing and loading";
        scope.found.warn(Code::LabelsMissing, &upstream.place, message, help);
    }
}

/// What a source writes through a tool comes back as trusted, where nothing says that it is stored (DESIGN §5).
fn stored_trust(
    rules: &Rules,
    known: &Known<'_>,
    tools: &BTreeSet<ToolId>,
    document: &Document,
    scope: Scope<'_>,
) {
    for upstream in known.upstreams.iter().filter(|upstream| upstream.accept_stored.is_none()) {
        if !upstream.returns.is_empty() {
            continue;
        }
        let writes = |tool: &&ToolId| {
            tool.upstream == upstream.name
                && upstream
                    .said(&tool.tool, |e| e.classes.as_ref())
                    .is_some_and(|c| c.contains(&ToolClass::Writes))
                && upstream.said(&tool.tool, |entry| entry.stores).unwrap_or_default() == Stores::Nothing
        };
        let opens = |tool: &ToolId| {
            let text = tool.to_string();
            let of_source = rules.sources.iter().find(|(_, row)| {
                of_row(row).any(|(word, entry)| word != "deny" && entry.glob.matches(&text))
            });
            of_source.map(|(source, _)| source)
        };
        let found = tools.iter().filter(writes).find_map(|tool| Some((tool, opens(tool)?)));
        let Some((tool, source)) = found else { continue };
        let written = document.upstreams.iter().find(|written| written.name.value == upstream.name.as_str());
        let place =
            written.and_then(|written| written.returns.as_ref()).map_or(&upstream.place, |r| &r.place);
        let message = format!(
            "what `{}` returns is trusted, and the source `{source}` writes there by `{tool}`",
            upstream.name
        );
        let help = format!(
            "write `stores = \"all\"` for `{}`, so that later results carry who wrote it; or name a source in \
             `returns`; or write `accept_stored = \"why that is right\"`",
            tool.tool
        );
        scope.found.error(Code::StoredTrust, place, message, help);
    }
}

/// Most tools that a warning names.
const NAMED_MAX: usize = 8;

/// Where an entry stands that no test exercised, and what it says.
pub(super) fn unexercised(rules: &Rules, exercised: &BTreeSet<Place>) -> Vec<(Place, String)> {
    let each = |(whose, word, entry): (String, &str, &Permission)| {
        let when = entry.condition.as_ref().map(|c| format!(" when {}", c.text())).unwrap_or_default();
        (entry.place.clone(), format!("{whose}: {word} {}{when}", entry.glob))
    };
    entries(rules).map(each).filter(|(place, _)| !exercised.contains(place)).collect()
}
