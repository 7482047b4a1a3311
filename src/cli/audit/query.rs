//! `sluicegate audit query|stats`: calls out of the journal, listed or counted.
//!
//! Must never let what a record holds steer a terminal, or be a formula to whoever opens a table.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;

use crate::audit::{self, Query, Row, Verdict};
use crate::cli::columns;
use crate::cli::progress::Watcher;
use crate::cli::recorded::Moment;
use crate::clock::Clock;
use crate::index::{Index, IndexError};
use crate::model::glob::Glob;
use crate::model::text::{harmless_json, printable};

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
    #[arg(long, value_enum)]
    verdict: Option<VerdictWord>,
    /// That ended for this reason (docs/REASONS.md); `open` where they have not ended
    #[arg(long)]
    reason: Option<String>,
    /// Reads the journal itself instead of the index (index/ in the state directory), which is made and kept up on use
    #[arg(long)]
    no_index: bool,
}

/// Whether a call was forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum VerdictWord {
    Forwarded,
    Refused,
}

impl VerdictWord {
    fn verdict(self) -> Verdict {
        match self {
            Self::Forwarded => Verdict::Forwarded,
            Self::Refused => Verdict::Refused,
        }
    }
}

impl Filter {
    /// What is chosen by, for people; nothing where everything is.
    pub(super) fn told(&self) -> String {
        let Self { since, until, source, subject, tool, upstream, run, verdict, reason, no_index: _ } = self;
        let now = Clock::system().wall();
        let moment = |when: &Option<Moment>| when.map(|when| when.before(now).to_string());
        let parts = [
            ("since", moment(since)),
            ("until", moment(until)),
            ("source", source.clone()),
            ("subject", subject.clone()),
            ("tool", tool.clone()),
            ("upstream", upstream.clone()),
            ("run", run.clone()),
            ("verdict", verdict.map(|verdict| verdict.verdict().as_str().to_owned())),
            ("reason", reason.clone()),
        ];
        let told = parts.into_iter().filter_map(|(key, value)| value.map(|value| format!("{key} {value}")));
        told.collect::<Vec<_>>().join(", ")
    }

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
            verdict: self.verdict.map(VerdictWord::verdict),
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

pub(super) fn query(places: Places<'_>, args: &QueryArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let (mut told, mut more) = (0_u64, 0_u64);
    if args.csv {
        out.write_all(csv(&HEAD.map(str::to_owned)).as_bytes())?;
    }
    read(places, &args.filter, |row| {
        if told >= args.limit {
            more += 1;
            return Ok(());
        }
        told += 1;
        match (args.json, args.csv) {
            (true, _) => writeln!(out, "{}", harmless_json(&serde_json::to_string(&row)?))?,
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

pub(super) fn stats(places: Places<'_>, args: &StatsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut beyond = 0_u64;
    read(places, &args.filter, |row| {
        for key in keys(&args.by, &row) {
            if counts.len() >= KEYS_MAX && !counts.contains_key(&key) {
                beyond += 1;
                continue;
            }
            let (forwarded, refused) = counts.entry(key).or_default();
            *(if row.verdict == Verdict::Refused { refused } else { forwarded }) += 1;
        }
        Ok(())
    })?;
    if args.json {
        let each = counts.iter().map(|(key, (forwarded, refused))| {
            serde_json::json!({ "key": key, "forwarded": forwarded, "refused": refused })
        });
        let told = serde_json::json!({ "by": args.by, "counts": each.collect::<Vec<_>>(), "beyond": beyond });
        writeln!(out, "{}", harmless_json(&told.to_string()))?;
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

/// What is read.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    /// The state directory, where the index stands.
    pub(super) state_dir: &'a Path,
    /// The folder of the journal.
    pub(super) journal: &'a Path,
}

/// Reads the calls that `filter` means, with progress where somebody watches: out of the index, or, where there is none
/// and none can be made, out of the journal.
pub(super) fn read(
    places: Places<'_>,
    filter: &Filter,
    visit: impl FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (query, watcher) = (filter.query()?, Watcher::new());
    let progress = |last: audit::Seq| watcher.tell(format_args!("record {last}"));
    if filter.no_index {
        return audit::query(places.journal, &query, visit, progress);
    }
    match Index::open(places.state_dir, progress) {
        Ok(index) => {
            drop(watcher);
            index.query(&query, visit)
        }
        Err(IndexError::Journal(error)) => Err(error.into()),
        Err(error) => {
            writeln!(std::io::stderr(), "note: without an index, which takes longer: {error}")?;
            audit::query(places.journal, &query, visit, progress)
        }
    }
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
    let Row { seq, time, sources, subject, target, reason, .. } = row;
    let verdict = row.verdict.as_str();
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
    let (verdict, reason, executed) =
        (row.verdict.as_str().to_owned(), row.reason.clone(), row.executed.clone());
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

/// One line of a table (RFC 4180). What a spreadsheet would take for a formula is text (CASES A75), and nothing is hidden.
fn csv(cells: &[String; 13]) -> String {
    let quoted = |cell: &String| {
        let guard = if cell.trim_start().starts_with(FORMULAS) { "'" } else { "" };
        format!("\"{guard}{}\"", printable(cell).replace('"', "\"\""))
    };
    cells.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n"
}

/// What a formula begins with, in full width too, as spreadsheets in some languages take it.
const FORMULAS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
/// Most keys that are counted apart.
const KEYS_MAX: usize = 10_000;
/// Longest bar, in characters.
const BAR_CELLS: u64 = 40;
