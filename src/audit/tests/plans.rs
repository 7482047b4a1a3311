//! Plans, grants and questions in the journal: what a start finds again, whichever line it reads it from.

use super::*;
use crate::model::approval::{ApprovalChange, Asked, Exact, QuestionId, Standing, Word};
use crate::model::ceiling::{Answers, Said};
use crate::model::label::ToolClass;
use crate::model::person::Person;
use crate::model::planned::{Past, StepUse};
use crate::model::trigger::Trigger;
use crate::plan::{
    Circumstances, Concluded, Grant, History, OpinionWord, People, Plan, StepId, Terms, review,
};

const PLAN: &str = r#"{"v":1,"note":"\u202e","steps":[
    {"id":"a","tool":"t","args":{"x":{"lit":1}}},{"id":"b","tool":"t","max_calls":2,"args":{"x":{"match":"a"}}}]}"#;

/// Says yes to everything.
struct Open;

impl Answers for Open {
    fn source(&self, source: &crate::model::name::SourceName, _: &ToolId) -> Said {
        said(Dimension::Source(source.clone()))
    }

    fn caller(&self, _: &ToolId) -> Vec<Said> {
        vec![said(Dimension::Role(RoleName::new("assistant").unwrap()))]
    }
}

fn said(dimension: Dimension) -> Said {
    let rule = Rule { dimension, answer: Answer::Plan, permission: None, when: None, place: None };
    Said { rule, strictest: Answer::Plan }
}

