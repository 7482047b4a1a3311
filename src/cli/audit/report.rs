//! `sluicegate audit report`: what was called and what was refused, as one page for people who would rather look.
//!
//! Must never hold a script, nor load anything: the page is one file that can be mailed and kept.

mod chart;
mod page;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;

use super::query::{Filter, Places, read};
use crate::audit::{Row, Verdict};
use crate::cli::admin::json;

/// The arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate audit report --since 30d --html report.html
  sluicegate audit report --since 24h --source email --html mail.html
  sluicegate audit report --since 7d --json")]
pub(super) struct ReportArgs {
    #[command(flatten)]
    filter: Filter,
    /// Writes one self-contained page to this file
    #[arg(long, value_name = "FILE", required_unless_present = "json", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// One JSON object with the same numbers
    #[arg(long)]
    json: bool,
}

/// Bounds of the classes of duration, in milliseconds.
const DURATIONS_MS: [u64; 10] = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000];
/// Most names that are counted apart.
const NAMES_MAX: usize = 10_000;
/// Most columns over time; beyond it days are joined.
const COLUMNS_MAX: usize = 60;

/// How many were forwarded and refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
struct Count {
    forwarded: u64,
    refused: u64,
}

impl Count {
    fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Forwarded => self.forwarded += 1,
            Verdict::Refused => self.refused += 1,
        }
    }

    fn join(&mut self, other: Self) {
        self.forwarded += other.forwarded;
        self.refused += other.refused;
    }

    fn all(self) -> u64 {
        self.forwarded.saturating_add(self.refused)
    }
}

/// Counts by name; what is beyond the bound is counted together.
#[derive(Debug, Default, serde::Serialize)]
struct Counts {
    by_name: BTreeMap<String, Count>,
    beyond: Count,
}

impl Counts {
    fn add(&mut self, name: &str, verdict: Verdict) {
        let name = if name.is_empty() { "-" } else { name };
        if self.by_name.len() >= NAMES_MAX && !self.by_name.contains_key(name) {
            return self.beyond.add(verdict);
        }
        self.by_name.entry(name.to_owned()).or_default().add(verdict);
    }

    /// The `most` with the most calls, and all others together.
    fn largest(&self, most: usize) -> (Vec<(&str, Count)>, Count) {
        let mut all: Vec<_> = self.by_name.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        all.sort_by(|a, b| b.1.all().cmp(&a.1.all()).then_with(|| a.0.cmp(b.0)));
        let mut rest = self.beyond;
        for (_, count) in all.iter().skip(most) {
            rest.join(*count);
        }
        all.truncate(most);
        (all, rest)
    }
}

/// Everything that a page shows.
#[derive(Debug, Default, serde::Serialize)]
struct Report {
    /// The times of the first and the last call.
    first: Option<String>,
    last: Option<String>,
    calls: Count,
    /// Calls that have not ended, or of which nobody knows.
    open: u64,
    by_day: BTreeMap<String, Count>,
    by_hour: BTreeMap<String, Count>,
    sources: Counts,
    tools: Counts,
    subjects: Counts,
    upstreams: Counts,
    reasons: Counts,
    /// How many calls took at most so long, in the classes of [`DURATIONS_MS`], and longer.
    durations: [u64; DURATIONS_MS.len() + 1],
}

impl Report {
    fn add(&mut self, row: &Row) {
        let verdict = row.verdict;
        self.calls.add(verdict);
        self.open += u64::from(matches!(row.reason.as_str(), "open" | "unknown"));
        let is_before = self.first.as_ref().is_none_or(|first| row.time < *first);
        if is_before {
            self.first = Some(row.time.clone());
        }
        let is_after = self.last.as_ref().is_none_or(|last| row.time > *last);
        if is_after {
            self.last = Some(row.time.clone());
        }
        for (times, length) in [(&mut self.by_day, 10), (&mut self.by_hour, 13)] {
            let time = row.time.get(..length).unwrap_or_default();
            if times.len() < NAMES_MAX || times.contains_key(time) {
                times.entry(time.to_owned()).or_default().add(verdict);
            }
        }
        row.sources.iter().for_each(|source| self.sources.add(source, verdict));
        self.tools.add(&row.target, verdict);
        self.subjects.add(&row.subject, verdict);
        self.upstreams.add(&row.upstream, verdict);
        self.reasons.add(&row.reason, verdict);
        if let Some(total) = row.total_us.filter(|_| verdict == Verdict::Forwarded) {
            let class = DURATIONS_MS.iter().position(|most| total <= most * 1000);
            if let Some(count) = self.durations.get_mut(class.unwrap_or(DURATIONS_MS.len())) {
                *count += 1;
            }
        }
    }

