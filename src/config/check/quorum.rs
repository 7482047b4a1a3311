//! `[[quorums]]`: how many people have to say yes.
//!
//! Must never let a rule pass that asks for nothing, nor keep silent where nobody could ever say yes.

use std::collections::BTreeSet;

use crate::config::code::Code;
use crate::config::node::{Located, Node};
use crate::config::raw::QuorumRule;
use crate::model::approver::Approver;
use crate::model::quorum::{OwnSubject, QUORUM_PEOPLE_MAX, QUORUMS_MAX, Quorum};

use super::Scope;
use super::pattern::{each, tool_glob};

/// `approvers` are those who may answer.
pub(super) fn check(written: &[QuorumRule], approvers: &[Approver], scope: Scope<'_>) -> Vec<Quorum> {
    if let Some(one) = written.get(QUORUMS_MAX) {
        let message = format!("more than {QUORUMS_MAX} quorums are declared");
        scope.found.error(Code::OutOfRange, &one.place, message, "let a pattern stand for several tools");
    }
    written.iter().filter_map(|quorum| one(quorum, approvers, scope)).collect()
}

fn one(written: &QuorumRule, approvers: &[Approver], scope: Scope<'_>) -> Option<Quorum> {
    let Scope { found, names, .. } = scope;
    let QuorumRule { place, exclude_subject, .. } = written;
    let sources = each(&written.sources, "sources", found, |source| names.sources.take(source, found));
    let tools = each(&written.tools, "tools", found, |tool| tool_glob(tool, scope));
    let own_subject = match exclude_subject {
        Some(Located { value: true, .. }) => OwnSubject::Excluded,
        Some(_) | None => OwnSubject::Counts,
    };
    let people = people(written, scope)?;
    if people == 1 && own_subject == OwnSubject::Counts {
        let help = "write `people = 2`, or `exclude_subject = true`";
        found.error(Code::BadValue, place, "this quorum asks for no more than any question does", help);
        return None;
    }
    let known: BTreeSet<_> = approvers.iter().map(|approver| &approver.person).collect();
    // Where nobody is named, whoever owns the gateway answers.
    if known.len().max(1) < usize::try_from(people).unwrap_or(usize::MAX) {
        let message = format!("{people} people have to say yes, and `[[approvers]]` names {}", known.len());
        found.warn(Code::MatchesNothing, place, message, "name as many people, or nobody can ever say yes");
    }
    Some(Quorum {
        people,
        own_subject,
        sources: written.sources.is_some().then(|| sources.into_iter().collect()),
        tools: written.tools.is_some().then_some(tools),
        place: place.clone(),
    })
}

/// How many people; one where only the subject of the run is excluded.
fn people(written: &QuorumRule, scope: Scope<'_>) -> Option<u32> {
    let Some(Located { value, place }) = &written.people else { return Some(1) };
    let help = format!("write a number from 1 to {QUORUM_PEOPLE_MAX}");
    let Node::Integer(number) = value else {
        let message = format!("`people` takes an integer, and {} was written", value.kind());
        scope.found.error(Code::WrongType, place, message, help);
        return None;
    };
    let people = u32::try_from(*number).ok().filter(|people| (1..=QUORUM_PEOPLE_MAX).contains(people));
    if people.is_none() {
        scope.found.error(Code::OutOfRange, place, format!("`people` cannot be {number}"), help);
    }
    people
}
