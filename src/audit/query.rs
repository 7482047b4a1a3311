//! Calls out of the journal, one row each: what came in, what was decided, how it ended.
//!
//! Must never change a file, nor keep more of it in memory than the calls that have not ended. Trusts no record: what a
//! member does not say is empty, and one whose members are not what they have to be is about no call.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Seq;
use super::directory::segment_name;
use super::line::Kind;
use super::recorded::ended_before;
use super::stream::{Item, Position, Reach, Stream, sound};
use super::summary::written;
use super::tail::TailError;
use crate::model::glob::Glob;
use crate::model::target::{self, Class};

/// Most calls that wait for their ends; the oldest beyond them is told as it stands.
const OPEN_MAX: usize = 16_384;
/// How far one step goes.
pub const STEP: Reach = Reach { until: None, records_max: 4096, bytes_max: 8 * 1024 * 1024 };

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
    /// Whether it was forwarded.
    pub verdict: Verdict,
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
    pub verdict: Option<Verdict>,
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
    let mut open: BTreeMap<Seq, Row> = BTreeMap::new();
    let mut tell = |row: Row| -> Result<(), E> { if query.means(&row) { visit(row) } else { Ok(()) } };
    loop {
        let items = stream.read(STEP)?;
        let Some(last) = items.last() else { break };
        progress(last.seq);
        for part in items.iter().filter_map(Part::of) {
            match part {
                Part::Refused(row) => tell(row)?,
                Part::Begun(row) => {
                    open.insert(Seq(row.seq), row);
                    if open.len() > OPEN_MAX
                        && let Some((_, oldest)) = open.pop_first()
                    {
                        tell(oldest)?;
                    }
                }
                // Of a call that began before all of this only the end is known.
                Part::Ended { of, end, alone } => tell(end.of(open.remove(&of).unwrap_or(alone)))?,
            }
        }
    }
    open.into_values().try_for_each(tell)
}

/// The first segment that may hold something of `since`.
pub(super) fn begin(dir: &Path, since: Option<Timestamp>) -> Result<Position, TailError> {
    if since.is_none() {
        return Ok(Position::default());
    }
    let is_meant = |first: &Seq| !ended_before(&dir.join(segment_name(*first)), since);
    let segment = sound(dir)?.into_iter().find(is_meant);
    Ok(Position { segment, ..Position::default() })
}

/// What one record says of a call.
#[derive(Debug)]
pub enum Part {
    /// It was refused.
    Refused(Row),
    /// It began.
    Begun(Row),
    /// It ended.
    Ended {
        /// The record of its intent.
        of: Seq,
        /// How.
        end: End,
        /// What the end itself says of the call, for one whose beginning is not known.
        alone: Row,
    },
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub reason: String,
    /// Whether the upstream may have executed it.
    pub executed: String,
    /// How long it took, in microseconds.
    pub total_us: Option<u64>,
}

impl End {
    /// `row`, ended.
    #[must_use]
    pub fn of(self, row: Row) -> Row {
        let Self { reason, executed, total_us } = self;
        Row { reason, executed, total_us, ..row }
    }

    fn read(told: &Told, kind: Kind) -> Self {
        let reason = match (kind, &told.reason) {
            (Kind::Unknown, _) => "unknown".to_owned(),
            (_, reason) => reason.clone().unwrap_or_default(),
        };
        let executed = match (kind, &told.executed) {
            (Kind::Denial, _) => "no",
            (_, Some(executed)) if !executed.is_empty() => executed,
            _ => "unknown",
        };
        Self {
            reason,
            executed: executed.to_owned(),
            total_us: told.latency_us.as_ref().and_then(|latency| latency.total),
        }
    }
}

/// What is read of a record: of everything else not even the values are made.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    seq: u64,
    t: Option<String>,
    intent: Option<u64>,
    provenance: Option<Vec<String>>,
    principal: Option<Who>,
    subject: Option<String>,
    entry_point: Option<String>,
    run: Option<String>,
    method: Option<String>,
    claimed: Option<Claimed>,
    reason: Option<String>,
    executed: Option<String>,
    latency_us: Option<LatencyRead>,
    tool: Option<String>,
    prompt: Option<String>,
    resource: Option<String>,
    completion: Option<String>,
    sampling: Option<String>,
    elicitation: Option<String>,
    roots: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Who {
    subject: Option<String>,
    entry_point: Option<String>,
    agents: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Claimed {
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LatencyRead {
    total: Option<u64>,
}

impl Told {
    /// What the call was for, by its class.
    fn target(&self) -> Option<(Class, &str)> {
        let Self { tool, prompt, resource, completion, sampling, elicitation, roots, .. } = self;
        target::first([tool, prompt, resource, completion, sampling, elicitation, roots])
    }

    /// A call that has not ended, of which this is the first record that is known.
    fn begun(self, kind: Kind) -> Row {
        let named = self.target().map(|(class, name)| (written(class, name), upstream_of(name).to_owned()));
        let claimed = self.claimed.and_then(|claimed| claimed.name).filter(|name| !name.is_empty());
        let (target, upstream) =
            named.unwrap_or_else(|| (claimed.or(self.method).unwrap_or_default(), String::new()));
        let Who { subject, entry_point, agents } =
            self.principal.unwrap_or(Who { subject: None, entry_point: None, agents: None });
        let either = |one: Option<String>, other: Option<String>| {
            one.filter(|text| !text.is_empty()).or(other).unwrap_or_default()
        };
        Row {
            seq: self.seq,
            time: self.t.unwrap_or_default(),
            sources: self.provenance.unwrap_or_default(),
            subject: either(subject, self.subject),
            entry_point: either(entry_point, self.entry_point),
            run: self.run.unwrap_or_default(),
            agent: agents.and_then(|agents| agents.into_iter().next()).unwrap_or_default(),
            upstream,
            target,
            verdict: if kind == Kind::Denial { Verdict::Refused } else { Verdict::Forwarded },
            reason: "open".to_owned(),
            executed: "unknown".to_owned(),
            total_us: None,
        }
    }
}

impl Part {
    /// What `item` says; nothing where it is about no call.
    #[must_use]
    pub fn of(item: &Item) -> Option<Self> {
        let kind = item.kind;
        if !matches!(kind, Kind::Intent | Kind::Outcome | Kind::Unknown | Kind::Denial) {
            return None;
        }
        let told = serde_json::from_str::<Told>(&item.line).ok()?;
        Some(match kind {
            Kind::Intent => Self::Begun(told.begun(kind)),
            Kind::Denial => Self::Refused(End::read(&told, kind).of(told.begun(kind))),
            _ => {
                let of = told.intent.map_or(item.seq, Seq);
                Self::Ended { of, end: End::read(&told, kind), alone: told.begun(kind) }
            }
        })
    }
}

/// The upstream of a target, as it is written: what stands before the first dot or colon.
fn upstream_of(name: &str) -> &str {
    name.split(['.', ':']).next().unwrap_or_default()
}

/// Whether a call was forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was.
    Forwarded,
    /// It was refused.
    Refused,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Refused => "refused",
        }
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
            && self.verdict.is_none_or(|verdict| verdict == row.verdict)
            && is(&self.reason, &row.reason)
    }
}
