//! The bodies of `mint` and `token_key`.
//!
//! Must never write an attribute of a trigger: the start of the run has them. What a token says of its
//! trigger stands here as a digest, so that token and record can be matched.

use super::{Cuts, actor};
use crate::audit::event::{Event, KeyChange, MintFacts, MintResult, MintedBy};
use crate::audit::line::Object;
use crate::model::digest::Sha256;
use crate::model::mint::TokenRequest;
use crate::model::run::Actor;

/// The members of `event`, where it is one of these.
pub(super) fn event(object: &mut Object<'_>, event: &Event, cuts: &mut Cuts) {
    match event {
        Event::Mint(facts) => mint(object, facts, cuts),
        Event::TokenKey { change, kid, by } => token_key(object, *change, kid, by.as_ref()),
        _ => {}
    }
}

fn mint(object: &mut Object<'_>, facts: &MintFacts, cuts: &mut Cuts) {
    match &facts.by {
        MintedBy::Operator(by) => actor(object, Some(by)),
        MintedBy::Dispatcher(name) => object.text("dispatcher", name.as_str()),
    }
    object.text("act", facts.act.as_str());
    if let Some(request) = &facts.request {
        label(object, request, cuts);
    }
    match &facts.result {
        MintResult::Made { txn, expires, jti_sha256, kid } => {
            object.text("result", "made");
            object.text("txn", txn.as_str());
            object.time("expires", *expires);
            object.digest("jti_sha256", jti_sha256);
            object.text("kid", kid);
        }
        MintResult::Refused { reason, detail } => {
            object.text("result", "refused");
            object.text("reason", reason.code());
            object.text("detail", cuts.text("detail", detail));
        }
    }
}

fn label(object: &mut Object<'_>, request: &TokenRequest, cuts: &mut Cuts) {
    object.object("label", |object| {
        object.text("subject", request.subject.as_str());
        let roles: Vec<_> = request.roles.iter().map(|role| role.as_str()).collect();
        cuts.names(object, "roles", "label.roles", roles.iter().copied());
        let agents: Vec<_> = request.agents.iter().map(|agent| agent.as_str()).collect();
        cuts.names(object, "agents", "label.agents", agents.iter().copied());
        let sources: Vec<_> = request.sources.iter().map(|source| source.kind.as_str()).collect();
        cuts.names(object, "sources", "label.sources", sources.iter().copied());
        if let Some(goal) = &request.goal {
            object.text("goal", goal.as_str());
        }
        let src = serde_json::to_vec(&request.sources).unwrap_or_default();
        object.digest("src_sha256", &Sha256::of(&src));
    });
}

fn token_key(object: &mut Object<'_>, change: KeyChange, kid: &str, by: Option<&Actor>) {
    object.text("change", change.as_str());
    object.text("kid", kid);
    actor(object, by);
}
