//! What an answer comes to where several people have to say yes (`[[quorums]]`, the four-eyes principle).
//!
//! Must never count one person twice, nor the subject of the run where that is excluded. A no is the end, whoever of
//! them says it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Gateway;
use crate::console::{AdministrationError, PeopleEntry};
use crate::model::approval::{ApprovalChange, Word};
use crate::model::approver::{Question, may_answer};
use crate::model::person::Person;
use crate::model::quorum::{Needed, OwnSubject};
use crate::model::reason::Reason;

impl Gateway {
    /// What becomes of `question`, to which those of `agreed` said yes already, when `by` says `word` to it.
    pub(super) fn weigh(
        &self,
        by: &Person,
        word: Word,
        question: Question<'_>,
        agreed: &BTreeSet<Person>,
    ) -> Result<ApprovalChange, AdministrationError> {
        if word == Word::Deny {
            return Ok(ApprovalChange::Denied);
        }
        let needed = self.needed(question);
        if !needed.lets(by, question.subject) {
            let message = "the run acts on your behalf, so somebody else has to say yes".to_owned();
            return Err(AdministrationError::Refused { reason: Reason::NotAnApprover, message });
        }
        let mut said = self.counting(question, agreed);
        let is_new = said.insert(by.clone());
        match u32::try_from(said.len()).unwrap_or(u32::MAX) >= needed.people {
            true => Ok(ApprovalChange::Approved),
            false if is_new => Ok(ApprovalChange::Agreed),
            false => {
                let message = format!("you said yes already; {} have to", people(needed.people));
                Err(AdministrationError::Impossible(message))
            }
        }
    }

    /// How many people have to say yes to `question`, and who did.
    pub(super) fn people_of(&self, question: Question<'_>, agreed: BTreeSet<Person>) -> PeopleEntry {
        let needed = self.needed(question);
        let excluded = (needed.own_subject == OwnSubject::Excluded).then(|| question.subject.clone());
        PeopleEntry { needed: needed.people, agreed: self.counting(question, &agreed), excluded }
    }

    /// Those of `agreed` whose yes counts now: whoever may answer no more, or was excluded since, is none of them.
    fn counting(&self, question: Question<'_>, agreed: &BTreeSet<Person>) -> BTreeSet<Person> {
        let (needed, in_force) = (self.needed(question), Arc::clone(&self.worlds.now().in_force));
        let counts = |person: &&Person| {
            needed.lets(person, question.subject) && may_answer(&in_force.approvers, question, person)
        };
        agreed.iter().filter(counts).cloned().collect()
    }

    pub(super) fn needed(&self, question: Question<'_>) -> Needed {
        self.worlds.within(|world| Needed::of(&world.in_force.quorums, question))
    }
}

/// That many people, in words.
pub(super) fn people(count: u32) -> String {
    format!("{count} different people")
}
