//! `sluicegate pins`: definitions that are not as they were accepted, or look suspicious; and accepting them.
//!
//! Must never accept a definition that was not shown: what is sent is the digest of what was shown. Must
//! never let a definition steer the terminal it is shown on (CASES A56, A60, A61).

mod shown;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::admin::{Target, client, conclude, failed};
use super::exit;
use crate::console::{Acceptance, PinEntry, PinStanding};
use crate::model::digest::Sha256;
use crate::model::text::printable;

/// Show and accept what tool servers define anew or otherwise. Asks the running gateway.
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
    /// List the definitions that changed, are new or gone, and accepted ones that look suspicious.
    List {
        /// Exit with 1 where any waits to be accepted.
        #[arg(long)]
        exit_code: bool,
    },
    /// Show what changed. Accepts nothing.
    Diff {
        /// What to show, as `pins list` names it; everything that is listed where none is given.
        #[arg(value_name = "TOOL")]
        tools: Vec<String>,
    },
    /// Show what changed, and accept it. On a terminal it asks first.
    Accept {
        /// What to accept, as `pins list` names it.
        #[arg(value_name = "TOOL", required_unless_present = "all", conflicts_with = "all")]
        tools: Vec<String>,
        /// Everything that waits.
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
    let mut waiting = 0;
    let done = conclude(answer(&args, &mut io::stdout(), &mut waiting).await)?;
    let is_asked = matches!(args.command, PinsCommand::List { exit_code: true });
    Ok(if is_asked && waiting > 0 { ExitCode::from(exit::FINDINGS) } else { done })
}

async fn answer(args: &Pins, out: &mut impl Write, waiting: &mut usize) -> anyhow::Result<()> {
    let client = client(&args.target.config)?;
    let pins = client.pins().await.map_err(failed)?;
    *waiting = pins.iter().filter(|pin| waits(pin)).count();
    let (tools, yes) = match &args.command {
        PinsCommand::List { .. } if args.json => return json(&pins, out),
        PinsCommand::List { .. } => return Ok(list(&pins, out)?),
        PinsCommand::Diff { tools } => {
            let chosen = choose(pins, tools)?;
            if args.json {
                return json(&chosen, out);
            }
            if chosen.is_empty() {
                return Ok(writeln!(out, "{NOTHING}")?);
            }
            return Ok(chosen.iter().try_for_each(|pin| show(pin, out))?);
        }
        PinsCommand::Accept { tools, yes, .. } => (tools, *yes),
    };
    let mut chosen = choose(pins, tools)?;
    if let Some(pin) = chosen.iter().find(|pin| !tools.is_empty() && !waits(pin)) {
        bail!("`{}` is as it was accepted", printable(&pin.tool));
    }
    chosen.retain(waits);
    if chosen.is_empty() {
        return Ok(writeln!(out, "{NOTHING}")?);
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

const NOTHING: &str = "every definition is as it was accepted";

fn json(pins: &[PinEntry], out: &mut impl Write) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(pins)?)?)
}

/// Whether a person has to look at it, and can accept it.
fn waits(pin: &PinEntry) -> bool {
    pin.state != PinStanding::Accepted
}

/// The pins that `tools` name; all where it names none.
fn choose(pins: Vec<PinEntry>, tools: &[String]) -> anyhow::Result<Vec<PinEntry>> {
    if let Some(unknown) = tools.iter().find(|&tool| pins.iter().all(|pin| pin.tool != *tool)) {
        let message = "is not among the definitions that changed; `sluicegate pins list` shows those";
        bail!("`{}` {message}", printable(unknown));
    }
    Ok(pins.into_iter().filter(|pin| tools.is_empty() || tools.contains(&pin.tool)).collect())
}

fn list(pins: &[PinEntry], out: &mut impl Write) -> io::Result<()> {
    if pins.is_empty() {
        return writeln!(out, "{NOTHING}");
    }
    for pin in pins {
        let accepted = pin.accepted.as_ref().map(short).unwrap_or_default();
        let now = pin.offered.as_ref().map(|offered| short(&offered.digest)).unwrap_or_default();
        let standing = match pin.state {
            PinStanding::New => format!("new {now}"),
            PinStanding::Changed => format!("accepted {accepted}  now {now}"),
            PinStanding::Gone => format!("accepted {accepted}  no longer offered"),
            PinStanding::Accepted => format!("accepted {accepted}"),
        };
        let findings = match pin.findings.len() {
            0 => String::new(),
            1 => "  1 finding".to_owned(),
            many => format!("  {many} findings"),
        };
        writeln!(out, "{}  {standing}{findings}", printable(&pin.tool))?;
    }
    let waiting = pins.iter().filter(|pin| waits(pin)).count();
    if waiting == 0 {
        return writeln!(out, "\nNothing waits. `sluicegate pins diff TOOL` shows what was found.");
    }
    writeln!(
        out,
        "\n{waiting} of them wait: what is new is not listed, and what changed is refused. \
         `sluicegate pins diff TOOL` shows what changed, `sluicegate pins accept TOOL` accepts it."
    )
}

fn show(pin: &PinEntry, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", printable(&pin.tool))?;
    let revisions =
        [pin.accepted_revision.as_deref(), pin.offered.as_ref().and_then(|o| o.revision.as_deref())];
    if let [Some(accepted), Some(offered)] = revisions
        && accepted != offered
    {
        let (accepted, offered) = (printable(accepted), printable(offered));
        writeln!(out, "  accepted as it was offered in {accepted}, now offered in {offered}")?;
    }
    match (&pin.offered, pin.state) {
        (Some(offered), _) => {
            for line in shown::difference(&pin.accepted_definition, &offered.definition) {
                writeln!(out, "  {line}")?;
            }
        }
        (None, PinStanding::Gone) => writeln!(out, "  is no longer offered; accepting forgets it")?,
        (None, _) => {
            for line in shown::difference(&pin.accepted_definition, &pin.accepted_definition) {
                writeln!(out, "  {line}")?;
            }
        }
    }
    for finding in &pin.findings {
        let (at, excerpt) = (printable(finding.at.as_str()), printable(finding.excerpt.as_str()));
        writeln!(out, "  ! {}, at `{at}`: {excerpt}", finding.what.sentence())?;
    }
    writeln!(out)
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
