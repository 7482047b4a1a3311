//! `sluicegate source`: closing a source at once, and opening it again.
//!
//! Must never close by pattern: one name, whole.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::admin::{Target, client, conclude, failed, json, time};
use super::columns;
use crate::console::SourceEntry;
use crate::model::name::SourceName;

/// Close a source at once, or open it again.
#[derive(Debug, Args)]
pub(super) struct Source {
    #[command(subcommand)]
    command: SourceCommand,
    #[command(flatten)]
    target: Target,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum SourceCommand {
    /// Let nothing pass that the source has influenced or would, on the record, until it is opened
    Close {
        /// The source, as the configuration names it
        #[arg(value_name = "NAME", value_parser = name)]
        name: SourceName,
    },
    /// Let the policy alone decide again
    Open {
        /// The source
        #[arg(value_name = "NAME", value_parser = name)]
        name: SourceName,
    },
    /// List the sources, and which of them are closed
    List,
}

/// Runs the command.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(args: Source) -> anyhow::Result<ExitCode> {
    conclude(answer(&args, &mut io::stdout()).await)
}

async fn answer(args: &Source, out: &mut impl Write) -> anyhow::Result<()> {
    let client = client(&args.target.config)?;
    let (name, state) = match &args.command {
        SourceCommand::List => {
            let sources = client.sources().await.map_err(failed)?;
            return if args.json { json(&sources, out) } else { Ok(list(&sources, out)?) };
        }
        SourceCommand::Close { name } => {
            client.close_source(name).await.map_err(failed)?;
            (name, "closed")
        }
        SourceCommand::Open { name } => {
            client.open_source(name).await.map_err(failed)?;
            (name, "open")
        }
    };
    if args.json {
        json(&serde_json::json!({ "source": name, "state": state }), out)
    } else {
        Ok(writeln!(out, "source {name} is {state}")?)
    }
}

fn list(sources: &[SourceEntry], out: &mut impl Write) -> io::Result<()> {
    let rows = sources.iter().map(|entry| match &entry.closed {
        Some(since) => {
            let (at, by) = (time(since.at), format!("uid {}", since.by.uid));
            [entry.source.to_string(), "closed".to_owned(), at, by]
        }
        None => [entry.source.to_string(), "open".to_owned(), String::new(), String::new()],
    });
    columns::write(["SOURCE", "STATE", "SINCE", "BY"], rows, out)
}

fn name(text: &str) -> Result<SourceName, String> {
    SourceName::new(text).map_err(|error| error.to_string())
}
