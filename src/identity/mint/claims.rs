//! The claims of a run token of the gateway's own (DESIGN §5, "The run token").
//!
//! Must never be read from a token whose signature was not verified with a key of this gateway.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::mint::{AskedSource, Carrier, TokenRequest};
use crate::model::name::{AgentName, Goal, RoleName, Subject, Txn};

/// The claims, in the order they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: String,
    /// The run.
    pub(super) txn: Txn,
    /// When the first token of this run was made here: renewals end with the run.
    pub(super) txn_iat: i64,
    pub(super) sub: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) act: Option<Act>,
    /// Who asked for the first token of the run.
    pub(super) req_wl: String,
    pub(super) roles: Vec<RoleName>,
    pub(super) scope: String,
    pub(super) tctx: TriggerContext,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) rctx: Map<String, Value>,
}

/// RFC 8693, 4.1: who acts, and through whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Act {
    sub: AgentName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    act: Option<Box<Self>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TriggerContext {
    src: Vec<AskedSource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
}

/// The only scope there is.
pub(super) const SCOPE: &str = "mcp";

/// What does not come from the request.
pub(super) struct Stamps<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: String,
    pub(super) txn: Txn,
    pub(super) txn_iat: i64,
    pub(super) req_wl: String,
}

impl Claims {
    pub(super) fn new(request: &TokenRequest, stamps: Stamps<'_>) -> Self {
        Self {
            iss: stamps.issuer.to_owned(),
            aud: stamps.audience.to_owned(),
            iat: stamps.iat,
            exp: stamps.exp,
            jti: stamps.jti,
            txn: stamps.txn,
            txn_iat: stamps.txn_iat,
            sub: request.subject.clone(),
            act: act(&request.agents),
            req_wl: stamps.req_wl,
            roles: request.roles.iter().cloned().collect(),
            scope: SCOPE.to_owned(),
            tctx: TriggerContext { src: request.sources.clone(), goal: request.goal.clone() },
            rctx: request.context.clone(),
        }
    }

    /// The request that these claims answer, so that a renewal is asked like a first token.
    pub(super) fn request(&self, carrier: Carrier) -> TokenRequest {
        let mut agents = Vec::new();
        let mut next = self.act.as_ref();
        while let Some(act) = next {
            agents.push(act.sub.clone());
            next = act.act.as_deref();
        }
        TokenRequest {
            sources: self.tctx.src.clone(),
            subject: self.sub.clone(),
            roles: self.roles.iter().cloned().collect(),
            agents,
            goal: self.tctx.goal.clone(),
            context: self.rctx.clone(),
            txn: Some(self.txn.clone()),
            ttl_s: None,
            carrier,
        }
    }
}

/// The one that calls first is outermost.
fn act(agents: &[AgentName]) -> Option<Act> {
    agents.iter().rev().fold(None, |act, agent| Some(Act { sub: agent.clone(), act: act.map(Box::new) }))
}
