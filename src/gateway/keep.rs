//! What a record says of the arguments of a call beyond their digest, settled before anything else is.
//!
//! Must never let a call go on of which something is to be kept that cannot be, nor record more of one that is refused
//! than of one that passes. Looks at tools by the name that was called, visible or not: only the record tells.

use std::sync::Arc;

use super::Gateway;
use super::exchange::Exchange;
use super::named::{Named, What};
use super::refusal::Refusal;
use crate::model::facts::CallFacts;
use crate::model::keep::Kept;
use crate::model::reason::Reason;
use crate::wire::preset;

impl Gateway {
    /// Puts into `facts` what an operator asked to have kept of the call of `named`.
    pub(super) async fn keep(
        &self,
        exchange: &Exchange,
        named: &Named,
        facts: &mut CallFacts,
    ) -> Result<(), Box<Refusal>> {
        if named.what != What::Tool {
            return Ok(());
        }
        let world = self.worlds.now();
        let Some(tool) = world.catalogue.find(&named.name) else { return Ok(()) };
        let Some(keep) = &tool.keep else { return Ok(()) };
        let sent = named.params.get("arguments").unwrap_or_default();
        // As they are sent on; what cannot be settled is refused where it is decided, and kept as it came.
        let filled = preset::fill(&sent, &tool.presets).ok().filter(|_| !tool.presets.is_empty());
        let arguments = filled.unwrap_or(sent);
        match self.keeper.keep(keep, &facts.principal.subject, &arguments).await {
            Ok(kept) => {
                facts.kept = Some(Arc::new(kept));
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, tool = %tool.id, "what is to be kept of a call cannot be kept");
                let (values, hashes) = (Vec::new(), Vec::new());
                let nothing = Kept { digest: keep.digest, values, key: None, hashes, hash_key: None };
                let facts = CallFacts { kept: Some(Arc::new(nothing)), ..facts.clone() };
                Err(Refusal::error(facts, Reason::ValuesNotKept, exchange.id()))
            }
        }
    }
}
