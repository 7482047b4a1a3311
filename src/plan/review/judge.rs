//! Judging the steps of a plan one by one: ceiling, destinations, flows, request shapes, dependants.
//!
//! Must never let the order of the checks decide: every rule looks at every step, and the strictest finding counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::decision::Answer;
use crate::model::name::SourceName;

use super::super::consult::OpinionWord;
use super::super::fit::Fitted;
use super::super::flow::{Flow, FlowAnswer, Reaches};
use super::super::grant::Spent;
use super::super::shape::Known;
use super::super::steps::Step;
use super::super::tool::Tool;
use super::order::{Order, Pinning, pinning};
use super::said::{BuiltIn, Finding, Ground, ReviewRule};
use super::{
    Answers, Circumstances, FINDINGS_MAX, Heard, People, READ_CALLS_MAX, Reviewed, Said, Tally, Verdict,
};

/// Every step of `fitted`, judged.
pub(super) fn steps(fitted: &Fitted, under: Circumstances<'_>, answers: &dyn Answers) -> Vec<Reviewed> {
    let steps = fitted.plan().steps();
    let pairs = || steps.iter().zip(&fitted.tools).enumerate();
    let uses: Vec<u32> = pairs().map(|(_, (step, tool))| uses(step, tool.as_ref())).collect();
    let order = Order::of(fitted, uses.clone());
    let judge = Judge { fitted, under, answers, order: &order };
    let mut all: Vec<Judged> =
        pairs().zip(uses).map(|((_, (_, tool)), uses)| judge.ceiling(tool.as_ref(), uses)).collect();
    // Whoever is refused already comes before nobody.
    let standing: Vec<bool> = all.iter().map(|judged| judged.refused.is_empty()).collect();
    let mut tally = tally(under);
    for ((at, (step, tool)), judged) in pairs().zip(&mut all) {
        if let Some(tool) = tool {
            judge.destinations(at, step, tool, judged);
            judge.flows(at, (step, tool), &standing, judged);
            judge.requests(step, tool, &mut tally, judged);
        }
    }
    // Last, so that what it says of one step makes no other looser.
    for (at, judged) in all.iter_mut().enumerate() {
        judge.outside(at, judged);
    }
    conclude(all, steps, &order, under.people)
}

/// How many calls a step is for: as many as it says, and else one, or a bounded number where it only reads.
fn uses(step: &Step, tool: Option<&Tool>) -> u32 {
    let default = if tool.is_some_and(|tool| tool.labels.only_reads()) { READ_CALLS_MAX } else { 1 };
    step.max_calls.unwrap_or(default)
}

/// What the grants of the run speak for already.
fn tally(under: Circumstances<'_>) -> Tally {
    let mut tally = Tally::new();
    for (spent, calls) in under.grants.iter().flat_map(|grant| grant.spent(under.now)) {
        let count = tally.entry((spent.shape.clone(), spent.entry)).or_default();
        *count = count.saturating_add(calls);
    }
    tally
}

/// A step that is being judged.
struct Judged {
    uses: u32,
    granted: Vec<Finding>,
    person: Vec<Finding>,
    refused: Vec<Finding>,
    covered: BTreeSet<SourceName>,
    spent: Vec<Spent>,
    flows: BTreeSet<Arc<str>>,
    asked_flows: BTreeSet<Arc<str>>,
}

struct Judge<'a> {
    fitted: &'a Fitted,
    under: Circumstances<'a>,
    answers: &'a dyn Answers,
    order: &'a Order,
}

