//! `sluicegate approvals`: the questions that wait for people, and the answers.
//!
//! Must never answer a question that was not named whole, nor let what an agent wrote steer the terminal.

mod stats;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use serde_json::value::RawValue;

use super::admin::{Target, client, conclude, failed, json, time};
use super::columns;
use crate::config;
use crate::console::{About, Like, PeopleEntry, QuestionEntry};
use crate::model::approval::{QuestionId, Standing, Word};
use crate::model::text::printable;
use crate::plan::FREE_LEN_MAX;

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
    /// List the questions that are not over, the oldest first, like ones together
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
        #[command(flatten)]
        like: LikeArgs,
    },
    /// Print a link to the page on which questions are answered in a browser. It signs you in, once, within five minutes:
    /// give it to nobody.
    Page,
    /// Say no, on the record.
    Deny {
        /// The question, as `approvals list` names it.
        #[arg(value_name = "ID", value_parser = question_id)]
        id: QuestionId,
    },
    /// Count by rule how often people were asked, what they said and how long it took: which rule to change
    Stats(stats::Stats),
}

/// For which calls like the one that waits a yes counts too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sluicegate approvals approve ID
  sluicegate approvals approve ID --like 5 --for 10m
  sluicegate approvals approve ID --like 20 --for 1h --free body --where 'to={\"match\":\"[a-z]+@acme[.]example\"}'

A yes to like calls is for the run and the tool of the question. It ends when a source joins the run, or the
configuration or the tool's definition changes.")]
struct LikeArgs {
    /// The yes is for so many calls like this one, which is the first of them
    #[arg(long, value_name = "N", requires = "lasts")]
    like: Option<u32>,
    /// How long it counts: 10m
    #[arg(long = "for", id = "lasts", value_name = "DURATION", requires = "like", value_parser = duration)]
    lasts: Option<Duration>,
    /// This argument may be any text, where it is labelled as content; may be repeated
    #[arg(long, value_name = "ARG", requires = "like")]
    free: Vec<String>,
    /// What this argument may be instead, in the language of plans: ARG={"match":"…"}; may be repeated
    #[arg(long = "where", id = "limits", value_name = "ARG=CONSTRAINT", requires = "like")]
    limits: Vec<String>,
}

impl LikeArgs {
    fn like(&self) -> anyhow::Result<Option<Like>> {
        let Some((calls, lasts)) = self.like.zip(self.lasts) else { return Ok(None) };
        let free = RawValue::from_string(format!("{{\"free\":{{\"max_len\":{FREE_LEN_MAX}}}}}"))?;
        let mut limits: BTreeMap<String, Box<RawValue>> = BTreeMap::new();
        for name in &self.free {
            limits.insert(name.clone(), free.clone());
        }
        for written in &self.limits {
            let (name, constraint) = written.split_once('=').context("write `--where ARG=CONSTRAINT`")?;
            let constraint = RawValue::from_string(constraint.to_owned());
            let constraint =
                constraint.with_context(|| format!("what may be in `{name}` is not one JSON value"))?;
            ensure!(!limits.contains_key(name), "`{name}` is limited twice");
            limits.insert(name.to_owned(), constraint);
        }
        Ok(Some(Like { calls, for_s: lasts.as_secs(), limits }))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "write a number and a unit: 10m".to_owned())
}

/// Runs the command.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(args: Approvals) -> anyhow::Result<ExitCode> {
    conclude(answer(&args, &mut io::stdout()).await)
}

