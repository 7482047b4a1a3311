//! What one record does to the live state, and the parts of it that the head of a segment holds.
//!
//! Must never leave out what a record of either side of the journal says: the writer makes these, and so does the reader.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::{LiveRun, OpenCall};
use crate::audit::Seq;
use crate::model::approval::{ApprovalChange, Asked, QuestionId, Stood, Word};
use crate::model::barrier::{BarrierChange, Revoked};
use crate::model::budget::LedgerEntry;
use crate::model::call::Stores;
use crate::model::claim::Tombstone;
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, SourceName, Subject, Txn, UpstreamName};
use crate::model::person::Person;
use crate::model::planned::{Past, StepUse};
use crate::model::provenance::Provenance;
use crate::model::run::{Actor, RunEnding};
use crate::model::trigger::TriggerEntry;
use crate::plan::{Concluded, Grant};

/// What one record does to the live state.
#[derive(Debug)]
pub(in crate::audit) enum Change<'a> {
    /// Nothing.
    None,
    /// A part of the live state as the head of a segment holds it.
    Restore(&'a StatePart),
    RunStarted(LiveRun),
    RunEnded {
        run: &'a RunId,
        why: RunEnding,
        /// Until when its tokens may be valid, where it is claimed by any.
        until: Option<Timestamp>,
        /// What its tokens claim, where none of them ever started it.
        unstarted: Option<(&'a EntryPointName, &'a Txn)>,
    },
    /// A run was used under `provenance` by a credential that ends at `until`, and `adds` joined it.
    Used {
        run: &'a RunId,
        provenance: Option<&'a Provenance>,
        adds: &'a Provenance,
        until: Option<Timestamp>,
        /// What was granted to it.
        grant: Option<&'a Grant>,
    },
    /// A step of a grant was done.
    StepDone {
        run: &'a RunId,
        concluded: &'a Concluded,
    },
    /// A person answered a step of a grant that waited for one.
    StepAnswered {
        run: &'a RunId,
        grant: u32,
        step: &'a str,
        word: Word,
    },
    /// A person said yes to a step of a grant for which more have to.
    StepAgreed {
        run: &'a RunId,
        grant: u32,
        step: &'a str,
        by: &'a Person,
    },
    /// Something became of a question to a person.
    Question {
        change: ApprovalChange,
        asked: &'a Asked,
        by: Option<&'a Person>,
        /// What is granted by a yes to several like calls.
        grant: Option<&'a Grant>,
    },
    /// A later credential brought more than its run had.
    Joined {
        run: &'a RunId,
        adds: &'a Provenance,
        entries: &'a [TriggerEntry],
    },
    /// A request belonged to no run. Where its run has ended, its token has to be dead too.
    Late {
        entry_point: &'a EntryPointName,
        txn: &'a Txn,
        until: Option<Timestamp>,
    },
    /// A person closed something or opened it again.
    Barrier {
        change: Cow<'a, BarrierChange>,
        by: Actor,
    },
    Intended(Intended<'a>),
    /// The call of this intent has ended, or nobody will ever know.
    Ended(Seq),
    StoredCleared {
        upstream: &'a UpstreamName,
        subject: Option<&'a Subject>,
    },
    /// Part of the history cannot be read: no run is what it seems.
    HistoryLost,
}

#[derive(Debug)]
pub(in crate::audit) struct Intended<'a> {
    pub(in crate::audit) run: Option<&'a RunId>,
    pub(in crate::audit) entry_point: &'a EntryPointName,
    pub(in crate::audit) subject: &'a Subject,
    pub(in crate::audit) provenance: &'a Provenance,
    pub(in crate::audit) adds: &'a Provenance,
    pub(in crate::audit) upstream: Option<&'a UpstreamName>,
    pub(in crate::audit) tool: Option<Arc<str>>,
    pub(in crate::audit) stores: Stores,
    /// The run that the credential names, where it is claimed.
    pub(in crate::audit) txn: Option<&'a Txn>,
    /// When the credential of the call ends.
    pub(in crate::audit) until: Option<Timestamp>,
    /// The use of a step that was taken for it.
    pub(in crate::audit) step: Option<&'a StepUse>,
    /// The like call that was taken for it.
    pub(in crate::audit) like: Option<&'a StepUse>,
    /// What flows see of it, where that is news.
    pub(in crate::audit) past: Option<&'a Past>,
    /// The yes that it takes.
    pub(in crate::audit) approval: Option<&'a QuestionId>,
}

/// The body of a `state` line.
#[derive(Debug, Default, Deserialize)]
pub(in crate::audit) struct StatePart {
    #[serde(default)]
    pub(in crate::audit) runs: Vec<LiveRun>,
    #[serde(default)]
    pub(in crate::audit) stored: Vec<StoredPart>,
    #[serde(default)]
    pub(in crate::audit) open: Vec<OpenCall>,
    #[serde(default)]
    pub(in crate::audit) tombstones: Vec<Tombstone>,
    #[serde(default)]
    pub(in crate::audit) revoked: Vec<RevokedPart>,
    #[serde(default)]
    pub(in crate::audit) closed: Vec<ClosedPart>,
    #[serde(default)]
    pub(in crate::audit) budgets: Vec<LedgerEntry>,
    #[serde(default)]
    pub(in crate::audit) budgets_lost: Option<Timestamp>,
    #[serde(default)]
    pub(in crate::audit) grants: Vec<Grant>,
    #[serde(default)]
    pub(in crate::audit) pasts: Vec<PastPart>,
    #[serde(default)]
    pub(in crate::audit) questions: Vec<Stood>,
}

/// Something that a run did.
#[derive(Debug, Deserialize)]
pub(in crate::audit) struct PastPart {
    pub(in crate::audit) run: RunId,
    pub(in crate::audit) past: Past,
}

/// One caller whose credentials do not count.
#[derive(Debug, Deserialize)]
pub(in crate::audit) struct RevokedPart {
    #[serde(flatten)]
    pub(in crate::audit) who: Revoked,
    pub(in crate::audit) at: Timestamp,
    pub(in crate::audit) by: Actor,
}

/// One source that is closed.
#[derive(Debug, Deserialize)]
pub(in crate::audit) struct ClosedPart {
    pub(in crate::audit) source: SourceName,
    pub(in crate::audit) at: Timestamp,
    pub(in crate::audit) by: Actor,
}

/// One entry of a store: what one subject reads back, or every subject where it names none.
#[derive(Debug, Deserialize)]
pub(in crate::audit) struct StoredPart {
    pub(in crate::audit) upstream: UpstreamName,
    #[serde(default)]
    pub(in crate::audit) subject: Option<Subject>,
    pub(in crate::audit) sources: Provenance,
}