impl Judge<'_> {
    /// DESIGN §9.1: every step lies within the ceiling. A credential without source, role or agent where it needs one
    /// may nothing.
    fn ceiling(&self, tool: Option<&Tool>, uses: u32) -> Judged {
        let mut judged = Judged::new(uses);
        if self
            .fitted
            .plan()
            .goal()
            .is_some_and(|goal| self.under.goal.is_some_and(|vouched| vouched != goal))
        {
            judged.refused.push(Finding::built_in(Ground::GoalDiffers, BuiltIn::Goal));
        }
        let Some(tool) = tool else {
            judged.refused.push(Finding::built_in(Ground::NotVisible, BuiltIn::Ceiling));
            return judged;
        };
        let caller = self.answers.caller(&tool.id);
        if caller.is_empty() || self.under.provenance.is_empty() {
            judged.refused.push(Finding::built_in(Ground::Denied, BuiltIn::Ceiling));
        }
        let sources = self.under.provenance.iter().map(|source| self.answers.source(source, &tool.id));
        for Said { rule, .. } in sources.chain(caller) {
            let (list, ground) = match rule.answer {
                Answer::Deny => (&mut judged.refused, Ground::Denied),
                Answer::Ask => (&mut judged.granted, Ground::AskedAtCall),
                Answer::Allow | Answer::Plan => (&mut judged.granted, Ground::Within),
            };
            list.push(Finding::new(ground, ReviewRule::List(rule)));
        }
        judged
    }

    /// DESIGN §9.2.
    fn destinations(&self, at: usize, step: &Step, tool: &Tool, judged: &mut Judged) {
        let ask = |ground| Finding::built_in(ground, BuiltIn::Destinations);
        for (name, argument) in step.arguments.iter().filter(|(name, _)| tool.labels.is_destination(name)) {
            let Pinning::To(from) = pinning(argument) else {
                judged.person.push(ask(Ground::DestinationOpen).at(name));
                continue;
            };
            for number in self.origins(at, &from) {
                let Some((origin, Some(read))) = self.step(number) else { continue };
                let about = |ground| ask(ground).at(name).about(origin.id.as_str());
                if read.returns.iter().any(|source| self.under.provenance.contains(source)) {
                    judged.person.push(about(Ground::DestinationUntrusted));
                }
                let denies = |source| self.answers.source(source, &tool.id).rule.answer == Answer::Deny;
                if read.returns.iter().any(denies) {
                    judged.person.push(about(Ground::DestinationDenied));
                }
            }
        }
    }

    /// DESIGN §9.3, over what was done and what can come before.
    fn flows(&self, at: usize, (step, tool): (&Step, &Tool), standing: &[bool], judged: &mut Judged) {
        for flow in self.under.flows.iter().filter(|flow| flow.ends_in(tool)) {
            if flow.reaches == Reaches::Destination && !self.reaches_destination(flow, at, step, tool) {
                judged.flows.insert(flow.name.clone());
                continue;
            }
            let precedes = |first: usize| {
                standing.get(first) == Some(&true)
                    && self.order.may_precede(first, at)
                    && self.step(first).is_some_and(|(_, tool)| tool.is_some_and(|tool| flow.begins_in(tool)))
            };
            let first = (0..standing.len()).find(|first| precedes(*first));
            if first.is_none() && !self.under.history.holds(&flow.from) {
                continue;
            }
            let (list, ground) = match flow.answer {
                FlowAnswer::Plan => (&mut judged.granted, Ground::FlowPlanned),
                FlowAnswer::Ask => {
                    judged.asked_flows.insert(flow.name.clone());
                    (&mut judged.person, Ground::FlowAsks)
                }
                FlowAnswer::Deny => (&mut judged.refused, Ground::FlowDenies),
            };
            let finding = Finding::new(ground, ReviewRule::Flow(flow.name.clone(), flow.place.clone()));
            list.push(match first.and_then(|first| self.step(first)) {
                Some((first, _)) => finding.about(first.id.as_str()),
                None => finding,
            });
        }
    }

    /// Whether what the flow begins with can say where the step's calls go.
    fn reaches_destination(&self, flow: &Flow, at: usize, step: &Step, tool: &Tool) -> bool {
        let begins =
            |number| self.step(number).is_some_and(|(_, tool)| tool.is_some_and(|tool| flow.begins_in(tool)));
        let destinations = step.arguments.iter().filter(|(name, _)| tool.labels.is_destination(name));
        destinations.into_iter().any(|(_, argument)| match pinning(argument) {
            Pinning::Open => true,
            Pinning::To(from) => self.origins(at, &from).into_iter().any(begins),
        })
    }

    /// DESIGN §9.4: every source that answers *plan* and may have influenced the plan covers the step.
    fn requests(&self, step: &Step, tool: &Tool, tally: &mut Tally, judged: &mut Judged) {
        let asks_for = |source: &&SourceName| {
            let Said { rule, strictest } = self.answers.source(source, &tool.id);
            rule.answer <= Answer::Plan && strictest >= Answer::Plan
        };
        let (mut covered, mut uncovered) = (Vec::new(), Vec::new());
        for source in self.under.provenance.iter().filter(asks_for) {
            match self.cover(source, step, tool, tally, judged.uses) {
                Some(cover) => covered.push((source.clone(), cover)),
                None => uncovered.push(source),
            }
        }
        for source in uncovered {
            let finding = Finding::built_in(Ground::Uncovered, BuiltIn::Requests);
            judged.person.push(finding.of(source));
        }
        // What a person or nobody grants takes nothing of what a request may ask for.
        if !judged.person.is_empty() || !judged.refused.is_empty() {
            return;
        }
        for (source, (spent, finding)) in covered {
            let count = tally.entry((spent.shape.clone(), spent.entry)).or_default();
            *count = count.saturating_add(judged.uses);
            judged.covered.insert(source);
            judged.spent.push(spent);
            judged.granted.push(finding);
        }
    }

    /// The first entry of a shape of `source` that covers the step and has as many calls left.
    fn cover(
        &self,
        source: &SourceName,
        step: &Step,
        tool: &Tool,
        tally: &Tally,
        uses: u32,
    ) -> Option<(Spent, Finding)> {
        let known = Known { trigger: self.under.trigger, subject: self.under.subject };
        // A plan's own goal never selects a shape: the credential's does.
        let counts = |goal: Option<&_>| goal.is_none_or(|goal| self.under.goal == Some(goal));
        let shapes =
            self.under.shapes.iter().filter(|shape| shape.source == *source && counts(shape.goal.as_ref()));
        let mut covering =
            shapes.flat_map(|shape| shape.covering(step, tool, known).map(move |entry| (shape, entry)));
        covering.find_map(|(shape, (number, entry))| {
            let taken = tally.get(&(shape.name.clone(), number)).copied().unwrap_or_default();
            let has_room = entry.max_calls.is_none_or(|max| taken.saturating_add(uses) <= max);
            let rule = ReviewRule::Request(shape.name.clone(), shape.place.clone());
            let spent = Spent { shape: shape.name.clone(), entry: number };
            has_room.then(|| (spent, Finding::new(Ground::Covered, rule).of(source)))
        })
    }

    /// DESIGN §9.5: what a reviewer outside says can make a step stricter. Its silence is a question.
    fn outside(&self, at: usize, judged: &mut Judged) {
        let Some(Heard { opinion, place }) = self.under.outside else { return };
        let said = opinion.of(at);
        let (list, ground) = match said.map(|said| said.word) {
            Some(OpinionWord::Agree) => return,
            Some(OpinionWord::Ask) => (&mut judged.person, Ground::ReviewerAsks),
            Some(OpinionWord::Deny) => (&mut judged.refused, Ground::ReviewerDenies),
            None => (&mut judged.person, Ground::ReviewerSilent),
        };
        let rule = said.and_then(|said| said.rule.clone());
        list.push(Finding::new(ground, ReviewRule::Reviewer(rule, place.clone())));
        // What a person or nobody grants takes nothing of what a request may ask for.
        judged.covered.clear();
        judged.spent.clear();
    }

    /// The steps `from` and those whose answers theirs come out of.
    fn origins(&self, at: usize, from: &[&super::super::steps::StepId]) -> BTreeSet<usize> {
        let is_named = |number: &usize| self.step(*number).is_some_and(|(step, _)| from.contains(&&step.id));
        (0..at).filter(is_named).flat_map(|number| self.order.origins(number)).collect()
    }

    fn step(&self, number: usize) -> Option<(&Step, Option<&Tool>)> {
        let step = self.fitted.plan().steps().get(number)?;
        Some((step, self.fitted.tools.get(number)?.as_ref()))
    }
}

