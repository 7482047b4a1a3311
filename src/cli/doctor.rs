//! `sluicegate doctor`: what is wrong between the user's clients, the gateway and its tool servers, and how to mend
//! it.
//!
//! Must never change anything, nor show a credential. It starts tool servers as the gateway would, in a place of its
//! own, unless it is told not to; a running gateway is asked for one list by the key that a client has.

mod desk;
mod servers;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::exit;
use super::way::{Way, folders};
use crate::config;
use crate::model::text::printable;

/// The arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "gateway.toml", env = "SLUICEGATE_CONFIG")]
    config: PathBuf,
    /// Start no tool server, and ask no running gateway
    #[arg(long)]
    offline: bool,
    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// Something does not work, or works around the gateway.
    Problem,
    /// It works, and this should be known.
    Note,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
struct Finding {
    level: Level,
    /// The stable word.
    code: &'static str,
    /// What it is about: a client and its file, or an upstream.
    about: String,
    /// One sentence, lower case, without a full stop.
    message: String,
    /// What to do.
    fix: String,
}

impl Finding {
    fn problem(code: &'static str, about: &str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        let (about, message, fix) = (about.to_owned(), message.into(), fix.into());
        Self { level: Level::Problem, code, about, message, fix }
    }

    fn note(code: &'static str, about: &str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Note, ..Self::problem(code, about, message, fix) }
    }
}

#[tokio::main]
pub(super) async fn run(command: Doctor) -> anyhow::Result<ExitCode> {
    let config = config::load(&command.config).map_err(|problems| exit::configuration(&problems))?;
    let reach = if command.offline { Reach::Nothing } else { Reach::Everything };
    let way = Way::into(&config);
    let (mut findings, good) = desk::look(&config, way.as_ref(), &folders()?, reach).await?;
    let (of_servers, servers) = servers::look(&config, reach).await?;
    findings.extend(of_servers);
    findings.sort_by(|a, b| (a.level, &a.about).cmp(&(b.level, &b.about)));
    let good: Vec<String> = good.into_iter().chain(servers).collect();
    let out = &mut io::stdout().lock();
    if command.json {
        writeln!(out, "{:#}", json!({ "ok": is_well(&findings), "findings": findings, "good": good }))?;
    } else {
        text(&command.config, &findings, &good, out)?;
    }
    Ok(ExitCode::from(if is_well(&findings) { 0 } else { exit::FINDINGS }))
}

/// What may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Everything,
    Nothing,
}

fn is_well(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.level == Level::Note)
}

fn text(config: &Path, findings: &[Finding], good: &[String], out: &mut impl Write) -> io::Result<()> {
    for line in good {
        writeln!(out, "well: {}", printable(line))?;
    }
    for Finding { level, code, about, message, fix } in findings {
        let level = match level {
            Level::Problem => "problem",
            Level::Note => "note",
        };
        writeln!(out, "{}: {level}[{code}]: {}", printable(about), printable(message))?;
        writeln!(out, "  fix: {}", printable(fix))?;
    }
    let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
    let notes = findings.len() - problems;
    let config = printable(&config.to_string_lossy());
    writeln!(out, "{config}: problems: {problems}, notes: {notes}")
}
