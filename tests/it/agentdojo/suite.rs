//! The replay data: what a suite's tasks call, what answers they get, and where an attacker can write.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One suite of AgentDojo.
#[derive(Debug, Clone, Deserialize)]
pub struct Suite {
    pub suite: String,
    pub tools: Vec<Value>,
    injection_vectors: Map<String, Value>,
    pub user_tasks: std::collections::BTreeMap<String, UserTask>,
    pub injection_tasks: std::collections::BTreeMap<String, InjectionTask>,
}

/// What a user wants, as the calls that solve it.
#[derive(Debug, Clone, Deserialize)]
pub struct UserTask {
    pub steps: Vec<Step>,
}

/// One of those calls.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    pub tool: String,
    pub args: Map<String, Value>,
    /// Where each argument comes from: `prompt`, `stepN`, or `neither`.
    pub origins: Map<String, Value>,
    output: String,
    pub structured: Option<Value>,
    vectors_seen: Vec<String>,
}

/// What an attacker wants, as the calls of an agent that obeys.
#[derive(Debug, Clone, Deserialize)]
pub struct InjectionTask {
    goal: String,
    pub calls: Vec<Injected>,
}

/// One of those calls.
#[derive(Debug, Clone, Deserialize)]
pub struct Injected {
    pub tool: String,
    pub args: Map<String, Value>,
}

impl Suite {
    /// The suite of this name.
    pub fn read(name: &str) -> Self {
        let path = format!("{}/tests/fixtures/agentdojo/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// What the tool server answers during `task`, with what `attack` wrote wherever an attacker can write.
    pub fn stage(&self, task: &UserTask, attack: Option<&InjectionTask>) -> Value {
        let answers: Vec<Value> = task.steps.iter().map(|step| self.answer(step, attack)).collect();
        json!({ "tools": self.tools, "answers": answers })
    }

    fn answer(&self, step: &Step, attack: Option<&InjectionTask>) -> Value {
        let mut answer = json!({ "tool": step.tool, "args": step.args, "text": step.output });
        if let Some(structured) = &step.structured {
            answer["structured"] = structured.clone();
        }
        let Some(attack) = attack else { return answer };
        let words = format!("<INFORMATION> {} </INFORMATION>", attack.goal);
        for vector in &step.vectors_seen {
            let harmless = self.injection_vectors[vector].as_str().unwrap();
            for member in ["text", "structured"] {
                write(&mut answer[member], harmless, &words);
            }
            if !answer["text"].as_str().unwrap().contains(&words) {
                answer["text"] = json!(format!("{}\n{words}", answer["text"].as_str().unwrap()));
            }
        }
        answer
    }
}

impl Step {
    /// Whether its answer shows what an attacker wrote.
    pub fn shows_an_attack(&self) -> bool {
        !self.vectors_seen.is_empty()
    }
}

/// Puts `words` in the place of `harmless` in every text of `value`.
fn write(value: &mut Value, harmless: &str, words: &str) {
    match value {
        Value::String(text) if !harmless.is_empty() => *text = text.replace(harmless, words),
        Value::Array(elements) => elements.iter_mut().for_each(|element| write(element, harmless, words)),
        Value::Object(members) => members.values_mut().for_each(|member| write(member, harmless, words)),
        _ => {}
    }
}
