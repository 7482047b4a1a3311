//! How many people have to say yes (`[[quorums]]`): the four-eyes principle, for tools and sources that need it.
//!
//! Must never ask for fewer people because there is one more rule or one more source (I1): of those that are about a
//! question the strictest counts. Trusts the caller to know who says yes, and that two are two.

use std::collections::BTreeSet;

use super::approver::Question;
use super::change::Changes;
use super::glob::{Glob, covers};
use super::name::{SourceName, Subject};
use super::person::Person;
use super::place::Place;

/// Most rules of a configuration on how many people have to say yes.
pub const QUORUMS_MAX: usize = 256;
/// Most people that one question can need.
pub const QUORUM_PEOPLE_MAX: u32 = 8;

/// How many people have to say yes to some questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// How many, all different.
    pub people: u32,
    /// Whether the subject of the run counts among them.
    pub own_subject: OwnSubject,
    /// Once one of these has influenced the run. In any run where nothing is said.
    pub sources: Option<BTreeSet<SourceName>>,
    /// About which tools. About everything where nothing is said.
    pub tools: Option<Vec<Glob>>,
    /// Where it was written.
    pub place: Place,
}

/// Whether the subject on whose behalf a run acts may say yes to its questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnSubject {
    /// Like anybody else.
    Counts,
    /// Somebody else has to.
    Excluded,
}

/// What a question needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// How many people have to say yes.
    pub people: u32,
    /// Whether the subject of the run counts among them.
    pub own_subject: OwnSubject,
}

impl Quorum {
    fn is_about(&self, question: Question<'_>) -> bool {
        let Question { sources: of_run, target, subject: _ } = question;
        let has_source =
            self.sources.as_ref().is_none_or(|own| of_run.iter().any(|source| own.contains(source)));
        let has_tool = self.tools.as_ref().is_none_or(|globs| {
            target.tool().is_some_and(|tool| globs.iter().any(|glob| glob.matches(&tool.to_string())))
        });
        has_source && has_tool
    }

    /// Whether it asks for as much as `other` wherever that does.
    fn spans(&self, other: &Self) -> bool {
        let has_sources = match (&self.sources, &other.sources) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(others)) => others.is_subset(own),
        };
        let is_spanned =
            |own: &[Glob], other: &Glob| own.iter().any(|own| covers(own.as_str(), other.as_str()));
        let has_tools = match (&self.tools, &other.tools) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(others)) => others.iter().all(|other| is_spanned(own, other)),
        };
        self.people >= other.people && self.own_subject >= other.own_subject && has_sources && has_tools
    }
}

impl Needed {
    /// What `question` needs under `quorums`; one person, whoever it is, where none of them is about it.
    #[must_use]
    pub fn of(quorums: &[Quorum], question: Question<'_>) -> Self {
        let about = quorums.iter().filter(|quorum| quorum.is_about(question));
        about.fold(Self { people: 1, own_subject: OwnSubject::Counts }, |needed, quorum| Self {
            people: needed.people.max(quorum.people),
            own_subject: needed.own_subject.max(quorum.own_subject),
        })
    }

    /// Whether a yes of `person` counts for a run of `subject`.
    #[must_use]
    pub fn lets(self, person: &Person, subject: &Subject) -> bool {
        match person {
            Person::Subject { subject: own, .. } => self.own_subject == OwnSubject::Counts || own != subject,
            Person::Uid { .. } => true,
        }
    }
}

