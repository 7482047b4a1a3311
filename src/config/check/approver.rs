//! `[[approvers]]`: who each is, and which questions they may answer.
//!
//! Must never let somebody be an approver who could not be told from others: a uid, or a subject that an entry point of
//! people signs in. What vouches for runs vouches for no person.

use std::collections::BTreeSet;

use crate::config::code::Code;
use crate::config::node::{Located, Node, suggestion};
use crate::config::raw::ApproverRule;
use crate::identity::{PeopleSettings, WebhookSettings};
use crate::model::approver::{APPROVERS_MAX, Approver};
use crate::model::name::Subject;
use crate::model::person::Person;

use super::Scope;
use super::pattern::{each, glob, tool_glob};

/// The entry points by which people are known: at providers, and by services that bring their word.
pub(super) type SignedIn<'a> = (&'a [PeopleSettings], &'a [WebhookSettings]);

/// `people` are the entry points by which people are known.
pub(super) fn check(written: &[ApproverRule], people: SignedIn<'_>, scope: Scope<'_>) -> Vec<Approver> {
    if let Some(one) = written.get(APPROVERS_MAX) {
        let message = format!("more than {APPROVERS_MAX} approvers are declared");
        scope.found.error(Code::OutOfRange, &one.place, message, "let a subject stand for several people");
    }
    let checking = Checking { people, scope };
    written.iter().filter_map(|one| checking.one(one)).collect()
}

#[derive(Clone, Copy)]
struct Checking<'a> {
    people: SignedIn<'a>,
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
        let (people, webhooks) = self.people;
        let provider = people.iter().find(|people| people.entry_point.as_str() == entry_point.value);
        let service = webhooks.iter().find(|service| service.entry_point.as_str() == entry_point.value);
        let entry_point = match (provider, service) {
            (Some(PeopleSettings { entry_point, subject: form, .. }), _) => {
                if !form.may_be(&name) {
                    let message = format!("nobody who signs in by `{entry_point}` is `{name}`, but `{form}`");
                    let help = "name a subject of that form, or another entry point";
                    found.warn(Code::MatchesNothing, &subject.place, message, help);
                }
                entry_point
            }
            (None, Some(service)) => {
                if !service.speaks_for(&name) {
                    let message = format!("`{}` does not speak for `{name}`", service.entry_point);
                    let help = "name a subject that its `subjects` match, or another entry point";
                    found.warn(Code::MatchesNothing, &subject.place, message, help);
                }
                &service.entry_point
            }
            (None, None) => {
                self.unknown(entry_point);
                return None;
            }
        };
        Some(Person::Subject { entry_point: entry_point.clone(), subject: name })
    }

    /// What vouches for runs is held by agents: nobody is known as a person by it.
    fn unknown(self, entry_point: &Located<String>) {
        let (people, webhooks) = self.people;
        let known = people.iter().map(|people| people.entry_point.as_str());
        let known: Vec<_> =
            known.chain(webhooks.iter().map(|service| service.entry_point.as_str())).collect();
        let is_of_people = ["people.", "webhooks."].iter().any(|of| entry_point.value.starts_with(of));
        let (message, help) = match is_of_people {
            true => (
                format!("the entry point `{}` is not declared", entry_point.value),
                suggestion(&entry_point.value, &known),
            ),
            false => (
                format!("`{}` signs no people in", entry_point.value),
                "people sign in by an entry point of `[auth.people.NAME]`: `entry_point = \"people.NAME\"`"
                    .to_owned(),
            ),
        };
        self.scope.found.error(Code::UnknownEntryPoint, &entry_point.place, message, help);
    }
}

const WHO_HELP: &str = "write `uid = 1000`, or `entry_point = \"people.…\"` and `subject = \"user:…\"`";
