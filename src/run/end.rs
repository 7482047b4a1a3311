//! The ends of runs, and what people close: on the record first, then in the table.
//!
//! Must never lose a claimed run whose end is durable: its tombstone stands before its slot is free.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use jiff::Timestamp;

use super::table::{Held, Slot};
use super::{BarrierError, Chronicle, Milestone, Run, RunKey, RunReport, Runs, Unit};
use crate::chance;
use crate::model::barrier::{BarrierChange, Revoked, Since};
use crate::model::claim::{Claim, ClaimName, Tombstone};
use crate::model::facts::RunId;
use crate::model::principal::{Principal, RunRule};
use crate::model::reason::Reason;
use crate::model::run::{Actor, RunEnding, RunHistory};

/// Runs that are ended at once, so that the journal takes their records in groups.
const ENDS_AT_ONCE: usize = 64;

impl Runs {
    /// Ends the run with this id because a person said so. `None` where there is none.
    ///
    /// # Errors
    /// Why the end could not be made durable; the run then goes on.
    pub async fn end(
        &self,
        id: &RunId,
        why: RunEnding,
        by: Since,
        chronicle: &impl Chronicle,
    ) -> Result<Option<RunReport>, Reason> {
        for (key, slot) in self.snapshot() {
            let mut current = slot.current.lock().await;
            let Some(held) = current.as_ref().filter(|held| held.run.id() == id) else { continue };
            let report = held.run.report();
            Self::end_held(held, why, Some(by.by), by.at, chronicle).await?;
            *current = None;
            drop(current);
            self.forget(&key);
            return Ok(Some(report));
        }
        Ok(None)
    }

    /// Ends the run that tokens claim as `name`, because a person said so: from here on they are refused, also
    /// where none of them started it yet. `rule` says how long they may live. What has ended already stays
    /// as it is.
    ///
    /// # Errors
    /// [`Reason::RunsFull`], or why the end could not be made durable; nothing has changed then.
    pub async fn end_claim(
        &self,
        name: &ClaimName,
        rule: RunRule,
        by: Since,
        chronicle: &impl Chronicle,
    ) -> Result<(), Reason> {
        let unit = Unit::Claim(name.txn.clone());
        let key = RunKey { entry_point: name.entry_point.clone(), unit };
        let slot = self.slot(&key)?;
        // Whoever would start the run waits for the same lock, and finds the tombstone.
        let mut current = slot.current.lock().await;
        let ended = match current.as_ref() {
            Some(held) => Self::end_held(held, RunEnding::Person, Some(by.by), by.at, chronicle).await,
            None if self.tombstones.check(&key, None).is_err() => Ok(()),
            None => self.end_unstarted(name, rule, by, chronicle).await,
        };
        if ended.is_ok() {
            *current = None;
        }
        let is_empty = current.is_none();
        drop(current);
        if is_empty {
            self.forget(&key);
        }
        ended
    }

    async fn end_unstarted(
        &self,
        name: &ClaimName,
        rule: RunRule,
        by: Since,
        chronicle: &impl Chronicle,
    ) -> Result<(), Reason> {
        let (grave, why) = (self.tombstones.dig(by.at)?, RunEnding::Person);
        let run = RunId::of(chance::bytes().map_err(|_| Reason::Fault)?);
        let until = Claim::lost(&name.txn).tokens_until(rule, why, by.at);
        let (actor, unstarted) = (Some(by.by), Some(name));
        let ended = Milestone::Ended { run: &run, why, by: actor, until: Some(until), unstarted };
        chronicle.record(ended).await?;
        let ClaimName { entry_point, txn } = name.clone();
        grave.bury(Tombstone { entry_point, txn, run, why, until });
        Ok(())
    }

    /// Ends the run of a session that was closed.
    ///
    /// # Errors
    /// Why the end could not be made durable; the run then stays until it expires.
    pub async fn end_session(
        &self,
        principal: &Principal,
        session: &Arc<str>,
        now: Timestamp,
        chronicle: &impl Chronicle,
    ) -> Result<(), Reason> {
        let unit = Unit::Session(principal.subject.clone(), Arc::clone(session));
        let key = RunKey { entry_point: principal.entry_point.clone(), unit };
        let Some(slot) = self.find(&key) else { return Ok(()) };
        let mut current = slot.current.lock().await;
        if let Some(held) = current.as_ref() {
            Self::end_held(held, RunEnding::SessionClosed, None, now, chronicle).await?;
        }
        *current = None;
        drop(current);
        self.forget(&key);
        Ok(())
    }

