//! Questions to people: the calls that wait for a yes, and the yes until its call takes it.
//!
//! Must never answer a question by itself, nor let a yes count for anything but the exact call that it was said to, or
//! twice: taking it and the call happen in the critical section of one run. Never does I/O: whoever asks or answers has
//! it on the record first. Bounded; a full table refuses the new.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::model::approval::{Asked, Exact, QuestionId, Standing, Word};
use crate::model::facts::RunId;
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
    pub fn recover(known: impl IntoIterator<Item = (Asked, Standing)>) -> Self {
        let question = |(asked, standing)| {
            let asked: Asked = asked;
            (asked.id.clone(), Question { asked, standing, call: None, covered: Covered::No })
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
        let (standing, covered) = (Standing::Waiting, Covered::No);
        let question = Question { asked, standing, call: Some(call), covered };
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

    /// Lets those calls of `run` be tried again that wait, and that a yes to another one `is_for`.
    pub fn cover(&self, run: &RunId, is_for: impl Fn(&Question) -> bool) {
        let mut questions = self.lock();
        let waiting = questions.values_mut().filter(|it| it.asked.exact.run == *run);
        for question in waiting.filter(|it| it.standing == Standing::Waiting) {
            if is_for(question) {
                question.covered = Covered::Perhaps;
            }
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

    /// Takes a person's answer, which is on the record.
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

    /// Takes the yes away for the call that is made on it.
    pub fn spend(&self, id: &QuestionId) {
        self.lock().remove(id);
    }

    /// Forgets what is over at `now`, and gives what nobody answered.
    pub fn expire(&self, now: Timestamp) -> Vec<Asked> {
        let mut lapsed = Vec::new();
        self.lock().retain(|_, it| {
            let is_over = it.asked.until <= now;
            if is_over && it.standing == Standing::Waiting {
                lapsed.push(it.asked.clone());
            }
            !is_over
        });
        lapsed
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QuestionId, Question>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::digest::Sha256;
    use crate::model::name::{SourceName, Subject};
    use crate::model::provenance::Provenance;
    use crate::wire::{self, Message, Request, ScanLimits};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn exact(run: u8) -> Exact {
        Exact {
            run: RunId::of([run; 16]),
            tool: "mail.send".parse().unwrap(),
            arguments: Sha256::of(b"a"),
            definition: Some(Sha256::of(b"d")),
            config: Sha256::of(b"c"),
            provenance: Provenance::of([SourceName::new("chat").unwrap()]),
        }
    }

    fn asked(id: u8, exact: Exact) -> Asked {
        let subject = Subject::new("user:1").unwrap();
        Asked { id: QuestionId::of([id; 16]), exact, subject, at: at(0), until: at(10) }
    }

    fn call() -> StoredCall {
        let raw = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#;
        let message = wire::parse(Bytes::from_static(raw), &ScanLimits::default());
        let Ok(Message::Request(Request { params: Some(params), .. })) = message else { panic!("no call") };
        StoredCall { name: "x".to_owned(), params, rules: Vec::new() }
    }

    #[test]
    fn a_yes_counts_once_for_the_exact_call_and_for_no_other() {
        let questions = Questions::default();
        let id = QuestionId::of([1; 16]);
        questions.ask(asked(1, exact(1)), call()).unwrap();
        assert_eq!(questions.yes(&exact(1), at(1)), None, "nobody said yes");
        questions.may_answer(&id, Word::Approve, at(1)).unwrap();
        questions.answer(&id, Word::Approve);
        assert_eq!(questions.may_answer(&id, Word::Deny, at(1)).err(), Some(AnswerError::Missing), "once");
        let web = Provenance::of([SourceName::new("web").unwrap()]);
        for other in [
            exact(2),
            Exact { tool: "mail.read".parse().unwrap(), ..exact(1) },
            Exact { arguments: Sha256::of(b"b"), ..exact(1) },
            Exact { definition: Some(Sha256::of(b"e")), ..exact(1) },
            Exact { config: Sha256::of(b"f"), ..exact(1) },
            Exact { provenance: web, ..exact(1) },
        ] {
            assert_eq!(questions.yes(&other, at(1)), None, "{other:?}");
        }
        assert_eq!(questions.yes(&exact(1), at(10)), None, "it is over");
        assert_eq!(questions.yes(&exact(1), at(1)), Some(id.clone()));
        questions.spend(&id);
        assert_eq!(questions.yes(&exact(1), at(1)), None);
    }

    #[test]
    fn a_no_stays_and_what_nobody_answers_lapses() {
        let questions = Questions::default();
        questions.ask(asked(1, exact(1)), call()).unwrap();
        questions.ask(asked(2, exact(2)), call()).unwrap();
        questions.answer(&QuestionId::of([1; 16]), Word::Deny);
        assert_eq!(questions.find(&exact(1), at(1)).unwrap().standing, Standing::Denied);
        let lapsed: Vec<_> = questions.expire(at(10)).into_iter().map(|asked| asked.id).collect();
        assert_eq!(lapsed, [QuestionId::of([2; 16])]);
        assert!(questions.all().is_empty());
    }

    #[test]
    fn after_a_restart_a_yes_counts_and_nobody_says_yes_to_what_they_cannot_see() {
        let known = [(asked(1, exact(1)), Standing::Approved), (asked(2, exact(2)), Standing::Waiting)];
        let questions = Questions::recover(known);
        assert!(questions.yes(&exact(1), at(1)).is_some());
        let second = QuestionId::of([2; 16]);
        assert_eq!(questions.may_answer(&second, Word::Approve, at(1)).err(), Some(AnswerError::Unseen));
        assert!(questions.may_answer(&second, Word::Deny, at(1)).is_ok());
        // Its agent makes it again: the same digests are the same call.
        questions.show(&second, call());
        assert!(questions.may_answer(&second, Word::Approve, at(1)).is_ok());
    }

    #[test]
    fn i11_a_full_table_refuses_the_new() {
        let questions = Questions::default();
        let ask = |id: usize, run: u8| {
            let id = QuestionId::of(u128::try_from(id).unwrap().to_be_bytes());
            questions.ask(Asked { id, ..asked(0, exact(run)) }, call())
        };
        for id in 0..QUESTIONS_PER_RUN_MAX {
            ask(id, 1).unwrap();
        }
        assert_eq!(ask(100, 1), Err(Reason::QuestionsFull));
        for id in QUESTIONS_PER_RUN_MAX..QUESTIONS_MAX {
            ask(id, u8::try_from(2 + id / QUESTIONS_PER_RUN_MAX).unwrap()).unwrap();
        }
        assert_eq!(ask(QUESTIONS_MAX, 255), Err(Reason::QuestionsFull));
    }
}
