//! Budgets one by one: what each refuses, for whom, and for how long.

use super::*;
use crate::limit::changes;
use crate::model::budget::{Amount, COUNTS_MAX};
use crate::model::glob::Glob;
use crate::model::name::{AgentName, BudgetName, SourceName, ToolId, ToolName};

const NOON: &str = "2026-11-27T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn budget(name: &str, limits: &[(Amount, u64)]) -> Budget {
    Budget {
        name: BudgetName::new(name).unwrap(),
        filter: Filter::default(),
        per: BTreeSet::new(),
        limits: limits.iter().copied().collect(),
        in_flight_max: None,
        result_max: None,
    }
}

fn settings(budgets: Vec<Budget>) -> Settings {
    Settings {
        in_flight_max: usize::MAX,
        in_flight_per_principal_max: usize::MAX,
        in_flight_per_upstream_max: [(upstream("mail"), usize::MAX), (upstream("web"), usize::MAX)].into(),
        budgets,
        ..Settings::default()
    }
}

fn gate_of(budgets: Vec<Budget>) -> Gate {
    Gate::new(settings(budgets), Ledger::default())
}

fn tool(upstream_name: &str, name: &str) -> Target {
    Target::Tool(ToolId { upstream: upstream(upstream_name), tool: ToolName::new(name).unwrap() })
}

fn sources(names: &[&str]) -> Provenance {
    Provenance::of(names.iter().map(|name| SourceName::new(name).unwrap()))
}

/// Who asks in these tests: one person, from these sources.
struct Someone {
    principal: Principal,
    run: RunId,
    sources: Provenance,
}

impl Someone {
    fn from(names: &[&str]) -> Self {
        Self { principal: principal("keys.a", "user:ann"), run: RunId::of([1; 16]), sources: sources(names) }
    }

    fn who(&self) -> Who<'_> {
        Who { principal: &self.principal, run: Some(&self.run), sources: &self.sources }
    }

    fn call(
        &self,
        gate: &Gate,
        target: &Target,
        cost: u64,
        now: Timestamp,
    ) -> Result<Admission<()>, Refused> {
        gate.admit((), Keys { who: self.who(), target }, cost, now).map_err(|((), refused)| refused)
    }
}

fn told(refused: Refused) -> (Reason, &'static str, u64) {
    let spent = refused.spent.expect("a budget says so");
    (refused.reason, spent.limit, spent.retry_after_s)
}

#[test]
fn a_spent_window_refuses_until_its_end_and_says_when_that_is() {
    let gate = gate_of(vec![budget("b", &[(Amount::CallsPerMinute, 2), (Amount::CallsPerHour, 3)])]);
    let (ann, send) = (Someone::from(&["chat"]), tool("mail", "send"));
    let call = |time: &str| ann.call(&gate, &send, 1, at(time)).map(drop).map_err(told);
    assert_eq!(call("2026-11-27T12:00:10Z"), Ok(()));
    assert_eq!(call("2026-11-27T12:00:20Z"), Ok(()));
    assert_eq!(call("2026-11-27T12:00:30Z"), Err((Reason::RateExceeded, "calls_per_minute", 30)));
    assert_eq!(call("2026-11-27T12:01:00Z"), Ok(()));
    // The minute has room; the longest wait is the one that helps.
    assert_eq!(call("2026-11-27T12:01:01Z"), Err((Reason::BudgetExceeded, "calls_per_hour", 3539)));
    assert_eq!(call("2026-11-27T13:00:00Z"), Ok(()));
}

#[test]
fn what_a_call_costs_is_taken_whole_or_not_at_all() {
    let cheap = budget("cheap", &[(Amount::CostPerHour, 10)]);
    let gate = gate_of(vec![cheap, budget("calls", &[(Amount::CallsPerDay, 9)])]);
    let (ann, send, now) = (Someone::from(&["chat"]), tool("mail", "send"), at(NOON));
    assert!(ann.call(&gate, &send, 7, now).is_ok());
    let refused = ann.call(&gate, &send, 4, now).unwrap_err();
    assert_eq!(refused.spent.as_ref().unwrap().budget.as_str(), "cheap");
    assert!(ann.call(&gate, &send, 3, now).is_ok(), "what was refused took nothing");
    assert!(ann.call(&gate, &send, 0, now).is_ok(), "what costs nothing passes");
    let used: Vec<_> = gate.fullest(now).into_iter().map(|full| (full.budget, full.used)).collect();
    assert_eq!(used, [("calls".to_owned(), 3), ("cheap".to_owned(), 10)]);
}

