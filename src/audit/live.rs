//! The live state: everything that a start must know of the history, and the one fold that makes it.
//!
//! The writer folds each record after it is written and writes the result at the head of every segment;
//! recovery folds the records that it reads. Both call [`Live::apply`], so that recovery is no second
//! truth. Must never lose a source (invariant I4): runs grow, and a full table widens.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Seq;
use crate::model::call::Stores;
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, Subject, UpstreamName};
use crate::model::provenance::Provenance;
use crate::model::run::RunHistory;
use crate::model::stored::Stored;

/// What the journal knows of the present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// The runs that have not ended, by id.
    pub runs: HashMap<RunId, LiveRun>,
    /// What is stored at upstreams.
    pub stored: BTreeMap<UpstreamName, Stored>,
    /// The calls whose outcome is not recorded.
    pub open: BTreeMap<Seq, OpenCall>,
}

/// A run that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveRun {
    /// Its id.
    pub run: RunId,
    /// What vouched for its label.
    pub entry_point: EntryPointName,
    /// On whose behalf it acts.
    pub subject: Subject,
    /// SHA-256 of the session that it is bound to, where a run is a session. Sessions do not survive a
    /// restart, so the digest is all that is needed, and no secret is written (invariant I10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
    /// Everything that has influenced it.
    pub provenance: Provenance,
    /// When it started.
    pub started: Timestamp,
    /// When it was last used.
    pub used: Timestamp,
    /// Whether all of its history is there.
    pub history: RunHistory,
}

/// A call whose outcome is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenCall {
    /// The record of its intent.
    pub intent: Seq,
    /// When that was recorded.
    pub at: Timestamp,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// What vouched for the caller.
    pub entry_point: EntryPointName,
    /// On whose behalf it was made.
    pub subject: Subject,
    /// The tool, as a permission names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Arc<str>>,
}

