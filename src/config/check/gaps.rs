//! Whether everything that was written was understood, or said to be wrong.
//!
//! Must never let a table vanish in silence: it would be a hole (I2).

use super::Consents;
use crate::config::code::Code;
use crate::config::file::Loaded;
use crate::config::problem::Sink;
use crate::config::raw::Document;
use crate::limit::Budget;
use crate::{downstream, identity, upstream};

/// What the tables of a document mean.
pub(super) struct Understood<'a> {
    pub(super) identity: &'a identity::Settings,
    pub(super) consents: &'a Consents,
    pub(super) mint: Option<&'a identity::MintSettings>,
    pub(super) listeners: &'a [downstream::ListenSettings],
    pub(super) upstreams: &'a [upstream::Settings],
    pub(super) budgets: &'a [Budget],
    pub(super) notifiers: usize,
}

/// What was left out has to have been reported.
pub(super) fn refuse(document: &Document, understood: &Understood<'_>, loaded: &Loaded, found: &Sink) {
    let Understood { identity, consents, mint, listeners, upstreams, budgets, notifiers } = understood;
    let Consents { people, webhooks, plans, reviewer: _, approvers, quorums } = consents;
    let minters = usize::from(mint.is_some());
    let pairs = [
        (document.keys.len(), identity.keys.len()),
        (document.clients.len(), identity.clients.len()),
        // The gateway's own issuer is written nowhere.
        (document.issuers.len(), identity.issuers.len().saturating_sub(minters)),
        (document.people.len(), people.len()),
        (document.webhooks.len(), webhooks.len()),
        (usize::from(document.mint.is_some()), minters),
        (document.dispatchers.len(), mint.map_or(0, |mint| mint.dispatchers.len())),
        (document.listen.len(), listeners.len()),
        (document.upstreams.len(), upstreams.len()),
        (document.budgets.len(), budgets.len()),
        (document.flows.len(), plans.flows.len()),
        (document.requests.len(), plans.shapes.len()),
        (document.approvers.len(), approvers.len()),
        (document.quorums.len(), quorums.len()),
        (document.notify.len(), *notifiers),
        (usize::from(document.reviewer.is_some()), usize::from(plans.outside.is_some())),
    ];
    if pairs.iter().any(|(written, understood)| written != understood) && !found.has_errors() {
        let message = "a table was not understood, and nothing says why";
        found.error(Code::BadValue, &loaded.start, message, "please report this as a fault of Sluicegate");
    }
}
