//! Budgets against a slow and obvious second implementation: a list of everything that was ever let pass, summed
//! up anew for each question. Restarts included: what the records say is all that the next gate knows.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::model::budget::Amount;
use crate::model::glob::Glob;
use crate::model::name::{AgentName, BudgetName, SourceName, ToolId, ToolName};

const SOURCES: &[&str] = &["chat", "email", "web"];
const SUBJECTS: &[&str] = &["user:1", "user:2", "svc:1"];
const AGENTS: &[&str] = &["inbox", "helper"];
const TOOLS: &[&str] = &["mail.send", "mail.read", "web.open"];

/// A budget in plain words.
#[derive(Debug, Clone)]
struct Written {
    source: Option<&'static str>,
    subject: Option<&'static str>,
    agent: Option<&'static str>,
    upstream: Option<&'static str>,
    tools: Option<&'static str>,
    per: Vec<&'static str>,
    limits: Vec<(Amount, u64)>,
    in_flight_max: Option<u64>,
}

/// Something that somebody does.
#[derive(Debug, Clone)]
struct Step {
    seconds: u32,
    what: What,
    sources: Vec<&'static str>,
    subject: &'static str,
    agents: Vec<&'static str>,
    run: u8,
    tool: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Call { cost: u64 },
    CallAndStay { cost: u64 },
    Ask { tokens: u64 },
    Denied,
    Restart,
}

fn written() -> impl Strategy<Value = Written> {
    let maybe =
        |names: &'static [&'static str]| prop_oneof![3 => Just(None), 1 => select(names).prop_map(Some)];
    let filters = (
        maybe(SOURCES),
        maybe(&["user:*", "user:1", "*"]),
        maybe(AGENTS),
        maybe(&["mail", "web"]),
        maybe(&["*.send", "mail.*", "web.o*"]),
    );
    let per = subsequence(vec!["source", "subject", "agent", "tool", "upstream", "run"], 0..=3);
    let limits = vec((select(Amount::ALL), 1..6_u64), 1..4);
    (filters, per, limits, prop_oneof![3 => Just(None), 1 => (1..3_u64).prop_map(Some)]).prop_map(
        |((source, subject, agent, upstream, tools), per, limits, in_flight_max)| {
            let mut written = Written { source, subject, agent, upstream, tools, per, limits, in_flight_max };
            // As the configuration demands it: denials are counted by caller alone.
            if written.limits.iter().any(|(amount, _)| *amount == Amount::DenialsPerHour) {
                (written.upstream, written.tools) = (None, None);
                written.per.retain(|per| !["tool", "upstream"].contains(per));
            }
            written.limits.sort();
            written.limits.dedup_by_key(|(amount, _)| *amount);
            written
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        6 => (0..4_u64).prop_map(|cost| What::Call { cost }),
        1 => (0..4_u64).prop_map(|cost| What::CallAndStay { cost }),
        2 => (0..5_u64).prop_map(|tokens| What::Ask { tokens }),
        2 => Just(What::Denied),
        1 => Just(What::Restart),
    ];
    let who =
        (subsequence(SOURCES, 1..=3), select(SUBJECTS), subsequence(AGENTS, 0..=2), 0..2_u8, select(TOOLS));
    let seconds = prop_oneof![4 => 0..40_u32, 1 => 0..4000_u32, 1 => 0..90_000_u32];
    (seconds, what, who).prop_map(|(seconds, what, (sources, subject, agents, run, tool))| Step {
        seconds,
        what,
        sources,
        subject,
        agents,
        run,
        tool,
    })
}

/// Something that was let pass: when, for which budget and combination, what, and how much.
type Passed = (i64, usize, String, Amount, u64);

/// The obvious way.
#[derive(Default)]
struct Oracle {
    now: i64,
    passed: Vec<Passed>,
    in_flight: Vec<(usize, String)>,
}

