//! `sluicegate diff`: what another policy would have said to the calls that a journal holds.
//!
//! Must never put anything in force, nor guess: what depends on arguments, which the journal does not keep, is told
//! apart. Must never let a record steer the terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::recorded::Past;
use super::{admin, exit};
use crate::audit::{Recorded, Scan};
use crate::model::call::Call;
use crate::model::decision::Answer;
use crate::model::name::ToolId;
use crate::model::provenance::Provenance;
use crate::model::reason::{Group, Reason};
use crate::model::target::Target;
use crate::model::text::printable;
use crate::policy::{Planned, Policy, Standing};

/// The arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate diff new.toml --against /var/lib/sluicegate --since 7d
  sluicegate diff new.toml --since 2026-11-01T00:00:00Z --json

Every call of the journal is decided again by the new configuration, by its recorded caller, provenance and
trigger. What is told: calls newly refused, newly allowed, answered otherwise, and those whose answer would depend
on arguments, which the journal does not keep. Budgets, pins and closed sources are not replayed.
Ends with 0 where nothing is newly refused or allowed, and with 1 where something is.")]
pub(super) struct Diff {
    /// The configuration whose policy is compared
    #[arg(value_name = "NEW.toml")]
    new: PathBuf,
    #[command(flatten)]
    past: Past,
    /// Most groups of calls that are shown of each kind
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// How the answer to a call changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    /// It was allowed, and would not be.
    NewlyRefused,
    /// It was refused, and would be allowed.
    NewlyAllowed,
    /// It was refused, and would be refused otherwise.
    OtherAnswer,
    /// It depends on what the journal does not keep.
    Undetermined,
}

impl Change {
    const ALL: [Self; 4] = [Self::NewlyRefused, Self::NewlyAllowed, Self::OtherAnswer, Self::Undetermined];

    fn title(self) -> &'static str {
        match self {
            Self::NewlyRefused => "newly refused",
            Self::NewlyAllowed => "newly allowed",
            Self::OtherAnswer => "refused otherwise",
            Self::Undetermined => {
                "cannot be told: it depends on arguments, or on what was cut from the record"
            }
        }
    }
}

/// Calls that are the same but for when, and on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Key {
    change: Change,
    target: String,
    provenance: Vec<String>,
    roles: Vec<String>,
    agents: Vec<String>,
    then: Answer,
    reason_then: Reason,
    loosest_now: Answer,
    strictest_now: Answer,
}

/// How often, by whom, when.
#[derive(Debug, Clone, Serialize)]
struct Observed {
    count: u64,
    subjects: BTreeSet<String>,
    first: Timestamp,
    last: Timestamp,
    /// The number of one of the records, for `sluicegate audit show`.
    example: u64,
    rules_then: Vec<String>,
    rules_now: Vec<String>,
}

/// Everything that was found.
#[derive(Debug, Default)]
struct Found {
    groups: BTreeMap<Key, Observed>,
    unchanged: u64,
    /// Refused for what no policy says: rates, sessions, tool servers.
    beyond: u64,
    /// Calls that would have made one group too many.
    ungrouped: u64,
    /// Sources, roles and agents of calls that the new configuration does not declare.
    undeclared: BTreeSet<String>,
}

/// Most tools that calls name beside those that are known here.
const TOOLS_MAX: usize = 50_000;
/// Most groups that are kept apart.
const GROUPS_MAX: usize = 10_000;
/// Most subjects of a group that are kept.
const SUBJECTS_MAX: usize = 20;
/// Most rules of a group that are shown of then, and of now.
const RULES_SHOWN_MAX: usize = 4;
/// Most names of an incomplete configuration that are told.
const UNDECLARED_MAX: usize = 100;

