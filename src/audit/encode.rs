//! The bodies of the records: which members each kind has, in which order (docs/AUDIT.md §4).
//!
//! Must never write a value of the arguments that is not in `kept`, nor anything unbounded: what is cut says so in `truncated`
//! with the digest and length of the whole (CASES A70). Text that the caller chose stands under `claimed`
//! and nowhere else (CASES A74, A82).

mod arguments;
mod decision;
mod metered;
mod mint;
mod pin;
mod plan;
mod trigger;

use std::time::Duration;

#[cfg(test)]
pub(super) use trigger::TRIGGER_RECORD_BYTES_MAX;
pub(super) use trigger::{claim, origin};

use super::Seq;
use super::event::{Event, JsonRpc, Latency, OutcomeFacts, ReloadResult, WIDENED_BYTES_MAX, WIDENED_MAX};
use super::line::{Flag, Kind, Object, whole_list};
use super::live::OpenCall;
use crate::model::barrier::{BarrierChange, Revoked};
use crate::model::digest::Sha256;
use crate::model::facts::CallFacts;
use crate::model::name::ToolId;
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::Target;
use crate::model::text::Bounded;

/// Most entries of a list of names in a record of a call; `adds` is always whole.
pub const NAMES_MAX: usize = 32;
/// Bound of what a call is for in its record, in bytes: no more than the longest name of a tool.
pub(super) const TARGET_BYTES_MAX: usize = 192;
/// Bound of the name of a configuration file in a record, in bytes.
pub(super) const FILE_BYTES_MAX: usize = 512;

/// What was cut out of the record that is being written.
#[derive(Default)]
struct Cuts(Vec<Cut>);

struct Cut {
    member: &'static str,
    bytes: u64,
    sha256: Sha256,
}

impl Cuts {
    fn text<'t, const MAX: usize>(&mut self, member: &'static str, text: &'t Bounded<MAX>) -> &'t str {
        if let Some(whole) = text.whole() {
            self.0.push(Cut { member, bytes: whole.bytes, sha256: whole.sha256 });
        }
        text.as_str()
    }

    fn names<'t>(
        &mut self,
        object: &mut Object<'_>,
        key: &str,
        member: &'static str,
        names: impl ExactSizeIterator<Item = &'t str> + Clone,
    ) {
        if names.len() > NAMES_MAX {
            let (bytes, sha256) = whole_list(names.clone());
            self.0.push(Cut { member, bytes, sha256 });
        }
        object.texts(key, names.take(NAMES_MAX));
    }

    fn sentences(&mut self, object: &mut Object<'_>, key: &'static str, all: &[String]) {
        let kept: Vec<Bounded<WIDENED_BYTES_MAX>> =
            all.iter().take(WIDENED_MAX).map(|sentence| Bounded::new(sentence)).collect();
        if all.len() > WIDENED_MAX || kept.iter().any(|sentence| sentence.whole().is_some()) {
            let (bytes, sha256) = whole_list(all.iter().map(String::as_str));
            self.0.push(Cut { member: key, bytes, sha256 });
        }
        object.texts(key, kept.iter().map(Bounded::as_str));
    }

    fn write(self, object: &mut Object<'_>) {
        if self.0.is_empty() {
            return;
        }
        object.objects("truncated", self.0.iter(), |object, cut| {
            object.text("member", cut.member);
            object.number("bytes", cut.bytes);
            object.digest("sha256", &cut.sha256);
        });
    }
}

pub(super) fn intent(object: &mut Object<'_>, facts: &CallFacts, adds: &Provenance) {
    let mut cuts = Cuts::default();
    call(object, facts, adds, &mut cuts);
    object.text("stores", stores(facts));
    cuts.write(object);
}

pub(super) fn outcome(object: &mut Object<'_>, intent: Seq, facts: &CallFacts, outcome: &OutcomeFacts) {
    object.number("intent", intent.0);
    if let Some(run) = &facts.run {
        object.text("run", run.as_str());
    }
    trace(object, facts);
    object.text("entry_point", facts.principal.entry_point.as_str());
    object.text("subject", facts.principal.subject.as_str());
    if let Some(target) = &facts.target {
        // The intent says whether it was cut.
        self::target(object, target, &mut Cuts::default());
    }
    object.text("reason", outcome.reason.code());
    object.text("executed", outcome.executed.as_str());
    object.text("transport", outcome.transport.as_str());
    if let Some(jsonrpc) = outcome.jsonrpc {
        object.object("jsonrpc", |object| match jsonrpc {
            JsonRpc::Result => object.text("response", "result"),
            JsonRpc::Error(code) => {
                object.text("response", "error");
                object.signed("code", code);
            }
        });
    }
    if let Some(is_error) = outcome.is_error {
        object.flag("is_error", Flag::from(is_error));
    }
    if let Some(result) = outcome.result {
        object.object("result", |object| {
            object.number("bytes", result.bytes);
            object.digest("sha256", &result.sha256);
        });
    }
    if outcome.contents == super::event::Contents::Differ {
        object.flag("contents_differ", Flag::from(true));
    }
    latency(object, outcome.latency);
}