/// A grant of two steps, of which the second waits for a person.
fn grant(run: &RunId) -> Grant {
    let schema = r#"{"properties":{"x":{}}}"#.into();
    let tool = crate::plan::Tool { id: tool(), labels: Default::default(), schema, returns: sources([]) };
    let fitted =
        Plan::read(PLAN.as_bytes()).unwrap().fit(|_| Some(tool.clone()), &Trigger::default()).unwrap();
    let under = Circumstances {
        provenance: &sources(["chat"]),
        trigger: &Trigger::default(),
        goal: None,
        subject: &[],
        flows: &[],
        history: &History::default(),
        shapes: &[],
        grants: &[],
        outside: None,
        people: People::Reachable,
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let terms = Terms {
        run: run.clone(),
        number: 1,
        until: jiff::Timestamp::MAX,
        basis: Sha256::of(b""),
        like: None,
    };
    review(fitted, under, &Open).grant(terms).unwrap()
}

fn asked(run: &RunId) -> Asked {
    let exact = Exact {
        run: run.clone(),
        tool: tool(),
        arguments: Sha256::of(b"{}"),
        definition: None,
        config: Sha256::of(b"c"),
        provenance: sources(["chat"]),
    };
    let subject = Subject::new("user:1").unwrap();
    Asked { id: id(), exact, subject, at: jiff::Timestamp::UNIX_EPOCH, until: jiff::Timestamp::MAX }
}

fn id() -> QuestionId {
    QuestionId::of([1; 16])
}

fn planned(facts: CallFacts, result: PlanResult) -> Event {
    let consulted = Some(ConsultedFacts {
        request: Sha256::of(b"asked"),
        answer: Some(Sha256::of(b"answered")),
        result: Consultation::Outdated,
        words: vec![OpinionWord::Agree, OpinionWord::Ask, OpinionWord::Deny],
        why: Some(Detail::new("why\u{202e}")),
        took: std::time::Duration::from_millis(3),
    });
    let plan = PlanFacts { sha256: Sha256::of(b"p"), bytes: 1, result, consulted };
    Event::Plan { facts: Box::new(facts), plan: Box::new(plan), latency: Latency::default() }
}

fn granted(run: &RunId) -> Event {
    let grant = grant(run);
    let step = StepFacts {
        id: StepId::new("a").unwrap(),
        tool: Claim::new("t\u{202e}"),
        verdict: crate::plan::Verdict::Granted(Vec::new()),
        calls: 1,
    };
    planned(facts(run), PlanResult::Granted(vec![step], Box::new(grant)))
}

fn changed(run: &RunId, change: GrantChange) -> Event {
    Event::Grant { run: run.clone(), plan: grant(run).plan().digest(), change }
}

fn answered(run: &RunId, word: Word) -> Event {
    let (step, by) = (StepId::new("b").unwrap(), Person::Uid { uid: 0 });
    changed(run, GrantChange::Answered { grant: 1, step, word, by })
}

fn done(run: &RunId) -> Event {
    let selected = [("$.a".to_owned(), [Sha256::of(b"x")].into())].into();
    changed(run, GrantChange::Done(Concluded { grant: 1, step: StepId::new("a").unwrap(), selected }))
}

fn question(run: &RunId, change: ApprovalChange) -> Event {
    let by = match change {
        ApprovalChange::Agreed | ApprovalChange::Approved => Some(Person::Uid { uid: 0 }),
        ApprovalChange::Denied => Some(Person::Subject {
            entry_point: EntryPointName::new("people.corp").unwrap(),
            subject: Subject::new("user:1").unwrap(),
        }),
        ApprovalChange::Asked | ApprovalChange::Lapsed => None,
    };
    Event::Approval { change, asked: Box::new(asked(run)), by, rules: Vec::new(), grant: None }
}

fn agreed(run: &RunId) -> Event {
    let by = Person::Uid { uid: 1 };
    changed(run, GrantChange::Agreed { grant: 1, step: StepId::new("b").unwrap(), by })
}

/// What a call says of the step and the yes that it took.
pub(super) fn used(facts: &mut CallFacts) {
    facts.step = Some(StepUse { plan: Sha256::of(b"p"), grant: 1, step: "a".into(), count: 1 });
    facts.past = Some(Box::new(Past {
        tool: Some(tool()),
        classes: [ToolClass::Reads].into(),
        brings: sources(["web"]),
    }));
    facts.approval = Some(id());
    facts.like = facts.step.clone().map(|step| StepUse { grant: 2, ..step });
}

/// Every kind of record of plans and questions.
pub(super) fn events(run: &RunId) -> Vec<Event> {
    vec![
        granted(run),
        planned(facts(run), PlanResult::Invalid(3)),
        done(run),
        answered(run, Word::Approve),
        answered(run, Word::Deny),
        question(run, ApprovalChange::Asked),
        agreed(run),
        question(run, ApprovalChange::Agreed),
        question(run, ApprovalChange::Approved),
        question(run, ApprovalChange::Denied),
        question(run, ApprovalChange::Lapsed),
        question(run, ApprovalChange::Asked),
    ]
}

#[tokio::test]
async fn what_was_granted_used_and_answered_is_found_again_from_records_and_from_the_head_of_a_segment() {
    let room = Room::new();
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    for event in [granted(&run(1)), answered(&run(1), Word::Approve), done(&run(1))] {
        journal.record(event).await.unwrap();
    }
    journal.record(question(&run(1), ApprovalChange::Asked)).await.unwrap();
    journal.record(question(&run(1), ApprovalChange::Approved)).await.unwrap();
    let mut call = facts(&run(1));
    used(&mut call);
    call.approval = None;
    drop(intend(&journal, call).await.unwrap());
    let mut expected = grant(&run(1));
    expected.approve(&StepId::new("b").unwrap()).unwrap();
    expected.restore_use("a", 1);
    let selected = [("$.a".to_owned(), [Sha256::of(b"x")].into())].into();
    let step = StepId::new("a").unwrap();
    expected.restore_conclusion(&Concluded { grant: 1, step, selected });
    let mut room = room.killed();
    // The first start reads the records, the second the state that the first wrote, and so on.
    for round in 0..3 {
        let (journal, Recovered { live, .. }) = room.open();
        let held = &live.runs[&run(1)].plans;
        assert_eq!(held.grants(), [expected.clone()], "{round}");
        assert_eq!(held.history().iter().count(), 1);
        assert_eq!(live.questions[&id()].standing, Standing::Approved);
        drop(journal);
        room = room.killed();
    }
    // The call that takes the yes ends it.
    let (journal, _) = room.open();
    let mut call = facts(&run(1));
    used(&mut call);
    drop(intend(&journal, call).await.unwrap());
    let (_, Recovered { live, .. }) = room.killed().open();
    assert!(live.questions.is_empty());
}
