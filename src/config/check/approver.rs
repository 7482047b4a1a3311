//! `[[approvers]]`: who each is, and which questions they may answer.
//!
//! Must never let somebody be an approver who could not be told from others: a uid, or a subject that a named entry
//! point vouches for.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::code::Code;
use crate::config::node::{Located, Node, suggestion};
use crate::config::raw::ApproverRule;
use crate::identity::Settings;
use crate::model::approver::{APPROVERS_MAX, Approver};
use crate::model::glob::Glob;
use crate::model::name::{EntryPointName, Subject};
use crate::model::person::Person;
use crate::model::place::Place;
use crate::model::principal::Principal;

use super::Scope;
use super::pattern::{each, glob, tool_glob};

/// `made` are the principals that entry points vouch for by configuration, `identity` has the issuers beside them.
pub(super) fn check(
    written: &[ApproverRule],
    made: &[(Arc<Principal>, Place)],
    identity: &Settings,
    scope: Scope<'_>,
) -> Vec<Approver> {
    if let Some(one) = written.get(APPROVERS_MAX) {
        let message = format!("more than {APPROVERS_MAX} approvers are declared");
        scope.found.error(Code::OutOfRange, &one.place, message, "let a subject stand for several people");
    }
    let checking = Checking { made, identity, scope };
    written.iter().filter_map(|one| checking.one(one)).collect()
}

#[derive(Clone, Copy)]
struct Checking<'a> {
    made: &'a [(Arc<Principal>, Place)],
    identity: &'a Settings,
    scope: Scope<'a>,
}

impl Checking<'_> {
    fn one(self, written: &ApproverRule) -> Option<Approver> {
        let Scope { found, names, .. } = self.scope;
        // Every part is checked before the first `?`, so that all problems are reported at once.
        let person = self.person(written);
        let sources = each(&written.sources, "sources", found, |source| names.sources.take(source, found));
        let tools = each(&written.tools, "tools", found, |tool| tool_glob(tool, self.scope));
        let subjects = each(&written.subjects, "subjects", found, |subject| glob(subject, found));
        Some(Approver {
            person: person?,
            sources: written.sources.is_some().then(|| sources.into_iter().collect::<BTreeSet<_>>()),
            tools: written.tools.is_some().then_some(tools),
            subjects: written.subjects.is_some().then_some(subjects),
            place: written.place.clone(),
        })
    }

    fn person(self, written: &ApproverRule) -> Option<Person> {
        let found = self.scope.found;
        let ApproverRule { place, uid, entry_point, subject, .. } = written;
        match (uid, entry_point, subject) {
            (Some(uid), None, None) => self.uid(uid),
            (None, Some(entry_point), Some(subject)) => self.subject(entry_point, subject),
            // What is there and wrong is not also missing.
            (None, None, None) if !found.lacks(place, &["uid", "entry_point", "subject"]) => None,
            (None, Some(_), None) if !found.lacks(place, &["subject"]) => None,
            (None, None, Some(_)) if !found.lacks(place, &["entry_point"]) => None,
            (None, ..) => {
                let message = "this approver is nobody that could be told from others";
                found.error(Code::MissingKey, place, message, WHO_HELP);
                None
            }
            (Some(_), ..) => {
                let message = "an approver is one person: a uid, or a subject of an entry point";
                found.error(Code::Conflict, place, message, WHO_HELP);
                None
            }
        }
    }

    fn uid(self, written: &Located<Node>) -> Option<Person> {
        let uid = match &written.value {
            Node::Integer(uid) => u32::try_from(*uid).ok(),
            other => {
                let message = format!("`uid` takes an integer, and {} was written", other.kind());
                self.scope.found.error(Code::WrongType, &written.place, message, "write a number like 1000");
                return None;
            }
        };
        if uid.is_none() {
            let help = "write a uid of this machine, like 1000";
            self.scope.found.error(Code::OutOfRange, &written.place, "no user has such a uid", help);
        }
        uid.map(|uid| Person::Uid { uid })
    }

    fn subject(self, entry_point: &Located<String>, subject: &Located<String>) -> Option<Person> {
        let found = self.scope.found;
        let Ok(name) = Subject::new(&subject.value) else {
            let message = format!("`{}` names no subject", subject.value);
            found.error(Code::BadName, &subject.place, message, "write `subject = \"user:4711\"`");
            return None;
        };
        let Some(declared) = self.entry_point(&entry_point.value) else {
            let known: Vec<_> = self.entry_points().map(|(name, _)| name.as_str()).collect();
            let message = format!("the entry point `{}` is not declared", entry_point.value);
            let help = suggestion(&entry_point.value, &known);
            found.error(Code::UnknownEntryPoint, &entry_point.place, message, help);
            return None;
        };
        let (entry_point, vouches) = declared;
        if !vouches.vouches_for(&name) {
            let message =
                format!("`{entry_point}` vouches for no subject `{name}`, so nobody is this approver");
            let help = "name a subject that it vouches for, or another entry point";
            found.warn(Code::MatchesNothing, &subject.place, message, help);
        }
        Some(Person::Subject { entry_point: entry_point.clone(), subject: name })
    }

    /// The entry point of this name, and for whom it vouches.
    fn entry_point(&self, name: &str) -> Option<(&EntryPointName, Vouches<'_>)> {
        self.entry_points().find(|(entry_point, _)| entry_point.as_str() == name)
    }

    fn entry_points(&self) -> impl Iterator<Item = (&EntryPointName, Vouches<'_>)> {
        let made = self.made.iter();
        let made = made.map(|(principal, _)| (&principal.entry_point, Vouches::For(&principal.subject)));
        let issuers = self.identity.issuers.iter();
        let issuers =
            issuers.map(|issuer| (&issuer.entry_point, Vouches::ForAny(&issuer.may_assert.subjects)));
        made.chain(issuers)
    }
}

/// For whom an entry point vouches.
#[derive(Clone, Copy)]
enum Vouches<'a> {
    For(&'a Subject),
    ForAny(&'a [Glob]),
}

impl Vouches<'_> {
    fn vouches_for(self, subject: &Subject) -> bool {
        match self {
            Self::For(own) => own == subject,
            Self::ForAny(globs) => globs.iter().any(|glob| glob.matches(subject.as_str())),
        }
    }
}

const WHO_HELP: &str = "write `uid = 1000`, or `entry_point = \"issuers.…\"` and `subject = \"user:…\"`";
