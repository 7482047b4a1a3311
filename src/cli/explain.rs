//! `sluicegate explain`: why a call is decided as it is, and what would have to be different.
//!
//! Must never decide by itself, nor reach a gateway or a tool server: it reads the configuration and the accepted
//! definitions, and asks the policy. Must never let what it shows steer the terminal.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use jiff::Timestamp;

use super::{admin, columns, exit, label};
use crate::config::Compiled;
use crate::model::call::{ArgumentFacts, Call, Payload, Stores};
use crate::model::decision::{Answer, Decision};
use crate::model::digest::Sha256;
use crate::model::name::{AgentName, EntryPointName, RoleName, SourceName, Subject, ToolId};
use crate::model::principal::{Label, Principal, RunRule};
use crate::model::provenance::Provenance;
use crate::model::target::Target;
use crate::model::text::printable;
use crate::model::trigger::{Declarations, Trigger, TriggerEntry};
use crate::policy::{Explanation, Standing, Voice};

/// The arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate explain --source email --role assistant mail.send
  sluicegate explain --source email --role assistant --trigger sender=x@y.example \\
      mail.reply '{\"to\":\"x@y.example\"}'
  sluicegate explain --source chat --tainted web --role assistant mail.send --json

Ends with 0 where the call is allowed, and with 1 where it is not.")]
pub(super) struct Explain {
    #[command(flatten)]
    caller: Caller,
    /// The tool, as permissions name it: upstream.tool
    #[arg(value_name = "TOOL")]
    tool: String,
    /// The arguments of the call, a JSON object. Without them every argument is absent
    #[arg(value_name = "ARGUMENTS")]
    arguments: Option<String>,
    #[command(flatten)]
    target: admin::Target,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// Who calls.
#[derive(Debug, clap::Args)]
pub(super) struct Caller {
    /// A source of the credential; may be repeated
    #[arg(long = "source", required = true, value_name = "SOURCE", value_parser = SourceName::new)]
    sources: Vec<SourceName>,
    /// A source that the run has read since; may be repeated
    #[arg(long = "tainted", value_name = "SOURCE", value_parser = SourceName::new)]
    tainted: Vec<SourceName>,
    /// A role of the subject; may be repeated
    #[arg(long = "role", value_name = "ROLE", value_parser = RoleName::new)]
    roles: Vec<RoleName>,
    /// The agent that acts; repeated, the one that calls first
    #[arg(long = "agent", value_name = "AGENT", value_parser = AgentName::new)]
    agents: Vec<AgentName>,
    /// On whose behalf
    #[arg(long, value_name = "SUBJECT", default_value = "user:test", value_parser = Subject::new)]
    subject: Subject,
    /// An attribute of the trigger: KEY=TEXT, KEY:=JSON, and with several sources SOURCE:KEY=TEXT
    #[arg(long = "trigger", value_name = "KEY=TEXT")]
    triggers: Vec<String>,
    /// When the call is made, as 2026-12-31T12:00:00Z; now where it is not said
    #[arg(long, value_name = "MOMENT")]
    at: Option<Timestamp>,
}

impl Caller {
    fn principal(&self, declarations: &Declarations) -> anyhow::Result<Principal> {
        let asked = label::sources(&self.sources, &self.triggers, declarations)?;
        let entry = |asked: crate::model::mint::AskedSource| TriggerEntry {
            source: asked.kind.clone(),
            kind: asked.kind,
            attributes: asked.attributes,
            dropped: Vec::new(),
        };
        let trigger = Trigger { entries: asked.into_iter().map(entry).collect(), goal: None };
        let label = Label {
            entry_point: EntryPointName::new("explain")?,
            subject: self.subject.clone(),
            roles: self.roles.iter().cloned().collect(),
            agents: self.agents.clone(),
            sources: Provenance::of(self.sources.iter().cloned()),
        };
        Ok(Principal { trigger, ..Principal::configured(label, RunRule::DEFAULT) })
    }
}

pub(super) fn run(command: &Explain) -> anyhow::Result<ExitCode> {
    let config = admin::configuration(&command.target.config)?;
    let tool: ToolId =
        command.tool.parse().context("write the tool as permissions name it: upstream.tool")?;
    let values = arguments(command.arguments.as_deref())?;
    let compiled = config.compile([]).map_err(|error| exit::misconfigured(&error.into()))?;
    unknown(&compiled, &tool)?;
    let principal = command.caller.principal(&config.rules.triggers)?;
    let tainted = Provenance::of(command.caller.sources.iter().chain(&command.caller.tainted).cloned());
    let now = command.caller.at.unwrap_or_else(|| crate::clock::Clock::system().wall());
    let (nothing, closed) = (Provenance::default(), BTreeSet::new());
    let (trigger, brings) = (&principal.trigger, &nothing);
    let standing = Standing { provenance: &tainted, brings, closed: &closed, trigger, now };
    let call = Call {
        target: Target::Tool(tool),
        pin: None,
        returns: Provenance::default(),
        stores: Stores::Nothing,
        arguments: ArgumentFacts { sha256: Sha256::of(&values), bytes: 0 },
        values,
        payload: Payload { method: "tools/call", bytes: Bytes::new(), progress_token: None },
    };
    let explanation = compiled.policy.explain(&principal, standing, &call);
    let out = &mut std::io::stdout().lock();
    let allowed = explanation.decision.verdict == Answer::Allow;
    let told = match command.json {
        true => admin::json(&explanation, out),
        false => tell(&command.tool, &explanation, out).map_err(Into::into),
    };
    let code = admin::conclude(told)?;
    Ok(if allowed { code } else { ExitCode::from(exit::FINDINGS) })
}

/// A tool that nothing knows is refused like one that is hidden, and whoever asks here wants to know which it is.
fn unknown(compiled: &Compiled, tool: &ToolId) -> anyhow::Result<()> {
    if compiled.all.contains(tool) {
        return Ok(());
    }
    let own = compiled.all.iter().filter(|known| known.upstream == tool.upstream).map(ToString::to_string);
    let known: Vec<_> = own.take(KNOWN_SHOWN_MAX).collect();
    let known = if known.is_empty() {
        "no tool of this upstream is known: start the gateway once, or run `sluicegate init`".to_owned()
    } else {
        format!("known here: {}", known.join(", "))
    };
    bail!("no tool `{tool}` is accepted, and no entry names it; {known}")
}

fn arguments(text: Option<&str>) -> anyhow::Result<Bytes> {
    let Some(text) = text else { return Ok(Bytes::new()) };
    let read: serde_json::Value = serde_json::from_str(text).context("the arguments are no JSON")?;
    if !read.is_object() {
        bail!("the arguments are no JSON object; write them like {{\"to\":\"x@y.example\"}}");
    }
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

/// `explanation` for people.
pub(super) fn tell(tool: &str, explanation: &Explanation, out: &mut impl Write) -> std::io::Result<()> {
    let Explanation { decision, voices } = explanation;
    let Decision { verdict, reason, would_be, .. } = decision;
    writeln!(out, "{}: {verdict} ({reason})\n", printable(tool))?;
    let row = |voice: &Voice| {
        let rule = &voice.rule;
        let list = rule.permission.as_deref().unwrap_or(match voice.trouble {
            Some(_) => "cannot be told",
            None if rule.place.is_some() => "forbids it",
            None => "nothing names it",
        });
        let when = rule.when.as_ref().map_or_else(String::new, |when| format!("when {when}"));
        let place = rule.place.as_ref().map_or_else(String::new, ToString::to_string);
        [rule.dimension.to_string(), rule.answer.to_string(), list.to_owned(), place, when]
    };
    columns::write(["WHO", "SAYS", "BY", "AT", ""], voices.iter().map(row), out)?;
    let strict: Vec<_> = voices.iter().filter(|voice| !voice.remedies.is_empty()).collect();
    if !strict.is_empty() {
        writeln!(out, "\nFor a looser answer:")?;
    }
    for voice in strict {
        let remedies: Vec<_> = voice.remedies.iter().map(|remedy| printable(remedy)).collect();
        writeln!(out, "  {}: {}", printable(&voice.rule.dimension.to_string()), remedies.join("; or "))?;
    }
    if let Some(would_be) = would_be {
        writeln!(out, "\nIf everything were enforced: {} ({})", would_be.verdict, would_be.reason)?;
    }
    Ok(())
}

/// Most known tools that an error names.
const KNOWN_SHOWN_MAX: usize = 12;