/// The values of one `per` that a step counts for. `tool` is what is called, if anything is.
fn values(per: &str, budget: &Written, step: &Step, tool: Option<&str>) -> Vec<String> {
    let meant = |only: Option<&str>, names: &[&str]| {
        let names = names.iter().filter(|name| only.is_none_or(|only| only == **name));
        names.map(|name| (*name).to_owned()).collect()
    };
    match per {
        "source" => meant(budget.source, &step.sources),
        "agent" if step.agents.is_empty() => vec![String::new()],
        "agent" => meant(budget.agent, &step.agents),
        "subject" => vec![step.subject.to_owned()],
        "run" => vec![step.run.to_string()],
        "tool" => vec![tool.unwrap_or_default().to_owned()],
        _ => vec![tool.unwrap_or_default().split('.').next().unwrap().to_owned()],
    }
}

/// The combinations of `budget` that a step counts for.
fn combinations(budget: &Written, step: &Step, tool: Option<&str>) -> Vec<String> {
    let matches = |glob: &str, text: &str| match glob.split_once('*') {
        Some((head, tail)) => text.starts_with(head) && text.ends_with(tail),
        None => glob == text,
    };
    let upstream = tool.map(|tool| tool.split('.').next().unwrap());
    let is_out = budget.subject.is_some_and(|glob| !matches(glob, step.subject))
        || budget.source.is_some_and(|source| !step.sources.contains(&source))
        || budget.agent.is_some_and(|agent| !step.agents.contains(&agent))
        || budget.upstream.is_some_and(|name| upstream != Some(name))
        || budget.tools.is_some_and(|glob| !tool.is_some_and(|tool| matches(glob, tool)));
    if is_out {
        return Vec::new();
    }
    let mut all = vec![String::new()];
    for per in &budget.per {
        let values = values(per, budget, step, tool);
        let with =
            |head: &String| values.iter().map(|value| format!("{head}/{per}={value}")).collect::<Vec<_>>();
        all = all.iter().flat_map(with).collect();
    }
    all
}

fn much(what: What, amount: Amount) -> u64 {
    use Amount as A;
    match (what, amount) {
        (
            What::Call { .. } | What::CallAndStay { .. },
            A::CallsPerMinute | A::CallsPerHour | A::CallsPerDay,
        ) => 1,
        (What::Call { cost } | What::CallAndStay { cost }, A::CostPerHour | A::CostPerDay) => cost,
        (What::Ask { .. }, A::SamplingPerHour) => 1,
        (What::Ask { tokens }, A::SamplingTokensPerHour | A::SamplingTokensPerDay) => tokens,
        (What::Denied, A::DenialsPerHour) => 1,
        _ => 0,
    }
}

impl Oracle {
    fn used(&self, budget: usize, combination: &str, amount: Amount) -> u64 {
        let window = |at: i64| at.div_euclid(amount.window().seconds());
        let counts = |(at, of, whose, what, _): &&Passed| {
            *of == budget && whose == combination && *what == amount && window(*at) == window(self.now)
        };
        self.passed.iter().filter(counts).map(|(.., much)| much).sum()
    }

    /// Whether the step passes. What passes counts.
    fn play(&mut self, budgets: &[Written], step: &Step) -> bool {
        let tool = (!matches!(step.what, What::Denied)).then_some(step.tool);
        let is_call = matches!(step.what, What::Call { .. } | What::CallAndStay { .. });
        let (mut passes, mut counted, mut held) = (true, Vec::new(), Vec::new());
        for (at, budget) in budgets.iter().enumerate() {
            for combination in combinations(budget, step, tool) {
                for (amount, limit) in &budget.limits {
                    let (much, used) = (much(step.what, *amount), self.used(at, &combination, *amount));
                    let is_gate = *amount == Amount::DenialsPerHour;
                    passes &= if is_gate { used < *limit } else { much == 0 || used + much <= *limit };
                    counted.push((self.now, at, combination.clone(), *amount, much));
                }
                if let Some(max) = budget.in_flight_max.filter(|_| is_call) {
                    let mine = (at, combination);
                    passes &= (self.in_flight.iter().filter(|other| **other == mine).count() as u64) < max;
                    held.push(mine);
                }
            }
        }
        let passes = passes || matches!(step.what, What::Denied);
        if passes {
            self.passed.extend(counted.into_iter().filter(|(.., much)| *much > 0));
        }
        if passes && matches!(step.what, What::CallAndStay { .. }) {
            self.in_flight.extend(held);
        }
        passes
    }
}

