//! What becomes of the pins of one upstream when it offers something: what is accepted of it by itself, and what
//! is told.
//!
//! Must never accept what `pins` leaves to a person, however it looks; and never keep silent of what an
//! upstream changed (CASES A55, A56).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Offer, is_taken};
use crate::model::digest::Sha256;
use crate::model::name::UpstreamName;
use crate::model::pin::{Findings, PinChange, PinId, PinMove, Pinned};
use crate::upstream::lock::{Accepted, Definition};
use crate::upstream::settings::{Pins, Settings};
use crate::upstream::suspect;

/// Findings that are remembered beyond those of what is accepted and offered.
const SIGHTS_SPARE_MAX: usize = 1024;

/// What was found in each definition that was looked at, so that none is looked at with every list.
#[derive(Debug, Default)]
pub(super) struct Sights(HashMap<Sha256, Findings>);

/// What happens to the pins of one upstream.
#[derive(Debug)]
pub(super) struct Moves<'a> {
    upstream: &'a UpstreamName,
    moves: Vec<(Pinned, PinChange, Option<Sha256>)>,
}

impl Sights {
    /// What looks suspicious in `definition`.
    pub(super) fn of(&mut self, definition: &Definition) -> Findings {
        let seen = self.0.entry(definition.digest).or_insert_with(|| suspect::look(definition));
        Findings::clone(seen)
    }

    /// Forgets what is neither accepted nor offered, once that is much.
    pub(super) fn forget_all_but(&mut self, accepted: &Accepted, offered: &HashMap<UpstreamName, Offer>) {
        let accepted = accepted.values().flat_map(BTreeMap::values);
        let offered = offered.values().flat_map(|offer| offer.pinned.values());
        let used: HashSet<Sha256> = accepted.chain(offered).map(|definition| definition.digest).collect();
        if self.0.len() > used.len() + SIGHTS_SPARE_MAX {
            self.0.retain(|digest, _| used.contains(digest));
        }
    }
}

impl<'a> Moves<'a> {
    /// What happens where `known` is accepted, `before` was offered and `offer` is.
    pub(super) fn of(
        settings: &'a Settings,
        known: &BTreeMap<Pinned, Definition>,
        before: Option<&Offer>,
        offer: &Offer,
    ) -> Self {
        let pins = settings.pins;
        let earlier = |pinned| before.and_then(|before| before.pinned.get(pinned)).map(|old| old.digest);
        let mut moves = Vec::new();
        for (pinned, now) in &offer.pinned {
            let accepted = known.get(pinned).map(|accepted| accepted.digest);
            let earlier = earlier(pinned);
            let is_news = earlier.or(accepted) != Some(now.digest);
            let change = match (accepted, pins) {
                (None, Pins::FirstUse | Pins::Trust) => PinChange::First,
                (None, Pins::Lock) if is_news => PinChange::New,
                (Some(accepted), Pins::Trust) if accepted != now.digest => PinChange::Taken,
                (Some(accepted), _) if accepted != now.digest && is_news => PinChange::Changed,
                (Some(accepted), _) if accepted == now.digest && is_news => PinChange::Restored,
                _ => continue,
            };
            moves.push((pinned.clone(), change, accepted));
        }
        Self { upstream: &settings.name, moves }
    }

    /// Whether anything is accepted by itself.
    pub(super) fn takes_any(&self) -> bool {
        self.moves.iter().any(|(_, change, _)| is_taken(*change))
    }

    /// What is accepted by itself.
    pub(super) fn taken(&self, offer: &Offer) -> Vec<(Pinned, Definition)> {
        let taken = self.moves.iter().filter(|(_, change, _)| is_taken(*change));
        let definition = |pinned: &Pinned| Some((pinned.clone(), offer.pinned.get(pinned)?.clone()));
        taken.filter_map(|(pinned, ..)| definition(pinned)).collect()
    }

    /// Nothing is, because it could not be stored.
    pub(super) fn take_nothing(&mut self) {
        self.moves.retain(|(_, change, _)| !is_taken(*change));
    }

    /// What to tell of it.
    pub(super) fn told(self, sights: &mut Sights, offer: &Offer) -> Vec<PinMove> {
        let mut told = Vec::with_capacity(self.moves.len());
        for (pinned, change, before) in self.moves {
            let Some(now) = offer.pinned.get(&pinned) else { continue };
            let is_offered_alone = matches!(change, PinChange::New | PinChange::Changed);
            told.push(PinMove {
                change,
                accepted: if is_offered_alone { before } else { Some(now.digest) },
                before: before.filter(|_| change == PinChange::Taken),
                offered: is_offered_alone.then_some(now.digest),
                findings: sights.of(now),
                id: PinId { upstream: self.upstream.clone(), pinned },
            });
        }
        told
    }
}
