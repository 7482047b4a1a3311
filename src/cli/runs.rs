//! `sluicegate runs`: the open runs of a running gateway, and ending one.
//!
//! Must never end a run that was not named whole: ids are not completed from their beginning.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::admin::{Target, client, conclude, failed};
use crate::console::RunEntry;
use crate::model::facts::RunId;
use crate::model::run::RunHistory;
use crate::model::text::printable;

/// Show and end the runs of a running gateway.
#[derive(Debug, Args)]
pub(super) struct Runs {
    #[command(subcommand)]
    command: RunsCommand,
    #[command(flatten)]
    target: Target,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// List the open runs.
    List,
    /// Show one run.
    Show {
        /// The run, as `runs list` names it.
        #[arg(value_name = "ID", value_parser = run_id)]
        id: RunId,
    },
    /// End a run, on the record. Its next request starts a fresh one.
    End {
        /// The run, as `runs list` names it.
        #[arg(value_name = "ID", value_parser = run_id)]
        id: RunId,
    },
}

/// Runs the command.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(args: Runs) -> anyhow::Result<ExitCode> {
    conclude(answer(&args, &mut io::stdout()).await)
}

async fn answer(args: &Runs, out: &mut impl Write) -> anyhow::Result<()> {
    let client = client(&args.target.config)?;
    match &args.command {
        RunsCommand::List => {
            let runs = client.runs().await.map_err(failed)?;
            if args.json { json(&runs, out) } else { Ok(list(&runs, out)?) }
        }
        RunsCommand::Show { id } => {
            let run = client.run(id).await.map_err(failed)?;
            if args.json { json(&run, out) } else { Ok(show(&run, out)?) }
        }
        RunsCommand::End { id } => {
            client.end_run(id).await.map_err(failed)?;
            if args.json {
                json(&serde_json::json!({"run": id, "ended": true}), out)
            } else {
                Ok(writeln!(out, "run {id} has ended")?)
            }
        }
    }
}

fn json<T: serde::Serialize>(value: &T, out: &mut impl Write) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(writeln!(out, "{text}")?)
}

fn list(runs: &[RunEntry], out: &mut impl Write) -> io::Result<()> {
    if runs.is_empty() {
        return writeln!(out, "no run is open");
    }
    let header = ["RUN", "ENTRY POINT", "SUBJECT", "PROVENANCE", "LAST USED", "STATE"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(header)
        .chain(runs.iter().map(|run| {
            [
                run.run.to_string(),
                run.entry_point.to_string(),
                run.subject.to_string(),
                provenance(run),
                run.used.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
                state(run).to_owned(),
            ]
        }))
        .collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{:<width$}", printable(cell)));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn show(run: &RunEntry, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "run          {}", run.run)?;
    writeln!(out, "entry point  {}", run.entry_point)?;
    writeln!(out, "subject      {}", run.subject)?;
    if let Some(session) = &run.session {
        writeln!(out, "session      {}", printable(session))?;
    }
    writeln!(out, "provenance   {}", provenance(run))?;
    writeln!(out, "started      {}", run.started)?;
    writeln!(out, "last used    {}", run.used)?;
    writeln!(out, "state        {}", state(run))?;
    if run.history == RunHistory::Lost {
        writeln!(
            out,
            "\nPart of this run's history is lost, so nobody knows what it has read and every call"
        )?;
        writeln!(out, "is refused. `sluicegate runs end {}` lets a fresh run start.", run.run)?;
    }
    Ok(())
}

fn provenance(run: &RunEntry) -> String {
    run.provenance.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn state(run: &RunEntry) -> &'static str {
    match run.history {
        RunHistory::Whole => "open",
        RunHistory::Lost => "closed",
    }
}

fn run_id(text: &str) -> Result<RunId, String> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(RunId::of).ok_or_else(|| "a run is named by 32 lower-case hexadecimal digits".to_owned())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::name::{EntryPointName, SourceName, Subject};
    use crate::model::provenance::Provenance;

    #[test]
    fn runs_are_listed_in_columns() {
        let source = |name| SourceName::new(name).unwrap();
        let run = RunEntry {
            run: RunId::of([7; 16]),
            entry_point: EntryPointName::new("keys.laptop").unwrap(),
            subject: Subject::new("user:4711").unwrap(),
            session: None,
            provenance: Provenance::of([source("web"), source("chat")]),
            started: Timestamp::UNIX_EPOCH,
            used: Timestamp::UNIX_EPOCH,
            history: RunHistory::Lost,
        };
        let mut out = Vec::new();
        list(&[run], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let mut lines = text.lines();
        let header = lines.next().unwrap();
        let row = lines.next().unwrap();
        assert!(row.ends_with("closed") && row.contains("chat,web"), "{row}");
        assert_eq!(header.find("SUBJECT"), row.find("user:4711"));
    }

    #[test]
    fn a_run_is_named_whole() {
        assert!(run_id(&"07".repeat(16)).is_ok());
        for text in ["", "07", "0X", &"07".repeat(17), &"0A".repeat(16)] {
            assert!(run_id(text).is_err(), "{text}");
        }
    }
}
