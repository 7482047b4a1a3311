//! `sluicegate audit query|stats`: calls out of the journal, listed or counted.
//!
//! Must never let what a record holds steer a terminal, or be a formula to whoever opens a table.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write};
use std::path::Path;

use anyhow::Context as _;

use crate::audit::{self, Query, Row};
use crate::cli::columns;
use crate::cli::recorded::Moment;
use crate::clock::Clock;
use crate::model::glob::Glob;
use crate::model::text::printable;

/// Which calls are meant.
#[derive(Debug, clap::Args)]
pub(super) struct Filter {
    /// From then on: a duration before now (7d, 12h), or a moment (2026-11-01T00:00:00Z)
    #[arg(long, value_name = "WHEN", value_parser = crate::cli::recorded::moment)]
    since: Option<Moment>,
    /// Before then
    #[arg(long, value_name = "WHEN", value_parser = crate::cli::recorded::moment)]
    until: Option<Moment>,
    /// Of runs that this source had influenced
    #[arg(long)]
    source: Option<String>,
    /// On behalf of this subject
    #[arg(long)]
    subject: Option<String>,
    /// For this tool, or whatever it is, as `audit tail` names it; `*` stands for any run of characters
    #[arg(long, value_name = "PATTERN")]
    tool: Option<String>,
    /// At this upstream
    #[arg(long)]
    upstream: Option<String>,
    /// Of this run
    #[arg(long)]
    run: Option<String>,
    /// Only what was forwarded, or refused
    #[arg(long, value_parser = ["forwarded", "refused"])]
    verdict: Option<String>,
    /// That ended for this reason (docs/REASONS.md); `open` where they have not ended
    #[arg(long)]
    reason: Option<String>,
}

impl Filter {
    fn query(&self) -> anyhow::Result<Query> {
        let now = Clock::system().wall();
        let target = match &self.tool {
            Some(text) => Some(Glob::new(text).with_context(|| format!("`{text}` is no pattern"))?),
            None => None,
        };
        Ok(Query {
            since: self.since.map(|since| since.before(now)),
            until: self.until.map(|until| until.before(now)),
            source: self.source.clone(),
            subject: self.subject.clone(),
            run: self.run.clone(),
            upstream: self.upstream.clone(),
            target,
            verdict: self.verdict.clone(),
            reason: self.reason.clone(),
        })
    }
}

/// The arguments of `query`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate audit query --since 7d --source email --verdict refused
  sluicegate audit query --tool 'mail.*' --csv > mail.csv")]
pub(super) struct QueryArgs {
    #[command(flatten)]
    filter: Filter,
    /// No more than so many; the rest is counted
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: u64,
    /// One JSON object a line
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// A table for spreadsheets (RFC 4180)
    #[arg(long)]
    csv: bool,
}

/// The arguments of `stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate audit stats --since 24h
  sluicegate audit stats --by reason --source email --verdict refused")]
