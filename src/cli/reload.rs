//! `sluicegate reload`: a running gateway reads its configuration anew.
//!
//! Must never send a configuration: what is read is what the gateway was started with.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::admin::{Target, conclude, failed};
use super::exit;
use crate::config;
use crate::console::{Client, ProblemEntry, ReloadAnswer, ReloadResult};
use crate::model::text::printable;

/// Read the configuration of a running gateway anew, and say what changed and what is wider.
#[derive(Debug, clap::Args)]
pub(super) struct Reload {
    #[command(flatten)]
    target: Target,
    /// The admin socket, where the configuration no longer says where it is
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn run(args: Reload) -> anyhow::Result<ExitCode> {
    // Not checked here: a configuration that is wrong is to be refused by the gateway, on the record.
    let socket = args.socket.unwrap_or_else(|| config::admin_socket(&args.target.config));
    let answer = Client::new(socket).reload().await.map_err(failed)?;
    let mut out = io::stdout();
    let written = if args.json { json(&answer, &mut out) } else { Ok(say(&answer, &mut out)?) };
    let heard = conclude(written)?;
    Ok(match answer.result {
        ReloadResult::InForce => heard,
        ReloadResult::Refused => ExitCode::from(exit::CONFIGURATION),
    })
}

fn json(answer: &ReloadAnswer, out: &mut impl Write) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(answer)?)?)
}

fn say(answer: &ReloadAnswer, out: &mut impl Write) -> io::Result<()> {
    for ProblemEntry { file, line, column, severity, code, message, help } in &answer.problems {
        let place = format!("{}:{line}:{column}", printable(file));
        let (severity, code) = (printable(severity), printable(code));
        writeln!(out, "{place}: {severity}[{code}]: {}", printable(message))?;
        writeln!(out, "  help: {}", printable(help))?;
    }
    if answer.result == ReloadResult::Refused {
        return writeln!(out, "refused: what was in force stays so (number {})", answer.epoch);
    }
    for widened in &answer.widened {
        writeln!(out, "wider: {}", printable(widened))?;
    }
    for changed in &answer.changed {
        writeln!(out, "changed: {}", printable(changed))?;
    }
    if answer.widened.is_empty() && answer.changed.is_empty() {
        writeln!(out, "nothing that was in force changed")?;
    }
    writeln!(out, "in force: {} (number {})", answer.config, answer.epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Sha256;

    fn answer(result: ReloadResult) -> ReloadAnswer {
        let problem = ProblemEntry {
            file: "gateway.toml".to_owned(),
            line: 3,
            column: 7,
            severity: "error".to_owned(),
            code: "bad_value".to_owned(),
            message: "it is \u{1b}[2Jwrong".to_owned(),
            help: "correct it".to_owned(),
        };
        let (widened, changed) =
            (vec!["source email: allow instead of deny for mail.send".to_owned()], Vec::new());
        let config = Sha256::of(b"files");
        ReloadAnswer { result, epoch: 4, config, widened, changed, problems: vec![problem] }
    }

    fn said(answer: &ReloadAnswer) -> String {
        let mut out = Vec::new();
        say(answer, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_wider_is_said_first_and_nothing_steers_the_terminal() {
        let text = said(&answer(ReloadResult::InForce));
        assert!(
            text.contains("wider: source email: allow instead of deny for mail.send\nin force: "),
            "{text}"
        );
        assert!(
            text.starts_with(
                "gateway.toml:3:7: error[bad_value]: it is \\u{1b}[2Jwrong\n  help: correct it\n"
            )
        );
        let same =
            ReloadAnswer { widened: Vec::new(), problems: Vec::new(), ..answer(ReloadResult::InForce) };
        assert!(said(&same).starts_with("nothing that was in force changed\n"));
    }

    #[test]
    fn a_refusal_says_that_nothing_changed() {
        let text = said(&answer(ReloadResult::Refused));
        assert!(
            text.ends_with("refused: what was in force stays so (number 4)\n") && !text.contains("wider"),
            "{text}"
        );
    }
}
