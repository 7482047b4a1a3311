//! `sluicegate plan review`: what of a plan is granted, what needs a person, what is refused, and by which rule.
//!
//! Must never judge by itself, nor reach a gateway or a tool server: it reads the configuration and the accepted
//! definitions, and asks the review. Must never let a plan steer the terminal, nor show its notes as if anybody vouched
//! for them.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::file;
use crate::cli::caller::Caller;
use crate::cli::{admin, columns, exit};
use crate::model::digest::Sha256;
use crate::model::name::Goal;
use crate::model::principal::Principal;
use crate::model::text::printable;
use crate::model::trigger::Trigger;
use crate::plan::{Finding, Problem, Verdict};
use crate::upstream::Catalogue;

/// The arguments of `plan review`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate plan review meeting.json --source email --role assistant --trigger sender=x@y.example
  sluicegate plan review - --source chat --after web --role assistant --json < plan.json

The plan is reviewed as a gateway of this configuration would review it, over the accepted definitions. What only a
gateway knows is not looked at: closed sources, changed definitions, what the run has done, what was granted to it. A
reviewer outside (`[reviewer]`) is not asked.

Ends with 0 where the whole plan is granted, and with 1 where it is not.")]
pub(super) struct Review {
    /// The plan, a JSON file; `-` reads it from standard input
    #[arg(value_name = "FILE")]
    plan: PathBuf,
    #[command(flatten)]
    caller: Caller,
    /// The kind of request that the credential vouches for
    #[arg(long, value_name = "GOAL", value_parser = Goal::new)]
    goal: Option<Goal>,
    #[command(flatten)]
    target: admin::Target,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Review) -> anyhow::Result<ExitCode> {
    let config = admin::configuration(&command.target.config)?;
    let raw = file::read(&command.plan)?;
    let principal = command.caller.principal(&config.rules.triggers)?;
    let trigger = Trigger { goal: command.goal.clone(), ..principal.trigger.clone() };
    let principal = Principal { trigger, ..principal };
    let compiled = config.compile([]).map_err(|error| exit::misconfigured(&error.into()))?;
    let (provenance, now) = (command.caller.provenance(), command.caller.at());
    let reviewed = config.rehearsal(&compiled).review(&raw, &principal, &provenance, now);
    let out = &mut std::io::stdout().lock();
    let (told, is_granted) = match &reviewed {
        Ok(review) => {
            let told = Told::of(review);
            let is_granted = told.granted;
            let written = match command.json {
                true => admin::json(&told, out),
                false => told.write(&compiled.catalogue, out).map_err(Into::into),
            };
            (written, is_granted)
        }
        Err(problems) => (tell_problems(problems, command, out), false),
    };
    let code = admin::conclude(told)?;
    Ok(if is_granted { code } else { ExitCode::from(exit::FINDINGS) })
}

/// What is told of a review.
#[derive(Debug, Serialize)]
struct Told<'a> {
    /// Whether every step is granted.
    granted: bool,
    /// The digest of the plan.
    plan: Sha256,
    steps: Vec<ToldStep<'a>>,
}

#[derive(Debug, Serialize)]
struct ToldStep<'a> {
    step: &'a str,
    tool: &'a str,
    calls: u32,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

impl<'a> Told<'a> {
    fn of(review: &'a crate::plan::Review) -> Self {
        let plan = review.plan();
        let step = |(step, reviewed): (&'a crate::plan::Step, &'a crate::plan::Reviewed)| ToldStep {
            step: step.id().as_str(),
            tool: step.tool(),
            calls: if matches!(reviewed.verdict, Verdict::Refused(_)) { 0 } else { reviewed.uses },
            verdict: &reviewed.verdict,
        };
        let steps: Vec<_> = plan.steps().iter().zip(review.steps()).map(step).collect();
        let granted = steps.iter().all(|step| matches!(step.verdict, Verdict::Granted(_)));
        Self { granted, plan: plan.digest(), steps }
    }

    /// The review for people.
    fn write(&self, catalogue: &Catalogue, out: &mut impl Write) -> std::io::Result<()> {
        let row = |step: &ToldStep<'_>| {
            let verdict = match step.verdict {
                Verdict::Granted(_) => "granted",
                Verdict::Person(_) => "needs a person",
                Verdict::Refused(_) => "refused",
            };
            [step.step.to_owned(), step.tool.to_owned(), verdict.to_owned(), step.calls.to_string()]
        };
        columns::write(["STEP", "TOOL", "VERDICT", "CALLS"], self.steps.iter().map(row), out)?;
        for step in &self.steps {
            writeln!(out, "\n{}: {}", printable(step.step), printable(step.tool))?;
            for finding in step.verdict.findings() {
                write_finding(finding, out)?;
            }
            // A run is told no more than that there is no such tool; whoever asks here wants to know why.
            if matches!(step.verdict, Verdict::Refused(_)) && catalogue.find(step.tool).is_none() {
                writeln!(
                    out,
                    "  no definition of this name is accepted: start the gateway once, or run `sluicegate init`"
                )?;
            }
        }
        Ok(())
    }
}

fn write_finding(finding: &Finding, out: &mut impl Write) -> std::io::Result<()> {
    let Finding { ground, rule, argument, step, source } = finding;
    let about = [
        argument.as_ref().map(|argument| format!(", argument `{}`", argument.as_str())),
        step.as_ref().map(|step| format!(", by step `{}`", step.as_str())),
        source.as_ref().map(|source| format!(", for the source {source}")),
    ];
    let about: String = about.into_iter().flatten().collect();
    writeln!(out, "  {}{}: {rule}", ground.code(), printable(&about), rule = printable(&rule.to_string()))?;
    writeln!(out, "    {}", ground.sentence())
}

/// What is wrong with a plan that cannot be reviewed.
fn tell_problems(problems: &[Problem], command: &Review, out: &mut impl Write) -> anyhow::Result<()> {
    if command.json {
        return admin::json(&serde_json::json!({ "granted": false, "problems": problems }), out);
    }
    for problem in problems {
        writeln!(out, "{}", printable(&format!("{}: {problem}", command.plan.display())))?;
    }
    Ok(())
}