pub(super) struct StatsArgs {
    #[command(flatten)]
    filter: Filter,
    /// What is counted apart
    #[arg(long, default_value = "tool", value_parser = ["tool", "source", "subject", "agent", "upstream", "reason", "day", "hour"])]
    by: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn query(dir: &Path, args: &QueryArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let (mut told, mut more) = (0_u64, 0_u64);
    if args.csv {
        out.write_all(csv(&HEAD.map(str::to_owned)).as_bytes())?;
    }
    read(dir, &args.filter, |row| {
        if told >= args.limit {
            more += 1;
            return Ok(());
        }
        told += 1;
        match (args.json, args.csv) {
            (true, _) => writeln!(out, "{}", serde_json::to_string(&row)?)?,
            (_, true) => out.write_all(csv(&cells(&row)).as_bytes())?,
            _ => writeln!(out, "{}", printable(&text(&row)))?,
        }
        Ok(())
    })?;
    if more > 0 {
        writeln!(std::io::stderr(), "and {more} more: `--limit` shows them")?;
    }
    Ok(())
}

pub(super) fn stats(dir: &Path, args: &StatsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut beyond = 0_u64;
    read(dir, &args.filter, |row| {
        for key in keys(&args.by, &row) {
            if counts.len() >= KEYS_MAX && !counts.contains_key(&key) {
                beyond += 1;
                continue;
            }
            let (forwarded, refused) = counts.entry(key).or_default();
            *(if row.verdict == "refused" { refused } else { forwarded }) += 1;
        }
        Ok(())
    })?;
    if args.json {
        let each = counts.iter().map(|(key, (forwarded, refused))| {
            serde_json::json!({ "key": key, "forwarded": forwarded, "refused": refused })
        });
        let told = serde_json::json!({ "by": args.by, "counts": each.collect::<Vec<_>>(), "beyond": beyond });
        writeln!(out, "{told}")?;
        return Ok(());
    }
    let mut sorted: Vec<_> = counts.into_iter().collect();
    if !matches!(args.by.as_str(), "day" | "hour") {
        sorted.sort_by(|a, b| (b.1.0 + b.1.1).cmp(&(a.1.0 + a.1.1)).then_with(|| a.0.cmp(&b.0)));
    }
    let most = sorted.iter().map(|(_, (forwarded, refused))| forwarded + refused).max().unwrap_or_default();
    let row = |(key, (forwarded, refused)): &(String, (u64, u64))| {
        [printable(key), forwarded.to_string(), refused.to_string(), bar(*forwarded, *refused, most)]
    };
    let title = args.by.to_uppercase();
    columns::write([title.as_str(), "FORWARDED", "REFUSED", ""], sorted.iter().map(row), out)?;
    if beyond > 0 {
        writeln!(out, "and {beyond} calls that are not told apart")?;
    }
    Ok(())
}

/// Reads with progress where somebody watches.
fn read(dir: &Path, filter: &Filter, visit: impl FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let is_watched = std::io::stderr().is_terminal();
    let progress = |last: audit::Seq| {
        if is_watched {
            // Progress that cannot be shown is no reason to stop.
            let _unseen = write!(std::io::stderr(), "\rrecord {last}");
        }
    };
    audit::query(dir, &filter.query()?, visit, progress)?;
    if is_watched {
        let _unseen = write!(std::io::stderr(), "\r\x1b[K");
    }
    Ok(())
}

/// What a call is counted under.
fn keys(by: &str, row: &Row) -> Vec<String> {
    let one = |text: &str| vec![if text.is_empty() { "-".to_owned() } else { text.to_owned() }];
    match by {
        "source" => row.sources.clone(),
        "subject" => one(&row.subject),
        "agent" => one(&row.agent),
        "upstream" => one(&row.upstream),
        "reason" => one(&row.reason),
        "day" => one(row.time.get(..10).unwrap_or_default()),
        "hour" => one(row.time.get(..13).unwrap_or_default()),
        _ => one(&row.target),
    }
}

/// As long as its part of `most`: what was forwarded in full blocks, what was refused in light ones.
fn bar(forwarded: u64, refused: u64, most: u64) -> String {
    let part = |count: u64| {
        usize::try_from(count.saturating_mul(BAR_CELLS).div_ceil(most.max(1))).unwrap_or_default()
    };
    let whole = part(forwarded + refused);
    let dark = part(forwarded).min(whole);
    format!("{}{}", "\u{2588}".repeat(dark), "\u{2591}".repeat(whole - dark))
}

fn text(row: &Row) -> String {
    let took = row.total_us.map_or("-".to_owned(), |micros| format!("{micros}\u{b5}s"));
    let Row { seq, time, sources, subject, target, verdict, reason, .. } = row;
    format!("{time}  {}  {subject}  {target}  {verdict}  {reason}  {took}  #{seq}", sources.join("+"))
}

const HEAD: [&str; 13] = [
    "seq",
    "time",
    "sources",
    "subject",
    "entry_point",
    "run",
    "agent",
    "upstream",
    "target",
    "verdict",
    "reason",
    "executed",
    "total_us",
];

fn cells(row: &Row) -> [String; 13] {
    let Row { seq, time, sources, subject, entry_point, run, agent, upstream, target, .. } = row.clone();
    let total = row.total_us.map(|micros| micros.to_string()).unwrap_or_default();
    let (verdict, reason, executed) = (row.verdict.to_owned(), row.reason.clone(), row.executed.clone());
    let sources = sources.join(" ");
    [
        seq.to_string(),
        time,
        sources,
        subject,
        entry_point,
        run,
        agent,
        upstream,
        target,
        verdict,
        reason,
        executed,
        total,
    ]
}

/// One line of a table (RFC 4180). What a spreadsheet would take for a formula is text.
fn csv(cells: &[String; 13]) -> String {
    let quoted = |cell: &String| {
        let guard = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        format!("\"{guard}{}\"", cell.replace('"', "\"\""))
    };
    cells.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n"
}

/// Most keys that are counted apart.
const KEYS_MAX: usize = 10_000;
/// Longest bar, in characters.
const BAR_CELLS: u64 = 40;
