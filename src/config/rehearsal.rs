//! Plans, reviewed without a gateway: by the lists, flows and request shapes of a configuration, over the accepted
//! definitions.
//!
//! Must never judge by itself: the plan is read, held against its tools and reviewed by the code that a gateway uses.
//! Must never say more of a tool than a gateway would to the same caller (I5). What only a gateway knows is not looked
//! at: definitions that changed, closed sources, what is stored, what the run has done, what a reviewer outside says.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Compiled, Config};
use crate::model::approver::Approver;
use crate::model::label::Labels;
use crate::model::name::ToolId;
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::target::Target;
use crate::plan::{Circumstances, Fitted, History, People, Plan, Problem, Review, Rules, Tool, review_among};
use crate::policy::{Ceiling, Offered, Policy};
use crate::upstream::Catalogue;

/// What plans are reviewed by.
#[derive(Debug, Clone, Copy)]
pub struct Rehearsal<'a> {
    /// The lists.
    pub policy: &'a Policy,
    /// The accepted tools.
    pub catalogue: &'a Catalogue,
    /// Flows and request shapes.
    pub plans: &'a Rules,
    /// Who may answer questions; the uid that owns the gateway where there is none.
    pub approvers: &'a [Approver],
}

impl Config {
    /// What plans are reviewed by under this configuration.
    #[must_use]
    pub fn rehearsal<'a>(&'a self, compiled: &'a Compiled) -> Rehearsal<'a> {
        let Compiled { policy, catalogue, .. } = compiled;
        let Self { plans, approvers, .. } = self;
        Rehearsal { policy, catalogue, plans, approvers }
    }
}

impl Rehearsal<'_> {
    /// The review of the plan `raw`, as `principal` would submit it at `now` in a run that `provenance` influenced.
    ///
    /// # Errors
    /// Everything that is wrong with the plan.
    pub fn review(
        &self,
        raw: &[u8],
        principal: &Principal,
        provenance: &Provenance,
        now: Timestamp,
    ) -> Result<Review, Vec<Problem>> {
        let find = |wire_name: &str| self.tool(wire_name, principal, now);
        let fitted = Plan::read(raw)?.fit(find, &principal.trigger)?;
        Ok(self.judge(fitted, principal, provenance, now))
    }

    fn judge(
        &self,
        fitted: Fitted,
        principal: &Principal,
        provenance: &Provenance,
        now: Timestamp,
    ) -> Review {
        let closed = BTreeSet::new();
        let offered = |id: &ToolId| {
            let tool = self.catalogue.tool(id)?;
            Some(Offered { pin: tool.pin, returns: tool.returns.clone() })
        };
        let answers = Ceiling { policy: self.policy, principal, closed: &closed, offered: &offered, now };
        let (subject, history) = ([principal.subject.to_string()], History::default());
        let under = Circumstances {
            provenance,
            trigger: &principal.trigger,
            goal: principal.trigger.goal.as_ref(),
            subject: &subject,
            flows: &self.plans.flows,
            history: &history,
            shapes: &self.plans.shapes,
            grants: &[],
            // Nobody outside is reached from here.
            outside: None,
            people: People::Reachable,
            now,
        };
        review_among(fitted, under, &answers, (self.approvers, &principal.subject))
    }

    /// The tool of this wire name, where `principal` may know of it.
    fn tool(&self, wire_name: &str, principal: &Principal, now: Timestamp) -> Option<Tool> {
        let tool = self.catalogue.find(wire_name)?;
        self.policy.shows(principal, &Target::Tool(tool.id.clone()), now).then(|| Tool {
            id: tool.id.clone(),
            labels: Labels::clone(&tool.labels),
            schema: tool.input_schema.clone(),
            returns: tool.returns.clone(),
        })
    }
}
