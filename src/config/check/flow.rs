//! `[[flows]]`: what begins each, what may not follow it, and what it answers.
//!
//! Must never complete an end or an answer that was not written: a flow that holds nothing is one that somebody relies
//! on. What is the same in flows and in request shapes, their names, is here too.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::code::Code;
use crate::config::node::{Located, suggestion};
use crate::config::problem::Sink;
use crate::config::raw::{BringsRule, FlowEnd, FlowRule};
use crate::model::label::ToolClass;
use crate::model::name::RuleName;
use crate::model::place::Place;
use crate::plan::{Brings, End, FLOWS_MAX, Flow, FlowAnswer, Reaches};

use super::pattern::{each, tool_glob};
use super::{Scope, bad_word};

pub(super) fn check(written: &[FlowRule], scope: Scope<'_>) -> Vec<Flow> {
    if let Some(one) = written.get(FLOWS_MAX) {
        let message = format!("more than {FLOWS_MAX} flows are declared");
        scope.found.error(Code::OutOfRange, &one.place, message, "unite some of them: an end takes lists");
    }
    let mut taken = Taken::of("flow");
    written.iter().filter_map(|one| check_one(one, &mut taken, scope)).collect()
}

fn check_one(written: &FlowRule, taken: &mut Taken, scope: Scope<'_>) -> Option<Flow> {
    let found = scope.found;
    // Every part is checked before the first `?`, so that all problems are reported at once.
    let name = taken.name(written.name.as_ref(), &written.place, found);
    let from = end(written.from.as_ref(), "from", written, scope);
    let to = end(written.to.as_ref(), "to", written, scope);
    let reaches = match &written.reaches {
        None => Some(Reaches::Call),
        Some(word) => word_of(word, "reaches", REACHES, found),
    };
    let answer = match &written.answer {
        Some(word) => word_of(word, "answer", ANSWERS, found),
        None => {
            if found.lacks(&written.place, &["answer"]) {
                let help = "write `answer = \"plan\"`, `\"ask\"` or `\"deny\"`: what a call needs that it is raised by";
                found.error(Code::MissingKey, &written.place, "this flow answers nothing", help);
            }
            None
        }
    };
    let place = written.place.clone();
    Some(Flow { name: name?, from: from?, to: to?, reaches: reaches?, answer: answer?, place })
}

fn word_of<T: Copy>(written: &Located<String>, key: &str, known: &[(&str, T)], found: &Sink) -> Option<T> {
    let meant = known.iter().find(|(word, _)| *word == written.value);
    if meant.is_none() {
        let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
        bad_word(written, key, &words, found);
    }
    meant.map(|(_, value)| *value)
}

fn end(written: Option<&FlowEnd>, key: &'static str, flow: &FlowRule, scope: Scope<'_>) -> Option<End> {
    let found = scope.found;
    let Some(written) = written else {
        if found.lacks(&flow.place, &[key]) {
            let help = format!("write `{key} = {{ classes = [\"…\"] }}`, or `tools` in it");
            found.error(Code::MissingKey, &flow.place, format!("this flow has no `{key}`"), help);
        }
        return None;
    };
    if found.lacks(&written.place, &["classes", "tools", "brings"]) {
        let help = format!("add `classes` or `tools`; `{key} = {{ tools = \"*\" }}` is every call of a tool");
        found.error(Code::MissingKey, &written.place, format!("this `{key}` names nothing"), help);
    }
    let class = |word: &Located<String>| {
        let known = ToolClass::ALL.into_iter().find(|class| class.as_str() == word.value);
        if known.is_none() {
            bad_word(word, "classes", &ToolClass::ALL.map(ToolClass::as_str), found);
        }
        known
    };
    let classes = each(&written.classes, "classes", found, class).into_iter().collect();
    let tools = each(&written.tools, "tools", found, |tool| tool_glob(tool, scope));
    let brings = match &written.brings {
        None => Some(Brings::Anything),
        Some(written) => brings(written, scope),
    };
    Some(End { classes, tools, brings: brings? })
}

fn brings(written: &BringsRule, scope: Scope<'_>) -> Option<Brings> {
    let Scope { names, found, .. } = scope;
    match written {
        BringsRule::Sources(sources) => {
            let sources = Some(sources.clone());
            let sources = each(&sources, "brings", found, |source| names.sources.take(source, found));
            Some(Brings::OneOf(sources.into_iter().collect()))
        }
        BringsRule::Word(word) => match word.value.as_str() {
            "untrusted" => Some(Brings::Untrusted),
            "anything" => Some(Brings::Anything),
            other => {
                let message = format!("`brings` cannot be `{other}`");
                let help = match names.sources.get(other) {
                    Some(source) => format!("write the sources as an array: `brings = [\"{source}\"]`"),
                    None => suggestion(other, &["untrusted", "anything"]),
                };
                found.error(Code::BadValue, &word.place, message, help);
                None
            }
        },
    }
}

/// The names that rules of one kind have already.
pub(super) struct Taken {
    /// What they are, as a person would say it.
    word: &'static str,
    names: BTreeMap<RuleName, Place>,
}

impl Taken {
    pub(super) fn of(word: &'static str) -> Self {
        Self { word, names: BTreeMap::new() }
    }

    /// The name of the rule at `place`, if it has one that no other has.
    pub(super) fn name(
        &mut self,
        written: Option<&Located<String>>,
        place: &Place,
        found: &Sink,
    ) -> Option<Arc<str>> {
        let word = self.word;
        let Some(written) = written else {
            if found.lacks(place, &["name"]) {
                let help = "write `name = \"…\"`: what is decided by it names it";
                found.error(Code::MissingKey, place, format!("this {word} has no name"), help);
            }
            return None;
        };
        let name = match RuleName::new(&written.value) {
            Ok(name) => name,
            Err(error) => {
                let message = format!("`{}` does not name a {word}: {error}", written.value);
                found.error(Code::BadName, &written.place, message, "choose another name");
                return None;
            }
        };
        if let Some(first) = self.names.get(&name) {
            let message = format!("two {word}s are called `{name}`");
            let help = format!("choose another name: records tell them apart by it (see {first})");
            found.error(Code::Conflict, &written.place, message, help);
        }
        let text = name.as_str().into();
        self.names.entry(name).or_insert_with(|| place.clone());
        Some(text)
    }
}

const REACHES: &[(&str, Reaches)] = &[("call", Reaches::Call), ("destination", Reaches::Destination)];
const ANSWERS: &[(&str, FlowAnswer)] =
    &[("plan", FlowAnswer::Plan), ("ask", FlowAnswer::Ask), ("deny", FlowAnswer::Deny)];
