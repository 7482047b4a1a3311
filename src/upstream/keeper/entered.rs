//! The pins of what instances list for themselves, prompts and templates, as one snapshot.
//!
//! Must never hand on an entry whose definition was never accepted; one that changed is handed on as it was
//! accepted, and says so (DESIGN §4.6).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::{Keeper, Offer, is_entry};
use crate::model::call::Pin;
use crate::model::digest::Sha256;
use crate::model::name::UpstreamName;
use crate::model::pin::Pinned;
use crate::upstream::entries::{Entry, Kept};
use crate::upstream::lock::{Accepted, Definition};
use crate::upstream::settings::Settings;
use crate::upstream::{Entries, Revision};

/// What is accepted and offered of every upstream, as far as its instances list it for themselves.
#[derive(Debug, Default)]
pub(super) struct Entered(HashMap<UpstreamName, BTreeMap<Pinned, Standing>>);

/// How one entry stands.
#[derive(Debug, Default)]
struct Standing {
    accepted: Option<(Sha256, Bytes)>,
    offered: Option<Sha256>,
}

impl Entered {
    pub(super) fn of(accepted: &Accepted, offered: &HashMap<UpstreamName, Offer>) -> Self {
        let mut all: HashMap<UpstreamName, BTreeMap<Pinned, Standing>> = HashMap::new();
        for (upstream, pins) in accepted {
            for (pinned, definition) in pins.iter().filter(|(pinned, _)| is_entry(pinned)) {
                let accepted = Some((definition.digest, definition.raw.clone()));
                let standing = Standing { accepted, offered: None };
                all.entry(upstream.clone()).or_default().insert(pinned.clone(), standing);
            }
        }
        for (upstream, offer) in offered {
            for (pinned, definition) in offer.pinned.iter().filter(|(pinned, _)| is_entry(pinned)) {
                let standing = all.entry(upstream.clone()).or_default().entry(pinned.clone()).or_default();
                standing.offered = Some(definition.digest);
            }
        }
        Self(all)
    }

    fn standing(&self, upstream: &UpstreamName, pinned: &Pinned) -> Option<&Standing> {
        self.0.get(upstream)?.get(pinned)
    }

    /// Whether all of `entries` were taken in as they are.
    fn knows(&self, upstream: &UpstreamName, entries: &[(Pinned, Definition)]) -> bool {
        entries.iter().all(|(pinned, definition)| {
            let offered = self.standing(upstream, pinned).and_then(|standing| standing.offered);
            offered == Some(definition.digest)
        })
    }

    /// `entry` as far as it is accepted; as its server writes it where that is what was accepted.
    fn admitted(
        &self,
        upstream: &UpstreamName,
        entry: &Entry,
        pinned: &Pinned,
        now: Sha256,
    ) -> Option<Entry> {
        let (accepted, raw) = self.standing(upstream, pinned)?.accepted.clone()?;
        let name = entry.name.clone();
        Some(if accepted == now {
            Entry { name, raw: entry.raw.clone(), pin: Some(Pin::Accepted(now)) }
        } else {
            Entry { name, raw, pin: Some(Pin::Changed { accepted, offered: now }) }
        })
    }
}

impl Keeper {
    /// What an instance of `launch` lists, as far as it is accepted. What it lists that was never seen is
    /// taken in first.
    pub(in crate::upstream) async fn admit(
        &self,
        launch: &Arc<Settings>,
        kept: Kept,
        revision: Revision,
    ) -> Entries {
        let Some(pinned) = kept.pinned else { return kept.entries };
        let upstream = &launch.name;
        if !self.entered.load().knows(upstream, &pinned) {
            self.offer_entries(launch, &pinned, revision).await;
        }
        let entered = self.entered.load();
        let admitted = kept.entries.iter().zip(pinned.iter()).filter_map(|(entry, (pinned, definition))| {
            entered.admitted(upstream, entry, pinned, definition.digest)
        });
        admitted.collect()
    }
}
