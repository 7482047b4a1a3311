//! `[[tests]]`: what each says, and whether the policy answers as it expects.
//!
//! Must never pass a test that was not run: where the definition of a tool is not known, that is said.

mod plan;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::config::Coverage;
use crate::config::code::Code;
use crate::config::json::{JSON_HELP, table};
use crate::config::node::{Entries, Located, Node, suggestion};
use crate::config::raw::{ANSWERS, Step as Written, Trial as WrittenTrial};
use crate::config::rehearsal::Rehearsal;
use crate::limit::{self, Gate, Keys, Who};
use crate::model::approver::Approver;
use crate::model::budget::Ledger;
use crate::model::decision::Answer;
use crate::model::name::{AttributeName, EntryPointName, SourceName, Subject, ToolId};
use crate::model::place::Place;
use crate::model::principal::{Label, Principal, RunRule};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::Target;
use crate::model::trigger::{AttributeType, AttributeValue, Trigger, TriggerEntry};
use crate::plan::Rules;
use crate::policy::{Attempt, Exercised, Miss, Step, Trial};
use crate::upstream::{COST_DEFAULT, Settled};

use super::Scope;
use super::known::{self, Known};
use super::quantity::Quantities;

/// The tools that `trial` names.
pub(super) fn tools(trial: &WrittenTrial) -> Vec<String> {
    let first = trial.first.iter().flat_map(|(_, tools)| tools);
    let calls = trial.calls.iter().filter_map(|step| step.tool.as_ref());
    first.chain(calls).map(|tool| tool.value.clone()).collect()
}

/// Runs every test: what they exercise, and what they do not. Nothing where something was wrong before.
pub(super) fn check(
    written: &[WrittenTrial],
    known: Option<&Known<'_>>,
    (plans, approvers): (&Rules, &[Approver]),
    limits: &limit::Settings,
    scope: Scope<'_>,
) -> Coverage {
    let Some(known) = known else { return Coverage::default() };
    let Known { policy, catalogue, .. } = known;
    let rehearsal = Rehearsal { policy, catalogue, plans, approvers };
    let (mut calls, mut exercised) = (0, Exercised::new());
    for trial in written {
        let title = trial.name.as_ref().map_or("a test without a name", |name| name.value.as_str());
        if trial.name.is_none() {
            let help = "add `name`: it says what the test proves";
            scope.found.error(Code::BadTest, &trial.place, "a test without a name", help);
        }
        let reading = Reading { trial, title, known, scope };
        let Some(principal) = reading.principal() else { continue };
        let Some(now) = reading.now() else { continue };
        reading.plan(&rehearsal, &principal, now);
        for steps in reading.runs() {
            calls +=
                steps.iter().map(|step| usize::try_from(step.times).unwrap_or(usize::MAX)).sum::<usize>();
            let trial = Trial { principal: principal.clone(), now, steps };
            // Each run of a test begins with everything that may be spent.
            let gate = Gate::new(limits.clone(), Ledger::default());
            let misses = known.policy.try_out(trial, &mut exercised, |attempt| known.meter(&gate, &attempt));
            misses.iter().for_each(|miss| reading.tell(miss));
        }
    }
    let unexercised = known::unexercised(known.rules, &exercised);
    Coverage { tests: written.len(), calls, unexercised }
}

impl Known<'_> {
    /// Counts a call as the gateway would, at the end of its decision.
    fn meter(&self, gate: &Gate, attempt: &Attempt<'_>) -> Result<(), Reason> {
        let Attempt { principal, provenance, target, verdict, now } = *attempt;
        let who = Who { principal, run: None, sources: provenance };
        if verdict != Answer::Allow {
            let _charges = gate.denied(who, now);
            return Ok(());
        }
        let tool = target.tool();
        let settings = tool.and_then(|tool| self.upstream(tool)).zip(tool);
        let cost = settings.and_then(|(settings, tool)| settings.said(&tool.tool, |entry| entry.cost));
        let admitted = gate.admit((), Keys { who, target }, cost.unwrap_or(COST_DEFAULT), now);
        admitted.map(|_admission| ()).map_err(|((), refused)| refused.reason)
    }
}

struct Reading<'a> {
    trial: &'a WrittenTrial,
    title: &'a str,
    known: &'a Known<'a>,
    scope: Scope<'a>,
}

