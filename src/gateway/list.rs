//! `tools/list`: what the credential may know of, from one consistent world.
//!
//! Must never show what a call of the same caller would be told does not exist (I5). A list never taints:
//! it holds accepted definitions only.

use std::sync::Arc;

use http::StatusCode;

use super::Gateway;
use super::exchange::Exchange;
use super::port::Reply;
use super::refusal::Refusal;
use crate::audit::Event;
use crate::model::reason::Reason;
use crate::upstream::Tool;
use crate::wire::{Revision, encode};

impl Gateway {
    /// One `tools/list`. The whole list is one page: the catalogue is bounded.
    pub(super) async fn list(self: &Arc<Self>, exchange: Exchange) -> Result<Reply, Box<Refusal>> {
        let mut facts = exchange.facts();
        let cursor = exchange.request.params.as_ref().and_then(|params| params.get("cursor"));
        if cursor.is_some() {
            return Err(Refusal::error(facts, Reason::CursorUnknown, exchange.id()));
        }
        let run = self.attach(&exchange, &facts).await?;
        facts.run = Some(run.id().clone());
        facts.trigger = run.trigger();
        facts.provenance = run.provenance();
        self.upstreams.list_ready().await;
        let world = self.worlds.now();
        let principal = &exchange.caller.principal;
        if !world.in_force.entry_points.holds(principal, exchange.caller.under) {
            return Err(Refusal::error(facts, Reason::CredentialUnknown, exchange.id()));
        }
        // 2026-07-28, server/tools: the list must not vary by earlier requests, so there the call decides
        // what taint has closed. For the older revisions a shorter list is a courtesy.
        let under = (!exchange.revision.is_modern()).then_some(&facts.provenance);
        let tools = world.listed(principal, under);
        let result = encode_list(&tools, exchange.revision);
        let latency = self.latency_until_now(exchange.caller.arrived);
        let shown = u64::try_from(tools.len()).unwrap_or(u64::MAX);
        let event = Event::List { facts: Box::new(facts.clone()), shown, latency };
        if let Err(reason) = self.journal.record(event).await {
            return Err(Refusal::error(facts, reason, exchange.id()));
        }
        let body = encode::result(&exchange.request.id, &result);
        Ok(Reply::Json { status: StatusCode::OK, body, session: None })
    }
}

fn encode_list(tools: &[&Tool], revision: Revision) -> Vec<u8> {
    let bytes: usize = tools.iter().map(|tool| tool.listed.len() + 1).sum();
    let mut out = Vec::with_capacity(bytes + 96);
    out.extend_from_slice(br#"{"tools":["#);
    for (at, tool) in tools.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&tool.listed);
    }
    out.push(b']');
    if revision.is_modern() {
        // 2026-07-28, CacheableResult: what one caller sees must not be served to another.
        out.extend_from_slice(br#","resultType":"complete","ttlMs":0,"cacheScope":"private""#);
    }
    out.push(b'}');
    out
}
