//! `sluicegate matrix`: what each source leaves open of each tool, in the terminal or as one page.
//!
//! Must never show a cell as open that is not, nor let a name steer the terminal or the page.

mod page;

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::{admin, exit, who_can};
use crate::clock::Clock;
use crate::model::decision::Answer;
use crate::model::name::{SourceName, ToolId};
use crate::model::text::printable;
use crate::policy::Span;

/// The arguments of `matrix`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate matrix
  sluicegate matrix --html policy.html
  sluicegate matrix --json

A cell is what the source alone says: A allow, P plan, K ask, - deny. A small letter after it is the
strictest answer that conditions can make of it. Roles and agents can only make it stricter.")]
pub(super) struct Matrix {
    /// Write one self-contained page to this file instead
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    #[command(flatten)]
    target: admin::Target,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// Sources × tools.
struct Table<'a> {
    sources: Vec<&'a SourceName>,
    tools: Vec<&'a ToolId>,
    /// For each tool, what each source says.
    rows: Vec<Vec<Span>>,
}

pub(super) fn run(command: &Matrix) -> anyhow::Result<ExitCode> {
    let config = admin::configuration(&command.target.config)?;
    let compiled = config.compile([]).map_err(|error| exit::misconfigured(&error.into()))?;
    let now = Clock::system().wall();
    let sources: Vec<_> = compiled.policy.sources().collect();
    let columns: Vec<Vec<(&ToolId, Span)>> =
        sources.iter().map(|source| compiled.policy.reach_of(source, now).collect()).collect();
    let tools: Vec<_> = columns.first().into_iter().flatten().map(|(tool, _)| *tool).collect();
    let mut rows: Vec<Vec<Span>> = tools.iter().map(|_| Vec::new()).collect();
    for column in columns {
        for (row, (_, span)) in rows.iter_mut().zip(column) {
            row.push(span);
        }
    }
    let table = Table { sources, tools, rows };
    if let Some(path) = &command.html {
        let page = page::page(&table, &command.target.config.display().to_string());
        std::fs::write(path, page).with_context(|| format!("cannot write `{}`", path.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let is_terminal = std::io::stdout().is_terminal();
    let out = &mut std::io::stdout().lock();
    let told = match command.json {
        true => admin::json(&table.to_json(), out),
        false => {
            tell(&table, if is_terminal { Paint::Colour } else { Paint::Plain }, out).map_err(Into::into)
        }
    };
    admin::conclude(told)
}

impl Table<'_> {
    fn to_json(&self) -> serde_json::Value {
        let row = |(tool, spans): (&&ToolId, &Vec<Span>)| {
            let cells =
                self.sources.iter().zip(spans).map(|(source, span)| (source.to_string(), json!(span)));
            json!({ "tool": tool.to_string(), "sources": cells.collect::<serde_json::Map<_, _>>() })
        };
        json!({ "tools": self.tools.iter().zip(&self.rows).map(row).collect::<Vec<_>>() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paint {
    Plain,
    Colour,
}

fn tell(table: &Table<'_>, paint: Paint, out: &mut impl Write) -> std::io::Result<()> {
    let names: Vec<_> = table.sources.iter().map(|source| printable(source.as_str())).collect();
    let first = table.tools.iter().map(|tool| tool.to_string().len()).max().unwrap_or(0).max(TOOL.len());
    let heads: Vec<_> = names.iter().map(String::as_str).collect();
    writeln!(out, "{TOOL:<first$}  {}", heads.join("  "))?;
    for (tool, spans) in table.tools.iter().zip(&table.rows) {
        let mut line = format!("{:<first$}", tool.to_string());
        for (span, name) in spans.iter().zip(&names) {
            let cell = cell(span);
            let padding = " ".repeat(name.chars().count().saturating_sub(cell.chars().count()));
            line.push_str(&format!("  {}{padding}", painted(&cell, span.loosest, paint)));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out, "\nA allow, P plan, K ask, - deny; a small letter is what conditions can make of it.")
}

fn cell(span: &Span) -> String {
    let letter = |answer| match answer {
        Answer::Allow => "A",
        Answer::Plan => "P",
        Answer::Ask => "K",
        Answer::Deny => "-",
    };
    let strictest = letter(span.strictest).to_lowercase();
    match span.loosest == span.strictest {
        true => letter(span.loosest).to_owned(),
        false => format!("{}{strictest}", letter(span.loosest)),
    }
}

fn painted(cell: &str, answer: Answer, paint: Paint) -> String {
    let colour = match (paint, answer) {
        (Paint::Plain, _) | (_, Answer::Deny) => return cell.to_owned(),
        (Paint::Colour, Answer::Allow) => "32",
        (Paint::Colour, Answer::Plan) => "36",
        (Paint::Colour, Answer::Ask) => "33",
    };
    format!("\x1b[{colour}m{cell}\x1b[0m")
}

/// What a span is called on the page.
fn title(span: &Span) -> String {
    let conditions = span.conditions.iter().filter_map(|rule| {
        Some(format!("{} when {} ({})", rule.answer, rule.when.as_ref()?, rule.place.as_ref()?))
    });
    std::iter::once(who_can::span(span)).chain(conditions).collect::<Vec<_>>().join("\n")
}

const TOOL: &str = "TOOL";