/// The kind of the record of an event.
pub(super) fn kind(event: &Event) -> Kind {
    match event {
        Event::Denial { .. } => Kind::Denial,
        Event::List { .. } => Kind::List,
        Event::Suspended { .. } => Kind::Suspended,
        Event::Resumed { .. } => Kind::Resumed,
        Event::Plan { .. } => Kind::Plan,
        Event::Grant { .. } => Kind::Grant,
        Event::Approval { .. } => Kind::Approval,
        Event::AuthenticationFailures { .. } => Kind::AuthFailures,
        Event::RunStart { .. } => Kind::RunStart,
        Event::RunEnd { .. } => Kind::RunEnd,
        Event::Barrier { change, .. } => match change {
            BarrierChange::Revoke(_) | BarrierChange::Lift(_) => Kind::Revocation,
            BarrierChange::Close(_) | BarrierChange::Open(_) => Kind::Source,
        },
        Event::Taint { .. } => Kind::Taint,
        Event::StoredCleared { .. } => Kind::StoredCleared,
        Event::Erasure { .. } => Kind::Erasure,
        Event::Pin { .. } => Kind::Pin,
        Event::Upstream { .. } => Kind::Upstream,
        Event::Mint(_) => Kind::Mint,
        Event::TokenKey { .. } => Kind::TokenKey,
        Event::AuditKey { .. } => Kind::AuditKey,
        Event::Retired { .. } => Kind::Retired,
        Event::Reload { .. } => Kind::Reload,
    }
}

pub(super) fn event(object: &mut Object<'_>, event: &Event, adds: &Provenance) {
    let mut cuts = Cuts::default();
    match event {
        Event::Denial { facts, reason, latency: spent } => {
            call(object, facts, adds, &mut cuts);
            object.text("reason", reason.code());
            latency(object, *spent);
        }
        Event::List { facts, shown, latency: spent } => {
            call(object, facts, adds, &mut cuts);
            object.number("shown", *shown);
            latency(object, *spent);
        }
        Event::Suspended { facts, intent } | Event::Resumed { facts, intent } => {
            object.number("intent", intent.0);
            call(object, facts, adds, &mut cuts);
        }
        Event::Plan { .. } | Event::Grant { .. } | Event::Approval { .. } => {
            plan::event(object, event, adds, &mut cuts)
        }
        Event::AuthenticationFailures { listener, reason, count, since } => {
            object.text("listener", cuts.text("listener", listener));
            object.text("reason", reason.code());
            object.number("count", *count);
            object.time("since", *since);
        }
        Event::RunStart { .. }
        | Event::RunEnd { .. }
        | Event::Barrier { .. }
        | Event::Taint { .. }
        | Event::StoredCleared { .. } => of_runs(object, event, adds, &mut cuts),
        Event::Retired { first, last, segments, bytes, before } => {
            object.number("first", first.0);
            object.number("last", last.0);
            object.number("segments", *segments);
            object.number("bytes", *bytes);
            object.time("before", *before);
        }
        Event::AuditKey { key, before, until, by } => {
            object.text("key", &key.to_string());
            object.text("before", &before.to_string());
            object.time("until", *until);
            actor(object, Some(by));
        }
        Event::Erasure { subject, by } => {
            object.text("subject", subject.as_str());
            actor(object, Some(by));
        }
        Event::Pin { moved, by } => pin::event(object, moved, by.as_ref(), &mut cuts),
        Event::Upstream { upstream, state, detail, count } => {
            object.text("upstream", upstream.as_str());
            object.text("state", state.as_str());
            object.text("detail", cuts.text("detail", detail));
            object.number("count", *count);
        }
        Event::Reload { .. } => reload(object, event, &mut cuts),
        Event::Mint(_) | Event::TokenKey { .. } => mint::event(object, event, &mut cuts),
    }
    cuts.write(object);
}