pub(super) fn run(command: &Diff) -> anyhow::Result<ExitCode> {
    let config = admin::configuration(&command.new)?;
    // A pattern allows tools that no lock file of here knows: those that were called are asked about too.
    let mut called = BTreeSet::new();
    let history = command.past.history(&config.state_dir);
    history.visit(|call| {
        if let Some(tool) = call.target.as_ref().and_then(Target::tool).filter(|_| called.len() < TOOLS_MAX) {
            called.insert(tool.clone());
        }
    })?;
    let has_upstream = |tool: &ToolId| config.upstreams.iter().any(|upstream| upstream.name == tool.upstream);
    called.retain(has_upstream);
    let compiled = config.compile(called).map_err(|error| exit::misconfigured(&error.into()))?;
    let policy = compiled.policy;
    let mut found = Found::default();
    let scan = history.visit(|call| found.take(&policy, &config.rules, &call))?;
    let caveats = history.caveats(scan);
    let count = |change| {
        found.groups.iter().filter(|(key, _)| key.change == change).map(|(_, group)| group.count).sum::<u64>()
    };
    let has_found = count(Change::NewlyRefused) + count(Change::NewlyAllowed) > 0;
    let out = &mut std::io::stdout().lock();
    let told = match command.json {
        true => admin::json(&found.to_json(scan, &caveats, command.limit), out),
        false => found.tell(scan, &caveats, command.limit, out).map_err(Into::into),
    };
    let code = admin::conclude(told)?;
    Ok(if has_found { ExitCode::from(exit::FINDINGS) } else { code })
}

/// What the new policy says to a call.
struct Now<'a> {
    policy: &'a Policy,
    loosest: Answer,
    strictest: Answer,
}

impl Now<'_> {
    /// The rules that determine its answer to `call`, as far as that is known without arguments.
    fn rules(&self, target: &Target, call: &Recorded) -> Vec<String> {
        let (nothing, closed) = (Provenance::default(), BTreeSet::new());
        let standing = Standing {
            provenance: &call.provenance,
            brings: &nothing,
            closed: &closed,
            trigger: &call.principal.trigger,
            planned: Planned::default(),
            now: call.at,
        };
        let asked = Call::hypothetical(target.clone(), Bytes::new());
        let decision = self.policy.explain(&call.principal, standing, &asked).decision;
        decision.rules.iter().map(ToString::to_string).collect()
    }
}

impl Found {
    fn take(&mut self, policy: &Policy, rules: &crate::policy::Rules, call: &Recorded) {
        let Some(target) = &call.target else {
            // Nothing of that name existed, and nothing of the policy says anything about it.
            self.unchanged += 1;
            return;
        };
        self.note_undeclared(rules, call);
        let is_beyond = matches!(call.reason, Reason::PinChanged | Reason::ArgumentFixed);
        let is_by_policy = call.reason.group() == Group::Policy && !is_beyond;
        // What a budget or a full table refused had been allowed by the policy, and was not called all the same.
        if !is_by_policy {
            self.beyond += 1;
            return;
        }
        let span = policy.span_of(&call.principal, &call.provenance, target, call.at);
        let (loosest, strictest) = (span.loosest, span.strictest);
        let change = match (call.verdict, loosest == strictest && !call.is_cut) {
            (then, true) if then == loosest => None,
            (_, false) => Some(Change::Undetermined),
            (Answer::Allow, true) => Some(Change::NewlyRefused),
            (_, true) if loosest == Answer::Allow => Some(Change::NewlyAllowed),
            (_, true) => Some(Change::OtherAnswer),
        };
        match change {
            None => self.unchanged += 1,
            Some(change) => {
                let now = Now { policy, loosest, strictest };
                self.group(change, target, call, now);
            }
        }
    }

