//! What is allowed and should be known: names without use, roles that disagree, what lies outside.
//!
//! Must never refuse anything.

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::{self, Document, Row, Upstream};
use crate::model::glob::overlaps;
use crate::model::principal::{Principal, RunScope};

use super::entry_point::Labels;
use super::{Scope, user};

pub(super) fn say(document: &Document, labels: &Labels<'_>, scope: Scope<'_>) {
    let names = scope.names;
    // What uses a name may be what could not be read.
    if !scope.found.has_errors() {
        names.sources.warn_unused("let a credential vouch for it, or an upstream return it", scope.found);
        names.roles.warn_unused("let a credential vouch for it", scope.found);
        names.agents.warn_unused("let a credential vouch for it", scope.found);
    }
    for (principal, _) in &labels.made {
        disagreements(principal, &document.roles, scope);
    }
    subject_runs(labels, scope);
    same_uid(document, scope);
    minting(document, scope);
}

/// A role's `deny` binds that role's own lists and not another role's (DESIGN §4.2).
fn disagreements(principal: &Principal, rows: &[Row], scope: Scope<'_>) {
    let held: Vec<&Row> = rows
        .iter()
        .filter(|row| principal.roles.iter().any(|role| role.as_str() == row.name.value))
        .collect();
    for denying in &held {
        for other in held.iter().filter(|other| other.name.value != denying.name.value) {
            let (Some(denying_lists), Some(other_lists)) = (denying.tools(), other.tools()) else { continue };
            for entry in &denying_lists.deny {
                let raw::Lists { allow, plan, ask, .. } = other_lists;
                let mut opens = allow.iter().chain(plan).chain(ask);
                let Some(open) = opens.find(|open| overlaps(&open.value, &entry.value)) else { continue };
                let message = format!(
                    "the role `{}` denies `{}`, and `{}` opens `{}`: who holds both, like `{}`, is not denied",
                    denying.name.value, entry.value, other.name.value, open.value, principal.entry_point,
                );
                let help = "roles join by the loosest; what is forbidden whatever the roles are stands in a \
                            source or an agent";
                scope.found.warn(Code::RoleDisagreement, &entry.place, message, help);
            }
        }
    }
}

fn subject_runs(labels: &Labels<'_>, scope: Scope<'_>) {
    let of_subject = |(principal, _): &&(_, _)| {
        let principal: &std::sync::Arc<Principal> = principal;
        principal.runs.scope == RunScope::Subject
    };
    if let Some((principal, place)) = labels.made.iter().find(of_subject) {
        let message = format!(
            "a run of `{}` ends after `run_idle` or `run_max`, and with it what it was tainted with",
            principal.entry_point
        );
        let help = "what an agent still remembers after that is outside: end its memory with its runs, or \
                    raise them";
        scope.found.note(Code::SubjectRun, place, message, help);
    }
}

fn same_uid(document: &Document, scope: Scope<'_>) {
    let own_uid = scope.machine.uid;
    let runs_as_us = |upstream: &&Upstream| upstream.command.is_some() && user::is_own(upstream, scope);
    if let Some(upstream) = document.upstreams.iter().find(runs_as_us) {
        let message = format!(
            "`[upstreams.{}]` runs under the gateway's own uid {own_uid}: it can read the journal and every \
             secret, speak to the admin socket, and stop or become the gateway",
            upstream.name.value
        );
        let help = "write `user = \"…\"` to start it under another uid; else start only programs that you \
                    trust with all of that";
        scope.found.note(Code::SameUid, &upstream.name.place, message, help);
    }
    let is_us = |uid: &Located<String>| uid.value == "self" || uid.value.parse() == Ok(own_uid);
    let peers = document.listen.iter().flat_map(|listen| &listen.peers);
    if let Some((uid, _)) = peers.into_iter().find(|(uid, _)| is_us(uid)) {
        let message = format!(
            "agents that connect under the gateway's own uid {own_uid} can read the journal and every secret, \
             speak to the admin socket, and take any label there is"
        );
        let help = "right on a laptop that you give up to its agents; else give agents a uid of their own";
        scope.found.note(Code::SameUid, &uid.place, message, help);
    }
}

fn minting(document: &Document, scope: Scope<'_>) {
    if let Some(mint) = &document.mint {
        let message = "whoever runs under the uid of the gateway can mint every label that `[auth.mint]` may \
                       assert: an agent too, where it runs under that uid";
        let help = "start agents under another uid: `sluicegate run --user NAME -- COMMAND`";
        scope.found.note(Code::SameUid, &mint.place, message, help);
    }
}
