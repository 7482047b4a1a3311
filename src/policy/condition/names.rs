//! What a condition or a guardrail speaks of, read from the syntax tree that Cedar gives (its JSON policy format).
//!
//! Must never miss a name: what is used in a way that is not understood counts as all of it.

use std::collections::BTreeSet;

use serde_json::Value;

/// What is spoken of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::policy) struct Names {
    /// The members of `context`, each with the path that was named below it.
    paths: BTreeSet<Vec<String>>,
}

impl Names {
    /// What the policy `json` speaks of.
    pub(in crate::policy) fn of(json: &Value) -> Self {
        let mut names = Self::default();
        for condition in json.get("conditions").and_then(Value::as_array).into_iter().flatten() {
            names.walk(condition.get("body").unwrap_or(&Value::Null));
        }
        names
    }

    /// Everything that one of them speaks of.
    pub(in crate::policy) fn join(&mut self, other: &Self) {
        self.paths.extend(other.paths.iter().cloned());
    }

    /// Whether anything is said about the argument `name`.
    pub(in crate::policy) fn speaks_of_argument(&self, name: &str) -> bool {
        let is_it = |path: &Vec<String>| match path.as_slice() {
            [] => true,
            [word] => word == "args",
            [word, argument, ..] => word == "args" && argument == name,
        };
        self.paths.iter().any(is_it)
    }

    /// Whether the word `word` of the context is used.
    pub(in crate::policy) fn uses(&self, word: &str) -> bool {
        self.paths.iter().any(|path| path.first().is_none_or(|first| first == word))
    }

    /// The arguments that are named one by one.
    pub(in crate::policy) fn arguments(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().filter_map(|path| match path.as_slice() {
            [word, argument, ..] if word == "args" => Some(argument.as_str()),
            _ => None,
        })
    }

    fn walk(&mut self, node: &Value) {
        if let Some(path) = path(node) {
            self.paths.insert(path);
            return;
        }
        match node {
            Value::Object(members) => members.values().for_each(|member| self.walk(member)),
            Value::Array(elements) => elements.iter().for_each(|element| self.walk(element)),
            _ => {}
        }
    }
}

/// The path below `context` that `node` names, or asks for with `has`.
fn path(node: &Value) -> Option<Vec<String>> {
    let node = node.as_object()?;
    if node.get("Var").and_then(Value::as_str) == Some("context") {
        return Some(Vec::new());
    }
    let access = node.get(".").or_else(|| node.get("has"))?;
    let mut path = path(access.get("left")?)?;
    path.push(access.get("attr")?.as_str()?.to_owned());
    Some(path)
}
