//! Lines of the journal as they are read back: checked one by one, then turned into what they change.
//!
//! Must never skip a line silently: what cannot be read is [`Flaw`], and whoever reads decides what that
//! means. Trusts nothing but the digest and the chain.

mod lines;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::Seq;
use super::line::{Chain, FORMAT_VERSION, Kind, LINE_BYTES_MAX, leaf, split_digest};
use super::live::{
    Change, ClosedPart, Intended, LiveRun, OpenCall, PastPart, RevokedPart, StatePart, StoredPart,
};
use super::tree::Frontier;
use crate::model::approval::{ApprovalChange, Asked, QuestionId, Stood, Word};
use crate::model::barrier::{BarrierChange, Revoked};
use crate::model::budget::{Charge, LedgerEntry};
use crate::model::call::Stores;
use crate::model::claim::{Claim, Tombstone};
use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, SourceName, Subject, Txn, UpstreamName};
use crate::model::person::Person;
use crate::model::planned::{Past, StepUse};
use crate::model::principal::Origin;
use crate::model::provenance::Provenance;
use crate::model::run::{RunEnding, RunHistory};
use crate::model::target::{self, Class};
use crate::model::trigger::TriggerEntry;
use crate::plan::{Concluded, Grant, Held};

pub(super) use lines::{LineReader, Read};

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The file ends within it.
    #[error("the file ends in the middle of it")]
    Unfinished,
    /// It is longer than any line that is written.
    #[error("it is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// It does not end in a digest.
    #[error("it is not a line of a journal")]
    NoLine,
    /// Its bytes are not those that were sealed.
    #[error("it was edited: its digest does not fit its bytes")]
    Edited,
    /// Its digest fits, and a member is missing or is not what it has to be.
    #[error("it cannot be understood: {0}")]
    Body(String),
    /// It is of another version, or of a kind that this version does not know.
    #[error("it is of version {version} and kind `{kind}`, which this version of sluicegate cannot read")]
    Foreign {
        /// Its `v`.
        version: u64,
        /// Its `kind`.
        kind: String,
    },
    /// Its number is larger than the next one.
    #[error("the records from {expected} to {} are missing before record {found}", found.saturating_sub(1))]
    Missing {
        /// The number that should stand here.
        expected: u64,
        /// The number that stands here.
        found: u64,
    },
    /// Its number was there before.
    #[error("record {found} stands where record {expected} should: records were reordered or repeated")]
    Reordered {
        /// The number that should stand here.
        expected: u64,
        /// The number that stands here.
        found: u64,
    },
    /// It is chained to another line than the one before it.
    #[error(
        "the record before it is not the one that it was chained to: that one was edited and sealed again, or this one comes from another journal"
    )]
    Unchained,
    /// A commit line counts other lines than those that stand there.
    #[error("its group has {found} lines where it says {said}")]
    Count {
        /// What the commit line says.
        said: u64,
        /// What stands there.
        found: u64,
    },
    /// The first line of a segment is no `segment` line.
    #[error("it is not the first line of a segment")]
    NoHead,
    /// Monotonic time goes back between two starts.
    #[error("monotonic time goes back")]
    TimeGoesBack,
}

/// One line that was read, its digest checked.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    pub(super) mono_ns: u64,
    pub(super) prev: Sha256,
    pub(super) leaf: Sha256,
    pub(super) kind: Kind,
    pub(super) members: Members,
}

