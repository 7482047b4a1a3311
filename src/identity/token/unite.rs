//! Two tokens of one request: what both vouch for together.
//!
//! Must never give more than the narrower of the two: sources unite, roles and agents intersect, the
//! earlier end counts (DESIGN §5). Two that do not belong together are refused, never chosen between.

use std::sync::Arc;

use super::Verified;
use crate::model::principal::{Holder, Principal};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::trigger::ENTRIES_MAX;

/// The caller that presents `access` in `Authorization` and `run` as `Txn-Token`. The run, its goal and
/// the entry point that is answerable for it are those of `run`.
pub(in crate::identity) fn unite(access: &Verified, run: &Verified) -> Result<Arc<Principal>, Reason> {
    let (narrowing, base) = (&access.principal, &run.principal);
    if narrowing.subject != base.subject {
        return Err(Reason::TokensDisagree);
    }
    let mut trigger = base.trigger.clone();
    for entry in &narrowing.trigger.entries {
        if !trigger.entries.iter().any(|known| known.is_same(entry)) {
            trigger.entries.push(entry.clone());
        }
    }
    // Two descriptions of one request that say different things of it are not of one request.
    let goals_differ = narrowing.trigger.goal.is_some() && narrowing.trigger.goal != trigger.goal;
    // Chains are compared whole: a common part of two different chains is a chain that nobody vouched for.
    // Where only one token names agents, none is vouched for by both.
    let name_agents = !narrowing.agents.is_empty() && !base.agents.is_empty();
    let chains_differ = name_agents && narrowing.agents != base.agents;
    if goals_differ || chains_differ {
        return Err(Reason::TokensDisagree);
    }
    if trigger.entries.len() > ENTRIES_MAX {
        return Err(Reason::TokenClaimsInvalid);
    }
    let sources = base.sources.iter().chain(narrowing.sources.iter()).cloned();
    Ok(Arc::new(Principal {
        entry_point: base.entry_point.clone(),
        beside: Some(narrowing.entry_point.clone()),
        asked_by: base.asked_by.iter().chain(&narrowing.asked_by).cloned().collect(),
        subject: base.subject.clone(),
        roles: base.roles.intersection(&narrowing.roles).cloned().collect(),
        agents: if name_agents { base.agents.clone() } else { Vec::new() },
        sources: Provenance::of(sources),
        trigger,
        txn: base.txn.clone(),
        // What pins the run is its own token: a key that holds the other one holds nothing of the run.
        holder: Holder::clone(&base.holder),
        until: base.until.min(narrowing.until).or(base.until).or(narrowing.until),
        runs: base.runs,
    }))
}