fn budget(at: usize, written: &Written) -> Budget {
    let glob = |text: Option<&str>| text.map(|text| Glob::new(text).unwrap()).into_iter().collect();
    let per = |word: &&str| *Per::ALL.iter().find(|per| per.word() == *word).unwrap();
    Budget {
        name: BudgetName::new(&format!("b{at}")).unwrap(),
        filter: Filter {
            sources: written.source.map(|name| SourceName::new(name).unwrap()).into_iter().collect(),
            subjects: glob(written.subject),
            agents: written.agent.map(|name| AgentName::new(name).unwrap()).into_iter().collect(),
            upstreams: written.upstream.map(upstream).into_iter().collect(),
            tools: glob(written.tools),
        },
        per: written.per.iter().map(per).collect(),
        limits: written.limits.iter().copied().collect(),
        in_flight_max: written.in_flight_max,
        result_max: None,
    }
}

fn settings(budgets: &[Written]) -> Settings {
    Settings {
        in_flight_max: usize::MAX,
        in_flight_per_principal_max: usize::MAX,
        in_flight_per_upstream_max: [(upstream("mail"), usize::MAX), (upstream("web"), usize::MAX)].into(),
        budgets: budgets.iter().enumerate().map(|(at, written)| budget(at, written)).collect(),
        ..Settings::default()
    }
}

proptest! {
    #[test]
    fn what_passes_is_what_fits_across_every_restart(
        budgets in vec(written(), 1..4),
        steps in vec(step(), 1..40),
    ) {
        let mut gate = Gate::new(settings(&budgets), Ledger::default());
        let (mut oracle, mut recorded, mut live) = (Oracle::default(), Ledger::default(), Vec::new());
        for step in &steps {
            oracle.now += i64::from(step.seconds);
            let now = Timestamp::from_second(oracle.now).unwrap();
            let agents = step.agents.iter().map(|name| AgentName::new(name).unwrap()).collect();
            let caller = Principal { agents, ..principal("keys.a", step.subject) };
            let run = RunId::of([step.run; 16]);
            let sources = Provenance::of(step.sources.iter().map(|name| SourceName::new(name).unwrap()));
            let who = Who { principal: &caller, run: Some(&run), sources: &sources };
            let (name, tool) = step.tool.split_once('.').unwrap();
            let target = Target::Tool(ToolId { upstream: upstream(name), tool: ToolName::new(tool).unwrap() });
            let keys = Keys { who, target: &target };
            let charges = match step.what {
                What::Restart => {
                    live.clear();
                    oracle.in_flight.clear();
                    gate = Gate::new(settings(&budgets), recorded.clone());
                    continue;
                }
                What::Call { cost } => gate.admit((), keys, cost, now).ok().map(|one| one.charges().to_vec()),
                What::CallAndStay { cost } => gate.admit((), keys, cost, now).ok().map(|one| {
                    live.push(one);
                    live.last().unwrap().charges().to_vec()
                }),
                What::Ask { tokens } => gate.ask(keys, tokens, now).ok(),
                What::Denied => Some(gate.denied(who, now)),
            };
            prop_assert_eq!(charges.is_some(), oracle.play(&budgets, step), "{:?}", step);
            recorded.charge(&charges.unwrap_or_default(), now);
        }
    }
}