#[test]
fn every_source_of_a_run_has_its_count_and_the_strictest_refuses() {
    let per = [Per::Source].into();
    let gate = gate_of(vec![Budget { per, ..budget("b", &[(Amount::CallsPerHour, 2)]) }]);
    let (send, now) = (tool("mail", "send"), at(NOON));
    let (chat, web) = (Someone::from(&["chat"]), Someone::from(&["chat", "web"]));
    assert_eq!(web.call(&gate, &send, 1, now).unwrap().charges().len(), 2);
    assert!(web.call(&gate, &send, 1, now).is_ok());
    assert!(chat.call(&gate, &send, 1, now).is_err(), "the tainted calls counted for chat too");
    assert!(Someone::from(&["email"]).call(&gate, &send, 1, now).is_ok());
    let of_web = Filter { sources: vec![SourceName::new("web").unwrap()], ..Filter::default() };
    let gate = gate_of(vec![Budget { filter: of_web, ..budget("b", &[(Amount::CallsPerHour, 1)]) }]);
    assert!(web.call(&gate, &send, 1, now).is_ok());
    assert!(chat.call(&gate, &send, 1, now).is_ok(), "a run that read nothing of the web does not count");
    assert!(web.call(&gate, &send, 1, now).is_err());
}

#[test]
fn filters_and_what_is_told_apart_are_of_the_call() {
    let filter = Filter {
        subjects: vec![Glob::new("user:*").unwrap()],
        upstreams: vec![upstream("mail")],
        tools: vec![Glob::new("*.send*").unwrap()],
        ..Filter::default()
    };
    let per = [Per::Tool].into();
    let gate = gate_of(vec![Budget { filter, per, ..budget("b", &[(Amount::CallsPerHour, 1)]) }]);
    let (ann, now) = (Someone::from(&["chat"]), at(NOON));
    let passes = |target: Target| ann.call(&gate, &target, 1, now).is_ok();
    assert!(passes(tool("mail", "send")) && !passes(tool("mail", "send")));
    assert!(passes(tool("mail", "send_later")), "another tool has its own count");
    for other in [tool("web", "send"), tool("mail", "read"), Target::Completion(upstream("mail"))] {
        assert!(passes(other.clone()) && passes(other.clone()), "{other} does not count");
    }
}

#[test]
fn every_agent_of_a_chain_counts_and_none_is_one_too() {
    let per = [Per::Agent].into();
    let gate = gate_of(vec![Budget { per, ..budget("b", &[(Amount::CallsPerHour, 1)]) }]);
    let (send, now) = (tool("mail", "send"), at(NOON));
    let with = |agents: &[&str]| {
        let agents = agents.iter().map(|agent| AgentName::new(agent).unwrap()).collect();
        let someone = Someone::from(&["chat"]);
        Someone { principal: Principal { agents, ..someone.principal }, ..someone }
    };
    assert!(with(&["helper", "inbox"]).call(&gate, &send, 1, now).is_ok());
    assert!(with(&["inbox"]).call(&gate, &send, 1, now).is_err());
    assert!(with(&[]).call(&gate, &send, 1, now).is_ok());
    assert!(with(&[]).call(&gate, &send, 1, now).is_err());
}

#[test]
fn who_is_denied_too_often_is_refused_everything_for_the_rest_of_the_hour() {
    let per = [Per::Subject].into();
    let gate = gate_of(vec![Budget { per, ..budget("b", &[(Amount::DenialsPerHour, 2)]) }]);
    let (ann, send, now) = (Someone::from(&["chat"]), tool("mail", "send"), at(NOON));
    assert_eq!(gate.denied(ann.who(), now).len(), 1);
    assert!(ann.call(&gate, &send, 1, now).is_ok());
    assert_eq!(gate.denied(ann.who(), now).len(), 1);
    let refused = told(ann.call(&gate, &send, 1, now).map(drop).unwrap_err());
    assert_eq!(refused, (Reason::DenialsExceeded, "denials_per_hour", 3600));
    let asks = gate.ask(Keys { who: ann.who(), target: &send }, 1, now);
    assert_eq!(asks.unwrap_err().reason, Reason::DenialsExceeded);
    let bob = Someone { principal: principal("keys.a", "user:bob"), ..Someone::from(&["chat"]) };
    assert!(bob.call(&gate, &send, 1, now).is_ok());
    assert!(ann.call(&gate, &send, 1, at("2026-11-27T13:00:00Z")).is_ok());
}

