//! The bodies of `plan`, `grant` and `approval`, and what the record of a call says of them.
//!
//! Must never cut a grant: a start goes on with it. What a review said is bounded by the steps of a plan.

use super::{Cuts, call, decision, latency, micros};
use crate::audit::event::{ConsultedFacts, Event, GrantChange, PlanFacts, PlanResult, StepFacts};
use crate::audit::line::Object;
use crate::model::approval::ApprovalChange;
use crate::model::facts::CallFacts;
use crate::model::provenance::Provenance;
use crate::model::text::Bounded;
use crate::plan::Finding;

/// Most findings of one step in a record; how many there are stands beside them.
const FINDINGS_MAX: usize = 8;
/// Bound of a rule in a finding, in bytes: it stands whole in the configuration, at its place.
const RULE_BYTES_MAX: usize = 512;

/// The members of `event`, where it is one of these.
pub(super) fn event(object: &mut Object<'_>, event: &Event, adds: &Provenance, cuts: &mut Cuts) {
    match event {
        Event::Plan { facts, plan, latency: spent } => {
            call(object, facts, adds, cuts);
            submitted(object, plan);
            latency(object, *spent);
        }
        Event::Grant { run, plan, change } => {
            object.text("run", run.as_str());
            object.digest("plan", plan);
            match change {
                GrantChange::Done(concluded) => {
                    object.text("change", "done");
                    object.json("concluded", concluded);
                }
                GrantChange::Agreed { grant, step, by } => {
                    object.text("change", ApprovalChange::Agreed.as_str());
                    object.number("grant_number", u64::from(*grant));
                    object.text("step_id", step.as_str());
                    object.json("by", by);
                }
                GrantChange::Answered { grant, step, word, by } => {
                    object.text("change", word.change().as_str());
                    object.number("grant_number", u64::from(*grant));
                    object.text("step_id", step.as_str());
                    object.json("by", by);
                }
            }
        }
        Event::Approval { change, asked, by, rules, grant } => {
            object.text("change", change.as_str());
            object.text("run", asked.exact.run.as_str());
            object.json("asked", asked);
            if let Some(by) = by {
                object.json("by", by);
            }
            if !rules.is_empty() {
                decision::rules(object, "rules", rules, cuts);
            }
            if let Some(grant) = grant {
                object.json("grant", grant);
            }
        }
        _ => {}
    }
}

/// The step that a call used, and what flows see of it that is news.
pub(super) fn of_call(object: &mut Object<'_>, facts: &CallFacts) {
    if let Some(used) = &facts.step {
        object.json("step", used);
    }
    if let Some(used) = &facts.like {
        object.json("like", used);
    }
    if let Some(approval) = &facts.approval {
        object.text("approval", approval.as_str());
    }
    if let Some(past) = &facts.past {
        object.json("past", past);
    }
}

fn submitted(object: &mut Object<'_>, plan: &PlanFacts) {
    object.object("submitted", |object| {
        object.digest("sha256", &plan.sha256);
        object.number("bytes", plan.bytes);
        object.text("result", plan.result.as_str());
        if let PlanResult::Invalid(problems) = plan.result {
            object.number("problems", u64::try_from(problems).unwrap_or(u64::MAX));
        }
        object.objects("steps", plan.result.steps().iter(), step);
        if let Some(facts) = &plan.consulted {
            object.object("reviewer", |object| consulted(object, facts));
        }
    });
    if let Some(grant) = plan.result.grant() {
        object.json("grant", grant);
    }
}

fn consulted(object: &mut Object<'_>, facts: &ConsultedFacts) {
    object.digest("request", &facts.request);
    if let Some(answer) = &facts.answer {
        object.digest("answer", answer);
    }
    object.text("result", facts.result.as_str());
    object.texts("words", facts.words.iter().map(|word| word.code()));
    if let Some(why) = &facts.why {
        object.text("why", why.as_str());
    }
    object.number("took_us", micros(facts.took));
}

fn step(object: &mut Object<'_>, step: &StepFacts) {
    let findings = step.verdict.findings();
    object.text("id", step.id.as_str());
    object.text("tool", step.tool.as_str());
    object.text("verdict", step.verdict.code());
    object.number("calls", u64::from(step.calls));
    object.number("findings_count", u64::try_from(findings.len()).unwrap_or(u64::MAX));
    object.objects("findings", findings.iter().take(FINDINGS_MAX), finding);
}

fn finding(object: &mut Object<'_>, finding: &Finding) {
    object.text("ground", finding.ground.code());
    object.text("rule", Bounded::<RULE_BYTES_MAX>::new(&finding.rule.to_string()).as_str());
    if let Some(argument) = &finding.argument {
        object.text("argument", argument.as_str());
    }
    if let Some(step) = &finding.step {
        object.text("step", step.as_str());
    }
    if let Some(source) = &finding.source {
        object.text("source", source.as_str());
    }
}
