//! The review: ceiling, destinations, dependants, goal, and that every verdict names its rule.

use super::bench::{World, id, lists, source, sources, terms, verdicts};
use crate::model::decision::Answer;
use crate::model::name::Goal;
use crate::plan::{Ground, People, ReviewRule, Verdict};

const SEND: &str =
    r#"{"id":"s1","tool":"mail__send","args":{"to":{"lit":"bob@b.example"},"body":{"free":{"max_len":9}}}}"#;

#[test]
fn i1_a_step_outside_the_ceiling_is_refused_by_the_rule_that_denies_it() {
    let review = World::of(&["chat", "web"]).review(SEND);
    assert_eq!(verdicts(&review), ["refused: denied"]);
    let Verdict::Refused(findings) = &review.steps()[0].verdict else { panic!() };
    assert_eq!(findings[0].rule.to_string(), "source web deny, which nothing names");
    assert!(review.is_refused() && review.grant(terms()).is_none());
    assert_eq!(verdicts(&World::of(&["chat"]).review(SEND)), ["granted: within"]);
}

#[test]
fn i2_what_nothing_allows_is_refused() {
    assert_eq!(verdicts(&World::of(&["unknown"]).review(SEND)), ["refused: denied"]);
    assert_eq!(verdicts(&World::of(&[]).review(SEND)), ["refused: denied"]);
    let mut world = World::of(&["chat"]);
    world.lists.role = vec![("mail.send", Answer::Deny, Answer::Deny)];
    assert_eq!(verdicts(&world.review(SEND)), ["refused: denied"]);
}