impl Reading<'_> {
    fn bad(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.scope.found.error(Code::BadTest, place, message, help);
    }

    fn principal(&self) -> Option<Principal> {
        let WrittenTrial { place, sources, roles, agents, subject, .. } = self.trial;
        let Scope { names, found, .. } = self.scope;
        if sources.is_empty() {
            self.bad(place, format!("the test `{}` has no source", self.title), "add `source = \"email\"`");
            return None;
        }
        let is_known = |name: &&Located<String>| names.roles.get(&name.value).is_some();
        for role in roles.iter().filter(|name| !is_known(name)) {
            names.roles.take(role, found);
        }
        let sources: Option<Vec<_>> = sources.iter().map(|name| names.sources.take(name, found)).collect();
        let roles: Option<_> = roles.iter().map(|name| names.roles.get(&name.value)).collect();
        let agents: Option<_> = agents.iter().map(|name| names.agents.take(name, found)).collect();
        let subject_text = subject.as_ref().map_or(SUBJECT_DEFAULT, |subject| subject.value.as_str());
        let Ok(subject) = Subject::new(subject_text) else {
            self.bad(place, format!("`{subject_text}` names no subject"), "write `subject = \"user:4711\"`");
            return None;
        };
        let (sources, entry_point) = (sources?, EntryPointName::new("tests").ok()?);
        let trigger = self.trigger(&sources)?;
        let label =
            Label { entry_point, subject, roles: roles?, agents: agents?, sources: Provenance::of(sources) };
        Some(Principal { trigger, ..Principal::configured(label, RunRule::DEFAULT) })
    }

    /// `trigger`, of the one source of the test.
    fn trigger(&self, sources: &[SourceName]) -> Option<Trigger> {
        let Some(written) = &self.trial.trigger else { return Some(Trigger::default()) };
        let [source] = sources else {
            let message = "`trigger` in a test of several sources: it is not said whose it is";
            self.bad(&written.place, message, "write one test for each source");
            return None;
        };
        let empty = BTreeMap::new();
        let declared = self.known.rules.triggers.get(source).unwrap_or(&empty);
        let mut attributes = BTreeMap::new();
        for (name, entry) in &written.value {
            let known = declared.iter().find(|(known, _)| known.as_str() == name);
            let Some((known, of_type)) = known else {
                let known: Vec<_> = declared.keys().map(AttributeName::as_str).collect();
                let message = format!("the source `{source}` declares no attribute `{name}`");
                self.scope.found.error(
                    Code::UnknownAttribute,
                    &entry.key_place,
                    message,
                    suggestion(name, &known),
                );
                continue;
            };
            let Some(value) = attribute(&entry.value.value, *of_type) else {
                let message = format!("`{name}` of `{source}` is declared as {:?}", of_type.as_str());
                self.bad(&entry.value.place, message, "write a value of that type");
                continue;
            };
            attributes.insert(known.clone(), value);
        }
        let (kind, dropped) = (source.clone(), Vec::new());
        let entry = TriggerEntry { source: kind.clone(), kind, attributes, dropped };
        Some(Trigger { entries: vec![entry], goal: None })
    }

    fn now(&self) -> Option<Timestamp> {
        let Some(written) = &self.trial.now else { return Some(self.scope.machine.system.clock.wall()) };
        let now = written.value.parse().ok();
        if now.is_none() {
            let message = format!("`now` cannot be `{}`", written.value);
            self.bad(&written.place, message, "write a moment, \"2026-12-31T12:00:00Z\"");
        }
        now
    }

    /// The runs of the test: one for each tool that is expected to be answered first, and one of `calls`.
    fn runs(&self) -> Vec<Vec<Step>> {
        let WrittenTrial { place, first, calls, submits, .. } = self.trial;
        let mut runs = Vec::new();
        for (word, tools) in first {
            let expected = answer(word);
            let step = |tool| Some(vec![self.step(tool, None, expected?)?]);
            runs.extend(tools.iter().filter_map(step));
        }
        runs.push(calls.iter().filter_map(|written| self.written(written)).collect());
        if first.iter().all(|(_, tools)| tools.is_empty()) && calls.is_empty() && submits.is_none() {
            let help = format!("add `calls`, `submits`, or one of `{}`", ANSWERS.join("`, `"));
            self.bad(place, format!("the test `{}` expects nothing", self.title), help);
        }
        runs
    }

    fn written(&self, written: &Written) -> Option<Step> {
        let Written { place, tool, args, expect, reason, times, after } = written;
        let help = "write `{ tool = \"upstream.tool\", args = { … }, expect = \"allow\" }`";
        let (Some(tool), Some(expect)) = (tool, expect) else {
            self.bad(place, "a call of a test without `tool` or without `expect`", help);
            return None;
        };
        let Some(expected) = answer(&expect.value) else {
            let message = format!("`expect` cannot be `{}`", expect.value);
            self.bad(&expect.place, message, suggestion(&expect.value, &ANSWERS));
            return None;
        };
        let known =
            |word: &Located<String>| Reason::ALL.iter().find(|known| known.code() == word.value).copied();
        let reason = match reason {
            None => None,
            Some(word) => match known(word) {
                Some(reason) => Some(reason),
                None => {
                    let words: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
                    let message = format!("`{}` is no reason (docs/REASONS.md)", word.value);
                    self.bad(&word.place, message, suggestion(&word.value, &words));
                    return None;
                }
            },
        };
        let read = Quantities::new(self.scope.found);
        let times = read.count(times, "times", 1);
        if times > TIMES_MAX {
            let message = format!("a call of a test is made at most {TIMES_MAX} times");
            self.bad(place, message, "test the limit with a smaller one");
            return None;
        }
        let after = match after {
            Some(_) => read.duration(after, "after", Duration::ZERO),
            None => Duration::ZERO,
        };
        let times = u32::try_from(times).unwrap_or(1);
        Some(Step { reason, times, after, ..self.step(tool, args.as_ref(), expected)? })
    }

    fn step(
        &self,
        tool: &Located<String>,
        args: Option<&Located<Entries>>,
        expected: Answer,
    ) -> Option<Step> {
        let id: Option<ToolId> = tool.value.parse().ok();
        let Some((id, settings)) = id.and_then(|id| Some((id.clone(), self.known.upstream(&id)?))) else {
            let message = format!("`{}` is no tool of a declared upstream", tool.value);
            self.bad(&tool.place, message, "write `upstream.tool`, without `*`");
            return None;
        };
        if self.known.policy.looks_at(&id) && !self.known.accepted.contains(&id) {
            let message =
                format!("not run: a condition looks at `{id}`, whose definition is not accepted yet");
            let help = "start the gateway once, or run `sluicegate init`, so that `gateway.lock` holds it";
            self.scope.found.note(Code::TestNotRun, &tool.place, message, help);
            return None;
        }
        let sent = match args.map(|args| table(&args.value)).transpose() {
            Ok(sent) => sent.map_or_else(Bytes::new, |sent| sent.to_string().into()),
            Err(place) => {
                self.bad(place, "this is no value of an argument", JSON_HELP);
                return None;
            }
        };
        let (values, settled) = settings.settle(&id.tool, &sent).ok()?;
        let returns = settings.said(&id.tool, |entry| entry.returns.as_ref()).unwrap_or(&settings.returns);
        Some(Step {
            target: Target::Tool(id),
            values,
            returns: returns.clone(),
            refused: (settled == Settled::Contradicted).then_some(Reason::ArgumentFixed),
            after: Duration::ZERO,
            times: 1,
            expected,
            reason: None,
            place: tool.place.clone(),
        })
    }

    fn tell(&self, miss: &Miss) {
        let Miss { target, expected: (expected, reason), decision, provenance, place } = miss;
        let expected = reason.map_or_else(|| expected.to_string(), |reason| format!("{expected} ({reason})"));
        let message = format!(
            "the test `{}` expects {expected} for `{target}`, and it is {} ({})",
            self.title, decision.verdict, decision.reason
        );
        let rules: Vec<_> = decision.rules.iter().map(ToString::to_string).collect();
        let sources: Vec<_> = provenance.iter().map(SourceName::as_str).collect();
        let by = if rules.is_empty() {
            "nothing allows it".to_owned()
        } else {
            format!("by {}", rules.join(", "))
        };
        let help = format!("{by}; the run is of {}", sources.join(", "));
        self.scope.found.error(Code::TestFailed, place, message, help);
    }
}

fn answer(word: &str) -> Option<Answer> {
    [Answer::Allow, Answer::Plan, Answer::Ask, Answer::Deny]
        .into_iter()
        .find(|answer| answer.as_str() == word)
}

fn attribute(node: &Node, of_type: AttributeType) -> Option<AttributeValue> {
    Some(match (node, of_type) {
        (Node::Boolean(value), AttributeType::Bool) => AttributeValue::Bool(*value),
        (Node::Integer(value), AttributeType::Integer) => AttributeValue::Integer(*value),
        (Node::Text(value), AttributeType::Text) => AttributeValue::Text(value.as_str().into()),
        (Node::List(items), AttributeType::Texts) => {
            let text = |item: &Located<Node>| match &item.value {
                Node::Text(text) => Some(text.as_str().into()),
                _ => None,
            };
            AttributeValue::Texts(items.iter().map(text).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// Most times that one call of a test is made.
const TIMES_MAX: usize = 10_000;
const SUBJECT_DEFAULT: &str = "user:test";