#[test]
fn questions_to_the_model_and_their_tokens_have_budgets_of_their_own() {
    let amounts = [(Amount::SamplingPerHour, 2), (Amount::SamplingTokensPerDay, 1000)];
    let gate = gate_of(vec![budget("b", &amounts)]);
    let (ann, send, now) = (Someone::from(&["chat"]), tool("mail", "send"), at(NOON));
    let ask = |tokens| gate.ask(Keys { who: ann.who(), target: &send }, tokens, now).map_err(told);
    assert_eq!(ask(1001).unwrap_err(), (Reason::BudgetExceeded, "sampling_tokens_per_day", 12 * 3600));
    assert!(ask(u64::MAX).is_err(), "one that does not say how many");
    assert!(ask(999).is_ok() && ask(1).is_ok());
    assert_eq!(ask(0).unwrap_err(), (Reason::BudgetExceeded, "sampling_per_hour", 3600));
    assert!(ann.call(&gate, &send, 1, now).is_ok(), "calls are another matter");
}

#[test]
fn places_are_given_back_and_counts_never() {
    let in_flight_max = Some(1);
    let gate = gate_of(vec![Budget { in_flight_max, ..budget("b", &[(Amount::CallsPerHour, 3)]) }]);
    let (ann, send, now) = (Someone::from(&["chat"]), tool("mail", "send"), at(NOON));
    let kept = ann.call(&gate, &send, 1, now).unwrap();
    assert_eq!(told(ann.call(&gate, &send, 1, now).unwrap_err()), (Reason::BudgetBusy, "in_flight_max", 1));
    drop(kept);
    assert!(ann.call(&gate, &send, 1, now).is_ok());
    assert!(ann.call(&gate, &send, 1, now).is_ok());
    assert_eq!(ann.call(&gate, &send, 1, now).unwrap_err().reason, Reason::BudgetExceeded);
}

#[test]
fn the_smallest_answer_that_a_budget_lets_be_counts() {
    let with = |name, result_max| Budget { result_max: Some(result_max), ..budget(name, &[]) };
    let of_web = Filter { upstreams: vec![upstream("web")], ..Filter::default() };
    let gate = gate_of(vec![with("a", 4096), with("b", 2048), Budget { filter: of_web, ..with("c", 1024) }]);
    let (ann, now) = (Someone::from(&["chat"]), at(NOON));
    assert_eq!(ann.call(&gate, &tool("mail", "send"), 1, now).unwrap().result_max(), Some(2048));
    assert_eq!(ann.call(&gate, &tool("web", "open"), 1, now).unwrap().result_max(), Some(1024));
}

#[test]
fn a_reload_keeps_what_was_counted_unless_it_counts_something_else() {
    let day = |limit| budget("b", &[(Amount::CallsPerDay, limit)]);
    let gate = gate_of(vec![day(1)]);
    let (ann, send, now) = (Someone::from(&["chat"]), tool("mail", "send"), at(NOON));
    assert!(ann.call(&gate, &send, 1, now).is_ok());
    gate.adjust(settings(vec![]));
    assert!(ann.call(&gate, &send, 1, now).is_ok(), "nothing is counted without a budget");
    gate.adjust(settings(vec![day(2)]));
    assert!(ann.call(&gate, &send, 1, now).is_ok());
    assert!(ann.call(&gate, &send, 1, now).is_err(), "one was counted before");
    let per = [Per::Subject].into();
    gate.adjust(settings(vec![Budget { per, ..day(1) }]));
    assert!(ann.call(&gate, &send, 1, now).is_ok(), "it is another count");
}

#[test]
fn what_is_lost_is_spent_until_its_window_ends() {
    let ledger = Ledger { lost_at: Some(at(NOON)), ..Ledger::default() };
    let gate = Gate::new(settings(vec![budget("b", &[(Amount::CallsPerHour, 100)])]), ledger);
    let (ann, send) = (Someone::from(&["chat"]), tool("mail", "send"));
    let refused = ann.call(&gate, &send, 1, at("2026-11-27T12:30:00Z")).unwrap_err();
    assert_eq!(told(refused), (Reason::BudgetExceeded, "calls_per_hour", 1800));
    assert!(ann.call(&gate, &send, 1, at("2026-11-27T13:00:00Z")).is_ok());
}

#[test]
fn i11_a_full_table_refuses_the_new_forgets_nothing_live_and_takes_what_is_over() {
    let per = [Per::Run].into();
    let gate = gate_of(vec![Budget { per, ..budget("b", &[(Amount::CallsPerMinute, 1)]) }]);
    let (ann, send, now) = (Someone::from(&["chat"]), tool("mail", "send"), at(NOON));
    let of_run = |number: usize, now| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let run = RunId::of(bytes);
        let who = Who { run: Some(&run), ..ann.who() };
        gate.admit((), Keys { who, target: &send }, 1, now).map(drop).map_err(|((), refused)| told(refused))
    };
    for number in 0..COUNTS_MAX {
        assert_eq!(of_run(number, now), Ok(()));
    }
    assert_eq!(of_run(COUNTS_MAX, now), Err((Reason::BudgetsFull, "counts", 60)));
    assert_eq!(of_run(0, now), Err((Reason::RateExceeded, "calls_per_minute", 60)), "it is still counted");
    assert_eq!(of_run(COUNTS_MAX, at("2026-11-27T12:01:00Z")), Ok(()));
}

