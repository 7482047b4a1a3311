//! Who may answer questions that calls and plans wait for (`[[approvers]]`, DESIGN §4.5).
//!
//! Must never let anybody answer for a source, a tool or a subject that is not theirs: what is limited and cannot be
//! told is not theirs. Trusts the caller to know who asks: the uid that the kernel reports, or a subject that its entry
//! point vouches for; never a run.

use std::collections::BTreeSet;

use super::change::Changes;
use super::glob::{Glob, covers};
use super::name::{SourceName, Subject};
use super::person::Person;
use super::place::Place;
use super::provenance::Provenance;
use super::target::Target;

/// Most approvers of a configuration.
pub const APPROVERS_MAX: usize = 256;

/// Somebody who may answer questions. Where a configuration names nobody, only the uid that owns the gateway may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// Who it is.
    pub person: Person,
    /// For runs of which sources: all that influenced one have to be among them. Any where nothing is said.
    pub sources: Option<BTreeSet<SourceName>>,
    /// About which tools. Anything where nothing is said.
    pub tools: Option<Vec<Glob>>,
    /// For runs of which subjects. Any where nothing is said.
    pub subjects: Option<Vec<Glob>>,
    /// Where it was written.
    pub place: Place,
}

/// What a question is about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The sources that have influenced the run.
    pub sources: &'a Provenance,
    /// What is called.
    pub target: &'a Target,
    /// The subject of the run.
    pub subject: &'a Subject,
}

impl Approver {
    /// Whether it may answer `question`.
    #[must_use]
    pub fn may_answer(&self, question: Question<'_>) -> bool {
        let Self { person: _, sources, tools, subjects, place: _ } = self;
        let Question { sources: of_run, target, subject } = question;
        let has_sources = sources.as_ref().is_none_or(|own| {
            // Nothing influenced a run that is unknown; whoever is limited does not answer for it.
            !of_run.is_empty() && of_run.iter().all(|source| own.contains(source))
        });
        let has_tool = tools.as_ref().is_none_or(|globs| {
            target.tool().is_some_and(|tool| globs.iter().any(|glob| glob.matches(&tool.to_string())))
        });
        let has_subject =
            subjects.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.matches(subject.as_str())));
        has_sources && has_tool && has_subject
    }

    /// Whether it may answer every question that `other` may, as the same person.
    fn spans(&self, other: &Self) -> bool {
        let all = |own: &Option<Vec<Glob>>, others: &Option<Vec<Glob>>| match (own, others) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(others)) => {
                others.iter().all(|other| own.iter().any(|own| covers(own.as_str(), other.as_str())))
            }
        };
        let has_sources = match (&self.sources, &other.sources) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(others)) => others.is_subset(own),
        };
        self.person == other.person
            && has_sources
            && all(&self.tools, &other.tools)
            && all(&self.subjects, &other.subjects)
    }
}

/// Whether `person` may answer `question`. Where a configuration names nobody, whoever owns the gateway may: no other
/// uid reaches its socket, and whoever signs in is nobody there.
#[must_use]
pub fn may_answer(approvers: &[Approver], question: Question<'_>, person: &Person) -> bool {
    match approvers.is_empty() {
        true => person.actor().is_some(),
        false => approvers.iter().any(|one| one.person == *person && one.may_answer(question)),
    }
}

/// Whether there is anybody who may answer `question`.
#[must_use]
pub fn has_approver(approvers: &[Approver], question: Question<'_>) -> bool {
    approvers.is_empty() || approvers.iter().any(|one| one.may_answer(question))
}