/// The members that the fold and the readers need, of whatever kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Members {
    pub(super) run: Option<RunId>,
    principal: Option<Who>,
    entry_point: Option<EntryPointName>,
    subject: Option<Subject>,
    provenance: Option<Provenance>,
    adds: Option<Provenance>,
    pub(super) tool: Option<Arc<str>>,
    prompt: Option<Arc<str>>,
    resource: Option<Arc<str>>,
    completion: Option<Arc<str>>,
    sampling: Option<Arc<str>>,
    elicitation: Option<Arc<str>>,
    roots: Option<Arc<str>>,
    stores: Option<Stores>,
    pub(super) intent: Option<Seq>,
    session_sha256: Option<Arc<str>>,
    history: Option<RunHistory>,
    upstream: Option<UpstreamName>,
    pub(super) count: Option<u64>,
    pub(super) synced: Option<Seq>,
    pub(super) why: Option<String>,
    pub(super) journal: Option<String>,
    pub(super) previous: Option<PreviousRead>,
    pub(super) file: Option<String>,
    pub(super) first: Option<Seq>,
    pub(super) last: Option<Seq>,
    pub(super) cause: Option<String>,
    pub(super) offset: Option<u64>,
    pub(super) tree: Option<TreeRead>,
    pub(super) note: Option<String>,
    pub(super) key: Option<String>,
    pub(super) before: Option<String>,
    effect: Option<String>,
    runs: Option<Vec<LiveRun>>,
    stored: Option<Vec<StoredPart>>,
    open: Option<Vec<OpenCall>>,
    tombstones: Option<Vec<Tombstone>>,
    revoked: Option<Vec<RevokedPart>>,
    closed: Option<Vec<ClosedPart>>,
    budgets: Option<Vec<LedgerEntry>>,
    budgets_lost: Option<Timestamp>,
    grants: Option<Vec<Grant>>,
    pasts: Option<Vec<PastPart>>,
    questions: Option<Vec<Stood>>,
    approval: Option<QuestionId>,
    asked: Option<Box<Asked>>,
    grant_number: Option<u32>,
    step_id: Option<String>,
    grant: Option<Box<Grant>>,
    step: Option<StepUse>,
    like: Option<StepUse>,
    past: Option<Past>,
    concluded: Option<Concluded>,
    charges: Option<Vec<Charge>>,
    claim: Option<Claim>,
    origin: Option<Origin>,
    entries: Option<Vec<TriggerEntry>>,
    tokens_until: Option<Timestamp>,
    txn: Option<Txn>,
    change: Option<String>,
    source: Option<SourceName>,
    by: Option<Person>,
    #[serde(skip)]
    state: StatePart,
    /// A line that is stated again, as it stood.
    pub(super) line: Option<Box<serde_json::value::RawValue>>,
}

impl Members {
    /// What a call was for: its class and its written form, which may be cut behind the upstream's name.
    fn target(&self) -> Option<(Class, &str)> {
        let Self { tool, prompt, resource, completion, sampling, elicitation, roots, .. } = self;
        target::first([tool, prompt, resource, completion, sampling, elicitation, roots])
    }
}

/// The tree that a `segment` line goes on with, or that a `checkpoint` signs.
#[derive(Debug, Deserialize)]
pub(super) struct TreeRead {
    pub(super) base: u64,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) peaks: Vec<Sha256>,
    pub(super) root: Option<Sha256>,
}

impl TreeRead {
    /// What a reader of the segment goes on with, if it could be that.
    pub(super) fn frontier(&self) -> Option<Frontier> {
        let Self { base, size, peaks, .. } = self;
        let frontier = Frontier { base: *base, size: *size, peaks: peaks.clone() };
        Some(frontier).filter(Frontier::is_whole)
    }
}

#[derive(Debug, Deserialize)]
struct Who {
    entry_point: EntryPointName,
    subject: Subject,
    txn: Option<Txn>,
    until: Option<Timestamp>,
}

/// The segment before, as the first line of a segment names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PreviousRead {
    pub(super) file: String,
    pub(super) bytes: u64,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    v: u64,
    seq: Seq,
    t: Timestamp,
    mono_ns: u64,
    prev: Sha256,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

