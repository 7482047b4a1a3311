//! What an answer comes to where several people have to say yes (`[[quorums]]`, the four-eyes principle).
//!
//! Must never count one person twice, nor the subject of the run where that is excluded. A no is the end, whoever of
//! them says it.

use std::collections::BTreeSet;

use super::Gateway;
use crate::console::{AdministrationError, PeopleEntry};
use crate::model::approval::{ApprovalChange, Word};
use crate::model::approver::Question;
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
        if agreed.contains(by) {
            let message = format!("you said yes already; {} have to", people(needed.people));
            return Err(AdministrationError::Impossible(message));
        }
        let said = u32::try_from(agreed.len()).unwrap_or(u32::MAX).saturating_add(1);
        Ok(if said >= needed.people { ApprovalChange::Approved } else { ApprovalChange::Agreed })
    }

    /// How many people have to say yes to `question`, and who did.
    pub(super) fn people_of(&self, question: Question<'_>, agreed: BTreeSet<Person>) -> PeopleEntry {
        let needed = self.needed(question);
        let excluded = (needed.own_subject == OwnSubject::Excluded).then(|| question.subject.clone());
        PeopleEntry { needed: needed.people, agreed, excluded }
    }

    pub(super) fn needed(&self, question: Question<'_>) -> Needed {
        self.worlds.within(|world| Needed::of(&world.in_force.quorums, question))
    }
}

/// That many people, in words.
pub(super) fn people(count: u32) -> String {
    format!("{count} different people")
}
