//! Questions to people: the calls that wait for a yes, and the yes until its call takes it.
//!
//! Must never answer a question by itself, nor let a yes count for anything but the exact call that it was said to, or
//! twice: taking it and the call happen in the critical section of one run. Never does I/O: whoever asks or answers has
//! it on the record first. Bounded; a full table refuses the new.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::model::approval::{Asked, Exact, QuestionId, Standing, Stood, Word};
use crate::model::facts::RunId;
use crate::model::person::Person;
use crate::model::reason::Reason;
use crate::wire::Params;

/// Questions of all runs at once.
pub const QUESTIONS_MAX: usize = 1024;
/// Questions of one run at once.
pub const QUESTIONS_PER_RUN_MAX: usize = 16;
/// How long a question waits, and a yes for its call.
pub const QUESTION_LASTS: SignedDuration = SignedDuration::from_hours(1);

/// Every question that is not over.
#[derive(Debug, Default)]
pub struct Questions(Mutex<HashMap<QuestionId, Question>>);

/// One question.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is asked.
    pub asked: Asked,
    /// How it stands.
    pub standing: Standing,
    /// Who said yes already, where several have to.
    pub agreed: BTreeSet<Person>,
    /// The call itself. A gateway that started since knows its digest alone.
    pub call: Option<StoredCall>,
    /// Whether a yes to another one may be for this call too.
    pub covered: Covered,
}

/// Whether a yes to several like calls was said since a call was asked about, and is for it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    /// None that is known.
    No,
    /// One was: whether it still counts shows when the call is made again.
    Perhaps,
}

/// A call that waits.
#[derive(Debug, Clone)]
pub struct StoredCall {
    /// The name that was called.
    pub name: String,
    /// The parameters, as they came.
    pub params: Params,
    /// Why a person is asked: the rules that say so.
    pub rules: Vec<String>,
}

/// Why a question is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// There is none of this id that waits.
    #[error("no question of this id waits for an answer")]
    Missing,
    /// The gateway that held the call is gone, so that nobody can look at what they would say yes to.
    #[error("the arguments of this call are not known any more; its agent has to make it again")]
    Unseen,
}

impl Questions {
    /// The questions that the journal knows. What was answered keeps its answer.
    #[must_use]
    pub fn recover(known: impl IntoIterator<Item = Stood>) -> Self {
        let question = |Stood { asked, standing, agreed }| {
            let id = asked.id.clone();
            (id, Question { asked, standing, agreed, call: None, covered: Covered::No })
        };
        Self(Mutex::new(known.into_iter().map(question).collect()))
    }

    /// The question on exactly this call, if it was asked and counts at `now`.
    #[must_use]
    pub fn find(&self, exact: &Exact, now: Timestamp) -> Option<Question> {
        let questions = self.lock();
        questions.values().find(|it| it.asked.exact == *exact && now < it.asked.until).cloned()
    }

    /// The question `id` of `run`, if it counts at `now`.
    #[must_use]
    pub fn of_run(&self, id: &QuestionId, run: &RunId, now: Timestamp) -> Option<Question> {
        let questions = self.lock();
        questions.get(id).filter(|it| it.asked.exact.run == *run && now < it.asked.until).cloned()
    }

    /// The question `id`.
    #[must_use]
    pub fn get(&self, id: &QuestionId) -> Option<Question> {
        self.lock().get(id).cloned()
    }

