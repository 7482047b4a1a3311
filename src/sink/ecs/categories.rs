//! Which categories of the Elastic Common Schema a record belongs to.
//!
//! Must never give a type that the schema does not expect of the category, which the tests check: a dashboard that asks for
//! both would not find it.

use crate::audit::{Kind, UpstreamState};
use crate::sink::told::Told;

/// The categorisation fields (`event.kind`, `event.category`, `event.type`).
#[derive(Debug)]
pub(super) struct Category {
    pub(super) kind: &'static str,
    pub(super) categories: &'static [&'static str],
    pub(super) types: &'static [&'static str],
}

/// Where what is told belongs.
pub(super) fn category(told: Told<'_>) -> Category {
    if told.is_finding() {
        let (categories, types) = (&["intrusion_detection"], &["info"]);
        return Category { kind: "alert", categories, types };
    }
    let (categories, types) = of_kind(told);
    Category { kind: "event", categories, types }
}

type Words = &'static [&'static str];

fn of_kind(told: Told<'_>) -> (Words, Words) {
    let change = told.text("/change");
    match (told.kind, change.as_deref()) {
        (Kind::Outcome | Kind::Unknown | Kind::Intent, _) => (&["api"], &["access", "allowed"]),
        (Kind::Denial, _) => (&["api"], &["access", "denied"]),
        (Kind::List, _) => (&["api"], &["access"]),
        (Kind::AuthFailures | Kind::Mint, _) => (&["authentication"], &["start"]),
        (Kind::RunStart, _) => (&["session"], &["start"]),
        (Kind::RunEnd, _) => (&["session"], &["end"]),
        (Kind::Taint, _) => (&["session"], &["info"]),
        (Kind::Revocation, _) if told.subject().is_some() => (&["iam"], &["user", "change"]),
        (Kind::Revocation, _) => (&["iam"], &["admin", "change"]),
        (Kind::TokenKey, Some("made")) => (&["iam"], &["admin", "creation"]),
        (Kind::TokenKey | Kind::AuditKey, _) => (&["iam"], &["admin", "change"]),
        (Kind::Erasure, _) => (&["iam"], &["user", "deletion"]),
        (Kind::Pin, Some("new" | "first")) => (&["configuration"], &["creation"]),
        (Kind::Pin, Some("forgotten")) => (&["configuration"], &["deletion"]),
        (Kind::Pin | Kind::Source | Kind::StoredCleared | Kind::Reload, _) => {
            (&["configuration"], &["change"])
        }
        (Kind::Start, _) => (&["process"], &["start"]),
        (Kind::Stop, _) => (&["process"], &["end"]),
        (Kind::Upstream, _) => (&["process"], upstream(told)),
        (Kind::Segment, _) => (&["file"], &["creation"]),
        (Kind::Retired, _) => (&["file"], &["deletion"]),
        (Kind::Suspended | Kind::Resumed | Kind::Plan | Kind::Grant | Kind::Approval, _) => {
            (&["api"], &["info"])
        }
        (
            Kind::State
            | Kind::Commit
            | Kind::Restated
            | Kind::Torn
            | Kind::Gap
            | Kind::Halted
            | Kind::Checkpoint,
            _,
        ) => (&["file"], &["info"]),
    }
}

fn upstream(told: Told<'_>) -> Words {
    if told.is_state(UpstreamState::Started) || told.is_state(UpstreamState::Failed) {
        return &["start"];
    }
    if told.is_state(UpstreamState::Exited) {
        return &["end"];
    }
    let is_breaker = told.is_state(UpstreamState::BreakerOpen) || told.is_state(UpstreamState::BreakerClosed);
    if is_breaker { &["change"] } else { &["info"] }
}
