//! Reading a plan out of the bytes that were submitted.
//!
//! Must never take a document that two readers could understand differently, nor a member that it does not know: what
//! a plan does not say in this language it does not say. Tells every problem and not only the first. Trusts nothing;
//! `INPUT_SCHEMA` says the same to models, and a test holds the two together.

mod constraint;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::digest::Sha256;
use crate::model::name::{AttributeName, Goal};
use crate::wire::{Json, ScanLimits};

use super::decimal::Decimal;
use super::problem::{At, Flaw, Named, Problem, Problems};
use super::steps::{Plan, Step, StepId};

pub use constraint::{CONSTRAINT_DEPTH_MAX, ENUM_MAX, FREE_LEN_MAX, ITEMS_MAX, PATTERNS_MAX, QUERIES_MAX};

/// Largest plan, in bytes.
pub const PLAN_BYTES_MAX: usize = 8 * 1024;
/// Most steps of a plan.
pub const STEPS_MAX: usize = 32;
/// Most steps that one step can name in `after`.
pub const AFTER_MAX: usize = STEPS_MAX;
/// Most calls that one step can be for.
pub const CALLS_MAX: u32 = 100;
/// Longest note, in characters.
pub const NOTE_LEN_MAX: usize = 500;
/// Longest name of a tool in a plan, in characters.
pub const TOOL_LEN_MAX: usize = 200;
/// Deepest nesting of a plan as a document.
const DEPTH_MAX: usize = 32;

const PLAN_MEMBERS: &[&str] = &["v", "goal", "note", "steps"];
const STEP_MEMBERS: &[&str] = &["id", "tool", "args", "after", "max_calls", "note"];

impl Plan {
    /// The plan that `raw` is.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(raw: &[u8]) -> Result<Self, Vec<Problem>> {
        let (mut reading, at) = (Reading::default(), At::default());
        let plan = reading.plan(raw, &at);
        reading.problems.or(plan)
    }
}

/// What is known so far.
#[derive(Default)]
struct Reading {
    problems: Problems,
    /// The ids of the steps before the one that is read.
    earlier: BTreeSet<StepId>,
    patterns: usize,
    queries: usize,
}

impl Reading {
    fn plan(&mut self, raw: &[u8], at: &At) -> Option<Plan> {
        if raw.len() > PLAN_BYTES_MAX {
            return self.wrong(at, Flaw::PlanTooLong);
        }
        let limits = ScanLimits { depth_max: DEPTH_MAX, members_max: PLAN_BYTES_MAX };
        let json = match Json::read(raw, limits) {
            Ok(json) => json,
            Err(fault) => return self.wrong(at, Flaw::Json(fault)),
        };
        self.object(&json, at, "an object, like `{\"v\":1,\"steps\":[…]}`", PLAN_MEMBERS)?;
        match json.get("v") {
            None => self.wrong(at, Flaw::Missing("v"))?,
            Some(Json::Number(text)) if Decimal::new(text) == Decimal::of(1) => {}
            Some(_) => self.problems.add(&at.then("v"), Flaw::Version),
        }
        let goal = json.get("goal").and_then(|goal| self.goal(goal, &at.then("goal")));
        let note = self.note(&json, at);
        let steps = self.steps(json.get("steps"), at)?;
        let raw = std::str::from_utf8(raw).ok()?;
        Some(Plan { raw: raw.into(), digest: Sha256::of(raw.as_bytes()), goal, note, steps })
    }

    fn steps(&mut self, json: Option<&Json<'_>>, at: &At) -> Option<Vec<Step>> {
        let Some(json) = json else { return self.wrong(at, Flaw::Missing("steps")) };
        let at = at.then("steps");
        let written = self.array(json, &at, "an array of steps")?;
        if written.is_empty() || written.len() > STEPS_MAX {
            return self.wrong(&at, Flaw::Count { what: "steps", min: 1, max: STEPS_MAX });
        }
        let mut steps = Vec::with_capacity(written.len());
        for (number, json) in written.iter().enumerate() {
            let mut at = at.then(&number.to_string());
            at.step = json.get("id").and_then(Json::text).map(Named::new);
            let step = self.step(json, &at);
            // A step with a flaw still has its id: later ones may name it.
            let id = json.get("id").and_then(Json::text).and_then(StepId::new);
            if let Some(id) = id
                && !self.earlier.insert(id.clone())
            {
                self.problems.add(&at.then("id"), Flaw::DuplicateId(Named::new(id.as_str())));
            }
            steps.extend(step);
        }
        Some(steps)
    }

