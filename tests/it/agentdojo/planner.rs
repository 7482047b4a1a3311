//! An oracle's plan: what a planner that knows how the task is solved writes down before anything was read.

use serde_json::{Map, Value, json};

use super::policy::{Policy, label};
use super::suite::{Step, UserTask};

/// The plan of `task`; the calls that it cannot name yet are left out of it.
pub fn plan(task: &UserTask, policy: Policy) -> Option<Value> {
    let mut steps = Vec::new();
    for step in task.steps.iter().filter(|step| label(&step.tool).is_none()) {
        // One step for all calls of a tool that reads: what it selects is what any of them answered.
        let id = json!(step.tool);
        if !steps.iter().any(|known: &Value| known["id"] == id) {
            let same = task.steps.iter().filter(|other| other.tool == step.tool);
            let names = same.flat_map(|other| other.args.iter());
            let args: Map<_, _> = names
                .map(|(name, value)| {
                    let mut constraint = anything(value);
                    constraint["optional"] = json!(true);
                    (name.clone(), constraint)
                })
                .collect();
            steps.push(json!({ "id": id, "tool": format!("suite__{}", step.tool), "args": args }));
        }
    }
    for (number, step) in task.steps.iter().enumerate().filter(|(_, step)| label(&step.tool).is_some()) {
        let constraints = step
            .args
            .iter()
            .map(|(name, value)| Some((name.clone(), constraint(task, number, step, name, value, policy)?)));
        if let Some(args) = constraints.collect::<Option<Map<_, _>>>() {
            let id = format!("w{number}");
            steps.push(json!({ "id": id, "tool": format!("suite__{}", step.tool), "args": args }));
        }
    }
    (!steps.is_empty()).then(|| json!({ "v": 1, "steps": steps }))
}

/// A plan of one call, made once its values are known.
pub fn exact(step: &Step) -> Value {
    let is_content = |name: &str| label(&step.tool).is_some_and(|label| label.content.contains(&name));
    let constraint = |(name, value): (&String, &Value)| {
        let constraint = if is_content(name) { free() } else { json!({ "lit": value }) };
        (name.clone(), constraint)
    };
    let args: Map<_, _> = step.args.iter().map(constraint).collect();
    json!({ "v": 1, "steps": [{ "id": "now", "tool": format!("suite__{}", step.tool), "args": args }] })
}

/// What the planner can say of one argument; nothing where it would have to know what it has not read.
fn constraint(
    task: &UserTask,
    number: usize,
    step: &Step,
    name: &str,
    value: &Value,
    policy: Policy,
) -> Option<Value> {
    let label = label(&step.tool)?;
    if label.content.contains(&name) {
        return Some(free());
    }
    if policy == Policy::PlanWithoutPins || !label.destinations.contains(&name) {
        return Some(anything(value));
    }
    if step.origins.get(name) == Some(&json!("prompt")) {
        return Some(json!({ "lit": value }));
    }
    let earlier = task.steps.get(..number)?.iter();
    let mut fields =
        earlier.filter_map(|step| Some((&step.tool, field(step.structured.as_ref()?, value, "$")?)));
    let (tool, path) = fields.next().filter(|_| policy == Policy::PlanWithSelectors)?;
    Some(json!({ "from": tool, "select": path }))
}

/// Where in an answer a whole field holds `value`: its path, whichever element of a list it is.
fn field(answer: &Value, value: &Value, path: &str) -> Option<String> {
    let is_it = match (answer, value) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    };
    match answer {
        _ if is_it => Some(path.to_owned()),
        Value::Array(elements) => elements.iter().find_map(|one| field(one, value, &format!("{path}[*]"))),
        Value::Object(members) => {
            members.iter().find_map(|(name, one)| field(one, value, &format!("{path}.{name}")))
        }
        _ => None,
    }
}

fn free() -> Value {
    json!({ "free": { "max_len": 4000 } })
}

/// Any value of the type of `value`.
fn anything(value: &Value) -> Value {
    match value {
        Value::Number(_) => json!({ "min": -1_000_000_000, "max": 1_000_000_000 }),
        Value::Bool(_) => json!({ "enum": [true, false] }),
        _ => json!({ "match": ".*" }),
    }
}
