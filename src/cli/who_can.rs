//! `sluicegate who-can`: every source, role and agent that together can reach a tool.
//!
//! Must never leave one out: what is not shown is refused to every call (docs/POLICY.md). Must never let what it shows
//! steer the terminal.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::json;

use super::{admin, columns, exit};
use crate::clock::Clock;
use crate::model::decision::Rule;
use crate::model::name::ToolId;
use crate::model::text::printable;
use crate::policy::{Span, Way};

/// The arguments of `who-can`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate who-can mail.send
  sluicegate who-can mail.send --json

What is not listed can reach the tool under no arguments, whatever the run has read. `allow..deny` means that
conditions decide; each is shown with its place.")]
pub(super) struct WhoCan {
    /// The tool, as permissions name it: upstream.tool
    #[arg(value_name = "TOOL")]
    tool: String,
    /// At which moment, as 2026-12-31T12:00:00Z; now where it is not said
    #[arg(long, value_name = "MOMENT")]
    at: Option<Timestamp>,
    #[command(flatten)]
    target: admin::Target,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &WhoCan) -> anyhow::Result<ExitCode> {
    let config = admin::configuration(&command.target.config)?;
    let tool: ToolId =
        command.tool.parse().context("write the tool as permissions name it: upstream.tool")?;
    // Whether or not it is accepted yet: what may reach it is said by the lists.
    let compiled = config.compile([tool.clone()]).map_err(|error| exit::misconfigured(&error.into()))?;
    let now = command.at.unwrap_or_else(|| Clock::system().wall());
    let ways = compiled.policy.who_can(&tool, now);
    let guards: Vec<_> =
        compiled.policy.guarding(&tool).map(|guardrail| guardrail.name().to_owned()).collect();
    let is_accepted = compiled.accepted.contains(&tool);
    let out = &mut std::io::stdout().lock();
    let told = match command.json {
        true => admin::json(
            &json!({ "tool": tool.to_string(), "accepted": is_accepted, "ways": ways, "guardrails": guards }),
            out,
        ),
        false => tell(&tool, &ways, &guards, out).map_err(Into::into),
    };
    admin::conclude(told)
}

fn tell(tool: &ToolId, ways: &[Way], guards: &[String], out: &mut impl Write) -> std::io::Result<()> {
    if ways.is_empty() {
        return writeln!(out, "{tool}: nobody, under no arguments");
    }
    let row = |way: &Way| {
        let agent = way.agent.as_ref().map_or("any", |agent| agent.as_str());
        [way.source.to_string(), way.role.to_string(), agent.to_owned(), span(&way.span)]
    };
    columns::write(["SOURCE", "ROLE", "AGENT", "ANSWER"], ways.iter().map(row), out)?;
    let mut conditions: Vec<_> = ways.iter().flat_map(|way| &way.span.conditions).collect();
    conditions.sort_by(|a, b| a.place.cmp(&b.place));
    conditions.dedup();
    if !conditions.is_empty() {
        writeln!(out, "\nConditions:")?;
    }
    for Rule { dimension, answer, when, place, .. } in conditions {
        let when = printable(when.as_deref().unwrap_or_default());
        let place = place.as_ref().map(ToString::to_string).unwrap_or_default();
        writeln!(
            out,
            "  {}: {answer} when {when} ({})",
            printable(&dimension.to_string()),
            printable(&place)
        )?;
    }
    for guard in guards {
        writeln!(out, "\nThe guardrail {} may forbid calls of it.", printable(guard))?;
    }
    Ok(())
}

/// `allow`, or `allow..deny` where conditions decide.
pub(super) fn span(span: &Span) -> String {
    match span.loosest == span.strictest {
        true => span.loosest.to_string(),
        false => format!("{}..{}", span.loosest, span.strictest),
    }
}
