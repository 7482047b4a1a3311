//! `[[requests]]`: whose requests, of which kind, for which calls, with which arguments.
//!
//! Must never read more out of a request shape than was written: what is wrong in it refuses the configuration.

use std::collections::BTreeMap;

use crate::config::code::Code;
use crate::config::json::{JSON_HELP, json};
use crate::config::node::{Located, Node, suggestion};
use crate::config::raw::{LimitRule, LimitTable, PinTable, RequestRule, RequestStep, ValueRule};
use crate::identity::MayAssert;
use crate::model::name::{AttributeName, Goal, SourceName};
use crate::model::trigger::Declarations;
use crate::plan::{
    CALLS_MAX, Entry, LITERAL_BYTES_MAX, Limit, Literal, Pin, SHAPE_STEPS_MAX, SHAPE_VALUES_MAX, SHAPES_MAX,
    Shape,
};

use super::Scope;
use super::flow::Taken;
use super::pattern::tool_glob;

/// `attributes` is what triggers hold, `may_assert` what tokens may say.
pub(super) fn check(
    written: &[RequestRule],
    attributes: &Declarations,
    may_assert: &[&MayAssert],
    scope: Scope<'_>,
) -> Vec<Shape> {
    if let Some(one) = written.get(SHAPES_MAX) {
        let message = format!("more than {SHAPES_MAX} requests are declared");
        scope.found.error(Code::OutOfRange, &one.place, message, "unite some of them: `steps` is a list");
    }
    let mut taken = Taken::of("request");
    let one = |one: &RequestRule| {
        let checking = Checking { attributes, may_assert, scope };
        checking.shape(one, &mut taken)
    };
    written.iter().filter_map(one).collect()
}

#[derive(Clone, Copy)]
struct Checking<'a> {
    attributes: &'a Declarations,
    may_assert: &'a [&'a MayAssert],
    scope: Scope<'a>,
}