async fn answer(args: &Approvals, out: &mut impl Write) -> anyhow::Result<()> {
    if let ApprovalsCommand::Stats(stats) = &args.command {
        return stats::run(&args.target.config, stats, args.json.into(), out);
    }
    let client = client(&args.target.config)?;
    match &args.command {
        // It reads the files.
        ApprovalsCommand::Stats(_) => Ok(()),
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
        ApprovalsCommand::Approve { id, like } => {
            if let Some(like) = like.like()? {
                let granted = client.approve_like(id, &like).await.map_err(failed)?;
                return match args.json {
                    true => {
                        json(&serde_json::json!({ "id": id, "answer": "approved", "like": granted }), out)
                    }
                    false => Ok(writeln!(
                        out,
                        "{id} is approved, with {} calls like it until {}: {}",
                        granted.calls.saturating_sub(1),
                        time(granted.until),
                        printable(&granted.arguments)
                    )?),
                };
            }
            client.answer_question(id, Word::Approve).await.map_err(failed)?;
            // Where more people have to say yes, it still waits.
            let left = client.questions().await.map_err(failed)?;
            let waiting =
                left.into_iter().find(|it| it.id == id.as_str() && it.standing == Standing::Waiting);
            let Some(waiting) = waiting else { return told(args, id, "approved", out) };
            match args.json {
                true => {
                    json(&serde_json::json!({ "id": id, "answer": "agreed", "people": waiting.people }), out)
                }
                false => Ok(writeln!(out, "{id}: {}", missing(&waiting.people).unwrap_or_default())?),
            }
        }
        ApprovalsCommand::Page => {
            let link = client.page_link().await.map_err(failed)?;
            if args.json { json(&link, out) } else { Ok(writeln!(out, "{}", link.url)?) }
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
    // Like ones stand together, where the first of them stands.
    let mut told = BTreeSet::new();
    let together = questions.iter().enumerate().flat_map(|(at, first)| {
        let is_like = |other: &&QuestionEntry| first.group.is_some() && other.group == first.group;
        let is_new = first.group.is_none_or(|group| told.insert(group.to_string()));
        let like = questions.iter().skip(at).filter(is_like).filter(|other| other.id != first.id);
        std::iter::once((Row::First, first))
            .chain(like.map(|other| (Row::Like, other)))
            .filter(move |_| is_new)
    });
    let rows = together.map(|(row, question)| {
        [
            question.id.clone(),
            row.about(question).to_owned(),
            printable(&question.tool),
            question.subject.to_string(),
            question.provenance.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            standing(question),
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
    if let Some(missing) = missing(&question.people) {
        writeln!(out, "people      {missing}")?;
    }
    for why in &question.why {
        writeln!(out, "because     {}", printable(why))?;
    }
    writeln!(out, "until       {}", time(question.until))
}

/// Where a question stands among like ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    First,
    /// A question like the one above it.
    Like,
}

impl Row {
    const fn about(self, question: &QuestionEntry) -> &'static str {
        match self {
            Self::First => about(question),
            Self::Like => "like call",
        }
    }
}

const fn about(question: &QuestionEntry) -> &'static str {
    match question.about {
        About::Call => "call",
        About::Step => "step",
    }
}

/// How it stands; where several people have to say yes, how many did.
fn standing(question: &QuestionEntry) -> String {
    let people = &question.people;
    match question.standing {
        Standing::Waiting if people.needed > 1 => {
            format!("{} of {} said yes", people.agreed.len(), people.needed)
        }
        Standing::Waiting => "waiting".to_owned(),
        Standing::Approved => "approved".to_owned(),
        Standing::Denied => "denied".to_owned(),
    }
}

/// Who said yes, and who has to.
fn missing(people: &PeopleEntry) -> Option<String> {
    let left = usize::try_from(people.needed).unwrap_or(usize::MAX).saturating_sub(people.agreed.len());
    let said: Vec<_> = people.agreed.iter().map(ToString::to_string).collect();
    let said = if said.is_empty() { "nobody".to_owned() } else { said.join(", ") };
    let needed = people.needed;
    let several = (needed > 1).then(|| format!("{needed} have to say yes; {said} did, {left} more have to"));
    let excluded = people.excluded.as_ref().map(|subject| format!("not {subject}, whom the run acts for"));
    let told: Vec<_> = several.into_iter().chain(excluded).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn question_id(text: &str) -> Result<QuestionId, String> {
    let id = QuestionId::parse(text);
    id.ok_or_else(|| "a question is named by 32 lower-case hexadecimal digits".to_owned())
}
