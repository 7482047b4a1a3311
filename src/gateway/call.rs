//! The path of one `tools/call`: read, attach, decide, admit, intend; its own task carries it from there.
//!
//! Must never forward without the three proofs (I6), nor let a caller tell a hidden tool from one that
//! does not exist (I5): both take every step in here. What waits is done before the critical section,
//! what is decided is decided inside it, and nothing in it waits.

use std::sync::Arc;

use bytes::Bytes;

use super::Gateway;
use super::exchange::Exchange;
use super::port::Reply;
use super::refusal::{Form, Refusal};
use super::relay::Leg;
use super::reply::Output;
use super::world::{World, call_of};
use crate::audit::{Pending, Slot};
use crate::limit::{Admission, Keys};
use crate::model::call::ArgumentFacts;
use crate::model::decision::{Decision, Visibility};
use crate::model::digest::Sha256;
use crate::model::facts::CallFacts;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::Target;
use crate::model::text::Bounded;
use crate::policy::{Permit, Ruling, Standing};
use crate::run::Section;
use crate::upstream::{Fleet, Tool};
use crate::wire::{Params, StripMeta, headers};

impl Gateway {
    /// One `tools/call`, up to the moment when its intent is on its way to the journal.
    pub(super) async fn call(self: &Arc<Self>, exchange: Exchange) -> Result<Reply, Box<Refusal>> {
        let named = read(&exchange)?;
        let mut facts = exchange.facts();
        facts.named = Some(Bounded::new(&named.name));
        facts.arguments = Some(named.arguments);
        let run = self.attach(&exchange, &facts).await?;
        facts.run = Some(run.id().clone());
        facts.trigger = run.trigger();
        let in_flight =
            exchange.begin().map_err(|reason| Refusal::error(facts.clone(), reason, exchange.id()))?;
        let slot = self.journal.reserve().await;
        // Whatever was waited for, it is decided by what is in force now.
        let passed = run
            .section(self.clock.wall(), |section| {
                self.worlds.within(|world| {
                    let tool = world.catalogue.find(&named.name);
                    let stage = Stage { gateway: self, world, exchange: &exchange, named: &named, tool };
                    stage.pass(section, slot, facts.clone())
                })
            })
            .map_err(|closed| Refusal::error(facts, closed, exchange.id()))??;
        if !passed.adds.is_empty() {
            self.announce_taint(&run);
        }
        let leg = Leg {
            id: exchange.request.id,
            revision: exchange.revision,
            progress_token: named.progress_token,
            output: passed.output,
            arrived: exchange.caller.arrived,
            decided: self.clock.monotonic(),
            facts: passed.facts,
            run,
            fleet: passed.fleet,
            in_flight,
        };
        Ok(self.carry(passed.pending, leg))
    }
}

/// What the client named, read once from `params`.
struct Named {
    name: String,
    params: Params,
    arguments: ArgumentFacts,
    /// The raw value of `_meta.progressToken`.
    progress_token: Option<Bytes>,
}

fn read(exchange: &Exchange) -> Result<Named, Box<Refusal>> {
    let invalid = || Refusal::error(exchange.facts(), Reason::ParamsInvalid, exchange.id());
    let params = exchange.request.params.clone().ok_or_else(invalid)?;
    let name = params.text("name").and_then(Result::ok).ok_or_else(invalid)?;
    let raw = params.get("arguments");
    // server/tools, CallToolRequest: `arguments` is an object, or absent.
    if raw.as_ref().is_some_and(|raw| raw.first() != Some(&b'{')) {
        return Err(invalid());
    }
    let raw = raw.unwrap_or_default();
    let bytes = u64::try_from(raw.len()).unwrap_or(u64::MAX);
    let arguments = ArgumentFacts { sha256: Sha256::of(&raw), bytes };
    let progress_token = params.meta().and_then(|meta| meta.get("progressToken"));
    Ok(Named { name, params, arguments, progress_token })
}

/// Everything that the critical section looks at.
struct Stage<'a> {
    gateway: &'a Gateway,
    world: &'a World,
    exchange: &'a Exchange,
    named: &'a Named,
    tool: Option<&'a Tool>,
}

/// A call whose intent is on its way to the journal.
struct Passed {
    pending: Pending<Admission<Permit>>,
    facts: CallFacts,
    adds: Provenance,
    fleet: Fleet,
    output: Output,
}

