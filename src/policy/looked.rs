//! What conditions and guardrails look at at one tool, checked against its accepted input schema.
//!
//! Must never leave a tool open whose conditions do not fit its schema: it is closed, with the place of the one
//! that does not (`condition_invalid`).

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use cedar_policy::{
    Entities, Entity, EntityTypeName, EntityUid, Policy, PolicySet, ValidationMode, Validator,
};

use super::condition::{Names, plain};
use super::guardrail::Guardrail;
use super::rules::Permission;
use super::shape::{self, Arguments};
use super::vocabulary as words;
use crate::model::name::ToolId;
use crate::model::place::Place;
use crate::model::trigger::Declarations;

/// A tool that conditions or guardrails speak of.
#[derive(Debug)]
pub(super) struct Looked {
    /// It as Cedar knows it.
    pub(super) tool: EntityUid,
    /// What subjects are, and what is done: names that are parsed once and not at each call.
    pub(super) subject: EntityTypeName,
    pub(super) action: EntityUid,
    /// It and its upstream.
    pub(super) entities: Entities,
    /// What its schema says of its arguments.
    pub(super) arguments: Arc<Arguments>,
    /// What is spoken of.
    pub(super) names: Names,
    /// The guardrails about it; their ids are their numbers.
    pub(super) guardrails: PolicySet,
    /// What closes it.
    pub(super) invalid: Vec<Misfit>,
}

/// A condition or a guardrail that does not fit a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The tool.
    pub tool: ToolId,
    /// Where it stands.
    pub place: Place,
    /// What is wrong with it there.
    pub message: String,
}

impl Looked {
    /// What `entries`, which have conditions, and `guardrails` look at at `tool`. `None` where there is nothing, or
    /// no such tool can be.
    pub(super) fn of(
        tool: &ToolId,
        schema: &Bytes,
        entries: &[&Permission],
        guardrails: &[Guardrail],
        schemas: &mut Schemas<'_>,
    ) -> Option<Self> {
        let about: Vec<_> =
            (0_u32..).zip(guardrails).filter(|(_, guardrail)| guardrail.is_about(tool)).collect();
        if entries.is_empty() && about.is_empty() {
            return None;
        }
        let upstream = words::entity(words::UPSTREAM_TYPE, tool.upstream.as_str())?;
        let uid = words::entity(words::TOOL_TYPE, &tool.to_string())?;
        let family = [
            Entity::new_no_attrs(upstream.clone(), [].into()),
            Entity::new_no_attrs(uid.clone(), [upstream].into()),
        ];
        let Known { arguments, validator } = schemas.of(schema);
        let mut looked = Self {
            tool: uid,
            subject: words::SUBJECT_TYPE.parse().ok()?,
            action: words::entity(words::ACTION_TYPE, words::CALL)?,
            entities: Entities::from_entities(family, None).ok()?,
            arguments: Arc::clone(arguments),
            names: Names::default(),
            guardrails: PolicySet::new(),
            invalid: Vec::new(),
        };
        let mut check = Check { tool, validator, misfits: Vec::new() };
        for entry in entries {
            let Some(condition) = &entry.condition else { continue };
            looked.names.join(condition.names());
            check.names(condition.names(), &entry.place, &looked.arguments);
            check.policy(condition.policy("0"), &entry.place, |error| condition.say(error));
        }
        for (number, guardrail) in about {
            looked.names.join(guardrail.names());
            check.policy(guardrail.policy("0"), guardrail.place(), plain);
            // Ids are numbers and so never the same twice; were it refused, the tool would be closed.
            if looked.guardrails.add(guardrail.policy(&number.to_string())).is_err() {
                check.misfit(guardrail.place(), "it cannot be used".to_owned());
            }
        }
        looked.invalid = check.misfits;
        Some(looked)
    }
}

/// The check of one tool.
struct Check<'a> {
    tool: &'a ToolId,
    validator: &'a Result<Validator, String>,
    misfits: Vec<Misfit>,
}

/// The schemas that were looked at, each once: many tools have the same, and to check against one is dear.
pub(super) struct Schemas<'a> {
    triggers: &'a Declarations,
    known: HashMap<Bytes, Known>,
}

struct Known {
    arguments: Arc<Arguments>,
    validator: Result<Validator, String>,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(triggers: &'a Declarations) -> Self {
        Self { triggers, known: HashMap::new() }
    }

    fn of(&mut self, schema: &Bytes) -> &Known {
        let triggers = self.triggers;
        self.known.entry(schema.clone()).or_insert_with(|| {
            let arguments = shape::arguments(schema);
            let schema = words::schema(&arguments, triggers);
            let validator = schema.map(Validator::new).map_err(|error| error.to_string());
            Known { arguments: arguments.into(), validator }
        })
    }
}

impl Check<'_> {
    /// Cedar says nothing where `has` asks for what there never is: a typo would never hold.
    fn names(&mut self, names: &Names, place: &Place, arguments: &Arguments) {
        for argument in names.arguments() {
            let message = match arguments.get(argument) {
                None => format!("`{}` has no argument `{argument}`", self.tool),
                Some(member) if shape::to_cedar(&member.shape).is_none() => format!(
                    "the argument `{argument}` of `{}` has no type that a condition can look at exactly",
                    self.tool
                ),
                Some(_) => continue,
            };
            self.misfit(place, message);
        }
    }

    fn policy(
        &mut self,
        policy: Policy,
        place: &Place,
        say: impl Fn(&cedar_policy::ValidationError) -> String,
    ) {
        if self.misfits.iter().any(|misfit| misfit.place == *place) {
            return;
        }
        let validator = match self.validator {
            Ok(validator) => validator,
            Err(error) => {
                let message = format!("the input schema of `{}` cannot be looked at: {error}", self.tool);
                return self.misfit(place, message);
            }
        };
        let policies = PolicySet::from_policies([policy]).unwrap_or_default();
        let result = validator.validate(&policies, ValidationMode::Strict);
        if let Some(error) = result.validation_errors().next() {
            let message = format!("for `{}`: {}", self.tool, say(error));
            self.misfit(place, message);
        }
    }

    fn misfit(&mut self, place: &Place, message: String) {
        self.misfits.push(Misfit { tool: self.tool.clone(), place: place.clone(), message });
    }
}
