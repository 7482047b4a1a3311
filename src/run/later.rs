//! What later credentials of a run bring: they may add to it, and change nothing that was settled.
//!
//! Must never let what a token says count before it is durable, nor let a token with less take anything
//! away: the run keeps what it has (I4, DESIGN §5, "Runs").

use std::sync::Arc;

use super::{Approach, Chronicle, Milestone, Run};
use crate::model::principal::{Holder, Origin, Principal};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::trigger::TriggerEntry;

impl Run {
    /// Takes a request of the run up: holds its credential to what was settled, and makes durable what it
    /// adds before it counts.
    pub(super) async fn take_up(
        &self,
        approach: &Approach<'_>,
        chronicle: &impl Chronicle,
    ) -> Result<(), Reason> {
        let (adds, entries) = self.join(approach)?;
        if adds.is_empty() && entries.is_empty() {
            return Ok(());
        }
        // The sources are in memory already. Should this fail, the next record of the run owes them.
        chronicle.record(Milestone::Joined { run: self.id(), adds, entries: &entries }).await?;
        self.note(&entries);
        Ok(())
    }

    /// Whether a bearer may use the run from `origin`. A run is pinned to where its first request came in;
    /// whoever proves to hold the key of a credential is not.
    pub(super) fn check_pin(&self, principal: &Principal, origin: &Origin) -> Result<(), Reason> {
        let is_pinned = principal.holder == Holder::Bearer && self.lock().claim.is_some();
        if is_pinned && self.origin.as_ref() != Some(origin) { Err(Reason::RunPinned) } else { Ok(()) }
    }

    fn join(&self, approach: &Approach<'_>) -> Result<(Provenance, Vec<TriggerEntry>), Reason> {
        let principal = approach.principal;
        self.check_pin(principal, approach.origin)?;
        let mut state = self.lock();
        let mut entries = Vec::new();
        if let Some(claim) = &mut state.claim {
            let added = claim.entries_added(self.subject(), principal);
            entries = added.map_err(|changed| {
                tracing::debug!(run = %self.id(), %changed, "a token does not belong to its run");
                Reason::RunChanged
            })?;
            claim.seen(principal.until);
        }
        let adds = state.provenance.join(&principal.sources);
        Ok((adds, entries))
    }

    fn note(&self, entries: &[TriggerEntry]) {
        let mut state = self.lock();
        if let Some(claim) = &mut state.claim {
            claim.join(entries);
            let trigger = Arc::new(claim.trigger.clone());
            state.trigger = trigger;
        }
    }
}
