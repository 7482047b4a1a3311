//! What a reviewer outside is asked, which answers count, and what they do.

use super::bench::{World, verdicts};
use crate::model::name::RuleName;
use crate::model::place::Place;
use crate::plan::{Domains, Heard, Misfit, Opinion, OpinionWord, ReviewerRequest, StepOpinion};

const STEPS: &str = r#"{"id":"a","tool":"mail__search"},{"id":"b","tool":"mail__search","after":["a"]}"#;

fn place() -> Place {
    super::bench::place(7)
}

fn asked() -> ReviewerRequest {
    let review = World::of(&["chat"]).review(STEPS);
    review.brief(None, &Domains::new()).unwrap().request("r1").unwrap()
}

/// An answer to `asked` with these steps.
fn answer(asked: &ReviewerRequest, steps: &str) -> String {
    format!(r#"{{"v":1,"id":"r1","request":"sha256:{}","steps":[{steps}]}}"#, asked.digest())
}

fn said(words: &[OpinionWord]) -> Opinion {
    let each = words.iter().map(|word| StepOpinion { word: *word, rule: RuleName::new("own-rule").ok() });
    Opinion::Said(each.collect())
}

#[test]
fn an_answer_counts_for_its_request_alone_and_says_one_word_of_each_step() {
    let asked = asked();
    let good = answer(&asked, r#"{"step":1,"verdict":"deny","rule":"r"},{"step":0,"verdict":"agree"}"#);
    let words: Vec<_> = asked.read(good.as_bytes()).unwrap().words().collect();
    assert_eq!(words, [OpinionWord::Agree, OpinionWord::Deny]);
    let both = r#"{"step":0,"verdict":"agree"},{"step":1,"verdict":"agree"}"#;
    let whole = answer(&asked, both);
    let own = String::from_utf8(asked.body().to_vec()).unwrap();
    for (wrong, why) in [
        (answer(&asked, r#"{"step":0,"verdict":"agree"}"#), Misfit::Steps),
        (answer(&asked, r#"{"step":0,"verdict":"agree"},{"step":0,"verdict":"agree"}"#), Misfit::Steps),
        (answer(&asked, r#"{"step":0,"verdict":"agree"},{"step":2,"verdict":"agree"}"#), Misfit::Steps),
        (answer(&asked, ""), Misfit::Steps),
        (answer(&asked, &both.replace("agree", "grant")), Misfit::Schema),
        (answer(&asked, &both.replace("\"step\":0", "\"step\":0,\"why\":\"x\"")), Misfit::Schema),
        (answer(&asked, &both.replace("\"step\":0", "\"step\":0,\"rule\":\"two words\"")), Misfit::Schema),
        (answer(&asked, &both.replace("\"step\":0", "\"step\":1,\"step\":0")), Misfit::Schema),
        (whole.replace("\"v\":1", "\"v\":2"), Misfit::Schema),
        (whole.replace("r1", "r2"), Misfit::Other),
        (whole.replace(&asked.digest().to_string(), &"0".repeat(64)), Misfit::Other),
        (format!("{whole} {{}}"), Misfit::Schema),
        (format!("{}{}", " ".repeat(20_000), whole), Misfit::Schema),
        (own, Misfit::Schema),
        (String::new(), Misfit::Schema),
    ] {
        assert_eq!(asked.read(wrong.as_bytes()), Err(why), "{wrong}");
    }
}

#[test]
fn a_reviewer_makes_steps_stricter_by_its_rule_and_takes_along_what_depends_on_them() {
    let world = World::of(&["chat"]);
    assert_eq!(verdicts(&world.review(STEPS)), ["granted: within", "granted: within"]);
    let heard = |opinion: &Opinion| {
        let review = world.hear(world.fit(STEPS), Some(Heard { opinion, place: &place() }));
        let rules = review.steps().iter().flat_map(|step| step.verdict.findings());
        (verdicts(&review), rules.map(|finding| finding.rule.to_string()).collect::<Vec<_>>())
    };
    use OpinionWord::{Agree, Ask, Deny};
    assert_eq!(heard(&said(&[Agree, Agree])).0, ["granted: within", "granted: within"]);
    assert_eq!(heard(&said(&[Agree, Ask])).0, ["granted: within", "person: reviewer_asks"]);
    let (words, rules) = heard(&said(&[Deny, Agree]));
    assert_eq!(words, ["refused: reviewer_denies", "refused: depends_on_refused"]);
    assert_eq!(rules[0], "reviewer rule own-rule at gateway.toml:7:1");
    assert_eq!(heard(&Opinion::Silent).0, ["person: reviewer_silent", "person: reviewer_silent"]);
}
