//! What is learnt from calls lets every one of them pass again, and opens nothing that was not seen.

use proptest::prelude::*;
use proptest::sample::select;

use super::oracle::{Question, World};
use super::properties::{TOOLS, compile, decide, question, world};
use super::*;

/// The policy that is proposed for every source, role and agent that is seen.
fn learnt(world: &World, questions: &[Question], policy: &Policy, names: Names) -> Rules {
    let known: BTreeSet<String> = world.tools.iter().cloned().collect();
    let row = |is_meant: &dyn Fn(&Question) -> bool| {
        let mut seen = Seen::default();
        for q in questions.iter().filter(|q| is_meant(q)) {
            let answer = decide(policy, q).verdict;
            seen.note(Class::Tool, &q.tool, answer, Timestamp::UNIX_EPOCH).unwrap();
        }
        let proposed: Vec<_> =
            seen.propose(names, &known).into_iter().map(|entry| entry.permission).collect();
        let globs: Vec<_> = proposed.iter().map(String::as_str).collect();
        for_tools(Lists { allow: permissions(&globs, 1), ..Lists::default() })
    };
    let source = |name: &String| row(&|q: &Question| q.own_sources.contains(name) || q.taint.contains(name));
    Rules {
        sources: world.sources.keys().map(|name| (SourceName::new(name).unwrap(), source(name))).collect(),
        roles: world
            .roles
            .keys()
            .map(|name| (RoleName::new(name).unwrap(), row(&|q| q.roles.contains(name))))
            .collect(),
        agents: world
            .agents
            .keys()
            .map(|name| (AgentName::new(name).unwrap(), row(&|q| q.agents.contains(name))))
            .collect(),
        ..Rules::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_learnt_refuses_nothing_that_was_allowed(
        world in world(),
        questions in proptest::collection::vec(question(), 1..24),
        names in select(&[Names::Literal, Names::Generalised][..]),
    ) {
        let policy = compile(&world);
        let questions: Vec<_> = questions.into_iter().map(|q| Question { is_pin_changed: false, ..q }).collect();
        let rules = learnt(&world, &questions, &policy, names);
        let tools: Vec<_> = TOOLS.iter().map(|text| known(text)).collect();
        let proposed = Policy::compile(rules, &tools, PolicyEpoch(1));
        for q in questions.iter().filter(|q| decide(&policy, q).verdict == Answer::Allow) {
            prop_assert_eq!(decide(&proposed, q).verdict, Answer::Allow, "{:?}", q);
        }
    }
}