impl Checking<'_> {
    fn shape(self, written: &RequestRule, taken: &mut Taken) -> Option<Shape> {
        let Scope { found, names, .. } = self.scope;
        // Every part is checked before the first `?`, so that all problems are reported at once.
        let name = taken.name(written.name.as_ref(), &written.place, found);
        let source = match &written.source {
            Some(source) => names.sources.take(source, found),
            None => {
                if found.lacks(&written.place, &["source"]) {
                    let help = "write `source = \"email\"`: whose requests it is about";
                    found.error(Code::MissingKey, &written.place, "this request is of no source", help);
                }
                None
            }
        };
        let goal = written.goal.as_ref().map(|goal| self.goal(goal));
        let entries: Vec<_> = written.steps.iter().map(|step| self.step(step, source.as_ref())).collect();
        if written.steps.is_empty() && found.lacks(&written.place, &["steps"]) {
            let help = "write `steps = [{ tool = \"upstream.tool\", max_calls = 1, args = { … } }]`";
            found.error(Code::MissingKey, &written.place, "this request asks for nothing", help);
        }
        if let Some(step) = written.steps.get(SHAPE_STEPS_MAX) {
            let message = format!("a request has more than {SHAPE_STEPS_MAX} steps");
            found.error(
                Code::OutOfRange,
                &step.place,
                message,
                "put some of them into a request of their own",
            );
        }
        let goal = match goal {
            Some(goal) => Some(goal?),
            None => None,
        };
        let entries = entries.into_iter().collect::<Option<_>>()?;
        Some(Shape { name: name?, source: source?, goal, entries, place: written.place.clone() })
    }

    /// A goal that no token can say never selects a shape.
    fn goal(self, written: &Located<String>) -> Option<Goal> {
        let found = self.scope.found;
        let goal = match Goal::new(&written.value) {
            Ok(goal) => goal,
            Err(error) => {
                let message = format!("`{}` does not name a goal: {error}", written.value);
                found.error(Code::BadName, &written.place, message, "choose another name");
                return None;
            }
        };
        let may_say = |may: &&MayAssert| may.goals.iter().any(|glob| glob.matches(goal.as_str()));
        if !self.may_assert.iter().any(may_say) {
            let message = format!("no token may say the goal `{goal}`, so this request never counts");
            let help = "add it to `goals` of a `may_assert`, or leave `goal` out";
            found.warn(Code::MatchesNothing, &written.place, message, help);
        }
        Some(goal)
    }

    fn step(self, written: &RequestStep, source: Option<&SourceName>) -> Option<Entry> {
        let found = self.scope.found;
        let tool = match &written.tool {
            Some(tool) => tool_glob(tool, self.scope),
            None => {
                if found.lacks(&written.place, &["tool"]) {
                    let help = "write `{ tool = \"upstream.tool\" }`";
                    found.error(Code::MissingKey, &written.place, "a step of a request without `tool`", help);
                }
                None
            }
        };
        let max_calls = written.max_calls.as_ref().map(|written| self.max_calls(written));
        let arguments: Vec<_> = written
            .args
            .iter()
            .map(|(name, limit)| Some((name.value.clone(), self.limit(&name.value, limit, source)?)))
            .collect();
        let max_calls = match max_calls {
            Some(max) => Some(max?),
            None => None,
        };
        let arguments = arguments.into_iter().collect::<Option<BTreeMap<_, _>>>()?;
        Some(Entry { tool: tool?, max_calls, arguments })
    }

    fn max_calls(self, written: &Located<Node>) -> Option<u32> {
        let number = match &written.value {
            Node::Integer(number) => u32::try_from(*number).ok(),
            other => {
                let message = format!("`max_calls` takes an integer, and {} was written", other.kind());
                self.scope.found.error(Code::WrongType, &written.place, message, "write a number like 1");
                return None;
            }
        };
        let number = number.filter(|number| (1..=CALLS_MAX).contains(number));
        if number.is_none() {
            let message = "`max_calls` is out of bounds";
            let help = format!("write a number from 1 to {CALLS_MAX}: no plan holds more");
            self.scope.found.error(Code::OutOfRange, &written.place, message, help);
        }
        number
    }

    fn limit(self, name: &str, written: &LimitRule, source: Option<&SourceName>) -> Option<Limit> {
        let found = self.scope.found;
        match written {
            LimitRule::Table(table) => self.table(name, table, source),
            LimitRule::Values(values) => {
                if values.value.is_empty() {
                    let message = format!("`{name}` may have no value, so no step is covered");
                    let help = "name a value, `{ trigger = \"…\" }`, `{ subject = true }`, or write `{ any = true }`";
                    found.error(Code::BadValue, &values.place, message, help);
                }
                if values.value.len() > SHAPE_VALUES_MAX {
                    let message = format!("more than {SHAPE_VALUES_MAX} values for `{name}`");
                    let help = "leave it to a person, or to the lists of the source";
                    found.error(Code::OutOfRange, &values.place, message, help);
                }
                let pins: Vec<_> = values.value.iter().map(|value| self.value(value, source)).collect();
                pins.into_iter().collect::<Option<_>>().map(Limit::OneOf)
            }
        }
    }

    /// A table says one thing: what a pin says, that anything is right, or bounds.
    fn table(self, name: &str, table: &LimitTable, source: Option<&SourceName>) -> Option<Limit> {
        let found = self.scope.found;
        let LimitTable { place, pin, any, min, max } = table;
        let has_bounds = min.is_some() || max.is_some();
        let says = [pin.trigger.is_some(), pin.subject.is_some(), any.is_some(), has_bounds];
        if says.into_iter().filter(|says| *says).count() != 1 {
            if !found.lacks(place, &["trigger", "subject", "any", "min", "max"]) && says == [false; 4] {
                return None;
            }
            let message = format!("what is said of `{name}` is not one thing");
            let help = "write one of `{ trigger = \"…\" }`, `{ subject = true }`, `{ min = 1, max = 50 }`, \
                        `{ any = true }`, or values in an array";
            found.error(Code::Conflict, place, message, help);
            return None;
        }
        match any {
            Some(Located { value: true, .. }) => Some(Limit::Any),
            Some(Located { place, .. }) => {
                let help = "leave the argument out: a destination that is not named may not be given";
                found.error(Code::BadValue, place, "`any` is `true` or left out", help);
                None
            }
            None if has_bounds => self.between(min.as_ref(), max.as_ref()),
            None => self.pin(pin, source).map(|pin| Limit::OneOf(vec![pin])),
        }
    }

    fn between(self, min: Option<&Located<Node>>, max: Option<&Located<Node>>) -> Option<Limit> {
        let bound = |written: &Located<Node>| {
            let literal = self.literal(written)?;
            if !literal.is_number() {
                let help = "write a number: `{ min = 1, max = 50 }`";
                self.scope.found.error(Code::WrongType, &written.place, "a bound is a number", help);
                return None;
            }
            Some(literal)
        };
        let (least, most) = (min.map(bound), max.map(bound));
        if let (Some(Some(least)), Some(Some(most)), Some(max)) = (&least, &most, max)
            && least.is_above(most)
        {
            let help = "write the smaller number as `min`";
            self.scope.found.error(Code::OutOfRange, &max.place, "`max` is smaller than `min`", help);
        }
        let said = |bound: Option<Option<Literal>>| match bound {
            Some(bound) => bound.map(Some),
            None => Some(None),
        };
        Some(Limit::Between(said(least)?, said(most)?))
    }

    fn value(self, written: &ValueRule, source: Option<&SourceName>) -> Option<Pin> {
        match written {
            ValueRule::Plain(node) => self.literal(node).map(Pin::Literal),
            ValueRule::Table(table) => self.pin(table, source),
        }
    }

    fn literal(self, written: &Located<Node>) -> Option<Literal> {
        let found = self.scope.found;
        let value = match json(written) {
            Ok(value) => value,
            Err(place) => {
                found.error(Code::WrongType, place, "this is no value of an argument", JSON_HELP);
                return None;
            }
        };
        let literal = Literal::new(value.to_string().as_bytes());
        if literal.is_none() {
            let message = "this value is too long, or a number that is not compared exactly";
            let help = format!("write at most {LITERAL_BYTES_MAX} bytes");
            found.error(Code::OutOfRange, &written.place, message, help);
        }
        literal
    }

    fn pin(self, table: &PinTable, source: Option<&SourceName>) -> Option<Pin> {
        let found = self.scope.found;
        match (&table.trigger, &table.subject) {
            (Some(attribute), None) => self.attribute(attribute, source?).map(Pin::Trigger),
            (None, Some(Located { value: true, .. })) => Some(Pin::Subject),
            (None, Some(Located { place, .. })) => {
                let help = "leave it out where the subject is no value of the argument";
                found.error(Code::BadValue, place, "`subject` is `true` or left out", help);
                None
            }
            (Some(_), Some(_)) => {
                let help = "write them as two values of the array";
                found.error(
                    Code::Conflict,
                    &table.place,
                    "a value is of the trigger or of the subject",
                    help,
                );
                None
            }
            (None, None) => None,
        }
    }

    fn attribute(self, written: &Located<String>, source: &SourceName) -> Option<AttributeName> {
        let empty = BTreeMap::new();
        let declared = self.attributes.get(source).unwrap_or(&empty);
        let known = declared.keys().find(|known| known.as_str() == written.value);
        if known.is_none() {
            let known: Vec<_> = declared.keys().map(AttributeName::as_str).collect();
            let message = format!("the source `{source}` declares no attribute `{}`", written.value);
            let help = suggestion(&written.value, &known);
            self.scope.found.error(Code::UnknownAttribute, &written.place, message, help);
        }
        known.cloned()
    }
}
