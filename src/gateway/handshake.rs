//! Agreeing on a revision: `initialize` of the 2025 revisions, `server/discover` of 2026-07-28, `ping`.
//!
//! Must state only what the gateway can carry. The era is told per message, never remembered for an
//! endpoint: clients probe one and then use the other.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::Gateway;
use super::able::Able;
use super::exchange::{self, Caller, Exchange};
use super::port::{ProtocolHeaders, Reply};
use super::refusal::Refusal;
use super::session::Introduced;
use super::world::World;
use crate::model::facts::CLAIM_BYTES_MAX;
use crate::model::reason::Reason;
use crate::model::target::Class;
use crate::model::text::Bounded;
use crate::upstream::Feature;
use crate::wire::{Fault, LogLevel, Request, Revision, encode, headers, task};

/// The revisions that are spoken downstream, newest first.
pub(super) const REVISIONS: [Revision; 4] =
    [Revision::V2026_07_28, Revision::V2025_11_25, Revision::V2025_06_18, Revision::V2025_03_26];

/// The newest revision that is agreed on by `initialize`.
pub(super) const LATEST_HANDSHAKE: Revision = Revision::V2025_11_25;

const SERVER_INFO_META: &str = "io.modelcontextprotocol/serverInfo";

impl Gateway {
    /// 2025-11-25, basic/lifecycle, "Initialization": echoes a version that is spoken here, otherwise
    /// answers with the newest; never an error. Opens the session.
    pub(super) fn initialize(self: &Arc<Self>, exchange: Exchange) -> Result<Reply, Box<Refusal>> {
        let facts = exchange.facts();
        let refuse = |reason| Refusal::error(facts.clone(), reason, exchange.id());
        let params = exchange.request.params.as_ref().ok_or_else(|| refuse(Reason::ParamsInvalid))?;
        let asked = params
            .text("protocolVersion")
            .and_then(Result::ok)
            .ok_or_else(|| refuse(Reason::ParamsInvalid))?;
        // 2024-11-05 has no Streamable HTTP, so it is not announced; but a client on stdio may speak it
        // through `connect`, and its messages are those of the revision after it.
        let revision =
            Revision::parse(&asked).filter(|revision| !revision.is_modern()).unwrap_or(LATEST_HANDSHAKE);
        let client = exchange::client_info(params.get("clientInfo"));
        let introduced = Introduced { client, able: Able::of(params.get("capabilities")) };
        let principal = Arc::clone(&exchange.caller.principal);
        let session =
            self.sessions.open(principal, revision, introduced, self.clock.monotonic()).map_err(refuse)?;
        // A reload that hung up on the caller before the session was there did not see it.
        self.stands(&exchange.caller).inspect_err(|_| self.sessions.close(&session)).map_err(refuse)?;
        let result = json!({
            "protocolVersion": revision.as_str(),
            "capabilities": self.capabilities(&exchange, revision),
            "serverInfo": server_info(),
        });
        let body = encode_result(&exchange, &result);
        Ok(Reply::Json { status: StatusCode::OK, body, session: Some(session.id.to_string()) })
    }

    /// 2026-07-28, server/discover: what is spoken here. No session, no side effect.
    pub(super) fn discover(&self, exchange: &Exchange) -> Reply {
        let supported: Vec<_> = REVISIONS.iter().map(|revision| revision.as_str()).collect();
        json_reply(
            exchange,
            &json!({
                "resultType": "complete",
                "supportedVersions": supported,
                "capabilities": self.capabilities(exchange, exchange.revision),
                "ttlMs": 0,
                "cacheScope": "private",
                "_meta": { SERVER_INFO_META: server_info() },
            }),
        )
    }

    /// What the gateway carries for this credential. A class that nothing opens to it is not there for it.
    fn capabilities(&self, exchange: &Exchange, revision: Revision) -> serde_json::Value {
        let world = self.worlds.now();
        let opens = |class| world.policy.may_show(&exchange.caller.principal, class, "*", world.now());
        // A server that was never started may tell of changes.
        let subscribe = world.catalogue.servers().iter().any(|server| {
            let features = world.fleet.features(&server.name);
            features.is_none_or(|features| features.has(Feature::Subscriptions))
        });
        let mut all = json!({ "tools": { "listChanged": true }, "logging": {} });
        let beside = [
            (Class::Prompt, "prompts", json!({ "listChanged": true })),
            (Class::Resource, "resources", json!({ "subscribe": subscribe, "listChanged": true })),
            (Class::Completion, "completions", json!({})),
        ];
        if let Some(all) = all.as_object_mut() {
            let open = beside.into_iter().filter(|(class, ..)| opens(*class));
            all.extend(open.map(|(_, name, value)| (name.to_owned(), value)));
            all.extend(tasks(&world, revision));
        }
        all
    }
}