fn reload(object: &mut Object<'_>, event: &Event, cuts: &mut Cuts) {
    let Event::Reload { config, epoch, result, detail, widened, by } = event else { return };
    object.digest("config", config);
    object.number("epoch", epoch.0);
    object.text("result", result.as_str());
    object.text("detail", cuts.text("detail", detail));
    if *result == ReloadResult::InForce {
        object.number("widened_count", u64::try_from(widened.len()).unwrap_or(u64::MAX));
        cuts.sentences(object, "widened", widened);
    }
    actor(object, by.as_ref());
}

/// What happened to runs, and what people closed or cleared.
fn of_runs(object: &mut Object<'_>, event: &Event, adds: &Provenance, cuts: &mut Cuts) {
    match event {
        Event::RunStart { run, principal: who, session, origin, history } => {
            object.text("run", run.as_str());
            principal(object, who, cuts);
            if let Some(session) = session {
                object.text("session_sha256", &session_digest(session));
            }
            trigger::started(object, who, cuts);
            if let Some(origin) = origin {
                trigger::origin(object, origin);
            }
            sources(object, "provenance", &who.sources);
            object.text("history", history.as_str());
        }
        Event::RunEnd { run, why, by, until, unstarted } => {
            object.text("run", run.as_str());
            object.text("why", why.as_str());
            actor(object, by.as_ref());
            if let Some(until) = until {
                object.time("tokens_until", *until);
            }
            if let Some(claim) = unstarted {
                object.text("entry_point", claim.entry_point.as_str());
                object.text("txn", claim.txn.as_str());
            }
        }
        Event::Barrier { change, by } => {
            barrier(object, change);
            actor(object, Some(by));
        }
        Event::Taint { run, cause, entries, .. } => {
            object.text("run", run.as_str());
            sources(object, "adds", adds);
            if !entries.is_empty() {
                trigger::entries(object, entries);
            }
            object.text("cause", cuts.text("cause", cause));
        }
        Event::StoredCleared { upstream, subject, by } => {
            object.text("upstream", upstream.as_str());
            if let Some(subject) = subject {
                object.text("subject", subject.as_str());
            }
            actor(object, Some(by));
        }
        Event::Denial { .. }
        | Event::List { .. }
        | Event::Suspended { .. }
        | Event::Resumed { .. }
        | Event::Plan { .. }
        | Event::Grant { .. }
        | Event::Approval { .. }
        | Event::AuthenticationFailures { .. }
        | Event::Erasure { .. }
        | Event::Pin { .. }
        | Event::Upstream { .. }
        | Event::Mint(_)
        | Event::TokenKey { .. }
        | Event::AuditKey { .. }
        | Event::Retired { .. }
        | Event::Reload { .. } => {}
    }
}

pub(super) fn unknown(object: &mut Object<'_>, call: &OpenCall) {
    open_call(object, call);
    object.text("reason", Reason::Abandoned.code());
    object.text("executed", "unknown");
}

pub(super) fn open_call(object: &mut Object<'_>, call: &OpenCall) {
    object.number("intent", call.intent.0);
    object.time("at", call.at);
    if let Some(run) = &call.run {
        object.text("run", run.as_str());
    }
    object.text("entry_point", call.entry_point.as_str());
    object.text("subject", call.subject.as_str());
    if let Some(tool) = &call.tool {
        object.text("tool", tool);
    }
}

pub(super) fn sources(object: &mut Object<'_>, key: &str, provenance: &Provenance) {
    object.texts(key, provenance.iter().map(|source| source.as_str()));
}

/// SHA-256 of a session id: enough to tell sessions apart, useless to whoever reads the journal.
pub(super) fn session_digest(session: &str) -> String {
    Sha256::of(session.as_bytes()).to_string()
}

fn call(object: &mut Object<'_>, facts: &CallFacts, adds: &Provenance, cuts: &mut Cuts) {
    if let Some(run) = &facts.run {
        object.text("run", run.as_str());
    }
    principal(object, &facts.principal, cuts);
    let own = &facts.principal.trigger;
    trigger::cut(object, facts.trigger.as_deref().unwrap_or(own), cuts);
    let provenance: Vec<_> = facts.provenance.iter().map(|source| source.as_str()).collect();
    cuts.names(object, "provenance", "provenance", provenance.iter().copied());
    sources(object, "adds", adds);
    object.text("method", facts.method);
    if let Some(of) = &facts.target {
        target(object, of, cuts);
    }
    if let Some(definition) = &facts.definition {
        object.digest("definition", definition);
    }
    arguments::write(object, facts);
    if let Some(decided) = &facts.decision {
        decision::write(object, decided, cuts);
    }
    plan::of_call(object, facts);
    metered::write(object, &facts.metered);
    if let Some(revision) = facts.revision {
        object.text("revision", revision);
    }
    trace(object, facts);
    claimed(object, facts, cuts);
}