impl Record {
    /// Checks one line by itself: its digest, its version, its members. `line` has no line break.
    pub(super) fn read(line: &[u8]) -> Result<Self, Flaw> {
        let (covered, digest) = split_digest(line).ok_or(Flaw::NoLine)?;
        if Sha256::of(covered) != digest {
            return Err(Flaw::Edited);
        }
        let body = |error: serde_json::Error| Flaw::Body(error.to_string());
        let envelope: Envelope<'_> = serde_json::from_slice(line).map_err(body)?;
        let kind = Kind::parse(&envelope.kind).filter(|_| envelope.v == FORMAT_VERSION);
        let foreign = || Flaw::Foreign { version: envelope.v, kind: envelope.kind.to_string() };
        let kind = kind.ok_or_else(foreign)?;
        let mut members = match kind {
            // These are nothing to the fold, and the names of their members mean other things.
            Kind::Upstream
            | Kind::Reload
            | Kind::Pin
            | Kind::Mint
            | Kind::TokenKey
            | Kind::Retired
            | Kind::AuthFailures
            | Kind::Start
            | Kind::Stop => Members::default(),
            _ => serde_json::from_slice(line).map_err(body)?,
        };
        members.state = StatePart {
            runs: members.runs.take().unwrap_or_default(),
            stored: members.stored.take().unwrap_or_default(),
            open: members.open.take().unwrap_or_default(),
            tombstones: members.tombstones.take().unwrap_or_default(),
            revoked: members.revoked.take().unwrap_or_default(),
            closed: members.closed.take().unwrap_or_default(),
            budgets: members.budgets.take().unwrap_or_default(),
            budgets_lost: members.budgets_lost.take(),
            grants: members.grants.take().unwrap_or_default(),
            pasts: members.pasts.take().unwrap_or_default(),
            questions: members.questions.take().unwrap_or_default(),
        };
        if kind == Kind::Intent {
            members.upstream = members.target().and_then(|(class, text)| target::upstream_of(class, text));
        }
        let record = Self {
            seq: envelope.seq,
            at: envelope.t,
            mono_ns: envelope.mono_ns,
            prev: envelope.prev,
            leaf: leaf(line),
            kind,
            members,
        };
        // What cannot be folded cannot be read, wherever it stands.
        record.change().ok_or_else(|| Flaw::Body(format!("a member of `{}` is missing", kind.as_str())))?;
        Ok(record)
    }

    /// Checks that the record continues `chain`.
    pub(super) fn continues(&self, chain: &Chain) -> Result<(), Flaw> {
        let (expected, found) = (chain.next.0, self.seq.0);
        if found > expected {
            return Err(Flaw::Missing { expected, found });
        }
        if found < expected {
            return Err(Flaw::Reordered { expected, found });
        }
        if self.prev == chain.prev { Ok(()) } else { Err(Flaw::Unchained) }
    }

    /// The place of the line after this one.
    pub(super) fn after(&self) -> Chain {
        Chain { next: self.seq.next(), prev: self.leaf }
    }

    /// Whether a source or an entry of the trigger joined a run with it.
    pub(super) fn adds_sources(&self) -> bool {
        let Members { adds, entries, .. } = &self.members;
        adds.as_ref().is_some_and(|adds| !adds.is_empty()) || entries.as_ref().is_some_and(|e| !e.is_empty())
    }

    /// What the record counts for budgets.
    pub(super) fn charges(&self) -> &[Charge] {
        self.members.charges.as_deref().unwrap_or_default()
    }