    /// Every question, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Question> {
        let mut all: Vec<_> = self.lock().values().cloned().collect();
        all.sort_by(|a, b| (a.asked.at, &a.asked.id).cmp(&(b.asked.at, &b.asked.id)));
        all
    }

    /// Whether anything was asked for `run`, so that a yes is worth a look.
    #[must_use]
    pub fn has_any(&self, run: &RunId) -> bool {
        self.lock().values().any(|it| it.asked.exact.run == *run)
    }

    /// Takes a question in.
    ///
    /// # Errors
    /// [`Reason::QuestionsFull`]: a full table refuses the new.
    pub fn ask(&self, asked: Asked, call: StoredCall) -> Result<(), Reason> {
        let mut questions = self.lock();
        let of_run = questions.values().filter(|it| it.asked.exact.run == asked.exact.run).count();
        if of_run >= QUESTIONS_PER_RUN_MAX || questions.len() >= QUESTIONS_MAX {
            return Err(Reason::QuestionsFull);
        }
        let (standing, agreed, covered) = (Standing::Waiting, BTreeSet::new(), Covered::No);
        let question = Question { asked, standing, agreed, call: Some(call), covered };
        questions.insert(question.asked.id.clone(), question);
        Ok(())
    }

    /// Takes in the call that the question `id` is about, where it is not known any more: it was made again, and no yes
    /// to another was for it.
    pub fn show(&self, id: &QuestionId, call: StoredCall) {
        if let Some(question) = self.lock().get_mut(id) {
            question.call.get_or_insert(call);
            question.covered = Covered::No;
        }
    }

    /// Lets the call that waits under `id` be tried again: a yes to another one is for it too.
    pub fn cover(&self, id: &QuestionId) {
        if let Some(question) = self.lock().get_mut(id) {
            question.covered = Covered::Perhaps;
        }
    }

    /// Forgets a question that could not be put on the record.
    pub fn withdraw(&self, id: &QuestionId) {
        self.lock().remove(id);
    }

    /// Whether a person may answer the question `id` at `now`: it waits, and what it is about can be looked at.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn may_answer(&self, id: &QuestionId, word: Word, now: Timestamp) -> Result<Question, AnswerError> {
        let question = self.get(id).ok_or(AnswerError::Missing)?;
        if question.standing != Standing::Waiting || question.asked.until <= now {
            return Err(AnswerError::Missing);
        }
        if word == Word::Approve && question.call.is_none() {
            return Err(AnswerError::Unseen);
        }
        Ok(question)
    }

    /// Takes the yes of one of several people who have to say it, which is on the record.
    pub fn agree(&self, id: &QuestionId, person: Person) {
        let mut questions = self.lock();
        if let Some(question) = questions.get_mut(id).filter(|it| it.standing == Standing::Waiting) {
            question.agreed.insert(person);
        }
    }

    /// Takes a person's answer, the last that it needs, which is on the record.
    pub fn answer(&self, id: &QuestionId, word: Word) {
        let mut questions = self.lock();
        if let Some(question) = questions.get_mut(id).filter(|it| it.standing == Standing::Waiting) {
            question.standing = match word {
                Word::Approve => Standing::Approved,
                Word::Deny => Standing::Denied,
            };
        }
    }

    /// Whether the question `id` is open, and nobody said anything yet that its call may go on with.
    #[must_use]
    pub fn waits(&self, id: &QuestionId) -> bool {
        self.get(id).is_some_and(|it| it.standing == Standing::Waiting && it.covered == Covered::No)
    }

    /// The yes to exactly this call, if a person said one that counts at `now`.
    #[must_use]
    pub fn yes(&self, exact: &Exact, now: Timestamp) -> Option<QuestionId> {
        let question = self.find(exact, now)?;
        (question.standing == Standing::Approved).then_some(question.asked.id)
    }

    /// Whether a person said no to exactly this call, and that counts at `now`.
    #[must_use]
    pub fn denies(&self, exact: &Exact, now: Timestamp) -> bool {
        self.find(exact, now).is_some_and(|question| question.standing == Standing::Denied)
    }

    /// Takes the yes away for the call that is made on it.
    pub fn spend(&self, id: &QuestionId) {
        self.lock().remove(id);
    }

    /// Forgets what is over at `now`, and gives what nobody answered.
    pub fn expire(&self, now: Timestamp) -> Vec<Asked> {
        let over = self.take(|it| it.asked.until <= now);
        over.into_iter().filter(|it| it.standing == Standing::Waiting).map(|it| it.asked).collect()
    }

    /// Forgets those of `stale` that are there, answered or not: what they are bound to is no more.
    pub fn forget(&self, stale: &BTreeSet<QuestionId>) -> Vec<Asked> {
        self.take(|it| stale.contains(&it.asked.id)).into_iter().map(|it| it.asked).collect()
    }

    fn take(&self, is_over: impl Fn(&Question) -> bool) -> Vec<Question> {
        self.lock().extract_if(|_, it| is_over(it)).map(|(_, question)| question).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QuestionId, Question>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
