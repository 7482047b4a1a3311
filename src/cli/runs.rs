//! `sluicegate runs`: the runs of a gateway, their stories, and their ends.
//!
//! Must never end a run that was not named whole: ids are not completed from their beginning.

mod story;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::admin::{Target, client, conclude, configuration, failed, json, time};
use super::columns;
use super::revocations::Whose;
use crate::config::Config;
use crate::console::RunEntry;
use crate::identity::EntryPoints;
use crate::model::barrier::Revoked;
use crate::model::facts::RunId;
use crate::model::name::EntryPointName;
use crate::model::provenance::Provenance;
use crate::model::run::RunHistory;

/// Show, end and revoke the runs of a running gateway.
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
    /// Tell the story of a run, open or ended: what started it, what it read and why, calls, refusals.
    Show {
        /// The run, as `runs list` and the journal name it.
        #[arg(value_name = "ID", value_parser = run_id)]
        id: RunId,
        /// How many of its newest records to tell.
        #[arg(short = 'n', long, value_name = "N", default_value_t = story::RECORDS_DEFAULT)]
        records: usize,
    },
    /// End a run, on the record. Where tokens claim it they are refused; else its next request starts another.
    End {
        /// The run, as `runs list` names it.
        #[arg(value_name = "ID", value_parser = run_id)]
        id: RunId,
    },
    /// Refuse credentials from the next request on, on the record: those of a run that tokens claim, of a
    /// subject, or of an entry point. Their runs end and their streams are closed.
    Revoke {
        /// The run, as `runs list` names it.
        #[arg(value_name = "ID", value_parser = run_id, required_unless_present = "whose",
              conflicts_with = "whose")]
        id: Option<RunId>,
        #[command(flatten)]
        whose: Option<Whose>,
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
        RunsCommand::Show { id, records } => {
            let config = configuration(&args.target.config)?;
            let told = story::read(&config, &client, id, *records).await?;
            if args.json { json(&told.as_json()?, out) } else { Ok(story::write(&told, out)?) }
        }
        RunsCommand::End { id } => {
            client.end_run(id).await.map_err(failed)?;
            if args.json {
                json(&serde_json::json!({"run": id, "ended": true}), out)
            } else {
                Ok(writeln!(out, "run {id} has ended")?)
            }
        }
        RunsCommand::Revoke { id: Some(id), .. } => {
            client.revoke_run(id).await.map_err(failed)?;
            if args.json {
                json(&serde_json::json!({"run": id, "revoked": true}), out)
            } else {
                Ok(writeln!(out, "run {id} has ended, and its tokens are refused")?)
            }
        }
        RunsCommand::Revoke { whose, .. } => {
            let Some(who) = whose.as_ref().and_then(Whose::named) else { return Ok(()) };
            // A person who locks somebody out does not wait for a file to be right.
            if let Ok(config) = configuration(&args.target.config) {
                warn_if_unknown(&config, &who)?;
            }
            let done = client.revoke(&who).await.map_err(failed)?;
            if args.json {
                json(&serde_json::json!({"revoked": who, "runs_ended": done.runs_ended}), out)
            } else {
                let runs = done.runs_ended;
                Ok(writeln!(out, "credentials of {who} are refused; {runs} open runs have ended")?)
            }
        }
    }
}

/// A name that was mistyped would revoke nobody. It may also be one of another configuration.
fn warn_if_unknown(config: &Config, who: &Revoked) -> io::Result<()> {
    match who {
        Revoked::EntryPoint(name) if !is_known(config, name) => {
            writeln!(io::stderr(), "sluicegate: warning: the configuration has no entry point `{name}`")
        }
        Revoked::EntryPoint(_) | Revoked::Subject(_) => Ok(()),
    }
}

fn is_known(config: &Config, name: &EntryPointName) -> bool {
    let listeners = config.listeners.iter().map(|listener| &listener.vouches);
    let mut dispatchers = config.mint.iter().flat_map(|mint| &mint.dispatchers);
    dispatchers.any(|dispatcher| dispatcher.entry_point == *name)
        || config.people.iter().any(|people| people.entry_point == *name)
        || EntryPoints::of(&config.identity, listeners).rule_of(name).is_some()
}

fn list(runs: &[RunEntry], out: &mut impl Write) -> io::Result<()> {
    if runs.is_empty() {
        return writeln!(out, "no run is open");
    }
    let header = ["RUN", "ENTRY POINT", "SUBJECT", "AGENT", "TXN", "PROVENANCE", "LAST USED", "STATE"];
    let rows = runs.iter().map(|run| {
        let claim = run.claim.as_ref();
        let agent = claim.and_then(|claim| claim.agent.as_ref()).map(ToString::to_string);
        [
            run.run.to_string(),
            run.entry_point.to_string(),
            run.subject.to_string(),
            agent.unwrap_or_else(|| "-".to_owned()),
            claim.map_or_else(|| "-".to_owned(), |claim| claim.txn.to_string()),
            names(&run.provenance),
            time(run.used),
            state(run).to_owned(),
        ]
    });
    columns::write(header, rows, out)
}

fn names(provenance: &Provenance) -> String {
    provenance.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
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

    #[test]
    fn runs_are_listed_in_columns() {
        let source = |name| SourceName::new(name).unwrap();
        let run = RunEntry {
            run: RunId::of([7; 16]),
            entry_point: EntryPointName::new("keys.laptop").unwrap(),
            subject: Subject::new("user:4711").unwrap(),
            session: None,
            claim: None,
            origin: None,
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