    fn group(&mut self, change: Change, target: &Target, call: &Recorded, now: Now<'_>) {
        let names = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>();
        let principal = &call.principal;
        let key = Key {
            change,
            target: target.to_string(),
            provenance: names(&mut call.provenance.iter().map(ToString::to_string)),
            roles: names(&mut principal.roles.iter().map(ToString::to_string)),
            agents: names(&mut principal.agents.iter().map(ToString::to_string)),
            then: call.verdict,
            reason_then: call.reason,
            loosest_now: now.loosest,
            strictest_now: now.strictest,
        };
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&key) {
            self.ungrouped += 1;
            return;
        }
        let new = || Observed {
            count: 0,
            subjects: BTreeSet::new(),
            first: call.at,
            last: call.at,
            example: call.seq.0,
            rules_then: call.rules.clone(),
            rules_now: now.rules(target, call),
        };
        let group = self.groups.entry(key).or_insert_with(new);
        group.count += 1;
        group.last = group.last.max(call.at);
        if group.subjects.len() < SUBJECTS_MAX {
            group.subjects.insert(principal.subject.to_string());
        }
    }

    fn note_undeclared(&mut self, rules: &crate::policy::Rules, call: &Recorded) {
        if self.undeclared.len() >= UNDECLARED_MAX {
            return;
        }
        let sources = call.provenance.iter().filter(|name| !rules.sources.contains_key(*name));
        self.undeclared.extend(sources.map(|name| format!("source {name}")));
        let roles = call.principal.roles.iter().filter(|name| !rules.roles.contains_key(*name));
        self.undeclared.extend(roles.map(|name| format!("role {name}")));
        // Where none are declared, nobody needs to be one.
        let agents = call.principal.agents.iter().filter(|name| !rules.agents.contains_key(*name));
        let agents = agents.filter(|_| !rules.agents.is_empty());
        self.undeclared.extend(agents.map(|name| format!("agent {name}")));
    }

    /// The groups of one kind, the most frequent first.
    fn of(&self, change: Change) -> Vec<(&Key, &Observed)> {
        let mut all: Vec<_> = self.groups.iter().filter(|(key, _)| key.change == change).collect();
        all.sort_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(b.0)));
        all
    }

    fn to_json(&self, scan: Scan, caveats: &[String], limit: usize) -> serde_json::Value {
        let mut answer = serde_json::Map::new();
        for change in Change::ALL {
            let groups = self.of(change);
            let calls: u64 = groups.iter().map(|(_, group)| group.count).sum();
            let shown: Vec<_> = groups
                .iter()
                .take(limit)
                .map(|(key, group)| serde_json::json!({ "call": key, "seen": group }))
                .collect();
            let word = serde_json::json!(change).as_str().unwrap_or_default().to_owned();
            answer
                .insert(word, serde_json::json!({ "calls": calls, "groups": groups.len(), "shown": shown }));
        }
        answer.insert("unchanged".to_owned(), self.unchanged.into());
        answer.insert("refused_beyond_policy".to_owned(), self.beyond.into());
        answer.insert("ungrouped".to_owned(), self.ungrouped.into());
        answer.insert("undeclared".to_owned(), serde_json::json!(self.undeclared));
        answer.insert("damaged".to_owned(), scan.damaged.into());
        answer.insert("caveats".to_owned(), serde_json::json!(caveats));
        answer.insert("undecided".to_owned(), scan.undecided.into());
        answer.into()
    }

    fn tell(
        &self,
        scan: Scan,
        caveats: &[String],
        limit: usize,
        out: &mut impl Write,
    ) -> std::io::Result<()> {
        for change in Change::ALL {
            let groups = self.of(change);
            let calls: u64 = groups.iter().map(|(_, group)| group.count).sum();
            writeln!(out, "{}: {calls}", change.title())?;
            for (key, group) in groups.iter().take(limit) {
                tell_group(key, group, out)?;
            }
            if let Some(more) = groups.len().checked_sub(limit).filter(|more| *more > 0) {
                writeln!(out, "  and {more} more groups; `--limit` shows them")?;
            }
        }
        writeln!(out, "unchanged: {}", self.unchanged)?;
        writeln!(out, "refused for what no policy says: {}", self.beyond + scan.undecided)?;
        for name in &self.undeclared {
            writeln!(out, "not declared in the new configuration: {}", printable(name))?;
        }
        if self.ungrouped > 0 {
            writeln!(out, "beyond {GROUPS_MAX} groups: {} calls that are not told apart", self.ungrouped)?;
        }
        for caveat in caveats {
            writeln!(out, "{caveat}")?;
        }
        Ok(())
    }
}

fn tell_group(key: &Key, group: &Observed, out: &mut impl Write) -> std::io::Result<()> {
    let now = match key.loosest_now == key.strictest_now {
        true => key.loosest_now.to_string(),
        false => format!("{}..{}", key.loosest_now, key.strictest_now),
    };
    let agents =
        if key.agents.is_empty() { String::new() } else { format!(" agents {}", key.agents.join(",")) };
    let line = format!(
        "  {}x {} sources {} roles {}{agents}: {} ({}), now {now}; last {}, #{}, by {}",
        group.count,
        key.target,
        key.provenance.join(","),
        key.roles.join(","),
        key.then,
        key.reason_then,
        admin::time(group.last),
        group.example,
        group.subjects.iter().cloned().collect::<Vec<_>>().join(", "),
    );
    writeln!(out, "{}", printable(&line))?;
    for rule in group.rules_then.iter().take(RULES_SHOWN_MAX) {
        writeln!(out, "      then: {}", printable(rule))?;
    }
    for rule in group.rules_now.iter().take(RULES_SHOWN_MAX) {
        writeln!(out, "      now:  {}", printable(rule))?;
    }
    Ok(())
}
