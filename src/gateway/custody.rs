//! What people revoke and close, and what that does to those who are connected.
//!
//! Must never act before it is on the record, nor leave a stream open to whom it shuts out.

use super::Gateway;
use super::administration::unavailable;
use super::chronicle::JournalOfRuns;
use std::time::Duration;

use crate::audit::{Event, RotateError};
use crate::console::{
    AdministrationError, Custody, Erasure, Revocation, RevocationEntry, RotatedAuditKey, SourceEntry,
};
use crate::keep::ErasedKey;
use crate::model::barrier::{BarrierChange, Revoked, Since};
use crate::model::claim::ClaimName;
use crate::model::facts::RunId;
use crate::model::name::{SourceName, Subject};
use crate::model::principal::RunScope;
use crate::model::run::{Actor, RunEnding};
use crate::model::text::with_causes;
use crate::run::BarrierError;

/// About the most bytes that are told of why a key could not be destroyed.
const CAUSES_BYTES_MAX: usize = 512;

impl Custody for Gateway {
    async fn revoke_run(&self, by: Actor, run: &RunId) -> Result<(), AdministrationError> {
        let open = self.runs.report().await.into_iter().find(|report| report.run == *run);
        let report = open.ok_or_else(|| {
            AdministrationError::Missing(format!(
                "there is no open run {run}; tokens of one that has ended are refused already"
            ))
        })?;
        if report.claim.is_none() {
            let (subject, entry_point) = (report.subject, report.key.entry_point);
            return Err(AdministrationError::Impossible(format!(
                "no token claims run {run}, so its caller would start another. Revoke its subject \
                 (--subject {subject}) or its entry point (--entry-point {entry_point}), or end the run"
            )));
        }
        let chronicle = JournalOfRuns(&self.journal);
        let ended = self.runs.end(run, RunEnding::Revoked, self.since(by), &chronicle).await;
        if ended.map_err(unavailable)?.is_none() {
            return Err(AdministrationError::Missing(format!("run {run} has ended meanwhile")));
        }
        let (entry_point, txn) = (report.key.entry_point, report.claim.map(|claim| claim.txn));
        self.hang_up(|principal| principal.entry_point == entry_point && principal.claimed() == txn.as_ref());
        Ok(())
    }

    async fn end_claim(&self, by: Actor, name: &ClaimName) -> Result<(), AdministrationError> {
        let rule = self.worlds.now().in_force.entry_points.rule_of(&name.entry_point);
        let rule = rule.filter(|rule| rule.scope == RunScope::Claim).ok_or_else(|| {
            AdministrationError::Missing(format!(
                "there is no entry point `{}` whose tokens claim runs",
                name.entry_point
            ))
        })?;
        let chronicle = JournalOfRuns(&self.journal);
        self.runs.end_claim(name, rule, self.since(by), &chronicle).await.map_err(unavailable)
    }

    async fn revoke(&self, by: Actor, who: &Revoked) -> Result<Revocation, AdministrationError> {
        let (since, chronicle) = (self.since(by), JournalOfRuns(&self.journal));
        match self.runs.change(&BarrierChange::Revoke(who.clone()), since, &chronicle).await {
            // What could not be ended the first time is ended now.
            Ok(()) | Err(BarrierError::Already) => {}
            Err(error) => return Err(refused(error, "")),
        }
        self.hang_up(|principal| match who {
            Revoked::Subject(subject) => principal.subject == *subject,
            Revoked::EntryPoint(name) => principal.revocable_by().any(|voucher| voucher == name),
        });
        let ended = self.runs.end_revoked(who, since, &chronicle).await;
        Ok(Revocation { runs_ended: u64::try_from(ended).unwrap_or(u64::MAX) })
    }

    async fn lift(&self, by: Actor, who: &Revoked) -> Result<(), AdministrationError> {
        let change = BarrierChange::Lift(who.clone());
        let changed = self.runs.change(&change, self.since(by), &JournalOfRuns(&self.journal)).await;
        changed.map_err(|error| refused(error, &format!("{who} is not revoked")))
    }

    async fn revocations(&self) -> Vec<RevocationEntry> {
        let revoked = self.runs.barriers().revoked.into_iter();
        revoked.map(|(who, since)| RevocationEntry { who, since }).collect()
    }

    async fn close_source(&self, by: Actor, source: &SourceName) -> Result<(), AdministrationError> {
        if !self.worlds.now().policy.sources().any(|known| known == source) {
            return Err(AdministrationError::Missing(format!("no source `{source}` is configured")));
        }
        let change = BarrierChange::Close(source.clone());
        let changed = self.runs.change(&change, self.since(by), &JournalOfRuns(&self.journal)).await;
        match changed {
            Ok(()) | Err(BarrierError::Already) => Ok(()),
            Err(error) => Err(refused(error, "")),
        }
    }

    async fn open_source(&self, by: Actor, source: &SourceName) -> Result<(), AdministrationError> {
        let change = BarrierChange::Open(source.clone());
        let changed = self.runs.change(&change, self.since(by), &JournalOfRuns(&self.journal)).await;
        changed.map_err(|error| refused(error, &format!("the source `{source}` is not closed")))
    }

    async fn erase(&self, by: Actor, subject: &Subject) -> Result<Erasure, AdministrationError> {
        // On the record first: what is destroyed is not there to be told of any more.
        self.journal.record(Event::Erasure { subject: subject.clone(), by }).await.map_err(unavailable)?;
        match self.keeper.erase(subject).await {
            Ok(erased) => Ok(Erasure { was_kept: erased == ErasedKey::Destroyed }),
            Err(error) => Err(AdministrationError::Impossible(format!(
                "{}: try again",
                with_causes(&error, CAUSES_BYTES_MAX)
            ))),
        }
    }

    async fn rotate_audit_key(
        &self,
        by: Actor,
        overlap: Duration,
    ) -> Result<RotatedAuditKey, AdministrationError> {
        match self.journal.rotate_key(by, overlap).await {
            Ok(key) => Ok(RotatedAuditKey { key: key.to_string() }),
            Err(RotateError::Journal(reason)) => Err(unavailable(reason)),
            Err(error) => Err(AdministrationError::Impossible(with_causes(&error, CAUSES_BYTES_MAX))),
        }
    }

    async fn sources(&self) -> Vec<SourceEntry> {
        let (mut closed, world) = (self.runs.barriers().closed, self.worlds.now());
        let known: Vec<_> = world.policy.sources().cloned().collect();
        let mut entries: Vec<_> =
            known.into_iter().map(|source| SourceEntry { closed: closed.remove(&source), source }).collect();
        entries.extend(closed.into_iter().map(|(source, since)| SourceEntry { source, closed: Some(since) }));
        entries
    }
}

impl Gateway {
    /// Now, by this person.
    pub(super) fn since(&self, by: Actor) -> Since {
        Since { at: self.clock.wall(), by }
    }
}

fn refused(error: BarrierError, already: &str) -> AdministrationError {
    match error {
        BarrierError::Already => AdministrationError::Missing(already.to_owned()),
        BarrierError::Full(max) => AdministrationError::Impossible(format!(
            "{max} are closed already, which is as many as there may be; open or lift some first"
        )),
        BarrierError::Refused(reason) => unavailable(reason),
    }
}
