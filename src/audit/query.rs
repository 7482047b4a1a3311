//! Calls out of the journal, one row each: what came in, what was decided, how it ended.
//!
//! Must never change a file, nor keep more of it in memory than the calls that have not ended. Trusts no record: what a
//! member does not say is empty.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::directory::segment_name;
use super::line::Kind;
use super::recorded::ended_before;
use super::stream::{Item, Position, Reach, Stream, sound};
use super::tail::TailError;
use super::{Seq, target_of};
use crate::model::glob::Glob;

/// Most calls that wait for their ends; the oldest beyond them is told as it stands.
const OPEN_MAX: usize = 16_384;
/// Most records of one step, and most bytes.
const STEP_RECORDS: usize = 4096;
const STEP_BYTES: usize = 8 * 1024 * 1024;

/// One call, or one request that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The number of its first record.
    pub seq: u64,
    /// When it came in.
    pub time: String,
    /// What had influenced its run.
    pub sources: Vec<String>,
    /// On whose behalf.
    pub subject: String,
    /// By which entry point.
    pub entry_point: String,
    /// Its run.
    pub run: String,
    /// The agent that called.
    pub agent: String,
    /// The upstream.
    pub upstream: String,
    /// What it was for.
    pub target: String,
    /// `forwarded`, or `refused`.
    pub verdict: &'static str,
    /// How it ended; `open` where it has not.
    pub reason: String,
    /// Whether the upstream may have executed it: `yes`, `no` or `unknown`.
    pub executed: String,
    /// How long it took, in microseconds.
    pub total_us: Option<u64>,
}

/// Which calls are meant: those that fit everything that is given.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Whose run this source had influenced.
    pub source: Option<String>,
    /// On behalf of this subject.
    pub subject: Option<String>,
    /// In this run.
    pub run: Option<String>,
    /// At this upstream.
    pub upstream: Option<String>,
    /// For what this matches.
    pub target: Option<Glob>,
    /// With this verdict.
    pub verdict: Option<String>,
    /// That ended for this reason.
    pub reason: Option<String>,
}

/// Hands every call of the journal in `dir` that `query` means to `visit`, in the order in which they ended; those that have
/// not come last. `progress` is told the number of the last record that was read.
///
/// # Errors
/// [`TailError`] where the journal cannot be read, or is damaged; and what `visit` says.
pub fn query<E: From<TailError>>(
    dir: &Path,
    query: &Query,
    mut visit: impl FnMut(Row) -> Result<(), E>,
    mut progress: impl FnMut(Seq),
) -> Result<(), E> {
    let mut stream = Stream::new(dir, begin(dir, query.since)?);
    let mut open: BTreeMap<Seq, Value> = BTreeMap::new();
    let mut tell = |begun: &Value, ended: Option<&Value>| -> Result<(), E> {
        let row = row(begun, ended);
        if query.means(&row) { visit(row) } else { Ok(()) }
    };
    loop {
        let items = stream.read(Reach { until: None, records_max: STEP_RECORDS, bytes_max: STEP_BYTES })?;
        let Some(last) = items.last() else { break };
        progress(last.seq);
        for Item { seq, kind, line } in items {
            if !matches!(kind, Kind::Intent | Kind::Outcome | Kind::Unknown | Kind::Denial) {
                continue;
            }
            let Ok(record) = serde_json::from_str::<Value>(&line) else { continue };
            match kind {
                Kind::Denial => tell(&record, Some(&record))?,
                Kind::Intent => {
                    open.insert(seq, record);
                    if open.len() > OPEN_MAX
                        && let Some((_, oldest)) = open.pop_first()
                    {
                        tell(&oldest, None)?;
                    }
                }
                _ => {
                    let intent = record.get("intent").and_then(Value::as_u64).map(Seq);
                    // Of a call that began before all of this only the end is known.
                    let begun = intent.and_then(|seq| open.remove(&seq)).unwrap_or_else(|| record.clone());
                    tell(&begun, Some(&record))?;
                }
            }
        }
    }
    open.values().try_for_each(|begun| tell(begun, None))
}

/// The first segment that may hold something of `since`.
fn begin(dir: &Path, since: Option<Timestamp>) -> Result<Position, TailError> {
    if since.is_none() {
        return Ok(Position::default());
    }
    let is_meant = |first: &Seq| !ended_before(&dir.join(segment_name(*first)), since);
    let segment = sound(dir)?.into_iter().find(is_meant);
    Ok(Position { segment, ..Position::default() })
}

fn row(begun: &Value, ended: Option<&Value>) -> Row {
    let text = |pointer: &str| begun.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let of_end =
        |pointer: &str| ended.and_then(|end| end.pointer(pointer)).and_then(Value::as_str).map(str::to_owned);
    let names = begun.pointer("/provenance").and_then(Value::as_array).into_iter().flatten();
    let either = |one: &str, other: &str| {
        Some(text(one)).filter(|text| !text.is_empty()).unwrap_or_else(|| text(other))
    };
    let is_denial = text("/kind") == "denial";
    let target = target_of(begun).unwrap_or_else(|| either("/claimed/name", "/method"));
    let name =
        ["/tool", "/prompt", "/resource"].iter().map(|class| text(class)).find(|name| !name.is_empty());
    let upstream =
        name.as_deref().and_then(|name| name.split(['.', ':']).next()).unwrap_or_default().to_owned();
    let is_unknown = ended.is_some_and(|end| end.get("kind").and_then(Value::as_str) == Some("unknown"));
    let reason = match ended {
        None => "open".to_owned(),
        Some(_) if is_unknown => "unknown".to_owned(),
        Some(_) => of_end("/reason").unwrap_or_default(),
    };
    let executed = match ended {
        _ if is_denial => "no".to_owned(),
        Some(_) => of_end("/executed").unwrap_or_else(|| "unknown".to_owned()),
        None => "unknown".to_owned(),
    };
    Row {
        seq: begun.get("seq").and_then(Value::as_u64).unwrap_or_default(),
        time: text("/t"),
        sources: names.filter_map(Value::as_str).map(str::to_owned).collect(),
        subject: either("/principal/subject", "/subject"),
        entry_point: either("/principal/entry_point", "/entry_point"),
        run: text("/run"),
        agent: text("/principal/agents/0"),
        upstream,
        target,
        verdict: if is_denial { "refused" } else { "forwarded" },
        reason,
        executed,
        total_us: ended.and_then(|end| end.pointer("/latency_us/total")).and_then(Value::as_u64),
    }
}

impl Query {
    fn means(&self, row: &Row) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let at: Option<Timestamp> = row.time.parse().ok();
        let is_in = at.is_none_or(|at| {
            self.since.is_none_or(|since| since <= at) && self.until.is_none_or(|until| at < until)
        });
        is_in
            && self.source.as_ref().is_none_or(|source| row.sources.contains(source))
            && is(&self.subject, &row.subject)
            && is(&self.run, &row.run)
            && is(&self.upstream, &row.upstream)
            && self.target.as_ref().is_none_or(|glob| glob.matches(&row.target))
            && is(&self.verdict, row.verdict)
            && is(&self.reason, &row.reason)
    }
}