#[test]
fn a_call_that_counts_for_more_than_a_record_holds_is_refused() {
    let per = [Per::Source].into();
    let gate = gate_of(vec![Budget { per, ..budget("b", &[(Amount::CallsPerHour, 1000)]) }]);
    let many: Vec<_> = (0..=CHARGES_PER_CALL_MAX).map(|number| format!("s{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let refused = Someone::from(&many).call(&gate, &tool("mail", "send"), 1, at(NOON)).unwrap_err();
    assert_eq!(refused.reason, Reason::BudgetsFull);
}

#[test]
fn what_lets_more_pass_is_wider_and_what_lets_less_is_not() {
    let day = |limit| budget("b", &[(Amount::CallsPerDay, limit)]);
    let widened = |old: &[Budget], new: &[Budget]| changes::of_budgets(old, new).widened().to_vec();
    assert_eq!(widened(&[day(5)], &[day(5)]), Vec::<String>::new());
    assert_eq!(widened(&[day(5)], &[day(4), budget("new", &[])]), Vec::<String>::new());
    assert_eq!(widened(&[day(5)], &[]), ["budget b is gone"]);
    assert_eq!(widened(&[day(5)], &[day(6)]), ["budget b: `calls_per_day` 6 instead of 5"]);
    let gone = widened(&[day(5)], &[budget("b", &[(Amount::CostPerDay, 1)])]);
    assert_eq!(gone, ["budget b: no `calls_per_day` any more (it was 5)"]);
    let per = [Per::Run].into();
    let anew = widened(&[day(5)], &[Budget { per, ..day(5) }]);
    assert_eq!(anew, ["budget b counts something else, and begins anew"]);
    let lower = changes::of_budgets(&[day(5)], &[day(4)]);
    assert_eq!(lower.changed(), ["budget b changed"]);
    let with = |failed| Settings { failed_authentications_per_minute: failed, ..settings(vec![]) };
    let widened = |old, new| changes::of(&with(old), &with(new)).widened().len();
    assert_eq!([widened(Some(5), None), widened(Some(5), Some(6))], [1, 1]);
    assert_eq!([widened(None, Some(5)), widened(Some(5), Some(4)), widened(Some(5), Some(5))], [0, 0, 0]);
}

#[test]
fn refused_credentials_are_counted_by_address_for_a_minute() {
    let address = |text: &str| text.parse::<std::net::IpAddr>().unwrap();
    let failures = Failures::new(Some(2));
    let (ann, bob, now) = (address("192.0.2.1"), address("::ffff:192.0.2.2"), at("2026-11-27T12:00:50Z"));
    failures.count(ann, now);
    assert_eq!(failures.check(ann, now), Ok(()));
    failures.count(address("::ffff:192.0.2.1"), now);
    assert_eq!(failures.check(ann, now), Err(10), "written differently, it is the same address");
    assert_eq!(failures.check(bob, now), Ok(()));
    let set_back = at("2026-11-27T11:00:00Z");
    assert_eq!(failures.check(ann, set_back), Err(60), "a clock that is set back frees nobody");
    assert_eq!(failures.check(ann, at("2026-11-27T12:01:00Z")), Ok(()));
    let (one, other) = (address("2001:db8::1"), address("2001:db8::2"));
    failures.count(one, now);
    failures.count(other, now);
    assert!(failures.check(one, now).is_err(), "a /64 is one holder");
    failures.adjust(None);
    assert_eq!(failures.check(one, now), Ok(()));
}

#[test]
fn i11_addresses_without_a_place_share_a_count() {
    let failures = Failures::new(Some(3));
    let now = at(NOON);
    let address = |number: usize| std::net::IpAddr::V4(std::net::Ipv4Addr::from(number as u32));
    for number in 0..ADDRESSES_MAX {
        failures.count(address(number), now);
    }
    for number in 0..3 {
        assert_eq!(failures.check(address(ADDRESSES_MAX + 9), now), Ok(()));
        failures.count(address(ADDRESSES_MAX + number), now);
    }
    assert!(failures.check(address(ADDRESSES_MAX + 9), now).is_err());
    assert_eq!(failures.check(address(0), now), Ok(()), "who has a place keeps it");
}