    /// What the record changes; nothing where a member that this kind must have is missing.
    pub(super) fn change(&self) -> Option<Change<'_>> {
        let members = &self.members;
        Some(match self.kind {
            Kind::State => Change::Restore(&members.state),
            Kind::RunStart => Change::RunStarted(self.run_started()?),
            Kind::RunEnd => Change::RunEnded {
                run: members.run.as_ref()?,
                why: RunEnding::parse(members.why.as_deref()?)?,
                until: members.tokens_until,
                unstarted: members.entry_point.as_ref().zip(members.txn.as_ref()),
            },
            Kind::Taint => Change::Joined {
                run: members.run.as_ref()?,
                adds: members.adds.as_ref()?,
                entries: members.entries.as_deref().unwrap_or_default(),
            },
            Kind::Revocation | Kind::Source => self.barrier()?,
            Kind::Denial | Kind::List | Kind::Suspended | Kind::Resumed | Kind::Plan => self.used()?,
            Kind::Intent => Change::Intended(self.intended()?),
            Kind::Outcome | Kind::Unknown => Change::Ended(members.intent?),
            Kind::StoredCleared => Change::StoredCleared {
                upstream: members.upstream.as_ref()?,
                subject: members.subject.as_ref(),
            },
            Kind::Gap if members.effect.as_deref() == Some("runs_closed") => Change::HistoryLost,
            Kind::Segment
            | Kind::Commit
            | Kind::Restated
            | Kind::Start
            | Kind::Stop
            | Kind::Torn
            | Kind::Gap
            | Kind::Halted
            | Kind::AuthFailures
            | Kind::Erasure
            | Kind::Pin
            | Kind::Mint
            | Kind::TokenKey
            | Kind::AuditKey
            | Kind::Retired
            | Kind::Upstream
            | Kind::Reload
            | Kind::Checkpoint => Change::None,
            Kind::Grant => self.grant_changed()?,
            Kind::Approval => Change::Question {
                change: ApprovalChange::parse(members.change.as_deref()?)?,
                asked: members.asked.as_deref()?,
                by: members.by.as_ref(),
                grant: members.grant.as_deref(),
            },
        })
    }

    /// What became of a grant.
    fn grant_changed(&self) -> Option<Change<'_>> {
        let members = &self.members;
        Some(match (members.run.as_ref()?, members.change.as_deref()?) {
            (run, "done") => Change::StepDone { run, concluded: members.concluded.as_ref()? },
            (run, "agreed") => {
                let (grant, step) = (members.grant_number?, members.step_id.as_deref()?);
                Change::StepAgreed { run, grant, step, by: members.by.as_ref()? }
            }
            (run, change) => {
                let word = [Word::Approve, Word::Deny];
                let word = word.into_iter().find(|word| word.change().as_str() == change)?;
                let (grant, step) = (members.grant_number?, members.step_id.as_deref()?);
                Change::StepAnswered { run, grant, step, word }
            }
        })
    }

    fn run_started(&self) -> Option<LiveRun> {
        let members = &self.members;
        let who = members.principal.as_ref()?;
        Some(LiveRun {
            run: members.run.clone()?,
            entry_point: who.entry_point.clone(),
            subject: who.subject.clone(),
            session: members.session_sha256.clone(),
            claim: members.claim.clone(),
            origin: members.origin.clone(),
            provenance: members.provenance.clone()?,
            started: self.at,
            used: self.at,
            history: members.history?,
            plans: Held::default(),
        })
    }

    fn intended(&self) -> Option<Intended<'_>> {
        let members = &self.members;
        let who = members.principal.as_ref()?;
        Some(Intended {
            run: members.run.as_ref(),
            entry_point: &who.entry_point,
            subject: &who.subject,
            provenance: members.provenance.as_ref()?,
            adds: members.adds.as_ref()?,
            upstream: members.upstream.as_ref(),
            tool: members.tool.clone(),
            stores: members.stores?,
            txn: who.txn.as_ref(),
            until: who.until,
            step: members.step.as_ref(),
            like: members.like.as_ref(),
            past: members.past.as_ref(),
            approval: members.approval.as_ref(),
        })
    }

    /// What a request says of its run, and what was granted by it; of one that has ended, where it belonged to none.
    fn used(&self) -> Option<Change<'_>> {
        let members = &self.members;
        Some(match (&members.run, &members.principal) {
            (Some(run), who) => Change::Used {
                run,
                provenance: members.provenance.as_ref(),
                adds: members.adds.as_ref()?,
                until: who.as_ref()?.until,
                grant: members.grant.as_deref(),
            },
            (None, Some(Who { entry_point, txn: Some(txn), until, .. })) => {
                Change::Late { entry_point, txn, until: *until }
            }
            (None, Some(_) | None) => Change::None,
        })
    }

    fn barrier(&self) -> Option<Change<'_>> {
        let members = &self.members;
        let whose = || match (&members.subject, &members.entry_point) {
            (Some(subject), None) => Some(Revoked::Subject(subject.clone())),
            (None, Some(name)) => Some(Revoked::EntryPoint(name.clone())),
            (Some(_), Some(_)) | (None, None) => None,
        };
        let change = match (self.kind, members.change.as_deref()?) {
            (Kind::Revocation, "revoked") => BarrierChange::Revoke(whose()?),
            (Kind::Revocation, "lifted") => BarrierChange::Lift(whose()?),
            (Kind::Source, "closed") => BarrierChange::Close(members.source.clone()?),
            (Kind::Source, "opened") => BarrierChange::Open(members.source.clone()?),
            _ => return None,
        };
        Some(Change::Barrier { change: Cow::Owned(change), by: members.by.as_ref()?.actor()? })
    }
}
