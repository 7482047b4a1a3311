//! `sluicegate pins`: tools whose definition changed since it was accepted, and accepting them.
//!
//! Must never accept a definition that was not shown: what is sent is the digest of what was shown. Must
//! never let a definition steer the terminal it is shown on (CASES A56, A60, A61).

mod shown;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::admin::{Target, client, conclude, failed};
use crate::console::{Acceptance, PinEntry};
use crate::model::digest::Sha256;
use crate::model::text::printable;

/// Show and accept tool definitions that changed.
#[derive(Debug, Args)]
pub(super) struct Pins {
    #[command(subcommand)]
    command: PinsCommand,
    #[command(flatten)]
    target: Target,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum PinsCommand {
    /// List the tools whose definition changed.
    List,
    /// Show what changed, and accept it. On a terminal it asks first.
    Accept {
        /// The tools, as `pins list` names them.
        #[arg(value_name = "TOOL", required_unless_present = "all", conflicts_with = "all")]
        tools: Vec<String>,
        /// Every tool that changed.
        #[arg(long)]
        all: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the command.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(args: Pins) -> anyhow::Result<ExitCode> {
    conclude(answer(&args, &mut io::stdout()).await)
}

async fn answer(args: &Pins, out: &mut impl Write) -> anyhow::Result<()> {
    let client = client(&args.target.config)?;
    let pins = client.pins().await.map_err(failed)?;
    let (tools, yes) = match &args.command {
        PinsCommand::List if args.json => {
            let text = serde_json::to_string_pretty(&pins)?;
            return Ok(writeln!(out, "{text}")?);
        }
        PinsCommand::List => return Ok(list(&pins, out)?),
        PinsCommand::Accept { tools, yes, .. } => (tools, *yes),
    };
    let chosen = choose(pins, tools)?;
    if chosen.is_empty() {
        return Ok(writeln!(out, "every definition is as it was accepted")?);
    }
    if !args.json {
        for pin in &chosen {
            show(pin, out)?;
        }
    }
    if !yes && io::stdin().is_terminal() && !confirm(chosen.len(), out)? {
        bail!("nothing was accepted");
    }
    let acceptances = chosen.iter().map(|pin| Acceptance {
        tool: pin.tool.clone(),
        offered: pin.offered.as_ref().map(|offered| offered.digest),
    });
    client.accept_pins(acceptances.collect()).await.map_err(failed)?;
    if args.json {
        let accepted: Vec<&str> = chosen.iter().map(|pin| pin.tool.as_str()).collect();
        return Ok(writeln!(out, "{}", serde_json::json!({"accepted": accepted}))?);
    }
    Ok(writeln!(out, "accepted: {}", chosen.len())?)
}

/// The pins that `tools` name; all where it names none.
fn choose(pins: Vec<PinEntry>, tools: &[String]) -> anyhow::Result<Vec<PinEntry>> {
    if let Some(unknown) = tools.iter().find(|&tool| pins.iter().all(|pin| pin.tool != *tool)) {
        let message = "is not a tool whose definition changed; `sluicegate pins list` shows those";
        bail!("`{}` {message}", printable(unknown));
    }
    Ok(pins.into_iter().filter(|pin| tools.is_empty() || tools.contains(&pin.tool)).collect())
}

fn list(pins: &[PinEntry], out: &mut impl Write) -> io::Result<()> {
    if pins.is_empty() {
        return writeln!(out, "every definition is as it was accepted");
    }
    for pin in pins {
        let offered = match &pin.offered {
            Some(offered) => format!("now {}", short(&offered.digest)),
            None => "no longer offered".to_owned(),
        };
        let accepted = short(&pin.accepted);
        writeln!(out, "{}  accepted {accepted}  {offered}", printable(&pin.tool))?;
    }
    writeln!(out, "\nTheir calls are refused. `sluicegate pins accept TOOL` shows what changed.")
}

fn show(pin: &PinEntry, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", printable(&pin.tool))?;
    match &pin.offered {
        None => writeln!(out, "  is no longer offered; accepting forgets it\n"),
        Some(offered) => {
            for line in shown::difference(&pin.accepted_definition, &offered.definition) {
                writeln!(out, "  {line}")?;
            }
            writeln!(out)
        }
    }
}

fn confirm(count: usize, out: &mut impl Write) -> io::Result<bool> {
    let what = if count == 1 { "this definition".to_owned() } else { format!("these {count} definitions") };
    write!(out, "Accept {what}? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn short(digest: &Sha256) -> String {
    digest.to_string().chars().take(12).collect()
}