#[test]
fn i5_a_hidden_tool_is_refused_like_one_that_does_not_exist() {
    let world = World::of(&["chat"]);
    let step = |tool: &str| format!(r#"{{"id":"s1","tool":"{tool}","args":{{"x":{{"lit":1}}}}}}"#);
    let (hidden, missing) = (world.review(&step("no__such")), world.review(&step("nobody__has")));
    assert_eq!(verdicts(&hidden), ["refused: not_visible"]);
    assert_eq!(hidden.steps(), missing.steps());
}

#[test]
fn steps_are_judged_one_by_one_and_dependants_of_refused_ones_are_refused() {
    let review = World::of(&["chat"]).review(
        r#"{"id":"a","tool":"no__such"},{"id":"b","tool":"mail__search","after":["a"]},
           {"id":"c","tool":"people__find","args":{"name":{"from":"b","select":"$.x"}}},
           {"id":"d","tool":"mail__search"}"#,
    );
    assert_eq!(
        verdicts(&review),
        [
            "refused: not_visible",
            "refused: depends_on_refused",
            "refused: depends_on_refused",
            "granted: within"
        ]
    );
    let grant = review.grant(terms()).unwrap();
    assert_eq!(grant.remaining().map(|step| step.left).collect::<Vec<_>>(), [0, 0, 0, 32]);
}

#[test]
fn destinations_have_to_be_pinned_or_a_person_looks() {
    let to = |constraint: &str| {
        let step = format!(r#"{{"id":"s1","tool":"mail__send","args":{{"to":{constraint}}}}}"#);
        verdicts(&World::of(&["chat"]).review(&step)).remove(0)
    };
    for pinned in [r#"{"lit":"a"}"#, r#"{"enum":["a","b"]}"#, r#"{"trigger":"sender"}"#] {
        assert_eq!(to(pinned), "granted: within", "{pinned}");
    }
    for open in [r#"{"match":"[a-z]+@b.example"}"#, r#"{"lit":"a","optional":true}"#] {
        assert_eq!(to(open), "person: destination_open", "{open}");
    }
    let pay = |amount: &str| {
        let step =
            format!(r#"{{"id":"s1","tool":"bank__pay","args":{{"iban":{{"lit":"x"}},"amount":{amount}}}}}"#);
        verdicts(&World::of(&["chat"]).review(&step)).remove(0)
    };
    assert_eq!(pay(r#"{"lit":5}"#), "granted: within");
    assert_eq!(pay(r#"{"min":0,"max":5}"#), "person: destination_open");
    // What nobody labelled is a destination in every argument.
    let step = r#"{"id":"s1","tool":"mystery__do","args":{"x":{"match":"a"}}}"#;
    assert_eq!(verdicts(&World::of(&["chat"]).review(step)), ["person: destination_open"]);
    // What is no destination may vary.
    let step = r#"{"id":"s1","tool":"mail__search","args":{"sender":{"match":"a"}}}"#;
    assert_eq!(verdicts(&World::of(&["chat"]).review(step)), ["granted: within"]);
}

#[test]
fn a_destination_out_of_content_that_may_have_influenced_the_plan_needs_a_person() {
    let steps = r#"{"id":"r","tool":"mail__search"},
        {"id":"s","tool":"mail__send","args":{"to":{"from":"r","select":"$.x"}}}"#;
    assert_eq!(verdicts(&World::of(&["chat"]).review(steps))[1], "granted: within");
    let mut world = World::of(&["chat", "email"]);
    assert_eq!(verdicts(&world.review(steps))[1], "person: destination_untrusted");
    // However far the value comes from.
    let far = r#"{"id":"r","tool":"mail__search"},
        {"id":"p","tool":"people__find","args":{"name":{"from":"r","select":"$.x"}}},
        {"id":"s","tool":"mail__send","args":{"to":{"from":"p","select":"$.x"}}}"#;
    assert_eq!(verdicts(&world.review(far))[2], "person: destination_untrusted");
    // What is trusted pins.
    let trusted = r#"{"id":"p","tool":"people__find","args":{"name":{"lit":"Bob"}}},
        {"id":"s","tool":"mail__send","args":{"to":{"from":"p","select":"$.x"}}}"#;
    assert_eq!(verdicts(&world.review(trusted))[1], "granted: asked_at_call within");
    // Content may come from there: the text is told, not addressed.
    let told = r#"{"id":"r","tool":"mail__search"},
        {"id":"s","tool":"mail__send","args":{"to":{"lit":"a"},"body":{"from":"r","select":"$.x"}}}"#;
    assert_eq!(verdicts(&world.review(told))[1], "granted: asked_at_call within");
    world.people = People::Nobody;
    assert_eq!(verdicts(&world.review(steps))[1], "refused: destination_untrusted");
}

#[test]
fn a_destination_out_of_a_source_that_denies_the_tool_needs_a_person() {
    let steps = r#"{"id":"r","tool":"web__fetch","args":{"url":{"lit":"https://x.example"}}},
        {"id":"s","tool":"mail__send","args":{"to":{"from":"r","select":"$.x"}}}"#;
    let review = World::of(&["chat"]).review(steps);
    assert_eq!(verdicts(&review)[1], "person: destination_denied");
    let Verdict::Person(findings) = &review.steps()[1].verdict else { panic!() };
    assert_eq!(findings[0].step.as_ref().unwrap().as_str(), "r");
    assert_eq!(findings[0].argument.as_ref().unwrap().as_str(), "to");
    assert_eq!(findings[0].rule.to_string(), "destinations");
}

#[test]
fn dependants_of_a_step_that_waits_for_a_person_are_granted_and_cannot_run_before_it() {
    let steps = r#"{"id":"a","tool":"mail__send","args":{"to":{"match":"x"}}},
        {"id":"b","tool":"mail__search","after":["a"]}"#;
    let mut world = World::of(&["chat"]);
    assert_eq!(verdicts(&world.review(steps)), ["person: destination_open", "granted: within"]);
    world.people = People::Nobody;
    assert_eq!(verdicts(&world.review(steps)), ["refused: destination_open", "refused: depends_on_refused"]);
}

#[test]
fn a_goal_counts_as_far_as_the_credential_vouches_for_it() {
    let mut world = World::of(&["chat"]);
    let goal = |text| Some(Goal::new(text).unwrap());
    let raw = format!(r#"{{"v":1,"goal":"pay_bill","steps":[{SEND}]}}"#);
    let fit = |world: &World| {
        crate::plan::Plan::read(raw.as_bytes()).unwrap().fit(super::bench::tool, &world.trigger).unwrap()
    };
    assert_eq!(verdicts(&world.judge(fit(&world), &[])), ["granted: within"]);
    world.goal = goal("pay_bill");
    assert_eq!(verdicts(&world.judge(fit(&world), &[])), ["granted: within"]);
    world.goal = goal("triage_mail");
    assert_eq!(verdicts(&world.judge(fit(&world), &[])), ["refused: goal_differs"]);
}

#[test]
fn notes_and_texts_of_a_plan_stand_in_no_finding() {
    let canary = "CANARY";
    let raw = format!(
        r#"{{"v":1,"note":"{canary}","steps":[{{"id":"s1","tool":"mail__send","note":"{canary}","args":{{
        "to":{{"enum":["{canary}","x"]}},"subject":{{"lit":"{canary}"}},"cc":{{"each":{{"match":"{canary}"}},"max_items":1}}}}}}]}}"#
    );
    let world = World { people: People::Reachable, ..World::of(&["chat", "email", "web"]) };
    let fitted =
        crate::plan::Plan::read(raw.as_bytes()).unwrap().fit(super::bench::tool, &world.trigger).unwrap();
    let review = world.judge(fitted, &[]);
    for step in review.steps() {
        let (Verdict::Granted(findings) | Verdict::Person(findings) | Verdict::Refused(findings)) =
            &step.verdict;
        let told = serde_json::to_string(findings).unwrap();
        assert!(!told.contains(canary) && told.contains("rule"), "{told}");
    }
}

#[test]
fn whoever_wrote_the_plan_is_told_why_and_no_rule() {
    let steps =
        r#"{"id":"a","tool":"mail__send","args":{"to":{"match":"x"}}},{"id":"b","tool":"mail__search"}"#;
    let review = World::of(&["chat"]).review(steps);
    let told: Vec<String> =
        review.steps().iter().map(|step| serde_json::to_string(&step.told()).unwrap()).collect();
    assert!(told[0].starts_with(
        r#"{"step":"a","verdict":"person","calls":1,"why":[{"reason":"destination_open","argument":"to","message":"#
    ));
    assert_eq!(told[1], r#"{"step":"b","verdict":"granted","calls":32}"#);
    let denied = World::of(&["chat", "web"]).review(SEND);
    let told = serde_json::to_string(&denied.steps()[0].told()).unwrap();
    assert!(
        told.contains(r#""reason":"denied""#) && !told.contains("gateway.toml") && !told.contains("web"),
        "{told}"
    );
}

#[test]
fn a_plan_answer_of_a_source_of_before_needs_a_shape_or_a_person_and_one_of_after_is_met() {
    let step = r#"{"id":"s1","tool":"calendar__create","args":{"attendees":{"lit":["a"]}}}"#;
    let review = World::of(&["email"]).review(step);
    assert_eq!(verdicts(&review), ["person: plan_uncovered"]);
    let Verdict::Person(findings) = &review.steps()[0].verdict else { panic!() };
    assert_eq!((&findings[0].source, findings[0].ground), (&Some(source("email")), Ground::Uncovered));
    // An answer that may be *plan* under some arguments counts as one.
    let write = r#"{"id":"s1","tool":"files__write","args":{"path":{"lit":"a"}}}"#;
    assert_eq!(verdicts(&World::of(&["email"]).review(write)), ["person: plan_uncovered"]);

    let clean = World::of(&["chat"]).grant(step);
    let called = super::bench::call("calendar.create", r#"{"attendees":["a"]}"#);
    let attempt = called.attempt().unwrap();
    let found = clean.find(&attempt).unwrap();
    assert!(found.meets_source(&source("email")) && found.meets_source(&source("web")));
    assert!(!found.meets_source(&source("chat")));

    let mut waiting = review.grant(terms()).unwrap();
    assert!(waiting.find(&attempt).is_none());
    assert_eq!(waiting.approve(&id("nothing")), None);
    waiting.approve(&id("s1")).unwrap();
    assert_eq!(waiting.approve(&id("s1")), None);
    assert!(waiting.find(&attempt).unwrap().meets_source(&source("email")));
}

#[test]
fn what_a_step_is_granted_by_is_named() {
    let review = World::of(&["chat"]).review(SEND);
    let Verdict::Granted(findings) = &review.steps()[0].verdict else { panic!() };
    let rules: Vec<String> = findings.iter().map(|finding| finding.rule.to_string()).collect();
    assert_eq!(
        rules,
        ["source chat allow by `*` at gateway.toml:1:1", "role assistant allow by `*` at gateway.toml:2:1"]
    );
    assert!(matches!(&findings[0].rule, ReviewRule::List(_)));
    assert_eq!(lists().sources.len(), 3);
    assert_eq!(sources(&["chat"]).len(), 1);
}