/// The trace may be one that the caller named (CASES A82); the span is the gateway's own.
fn trace(object: &mut Object<'_>, facts: &CallFacts) {
    if let Some(trace) = &facts.trace {
        object.text("trace_id", &trace.id.to_string());
        object.text("span_id", &trace.span.to_string());
    }
}

fn claimed(object: &mut Object<'_>, facts: &CallFacts, cuts: &mut Cuts) {
    let claims = [
        ("name", "claimed.name", &facts.named),
        ("request_id", "claimed.request_id", &facts.request_id),
        ("traceparent", "claimed.traceparent", &facts.traceparent),
        ("client", "claimed.client", &facts.client),
    ];
    if claims.iter().all(|(_, _, claim)| claim.is_none()) {
        return;
    }
    object.object("claimed", |object| {
        for (key, member, claim) in claims {
            if let Some(claim) = claim {
                object.text(key, cuts.text(member, claim));
            }
        }
    });
}

fn principal(object: &mut Object<'_>, principal: &Principal, cuts: &mut Cuts) {
    object.object("principal", |object| {
        object.text("entry_point", principal.entry_point.as_str());
        object.text("subject", principal.subject.as_str());
        let roles: Vec<_> = principal.roles.iter().map(|role| role.as_str()).collect();
        cuts.names(object, "roles", "principal.roles", roles.iter().copied());
        let agents: Vec<_> = principal.agents.iter().map(|agent| agent.as_str()).collect();
        cuts.names(object, "agents", "principal.agents", agents.iter().copied());
        let sources: Vec<_> = principal.sources.iter().map(|source| source.as_str()).collect();
        cuts.names(object, "sources", "principal.sources", sources.iter().copied());
        if let Some(txn) = principal.claimed() {
            object.text("txn", txn.as_str());
        }
        if let Some(until) = principal.until {
            object.time("until", until);
        }
    });
}

fn stores(facts: &CallFacts) -> &'static str {
    use crate::model::call::Stores;
    match facts.stores {
        Stores::Nothing => "nothing",
        Stores::Subject => "subject",
        Stores::All => "all",
    }
}

/// What a call is for, under the word for its class.
fn target(object: &mut Object<'_>, target: &Target, cuts: &mut Cuts) {
    let class = target.class().code();
    match target {
        Target::Tool(id) => tool(object, id),
        other => {
            let written = Bounded::<TARGET_BYTES_MAX>::new(&other.to_string());
            object.text(class, cuts.text(class, &written));
        }
    }
}

fn tool(object: &mut Object<'_>, tool: &ToolId) {
    object.dotted("tool", tool.upstream.as_str(), tool.tool.as_str());
}

fn barrier(object: &mut Object<'_>, change: &BarrierChange) {
    let (word, whose) = match change {
        BarrierChange::Revoke(who) => ("revoked", Ok(who)),
        BarrierChange::Lift(who) => ("lifted", Ok(who)),
        BarrierChange::Close(source) => ("closed", Err(source)),
        BarrierChange::Open(source) => ("opened", Err(source)),
    };
    object.text("change", word);
    match whose {
        Ok(who) => revoked(object, who),
        Err(source) => object.text("source", source.as_str()),
    }
}

pub(super) fn revoked(object: &mut Object<'_>, who: &Revoked) {
    match who {
        Revoked::Subject(subject) => object.text("subject", subject.as_str()),
        Revoked::EntryPoint(name) => object.text("entry_point", name.as_str()),
    }
}

pub(super) fn actor(object: &mut Object<'_>, actor: Option<&crate::model::run::Actor>) {
    if let Some(actor) = actor {
        object.object("by", |object| object.number("uid", u64::from(actor.uid)));
    }
}

fn latency(object: &mut Object<'_>, latency: Latency) {
    object.object("latency_us", |object| {
        object.number("decide", micros(latency.decide));
        object.number("journal", micros(latency.journal));
        object.number("upstream", micros(latency.upstream));
        object.number("total", micros(latency.total));
    });
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