/// What `after` changes in the approvers `before`. Where there are none, only the uid that owns the gateway is one.
#[must_use]
pub fn changes(before: &[Approver], after: &[Approver]) -> Changes {
    let mut changes = Changes::default();
    let is_among = |one: &Approver, all: &[Approver]| all.iter().any(|other| other.spans(one));
    for new in after.iter().filter(|new| !is_among(new, before)) {
        let is_known = before.iter().any(|old| old.person == new.person);
        let what = if is_known { "may answer more questions" } else { "may answer questions now" };
        changes.widen(format!("approver {} {what}", new.person));
    }
    for old in before.iter().filter(|old| !is_among(old, after)) {
        let is_known = after.iter().any(|new| new.person == old.person);
        let what = if is_known { "may answer fewer questions" } else { "is gone" };
        changes.change(format!("approver {} {what}", old.person));
    }
    match (before.is_empty(), after.is_empty()) {
        (false, true) => {
            changes.widen("no approver is named any more: the uid that owns the gateway answers")
        }
        (true, false) => changes.change("the uid that owns the gateway answers only where it is an approver"),
        _ => {}
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::super::name::EntryPointName;
    use super::*;

    fn glob(text: &str) -> Option<Vec<Glob>> {
        Some(vec![Glob::new(text).unwrap()])
    }

    fn sources(names: &[&str]) -> BTreeSet<SourceName> {
        names.iter().map(|name| SourceName::new(name).unwrap()).collect()
    }

    fn of_uid(uid: u32) -> Approver {
        let place = Place { file: "gateway.toml".into(), line: 1, column: 1 };
        Approver { person: Person::Uid { uid }, sources: None, tools: None, subjects: None, place }
    }

    fn limited() -> Approver {
        let sources = Some(sources(&["email", "chat"]));
        Approver { sources, tools: glob("mail.*"), subjects: glob("user:*"), ..of_uid(1000) }
    }

    fn may(approver: &Approver, names: &[&str], target: &str, subject: &str) -> bool {
        let provenance = Provenance::of(sources(names));
        let target = match target {
            "" => Target::Roots(super::super::name::UpstreamName::new("mail").unwrap()),
            tool => Target::Tool(tool.parse().unwrap()),
        };
        let subject = Subject::new(subject).unwrap();
        approver.may_answer(Question { sources: &provenance, target: &target, subject: &subject })
    }

    #[test]
    fn an_approver_answers_for_what_is_theirs_and_for_nothing_else() {
        let limited = limited();
        assert!(may(&limited, &["email"], "mail.send", "user:1"));
        assert!(may(&limited, &["chat", "email"], "mail.send", "user:1"));
        assert!(!may(&limited, &["email", "web"], "mail.send", "user:1"), "not for what web had a part in");
        assert!(!may(&limited, &[], "mail.send", "user:1"));
        assert!(!may(&limited, &["email"], "bank.pay", "user:1"));
        assert!(!may(&limited, &["email"], "", "user:1"));
        assert!(!may(&limited, &["email"], "mail.send", "service:1"));
        assert!(may(&of_uid(0), &["web"], "", "service:1"), "without limits, for everything");
    }

    #[test]
    fn a_signed_in_person_answers_only_where_the_configuration_names_them() {
        let provenance = Provenance::of(sources(&["email"]));
        let target = Target::Tool("mail.send".parse().unwrap());
        let of = Subject::new("user:1").unwrap();
        let question = Question { sources: &provenance, target: &target, subject: &of };
        let signed_in = |entry_point: &str, subject: &str| Person::Subject {
            entry_point: EntryPointName::new(entry_point).unwrap(),
            subject: Subject::new(subject).unwrap(),
        };
        let (ann, owner) = (signed_in("people.corp", "user:ann"), Person::Uid { uid: 1000 });
        assert!(may_answer(&[], question, &owner) && !may_answer(&[], question, &ann));
        let named = [Approver { person: ann.clone(), ..limited() }];
        assert!(may_answer(&named, question, &ann) && has_approver(&named, question));
        for other in [signed_in("people.corp", "user:bob"), signed_in("people.other", "user:ann"), owner] {
            assert!(!may_answer(&named, question, &other), "{other}");
        }
        let web = Provenance::of(sources(&["web"]));
        let question = Question { sources: &web, ..question };
        assert!(!may_answer(&named, question, &ann) && !has_approver(&named, question));
    }

    #[test]
    fn who_may_answer_more_than_before_is_said() {
        let said = |before: &[Approver], after: &[Approver]| {
            let changes = changes(before, after);
            (changes.changed().len(), changes.widened().len())
        };
        let (all, some) = (of_uid(1000), limited());
        assert_eq!(said(&[], &[]), (0, 0));
        assert_eq!(said(std::slice::from_ref(&all), std::slice::from_ref(&all)), (0, 0));
        assert_eq!(said(std::slice::from_ref(&all), std::slice::from_ref(&some)), (1, 0));
        assert_eq!(said(std::slice::from_ref(&some), std::slice::from_ref(&all)), (0, 1));
        assert_eq!(said(&[], std::slice::from_ref(&some)), (1, 1));
        assert_eq!(said(std::slice::from_ref(&some), &[]), (1, 1));
        assert_eq!(said(&[of_uid(1)], &[of_uid(2)]), (1, 1));
    }
}
