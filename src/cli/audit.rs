//! `sluicegate audit`: the readers of the journal on a terminal.
//!
//! Must never change the journal: what does is asked of the running gateway. What reads needs none: it reads the files.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

mod kept;
mod proofs;
mod query;
mod report;

use super::admin::is_broken_pipe;
use super::exit::{self, FINDINGS};
use super::progress::Watcher;
use crate::audit::{self, Follower, From, Item, Kind, Progress, Seq, Summary};
use crate::config;
use kept::{EraseArgs, HashArgs};
use proofs::{AgainstArgs, ProveArgs, RotateArgs, checkpoint, print_key, prove};
use query::{Places, QueryArgs, StatsArgs};
use report::ReportArgs;

/// Exit code: the journal is what it should be.
const OK: u8 = 0;

/// `sluicegate audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Audit {
    /// The state directory; where absent, the one that the configuration names.
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The configuration that names the state directory
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "gateway.toml",
        conflicts_with = "state_dir"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AuditCommand {
    #[command(flatten)]
    Read(Box<ReadCommand>),
    /// Has the running gateway destroy the key that values of a subject are kept under; the journal still verifies
    #[command(arg_required_else_help = true)]
    Erase(EraseArgs),
    /// Has the running gateway sign with a new key, on the record; the old one signs too for a while
    RotateKey(RotateArgs),
}

/// What reads the files.
#[derive(Debug, clap::Subcommand)]
enum ReadCommand {
    /// Shows calls as they are recorded, one readable line each
    Tail(TailArgs),
    /// Shows one record whole, and its counterpart where it is half of a call
    Show {
        /// The number of the record, as `audit tail` shows it behind `#`
        seq: u64,
    },
    /// Verifies digests, chain, sequence, commits and checkpoints of the whole journal; exit code 1 on findings
    Verify(VerifyArgs),
    /// Lists calls: by time, source, subject, tool, upstream, run, verdict and reason
    Query(QueryArgs),
    /// Counts calls: by tool, source, subject, agent, upstream, reason, day or hour
    Stats(StatsArgs),
    /// Writes what was called and refused as one page with plots
    #[command(arg_required_else_help = true)]
    Report(ReportArgs),
    /// Prints the keyed hash that records have of a value, to look for it or to check a guess
    #[command(arg_required_else_help = true)]
    Hash(HashArgs),
    /// Prints the public key that verifies the checkpoints of this gateway; give it to whoever verifies
    Key,
    /// Prints the newest signed checkpoint; kept elsewhere, it shows when the journal was cut or made anew
    Checkpoint,
    /// Proves that a record is in the signed journal, or that one checkpoint goes on from another
    Prove(ProveArgs),
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    #[command(flatten)]
    style: StyleArgs,
    #[command(flatten)]
    against: AgainstArgs,
}

#[derive(Debug, clap::Args)]
struct StyleArgs {
    /// One JSON object a line instead of text; of `tail`, the records as they stand in the journal
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct TailArgs {
    #[command(flatten)]
    style: StyleArgs,
    /// How many lines of the past to show first
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, conflicts_with = "since_start")]
    lines: usize,
    /// Everything since the last start of the gateway
    #[arg(long)]
    since_start: bool,
    /// Ends instead of waiting for what comes
    #[arg(long)]
    no_follow: bool,
}

/// Runs the command and gives its exit code.
pub(super) fn run(args: &Audit) -> anyhow::Result<ExitCode> {
    let out = &mut io::stdout().lock();
    let ran = match &args.command {
        AuditCommand::Read(command) => read(command, &state_dir(args)?, out),
        // What changes anything is asked of the gateway.
        AuditCommand::Erase(erase) => kept::erase(&args.config, erase, out).map(|()| OK),
        AuditCommand::RotateKey(rotate) => proofs::rotate_key(&args.config, rotate, out).map(|()| OK),
    };
    match ran {
        // Whoever read us has seen enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        ran => ran.map(ExitCode::from),
    }
}

fn state_dir(args: &Audit) -> anyhow::Result<PathBuf> {
    match &args.state_dir {
        Some(dir) => Ok(dir.clone()),
        None => Ok(config::load(&args.config).map_err(|problems| exit::configuration(&problems))?.state_dir),
    }
}

