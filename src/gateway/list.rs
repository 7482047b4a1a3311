//! The lists: what the credential may know of, from one consistent world.
//!
//! Must never show what a call of the same caller would be told does not exist (I5). A list never taints: it
//! holds accepted definitions of tools, and of everything else what comes from a trusted upstream or from a
//! source that the credential has anyway (DESIGN §5).

use std::sync::Arc;

use futures_util::future::join_all;
use http::StatusCode;

use super::Gateway;
use super::aim::may_show_template;
use super::exchange::Exchange;
use super::own;
use super::page::Shown;
use super::port::Reply;
use super::refusal::Refusal;
use super::traced::{End, Ended};
use super::world::{World, route};
use crate::audit::Event;
use crate::model::facts::CallFacts;
use crate::model::name::{PromptId, PromptName};
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::{Class, ResourceId, Target};
use crate::model::uri::Uri;
use crate::run::Run;
use crate::upstream::{Asker, Entry, Feature, Purpose, Server};
use crate::wire::{ListKind, Revision, encode, tool};

/// Who asks for a list, and what has closed parts of it.
struct Viewer<'a> {
    principal: &'a Principal,
    /// 2026-07-28: a list must not vary by earlier requests, so there the call decides what taint has closed.
    /// For the older revisions a shorter list is a courtesy.
    under: Option<&'a Provenance>,
}

impl Gateway {
    /// One page of one list.
    pub(super) async fn list(
        self: &Arc<Self>,
        kind: ListKind,
        exchange: Exchange,
    ) -> Result<Reply, Box<Refusal>> {
        let mut facts = exchange.facts();
        let refuse = |facts: &CallFacts, reason| Refusal::error(facts.clone(), reason, exchange.id());
        let cursor = exchange.request.params.as_ref().and_then(|params| params.text("cursor"));
        let cursor = cursor.transpose().map_err(|_| refuse(&facts, Reason::CursorUnknown))?;
        let run = self.attach(&exchange, &facts).await?;
        facts.run = Some(run.id().clone());
        facts.trigger = run.trigger();
        facts.provenance = run.provenance();
        self.upstreams.list_ready().await;
        let world = self.worlds.now();
        let principal = &exchange.caller.principal;
        if !world.in_force.entry_points.holds(principal, exchange.caller.under) {
            return Err(refuse(&facts, Reason::CredentialUnknown));
        }
        let under = (!exchange.revision.is_modern()).then_some(&facts.provenance);
        let viewer = Viewer { principal, under };
        let entries: Vec<Shown> = match kind {
            ListKind::Tools => viewer.tools(&world),
            _ => viewer.entries(&world, kind, &run).await,
        };
        let page = self.cursors.page(kind, principal, &entries, cursor.as_deref());
        let page = page.map_err(|reason| refuse(&facts, reason))?;
        let latency = self.latency_until_now(exchange.caller.arrived);
        let shown = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
        let event = Event::List { facts: Box::new(facts.clone()), shown, latency };
        let seq = self.journal.record(event).await.map_err(|reason| refuse(&facts, reason))?;
        let (seq, arrived, end) = (Some(seq.0), exchange.caller.arrived, End::answered());
        self.tell_trace(&Ended { facts: &facts, seq, arrived, latency, end });
        let result = encode_list(kind, page.entries, page.next.as_deref(), exchange.revision);
        let body = encode::result(&exchange.request.id, &result);
        Ok(Reply::Json { status: StatusCode::OK, body, session: None })
    }
}

