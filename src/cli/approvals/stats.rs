//! `sluicegate approvals stats`: how often each rule asks a person, and what they say, so that it shows which to change.
//!
//! Must never change the journal. What it counts of a span of time are the questions that were asked in it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::audit::{self, AskedRecord};
use crate::cli::admin::{configuration, json};
use crate::cli::columns;
use crate::cli::form::Form;
use crate::cli::progress::Watcher;
use crate::cli::recorded::{Moment, moment};
use crate::clock::Clock;
use crate::model::approval::ApprovalChange;

/// Most rules that are counted apart.
const RULES_MAX: usize = 10_000;
/// Most questions that wait for their ends at once; of the oldest beyond them only the asking is counted.
const OPEN_MAX: usize = 100_000;
/// Most times of one rule that its median is made of; the oldest beyond them are left out.
const WAITS_MAX: usize = 10_000;

/// The arguments of `approvals stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sluicegate approvals stats
  sluicegate approvals stats --since 30d --json")]
pub(super) struct Stats {
    /// Only questions asked since: a duration before now (7d, 12h), or a moment (2026-11-01T00:00:00Z)
    #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = moment)]
    since: Moment,
}

/// How often one rule asked, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    asked: u64,
    approved: u64,
    denied: u64,
    lapsed: u64,
    /// Neither answered nor over.
    waiting: u64,
    /// How long the answers took, in seconds: half of them no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    median_wait_s: Option<u64>,
    #[serde(skip)]
    waits_s: VecDeque<u64>,
}

impl Count {
    fn end(&mut self, change: ApprovalChange, wait_s: u64) {
        self.waiting = self.waiting.saturating_sub(1);
        match change {
            ApprovalChange::Approved => self.approved += 1,
            ApprovalChange::Denied => self.denied += 1,
            ApprovalChange::Asked | ApprovalChange::Agreed | ApprovalChange::Lapsed => self.lapsed += 1,
        }
        if matches!(change, ApprovalChange::Approved | ApprovalChange::Denied) {
            if self.waits_s.len() >= WAITS_MAX {
                self.waits_s.pop_front();
            }
            self.waits_s.push_back(wait_s);
        }
    }

    fn conclude(&mut self) {
        let mut waits: Vec<u64> = self.waits_s.iter().copied().collect();
        waits.sort_unstable();
        self.median_wait_s = waits.get(waits.len().saturating_sub(1) / 2).copied();
    }
}

/// A question that is not over.
#[derive(Debug)]
struct Open {
    rules: Vec<String>,
    at: Timestamp,
    until: Option<Timestamp>,
}

/// What is counted, by rule.
#[derive(Debug, Default)]
pub(super) struct Counts {
    by_rule: BTreeMap<String, Count>,
    /// Questions that are not over.
    open: HashMap<String, Open>,
    /// In the order in which they were asked.
    order: VecDeque<String>,
    /// Questions of rules that are not counted apart.
    beyond: u64,
}

impl Counts {
    pub(super) fn add(&mut self, record: AskedRecord) {
        let AskedRecord { at, id, change, rules, until } = record;
        if change == ApprovalChange::Agreed {
            return;
        }
        if change != ApprovalChange::Asked {
            // One that was asked before all of this is counted where it was asked.
            let Some(open) = self.open.remove(&id) else { return };
            return self.end(&open, change, at);
        }
        // A journal of an earlier version does not say which rules ask.
        let rules = if rules.is_empty() { vec!["not recorded".to_owned()] } else { rules };
        for rule in &rules {
            if self.by_rule.len() >= RULES_MAX && !self.by_rule.contains_key(rule) {
                self.beyond += 1;
                continue;
            }
            let count = self.by_rule.entry(rule.clone()).or_default();
            count.asked += 1;
            count.waiting += 1;
        }
        if self.order.len() >= OPEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.open.insert(id, Open { rules, at, until });
    }

    fn end(&mut self, open: &Open, change: ApprovalChange, at: Timestamp) {
        let wait_s = u64::try_from(at.duration_since(open.at).as_secs()).unwrap_or_default();
        for rule in &open.rules {
            if let Some(count) = self.by_rule.get_mut(rule) {
                count.end(change, wait_s);
            }
        }
    }

