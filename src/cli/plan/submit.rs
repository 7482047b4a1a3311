//! `sluicegate plan submit`: a harness has a plan reviewed in its run, before any model reads anything.
//!
//! Must never show a word of a gateway's answer so that it steers the terminal, nor end with 0 where a step is not
//! granted. The plan goes to the gateway as the bytes it is.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::file;
use crate::cli::connect::{Endpoint, Reach, Trouble, ask};
use crate::cli::{admin, columns, exit};
use crate::model::text::printable;
use crate::plan::Plan;

/// The tool of the gateway that takes plans.
const SUBMIT_PLAN: &str = "sluicegate__submit_plan";
/// A step waits for a person, and none is refused.
const WAITS: u8 = 3;

/// The arguments of `plan submit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate token mint --source email --subject user:1 --role assistant > token && chmod 600 token
  sluicegate plan submit meeting.json --url http://127.0.0.1:7400/mcp --token-file token
  sluicegate run --source email --subject user:1 --role assistant --plan meeting.json -- my-agent

The plan counts in the run that the token names, for whoever calls with tokens of it. Submit it before the agent reads
anything. Where an entry point says `run = \"session\"`, the run of this command is not that of a client with a session.

Ends with 0 where every step is granted, with 3 where one waits for a person (`sluicegate approvals list`) and none is
refused, and with 1 where one is refused or the plan is.")]
pub(in crate::cli) struct Submit {
    /// The plan, a JSON file; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    plan: PathBuf,
    #[command(flatten)]
    reach: Reach,
    /// Write what the gateway answers as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Submit) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let raw = read(&command.plan)?;
        let endpoint = command.reach.endpoint().await?;
        let answered = submit(&endpoint, &raw).await?;
        let out = &mut std::io::stdout().lock();
        let told = match command.json {
            true => admin::json(&answered.0, out),
            false => answered.write(out).map_err(Into::into),
        };
        admin::conclude(told)?;
        Ok(answered.code())
    })
}

/// The bytes of the plan. What is no JSON document would not be one message.
pub(in crate::cli) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let raw = file::read(path)?;
    if let Err(problems) = Plan::read(&raw) {
        let problems = problems.iter().map(|problem| format!("{}: {problem}", path.display()));
        bail!("{}", printable(&problems.collect::<Vec<_>>().join("\n")));
    }
    Ok(raw)
}

/// What the gateway says to the plan `raw`, in the run of the credential.
pub(in crate::cli) async fn submit(endpoint: &Endpoint, raw: &[u8]) -> anyhow::Result<Answered> {
    let answer = ask(endpoint, "tools/call", Some(SUBMIT_PLAN), &[("arguments", raw)]).await;
    let answer = answer.map_err(|trouble| match trouble {
        Trouble::Refused(reason) => {
            anyhow::anyhow!("the gateway refused: {} ({})", reason.sentence(), reason.code())
        }
        other => exit::unavailable(&anyhow::anyhow!("{}", other.sentence())),
    })?;
    if let Some(told) = answer.pointer("/result/structuredContent") {
        return Ok(Answered(told.clone()));
    }
    let message = answer.pointer("/error/message").and_then(Value::as_str);
    let message = message.context("what came back is no answer to a plan")?;
    bail!(
        "the gateway refused: {}. Plans are taken wherever the configuration has a `plan` entry or flow",
        printable(message)
    )
}

/// What the gateway answered.
pub(in crate::cli) struct Answered(Value);

impl Answered {
    fn steps(&self) -> impl Iterator<Item = &Value> {
        self.0.get("steps").and_then(Value::as_array).into_iter().flatten()
    }

    fn has(&self, verdict: &str) -> bool {
        self.steps().any(|step| text(step, "verdict") == verdict)
    }

    /// Whether the plan, or a step of it, is refused.
    pub(in crate::cli) fn is_refused(&self) -> bool {
        text(&self.0, "decision") != "allow" || self.has("refused")
    }

    fn code(&self) -> ExitCode {
        match (self.is_refused(), self.has("person")) {
            (true, _) => ExitCode::from(exit::FINDINGS),
            (false, true) => ExitCode::from(WAITS),
            (false, false) => ExitCode::SUCCESS,
        }
    }

    /// The answer for people.
    pub(in crate::cli) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let row = |step: &Value| {
            let verdict = match text(step, "verdict") {
                "person" => "needs a person",
                other => other,
            };
            let calls = step.get("calls").and_then(Value::as_u64).unwrap_or_default();
            [text(step, "step").to_owned(), verdict.to_owned(), calls.to_string()]
        };
        if self.steps().next().is_some() {
            columns::write(["STEP", "VERDICT", "CALLS"], self.steps().map(row), out)?;
        }
        for step in self.steps().filter(|step| text(step, "verdict") != "granted") {
            for why in step.get("why").and_then(Value::as_array).into_iter().flatten() {
                let argument = text(why, "argument");
                let argument =
                    if argument.is_empty() { String::new() } else { format!(", argument `{argument}`") };
                let (step, reason) = (text(step, "step"), text(why, "reason"));
                let line = format!("{step}: {reason}{argument}: {}", text(why, "message"));
                writeln!(out, "{}", printable(&line))?;
            }
        }
        for problem in self.0.get("problems").and_then(Value::as_array).into_iter().flatten() {
            let line =
                format!("at `{}`: {}. {}", text(problem, "at"), text(problem, "why"), text(problem, "mend"));
            writeln!(out, "{}", printable(&line))?;
        }
        match text(&self.0, "until") {
            "" => writeln!(out, "nothing is granted: {}", printable(text(&self.0, "reason"))),
            until => {
                writeln!(out, "counts until {}, plan {}", printable(until), printable(text(&self.0, "plan")))
            }
        }?;
        if self.has("person") {
            writeln!(out, "`sluicegate approvals list` shows what waits for a person")?;
        }
        Ok(())
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
