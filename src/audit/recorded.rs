//! The calls that a journal holds, one after the other, as they were decided: what can be decided again.
//!
//! Must never change a file, nor keep more than one group of it in memory. Trusts no line: one that is damaged, or
//! that says what no call can, is counted and passed over.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Deserialize;

use super::Seq;
use super::directory::{SegmentFile, SegmentState, segments};
use super::line::Kind;
use super::read::{LineReader, Read, Record};
use super::recover::READ_BYTES;
use super::tail::TailError;
use crate::model::decision::Answer;
use crate::model::facts::RunId;
use crate::model::name::{
    AgentName, EntryPointName, PromptId, PromptName, RoleName, SourceName, Subject, UpstreamName,
};
use crate::model::principal::{Label, Principal, RunRule};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::{ResourceId, Target};
use crate::model::trigger::Trigger;
use crate::model::uri::Uri;

/// A call that was decided.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The number of its record.
    pub seq: Seq,
    /// When it was recorded.
    pub at: Timestamp,
    /// Its run.
    pub run: Option<RunId>,
    /// Who called, with the trigger of the run.
    pub principal: Principal,
    /// What had influenced the run.
    pub provenance: Provenance,
    /// What was called; absent where nothing of that name existed.
    pub target: Option<Target>,
    /// What was decided, and why.
    pub verdict: Answer,
    /// The reason, of the decision or of the refusal beyond it.
    pub reason: Reason,
    /// The rules that determined it, in words with their places.
    pub rules: Vec<String>,
    /// Whether something of it was cut that a decision looks at.
    pub is_cut: bool,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scan {
    /// Calls that were handed on.
    pub calls: u64,
    /// Records of calls without a decision: refused before one was made.
    pub undecided: u64,
    /// Lines that are damaged, or that say what no call can.
    pub damaged: u64,
    /// Segments that were declared damaged, and are not read.
    pub left_out: u64,
    /// When the oldest record was written that is still there, where it was looked at.
    pub begins: Option<Timestamp>,
}

/// Which calls are meant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

/// Hands every decided call of the journal in `dir` to `visit`, in their order; `progress` is told the bytes read and
/// those there are.
///
/// # Errors
/// [`TailError`] where the journal cannot be read.
pub fn calls(
    dir: &Path,
    span: Span,
    mut visit: impl FnMut(Recorded),
    mut progress: impl FnMut(u64, u64),
) -> Result<Scan, TailError> {
    let mut scan = Scan::default();
    let segments = segments(dir)?;
    let (sound, damaged): (Vec<_>, Vec<_>) =
        segments.iter().partition(|segment| segment.state == SegmentState::Sound);
    scan.left_out = u64::try_from(damaged.len()).unwrap_or(u64::MAX);
    let sizes: Vec<u64> = sound.iter().map(|segment| size(dir, segment)).collect();
    let total = sizes.iter().sum();
    let mut before = 0;
    let mut is_oldest = true;
    for (segment, bytes) in sound.into_iter().zip(sizes) {
        if !ended_before(&dir.join(&segment.name), span.since) {
            let began = read(dir, segment, span, &mut scan, &mut visit)?;
            scan.begins = scan.begins.or(began.filter(|_| is_oldest));
        }
        is_oldest = false;
        before += bytes;
        progress(before, total);
    }
    Ok(scan)
}

/// The call that the record `line` decides on, if it is one.
#[must_use]
pub fn recorded(line: &str) -> Option<Recorded> {
    let record = Record::read(line.as_bytes()).ok()?;
    match Written::read(&record, line) {
        Found::Call(call) => Some(*call),
        Found::Undecided | Found::Other | Found::Damaged => None,
    }
}

fn size(dir: &Path, segment: &SegmentFile) -> u64 {
    dir.join(&segment.name).metadata().map(|facts| facts.len()).unwrap_or_default()
}

/// Whether the segment at `path` was last written before `since`, so that it holds nothing of what came then.
pub(super) fn ended_before(path: &Path, since: Option<Timestamp>) -> bool {
    let written = path.metadata().and_then(|facts| facts.modified()).ok();
    let since = since.map(SystemTime::from);
    matches!((written, since), (Some(written), Some(since)) if written < since)
}