    /// The columns over time: hours where there are few, else days, else so many days each.
    fn columns(&self) -> Vec<(String, Count)> {
        let (times, ending) = match self.by_hour.len() {
            0..=COLUMNS_MAX => (&self.by_hour, ":00"),
            _ => (&self.by_day, ""),
        };
        let step = times.len().div_ceil(COLUMNS_MAX).max(1);
        let mut columns: Vec<(String, Count)> = Vec::new();
        for (at, (time, count)) in times.iter().enumerate() {
            match columns.last_mut().filter(|_| at % step > 0) {
                Some((_, joined)) => joined.join(*count),
                None => columns.push((format!("{}{ending}", time.replace('T', " ")), *count)),
            }
        }
        columns
    }
}

pub(super) fn report(places: Places<'_>, args: &ReportArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let mut report = Report::default();
    read(places, &args.filter, |row| {
        report.add(&row);
        Ok(())
    })?;
    let Some(path) = &args.html else { return json(&report, out) };
    let page = page::page(&report, &args.filter.told());
    std::fs::write(path, page).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time: &str, target: &str, verdict: Verdict) -> Row {
        let text = str::to_owned;
        Row {
            seq: 1,
            time: text(time),
            sources: vec![text("<web>")],
            subject: text("user:1"),
            entry_point: text("keys.a"),
            run: text("r"),
            agent: String::new(),
            upstream: text("mail"),
            target: text(target),
            verdict,
            reason: text("answered"),
            executed: text("yes"),
            total_us: Some(1001),
        }
    }

    #[test]
    fn a_page_tells_every_call_once_and_nothing_in_it_is_markup() {
        let mut report = Report::default();
        for number in 0..40 {
            let target = format!("mail.t{number:02}<script>alert(1)</script>");
            report.add(&row("2026-11-30T10:00:00.000000Z", &target, Verdict::Forwarded));
        }
        report.add(&row("2026-12-01T11:00:00.000000Z", "mail.x", Verdict::Refused));
        assert_eq!(report.calls, Count { forwarded: 40, refused: 1 });
        assert_eq!(report.durations[1], 40, "one millisecond and a bit is in the class up to three");
        let (largest, rest) = report.tools.largest(12);
        assert_eq!((largest.len(), rest.all()), (12, 29));
        assert_eq!(report.columns().iter().map(|(_, count)| count.all()).sum::<u64>(), 41);
        let page = page::page(&report, "--source <web>");
        assert!(!page.contains("<script") && !page.contains("<web>") && !page.contains("//"), "{page}");
        assert!(page.contains("&lt;web&gt;") && page.contains("29"), "{page}");
    }

    #[test]
    fn however_long_the_time_the_columns_are_few_and_lose_nothing() {
        let mut report = Report::default();
        for day in 0..700 {
            let time = format!(
                "{:04}-{:02}-{:02}T00:00:00.000000Z",
                2024 + day / 336,
                day / 28 % 12 + 1,
                day % 28 + 1
            );
            report.add(&row(&time, "mail.x", Verdict::Forwarded));
        }
        let columns = report.columns();
        assert!(columns.len() <= COLUMNS_MAX, "{}", columns.len());
        assert_eq!(columns.iter().map(|(_, count)| count.forwarded).sum::<u64>(), 700);
        assert!(page::page(&Report::default(), "").contains("No calls"));
    }
}