/// What is said of tasks, in the form of the client's revision: what one of the tool servers has that speaks it,
/// because a task is not carried from one form into the other.
fn tasks(world: &World, revision: Revision) -> Option<(String, serde_json::Value)> {
    let servers = world.catalogue.servers().iter();
    let mut features = servers.filter_map(|server| world.fleet.features(&server.name));
    let mut has = |feature| features.any(|features| features.has(feature));
    if revision.is_modern() {
        let extensions = json!({ task::EXTENSION: {} });
        return has(Feature::TaskExtension).then(|| ("extensions".to_owned(), extensions));
    }
    let tasks = json!({ "cancel": {}, "requests": { "tools": { "call": {} } } });
    let is_known = revision == Revision::V2025_11_25 && has(Feature::Tasks);
    is_known.then(|| ("tasks".to_owned(), tasks))
}

/// 2025-11-25, server/utilities/logging, "Setting Log Level": for this session, from the next call on.
pub(super) fn set_level(exchange: &Exchange) -> Result<Reply, Box<Refusal>> {
    let invalid = || Refusal::error(exchange.facts(), Reason::ParamsInvalid, exchange.id());
    let level = exchange.request.params.as_ref().and_then(|params| params.text("level")?.ok());
    let level = level.and_then(|level| LogLevel::parse(&level)).ok_or_else(invalid)?;
    let session = exchange.session.as_ref().ok_or_else(invalid)?;
    session.set_level(level);
    Ok(json_reply(exchange, &json!({})))
}

/// 2025-11-25, basic/utilities/ping: an empty result.
pub(super) fn pong(exchange: &Exchange) -> Reply {
    json_reply(exchange, &json!({}))
}

/// Checks a request that states its revision itself (2026-07-28, basic, "Request Metadata" and
/// basic/transports, "Standard Headers"). A client that disagrees with itself is told so before anything
/// else: first what the body lacks, then what the headers say, then what is not spoken here.
pub(super) fn modern(
    caller: &Caller,
    request: &Request,
    claimed: &Result<String, Fault>,
) -> Result<Revision, Reason> {
    let ProtocolHeaders { protocol_version, method, name, .. } = &caller.headers;
    headers::check(request, &headers::Presented { version: protocol_version, method, name })
        .map_err(|fault| fault.reason())?;
    let claimed = claimed.as_ref().map_err(Fault::reason)?;
    Revision::parse(claimed)
        .filter(|revision| revision.is_modern() && REVISIONS.contains(revision))
        .ok_or(Reason::RevisionUnsupported)
}

/// 2025-11-25, basic/transports, "Protocol Version Header": an unsupported version is a 400. It may differ
/// from what the session agreed on: clients in the field send their newest.
pub(super) fn check_version_header(headers: &ProtocolHeaders) -> Result<(), Reason> {
    match headers.protocol_version.as_slice() {
        [] => Ok(()),
        [one] => {
            let revision = std::str::from_utf8(one).ok().and_then(Revision::parse);
            match revision {
                // 2026-07-28, basic, "Request Metadata": what it says of itself is missing in the body.
                Some(revision) if revision.is_modern() => Err(Reason::ParamsInvalid),
                Some(_) => Ok(()),
                None => Err(Reason::RevisionUnsupported),
            }
        }
        _ => Err(Reason::HeaderMismatch),
    }
}

/// The version that a request asks for: the body's claim, else the header's.
pub(super) fn requested_version(caller: &Caller, request: &Request) -> Option<Bounded<CLAIM_BYTES_MAX>> {
    let claimed = headers::claimed_revision(request.params.as_ref()).and_then(Result::ok);
    let in_header = || {
        let first = caller.headers.protocol_version.first()?;
        Some(String::from_utf8_lossy(first).into_owned())
    };
    claimed.or_else(in_header).map(|version| Bounded::new(&version))
}

/// Whether a request without a body states 2026-07-28 or later in its header.
pub(super) fn is_modern_header(headers: &ProtocolHeaders) -> bool {
    let stated = headers.protocol_version.iter().filter_map(|raw| std::str::from_utf8(raw).ok());
    stated.filter_map(Revision::parse).any(Revision::is_modern)
}

fn server_info() -> serde_json::Value {
    json!({ "name": "sluicegate", "version": env!("CARGO_PKG_VERSION") })
}

fn json_reply(exchange: &Exchange, result: &serde_json::Value) -> Reply {
    Reply::Json { status: StatusCode::OK, body: encode_result(exchange, result), session: None }
}

fn encode_result(exchange: &Exchange, result: &serde_json::Value) -> Bytes {
    encode::result(&exchange.request.id, result.to_string().as_bytes())
}
