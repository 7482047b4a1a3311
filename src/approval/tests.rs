//! Questions, their answers, and what a yes counts for.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

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
    let stood = |id, standing| Stood { asked: asked(id, exact(id)), standing, agreed: BTreeSet::new() };
    let questions = Questions::recover([stood(1, Standing::Approved), stood(2, Standing::Waiting)]);
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

/// One of the things that a yes is bound to is another where a bit of `which` is set.
fn varied(which: u8) -> Exact {
    let is = |bit: u8| which & (1 << bit) != 0;
    let digest = |bit: u8| Sha256::of(&[bit, u8::from(is(bit))]);
    let source = if is(5) { "web" } else { "chat" };
    Exact {
        run: RunId::of([u8::from(is(0)); 16]),
        tool: if is(1) { "mail.read" } else { "mail.send" }.parse().unwrap(),
        arguments: digest(2),
        definition: Some(digest(3)),
        config: digest(4),
        provenance: Provenance::of([SourceName::new(source).unwrap()]),
    }
}

#[derive(Debug, Clone)]
enum Happens {
    /// A call is made: with the yes to exactly it, else it is asked about.
    Call(u8),
    /// A person answers the question of so many that wait.
    Answer(usize, Word),
    /// The gateway is killed and starts again with what is on the record.
    Kill,
}

fn happens() -> impl Strategy<Value = Happens> {
    // Most calls are like each other, so that a yes to one meets another.
    let which = prop_oneof![3 => Just(0_u8), 2 => (0_u8..6).prop_map(|bit| 1 << bit), 1 => 0_u8..64];
    let word = select(&[Word::Approve, Word::Approve, Word::Deny][..]);
    prop_oneof![
        4 => which.prop_map(Happens::Call),
        3 => (any::<usize>(), word).prop_map(|(at, word)| Happens::Answer(at, word)),
        1 => Just(Happens::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_yes_is_never_used_twice_nor_for_anything_else(story in vec(happens(), 0..60)) {
        let (mut questions, mut model, mut next) = (Questions::default(), Vec::<(QuestionId, Exact, Standing)>::new(), 0_u8);
        for event in story {
            match event {
                Happens::Call(which) => {
                    let exact = varied(which);
                    let yes = questions.yes(&exact, at(1));
                    let known = model.iter().position(|(_, asked, _)| *asked == exact);
                    let standing = known.and_then(|known| model.get(known)).map(|(_, _, standing)| *standing);
                    prop_assert_eq!(yes.is_some(), standing == Some(Standing::Approved));
                    match (yes, known) {
                        (Some(yes), Some(known)) => {
                            prop_assert_eq!(&model.remove(known).0, &yes);
                            questions.spend(&yes);
                        }
                        (_, Some(_)) => questions.show(&model[known.unwrap()].0, call()),
                        (_, None) => {
                            next += 1;
                            let full = questions.ask(asked(next, exact.clone()), call()).is_err();
                            let of_run = model.iter().filter(|(_, other, _)| other.run == exact.run).count();
                            prop_assert_eq!(full, of_run >= QUESTIONS_PER_RUN_MAX);
                            if !full {
                                model.push((QuestionId::of([next; 16]), exact, Standing::Waiting));
                            }
                        }
                    }
                }
                Happens::Answer(which, word) => {
                    let Some(at_model) = which.checked_rem(model.len()) else { continue };
                    let (id, _, standing) = &mut model[at_model];
                    let is_waiting = *standing == Standing::Waiting;
                    let may = questions.may_answer(id, word, at(1));
                    let is_unseen = may.as_ref().err() == Some(&AnswerError::Unseen);
                    prop_assert!(may.is_ok() == is_waiting || is_unseen && word == Word::Approve);
                    if may.is_ok() {
                        questions.answer(id, word);
                        *standing = if word == Word::Approve { Standing::Approved } else { Standing::Denied };
                    }
                }
                Happens::Kill => {
                    let stood = |it: Question| Stood { asked: it.asked, standing: it.standing, agreed: it.agreed };
                    questions = Questions::recover(questions.all().into_iter().map(stood).collect::<Vec<_>>());
                }
            }
        }
    }
}