/// Reads one segment; says when it was begun.
fn read(
    dir: &Path,
    segment: &SegmentFile,
    span: Span,
    scan: &mut Scan,
    visit: &mut impl FnMut(Recorded),
) -> Result<Option<Timestamp>, TailError> {
    let path = dir.join(&segment.name);
    let io = |source| TailError::Io { path: path.clone(), source };
    let file = match File::open(&path) {
        Ok(file) => file,
        // Somebody archived it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut reader = LineReader::new(BufReader::with_capacity(READ_BYTES, file), 0);
    let (mut group, mut began) = (Vec::new(), None);
    loop {
        match reader.read().map_err(io)? {
            // A group without its commit line is not in the journal.
            Read::End => return Ok(began),
            Read::Flawed(..) => scan.damaged += 1,
            Read::Line(line, _) => match Record::read(line) {
                Err(_) => scan.damaged += 1,
                Ok(record) if record.kind == Kind::Segment => began = began.or(Some(record.at)),
                Ok(record) if record.kind == Kind::Commit => {
                    for call in group.drain(..) {
                        scan.calls += 1;
                        visit(call);
                    }
                }
                Ok(record) if is_in(span, record.at) => match std::str::from_utf8(line) {
                    Ok(line) => match Written::read(&record, line) {
                        Found::Call(call) => group.push(*call),
                        Found::Undecided => scan.undecided += 1,
                        Found::Damaged => scan.damaged += 1,
                        Found::Other => {}
                    },
                    Err(_) => scan.damaged += 1,
                },
                Ok(_) => {}
            },
        }
    }
}

fn is_in(span: Span, at: Timestamp) -> bool {
    span.since.is_none_or(|since| since <= at) && span.until.is_none_or(|until| at < until)
}

enum Found {
    Call(Box<Recorded>),
    /// A request that was refused before anything was decided.
    Undecided,
    /// No call at all.
    Other,
    Damaged,
}

/// The members of a call's record that a decision looks at (docs/AUDIT.md).
#[derive(Deserialize)]
struct Written {
    run: Option<RunId>,
    principal: Caller,
    trigger: Option<Trigger>,
    provenance: Vec<SourceName>,
    tool: Option<String>,
    prompt: Option<String>,
    resource: Option<String>,
    completion: Option<UpstreamName>,
    sampling: Option<UpstreamName>,
    elicitation: Option<UpstreamName>,
    roots: Option<UpstreamName>,
    decision: Option<Decided>,
    reason: Option<Reason>,
    #[serde(default)]
    truncated: Vec<Cut>,
}

#[derive(Deserialize)]
struct Caller {
    entry_point: EntryPointName,
    subject: Subject,
    roles: BTreeSet<RoleName>,
    agents: Vec<AgentName>,
    sources: Vec<SourceName>,
}

#[derive(Deserialize)]
struct Decided {
    verdict: Answer,
    reason: Reason,
    #[serde(default)]
    rules: Vec<Rule>,
}

/// A rule as a record has it.
#[derive(Deserialize)]
pub(super) struct Rule {
    dimension: String,
    name: Option<String>,
    answer: Answer,
    permission: Option<String>,
    place: Option<Place>,
}

#[derive(Deserialize)]
struct Place {
    file: String,
    line: u32,
    column: u32,
}

#[derive(Deserialize)]
struct Cut {
    member: String,
}

impl Recorded {
    /// Whether it was let through: by the policy, and by everything that is looked at after it.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.verdict == Answer::Allow && self.reason == Reason::Allowed
    }
}

impl Written {
    fn read(record: &Record, line: &str) -> Found {
        // A question that an upstream asks is decided when it is recorded as suspended.
        if !matches!(record.kind, Kind::Intent | Kind::Denial | Kind::Suspended) {
            return Found::Other;
        }
        let Ok(written) = serde_json::from_str::<Self>(line) else { return Found::Damaged };
        if written.decision.is_none() {
            return Found::Undecided;
        }
        written.call(record).map_or(Found::Damaged, |call| Found::Call(Box::new(call)))
    }

    fn call(self, record: &Record) -> Option<Recorded> {
        let target = self.target()?;
        let Self { run, principal, trigger, provenance, decision, reason, truncated, .. } = self;
        let Decided { verdict, reason: decided, rules } = decision?;
        let looked_at = |cut: &Cut| {
            ["principal", "provenance", "trigger"].iter().any(|member| cut.member.starts_with(member))
        };
        let Caller { entry_point, subject, roles, agents, sources } = principal;
        let label = Label { entry_point, subject, roles, agents, sources: Provenance::of(sources) };
        let trigger = trigger.unwrap_or_default();
        Some(Recorded {
            seq: record.seq,
            at: record.at,
            run,
            principal: Principal { trigger, ..Principal::configured(label, RunRule::DEFAULT) },
            provenance: Provenance::of(provenance),
            target,
            verdict,
            reason: reason.unwrap_or(decided),
            rules: rules.into_iter().map(Rule::words).collect(),
            is_cut: truncated.iter().any(looked_at),
        })
    }

    /// What the call was for. Nothing at all where nothing of its name existed; `None` where it cannot be read.
    #[expect(clippy::option_option, reason = "absent and unreadable are told apart")]
    fn target(&self) -> Option<Option<Target>> {
        if let Some(tool) = &self.tool {
            return Some(Some(Target::Tool(tool.parse().ok()?)));
        }
        if let Some(prompt) = &self.prompt {
            let (upstream, prompt) = prompt.split_once('.')?;
            let upstream = UpstreamName::new(upstream).ok()?;
            return Some(Some(Target::Prompt(PromptId { upstream, prompt: PromptName::new(prompt).ok()? })));
        }
        if let Some(resource) = &self.resource {
            let (upstream, uri) = resource.split_once(':')?;
            let upstream = UpstreamName::new(upstream).ok()?;
            return Some(Some(Target::Resource(ResourceId { upstream, uri: Uri::new(uri).ok()? })));
        }
        let completion = self.completion.clone().map(Target::Completion);
        let asked = completion.or_else(|| self.sampling.clone().map(Target::Sampling));
        let asked = asked.or_else(|| self.elicitation.clone().map(Target::Elicitation));
        Some(asked.or_else(|| self.roots.clone().map(Target::Roots)))
    }
}

impl Rule {
    pub(super) fn words(self) -> String {
        let Self { dimension, name, answer, permission, place } = self;
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        let by = permission.map(|permission| format!(" by `{permission}`")).unwrap_or_default();
        let at = place.map(|Place { file, line, column }| format!(" at {file}:{line}:{column}"));
        format!("{dimension}{name} {answer}{by}{}", at.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_call_is_none_and_what_is_damaged_too() {
        assert!(recorded("").is_none());
        assert!(recorded(r#"{"v":1,"seq":1,"kind":"intent"}"#).is_none());
    }
}
