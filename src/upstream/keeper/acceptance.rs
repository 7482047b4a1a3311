//! What people are shown of the pins, and what they accept.
//!
//! Must never accept anything but what was shown, nor a part of what was accepted together.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Keeper, is_entry};
use crate::model::digest::Sha256;
use crate::model::name::UpstreamName;
use crate::model::pin::{Findings, PinId, Pinned};
use crate::upstream::browse::Audience;
use crate::upstream::lock::{Definition, LockError};
use crate::upstream::notice::Notice;
use crate::wire::{ListKind, Revision};

/// One definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedDefinition {
    /// Its digest.
    pub digest: Sha256,
    /// As its upstream wrote it.
    pub raw: Bytes,
    /// The revision in which it was offered, where that is known.
    pub revision: Option<Revision>,
}

/// How a pin stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinState {
    /// Offered, and never accepted: neither listed nor called.
    New,
    /// Another definition is offered than the accepted one: calls are refused.
    Changed,
    /// Accepted and no longer offered.
    Gone,
    /// Accepted as it is.
    Accepted,
}

/// A pin that a person may want to look at: it is not as it was accepted, or looks suspicious.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinReport {
    /// Which one.
    pub id: PinId,
    /// How it stands.
    pub state: PinState,
    /// What is accepted.
    pub accepted: Option<PinnedDefinition>,
    /// What is offered, where it is not what is accepted.
    pub offered: Option<PinnedDefinition>,
    /// What looks suspicious in the offered definition, or in the accepted one where that is the only one.
    pub findings: Findings,
}

/// What a person accepts: exactly what they were shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// Which pin.
    pub id: PinId,
    /// The digest of the offered definition they saw; none to forget one that is no longer offered.
    pub offered: Option<Sha256>,
}

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// What is offered now is not what was shown.
    #[error("`{0}` is no longer offered as it was shown; look at `pins` again")]
    Stale(Box<PinId>),
    /// The lock file could not be written.
    #[error("the accepted definitions could not be stored")]
    Lock(#[from] LockError),
}

impl PinnedDefinition {
    fn of(definition: &Definition) -> Self {
        let Definition { digest, raw, revision } = definition.clone();
        Self { digest, raw, revision }
    }
}

impl Keeper {
    /// Every pin that is not as it was accepted, or in which something looks suspicious.
    pub(in crate::upstream) async fn pins(&self) -> Vec<PinReport> {
        let mut state = self.state.lock().await;
        let state = &mut *state;
        let mut reports = Vec::new();
        let upstreams: BTreeSet<&UpstreamName> = state.accepted.keys().chain(state.offered.keys()).collect();
        let none = BTreeMap::new();
        for upstream in upstreams {
            let accepted = state.accepted.get(upstream).unwrap_or(&none);
            let offered = state.offered.get(upstream).map(|offer| &offer.pinned);
            let new = offered.into_iter().flat_map(BTreeMap::keys);
            let all: BTreeSet<&Pinned> = accepted.keys().chain(new).collect();
            for pinned in all {
                let (old, now) = (accepted.get(pinned), offered.and_then(|offered| offered.get(pinned)));
                let state_now = match (old, now) {
                    (None, _) => PinState::New,
                    (Some(old), Some(now)) if old.digest != now.digest => PinState::Changed,
                    (Some(_), None) if offered.is_some() && !is_entry(pinned) => PinState::Gone,
                    (Some(_), _) => PinState::Accepted,
                };
                let now = now.filter(|_| matches!(state_now, PinState::New | PinState::Changed));
                let findings = now.or(old).map(|definition| state.sights.of(definition)).unwrap_or_default();
                if state_now == PinState::Accepted && findings.is_empty() {
                    continue;
                }
                reports.push(PinReport {
                    id: PinId { upstream: upstream.clone(), pinned: pinned.clone() },
                    state: state_now,
                    accepted: old.map(PinnedDefinition::of),
                    offered: now.map(PinnedDefinition::of),
                    findings,
                });
            }
        }
        reports
    }

    /// Accepts what a person accepted: all of it, or nothing where one of it is no longer as shown.
    pub(in crate::upstream) async fn accept(&self, acceptances: &[Acceptance]) -> Result<(), AcceptError> {
        let mut state = self.state.lock().await;
        let mut accepted = state.accepted.clone();
        let mut announced = BTreeSet::new();
        for Acceptance { id, offered: shown } in acceptances {
            let stale = || AcceptError::Stale(Box::new(id.clone()));
            let offered = state.offered.get(&id.upstream).ok_or_else(stale)?;
            let pins = accepted.entry(id.upstream.clone()).or_default();
            match (offered.pinned.get(&id.pinned), pins.contains_key(&id.pinned)) {
                (Some(now), _) if Some(now.digest) == *shown => {
                    pins.insert(id.pinned.clone(), now.clone());
                }
                (None, true) if shown.is_none() && !is_entry(&id.pinned) => {
                    pins.remove(&id.pinned);
                }
                _ => return Err(stale()),
            }
            let kind = match &id.pinned {
                Pinned::Prompt(_) => Some(ListKind::Prompts),
                Pinned::Template(_) => Some(ListKind::Resources),
                Pinned::Tool(_) | Pinned::Instructions => None,
            };
            announced.extend(kind.map(|kind| (id.upstream.clone(), kind)));
        }
        state.accepted = self.store(accepted).await?;
        self.publish(&mut state);
        for (upstream, kind) in announced {
            self.notices.tell(Notice::EntriesChanged { upstream, audience: Audience::All, kind });
        }
        Ok(())
    }
}