    /// Ends every run of a session: called once at start, because no session survives a restart.
    ///
    /// # Errors
    /// Why an end could not be made durable.
    pub async fn end_lost_sessions(&self, now: Timestamp, chronicle: &impl Chronicle) -> Result<(), Reason> {
        for (key, slot) in self.snapshot() {
            let mut current = slot.current.lock().await;
            let Some(held) = current
                .as_ref()
                .filter(|held| key.session().is_some() && held.run.history() == RunHistory::Whole)
            else {
                continue;
            };
            Self::end_held(held, RunEnding::SessionLost, None, now, chronicle).await?;
            *current = None;
            drop(current);
            self.forget(&key);
        }
        Ok(())
    }

    /// Revokes, lifts, closes or opens something. What is revoked is refused from here on; its open runs are
    /// for [`Runs::end_revoked`].
    ///
    /// # Errors
    /// [`BarrierError`]; nothing has changed then.
    pub async fn change(
        &self,
        change: &BarrierChange,
        by: Since,
        chronicle: &impl Chronicle,
    ) -> Result<(), BarrierError> {
        self.shared.barriers.change(change, by, chronicle).await
    }

    /// Ends the open runs of somebody who is revoked, and gives how many. One whose end cannot be made
    /// durable stays until it expires; its caller is refused all the same.
    pub async fn end_revoked(&self, who: &Revoked, by: Since, chronicle: &impl Chronicle) -> usize {
        let mut ended = 0;
        // Whoever started a run before the revocation counted holds its slot until the run stands there.
        for slots in self.snapshot().chunks(ENDS_AT_ONCE) {
            let ends = slots.iter().map(|(key, slot)| Box::pin(self.end_of(key, slot, who, by, chronicle)));
            ended += count(ends.collect()).await;
        }
        ended
    }

    /// Ends the run in `slot` if it belongs to `who`; gives how many that are.
    async fn end_of(
        &self,
        key: &RunKey,
        slot: &Slot,
        who: &Revoked,
        by: Since,
        chronicle: &impl Chronicle,
    ) -> usize {
        let mut current = slot.current.lock().await;
        // A run whose history is lost refuses every call until a person ends that very run.
        let is_meant = |held: &&Held| held.run.is_of(who) && held.run.history() == RunHistory::Whole;
        let Some(held) = current.as_ref().filter(is_meant) else { return 0 };
        let ended = Self::end_held(held, RunEnding::Revoked, Some(by.by), by.at, chronicle).await;
        if let Err(reason) = ended {
            tracing::warn!(run = %held.run.id(), %reason, "the end of a revoked run could not be recorded");
            return 0;
        }
        *current = None;
        drop(current);
        self.forget(key);
        1
    }

    pub(super) async fn end_held(
        held: &Held,
        why: RunEnding,
        by: Option<Actor>,
        now: Timestamp,
        chronicle: &impl Chronicle,
    ) -> Result<(), Reason> {
        let run = &held.run;
        let claim = run.lock().claim.clone();
        let until = claim.as_ref().map(|claim| claim.tokens_until(held.rule, why, now));
        let closing = run.close();
        let ended = Milestone::Ended { run: run.id(), why, by, until, unstarted: None };
        let recorded = chronicle.record(ended).await;
        if let Err(reason) = recorded {
            run.reopen(&closing);
            return Err(reason);
        }
        if let (Some(claim), Some(grave), Some(until)) = (claim, &held.grave, until) {
            let entry_point = run.key().entry_point.clone();
            grave.bury(Tombstone { entry_point, txn: claim.txn, run: run.id().clone(), why, until });
        }
        Ok(())
    }
}

impl Run {
    pub(super) fn report(&self) -> RunReport {
        // Before the rest: each of these takes the lock for itself.
        let claim = self.lock().claim.clone();
        RunReport {
            run: self.id().clone(),
            key: self.key().clone(),
            subject: self.subject().clone(),
            claim,
            origin: self.origin.clone(),
            provenance: self.provenance(),
            started: self.started(),
            used: self.used(),
            history: self.history(),
        }
    }
}

/// Waits for all of `ends` together and adds up what they give.
async fn count<F: Future<Output = usize>>(mut ends: Vec<Pin<Box<F>>>) -> usize {
    let mut count = 0;
    poll_fn(|context| {
        ends.retain_mut(|end| match end.as_mut().poll(context) {
            Poll::Ready(ended) => {
                count += ended;
                false
            }
            Poll::Pending => true,
        });
        if ends.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    count
}