impl Viewer<'_> {
    fn tools(&self, world: &World) -> Vec<Shown> {
        let tools = world.listed(self.principal, self.under).into_iter().map(Shown::of_tool);
        own::listed(world).chain(tools).collect()
    }

    /// What the caller's own instances list, in the order of the configuration. One that is late or fails is
    /// left out.
    async fn entries(&self, world: &World, kind: ListKind, run: &Run) -> Vec<Shown> {
        let route = route(run, Asker::default());
        let may_list = |server: &&Server| may_list(world, self.principal, kind, server);
        let servers: Vec<_> = world.catalogue.servers().iter().filter(may_list).collect();
        let lists =
            servers.iter().map(|server| world.fleet.entries(&server.name, kind, &route, Purpose::List));
        let mut shown = Vec::new();
        for (server, entries) in servers.iter().zip(join_all(lists).await) {
            match entries {
                Ok(entries) => {
                    let shows = |entry: &&Entry| self.shows(world, kind, server, &entry.name);
                    shown
                        .extend(entries.iter().filter(shows).filter_map(|entry| listed(kind, server, entry)));
                }
                Err(failure) => {
                    let (upstream, what) = (&server.name, kind.member());
                    tracing::warn!(%upstream, %failure, what, "a list went out without a tool server");
                }
            }
        }
        shown
    }

    fn shows(&self, world: &World, kind: ListKind, server: &Server, name: &str) -> bool {
        let target = match kind {
            ListKind::Tools => None,
            ListKind::Prompts => PromptName::new(name)
                .ok()
                .map(|prompt| Target::Prompt(PromptId { upstream: server.name.clone(), prompt })),
            ListKind::Resources => Uri::new(name)
                .ok()
                .map(|uri| Target::Resource(ResourceId { upstream: server.name.clone(), uri })),
            ListKind::ResourceTemplates => {
                return is_known(server.returns_otherwise(), self.principal)
                    && may_show_template(world, self.principal, &server.name, name);
            }
        };
        let target = target.filter(|target| is_known(server.returns(target), self.principal));
        target.is_some_and(|target| match self.under {
            None => world.policy.shows(self.principal, &target, world.now()),
            Some(provenance) => world.policy.leaves_open(self.principal, provenance, &target, world.now()),
        })
    }
}

/// Whether anything of `server` may be listed to `principal`: its text is the run's already, or nobody's but
/// the operator's own, and some of it may be visible.
pub(super) fn may_list(world: &World, principal: &Principal, kind: ListKind, server: &Server) -> bool {
    let features = world.fleet.features(&server.name);
    features.is_none_or(|features| features.has(Feature::listing(kind)))
        && server.may_list(kind, &principal.sources)
        && world.policy.may_show(principal, class_of(kind), &everything(kind, server), world.now())
}

/// Whether words of `returns` are no news to `principal`.
fn is_known(returns: &Provenance, principal: &Principal) -> bool {
    returns.missing_from(&principal.sources).is_empty()
}

/// The class of what is listed.
const fn class_of(kind: ListKind) -> Class {
    match kind {
        ListKind::Tools => Class::Tool,
        ListKind::Prompts => Class::Prompt,
        ListKind::Resources | ListKind::ResourceTemplates => Class::Resource,
    }
}

/// The glob of everything that `server` can list of `kind`.
fn everything(kind: ListKind, server: &Server) -> String {
    match class_of(kind) {
        Class::Resource => format!("{}:*", server.name),
        _ => format!("{}.*", server.name),
    }
}

/// The entry as agents are shown it: a prompt under its wire name, everything else as it is.
fn listed(kind: ListKind, server: &Server, entry: &Entry) -> Option<Shown> {
    let raw = match kind {
        ListKind::Prompts => tool::rename(&entry.raw, &server.wire_name(&entry.name)).ok()?,
        _ => entry.raw.clone(),
    };
    Some(Shown::new(raw))
}

fn encode_list(kind: ListKind, entries: &[Shown], next: Option<&str>, revision: Revision) -> Vec<u8> {
    let bytes: usize = entries.iter().map(|entry| entry.raw.len() + 1).sum();
    let mut out = Vec::with_capacity(bytes + 192);
    out.extend_from_slice(format!("{{\"{}\":[", kind.member()).as_bytes());
    for (at, entry) in entries.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&entry.raw);
    }
    out.push(b']');
    if let Some(next) = next {
        out.extend_from_slice(format!(",\"nextCursor\":\"{next}\"").as_bytes());
    }
    if revision.is_modern() {
        // 2026-07-28, CacheableResult: what one caller sees must not be served to another.
        out.extend_from_slice(br#","resultType":"complete","ttlMs":0,"cacheScope":"private""#);
    }
    out.push(b'}');
    out
}