impl Stage<'_> {
    /// The inside of the critical section: decide, admit, taint, intend.
    fn pass(
        &self,
        section: &mut Section<'_>,
        slot: Result<Slot, Reason>,
        mut facts: CallFacts,
    ) -> Result<Passed, Box<Refusal>> {
        let principal = &self.exchange.caller.principal;
        if !self.world.in_force.entry_points.holds(principal, self.exchange.caller.under) {
            return Err(self.protocol(facts, Reason::CredentialUnknown));
        }
        // An entry point that vouches for other sources than it did brings them into the run that it had.
        facts.adds = section.taint_by_label(&principal.sources);
        facts.provenance = section.provenance().clone();
        let Some(tool) = self.tool else {
            return Err(self.refused(facts, self.world.policy.explain_unknown()));
        };
        facts.target = Some(Target::Tool(tool.id.clone()));
        facts.definition = Some(tool.pin.accepted());
        facts.stores = tool.stores;
        let is_modern = self.exchange.revision.is_modern();
        let strip = if is_modern { StripMeta::Modern } else { StripMeta::Nothing };
        let payload = self.named.params.payload(&tool.id.tool, strip);
        let call = call_of(tool, payload, self.named.arguments);
        let (brings, closed) = (section.brings(&tool.id.upstream, &tool.returns), section.closed());
        let standing = Standing { provenance: section.provenance(), brings: &brings, closed: &closed };
        let permit = match self.world.policy.decide(principal, standing, call) {
            Ruling::Permit(permit) => permit,
            Ruling::Refuse(_, decision) => return Err(self.refused(facts, decision)),
        };
        facts.decision = Some(permit.decision().clone());
        self.check_param_headers(tool).map_err(|reason| self.protocol(facts.clone(), reason))?;
        let keys = Keys { principal, upstream: &tool.id.upstream };
        let admission = self
            .gateway
            .gate
            .admit(permit, keys)
            .map_err(|(_, reason)| self.closed(facts.clone(), reason))?;
        let slot = slot.map_err(|reason| self.closed(facts.clone(), reason))?;
        let call = admission.permit().call();
        facts.adds.join(&section.taint(&brings));
        section.store(call);
        let adds = facts.adds.clone();
        let pending = slot.intend(admission, facts.clone());
        let fleet = self.world.fleet.only(&tool.id.upstream);
        Ok(Passed { pending, facts, adds, fleet, output: output(tool) })
    }

    /// What the policy refuses: as if nonexistent where hidden, with its reason where visible.
    fn refused(&self, mut facts: CallFacts, decision: Decision) -> Box<Refusal> {
        let (reason, visibility) = (decision.reason, decision.visibility);
        facts.decision = Some(decision);
        match visibility {
            Visibility::Visible => self.closed(facts, reason),
            Visibility::Hidden => {
                let form = Form::Hidden(self.exchange.request.id.clone(), self.named.name.clone());
                let revision = Some(self.exchange.revision);
                Box::new(Refusal { facts, reason: Reason::NotVisible, form, revision })
            }
        }
    }

    /// What is visible and does not pass now.
    fn closed(&self, facts: CallFacts, reason: Reason) -> Box<Refusal> {
        let output = self.tool.map_or(Output::Unstructured, output);
        let form = Form::Tool(self.exchange.request.id.clone(), output);
        Box::new(Refusal { facts, reason, form, revision: Some(self.exchange.revision) })
    }

    fn protocol(&self, facts: CallFacts, reason: Reason) -> Box<Refusal> {
        Refusal::error(facts, reason, self.exchange.id())
    }

    /// 2026-07-28, server/tools, "x-mcp-header": what the headers repeat has to equal the arguments.
    /// Checked after the decision, because which headers those are is told only to whom it is visible.
    fn check_param_headers(&self, tool: &Tool) -> Result<(), Reason> {
        if !self.exchange.revision.is_modern() {
            return Ok(());
        }
        let arguments = self.named.params.get("arguments");
        let presented = &self.exchange.caller.headers.params;
        headers::check_params(arguments.as_ref(), &tool.param_headers, presented)
            .map_err(|fault| fault.reason())
    }
}

fn output(tool: &Tool) -> Output {
    if tool.has_output_schema { Output::Schema } else { Output::Unstructured }
}