fn read(command: &ReadCommand, state_dir: &Path, out: &mut impl Write) -> anyhow::Result<u8> {
    let dir = state_dir.join("journal");
    let places = Places { state_dir, journal: &dir };
    match command {
        ReadCommand::Tail(args) => tail(&dir, args, out),
        ReadCommand::Show { seq } => show(&dir, state_dir, Seq(*seq), out),
        ReadCommand::Verify(args) => verify(&dir, args, out),
        ReadCommand::Query(args) => query::query(places, args, out).map(|()| OK),
        ReadCommand::Stats(args) => query::stats(places, args, out).map(|()| OK),
        ReadCommand::Report(args) => report::report(places, args, out).map(|()| OK),
        ReadCommand::Hash(args) => kept::hash(state_dir, args, out).map(|()| OK),
        ReadCommand::Key => print_key(state_dir, out).map(|()| OK),
        ReadCommand::Checkpoint => checkpoint(&dir, out).map(|()| OK),
        ReadCommand::Prove(args) => prove(&dir, args, out).map(|()| OK),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Text,
    Json,
}

impl StyleArgs {
    fn style(&self) -> Style {
        if self.json { Style::Json } else { Style::Text }
    }
}

fn tail(dir: &Path, args: &TailArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    let from = match (args.since_start, args.lines) {
        (true, _) => From::LastStart,
        (false, 0) => From::Now,
        (false, _) => From::Recent,
    };
    let mut view = View { style: args.style.style(), summary: Summary::default() };
    let mut follower = Follower::open(dir, from)?;
    let mut past = VecDeque::new();
    loop {
        let items = follower.poll()?;
        let is_last = items.is_empty();
        for line in items.iter().filter_map(|item| view.line(item)) {
            if args.since_start {
                writeln!(out, "{line}")?;
                continue;
            }
            past.push_back(line);
            if past.len() > args.lines {
                past.pop_front();
            }
        }
        if is_last {
            break;
        }
    }
    for line in past {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    if args.no_follow {
        return Ok(OK);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let mut ticks = tokio::time::interval(POLL_EVERY);
        loop {
            ticks.tick().await;
            for line in follower.poll()?.iter().filter_map(|item| view.line(item)) {
                writeln!(out, "{line}")?;
            }
            out.flush()?;
        }
    })
}

/// How items become lines.
struct View {
    style: Style,
    summary: Summary,
}

impl View {
    fn line(&mut self, item: &Item) -> Option<String> {
        match (self.style, item.kind) {
            (Style::Json, Kind::Segment) => None,
            (Style::Json, _) => Some(item.line.clone()),
            (Style::Text, _) => self.summary.line(item),
        }
    }
}

/// How often a followed journal is looked at.
const POLL_EVERY: Duration = Duration::from_millis(200);

fn show(dir: &Path, state_dir: &Path, seq: Seq, out: &mut impl Write) -> anyhow::Result<u8> {
    let shown = match audit::show(dir, seq) {
        Ok(shown) => shown,
        Err(error @ audit::ShowError::Missing(_)) => {
            writeln!(io::stderr(), "error: {error}")?;
            return Ok(FINDINGS);
        }
        Err(error) => return Err(error.into()),
    };
    for record in shown {
        if let Some(flaw) = record.flaw {
            writeln!(out, "# {}: {flaw}", record.file)?;
            writeln!(out, "{}", crate::model::text::printable(&record.line))?;
            continue;
        }
        writeln!(out, "{}", audit::pretty(&record.line))?;
        kept::opened(state_dir, &record.line, out)?;
    }
    Ok(OK)
}

fn verify(dir: &Path, args: &VerifyArgs, out: &mut impl Write) -> anyhow::Result<u8> {
    let (style, against) = (args.style.style(), args.against.read()?);
    let checks_signatures = !against.keys.is_empty();
    let watcher = Watcher::new();
    let report = audit::verify(dir, against, &mut |at: Progress| {
        let percent = at.bytes.saturating_mul(100).checked_div(at.bytes_total).unwrap_or(100);
        watcher.tell(format_args!("{percent:3} %  {} records", at.lines));
    })?;
    drop(watcher);
    for finding in &report.findings {
        match style {
            Style::Text => writeln!(out, "damaged: {finding}")?,
            Style::Json => writeln!(out, "{}", finding.to_json())?,
        }
    }
    for note in &report.notes {
        match style {
            Style::Text => writeln!(out, "note: {note}")?,
            Style::Json => writeln!(out, "{}", note.to_json())?,
        }
    }
    if style == Style::Text {
        writeln!(
            out,
            "{} records from {} to {} in {} segments and {} groups: {} calls forwarded, {} ended, {} unknown, {} \
             requests refused",
            report.lines,
            report.first,
            report.last,
            report.segments,
            report.groups,
            report.intents,
            report.outcomes,
            report.unknown,
            report.denials
        )?;
        if let Some(last) = report.signed {
            let how =
                if checks_signatures { "signed" } else { "said, their signatures not checked (--key)," };
            writeln!(out, "{} checkpoints: what is {how} reaches up to record {last}", report.checkpoints)?;
        }
    }
    let count = (report.findings.len() as u64).saturating_add(report.findings_more);
    if count == 0 {
        if style == Style::Text {
            writeln!(out, "ok: every record is where it was written and as it was written")?;
        }
        return Ok(OK);
    }
    if style == Style::Text {
        writeln!(out, "{count} findings")?;
    }
    Ok(FINDINGS)
}