impl Judged {
    fn new(uses: u32) -> Self {
        Self {
            uses,
            granted: Vec::new(),
            person: Vec::new(),
            refused: Vec::new(),
            covered: BTreeSet::new(),
            spent: Vec::new(),
            flows: BTreeSet::new(),
            asked_flows: BTreeSet::new(),
        }
    }
}

/// The verdicts. A step that depends on a refused one is refused too.
fn conclude(all: Vec<Judged>, steps: &[Step], order: &Order, people: People) -> Vec<Reviewed> {
    let mut concluded: Vec<Reviewed> = Vec::with_capacity(all.len());
    for (at, (judged, step)) in all.into_iter().zip(steps).enumerate() {
        let Judged { uses, granted, person, mut refused, covered, spent, flows, asked_flows } = judged;
        let is_refused = |needed: &usize| {
            concluded.get(*needed).is_some_and(|needed| matches!(needed.verdict, Verdict::Refused(_)))
        };
        for needed in order.needs(at).filter(is_refused).filter_map(|needed| steps.get(needed)) {
            let finding = Finding::built_in(Ground::DependsOnRefused, BuiltIn::Dependants);
            refused.push(finding.about(needed.id.as_str()));
        }
        let cut = |mut list: Vec<Finding>| {
            list.truncate(FINDINGS_MAX);
            list
        };
        let verdict = match (refused.is_empty(), person.is_empty()) {
            (false, _) => Verdict::Refused(cut(refused)),
            (true, true) => Verdict::Granted(cut(granted)),
            (true, false) if people == People::Nobody => Verdict::Refused(cut(person)),
            (true, false) => Verdict::Person(cut(person)),
        };
        concluded.push(Reviewed { step: step.id.clone(), verdict, uses, covered, spent, flows, asked_flows });
    }
    concluded
}