/// What one record does to the live state.
#[derive(Debug)]
pub(super) enum Change<'a> {
    /// Nothing.
    None,
    /// A part of the live state as the head of a segment holds it.
    Restore(&'a StatePart),
    RunStarted(LiveRun),
    RunEnded(&'a RunId),
    /// A run was used under `provenance`, and `adds` joined it.
    Used {
        run: &'a RunId,
        provenance: Option<&'a Provenance>,
        adds: &'a Provenance,
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
pub(super) struct Intended<'a> {
    pub(super) run: Option<&'a RunId>,
    pub(super) entry_point: &'a EntryPointName,
    pub(super) subject: &'a Subject,
    pub(super) provenance: &'a Provenance,
    pub(super) adds: &'a Provenance,
    pub(super) upstream: Option<&'a UpstreamName>,
    pub(super) tool: Option<Arc<str>>,
    pub(super) stores: Stores,
}

/// The body of a `state` line.
#[derive(Debug, Default, Deserialize)]
pub(super) struct StatePart {
    #[serde(default)]
    pub(super) runs: Vec<LiveRun>,
    #[serde(default)]
    pub(super) stored: Vec<StoredPart>,
    #[serde(default)]
    pub(super) open: Vec<OpenCall>,
}

/// One entry of a store: what one subject reads back, or every subject where it names none.
#[derive(Debug, Deserialize)]
pub(super) struct StoredPart {
    pub(super) upstream: UpstreamName,
    #[serde(default)]
    pub(super) subject: Option<Subject>,
    pub(super) sources: Provenance,
}

impl Live {
    /// The one fold: what the record `seq`, made `at` this time, changes.
    pub(super) fn apply(&mut self, seq: Seq, at: Timestamp, change: Change<'_>) {
        match change {
            Change::None => {}
            Change::Restore(part) => self.restore(part),
            Change::RunStarted(run) => self.start_run(run),
            Change::RunEnded(run) => {
                self.runs.remove(run);
            }
            Change::Used { run, provenance, adds } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.used = run.used.max(at);
                    run.provenance.join(adds);
                    provenance.map(|provenance| run.provenance.join(provenance));
                }
            }
            Change::Intended(call) => self.intend(seq, at, call),
            Change::Ended(intent) => {
                self.open.remove(&intent);
            }
            Change::StoredCleared { upstream, subject } => self.clear_stored(upstream, subject),
            Change::HistoryLost => {
                self.runs.values_mut().for_each(|run| run.history = RunHistory::Lost);
            }
        }
    }

    /// A caller has one run at a time, so a run of the same key that has not ended is one whose start was
    /// recorded and refused to the gateway. It was never used; should it have been, nothing of it is lost.
    fn start_run(&mut self, mut run: LiveRun) {
        let stale = self.runs.values().find(|other| {
            other.entry_point == run.entry_point
                && other.subject == run.subject
                && other.session == run.session
        });
        if let Some(stale) = stale.map(|stale| stale.run.clone()).and_then(|id| self.runs.remove(&id)) {
            run.provenance.join(&stale.provenance);
            if stale.history == RunHistory::Lost {
                run.history = RunHistory::Lost;
            }
        }
        self.runs.insert(run.run.clone(), run);
    }

    /// What the record of a call has to add to its run: what the call itself added, and what the run has
    /// and the journal does not know. A source counts in memory from the critical section on even if its
    /// record was refused (DESIGN §8), so the next record that is taken has to bring it.
    pub(super) fn owed<'f>(
        &self,
        run: Option<&RunId>,
        provenance: &Provenance,
        adds: &'f Provenance,
    ) -> Cow<'f, Provenance> {
        let Some(run) = run.and_then(|run| self.runs.get(run)) else { return Cow::Borrowed(adds) };
        let missing = provenance.missing_from(&run.provenance);
        if missing.missing_from(adds).is_empty() {
            return Cow::Borrowed(adds);
        }
        let mut owed = adds.clone();
        owed.join(&missing);
        Cow::Owned(owed)
    }

    fn intend(&mut self, seq: Seq, at: Timestamp, call: Intended<'_>) {
        let mut written = call.provenance.clone();
        written.join(call.adds);
        if let Some(id) = call.run {
            // A call names its run and its caller, so a run whose start cannot be read is still found,
            // and is closed: what else it read is not known.
            let run = self.runs.entry(id.clone()).or_insert_with(|| LiveRun {
                run: id.clone(),
                entry_point: call.entry_point.clone(),
                subject: call.subject.clone(),
                session: None,
                provenance: call.provenance.clone(),
                started: at,
                used: at,
                history: RunHistory::Lost,
            });
            run.used = run.used.max(at);
            run.provenance.join(&written);
            // A record may cut its list of sources; the run has them all.
            written.join(&run.provenance);
        }
        if let Some(upstream) = call.upstream.filter(|_| call.stores != Stores::Nothing) {
            let stored = self.stored.entry(upstream.clone()).or_default();
            stored.write(call.subject, call.stores, &written);
        }
        let open = OpenCall {
            intent: seq,
            at,
            run: call.run.cloned(),
            entry_point: call.entry_point.clone(),
            subject: call.subject.clone(),
            tool: call.tool,
        };
        self.open.insert(seq, open);
    }

    fn restore(&mut self, part: &StatePart) {
        self.runs.extend(part.runs.iter().map(|run| (run.run.clone(), run.clone())));
        self.open.extend(part.open.iter().map(|call| (call.intent, call.clone())));
        for entry in &part.stored {
            let stored = self.stored.entry(entry.upstream.clone()).or_default();
            let own = match &entry.subject {
                Some(subject) => stored.subjects.entry(subject.clone()).or_default(),
                None => &mut stored.all,
            };
            own.join(&entry.sources);
        }
    }

    fn clear_stored(&mut self, upstream: &UpstreamName, subject: Option<&Subject>) {
        match (subject, self.stored.get_mut(upstream)) {
            (Some(subject), Some(stored)) => {
                stored.subjects.remove(subject);
            }
            (None, Some(_)) => {
                self.stored.remove(upstream);
            }
            (_, None) => {}
        }
    }
}
