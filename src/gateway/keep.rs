//! What a record says of the arguments of a call beyond their digest, settled before anything else is.
//!
//! Must never record more of a call that is refused than of one that passes, nor do more for a tool that its caller may not
//! know of than for one that does not exist (I5, CASES A84): no key is made for it and no value is looked for. Refuses
//! nothing itself: what cannot be kept is told behind the decision, to whom the tool is visible.

use std::sync::Arc;

use super::Gateway;
use super::named::{Named, What};
use crate::model::facts::CallFacts;
use crate::model::keep::Kept;
use crate::model::target::Target;
use crate::wire::preset;

impl Gateway {
    /// Puts into `facts` what an operator asked to have kept of the call of `named`.
    pub(super) async fn keep(&self, named: &Named, facts: &mut CallFacts) {
        if named.what != What::Tool {
            return;
        }
        let world = self.worlds.now();
        let Some(tool) = world.catalogue.find(&named.name) else { return };
        let Some(keep) = &tool.keep else { return };
        if !world.policy.shows(&facts.principal, &Target::Tool(tool.id.clone()), world.now()) {
            facts.kept = Some(Arc::new(Kept::hidden(keep)));
            return;
        }
        let sent = named.params.get("arguments").unwrap_or_default();
        // As they are sent on; what cannot be settled is refused where it is decided, and kept as it came.
        let filled = preset::fill(&sent, &tool.presets).ok().filter(|_| !tool.presets.is_empty());
        let kept = self.keeper.keep(keep, &facts.principal.subject, &filled.unwrap_or(sent)).await;
        let kept = kept.unwrap_or_else(|error| {
            tracing::error!(%error, tool = %tool.id, "what is to be kept of a call cannot be kept");
            Kept::lacking(keep)
        });
        facts.kept = Some(Arc::new(kept));
    }
}