    /// What was counted until `now`, the rule that asks most first.
    pub(super) fn sorted(mut self, now: Timestamp) -> Vec<(String, Count)> {
        // No record says that the time of a step's question is over, nor of any while no gateway ran.
        for open in std::mem::take(&mut self.open).into_values() {
            if open.until.is_some_and(|until| until <= now) {
                self.end(&open, ApprovalChange::Lapsed, now);
            }
        }
        self.by_rule.values_mut().for_each(Count::conclude);
        let mut sorted: Vec<_> = self.by_rule.into_iter().collect();
        sorted.sort_by(|a, b| b.1.asked.cmp(&a.1.asked).then_with(|| a.0.cmp(&b.0)));
        sorted
    }
}

#[derive(Serialize)]
struct Told<'a> {
    rule: &'a str,
    #[serde(flatten)]
    count: &'a Count,
}

pub(super) fn run(config: &Path, args: &Stats, form: Form, out: &mut impl Write) -> anyhow::Result<()> {
    let dir = configuration(config)?.state_dir.join("journal");
    let now = Clock::system().wall();
    let since = args.since.before(now);
    let (mut counts, watcher) = (Counts::default(), Watcher::new());
    let progress = |last: audit::Seq| watcher.tell(format_args!("record {last}"));
    let read = audit::asked(&dir, Some(since), |record| counts.add(record), progress);
    read.with_context(|| format!("the journal in `{}` cannot be read", dir.display()))?;
    drop(watcher);
    let beyond = counts.beyond;
    let sorted = counts.sorted(now);
    if form == Form::Json {
        let told: Vec<_> = sorted.iter().map(|(rule, count)| Told { rule, count }).collect();
        return json(&serde_json::json!({ "rules": told, "beyond": beyond }), out);
    }
    if sorted.is_empty() {
        return Ok(writeln!(out, "nobody was asked since {}", crate::cli::admin::time(since))?);
    }
    let row = |(rule, count): &(String, Count)| {
        let wait = count.median_wait_s.map(|wait| i64::try_from(wait).unwrap_or(i64::MAX));
        let wait = wait.map_or("-".to_owned(), |wait| format!("{:#}", SignedDuration::from_secs(wait)));
        let Count { asked, approved, denied, lapsed, waiting, .. } = count;
        let counts = [asked, approved, denied, lapsed, waiting].map(ToString::to_string);
        let [asked, approved, denied, lapsed, waiting] = counts;
        [asked, approved, denied, lapsed, waiting, wait, rule.clone()]
    };
    let header = ["ASKED", "APPROVED", "DENIED", "LAPSED", "WAITING", "MEDIAN WAIT", "RULE"];
    columns::write(header, sorted.iter().map(row), out)?;
    if beyond > 0 {
        writeln!(out, "and {beyond} questions of rules that are not told apart")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: u8, second: i64, change: ApprovalChange, rules: &[&str]) -> AskedRecord {
        let at = Timestamp::from_second(second).unwrap();
        let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
        let until = Timestamp::from_second(5000).ok();
        AskedRecord { at, id: id.to_string(), change, rules, until }
    }

    #[test]
    fn each_rule_is_counted_with_what_came_of_its_questions() {
        let mut counts = Counts::default();
        // Asked before all of this.
        counts.add(record(9, 0, ApprovalChange::Approved, &[]));
        for (id, end, change) in [
            (1, 10, ApprovalChange::Approved),
            (2, 30, ApprovalChange::Denied),
            (3, 20, ApprovalChange::Approved),
        ] {
            counts.add(record(id, 0, ApprovalChange::Asked, &["a", "b"]));
            counts.add(record(id, end, change, &[]));
        }
        counts.add(record(4, 0, ApprovalChange::Asked, &["a"]));
        counts.add(record(4, 3600, ApprovalChange::Lapsed, &[]));
        counts.add(record(5, 0, ApprovalChange::Asked, &["a"]));
        // Nobody recorded that its time was over.
        let over =
            AskedRecord { until: Some(Timestamp::UNIX_EPOCH), ..record(6, 0, ApprovalChange::Asked, &["c"]) };
        counts.add(over);
        let sorted = counts.sorted(Timestamp::from_second(4000).unwrap());
        let told: Vec<_> =
            sorted.iter().map(|(rule, it)| (rule.as_str(), it.asked, it.median_wait_s)).collect();
        assert_eq!(told, [("a", 5, Some(20)), ("b", 3, Some(20)), ("c", 1, None)]);
        assert_eq!((sorted[2].1.lapsed, sorted[2].1.waiting), (1, 0));
        let Count { approved, denied, lapsed, waiting, .. } = sorted[0].1;
        assert_eq!((approved, denied, lapsed, waiting), (2, 1, 1, 1));
    }
}
