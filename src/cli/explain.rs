//! `sluicegate explain`: why a call is decided as it is, and what would have to be different.
//!
//! Must never decide by itself, nor reach a gateway or a tool server: it reads the configuration and the accepted
//! definitions, and asks the policy. Must never let what it shows steer the terminal.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use jiff::Timestamp;

use super::caller::Caller;
use super::{admin, columns, exit};
use crate::audit::{self, Recorded, Seq};
use crate::config::Compiled;
use crate::model::call::Call;
use crate::model::decision::{Answer, Decision};
use crate::model::name::ToolId;
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::Target;
use crate::model::text::printable;
use crate::model::trigger::Declarations;
use crate::policy::{Explanation, Planned, Standing, Voice};
use crate::upstream::{Settings, Settled};

/// The arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate explain --source email --role assistant mail.send
  sluicegate explain --source email --role assistant --trigger sender=x@y.example \\
      mail.reply '{\"to\":\"x@y.example\"}'
  sluicegate explain --source chat --tainted web --role assistant mail.send --json
  sluicegate explain 4711

With the number of a record, as `sluicegate audit tail` shows it behind `#`, the recorded decision is told beside
what the policy of now would say. The journal keeps no arguments: give them again where conditions look at them.

Ends with 0 where the call is allowed, and with 1 where it is not.")]
pub(super) struct Explain {
    #[command(flatten)]
    caller: Caller,
    /// The tool, as permissions name it (upstream.tool), or the number of a recorded call
    #[arg(value_name = "TOOL|SEQ")]
    what: String,
    /// The arguments of the call, a JSON object. Without them every argument is absent
    #[arg(value_name = "ARGUMENTS")]
    arguments: Option<String>,
    #[command(flatten)]
    target: admin::Target,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Explain) -> anyhow::Result<ExitCode> {
    let config = admin::configuration(&command.target.config)?;
    let values = arguments(command.arguments.as_deref())?;
    let asked = match command.what.parse() {
        Ok(seq) => Asked::recorded(&config.state_dir, Seq(seq))?,
        Err(_) => Asked::by_hand(command, &config.rules.triggers)?,
    };
    let compiled = config.compile([]).map_err(|error| exit::misconfigured(&error.into()))?;
    if let (Some(tool), None) = (asked.target.tool(), &asked.then) {
        unknown(&compiled, tool)?;
    }
    let (nothing, closed) = (Provenance::default(), BTreeSet::new());
    let standing = Standing {
        provenance: &asked.provenance,
        brings: &nothing,
        closed: &closed,
        trigger: &asked.principal.trigger,
        planned: Planned::default(),
        now: asked.at,
    };
    let name = asked.target.to_string();
    let (values, settled) = settle(&config.upstreams, &asked.target, values)?;
    let call = Call::hypothetical(asked.target, values);
    let mut explanation = compiled.policy.explain(&asked.principal, standing, &call);
    let decision = &mut explanation.decision;
    if settled == Settled::Contradicted && decision.verdict == Answer::Allow {
        (decision.verdict, decision.reason) = (Answer::Deny, Reason::ArgumentFixed);
    }
    let out = &mut std::io::stdout().lock();
    let is_allowed = explanation.decision.verdict == Answer::Allow;
    let told = match (command.json, &asked.then) {
        (true, None) => admin::json(&explanation, out),
        (true, Some(then)) => admin::json(&serde_json::json!({ "then": then, "now": explanation }), out),
        (false, then) => tell_both(&name, then.as_ref(), &explanation, out).map_err(Into::into),
    };
    let code = admin::conclude(told)?;
    Ok(if is_allowed { code } else { ExitCode::from(exit::FINDINGS) })
}

/// What is explained.
struct Asked {
    principal: Principal,
    provenance: Provenance,
    target: Target,
    at: Timestamp,
    /// What was decided, of a recorded call.
    then: Option<Then>,
}

/// A recorded decision.
#[derive(Debug, serde::Serialize)]
struct Then {
    seq: u64,
    at: Timestamp,
    verdict: Answer,
    reason: Reason,
    rules: Vec<String>,
}

impl Asked {
    fn by_hand(command: &Explain, declarations: &Declarations) -> anyhow::Result<Self> {
        let caller = &command.caller;
        let tool: ToolId =
            command.what.parse().context("write the tool as permissions name it: upstream.tool")?;
        Ok(Self {
            principal: caller.principal(declarations)?,
            provenance: caller.provenance(),
            target: Target::Tool(tool),
            at: caller.at(),
            then: None,
        })
    }

    /// The call that the record `seq` decides on: of an outcome, its intent.
    fn recorded(state_dir: &Path, seq: Seq) -> anyhow::Result<Self> {
        let shown = audit::show(&state_dir.join("journal"), seq)?;
        let call = shown.iter().find_map(|shown| audit::recorded(&shown.line));
        let Some(Recorded { seq, at, principal, provenance, target, verdict, reason, rules, .. }) = call
        else {
            bail!("the record {} decides on no call", seq.0);
        };
        let target = target.context("the call was for something that did not exist")?;
        let then = Some(Then { seq: seq.0, at, verdict, reason, rules });
        Ok(Self { principal, provenance, target, at, then })
    }
}

fn tell_both(
    name: &str,
    then: Option<&Then>,
    now: &Explanation,
    out: &mut impl Write,
) -> std::io::Result<()> {
    if let Some(Then { seq, at, verdict, reason, rules }) = then {
        writeln!(out, "#{seq} {}: {} was {verdict} ({reason})", admin::time(*at), printable(name))?;
        for rule in rules {
            writeln!(out, "  {}", printable(rule))?;
        }
        writeln!(out, "\nBy the policy of now:")?;
    }
    tell(name, now, out)
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

/// The arguments as they are decided on, and how those that are asked about stand to what is fixed.
fn settle(upstreams: &[Settings], target: &Target, values: Bytes) -> anyhow::Result<(Bytes, Settled)> {
    let Some(id) = target.tool() else { return Ok((values, Settled::Agreed)) };
    match upstreams.iter().find(|settings| settings.name == id.upstream) {
        Some(settings) => settings.settle(&id.tool, &values).context("the arguments cannot be read"),
        None => Ok((values, Settled::Agreed)),
    }
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
fn tell(tool: &str, explanation: &Explanation, out: &mut impl Write) -> std::io::Result<()> {
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
    if *reason == Reason::ArgumentFixed {
        let remedy = "leave out what `arguments` in `tools` of its upstream fixes, or change it there";
        writeln!(out, "\nThe lists allow it. For a looser answer: {remedy}")?;
    }
    if let Some(would_be) = would_be {
        writeln!(out, "\nIf everything were enforced: {} ({})", would_be.verdict, would_be.reason)?;
    }
    Ok(())
}

/// Most known tools that an error names.
const KNOWN_SHOWN_MAX: usize = 12;
