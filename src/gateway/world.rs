//! The policy and the catalogue it was compiled for, as one value that is swapped as a whole.
//!
//! A call must never see a policy of one moment and a catalogue of another (CASES A29).

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::model::call::{ArgumentFacts, Call, Payload};
use crate::model::decision::PolicyEpoch;
use crate::model::digest::Sha256;
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::policy::{Policy, Rules};
use crate::upstream::{Catalogue, Tool};

/// One consistent view: what may be called, and what it is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) policy: Policy,
    pub(super) catalogue: Arc<Catalogue>,
}

/// The world of now, and the rules to make the next from.
#[derive(Debug)]
pub(super) struct Worlds {
    rules: Rules,
    epoch: PolicyEpoch,
    current: ArcSwap<World>,
}

impl World {
    fn compile(rules: &Rules, catalogue: Arc<Catalogue>, epoch: PolicyEpoch) -> Self {
        let ids: Vec<_> = catalogue.tools().iter().map(|tool| tool.id.clone()).collect();
        Self { policy: Policy::compile(rules.clone(), &ids, epoch), catalogue }
    }

    /// The tools that `principal` may know of, and, where `under` is given, that are not closed to a
    /// run of that provenance: in the order of the catalogue.
    pub(super) fn listed<'a>(
        &'a self,
        principal: &'a Principal,
        under: Option<&Provenance>,
    ) -> Vec<&'a Tool> {
        let ids: Box<dyn Iterator<Item = _>> = match under {
            None => Box::new(self.policy.visible(principal)),
            Some(provenance) => Box::new(self.policy.open(principal, provenance)),
        };
        ids.filter_map(|id| self.catalogue.tool(id)).collect()
    }

    /// One word for everything that [`World::listed`] would show: changes exactly when that does.
    pub(super) fn fingerprint(&self, principal: &Principal, under: Option<&Provenance>) -> Sha256 {
        let tools = self.listed(principal, under);
        let parts: Vec<&[u8]> = tools.iter().map(|tool| tool.listed.as_ref()).collect();
        Sha256::of_parts(&parts)
    }
}

impl Worlds {
    pub(super) fn new(rules: Rules, catalogue: Arc<Catalogue>) -> Self {
        let epoch = PolicyEpoch(1);
        let current = ArcSwap::from_pointee(World::compile(&rules, catalogue, epoch));
        Self { rules, epoch, current }
    }

    pub(super) fn now(&self) -> Arc<World> {
        self.current.load_full()
    }

    /// Compiles the rules for a catalogue that changed.
    pub(super) fn follow(&self, catalogue: Arc<Catalogue>) {
        self.current.store(Arc::new(World::compile(&self.rules, catalogue, self.epoch)));
    }
}

/// The call of `tool` with these parameters: what is decided on and the bytes that are sent.
pub(super) fn call_of(tool: &Tool, payload: Payload, arguments: ArgumentFacts) -> Call {
    Call {
        tool: tool.id.clone(),
        pin: tool.pin,
        returns: tool.returns.clone(),
        stores: tool.stores,
        arguments,
        payload,
    }
}