/// What `after` changes in the rules `before` on how many people have to say yes.
#[must_use]
pub fn changes(before: &[Quorum], after: &[Quorum]) -> Changes {
    let mut changes = Changes::default();
    let is_among = |one: &Quorum, all: &[Quorum]| all.iter().any(|other| other.spans(one));
    for old in before.iter().filter(|old| !is_among(old, after)) {
        changes.widen(format!("the quorum of {} people at {} holds less or is gone", old.people, old.place));
    }
    for new in after.iter().filter(|new| !is_among(new, before)) {
        changes.change(format!("the quorum of {} people at {} asks for more", new.people, new.place));
    }
    changes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::super::name::EntryPointName;
    use super::super::provenance::Provenance;
    use super::super::target::Target;
    use super::*;

    const SOURCES: &[&str] = &["chat", "email", "web"];
    const GLOBS: &[&str] = &["*", "bank.*", "bank.pay", "mail.*"];

    fn named(names: &[&str]) -> BTreeSet<SourceName> {
        names.iter().map(|name| SourceName::new(name).unwrap()).collect()
    }

    fn quorum() -> impl Strategy<Value = Quorum> {
        let own_subject = select(&[OwnSubject::Counts, OwnSubject::Excluded][..]);
        let sources = proptest::option::of(subsequence(SOURCES, 1..=3));
        let tools = proptest::option::of(subsequence(GLOBS, 1..=2));
        (1_u32..5, own_subject, sources, tools).prop_map(|(people, own_subject, sources, tools)| Quorum {
            people,
            own_subject,
            sources: sources.map(|names| named(&names)),
            tools: tools.map(|globs| globs.into_iter().map(|glob| Glob::new(glob).unwrap()).collect()),
            place: Place { file: "gateway.toml".into(), line: 1, column: 1 },
        })
    }

    fn needed(quorums: &[Quorum], sources: &[&str], tool: &str) -> (u32, OwnSubject) {
        let (sources, target) = (Provenance::of(named(sources)), Target::Tool(tool.parse().unwrap()));
        let subject = Subject::new("user:1").unwrap();
        let Needed { people, own_subject } =
            Needed::of(quorums, Question { sources: &sources, target: &target, subject: &subject });
        (people, own_subject)
    }

    #[test]
    fn the_subject_of_a_run_is_told_from_others() {
        let subject = |text: &str| Subject::new(text).unwrap();
        let entry_point = EntryPointName::new("people.corp").unwrap();
        let ann = Person::Subject { entry_point, subject: subject("user:ann") };
        let excluded = Needed { people: 1, own_subject: OwnSubject::Excluded };
        assert!(!excluded.lets(&ann, &subject("user:ann")) && excluded.lets(&ann, &subject("user:bob")));
        assert!(Needed { own_subject: OwnSubject::Counts, ..excluded }.lets(&ann, &subject("user:ann")));
        assert!(excluded.lets(&Person::Uid { uid: 1000 }, &subject("user:ann")));
    }

    proptest! {
        #[test]
        fn i1_one_more_source_or_rule_never_needs_fewer_people(
            quorums in proptest::collection::vec(quorum(), 0..5),
            more in quorum(),
            sources in subsequence(SOURCES, 0..=3),
            source in select(SOURCES),
            tool in select(&["bank.pay", "mail.send"][..]),
        ) {
            let before = needed(&quorums, &sources, tool);
            let joined = [&sources[..], &[source]].concat();
            let after = needed(&quorums, &joined, tool);
            prop_assert!(before.0 <= after.0 && before.1 <= after.1);
            let wider = [&quorums[..], &[more]].concat();
            let after = needed(&wider, &sources, tool);
            prop_assert!(before.0 <= after.0 && before.1 <= after.1);
        }

        #[test]
        fn what_needs_fewer_people_than_before_is_said(
            before in proptest::collection::vec(quorum(), 0..4),
            after in proptest::collection::vec(quorum(), 0..4),
            sources in subsequence(SOURCES, 0..=3),
            tool in select(&["bank.pay", "mail.send"][..]),
        ) {
            let (old, new) = (needed(&before, &sources, tool), needed(&after, &sources, tool));
            // One that asks for one person, and whoever it is, asks for nothing.
            let asks = |quorums: &[Quorum]| -> Vec<Quorum> {
                let asks = |it: &&Quorum| it.people > 1 || it.own_subject == OwnSubject::Excluded;
                quorums.iter().filter(asks).cloned().collect()
            };
            let is_less = new.0 < old.0 || new.1 < old.1;
            let said = changes(&asks(&before), &asks(&after));
            prop_assert!(!is_less || !said.widened().is_empty());
            prop_assert!(changes(&before, &before).widened().is_empty());
        }
    }
}
