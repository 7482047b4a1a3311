//! Whether a plan fits the tools that it names: their arguments, types and labels, and what the trigger says.
//!
//! Must never tell of a tool that is not visible: its step fits, as one of a tool that does not exist does, and the
//! review refuses both alike (I5). Trusts the caller to find visible tools only, by the names that the wire uses.

use crate::model::trigger::Trigger;

use super::attribute::{attribute, attributes};
use super::problem::{At, Flaw, Named, Problem, Problems};
use super::schema::Schema;
use super::steps::{Argument, Constraint, Plan, Step};
use super::tool::Tool;

/// A plan that fits its tools. Only [`Plan::fit`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    pub(super) plan: Plan,
    /// The tool of each step, where there is one that is visible.
    pub(super) tools: Vec<Option<Tool>>,
}

impl Plan {
    /// Holds the plan against the tools that `find` finds by their wire names, and against the trigger of its run.
    ///
    /// # Errors
    /// Everything that does not fit.
    pub fn fit(self, find: impl Fn(&str) -> Option<Tool>, trigger: &Trigger) -> Result<Fitted, Vec<Problem>> {
        let mut problems = Problems::default();
        let tools: Vec<Option<Tool>> = self.steps.iter().map(|step| find(&step.tool)).collect();
        let steps = At::default().then("steps");
        for (number, (step, tool)) in self.steps.iter().zip(&tools).enumerate() {
            let at = At { step: Some(Named::new(step.id.as_str())), ..steps.then(&number.to_string()) };
            if let Some(tool) = tool {
                one(step, tool, trigger, &at.then("args"), &mut problems);
            }
        }
        problems.or(Some(Fitted { plan: self, tools }))
    }
}

impl Fitted {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

fn one(step: &Step, tool: &Tool, trigger: &Trigger, at: &At, problems: &mut Problems) {
    let schema = Schema::read(&tool.schema);
    for (name, Argument { constraint, .. }) in &step.arguments {
        let at = At { argument: Some(Named::new(name)), ..at.then(name) };
        match schema.takes(name, constraint, trigger) {
            None => {
                problems.add(&at, Flaw::NoArgument { known: schema.arguments().map(Named::new).collect() })
            }
            Some(Err(unfit)) => problems.add(&at, Flaw::Unfit(unfit)),
            Some(Ok(())) => {}
        }
        each(constraint, &mut |constraint| match constraint {
            Constraint::Free { .. } if !tool.labels.content.contains(name) => {
                problems.add(&at, Flaw::NotContent)
            }
            Constraint::Trigger(name) if attribute(trigger, name).is_none() => {
                let known = attributes(trigger).into_keys().map(|name| Named::new(name.as_str())).collect();
                problems.add(&at, Flaw::NoAttribute { known });
            }
            _ => {}
        });
    }
    for name in schema.required().filter(|name| !step.arguments.contains_key(*name)) {
        problems.add(at, Flaw::Required(Named::new(name)));
    }
}

/// Hands `look` the constraint and every one in it.
fn each(constraint: &Constraint, look: &mut impl FnMut(&Constraint)) {
    look(constraint);
    match constraint {
        Constraint::Each { element, .. } => each(element, look),
        Constraint::Object(members) => members.values().for_each(|member| each(&member.constraint, look)),
        _ => {}
    }
}