    fn step(&mut self, json: &Json<'_>, at: &At) -> Option<Step> {
        self.object(json, at, "an object, like `{\"id\":\"s1\",\"tool\":\"…\",\"args\":{}}`", STEP_MEMBERS)?;
        let id = self.required_text(json, at, "id").and_then(|text| self.id(text, &at.then("id")));
        let tool = self.required_text(json, at, "tool");
        if tool.is_some_and(|tool| tool.is_empty() || tool.chars().count() > TOOL_LEN_MAX) {
            self.problems
                .add(&at.then("tool"), Flaw::Count { what: "characters", min: 1, max: TOOL_LEN_MAX });
        }
        let after = json.get("after").map(|after| self.after(after, &at.then("after"))).unwrap_or_default();
        let max_calls = self.whole(json, at, "max_calls", CALLS_MAX);
        let note = self.note(json, at);
        let mut arguments = BTreeMap::new();
        if let Some(args) = json.get("args") {
            let at = at.then("args");
            for (name, value) in self.members(args, &at, "an object of constraints by argument")? {
                let at = At { argument: Some(Named::new(name)), ..at.then(name) };
                let argument = self.argument(value, &at, 0);
                arguments.extend(argument.map(|argument| (name.clone().into_owned(), argument)));
            }
        }
        Some(Step { id: id?, tool: tool?.to_owned(), arguments, after, max_calls, note })
    }

    fn after(&mut self, json: &Json<'_>, at: &At) -> BTreeSet<StepId> {
        let written = self.array(json, at, "an array of ids of earlier steps").unwrap_or_default();
        if written.len() > AFTER_MAX {
            self.problems.add(at, Flaw::Count { what: "steps in `after`", min: 0, max: AFTER_MAX });
        }
        let mut after = BTreeSet::new();
        for (number, json) in written.iter().take(AFTER_MAX).enumerate() {
            let at = at.then(&number.to_string());
            let text = self.text(json, &at, "the id of an earlier step");
            after.extend(text.and_then(|text| self.earlier(text, &at)));
        }
        after
    }

    /// The earlier step that `text` names.
    fn earlier(&mut self, text: &str, at: &At) -> Option<StepId> {
        match self.earlier.get(text) {
            Some(id) => Some(id.clone()),
            None => self.wrong(at, Flaw::NotEarlier(Named::new(text))),
        }
    }

    fn id(&mut self, text: &str, at: &At) -> Option<StepId> {
        StepId::new(text).or_else(|| self.wrong(at, Flaw::StepId))
    }

    fn goal(&mut self, json: &Json<'_>, at: &At) -> Option<Goal> {
        let text = self.text(json, at, "the name of a kind of request")?;
        Goal::new(text).map_or_else(|error| self.wrong(at, Flaw::Name(error)), Some)
    }

    fn attribute(&mut self, json: &Json<'_>, at: &At) -> Option<AttributeName> {
        let text = self.text(json, at, "the name of an attribute of the trigger")?;
        AttributeName::new(text).map_or_else(|error| self.wrong(at, Flaw::Name(error)), Some)
    }

    fn note(&mut self, json: &Json<'_>, at: &At) -> Option<String> {
        let at = at.then("note");
        let text = json.get("note").and_then(|note| self.text(note, &at, "a text"))?;
        if text.chars().count() > NOTE_LEN_MAX {
            return self.wrong(&at, Flaw::TextTooLong { what: "note", len_max: NOTE_LEN_MAX });
        }
        Some(text.to_owned())
    }

    /// The whole number from 1 to `max` that the member `name` is, where it is there.
    fn whole(&mut self, json: &Json<'_>, at: &At, name: &'static str, max: u32) -> Option<u32> {
        let number = match json.get(name)? {
            Json::Number(text) => Decimal::new(text).and_then(|number| number.to_u32()),
            _ => None,
        };
        let flaw = Flaw::OutOfRange { what: name, min: 1, max };
        number.filter(|number| (1..=max).contains(number)).or_else(|| self.wrong(&at.then(name), flaw))
    }

    fn required_text<'j>(&mut self, json: &'j Json<'_>, at: &At, name: &'static str) -> Option<&'j str> {
        match json.get(name) {
            None => self.wrong(at, Flaw::Missing(name)),
            Some(value) => self.text(value, &at.then(name), "a text"),
        }
    }

    fn text<'j>(&mut self, json: &'j Json<'_>, at: &At, what: &'static str) -> Option<&'j str> {
        json.text().or_else(|| self.wrong(at, Flaw::NotA(what)))
    }

    fn array<'j, 'a>(&mut self, json: &'j Json<'a>, at: &At, what: &'static str) -> Option<&'j [Json<'a>]> {
        json.elements().or_else(|| self.wrong(at, Flaw::NotA(what)))
    }

    fn members<'j, 'a>(
        &mut self,
        json: &'j Json<'a>,
        at: &At,
        what: &'static str,
    ) -> Option<&'j [Member<'a>]> {
        json.members().or_else(|| self.wrong(at, Flaw::NotA(what)))
    }

    /// Tells whether `json` is an object, and of every member that is none of `known`.
    fn object(
        &mut self,
        json: &Json<'_>,
        at: &At,
        what: &'static str,
        known: &'static [&'static str],
    ) -> Option<()> {
        for (name, _) in self.members(json, at, what)? {
            if !known.contains(&name.as_ref()) {
                self.problems.add(&at.then(name), Flaw::Unknown { name: Named::new(name), known });
            }
        }
        Some(())
    }

    fn wrong<T>(&mut self, at: &At, flaw: Flaw) -> Option<T> {
        self.problems.add(at, flaw);
        None
    }
}

/// A member of an object.
type Member<'a> = (std::borrow::Cow<'a, str>, Json<'a>);
