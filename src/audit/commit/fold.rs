//! What each record that is written does to the live state.
//!
//! Must never say anything else than what the reader of the same record says ([`super::super::read`]): a test compares
//! the two.

use std::borrow::Cow;
use std::sync::Arc;

use crate::audit::Seq;
use crate::audit::encode;
use crate::audit::event::{Event, GrantChange};
use crate::audit::live::{Change, Intended, Live, LiveRun};
use crate::audit::queue::{Body, Entry};
use crate::model::claim::Claim;
use crate::model::facts::CallFacts;
use crate::model::target::Target;
use crate::plan::{Grant, Held};

pub(super) fn fold_entry(live: &mut Live, seq: Seq, entry: &Entry) {
    let at = entry.stamp.wall;
    let tool_text;
    let change = match &entry.body {
        Body::Intent(facts, _) => {
            tool_text = facts.target.as_ref().and_then(Target::tool).map(|tool| tool.to_string().into());
            Change::Intended(intended(facts, tool_text))
        }
        Body::Outcome { intent, .. } => Change::Ended(*intent),
        Body::Event { event, .. } => change_of(event, at),
        Body::Close => Change::None,
    };
    live.apply(seq, at, change);
    if let Some(facts) = facts_of(&entry.body) {
        live.charge(at, &facts.metered.charges);
    }
}

/// The facts of the call that `body` records, where it may count for budgets.
fn facts_of(body: &Body) -> Option<&CallFacts> {
    match body {
        Body::Intent(facts, _) => Some(facts),
        Body::Outcome { .. } | Body::Close => None,
        Body::Event { event, .. } => match &**event {
            Event::Denial { facts, .. }
            | Event::List { facts, .. }
            | Event::Suspended { facts, .. }
            | Event::Resumed { facts, .. }
            | Event::Plan { facts, .. } => Some(facts),
            Event::Grant { .. } | Event::Approval { .. } => None,
            Event::AuthenticationFailures { .. }
            | Event::RunStart { .. }
            | Event::RunEnd { .. }
            | Event::Barrier { .. }
            | Event::Taint { .. }
            | Event::StoredCleared { .. }
            | Event::Erasure { .. }
            | Event::Pin { .. }
            | Event::Upstream { .. }
            | Event::Mint(_)
            | Event::TokenKey { .. }
            | Event::AuditKey { .. }
            | Event::Retired { .. }
            | Event::Reload { .. } => None,
        },
    }
}

fn intended(facts: &CallFacts, tool: Option<Arc<str>>) -> Intended<'_> {
    Intended {
        run: facts.run.as_ref(),
        entry_point: &facts.principal.entry_point,
        subject: &facts.principal.subject,
        provenance: &facts.provenance,
        adds: &facts.adds,
        upstream: facts.target.as_ref().map(Target::upstream),
        tool,
        stores: facts.stores,
        txn: facts.principal.claimed(),
        until: facts.principal.until,
        step: facts.step.as_ref(),
        like: facts.like.as_ref(),
        past: facts.past.as_deref(),
        approval: facts.approval.as_ref(),
    }
}

/// What a request says of its run, and what was granted by it; of one that has ended, where it belonged to none.
fn used<'a>(facts: &'a CallFacts, grant: Option<&'a Grant>) -> Change<'a> {
    let CallFacts { principal, provenance, adds, .. } = facts;
    match (&facts.run, principal.claimed()) {
        (Some(run), _) => {
            Change::Used { run, provenance: Some(provenance), adds, until: principal.until, grant }
        }
        (None, Some(txn)) => {
            Change::Late { entry_point: &principal.entry_point, txn, until: principal.until }
        }
        (None, None) => Change::None,
    }
}

fn change_of(event: &Event, at: jiff::Timestamp) -> Change<'_> {
    match event {
        Event::Denial { facts, .. }
        | Event::List { facts, .. }
        | Event::Suspended { facts, .. }
        | Event::Resumed { facts, .. } => used(facts, None),
        Event::Plan { facts, plan, .. } => used(facts, plan.result.grant()),
        Event::Grant { run, change: GrantChange::Done(concluded), .. } => Change::StepDone { run, concluded },
        Event::Grant { run, change: GrantChange::Answered { grant, step, word, .. }, .. } => {
            Change::StepAnswered { run, grant: *grant, step: step.as_str(), word: *word }
        }
        Event::Grant { run, change: GrantChange::Agreed { grant, step, by }, .. } => {
            Change::StepAgreed { run, grant: *grant, step: step.as_str(), by }
        }
        Event::Approval { change, asked, grant, by, .. } => {
            Change::Question { change: *change, asked, by: by.as_ref(), grant: grant.as_deref() }
        }
        Event::RunStart { run, principal, session, origin, history } => Change::RunStarted(LiveRun {
            run: run.clone(),
            entry_point: principal.entry_point.clone(),
            subject: principal.subject.clone(),
            session: session.as_deref().map(|session| encode::session_digest(session).into()),
            claim: Claim::of(principal),
            origin: origin.clone(),
            provenance: principal.sources.clone(),
            started: at,
            used: at,
            history: *history,
            plans: Held::default(),
        }),
        Event::RunEnd { run, why, until, unstarted, .. } => {
            let unstarted = unstarted.as_ref().map(|claim| (&claim.entry_point, &claim.txn));
            Change::RunEnded { run, why: *why, until: *until, unstarted }
        }
        Event::Barrier { change, by } => Change::Barrier { change: Cow::Borrowed(change), by: *by },
        Event::Taint { run, adds, entries, .. } => Change::Joined { run, adds, entries },
        Event::StoredCleared { upstream, subject, .. } => {
            Change::StoredCleared { upstream, subject: subject.as_ref() }
        }
        Event::AuthenticationFailures { .. }
        | Event::Erasure { .. }
        | Event::Pin { .. }
        | Event::Mint(_)
        | Event::TokenKey { .. }
        | Event::AuditKey { .. }
        | Event::Retired { .. }
        | Event::Upstream { .. }
        | Event::Reload { .. } => Change::None,
    }
}
