//! `sluicegate approvals`: the questions that wait for people, and the answers.
//!
//! Must never answer a question that was not named whole, nor let what an agent wrote steer the terminal.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::admin::{Target, client, conclude, failed, json, time};
use super::columns;
use crate::console::{About, QuestionEntry};
use crate::model::approval::{QuestionId, Standing, Word};
use crate::model::text::printable;

/// Answer what runs may do only once a person says yes: calls, and steps of plans.
#[derive(Debug, Args)]
pub(super) struct Approvals {
    #[command(subcommand)]
    command: ApprovalsCommand,
    #[command(flatten)]
    target: Target,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ApprovalsCommand {
    /// List the questions that are not over, the oldest first
    List,
    /// Show one: the exact arguments, what has influenced the run, what started it, and why a person is asked.
    Show {
        /// The question, as `approvals list` names it.
        #[arg(value_name = "ID", value_parser = question_id)]
        id: QuestionId,
    },
    /// Say yes: to this one call, or to the calls of this step, on the record. Look at it first: `approvals show`.
    Approve {
        /// The question, as `approvals list` names it.
        #[arg(value_name = "ID", value_parser = question_id)]
        id: QuestionId,
    },
    /// Say no, on the record.
    Deny {
        /// The question, as `approvals list` names it.
        #[arg(value_name = "ID", value_parser = question_id)]
        id: QuestionId,
    },
}

/// Runs the command.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(args: Approvals) -> anyhow::Result<ExitCode> {
    conclude(answer(&args, &mut io::stdout()).await)
}

async fn answer(args: &Approvals, out: &mut impl Write) -> anyhow::Result<()> {
    let client = client(&args.target.config)?;
    match &args.command {
        ApprovalsCommand::List => {
            let questions = client.questions().await.map_err(failed)?;
            if args.json { json(&questions, out) } else { Ok(list(&questions, out)?) }
        }
        ApprovalsCommand::Show { id } => {
            let questions = client.questions().await.map_err(failed)?;
            let found = questions.iter().find(|question| question.id == id.as_str());
            let question = found.ok_or_else(|| anyhow::anyhow!("no question {id} is open"))?;
            if args.json { json(question, out) } else { Ok(show(question, out)?) }
        }
        ApprovalsCommand::Approve { id } => {
            client.answer_question(id, Word::Approve).await.map_err(failed)?;
            told(args, id, "approved", out)
        }
        ApprovalsCommand::Deny { id } => {
            client.answer_question(id, Word::Deny).await.map_err(failed)?;
            told(args, id, "denied", out)
        }
    }
}

fn told(args: &Approvals, id: &QuestionId, word: &str, out: &mut impl Write) -> anyhow::Result<()> {
    match args.json {
        true => json(&serde_json::json!({ "id": id, "answer": word }), out),
        false => Ok(writeln!(out, "{id} is {word}")?),
    }
}

fn list(questions: &[QuestionEntry], out: &mut impl Write) -> io::Result<()> {
    if questions.is_empty() {
        return writeln!(out, "no question waits for a person");
    }
    let header = ["ID", "ABOUT", "TOOL", "SUBJECT", "PROVENANCE", "STATE", "UNTIL"];
    let rows = questions.iter().map(|question| {
        [
            question.id.clone(),
            about(question).to_owned(),
            printable(&question.tool),
            question.subject.to_string(),
            question.provenance.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            standing(question).to_owned(),
            time(question.until),
        ]
    });
    columns::write(header, rows, out)
}

fn show(question: &QuestionEntry, out: &mut impl Write) -> io::Result<()> {
    let sources: Vec<_> = question.provenance.iter().map(ToString::to_string).collect();
    writeln!(out, "question    {} ({}, {})", question.id, about(question), standing(question))?;
    writeln!(out, "run         {} for {}", question.run, question.subject)?;
    writeln!(out, "influenced  {}", sources.join(", "))?;
    if let Some(trigger) = &question.trigger {
        // What a stranger wrote: as JSON, with nothing in it that a terminal obeys.
        let trigger = serde_json::to_string(trigger).unwrap_or_default();
        writeln!(out, "trigger     {}", printable(&trigger))?;
    }
    writeln!(out, "tool        {}", printable(&question.tool))?;
    match &question.arguments {
        Some(arguments) => writeln!(out, "arguments   {}", printable(arguments))?,
        None => writeln!(out, "arguments   not known any more: the gateway started since")?,
    }
    for why in &question.why {
        writeln!(out, "because     {}", printable(why))?;
    }
    writeln!(out, "until       {}", time(question.until))
}

const fn about(question: &QuestionEntry) -> &'static str {
    match question.about {
        About::Call => "call",
        About::Step => "step",
    }
}

const fn standing(question: &QuestionEntry) -> &'static str {
    match question.standing {
        Standing::Waiting => "waiting",
        Standing::Approved => "approved",
        Standing::Denied => "denied",
    }
}

fn question_id(text: &str) -> Result<QuestionId, String> {
    let id = QuestionId::parse(text);
    id.ok_or_else(|| "a question is named by 32 lower-case hexadecimal digits".to_owned())
}
