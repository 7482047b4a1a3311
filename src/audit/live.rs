//! The live state: everything that a start must know of the history, and the one fold that makes it.
//!
//! The writer folds each record after it is written and writes the result at the head of every segment;
//! recovery folds the records that it reads. Both call [`Live::apply`], so that recovery is no second
//! truth. Must never lose a source (invariant I4): runs grow, and a full table widens.

mod change;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Seq;
use crate::model::approval::{ApprovalChange, Asked, QuestionId, Stood};
use crate::model::barrier::{BarrierChange, Revoked, Since};
use crate::model::budget::{COUNTS_MAX, Charge, Ledger};
use crate::model::call::Stores;
use crate::model::claim::{Claim, Tombstone};
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, SourceName, Subject, Txn, UpstreamName};
use crate::model::person::Person;
use crate::model::principal::Origin;
use crate::model::provenance::Provenance;
use crate::model::run::RunHistory;
use crate::model::stored::Stored;
use crate::plan::{Grant, Held};

pub(super) use change::{Change, ClosedPart, Intended, PastPart, RevokedPart, StatePart, StoredPart};

/// Tombstones beyond which those of dead tokens are looked for. The run table holds fewer live ones.
const TOMBSTONES_KEPT_MAX: usize = 200_000;

/// What the journal knows of the present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// The runs that have not ended, by id.
    pub runs: HashMap<RunId, LiveRun>,
    /// What is stored at upstreams.
    pub stored: BTreeMap<UpstreamName, Stored>,
    /// The calls whose outcome is not recorded.
    pub open: BTreeMap<Seq, OpenCall>,
    /// The claimed runs that have ended, for as long as one of their tokens may be valid.
    pub tombstones: BTreeMap<(EntryPointName, Txn), Tombstone>,
    /// Callers whose credentials do not count.
    pub revoked: BTreeMap<Revoked, Since>,
    /// Sources that nothing may come from.
    pub closed: BTreeMap<SourceName, Since>,
    /// What budgets have counted.
    pub budgets: Ledger,
    /// Questions to people that are not over, and how they stand.
    pub questions: BTreeMap<QuestionId, Stood>,
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
    /// What its tokens settled, where they claim it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Where its first request came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Everything that has influenced it.
    pub provenance: Provenance,
    /// When it started.
    pub started: Timestamp,
    /// When it was last used.
    pub used: Timestamp,
    /// Whether all of its history is there.
    pub history: RunHistory,
    /// What was granted to it, and what it did. Lines of their own hold these.
    #[serde(skip)]
    pub plans: Held,
}

impl LiveRun {
    fn seen(&mut self, until: Option<Timestamp>) {
        if let Some(claim) = &mut self.claim {
            claim.seen(until);
        }
    }
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

impl Live {
    /// The one fold: what the record `seq`, made `at` this time, changes.
    pub(super) fn apply(&mut self, seq: Seq, at: Timestamp, change: Change<'_>) {
        match change {
            Change::None => {}
            Change::Restore(part) => self.restore(part),
            Change::RunStarted(run) => self.start_run(run),
            Change::RunEnded { run, why, until, unstarted } => {
                if let Some((entry_point, txn)) = self.claim_of(run, unstarted) {
                    // The record of a claimed run's end always says it; without it nothing is known, and it
                    // stays.
                    let until = until.unwrap_or(Timestamp::MAX);
                    let run = run.clone();
                    self.bury_at(at, Tombstone { entry_point, txn, run, why, until });
                }
            }
            Change::Used { run: id, provenance, adds, until, grant } => {
                if let Some(run) = self.runs.get_mut(id) {
                    run.used = run.used.max(at);
                    run.provenance.join(adds);
                    provenance.map(|provenance| run.provenance.join(provenance));
                    run.seen(until);
                }
                self.grant(id, grant);
            }
            Change::StepAnswered { run, grant, step, word } => {
                self.plans(run, |plans| _ = plans.answer(grant, step, word));
            }
            Change::StepAgreed { run, grant, step, by } => {
                self.plans(run, |plans| _ = plans.agree(grant, step, by.clone()));
            }
            Change::Question { change, asked, by, grant } => {
                self.change_question(at, change, asked, by);
                self.grant(&asked.exact.run, grant);
            }
            Change::StepDone { run, concluded } => {
                self.plans(run, |plans| plans.restore_conclusion(concluded));
            }
            Change::Joined { run, adds, entries } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.used = run.used.max(at);
                    run.provenance.join(adds);
                    if let Some(claim) = &mut run.claim {
                        claim.join(entries);
                    }
                }
            }
            Change::Late { entry_point, txn, until } => {
                let stone = self.tombstones.get_mut(&(entry_point.clone(), txn.clone()));
                // One that has had its time is forgotten in the run table: nothing wakes it up here.
                if let Some(stone) = stone.filter(|stone| at < stone.until) {
                    stone.outlive(until);
                }
            }
            Change::Barrier { change, by } => self.change_barrier(&change, Since { at, by }),
            Change::Intended(call) => self.intend(seq, at, call),
            Change::Ended(intent) => {
                self.open.remove(&intent);
            }
            Change::StoredCleared { upstream, subject } => self.clear_stored(upstream, subject),
            Change::HistoryLost => {
                self.runs.values_mut().for_each(|run| run.history = RunHistory::Lost);
                // What the lost records counted is not known: whatever had begun to be counted is spent.
                self.budgets.lost_at = self.budgets.lost_at.max(Some(at));
            }
        }
    }

    fn grant(&mut self, run: &RunId, grant: Option<&Grant>) {
        if let Some(grant) = grant {
            self.plans(run, |plans| plans.add(grant.clone()));
        }
    }

    /// Changes what the run holds of plans, where it is known.
    fn plans(&mut self, run: &RunId, change: impl FnOnce(&mut Held)) {
        if let Some(run) = self.runs.get_mut(run) {
            change(&mut run.plans);
        }
    }

    fn change_question(&mut self, at: Timestamp, change: ApprovalChange, asked: &Asked, by: Option<&Person>) {
        self.questions.retain(|_, it| at < it.asked.until);
        let known = self.questions.remove(&asked.id);
        let Some(standing) = change.standing() else { return };
        let mut agreed = known.map(|known| known.agreed).unwrap_or_default();
        agreed.extend(by.filter(|_| change == ApprovalChange::Agreed).cloned());
        self.questions.insert(asked.id.clone(), Stood { asked: asked.clone(), standing, agreed });
    }

    /// The part of the fold that has to do with budgets: what a record made `at` this time counts.
    pub(super) fn charge(&mut self, at: Timestamp, charges: &[Charge]) {
        self.budgets.charge(charges, at);
        // The gateway never counts more at once: what is more here is over.
        if self.budgets.counts.len() > 2 * COUNTS_MAX {
            self.budgets.forget_past(at);
        }
    }

    /// A caller has one run at a time, so a run of the same key that has not ended is one whose start was
    /// recorded and refused to the gateway. It was never used; should it have been, nothing of it is lost.
    fn start_run(&mut self, mut run: LiveRun) {
        if let Some(claim) = &run.claim {
            // The run table starts none of which a token may be alive: this stone has had its time.
            self.tombstones.remove(&(run.entry_point.clone(), claim.txn.clone()));
        }
        let stale = self.runs.values().find(|other| {
            other.entry_point == run.entry_point
                && match (&other.claim, &run.claim) {
                    (Some(other), Some(claim)) => other.txn == claim.txn,
                    (None, None) => other.subject == run.subject && other.session == run.session,
                    (Some(_), None) | (None, Some(_)) => false,
                }
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

    /// Takes the run out that ended, and gives what its tokens claim, if any do. One that never started is
    /// not there, or is one whose start was recorded and refused to the gateway.
    fn claim_of(
        &mut self,
        run: &RunId,
        unstarted: Option<(&EntryPointName, &Txn)>,
    ) -> Option<(EntryPointName, Txn)> {
        if let Some((entry_point, txn)) = unstarted {
            let is_claimed = |other: &LiveRun| other.claim.as_ref().is_some_and(|claim| claim.txn == *txn);
            self.runs.retain(|_, other| other.entry_point != *entry_point || !is_claimed(other));
            return Some((entry_point.clone(), txn.clone()));
        }
        let ended = self.runs.remove(run)?;
        ended.claim.map(|claim| (ended.entry_point, claim.txn))
    }

    /// A claimed run leaves a tombstone. Those whose tokens are dead make room for it.
    fn bury_at(&mut self, at: Timestamp, stone: Tombstone) {
        if self.tombstones.len() >= TOMBSTONES_KEPT_MAX {
            self.forget_dead(at);
        }
        self.bury(stone);
    }

    fn bury(&mut self, stone: Tombstone) {
        self.tombstones.insert((stone.entry_point.clone(), stone.txn.clone()), stone);
    }

    /// Forgets ended runs of which no token may be valid at `now`, and what budgets counted in windows that are
    /// over.
    pub(super) fn forget_dead(&mut self, now: Timestamp) {
        self.tombstones.retain(|_, stone| now < stone.until);
        self.budgets.forget_past(now);
    }

    fn change_barrier(&mut self, change: &BarrierChange, since: Since) {
        match change {
            BarrierChange::Revoke(who) => _ = self.revoked.entry(who.clone()).or_insert(since),
            BarrierChange::Lift(who) => _ = self.revoked.remove(who),
            BarrierChange::Close(source) => _ = self.closed.entry(source.clone()).or_insert(since),
            BarrierChange::Open(source) => _ = self.closed.remove(source),
        }
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
                claim: call.txn.map(Claim::lost),
                origin: None,
                provenance: call.provenance.clone(),
                started: at,
                used: at,
                history: RunHistory::Lost,
                plans: Held::default(),
            });
            if let Some(approval) = call.approval {
                self.questions.remove(approval);
            }
            for used in call.step.into_iter().chain(call.like) {
                run.plans.restore_use(used);
            }
            if let Some(past) = call.past {
                run.plans.restore_past(past.clone());
            }
            run.used = run.used.max(at);
            run.provenance.join(&written);
            run.seen(call.until);
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
        self.questions.extend(part.questions.iter().map(|it| (it.asked.id.clone(), it.clone())));
        for grant in &part.grants {
            if let Some(run) = self.runs.get_mut(&grant.terms().run) {
                run.plans.add(grant.clone());
            }
        }
        for PastPart { run, past } in &part.pasts {
            if let Some(run) = self.runs.get_mut(run) {
                run.plans.restore_past(past.clone());
            }
        }
        self.open.extend(part.open.iter().map(|call| (call.intent, call.clone())));
        part.tombstones.iter().for_each(|stone| self.bury(stone.clone()));
        self.budgets.counts.extend(part.budgets.iter().map(|entry| (entry.key, entry.clone())));
        self.budgets.lost_at = self.budgets.lost_at.max(part.budgets_lost);
        for RevokedPart { who, at, by } in &part.revoked {
            self.revoked.insert(who.clone(), Since { at: *at, by: *by });
        }
        for ClosedPart { source, at, by } in &part.closed {
            self.closed.insert(source.clone(), Since { at: *at, by: *by });
        }
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
